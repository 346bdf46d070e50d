//! A playback.

use super::member::entity;
use crate::wire::key::Key;

entity! {
    /// Something that is played to a channel or bridge.
    PlaybackData {
        /// Its id.
        id: String,
        /// What is played: `sound:hello-world`, ….
        media_uri: String,
        /// What it is played to: `channel:ID` or `bridge:ID`.
        target_uri: String,
        /// `queued`, `playing`, `continuing`, `done` or `failed`.
        state: String,
    }
    optional {
        /// What is played after it, where it is a list.
        next_media_uri: String,
        /// The language, where there are several.
        language: String,
        /// Its key.
        key: Option<Key>,
    }
}
