//! What is made from a channel later. The channel is looked for now: it has to be there.

use serde_json::json;

use super::Channel;
use crate::client::channels;
use crate::client::media::OF_CHANNEL;
use crate::client::payload::{ExternalMedia, Originate, RecordOptions, Snoop};
use crate::client::{Error, LiveRecording, Playback, Staged};
use crate::wire::kind::Entity;

impl Channel {
    /// [`play`](Channel::play), later.
    pub fn stage_play(&self, media: &str) -> Result<Staged<Playback>, Error> {
        self.stage_play_as("", media)
    }

    /// [`play_as`](Channel::play_as), later.
    pub fn stage_play_as(&self, id: &str, media: &str) -> Result<Staged<Playback>, Error> {
        OF_CHANNEL.stage_play(&self.handle, id, media)
    }

    /// [`record`](Channel::record), later.
    pub fn stage_record(
        &self,
        name: &str,
        options: &RecordOptions,
    ) -> Result<Staged<LiveRecording>, Error> {
        OF_CHANNEL.stage_record(&self.handle, name, options)
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
