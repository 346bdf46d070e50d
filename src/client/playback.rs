//! Playbacks of media.

use std::sync::Weak;
use std::time::Duration;

use serde_json::json;

use super::data::PlaybackData;
use super::ending::Ending;
use super::handle::{Handle, collection, handle};
use super::payload::Control;
use super::{Error, EventType, Subscription};
use crate::wire::key::Key;
use crate::wire::kind::Entity;

/// Media that are played to a channel or a bridge. Dropping it stops nothing.
#[derive(Debug, Clone)]
pub struct Playback {
    handle: Handle,
    ending: Ending<PlaybackData>,
}

handle!(Playback);

impl From<Handle> for Playback {
    fn from(handle: Handle) -> Playback {
        let ending = Ending::unheard();
        Playback { handle, ending }
    }
}

impl Playback {
    /// One that hears of its end from now on, and is not made as long as there is `unmade`.
    pub(super) fn heard(handle: Handle, unmade: Weak<()>) -> Result<Playback, Error> {
        let ending = Ending::of(&handle, unmade)?;
        Ok(Playback { handle, ending })
    }

    /// The same at the place that `answer` names.
    pub(super) fn found(self, answer: Key) -> Playback {
        Playback {
            handle: self.handle.found(answer),
            ..self
        }
    }

    /// Waits for its end, and tells what it was like then.
    ///
    /// Where no event tells of the end, it is found out that the playback is gone: within 10 s, and what is
    /// told is what was known of it, which need not be how it ended. Events get lost, and Asterisk sends none when a bridge
    /// is deleted in which it is heard. While its proxy is away, this goes on waiting:
    /// [`wait_timeout`](Playback::wait_timeout) does not. Of several threads that wait one hears at once, the
    /// others within 10 s.
    pub fn wait(&self) -> Result<PlaybackData, Error> {
        self.ending.wait(&self.handle, None)
    }

    /// Waits for its end no longer than `limit`, but for the time of a request: [`Error::Timeout`] if it lasts
    /// longer.
    pub fn wait_timeout(&self, limit: Duration) -> Result<PlaybackData, Error> {
        self.ending.wait(&self.handle, Some(limit))
    }

    /// What Asterisk knows of it. [`Error::NotFound`] when it is over.
    pub fn data(&self) -> Result<PlaybackData, Error> {
        self.handle.data("PlaybackData", Entity::Playback)
    }

    /// Events about it, of these types; of all where there are none. Where its key has a dialog, it is bound
    /// to that, and what is heard is what the dialog hears about it.
    pub fn subscribe(&self, types: &[EventType]) -> Result<Subscription, Error> {
        self.handle.subscribe(types, Some("PlaybackSubscribe"))
    }

    /// Binds `dialog` to it: who subscribed to the dialog hears of it.
    pub fn bind_dialog(&self, dialog: &str) -> Result<Playback, Error> {
        let handle = self.handle.bound("PlaybackSubscribe", dialog)?;
        let ending = self.ending.clone();
        Ok(Playback { handle, ending })
    }

    /// Stops it.
    pub fn stop(&self) -> Result<(), Error> {
        self.handle.command("PlaybackStop")
    }

    /// Pauses it.
    pub fn pause(&self) -> Result<(), Error> {
        self.control(Control::Pause)
    }

    /// Ends [`pause`](Playback::pause).
    pub fn unpause(&self) -> Result<(), Error> {
        self.control(Control::Unpause)
    }

    /// Begins again.
    pub fn restart(&self) -> Result<(), Error> {
        self.control(Control::Restart)
    }

    /// Goes back a little.
    pub fn reverse(&self) -> Result<(), Error> {
        self.control(Control::Reverse)
    }

    /// Goes ahead a little.
    pub fn forward(&self) -> Result<(), Error> {
        self.control(Control::Forward)
    }

    /// Controls it.
    pub fn control(&self, control: Control) -> Result<(), Error> {
        self.handle.command_with(
            "PlaybackControl",
            "playback_control",
            json!({ "command": control }),
        )
    }
}

/// The playbacks at all Asterisks of the application, or at [one](Playbacks::at). Asterisk lists none.
#[derive(Debug, Clone)]
pub struct Playbacks {
    place: Handle,
}

collection!(Playbacks, Playback, Entity::Playback);

impl Playbacks {
    /// The playback `id`, and where it is.
    pub fn get(&self, id: &str) -> Result<Playback, Error> {
        let found = self.place.other(Entity::Playback, id).get("PlaybackGet")?;
        Ok(found.into())
    }
}
