//! Durations as they travel: whole nanoseconds.

use std::time::Duration;

use serde::Serializer;

/// What can be said is said; more than 292 years are 292 years.
pub(super) fn serialize<S: Serializer>(
    duration: &Duration,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    let nanoseconds = i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX);
    serializer.serialize_i64(nanoseconds)
}

/// As [`serialize`], for what proxies cut to whole seconds: rounded up, as zero would be no limit at all;
/// at most what Asterisk can count.
pub(super) fn of_seconds<S: Serializer>(
    duration: &Duration,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    let up = u64::from(duration.subsec_nanos() > 0);
    let seconds = duration.as_secs().saturating_add(up).min(MOST_SECONDS);
    serialize(&Duration::from_secs(seconds), serializer)
}

/// Those of an `int`.
const MOST_SECONDS: u64 = i32::MAX as u64;
