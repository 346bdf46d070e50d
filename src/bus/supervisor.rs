//! The supervisor: connects, watches, replaces links, for every bus alike. A peer that is absent
//! is waited for, for ever.

use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded, tick};

use super::nats::NatsLink;
use super::rabbitmq::RabbitLink;
use super::{BusError, Link, Terms};
use crate::backoff::Backoff;
use crate::config::{BusKind, BusServer};

/// Connects to `server`. Blocks, in the worst case for ever.
fn connect(server: &BusServer, terms: &Terms) -> Result<Arc<dyn Link>, BusError> {
    match server.bus {
        BusKind::Nats => NatsLink::connect(server, &terms.name),
        BusKind::RabbitMq => RabbitLink::connect(server, terms),
    }
}

/// How long an attempt to connect to one server may take before it is given up.
const ATTEMPT: Duration = Duration::from_secs(5);
/// How many attempts that were given up may still hang. Nothing frees a thread that is stuck in a
/// crate (crates.md), so that they are bounded.
const HANGING: usize = 8;
/// A link that is lost sooner was none: the waits go on growing.
const SHORT_LIVED: Duration = Duration::from_secs(5);
/// How often a link is asked whether its server still answers.
const CHECK: Duration = Duration::from_secs(1);

/// What the supervisor tells.
pub enum Change {
    /// There is a link.
    Up(Arc<dyn Link>),
    /// The link is lost.
    Down,
    /// So many attempts hang that no more can be made: only another process can.
    Stuck,
}

/// Runs until `stop` is disconnected; `tell` hears of every change.
pub fn run(servers: &[BusServer], terms: &Terms, stop: &Receiver<()>, tell: impl Fn(Change)) {
    let attempts = Attempts::new(terms);
    let mut backoff = Backoff::new();
    let mut last_error = None;
    // In turn, beginning with the one after that which failed; a round of failures, then a wait.
    let mut failures = Vec::new();
    for server in servers.iter().cycle() {
        let wait = match attempts.connect(server, stop) {
            None => return,
            Some(Ok(link)) => {
                failures.clear();
                last_error = None;
                log::info!("bus: connected to {link}");
                tell(Change::Up(Arc::clone(&link)));
                let began = Instant::now();
                watch(&*link, stop);
                link.close();
                tell(Change::Down);
                if !stopped(stop, Duration::ZERO) {
                    let why = link
                        .why()
                        .map(|why| format!(" ({why})"))
                        .unwrap_or_default();
                    log::warn!("bus: lost {link}{why}; connecting again");
                }
                if began.elapsed() > SHORT_LIVED {
                    backoff.reset();
                }
                // Also the first time: a server that lives may still read what was on its way, and
                // what waited must not overtake it.
                backoff.wait()
            }
            Some(Err(BusError::TooManyHang)) => {
                log::error!("bus: {}", BusError::TooManyHang);
                tell(Change::Stuck);
                return;
            }
            Some(Err(error)) => {
                failures.push(error);
                if failures.len() < servers.len() {
                    Duration::ZERO
                } else {
                    // One line per change of what is wrong, not one per attempt.
                    let error = BusError::all(std::mem::take(&mut failures));
                    if last_error.as_ref() != Some(&error) {
                        log::warn!("bus: {error}");
                        last_error = Some(error);
                    }
                    backoff.wait()
                }
            }
        };
        if stopped(stop, wait) {
            return;
        }
    }
}

/// Waits until `link` is lost or `stop`.
fn watch(link: &dyn Link, stop: &Receiver<()>) {
    let clock = tick(CHECK);
    loop {
        crossbeam_channel::select! {
            recv(stop) -> _ => return,
            recv(link.lost()) -> _ => return,
            recv(clock) -> _ => link.check(),
        }
    }
}

fn stopped(stop: &Receiver<()>, wait: Duration) -> bool {
    stop.recv_timeout(wait) != Err(RecvTimeoutError::Timeout)
}

/// The place of an attempt among those that may hang, given back however the attempt ends: the
/// crate panics where the system gives it no thread.
struct Place(Receiver<()>);

impl Drop for Place {
    fn drop(&mut self) {
        let _ = self.0.try_recv();
    }
}

type Outcome = Result<Arc<dyn Link>, BusError>;

/// Attempts to connect, each in a thread of its own that can be done without.
struct Attempts<'a> {
    terms: &'a Terms,
    /// One message lies here per attempt that hangs; its thread takes it away when it ends.
    hanging: (Sender<()>, Receiver<()>),
}

impl<'a> Attempts<'a> {
    fn new(terms: &'a Terms) -> Attempts<'a> {
        Attempts {
            terms,
            hanging: bounded(HANGING),
        }
    }

    /// One attempt; none when `stop` came first.
    fn connect(&self, server: &BusServer, stop: &Receiver<()>) -> Option<Outcome> {
        if self.hanging.0.try_send(()).is_err() {
            return Some(Err(BusError::TooManyHang));
        }
        let (outcome, result) = bounded(1);
        let hangs = BusError::Hangs(server.to_string());
        let (server, terms) = (server.clone(), self.terms.clone());
        let done = Place(self.hanging.1.clone());
        let spawned = thread::Builder::new()
            .name("bus-connect".into())
            .spawn(move || {
                let link = connect(&server, &terms);
                // Nobody waits any more if the attempt was given up: the link is dropped.
                if let Err(late) = outcome.send(link)
                    && let Ok(link) = late.into_inner()
                {
                    link.close();
                }
                drop(done);
            });
        if let Err(error) = spawned {
            let _ = self.hanging.1.try_recv();
            return Some(Err(BusError::Unreachable(format!("no thread: {error}"))));
        }
        crossbeam_channel::select! {
            recv(stop) -> _ => None,
            recv(result) -> link => Some(link.unwrap_or(Err(hangs))),
            default(ATTEMPT) => Some(Err(hangs)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    #[test]
    fn an_attempt_that_hangs_is_given_up() {
        let silent = TcpListener::bind("127.0.0.1:0").unwrap();
        let server = BusServer {
            bus: BusKind::Nats,
            tls: false,
            host: "127.0.0.1".into(),
            port: silent.local_addr().unwrap().port(),
            vhost: String::new(),
            username: None,
            password: None,
        };
        let (_running, stop) = bounded(0);
        let terms = Terms {
            name: "test".into(),
            window: 1,
            losses: Arc::new(|_| {}),
            largest: Arc::default(),
        };
        let attempts = Attempts::new(&terms);
        let outcome = attempts.connect(&server, &stop).unwrap();
        assert!(outcome.is_err());
    }
}
