//! The states of a device.

use super::closed::open;

open! {
    /// The state of a device.
    DeviceStateValue {
        /// Nothing is known.
        Unknown = "UNKNOWN",
        /// It is free.
        NotInUse = "NOT_INUSE",
        /// It is in a call.
        InUse = "INUSE",
        /// It is busy.
        Busy = "BUSY",
        /// There is no such device.
        Invalid = "INVALID",
        /// It cannot be reached.
        Unavailable = "UNAVAILABLE",
        /// It rings.
        Ringing = "RINGING",
        /// It is in a call, and another one rings.
        RingInUse = "RINGINUSE",
        /// Its call is on hold.
        OnHold = "ONHOLD",
    }
}
