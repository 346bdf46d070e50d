//! An application's side of the bus, whichever it is.

use std::sync::atomic::AtomicBool;
use std::time::Duration;

/// What an application listens to.
#[derive(Debug, Clone)]
pub(crate) enum Topic {
    /// The events of an application.
    Events(String),
    /// The announcements of all proxies.
    Announcements,
}

/// A client. Each call makes a connection of its own.
pub(crate) trait Client: Send + Sync {
    /// Hands every message of `topic` to `take` until told to stop. Calls `ready` once, when the
    /// bus knows that it listens.
    fn listen(
        &self,
        topic: &Topic,
        stop: &AtomicBool,
        ready: &mut dyn FnMut(),
        take: &mut dyn FnMut(&[u8]),
    );

    /// What asks all proxies to announce themselves, each time it is called.
    fn pinger(&self) -> Box<dyn FnMut()>;

    /// Has `talk` send requests to `subject`.
    fn converse(&self, subject: &str, talk: &mut dyn FnMut(&mut dyn Conversation));
}

/// Where events are put.
pub(crate) trait Outlet {
    /// Hands an event over.
    fn put(&mut self, event: &[u8]);

    /// Has all that was handed over go out.
    fn flush(&mut self);
}

/// Requests and answers on one connection.
pub(crate) trait Conversation {
    /// Hands over the request `body` with a number that its answer has.
    fn send(&mut self, number: u64, body: &[u8]);

    /// Has all that was handed over go out.
    fn flush(&mut self);

    /// Gives up what is unanswered.
    fn forget(&mut self);

    /// The next answer, if one comes within `limit`.
    fn next(&mut self, limit: Duration) -> Option<Answer>;
}

/// An answer.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Answer {
    /// The number of the request it is for.
    pub(crate) number: u64,
    /// Whether it says that all went well.
    pub(crate) good: bool,
}

impl Answer {
    /// The answer `body` to the request `number`.
    pub(crate) fn read(number: u64, body: &[u8]) -> Answer {
        const GOOD: &[u8] = b"\"error\":\"\"";
        let good = body.windows(GOOD.len()).any(|window| window == GOOD);
        Answer { number, good }
    }
}
