//! What is made from a channel: playbacks, recordings, channels that snoop, channels of programs, calls.

use serde_json::json;

use super::Channel;
use crate::client::channels;
use crate::client::media::OF_CHANNEL;
use crate::client::payload::{ExternalMedia, Originate, RecordOptions, Snoop, id_or_new};
use crate::client::{Error, LiveRecording, Playback};
use crate::wire::kind::Entity;

impl Channel {
    /// Plays media, as in `sound:hello-world`; several, with commas between, one after the other.
    pub fn play(&self, media: &str) -> Result<Playback, Error> {
        self.play_as("", media)
    }

    /// Plays media as the playback `id`.
    pub fn play_as(&self, id: &str, media: &str) -> Result<Playback, Error> {
        OF_CHANNEL.play(&self.located()?.handle, id, media)
    }

    /// Records what comes from it under `name`, a new one when empty.
    pub fn record(&self, name: &str, options: &RecordOptions) -> Result<LiveRecording, Error> {
        OF_CHANNEL.record(&self.located()?.handle, name, options)
    }

    /// A new channel that hears it, and speaks to it.
    pub fn snoop(&self, snoop: &Snoop) -> Result<Channel, Error> {
        let channel = self.located()?;
        let snoop = channel.snoop_to_make(snoop);
        let snooping = channel.handle.other(Entity::Channel, &snoop.id);
        channel.start_snooping(snooping.into(), &snoop)
    }

    /// `snoop` with what the client adds: its id, and the application, which a Go proxy does not know.
    pub(super) fn snoop_to_make(&self, snoop: &Snoop) -> Snoop {
        let mut snoop = snoop.clone();
        snoop.id = id_or_new(&snoop.id, "sn");
        if snoop.app.is_empty() {
            snoop.app.clone_from(&self.key().app);
        }
        snoop
    }

    pub(super) fn start_snooping(&self, channel: Channel, snoop: &Snoop) -> Result<Channel, Error> {
        let payload = json!({ "snoop_id": snoop.id, "options": snoop });
        let answer = self
            .handle
            .create_with("ChannelSnoop", "channel_snoop", payload)?;
        Ok(channel.handle.found(answer).into())
    }

    /// A new channel at the same Asterisk whose audio comes from and goes to a program elsewhere.
    pub fn external_media(&self, media: &ExternalMedia) -> Result<Channel, Error> {
        let channel = self.located()?;
        channels::external_media(&channel.handle, &channels::media_to_make(media))
    }

    /// A new call from the same Asterisk, on behalf of this one: it lends it its codecs and more.
    pub fn originate(&self, call: &Originate) -> Result<Channel, Error> {
        let at = self.located()?.handle;
        channels::originate(&at, &channels::call_to_make(&at, call))
    }
}
