//! What an application needs of a bus: to ask proxies, and to hear events and announcements.
//!
//! An access is one connection of an application, dead for good once it is lost, as the [`Link`] of a
//! proxy is. Who uses it makes another, and subscribes anew.
//!
//! [`Link`]: super::Link

use std::fmt;
use std::sync::Arc;

use super::{BusError, Connected};

/// Largest answer or event that is taken whole, in bytes: what RabbitMQ takes by default. A longer one
/// is dropped, counted among what is lost.
pub const LARGEST: usize = 16 * 1024 * 1024;

/// What is heard, on a thread of the bus.
#[derive(Debug)]
pub enum Heard<'a> {
    /// An answer to the question of this number.
    Answer {
        /// The question.
        question: u64,
        /// What is answered.
        body: &'a [u8],
    },
    /// Nobody listens where the question of this number went: nobody will answer it.
    Nobody(u64),
    /// An event or a status, for the subscription of this number.
    Event {
        /// The subscription.
        subscription: u64,
        /// The event.
        body: &'a [u8],
        /// To be taken before it is dealt with, where it came for one of a group and the bus gives it to
        /// another otherwise.
        claim: Option<Claim>,
    },
    /// A proxy announces itself.
    Announcement(&'a [u8]),
    /// A message of a subscription was lost on its way through us: it was too large.
    Dropped(u64),
    /// The bus does not let us have the subscription of this number any more; why.
    Refused {
        /// The subscription.
        subscription: u64,
        /// The bus' words.
        why: String,
    },
}

/// What came for one of a group. Unless it is taken, it is another's when the subscription ends.
#[derive(Debug)]
#[must_use = "what is not taken is another's"]
pub struct Claim {
    number: u64,
    desk: Arc<dyn Claims>,
}

/// Where claims are taken.
pub trait Claims: fmt::Debug + Send + Sync {
    /// Takes message `number`; whether it is not another's by now.
    fn take(&self, number: u64) -> bool;
}

impl Claim {
    /// A claim to message `number`, which is taken at `desk`.
    pub fn new(number: u64, desk: Arc<dyn Claims>) -> Claim {
        Claim { number, desk }
    }

    /// The message is ours from now on: no other gets it. False where it is too late for that, the
    /// subscription or the access being over.
    pub fn take(self) -> bool {
        self.desk.take(self.number)
    }
}

/// Who hears it. It must not wait for anything, and must not call the access.
pub type HearAccess = Arc<dyn Fn(Heard<'_>) + Send + Sync>;

/// What is subscribed to.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Interest {
    /// A subject, with a prefix of the application's choice: one that can be published to.
    pub subject: String,
    /// Whether all subjects below it are meant, and not it itself.
    pub below: bool,
    /// The group of which only one member gets each message; none if everybody does.
    pub group: Option<String>,
}

/// What proxies are asked.
#[derive(Debug, Clone, Copy)]
pub struct Question<'a> {
    /// The number by which answers to it are known. None was used before.
    pub number: u64,
    /// Where it goes.
    pub subject: &'a str,
    /// The request.
    pub body: &'a [u8],
}

/// A connection of an application to a bus.
pub trait Access: Connected {
    /// Asks. It is on its way when this returns. What becomes of it is heard: answers, as many as there
    /// are until [`Access::forget`], or [`Heard::Nobody`] where the bus tells.
    fn ask(&self, question: Question<'_>) -> Result<(), BusError>;

    /// No more answers to the question of this number are wanted; `complete` says that none can follow.
    fn forget(&self, number: u64, complete: bool);

    /// Has every proxy announce itself, on `subject`.
    fn ping(&self, subject: &str) -> Result<(), BusError>;

    /// Hears announcements on `subject` from now on. Waits for the bus, within bounds.
    fn attend(&self, subject: &str) -> Result<(), BusError>;

    /// Subscribes to `interest` under `number`, which none had before. What is published after this has
    /// returned is heard. Waits for the bus, within bounds.
    fn subscribe(&self, number: u64, interest: &Interest) -> Result<(), BusError>;

    /// Ends the subscription of this number. What is on its way may still be heard. Does not wait.
    fn unsubscribe(&self, number: u64);
}
