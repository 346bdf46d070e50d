//! The Asterisk side: blocking REST calls and the websocket of events. Knows the wire of HTTP and
//! nothing of the bus.
//!
//! | file | noun |
//! |---|---|
//! | `addresses` | the addresses of Asterisk's host, remembered |
//! | [`credentials`] | user and password as an Authorization header |
//! | [`error`] | what goes wrong between us and Asterisk |
//! | `tcp` | a connection for ureq |
//! | `transport` | what ureq does not tell of a call: reason phrases, stale connections |
//! | [`rest`] | the REST client of the workers |
//! | `socket` | TCP or TLS to the websocket's host, with deadlines |
//! | [`websocket`] | the websocket of one application |

mod addresses;
pub mod credentials;
pub mod error;
pub mod rest;
mod socket;
mod tcp;
mod transport;
pub mod websocket;

pub use credentials::Credentials;
pub use error::AriError;
