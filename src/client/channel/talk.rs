//! What a channel hears and says: hold, mute, music, silence.

use serde_json::json;

use super::Channel;
use crate::client::Error;
use crate::client::payload::Direction;

impl Channel {
    /// Tells it that it is on hold.
    pub fn hold(&self) -> Result<(), Error> {
        self.handle.command("ChannelHold")
    }

    /// Ends [`hold`](Channel::hold).
    pub fn unhold(&self) -> Result<(), Error> {
        self.handle.command("ChannelStopHold")
    }

    /// Lets no audio through this way.
    pub fn mute(&self, direction: Direction) -> Result<(), Error> {
        self.handle.command_with(
            "ChannelMute",
            "channel_mute",
            json!({ "direction": direction }),
        )
    }

    /// Ends [`mute`](Channel::mute) of this way.
    pub fn unmute(&self, direction: Direction) -> Result<(), Error> {
        self.handle.command_with(
            "ChannelUnmute",
            "channel_mute",
            json!({ "direction": direction }),
        )
    }

    /// Plays music on hold of this class, Asterisk's default when empty.
    pub fn moh(&self, class: &str) -> Result<(), Error> {
        self.handle
            .command_with("ChannelMOH", "channel_moh", json!({ "music": class }))
    }

    /// Ends [`moh`](Channel::moh).
    pub fn stop_moh(&self) -> Result<(), Error> {
        self.handle.command("ChannelStopMOH")
    }

    /// Plays silence, for what needs audio to go on.
    pub fn silence(&self) -> Result<(), Error> {
        self.handle.command("ChannelSilence")
    }

    /// Ends [`silence`](Channel::silence).
    pub fn stop_silence(&self) -> Result<(), Error> {
        self.handle.command("ChannelStopSilence")
    }
}
