//! Recordings, in progress and finished.

use super::member::entity;
use crate::wire::key::Key;

entity! {
    /// A recording in progress.
    LiveRecordingData {
        /// Its name.
        name: String,
        /// Its format: `wav`, `gsm`, ….
        format: String,
        /// What is recorded: `channel:ID` or `bridge:ID`.
        target_uri: String,
        /// `queued`, `recording`, `paused`, `done`, `failed` or `canceled`.
        state: String,
    }
    optional {
        /// How long it is, in seconds.
        duration: Option<i64>,
        /// How long someone talked, in seconds; only where it is to end at silence.
        talking_duration: Option<i64>,
        /// How long nobody talked, in seconds; only where it is to end at silence.
        silence_duration: Option<i64>,
        /// Why it failed, if it did.
        cause: String,
        /// Its key.
        key: Option<Key>,
    }
}

entity! {
    /// A finished recording.
    StoredRecordingData {
        /// Its name.
        name: String,
        /// Its format: `wav`, `gsm`, ….
        format: String,
    }
    optional {
        /// Its key.
        key: Option<Key>,
    }
}
