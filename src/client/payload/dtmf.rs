//! How DTMF is sent.

use std::time::Duration;

use serde::Serialize;

use super::nanoseconds;

/// The times of DTMF, in milliseconds for Asterisk.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct DtmfOptions {
    /// What passes before the first digit.
    #[serde(serialize_with = "nanoseconds::serialize")]
    pub before: Duration,
    /// What passes between two digits; 100 ms when zero.
    #[serde(serialize_with = "nanoseconds::serialize")]
    pub between: Duration,
    /// How long a digit lasts; 100 ms when zero.
    #[serde(serialize_with = "nanoseconds::serialize")]
    pub duration: Duration,
    /// What passes after the last digit.
    #[serde(serialize_with = "nanoseconds::serialize")]
    pub after: Duration,
}
