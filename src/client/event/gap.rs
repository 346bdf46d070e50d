//! Where events may be missing on the way from the bus to the application.

use serde::Serialize;

/// Events may be missing between this and the one before. It is not of a proxy's but of this process'.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Gap {
    /// How many, where that is known.
    pub lost: Option<u64>,
    /// Why, in words for a log.
    pub reason: String,
}
