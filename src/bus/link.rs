//! The trait that a bus is: a link is one connection, dead for good once it is lost; an inbox is a
//! set of subscriptions on it.

use std::fmt;
use std::time::{Duration, Instant};

use crossbeam_channel::Receiver;

use super::BusError;

/// A message that was received.
#[derive(Debug)]
pub struct Delivery {
    /// Its body.
    pub body: Vec<u8>,
    /// Where the answer goes, if one is wanted.
    pub reply: Option<String>,
    /// When it was taken out of the inbox.
    pub received: Instant,
}

/// What an inbox has next.
#[derive(Debug)]
pub enum Next {
    /// A message.
    Delivery(Delivery),
    /// The waker was used: there is something else to do.
    Woken,
    /// The link is lost, nothing more will come.
    Lost,
}

/// Subscriptions on a link. Dropped, they end.
pub trait Inbox: Send {
    /// Subscribes to exactly `subjects`: what is new is added, what is no longer there is left.
    /// What the server still sends for left subjects before it knows is given out too.
    fn listen(&mut self, subjects: &[String], group: Option<&str>) -> Result<(), BusError>;

    /// Waits for a message, for `waker`, or for the end.
    fn next(&mut self, waker: &Receiver<()>) -> Next;

    /// A message that is already here.
    fn try_next(&mut self) -> Option<Delivery>;

    /// Whether messages of subjects that were left may still come.
    fn is_leaving(&self) -> bool;
}

/// A connection to a bus.
pub trait Link: Send + Sync + fmt::Display {
    /// Hands a message over. It is on its way after the next [`Link::flush`]. Waits, within bounds,
    /// when the server is slower than we are.
    fn publish(&self, subject: &str, body: &[u8]) -> Result<(), BusError>;

    /// Sends what was handed over, without waiting for it.
    fn flush(&self);

    /// Waits until the server has taken what was handed over, at most for `limit`; whether it has.
    fn settle(&self, limit: Duration) -> bool;

    /// A new set of subscriptions.
    fn inbox(&self) -> Result<Box<dyn Inbox>, BusError>;

    /// Whether the server answers; to be called now and then. A link that does not is lost by it.
    fn check(&self);

    /// Disconnected when the link is lost.
    fn lost(&self) -> &Receiver<()>;

    /// Whether the link is lost.
    fn is_lost(&self) -> bool;

    /// Gives the link up.
    fn close(&self);
}
