//! A recording in progress.

use std::sync::Weak;
use std::time::Duration;

use super::data::LiveRecordingData;
use super::ending::Ending;
use super::handle::{Handle, handle};
use super::{Error, EventType, StoredRecording, Subscription};
use crate::wire::key::Key;
use crate::wire::kind::Entity;

/// A recording in progress. Dropping it stops nothing.
#[derive(Debug, Clone)]
pub struct LiveRecording {
    handle: Handle,
    ending: Ending<LiveRecordingData>,
}

handle!(LiveRecording);

impl From<Handle> for LiveRecording {
    fn from(handle: Handle) -> LiveRecording {
        let ending = Ending::unheard();
        LiveRecording { handle, ending }
    }
}

impl LiveRecording {
    /// One that hears of its end from now on, and is not made as long as there is `unmade`.
    pub(super) fn heard(handle: Handle, unmade: Weak<()>) -> Result<LiveRecording, Error> {
        let ending = Ending::of(&handle, unmade)?;
        Ok(LiveRecording { handle, ending })
    }

    /// The same at the place that `answer` names.
    pub(super) fn found(self, answer: Key) -> LiveRecording {
        LiveRecording {
            handle: self.handle.found(answer),
            ..self
        }
    }

    /// Its name, which is its id.
    pub fn name(&self) -> &str {
        self.id()
    }

    /// Waits for its end, and tells what it was like then. One that failed has ended: its state says so, and
    /// its cause why.
    ///
    /// Where no event tells of the end, it is found out that the recording is gone: within 10 s, and what is
    /// told is what was known of it, which need not be how it ended. Events get lost, and Asterisk sends none when a bridge
    /// is deleted in which it is recorded. While its proxy is away, this goes on waiting:
    /// [`wait_timeout`](LiveRecording::wait_timeout) does not. Of several threads that wait one hears at once, the
    /// others within 10 s.
    pub fn wait(&self) -> Result<LiveRecordingData, Error> {
        self.ending.wait(&self.handle, None)
    }

    /// Waits for its end no longer than `limit`, but for the time of a request: [`Error::Timeout`] if it lasts
    /// longer.
    pub fn wait_timeout(&self, limit: Duration) -> Result<LiveRecordingData, Error> {
        self.ending.wait(&self.handle, Some(limit))
    }

    /// What Asterisk knows of it. [`Error::NotFound`] when it is over.
    pub fn data(&self) -> Result<LiveRecordingData, Error> {
        self.handle.data("RecordingLiveData", Entity::LiveRecording)
    }

    /// Events about it, of these types; of all where there are none. Where its key has a dialog, it is bound
    /// to that, and what is heard is what the dialog hears about it: from a Go proxy, nothing.
    pub fn subscribe(&self, types: &[EventType]) -> Result<Subscription, Error> {
        self.handle.subscribe(types, Some("RecordingLiveSubscribe"))
    }

    /// Binds `dialog` to it: who subscribed to the dialog hears of it.
    pub fn bind_dialog(&self, dialog: &str) -> Result<LiveRecording, Error> {
        let handle = self.handle.bound("RecordingLiveSubscribe", dialog)?;
        let ending = self.ending.clone();
        Ok(LiveRecording { handle, ending })
    }

    /// Ends it and keeps it.
    pub fn stop(&self) -> Result<(), Error> {
        self.handle.command("RecordingLiveStop")
    }

    /// Ends it and throws it away.
    pub fn scrap(&self) -> Result<(), Error> {
        self.handle.command("RecordingLiveScrap")
    }

    /// Leaves out what comes now.
    pub fn pause(&self) -> Result<(), Error> {
        self.handle.command("RecordingLivePause")
    }

    /// Ends [`pause`](LiveRecording::pause).
    pub fn resume(&self) -> Result<(), Error> {
        self.handle.command("RecordingLiveResume")
    }

    /// Records silence instead of what comes now.
    pub fn mute(&self) -> Result<(), Error> {
        self.handle.command("RecordingLiveMute")
    }

    /// Ends [`mute`](LiveRecording::mute).
    pub fn unmute(&self) -> Result<(), Error> {
        self.handle.command("RecordingLiveUnmute")
    }

    /// What is left of it when it has ended. Nobody is asked whether that is so.
    pub fn stored(&self) -> StoredRecording {
        self.handle
            .other(Entity::StoredRecording, self.name())
            .into()
    }
}
