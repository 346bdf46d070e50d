//! A mailbox.

use super::member::entity;
use crate::wire::key::Key;

entity! {
    /// How many messages are in a mailbox.
    MailboxData {
        /// Its name: `6001@default`, ….
        name: String,
        /// How many old messages there are.
        old_messages: i64,
        /// How many new messages there are.
        new_messages: i64,
    }
    optional {
        /// Its key.
        key: Option<Key>,
    }
}
