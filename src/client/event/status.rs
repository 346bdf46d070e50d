//! What a proxy says of itself, in place among its events.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

pub use crate::wire::status::State;

/// Whether the events of an Asterisk come, and whether some were lost before they got to the bus.
///
/// Not every proxy says so: the original one, in Go, does not.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Status {
    /// The Asterisk id.
    pub asterisk: String,
    /// The application.
    pub application: String,
    /// What is the case.
    pub state: State,
    /// What the counts are of; another one begins at 0.
    #[serde(default)]
    pub epoch: String,
    /// How many events of the epoch were published so far.
    #[serde(default)]
    pub seq: u64,
    /// How many were lost since the status before; none where that cannot be known.
    #[serde(default)]
    pub lost: Option<u64>,
    /// How many of the epoch were lost so far, as far as that is known.
    #[serde(default)]
    pub lost_total: u64,
    /// How often so far that could not be known.
    #[serde(default)]
    pub lost_unknown: u64,
    /// Since when it is the case (RFC 3339).
    #[serde(default)]
    pub since: String,
    /// Why, in words for a log.
    #[serde(default)]
    pub reason: String,
    /// What the application has, as Asterisk knows it after it was away.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub details: Option<Details>,
    /// Whatever else there is.
    #[serde(flatten)]
    pub extra: Map<String, Value>,
}

/// A part of what the application has: what is in no part is over.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Details {
    /// The ids of channels.
    pub channels: Vec<String>,
    /// The ids of bridges.
    pub bridges: Vec<String>,
    /// Which part it is, from 1.
    pub part: usize,
    /// How many parts there are, a message each.
    pub parts: usize,
    /// Whatever else there is.
    #[serde(flatten)]
    pub extra: Map<String, Value>,
}
