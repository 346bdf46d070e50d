//! The trait that a bus is: a link is one connection, dead for good once it is lost; an inbox is a
//! set of subscriptions on it.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::{Duration, Instant};

use crossbeam_channel::Receiver;

use super::BusError;
use super::topics::{Hear, Topics};

/// Largest request that is taken whole, in bytes; of a larger one a little more than that may be
/// given out. Asterisk takes bodies of 40 960 (asterisk-facts.md); so bounded, whatever holds
/// requests is bounded in memory too.
pub const LARGEST_REQUEST: usize = 64 * 1024;

/// What a link needs to know of who uses it.
#[derive(Clone)]
pub struct Terms {
    /// Under which name the server shows us.
    pub name: String,
    /// How many requests of an inbox may be in hand at a time, where the bus can keep the others.
    pub window: u16,
    /// Hears of what a link accepted and lost all the same.
    pub losses: Arc<dyn Fn(Loss) + Send + Sync>,
    /// Largest message handed to a server that does not say what it takes, in bytes; smaller once one
    /// has ended a link over a message that was larger.
    pub largest: Arc<AtomicUsize>,
}

/// Largest message that RabbitMQ 4 takes by default, in bytes.
pub const LARGEST_MESSAGE: usize = 16 * 1024 * 1024;

/// What is lost without anybody who could be told at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Loss {
    /// It refused an event.
    Event,
    /// It refused an event for a dialog.
    Dialog,
    /// Nobody was there any more to take an answer.
    Answer,
    /// More requests waited here than may: the newest is gone.
    Request,
}

/// What an event may carry beside its body, for those who count.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mark {
    /// What it is counted in.
    pub epoch: Arc<str>,
    /// Its number there, from 1.
    pub seq: u64,
}

/// The header with [`Mark::epoch`].
pub const EPOCH_HEADER: &str = "Ari-Epoch";
/// The header with [`Mark::seq`].
pub const SEQ_HEADER: &str = "Ari-Seq";

/// What a message is about. On RabbitMQ the first three share an exchange, the
/// others have one each; the last has the default one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Topic {
    /// Events.
    Event,
    /// Events, for a dialog.
    Dialog,
    /// Statuses, which go among the events.
    Status,
    /// Requests.
    Request,
    /// Pings.
    Ping,
    /// Announcements.
    Announce,
    /// What is for the one listener of a topic of a dialog, [`super::topics`].
    Direct,
}

/// Where an answer goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// The subject or queue that the asker named.
    pub to: String,
    /// What the asker knows the request by, echoed.
    pub correlation: Option<String>,
}

/// Held until a message is dealt with. Dropped, it lets the server forget the message.
#[derive(Debug)]
pub struct Receipt {
    number: u64,
    desk: Arc<dyn Returned>,
}

/// Where receipts come back to.
pub trait Returned: fmt::Debug + Send + Sync {
    /// Message `number` is dealt with. Whoever held its receipt calls this.
    fn take_back(&self, number: u64);
}

impl Receipt {
    /// The receipt of message `number`, which comes back to `desk`.
    pub fn new(number: u64, desk: Arc<dyn Returned>) -> Receipt {
        Receipt { number, desk }
    }
}

impl Drop for Receipt {
    fn drop(&mut self) {
        self.desk.take_back(self.number);
    }
}

/// A message that was received.
#[derive(Debug)]
pub struct Delivery {
    /// Its body.
    pub body: Vec<u8>,
    /// Where the answer goes, if one is wanted.
    pub reply: Option<Reply>,
    /// When it was taken out of the inbox.
    pub received: Instant,
    /// Whether it was given to somebody before, who may have acted on it.
    pub redelivered: bool,
    /// To be held until it is answered, where the bus cares.
    pub receipt: Option<Receipt>,
}

/// What an inbox has next.
#[derive(Debug)]
pub enum Next {
    /// A message.
    Delivery(Delivery),
    /// The waker was used: there is something else to do.
    Woken,
    /// The subscriptions have ended, but not the link; why.
    Ended(BusError),
    /// The link is lost, nothing more will come.
    Lost,
}

/// What to do with messages that waited where nobody listened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Waiting {
    /// They are taken.
    Take,
    /// They are dropped.
    Discard,
}

/// Subscriptions on a link. Dropped, they end.
pub trait Inbox {
    /// Subscribes to exactly `subjects`: what is new is added, what is no longer there is left.
    /// What the server still sends for left subjects before it knows is given out too. Tells how
    /// many messages were discarded.
    fn listen(
        &mut self,
        subjects: &[String],
        group: Option<&str>,
        waiting: Waiting,
    ) -> Result<u64, BusError>;

    /// Waits for a message, for `waker`, or for the end.
    fn next(&mut self, waker: &Receiver<()>) -> Next;

    /// A message that is already here.
    fn try_next(&mut self) -> Option<Delivery>;

    /// Whether messages of subjects that were left may still come.
    fn is_leaving(&mut self) -> bool;

    /// Waits until every receipt given out is back and the server told, or the link is lost.
    fn settle(&mut self);
}

/// What may be done with an inbox while it is there.
pub type Use<'a> = &'a mut dyn FnMut(&mut dyn Inbox);

/// A connection to a bus, whoever uses it: what its supervisor needs to know.
pub trait Connected: Send + Sync + fmt::Display {
    /// Whether the server answers; to be called now and then. A connection that does not is lost by it.
    fn check(&self);

    /// Disconnected when the connection is lost.
    fn lost(&self) -> &Receiver<()>;

    /// Whether it is lost.
    fn is_lost(&self) -> bool;

    /// Why it is, where that is known.
    fn why(&self) -> Option<String>;

    /// Which server it leads to, by its address.
    fn peer(&self) -> String;

    /// Gives the connection up.
    fn close(&self);
}

/// A connection of a proxy to a bus.
pub trait Link: Connected {
    /// Hands an event or announcement over. It is on its way after the next [`Link::flush`]. Waits,
    /// within bounds, when the server is slower than we are; [`BusError::Busy`] says to come again
    /// after [`Link::wait`]. What has to be published again if it was not taken gets a number.
    fn publish(
        &self,
        topic: Topic,
        subject: &str,
        mark: Option<&Mark>,
        body: &[u8],
    ) -> Result<Option<u64>, BusError>;

    /// Up to which number the server has taken messages.
    fn taken(&self) -> u64;

    /// Whether events that were handed over may be lost with the link, and nothing tells which.
    fn is_uncertain(&self) -> bool;

    /// When the server was last heard of, where that is known: what it had taken shortly before, it may
    /// not have delivered.
    fn heard(&self) -> Instant;

    /// Hands an answer over, as [`Link::publish`] does, and has it sent.
    fn answer(&self, reply: &Reply, body: &[u8]) -> Result<(), BusError>;

    /// Sends what was handed over, without waiting for it.
    fn flush(&self);

    /// Waits until the server has taken more than it has, at most for `limit`.
    fn wait(&self, limit: Duration);

    /// Waits until the server has taken what was handed over, at most for `limit`; whether it has.
    fn settle(&self, limit: Duration) -> bool;

    /// A new inbox for `topic`, there while `work` uses it, on the same thread.
    fn with_inbox(&self, topic: Topic, work: Use<'_>) -> Result<(), BusError>;

    /// The topics of the dialogs of `application`, whose listeners are members of `group` where the bus
    /// has groups; there is one at a time. What is heard of them is for `hear`.
    fn topics(
        &self,
        application: &str,
        group: Option<&str>,
        hear: Hear,
    ) -> Result<Box<dyn Topics>, BusError>;
}
