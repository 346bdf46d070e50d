//! NATS behind the traits. An application's `access` is a socket of ours; a proxy's `link` is one for what
//! leaves, and the crate for the requests that come. The crate's defects (crates.md) are contained here:
//!
//! - It sends nothing at once without waiting for the server's answer, three threads' work for each
//!   event: what leaves, leaves on a connection of our own, `outgoing`.
//! - It hangs on a silent server: a server is greeted on a socket of ours first.
//! - It reconnects by itself, and gives up: it is let go as soon as a connection breaks.
//! - It flushes every 5 ms: a thread of ours flushes when something was subscribed to.
//! - It ends a connection over a message that it cannot read, which anybody may send who may send
//!   requests: these have a connection of their own, `incoming`, without which the link lives on.
//! - It forgets a subscription before the server does: the server is told first.
//! - Over TLS its writers swallow what its reader waits for: a flush that waits is poked.
//! - It cannot be made to shut its socket: what is left of a connection to a silent server is counted,
//!   [`places`](super::places).
//! - It panics over a line of more than 4 KiB that comes in two reads: its thread tells us when it ends.
//! - It drops what is too much without a word to whoever asked: that is counted, and it is held back.
//! - It loads the system's certificates even for plain links: it is given an empty list instead.

#![cfg_attr(
    feature = "server",
    expect(
        deprecated,
        reason = "the crate is deprecated in favour of an asynchronous one; this is the blocking one"
    )
)]

#[cfg(feature = "client")]
mod access;
#[cfg(feature = "server")]
mod connection;
mod dial;
#[cfg(feature = "server")]
mod inbox;
#[cfg(feature = "server")]
mod incoming;
#[cfg(feature = "server")]
mod link;
#[cfg(feature = "server")]
mod opening;
mod outgoing;
mod protocol;
mod said;
mod socket;
#[cfg(feature = "server")]
mod topics;

use std::sync::{Mutex, MutexGuard, PoisonError};

#[cfg(feature = "client")]
pub use self::access::NatsAccess;
#[cfg(feature = "server")]
pub use self::link::NatsLink;

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // What is guarded is whole after every statement.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
