//! What is made from a channel later. The channel is looked for now: it has to be there.

use std::sync::Arc;

use serde_json::json;

use super::Channel;
use crate::client::channels;
use crate::client::payload::{ExternalMedia, Originate, RecordOptions, Snoop, id_or_new};
use crate::client::{Error, LiveRecording, Playback, Staged};
use crate::wire::kind::Entity;

impl Channel {
    /// [`play`](Channel::play), later.
    pub fn stage_play(&self, media: &str) -> Result<Staged<Playback>, Error> {
        self.stage_play_as("", media)
    }

    /// [`play_as`](Channel::play_as), later.
    pub fn stage_play_as(&self, id: &str, media: &str) -> Result<Staged<Playback>, Error> {
        let id = id_or_new(id, "pb");
        let payload = json!({ "playback_id": id, "media_uri": media });
        let answer = self
            .handle
            .get_with("ChannelStagePlay", "channel_play", payload)?;
        let channel = Channel::from(self.handle.found(answer));
        let unmade = Arc::default();
        let playback = Playback::heard(
            channel.handle.other(Entity::Playback, &id),
            Arc::downgrade(&unmade),
        )?;
        let media = media.to_owned();
        Ok(Staged::unmade(playback, unmade, move |playback| {
            channel.start(playback, &media)
        }))
    }

    /// [`record`](Channel::record), later.
    pub fn stage_record(
        &self,
        name: &str,
        options: &RecordOptions,
    ) -> Result<Staged<LiveRecording>, Error> {
        let name = id_or_new(name, "rc");
        let payload = json!({ "name": name, "options": options });
        let answer = self
            .handle
            .get_with("ChannelStageRecord", "channel_record", payload)?;
        let channel = Channel::from(self.handle.found(answer));
        let unmade = Arc::default();
        let recording = LiveRecording::heard(
            channel.handle.other(Entity::LiveRecording, &name),
            Arc::downgrade(&unmade),
        )?;
        let options = options.clone();
        Ok(Staged::unmade(recording, unmade, move |recording| {
            channel.start_recording(recording, &options)
        }))
    }

    /// [`snoop`](Channel::snoop), later.
    pub fn stage_snoop(&self, snoop: &Snoop) -> Result<Staged<Channel>, Error> {
        let snoop = self.snoop_to_make(snoop);
        let payload = json!({ "snoop_id": snoop.id, "options": snoop });
        let answer = self
            .handle
            .get_with("ChannelStageSnoop", "channel_snoop", payload)?;
        let channel = Channel::from(self.handle.found(answer));
        // Where no key had the application, the answer has.
        let snoop = channel.snoop_to_make(&snoop);
        let snooping = Channel::from(channel.handle.other(Entity::Channel, &snoop.id));
        Ok(Staged::new(snooping, move |snooping| {
            channel.start_snooping(snooping, &snoop)
        }))
    }

    /// [`external_media`](Channel::external_media), later.
    pub fn stage_external_media(&self, media: &ExternalMedia) -> Result<Staged<Channel>, Error> {
        channels::stage_external_media(&self.located()?.handle, media)
    }

    /// [`originate`](Channel::originate), later.
    pub fn stage_originate(&self, call: &Originate) -> Result<Staged<Channel>, Error> {
        channels::stage_originate(&self.located()?.handle, call)
    }
}
