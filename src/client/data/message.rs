//! A text message.

use serde_json::Value;

use super::member::entity;

entity! {
    /// A text message.
    TextMessage {
        /// Where it comes from: the URI of a SIP user, ….
        from: String,
        /// Where it goes to: `pjsip:6001@192.0.2.1`, ….
        to: String,
        /// Its text.
        body: String,
    }
    optional {
        /// What came with it, by name: an object, or a list of objects with `key` and `value`.
        variables: Value,
    }
}
