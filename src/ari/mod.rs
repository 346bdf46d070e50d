//! The Asterisk side: blocking REST calls and the websocket of events. Knows the wire of HTTP and
//! nothing of the bus.
//!
//! | file | noun |
//! |---|---|
//! | `addresses` | the addresses of Asterisk's host, remembered |
//! | [`credentials`] | user and password as an Authorization header |
//! | [`error`] | what goes wrong between us and Asterisk |
//! | `reason` | the reason phrase of a response, which ureq drops |
//! | [`rest`] | the REST client of the workers |
//! | `socket` | TCP or TLS to the websocket's host, with deadlines |
//! | [`websocket`] | the websocket of one application |

mod addresses;
pub mod credentials;
pub mod error;
mod reason;
pub mod rest;
mod socket;
pub mod websocket;

pub use credentials::Credentials;
pub use error::AriError;
