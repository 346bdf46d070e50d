//! The state of a device.

use super::member::entity;
use crate::wire::key::Key;

entity! {
    /// The state of a device.
    DeviceStateData {
        /// The device's name: `Stasis:…` where an application sets its state.
        name: String,
        /// `UNKNOWN`, `NOT_INUSE`, `INUSE`, `BUSY`, `INVALID`, `UNAVAILABLE`, `RINGING`, `RINGINUSE` or `ONHOLD`.
        state: String,
    }
    optional {
        /// Its key.
        key: Option<Key>,
    }
}
