//! Recordings: those in progress, and the finished ones.

use super::asker::Asker;
use super::handle::{Handle, collection};
use super::{Error, LiveRecording, StoredRecording};
use crate::wire::kind::Entity;

/// The recordings at the Asterisks of the application.
#[derive(Debug, Clone)]
pub struct Recordings {
    live: LiveRecordings,
    stored: StoredRecordings,
}

impl Recordings {
    pub(super) fn new(asker: impl Into<Asker>) -> Recordings {
        let asker = asker.into();
        Recordings {
            live: LiveRecordings::new(asker.clone()),
            stored: StoredRecordings::new(asker),
        }
    }

    /// Those in progress.
    pub fn live(&self) -> LiveRecordings {
        self.live.clone()
    }

    /// The finished ones.
    pub fn stored(&self) -> StoredRecordings {
        self.stored.clone()
    }
}

/// The recordings in progress at all Asterisks of the application, or at [one](LiveRecordings::at). Asterisk
/// lists none.
#[derive(Debug, Clone)]
pub struct LiveRecordings {
    place: Handle,
}

collection!(LiveRecordings, LiveRecording, Entity::LiveRecording);

impl LiveRecordings {
    /// The recording `name`, and where it is.
    pub fn get(&self, name: &str) -> Result<LiveRecording, Error> {
        let handle = self.place.other(Entity::LiveRecording, name);
        Ok(handle.get("RecordingLiveGet")?.into())
    }
}

/// The finished recordings at all Asterisks of the application, or at [one](StoredRecordings::at).
#[derive(Debug, Clone)]
pub struct StoredRecordings {
    place: Handle,
}

collection!(StoredRecordings, StoredRecording, Entity::StoredRecording);

impl StoredRecordings {
    /// The recording `name`, and where it is.
    pub fn get(&self, name: &str) -> Result<StoredRecording, Error> {
        let handle = self.place.other(Entity::StoredRecording, name);
        Ok(handle.get("RecordingStoredGet")?.into())
    }

    /// All.
    pub fn list(&self) -> Result<Vec<StoredRecording>, Error> {
        self.place.list("RecordingStoredList")
    }
}
