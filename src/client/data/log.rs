//! A log channel.

use super::member::entity;
use crate::wire::key::Key;

entity! {
    /// A log of Asterisk's.
    LogData {
        /// The path of its file; empty for a console.
        channel: String,
        /// What it is: `File`, `Console`, ….
        #[serde(rename = "type")]
        kind: String,
        /// Whether it is written: `Enabled` or `Disabled`.
        status: String,
        /// The levels that it has, with spaces between: `NOTICE WARNING ERROR `.
        configuration: String,
    }
    optional {
        /// Its key.
        key: Option<Key>,
    }
}
