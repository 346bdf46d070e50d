//! Dialing what was created.

use std::time::Duration;

use serde::Serialize;

use super::nanoseconds;

/// How a channel that was created is dialed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Dial {
    /// The id of the channel that calls; none when empty.
    pub caller: String,
    /// How long it may ring, rounded up to whole seconds; without limit when zero.
    #[serde(serialize_with = "nanoseconds::of_seconds")]
    pub timeout: Duration,
}

impl Dial {
    /// Rings no longer than `timeout`.
    pub fn within(timeout: Duration) -> Dial {
        Dial {
            timeout,
            ..Dial::default()
        }
    }
}
