//! A sound.

use super::member::entity;
use crate::wire::key::Key;

entity! {
    /// A sound that can be played.
    SoundData {
        /// Its id: `hello-world` is played as `sound:hello-world`.
        id: String,
        /// What there is of it.
        formats: Vec<FormatLangPair>,
    }
    optional {
        /// What is said, usually.
        text: String,
        /// Its key.
        key: Option<Key>,
    }
}

entity! {
    /// A file of a sound.
    FormatLangPair {
        /// Its language: `en`, ….
        language: String,
        /// Its format: `gsm`, ….
        format: String,
    }
}
