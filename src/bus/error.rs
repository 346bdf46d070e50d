//! What goes wrong between us and the bus, each as one line that says what to do.

use std::fmt;

/// A failed connection, publication or subscription. Never contains a password.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BusError {
    /// No server of the list could be reached; why, per server.
    Unreachable(String),
    /// A server was reached but did not let us in.
    Refused {
        /// The server.
        server: String,
        /// Its words.
        why: String,
    },
    /// The attempt to connect hangs and was given up.
    Hangs,
    /// Too many attempts that were given up still hang.
    TooManyHang,
    /// The link is gone; what was to be published was not.
    Lost,
    /// The message is larger than the server takes.
    TooLarge {
        /// Its size in bytes.
        size: usize,
        /// What the server takes.
        limit: usize,
    },
    /// The subject cannot be published to.
    Subject(String),
}

impl fmt::Display for BusError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            BusError::Unreachable(why) => {
                write!(
                    f,
                    "no bus server can be reached ({why}); is one running, and is messagebus.url right?"
                )
            }
            BusError::Refused { server, why } => {
                write!(f, "{server} refuses us: {why}; check messagebus.url")
            }
            BusError::Hangs => {
                f.write_str("the bus server accepts but does not answer; is it stuck?")
            }
            BusError::TooManyHang => {
                f.write_str("too many attempts to connect to the bus hang; waiting for one to end")
            }
            BusError::Lost => f.write_str("the link to the bus is lost"),
            BusError::TooLarge { size, limit } => write!(
                f,
                "a message of {size} bytes is over the server's limit of {limit}; raise its max_payload"
            ),
            BusError::Subject(subject) => write!(f, "{subject:?} cannot be published to"),
        }
    }
}

impl std::error::Error for BusError {}
