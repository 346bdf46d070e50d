//! What goes wrong for an application, each as one line that says what to do.

use std::fmt;
use std::time::Duration;

use crate::bus::BusError;

/// A request or subscription that failed. Never contains a password.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Error {
    /// What the request is about is not there; in Asterisk's words, or the proxy's.
    NotFound(String),
    /// Asterisk answered with another status than 2xx or 404.
    Asterisk {
        /// Its status.
        status: u16,
        /// Its words.
        message: String,
    },
    /// The proxy does not do that on this class of requests.
    NotPermitted(String),
    /// The proxy could not do it, in its own words: the request is not as it should be, or Asterisk or the
    /// proxy is too busy.
    Proxy(String),
    /// Nobody answered in time. What was asked may have been done all the same.
    Timeout(Duration),
    /// No proxy listens on this subject.
    NoProxy(String),
    /// An answer, or an entity in it, is not of the form that it should have.
    Unreadable(String),
    /// The bus does not do its part.
    Bus(BusError),
    /// A setting is missing or cannot be used.
    Setting(String),
    /// Too many of a thing that is bounded; which.
    TooMany(&'static str),
    /// The client, or the connection, is closed.
    Closed,
}

impl Error {
    /// The error in the response's `error`, which is not empty.
    pub(super) fn told(text: &str) -> Error {
        // This proxy's words, and the Go program's.
        if text.eq_ignore_ascii_case("not found") {
            return Error::NotFound(text.to_owned());
        }
        if text.contains("is not permitted on ") {
            return Error::NotPermitted(text.to_owned());
        }
        let words = text.split_once(NOT_2XX).and_then(|(_, words)| {
            let (status, message) = words.split_once(' ').unwrap_or((words, ""));
            Some((status.parse().ok()?, message))
        });
        match words {
            Some((404, message)) => Error::NotFound(message.to_owned()),
            Some((status, message)) => Error::Asterisk {
                status,
                message: message.to_owned(),
            },
            None => Error::Proxy(text.to_owned()),
        }
    }

    /// How much an application learns from it, compared with others that came for the same request.
    pub(super) fn rank(&self) -> u8 {
        match self {
            Error::Asterisk { .. } => 4,
            Error::NotPermitted(_) | Error::Proxy(_) | Error::Unreadable(_) => 3,
            Error::NotFound(_) => 2,
            _ => 1,
        }
    }
}

/// What comes before the status line of an answer of Asterisk's (wire-protocol.md, "Response").
const NOT_2XX: &str = "Non-2XX response: ";

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::NotFound(what) => write!(f, "not found: {what}"),
            Error::Asterisk { status, message } => {
                write!(f, "Asterisk answers {status} {message}")
            }
            Error::NotPermitted(what) | Error::Proxy(what) => write!(f, "the proxy says: {what}"),
            Error::Timeout(after) => write!(
                f,
                "no answer within {} ms; it may have been done all the same",
                after.as_millis()
            ),
            Error::NoProxy(subject) => write!(
                f,
                "no proxy listens on {subject}; does one run for this application, on this bus?"
            ),
            Error::Unreadable(why) => write!(f, "the answer cannot be read: {why}"),
            Error::Bus(error) => error.fmt(f),
            Error::Setting(what) => f.write_str(what),
            Error::TooMany(what) => write!(f, "too many {what} at once"),
            Error::Closed => f.write_str("the client is closed"),
        }
    }
}

impl std::error::Error for Error {}

impl From<BusError> for Error {
    fn from(error: BusError) -> Error {
        Error::Bus(error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_proxies_say() {
        let asterisk = |status, message: &str| Error::Asterisk {
            status,
            message: message.into(),
        };
        for (text, error) in [
            ("Not found", Error::NotFound("Not found".into())),
            ("not found", Error::NotFound("not found".into())),
            (
                "Non-2XX response: 404 Not Found: Channel not found",
                Error::NotFound("Not Found: Channel not found".into()),
            ),
            (
                "failed to get data: Error getting data for channel 'c': Non-2XX response: 409 Conflict",
                asterisk(409, "Conflict"),
            ),
            ("bad request: x", Error::Proxy("bad request: x".into())),
            (
                "Non-2XX response: what",
                Error::Proxy("Non-2XX response: what".into()),
            ),
        ] {
            assert_eq!(Error::told(text), error);
        }
    }
}
