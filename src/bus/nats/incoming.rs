//! The connection that requests come on. Whoever may publish a request can end it: the crate does so
//! over a message that it cannot read. It is opened when a subscription thread wants it, and again
//! when it has broken, and the link lives on.

use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded};

use super::connection::Connection;
use super::dial::{Dialled, dial};
use super::lock;
use super::outgoing::Outgoing;
use super::topics::Listening;
use crate::address::BusServer;
use crate::bus::link::LARGEST_REQUEST;
use crate::bus::places::Places;
use crate::bus::supervisor::ATTEMPT;
use crate::bus::{BusError, Terms};
use crate::occasionally::Occasionally;

/// How many times it may be opened at once after it broke, and how often then: a single message costs
/// no time, and a stream of them cannot keep us busy with connecting.
const AT_ONCE: u32 = 8;
const BETWEEN: Duration = Duration::from_millis(200);
/// How long the loss of the link may be noticed after that of this connection, where one server takes
/// both.
const ALSO_LOST: Duration = Duration::from_millis(100);

/// What is learnt of a server before the crate connects to it.
#[derive(Clone, Copy)]
pub(super) struct Greeting {
    /// Whether TLS is spoken with it.
    pub(super) tls: bool,
}

impl Greeting {
    /// That of a server which has let us in.
    pub(super) fn of(dialled: &Dialled) -> Greeting {
        Greeting {
            tls: dialled.socket.is_encrypted(),
        }
    }
}

/// The incoming connection of a link.
pub(super) struct Incoming {
    server: BusServer,
    terms: Terms,
    places: Places,
    /// What the link lives and dies with.
    outgoing: Arc<Outgoing<Listening>>,
    state: Mutex<State>,
    occasionally: Occasionally,
}

struct State {
    /// What the server said of itself just now, for the first attempt.
    greeting: Option<Greeting>,
    connection: Option<Arc<Connection>>,
    /// The attempt to open it that is under way.
    attempt: Option<Attempt>,
    /// How many attempts there have been.
    attempts: u64,
    /// Why the last one failed.
    failure: BusError,
    pace: Pace,
    /// When the first one was seen to have broken, while there is none.
    broke: Option<Instant>,
}

/// An attempt to open the connection, in a thread of its own.
#[derive(Clone)]
pub(super) struct Attempt {
    number: u64,
    /// Disconnected when it has ended.
    pub(super) ended: Receiver<()>,
    /// When it is given up.
    pub(super) deadline: Instant,
}

/// What there is for who wants the connection.
pub(super) enum Wanted {
    /// It is there.
    Here(Arc<Connection>),
    /// It is being opened.
    Opening(Attempt),
}

impl Incoming {
    /// That of a link to a `server` which was greeted just now. It is being opened: somebody will want
    /// it soon.
    pub(super) fn begin(
        server: &BusServer,
        greeting: Greeting,
        terms: &Terms,
        places: &Places,
        outgoing: &Arc<Outgoing<Listening>>,
    ) -> Result<Arc<Incoming>, BusError> {
        let incoming = Arc::new(Incoming {
            server: server.clone(),
            terms: Terms {
                name: format!("{} requests", terms.name),
                ..terms.clone()
            },
            places: places.clone(),
            outgoing: Arc::clone(outgoing),
            state: Mutex::new(State {
                greeting: Some(greeting),
                connection: None,
                attempt: None,
                attempts: 0,
                failure: BusError::Lost,
                pace: Pace::new(Instant::now()),
                broke: None,
            }),
            occasionally: Occasionally::new(),
        });
        incoming.want()?;
        Ok(incoming)
    }

    pub(super) fn server(&self) -> &BusServer {
        &self.server
    }

    /// Disconnected when the link is lost.
    pub(super) fn link(&self) -> &Receiver<()> {
        self.outgoing.gone()
    }

