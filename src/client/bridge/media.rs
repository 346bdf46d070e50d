//! What is made from a bridge, now or later: playbacks, recordings.

use std::sync::{Arc, Weak};

use serde_json::json;

use super::Bridge;
use crate::client::payload::{RecordOptions, id_or_new};
use crate::client::{Error, LiveRecording, Playback, Staged};
use crate::wire::kind::Entity;

impl Bridge {
    /// Plays media to all, as in `sound:hello-world`; several, with commas between, one after the other.
    pub fn play(&self, media: &str) -> Result<Playback, Error> {
        self.play_as("", media)
    }

    /// Plays media to all as the playback `id`.
    pub fn play_as(&self, id: &str, media: &str) -> Result<Playback, Error> {
        let id = id_or_new(id, "pb");
        let bridge = self.located()?;
        let playback = Playback::heard(bridge.handle.other(Entity::Playback, &id), Weak::new())?;
        bridge.start(playback, media)
    }

    fn start(&self, playback: Playback, media: &str) -> Result<Playback, Error> {
        let payload = json!({ "playback_id": playback.id(), "media_uri": media });
        let answer = self
            .handle
            .create_with("BridgePlay", "bridge_play", payload)?;
        Ok(playback.found(answer))
    }

    /// [`play`](Bridge::play), later. The bridge has to be there now.
    pub fn stage_play(&self, media: &str) -> Result<Staged<Playback>, Error> {
        self.stage_play_as("", media)
    }

    /// [`play_as`](Bridge::play_as), later. The bridge has to be there now.
    pub fn stage_play_as(&self, id: &str, media: &str) -> Result<Staged<Playback>, Error> {
        let id = id_or_new(id, "pb");
        let payload = json!({ "playback_id": id, "media_uri": media });
        let answer = self
            .handle
            .get_with("BridgeStagePlay", "bridge_play", payload)?;
        let bridge = Bridge::from(self.handle.found(answer));
        let unmade = Arc::default();
        let playback = Playback::heard(
            bridge.handle.other(Entity::Playback, &id),
            Arc::downgrade(&unmade),
        )?;
        let media = media.to_owned();
        Ok(Staged::unmade(playback, unmade, move |playback| {
            bridge.start(playback, &media)
        }))
    }

    /// Records what all hear under `name`, a new one when empty.
    pub fn record(&self, name: &str, options: &RecordOptions) -> Result<LiveRecording, Error> {
        let name = id_or_new(name, "rc");
        let bridge = self.located()?;
        let recording = LiveRecording::heard(
            bridge.handle.other(Entity::LiveRecording, &name),
            Weak::new(),
        )?;
        bridge.start_recording(recording, options)
    }

    fn start_recording(
        &self,
        recording: LiveRecording,
        options: &RecordOptions,
    ) -> Result<LiveRecording, Error> {
        let payload = json!({ "name": recording.name(), "options": options });
        let answer = self
            .handle
            .create_with("BridgeRecord", "bridge_record", payload)?;
        Ok(recording.found(answer))
    }

    /// [`record`](Bridge::record), later. The bridge has to be there now.
    pub fn stage_record(
        &self,
        name: &str,
        options: &RecordOptions,
    ) -> Result<Staged<LiveRecording>, Error> {
        let name = id_or_new(name, "rc");
        let payload = json!({ "name": name, "options": options });
        let answer = self
            .handle
            .get_with("BridgeStageRecord", "bridge_record", payload)?;
        let bridge = Bridge::from(self.handle.found(answer));
        let unmade = Arc::default();
        let recording = LiveRecording::heard(
            bridge.handle.other(Entity::LiveRecording, &name),
            Arc::downgrade(&unmade),
        )?;
        let options = options.clone();
        Ok(Staged::unmade(recording, unmade, move |recording| {
            bridge.start_recording(recording, &options)
        }))
    }
}
