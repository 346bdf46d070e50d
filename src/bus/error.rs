//! What goes wrong between us and the bus, each as one line that says what to do.

use std::fmt;

/// A failed connection, publication or subscription. Never contains a password.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BusError {
    /// A server, or none of several, could be reached; why.
    Unreachable(String),
    /// A server was reached but did not let us in.
    Refused {
        /// The server.
        server: String,
        /// Its words.
        why: String,
    },
    /// The attempt to connect to this server hangs and was given up.
    Hangs(String),
    /// Too much that was given up, attempts to connect and links, is still stuck.
    TooManyHang,
    /// The link is gone; what was to be published was not.
    Lost,
    /// The server takes nothing at the moment; what was to be published was not.
    Busy,
    /// The server refuses an exchange or a queue that we need.
    Declined {
        /// What it is, by name.
        what: String,
        /// How we declare it.
        ours: String,
        /// The server's words.
        why: String,
    },
    /// The server does not let us do something.
    Denied {
        /// What.
        what: String,
        /// The server's words.
        why: String,
    },
    /// The server has ended subscriptions; its words.
    Ended(String),
    /// The message is larger than the server takes.
    TooLarge {
        /// Its size in bytes.
        size: usize,
        /// What the server takes.
        limit: usize,
    },
    /// The bus cannot carry the subject, or name a queue so.
    Subject(String),
}

impl fmt::Display for BusError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            BusError::Unreachable(why) => write!(
                f,
                "no bus server can be reached ({why}); is one running, and is messagebus.url right?"
            ),
            BusError::Refused { server, why } => {
                write!(f, "{server} refuses us: {why}; check messagebus.url")
            }
            BusError::Hangs(server) => {
                write!(
                    f,
                    "connecting to {server} hangs; is it stuck, or its name server?"
                )
            }
            BusError::TooManyHang => f.write_str(
                "too many connections to the bus are stuck, no more can be made; exiting. Does something \
                 on the way to it, a firewall, drop what it should pass?",
            ),
            BusError::Lost => f.write_str("the link to the bus is lost"),
            BusError::Busy => f.write_str("the bus takes nothing at the moment"),
            BusError::Declined { what, ours, why } => write!(
                f,
                "the broker refuses {what}, which we declare {ours}: {why}; delete the one that is \
                 there, or allow us to declare ours"
            ),
            BusError::Denied { what, why } => write!(
                f,
                "the broker does not let us {what}: {why}; has our user the permission?"
            ),
            BusError::Ended(why) => {
                write!(
                    f,
                    "the broker has ended the subscriptions ({why}); subscribing again"
                )
            }
            BusError::TooLarge { size, limit } => write!(
                f,
                "a message of {size} bytes is over the server's limit of {limit}"
            ),
            BusError::Subject(subject) => write!(
                f,
                "{subject:?} is too long for the bus, or has white space or an empty token"
            ),
        }
    }
}

impl BusError {
    /// The errors of all servers of a list as one; a single one stays what it is.
    pub fn all(mut errors: Vec<BusError>) -> BusError {
        match (errors.pop(), errors.len()) {
            (Some(only), 0) => only,
            (Some(last), _) => {
                errors.push(last);
                let each: Vec<String> = errors
                    .into_iter()
                    .map(|error| match error {
                        BusError::Unreachable(why) => why,
                        other => other.to_string(),
                    })
                    .collect();
                BusError::Unreachable(each.join("; "))
            }
            (None, _) => BusError::Lost,
        }
    }
}

impl std::error::Error for BusError {}
