//! A finished recording.

use serde_json::json;

use super::Error;
use super::data::StoredRecordingData;
use super::handle::{Handle, handle};
use crate::wire::kind::Entity;

/// A finished recording, a file at its Asterisk.
#[derive(Debug, Clone)]
pub struct StoredRecording {
    handle: Handle,
}

handle!(StoredRecording);

impl From<Handle> for StoredRecording {
    fn from(handle: Handle) -> StoredRecording {
        StoredRecording { handle }
    }
}

impl StoredRecording {
    /// Its name, which is its id.
    pub fn name(&self) -> &str {
        self.id()
    }

    /// What Asterisk knows of it.
    pub fn data(&self) -> Result<StoredRecordingData, Error> {
        self.handle
            .data("RecordingStoredData", Entity::StoredRecording)
    }

    /// Copies it to the name `to`, at the same Asterisk.
    pub fn copy(&self, to: &str) -> Result<StoredRecording, Error> {
        self.handle.command_with(
            "RecordingStoredCopy",
            "recording_stored_copy",
            json!({ "destination": to }),
        )?;
        Ok(self.handle.other(Entity::StoredRecording, to).into())
    }

    /// Deletes it.
    pub fn delete(&self) -> Result<(), Error> {
        self.handle.command("RecordingStoredDelete")
    }
}