    pub(super) fn is_lost(&self) -> bool {
        self.outgoing.has_ended()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    /// The connection, or the attempt to open it, begun if need be.
    pub(super) fn want(self: &Arc<Incoming>) -> Result<Wanted, BusError> {
        let mut state = self.state();
        if let Some(connection) = &state.connection {
            if !connection.has_ended() {
                return Ok(Wanted::Here(Arc::clone(connection)));
            }
            state.connection = None;
            state.broke = Some(Instant::now());
        }
        if let Some(attempt) = &state.attempt {
            return Ok(Wanted::Opening(attempt.clone()));
        }
        if self.is_lost() {
            return Err(BusError::Lost);
        }
        let now = Instant::now();
        let wait = state.pace.wait(now);
        state.attempts += 1;
        let number = state.attempts;
        let (end, ended) = bounded(0);
        let incoming = Arc::clone(self);
        let begun = self
            .places
            .attempt(move || incoming.attempt(number, wait, end));
        match begun {
            Ok(()) => {
                let attempt = Attempt {
                    number,
                    ended,
                    deadline: now + wait + ATTEMPT,
                };
                state.attempt = Some(attempt.clone());
                Ok(Wanted::Opening(attempt))
            }
            Err(BusError::TooManyHang) => {
                drop(state);
                // Another link finds no place either, and that ends the process.
                self.outgoing.end();
                Err(BusError::TooManyHang)
            }
            Err(error) => Err(error),
        }
    }

    /// The connection after `attempt` has ended, or its deadline is over.
    pub(super) fn outcome(&self, attempt: &Attempt) -> Result<Arc<Connection>, BusError> {
        let mut state = self.state();
        if state
            .attempt
            .as_ref()
            .is_some_and(|under_way| under_way.number == attempt.number)
        {
            // It hangs, and has its place until it ends.
            state.attempt = None;
            state.failure = BusError::Hangs(self.server.to_string());
        }
        match &state.connection {
            Some(connection) => Ok(Arc::clone(connection)),
            None => Err(state.failure.clone()),
        }
    }

    /// Waits for the connection, at most as long as an attempt may take.
    pub(super) fn wait(self: &Arc<Incoming>) -> Result<Arc<Connection>, BusError> {
        match self.want()? {
            Wanted::Here(connection) => Ok(connection),
            Wanted::Opening(attempt) => {
                // Nobody sends: it ends, or the time is over.
                let _ = attempt.ended.recv_deadline(attempt.deadline);
                self.outcome(&attempt)
            }
        }
    }

    /// An attempt, in its thread; others wait for `end` to go.
    fn attempt(&self, number: u64, wait: Duration, end: Sender<()>) {
        if self.is_lost_within(wait) {
            return self.conclude(number, Err(BusError::Lost), end);
        }
        let server = &self.server;
        let greeting = self.state().greeting.take();
        let opened = greeting
            .map_or_else(|| self.greet(), Ok)
            .and_then(|greeting| {
                Connection::open(server, &greeting, &self.terms, &self.places).map_err(|error| {
                    BusError::Refused {
                        server: server.to_string(),
                        why: error.to_string(),
                    }
                })
            });
        if opened.is_err() && self.is_lost_within(ALSO_LOST) {
            return self.conclude(number, Err(BusError::Lost), end);
        }
        self.conclude(number, opened, end);
    }

    /// Has the server let us in, and let go of it, so that one that is stuck does not hang the crate,
    /// which nothing frees.
    fn greet(&self) -> Result<Greeting, BusError> {
        let name = format!("{} greeting", self.terms.name);
        dial(&self.server, &name, LARGEST_REQUEST).map(|dialled| Greeting::of(&dialled))
    }

    fn is_lost_within(&self, wait: Duration) -> bool {
        self.link().recv_timeout(wait) == Err(RecvTimeoutError::Disconnected)
    }

    fn conclude(&self, number: u64, opened: Result<Arc<Connection>, BusError>, end: Sender<()>) {
        let mut state = self.state();
        let in_time = state
            .attempt
            .as_ref()
            .is_some_and(|attempt| attempt.number == number);
        if !in_time || self.is_lost() {
            drop(state);
            if let Ok(late) = opened {
                late.close();
            }
            return;
        }
        state.attempt = None;
        match opened {
            Ok(connection) => {
                state.connection = Some(connection);
                if let Some(broke) = state.broke.take()
                    && self.occasionally.now()
                {
                    log::warn!(
                        "bus: the connection to {} that requests come on ended; it is open again \
                         after {} ms. If a message did that, its header or its reply subject is not \
                         UTF-8, or over 4 KiB: who may publish requests? Events and answers go on",
                        self.server,
                        broke.elapsed().as_millis()
                    );
                }
            }
            Err(error) => state.failure = error,
        }
        drop(state);
        drop(end);
    }

    /// Gives the connection up if its server does not answer on it.
    pub(super) fn check(&self) {
        let connection = self.state().connection.clone();
        if let Some(connection) = connection
            && !connection.has_ended()
            && connection.is_silent()
        {
            log::warn!(
                "bus: {} does not answer on the connection that requests come on; opening another",
                self.server
            );
            connection.give_up();
        }
    }

    /// Ends it: with a server that takes `answers` in an orderly way, or so that the server ends it.
    pub(super) fn end(&self, answers: bool) {
        if let Some(connection) = self.state().connection.take() {
            match answers {
                true => connection.close(),
                false => connection.give_up(),
            }
        }
    }
}

/// How long to wait before the connection is opened, so that it is not too often.
struct Pace {
    /// When as many as may be were opened at the longest pace.
    due: Instant,
}

impl Pace {
    fn new(now: Instant) -> Pace {
        Pace { due: now }
    }

    fn wait(&mut self, now: Instant) -> Duration {
        self.due = self.due.max(now) + BETWEEN;
        self.due.saturating_duration_since(now + BETWEEN * AT_ONCE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn some_are_at_once_then_they_are_paced_and_rest_makes_good() {
        let start = Instant::now();
        let mut pace = Pace::new(start);
        for _ in 0..AT_ONCE {
            assert_eq!(pace.wait(start), Duration::ZERO);
        }
        assert_eq!(pace.wait(start), BETWEEN);
        assert_eq!(pace.wait(start + BETWEEN), BETWEEN);
        let rested = start + BETWEEN * (AT_ONCE + 3);
        assert_eq!(pace.wait(rested), Duration::ZERO);
    }
}
