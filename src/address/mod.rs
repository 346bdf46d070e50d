//! Addresses as people write them: the servers of a bus, with the credentials in their URLs, and
//! Asterisk's. Pure functions on text; what is wrong with one is told without its secrets.

mod percent;
mod scheme;
mod secret;
mod server;
mod servers;
pub mod url;
mod vhost;

pub use scheme::BusKind;
pub use secret::Secret;
pub use server::BusServer;
pub use servers::servers;
