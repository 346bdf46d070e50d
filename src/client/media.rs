//! What is played to and recorded of a channel and a bridge alike, now or later.

use std::sync::{Arc, Weak};

use serde_json::json;

use super::handle::Handle;
use super::payload::{RecordOptions, id_or_new};
use super::{Error, LiveRecording, Playback, Staged};
use crate::wire::kind::Entity;

/// What the requests about either are called, and their payloads.
pub(super) struct Names {
    play: &'static str,
    stage_play: &'static str,
    playing: &'static str,
    record: &'static str,
    stage_record: &'static str,
    recording: &'static str,
}

/// Those about a channel.
pub(super) const OF_CHANNEL: &Names = &Names {
    play: "ChannelPlay",
    stage_play: "ChannelStagePlay",
    playing: "channel_play",
    record: "ChannelRecord",
    stage_record: "ChannelStageRecord",
    recording: "channel_record",
};

/// Those about a bridge.
pub(super) const OF_BRIDGE: &Names = &Names {
    play: "BridgePlay",
    stage_play: "BridgeStagePlay",
    playing: "bridge_play",
    record: "BridgeRecord",
    stage_record: "BridgeStageRecord",
    recording: "bridge_record",
};

impl Names {
    /// Plays `media` to `target`, whose place is known, as the playback `id`.
    pub(super) fn play(&self, target: &Handle, id: &str, media: &str) -> Result<Playback, Error> {
        let id = id_or_new(id, "pb");
        let playback = Playback::heard(target.other(Entity::Playback, &id), Weak::new())?;
        self.start(target, playback, media)
    }

    fn start(&self, target: &Handle, playback: Playback, media: &str) -> Result<Playback, Error> {
        let payload = json!({ "playback_id": playback.id(), "media_uri": media });
        let answer = target.create_with(self.play, self.playing, payload)?;
        Ok(playback.found(answer))
    }

    /// The same, later. The target has to be there now.
    pub(super) fn stage_play(
        &'static self,
        target: &Handle,
        id: &str,
        media: &str,
    ) -> Result<Staged<Playback>, Error> {
        let id = id_or_new(id, "pb");
        let payload = json!({ "playback_id": id, "media_uri": media });
        let target = target.found(target.get_with(self.stage_play, self.playing, payload)?);
        let unmade = Arc::default();
        let of = target.other(Entity::Playback, &id);
        let playback = Playback::heard(of, Arc::downgrade(&unmade))?;
        let media = media.to_owned();
        Ok(Staged::unmade(playback, unmade, move |playback| {
            self.start(&target, playback, &media)
        }))
    }

    /// Records `target`, whose place is known, under `name`.
    pub(super) fn record(
        &self,
        target: &Handle,
        name: &str,
        options: &RecordOptions,
    ) -> Result<LiveRecording, Error> {
        let name = id_or_new(name, "rc");
        let of = target.other(Entity::LiveRecording, &name);
        let recording = LiveRecording::heard(of, Weak::new())?;
        self.start_recording(target, recording, options)
    }

    fn start_recording(
        &self,
        target: &Handle,
        recording: LiveRecording,
        options: &RecordOptions,
    ) -> Result<LiveRecording, Error> {
        let payload = json!({ "name": recording.name(), "options": options });
        let answer = target.create_with(self.record, self.recording, payload)?;
        Ok(recording.found(answer))
    }

    /// The same, later. The target has to be there now.
    pub(super) fn stage_record(
        &'static self,
        target: &Handle,
        name: &str,
        options: &RecordOptions,
    ) -> Result<Staged<LiveRecording>, Error> {
        let name = id_or_new(name, "rc");
        let payload = json!({ "name": name, "options": options });
        let target = target.found(target.get_with(self.stage_record, self.recording, payload)?);
        let unmade = Arc::default();
        let of = target.other(Entity::LiveRecording, &name);
        let recording = LiveRecording::heard(of, Arc::downgrade(&unmade))?;
        let options = options.clone();
        Ok(Staged::unmade(recording, unmade, move |recording| {
            self.start_recording(&target, recording, &options)
        }))
    }
}
