//! How something is recorded.

use std::time::Duration;

use serde::Serialize;

use super::closed::closed;
use super::nanoseconds;

closed! {
    /// What happens when there is a recording of that name.
    #[derive(Default)]
    IfExists {
        /// Asterisk refuses.
        #[default]
        Fail = "fail",
        /// It is replaced.
        Overwrite = "overwrite",
        /// The new one is added to its end.
        Append = "append",
    }
}

closed! {
    /// The DTMF that ends a recording.
    #[derive(Default)]
    TerminateOn {
        /// None does.
        #[default]
        None = "none",
        /// Any digit.
        Any = "any",
        /// The star.
        Star = "*",
        /// The hash.
        Hash = "#",
    }
}

/// How something is recorded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct RecordOptions {
    /// The format: `wav`, `ulaw`, `alaw`, `slin`, `gsm`, …
    pub format: String,
    /// When it ends by itself, rounded up to whole seconds; never when zero.
    #[serde(serialize_with = "nanoseconds::of_seconds")]
    pub max_duration: Duration,
    /// After how much silence it ends by itself, rounded up to whole seconds; after none when zero.
    #[serde(serialize_with = "nanoseconds::of_seconds")]
    pub max_silence: Duration,
    /// What happens when there is a recording of that name.
    #[serde(rename = "Exists")]
    pub if_exists: IfExists,
    /// Whether a tone tells that it begins.
    pub beep: bool,
    /// The DTMF that ends it.
    #[serde(rename = "Terminate")]
    pub terminate_on: TerminateOn,
}

impl Default for RecordOptions {
    /// As `wav` and without limits; a recording that is there stays.
    fn default() -> RecordOptions {
        RecordOptions {
            format: "wav".to_owned(),
            max_duration: Duration::ZERO,
            max_silence: Duration::ZERO,
            if_exists: IfExists::default(),
            beep: false,
            terminate_on: TerminateOn::default(),
        }
    }
}
