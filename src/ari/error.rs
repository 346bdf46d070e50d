//! What goes wrong between us and Asterisk, each as one line that says what to do.

use std::fmt;
use std::io;

/// A failed REST call or a websocket that is not there. Never contains user or password.
#[derive(Debug)]
pub enum AriError {
    /// Asterisk answered with another status than 2xx.
    Status {
        /// The status code.
        status: u16,
        /// The reason phrase as sent; Asterisk's vary.
        reason: String,
        /// What the body says, if it says something.
        message: String,
    },
    /// The call took longer than a phase of it may.
    Timeout(&'static str),
    /// No call could be made, or its answer did not arrive whole.
    Call(String),
    /// The URL cannot be used.
    Url(String),
    /// No TCP or TLS connection to the websocket's host.
    Connect {
        /// Host and port.
        address: String,
        /// Why.
        error: io::Error,
    },
    /// Asterisk's certificate is not trusted; why.
    Untrusted(String),
    /// Asterisk refused the websocket.
    Refused(u16),
    /// Asterisk took the connection, but did not answer the handshake of the websocket.
    NoHandshake,
    /// The websocket broke.
    Broken(String),
    /// Nothing was heard from Asterisk for too long.
    Silent,
    /// Asterisk was not to be asked who it is.
    Info {
        /// Where it was asked, without user and password.
        url: String,
        /// Why.
        error: Box<AriError>,
    },
    /// Asterisk did not say its entity id, or one that cannot be part of a subject.
    EntityId(String),
}

impl fmt::Display for AriError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            // The text of the Go program, which its clients may compare; ours goes on after it.
            AriError::Status {
                status,
                reason,
                message,
            } => {
                write!(f, "Non-2XX response: {status} {reason}")?;
                if !message.is_empty() {
                    write!(f, ": {message}")?;
                }
                Ok(())
            }
            AriError::Timeout(phase) => write!(
                f,
                "failed to make request: Asterisk took too long to {phase}"
            ),
            AriError::Call(why) => write!(f, "failed to make request: {why}"),
            AriError::Url(why) => write!(f, "{why}"),
            AriError::Connect { address, error } => write!(
                f,
                "cannot connect to Asterisk at {address}: {error}; is it running, and is \
                 ari.websocket_url right?"
            ),
            AriError::Untrusted(why) => write!(
                f,
                "Asterisk's certificate is not trusted: {why}; the system's authorities must have \
                 signed it, or those in the file that SSL_CERT_FILE names"
            ),
            AriError::Refused(status @ (401 | 403)) => write!(
                f,
                "Asterisk refuses the user or the password ({status}); check ari.username and \
                 ari.password against its ari.conf"
            ),
            AriError::Refused(404) => write!(
                f,
                "Asterisk has no websocket at this path (404); check ari.websocket_url, and that \
                 res_ari and res_http_websocket are loaded"
            ),
            AriError::Refused(status) => {
                write!(
                    f,
                    "Asterisk refuses the websocket with status {status}; is ari.websocket_url \
                     right?"
                )
            }
            AriError::NoHandshake => f.write_str(
                "Asterisk takes connections but does not answer the websocket's handshake; is it \
                 stuck?",
            ),
            AriError::Broken(why) => write!(f, "the websocket to Asterisk broke: {why}"),
            AriError::Silent => {
                f.write_str("Asterisk does not answer pings on the websocket; is it stuck?")
            }
            AriError::Info { url, error } => write!(f, "{url}: {error}; is ari.http_url right?"),
            AriError::EntityId(why) => write!(
                f,
                "{why}; set entityid in asterisk.conf or ari.asterisk_id here"
            ),
        }
    }
}

impl std::error::Error for AriError {}
