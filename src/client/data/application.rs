//! An ARI application.

use serde_json::Value;

use super::member::entity;
use crate::wire::key::Key;

entity! {
    /// An ARI application, and what it gets the events of.
    ApplicationData {
        /// Its name.
        name: String,
        /// The ids of the channels that it is subscribed to.
        channel_ids: Vec<String>,
        /// The ids of the bridges that it is subscribed to.
        bridge_ids: Vec<String>,
        /// The endpoints that it is subscribed to, as `tech/resource`.
        endpoint_ids: Vec<String>,
        /// The names of the devices that it is subscribed to.
        device_names: Vec<String>,
        /// The types of events that it gets, as objects with a `type`; all where there are none.
        events_allowed: Vec<Value>,
        /// The types of events that it does not get, as objects with a `type`.
        events_disallowed: Vec<Value>,
    }
    optional {
        /// Its key.
        key: Option<Key>,
    }
}
