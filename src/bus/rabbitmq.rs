//! RabbitMQ behind the trait. The crate's defects (crates.md) are contained here:
//!
//! - It never sets TCP_NODELAY, has no deadline and no TLS but OpenSSL's: it gets a `stream` of ours.
//! - Messages that it cannot parse end the connection, and come again: `payloads` lets none through.
//! - Its thread is woken for every part of every message, and for every confirm wakes another: messages
//!   leave by a `writer`, and confirms are heard by `frames`, without it.
//! - A call waits for as long as the broker says nothing: a link that is given up cuts the sockets,
//!   and heartbeats give up one that is silent for ten seconds.
//! - What a broker has not confirmed is bounded by a `ledger`, beyond that nothing is handed over.
//! - Subscriptions borrow their channel: an inbox is lent to the thread that uses it.
//! - It does not check the lengths of routing keys: `topology` does.
//! - It takes the smaller of both sides' heartbeats, and 0 for none: `payloads` sees to ours.
//! - It gives a connection up when it has a message for a consumer that is gone, and the end of a
//!   consumer is one: an inbox waits for it.
//! - Whatever is asked by it waits for the broker, a consumer borrows its channel: dialogs have channels
//!   of our own (`topics`), which it has opened and knows nothing more of. An access has no others.
//! - It logs passwords: nothing of it is logged, and what ends a connection is asked of it.
//!
//! A link of a proxy is three connections: a broker that blocks publishers stops reading from theirs, and an
//! answer may end its own. There is a fourth for answers to reply addresses that look like that.

#[cfg(feature = "client")]
mod access;
#[cfg(feature = "server")]
mod answers;
#[cfg(feature = "server")]
mod channel;
mod contents;
#[cfg(feature = "server")]
mod declarations;
#[cfg(feature = "server")]
mod dialogs;
mod fields;
mod frames;
#[cfg(feature = "server")]
mod inbox;
#[cfg(feature = "server")]
mod ledger;
#[cfg(feature = "server")]
mod link;
mod message;
#[cfg(feature = "server")]
mod methods;
#[cfg(feature = "server")]
mod offers;
mod opening;
mod payloads;
#[cfg(feature = "server")]
mod receipts;
#[cfg(feature = "server")]
mod removals;
#[cfg(feature = "server")]
mod reply;
mod softening;
mod stream;
#[cfg(feature = "server")]
mod told;
#[cfg(feature = "server")]
mod topics;
mod topology;
mod writer;

use std::sync::{Mutex, MutexGuard, PoisonError};

#[cfg(feature = "client")]
pub use self::access::RabbitAccess;
#[cfg(feature = "server")]
pub use self::link::RabbitLink;

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // What is guarded is whole after every statement.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
