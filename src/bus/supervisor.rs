//! The supervisor: connects, watches, replaces links, for every bus alike. A peer that is absent
//! is waited for, for ever.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError, bounded, tick};

use super::nats::NatsLink;
use super::places::Places;
use super::rabbitmq::RabbitLink;
use super::{BusError, Link, Terms};
use crate::address::{BusKind, BusServer};
use crate::backoff::Backoff;

/// Connects to `server`. Blocks, in the worst case for ever. What a link leaves behind when it is
/// given up has places; one on sockets of ours, which it cuts, leaves nothing.
fn connect(server: &BusServer, terms: &Terms, places: &Places) -> Result<Arc<dyn Link>, BusError> {
    match server.bus {
        BusKind::Nats => NatsLink::connect(server, terms, places),
        BusKind::RabbitMq => RabbitLink::connect(server, terms),
    }
}

/// How long an attempt to connect to one server may take before it is given up.
pub(super) const ATTEMPT: Duration = Duration::from_secs(5);
/// The same with RabbitMQ, where it takes some thirty round trips; each step has its own deadline.
const MANY_STEPS: Duration = Duration::from_secs(20);
/// A link that is lost sooner was none: the waits go on growing.
const SHORT_LIVED: Duration = Duration::from_secs(5);
/// How often a link is asked whether its server still answers.
const CHECK: Duration = Duration::from_secs(2);

/// What the supervisor tells.
pub enum Change {
    /// There is a link.
    Up(Arc<dyn Link>),
    /// The link is lost.
    Down,
    /// So much is stuck, attempts and links that were given up, that no more can be: only another
    /// process can connect.
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

type Outcome = Result<Arc<dyn Link>, BusError>;

/// Attempts to connect, each in a thread of its own that can be done without.
struct Attempts<'a> {
    terms: &'a Terms,
    places: Places,
}

impl<'a> Attempts<'a> {
    fn new(terms: &'a Terms) -> Attempts<'a> {
        Attempts {
            terms,
            places: Places::default(),
        }
    }

    /// One attempt; none when `stop` came first.
    fn connect(&self, server: &BusServer, stop: &Receiver<()>) -> Option<Outcome> {
        let (outcome, result) = bounded(1);
        let hangs = BusError::Hangs(server.to_string());
        let limit = match server.bus {
            BusKind::Nats => ATTEMPT,
            BusKind::RabbitMq => MANY_STEPS,
        };
        let (server, terms, places) = (server.clone(), self.terms.clone(), self.places.clone());
        let begun = self.places.attempt(move || {
            let link = connect(&server, &terms, &places);
            // Nobody waits any more if the attempt was given up: the link is dropped.
            if let Err(late) = outcome.send(link)
                && let Ok(link) = late.into_inner()
            {
                link.close();
            }
        });
        if let Err(error) = begun {
            return Some(Err(error));
        }
        crossbeam_channel::select! {
            recv(stop) -> _ => None,
            recv(result) -> link => Some(link.unwrap_or(Err(hangs))),
            default(limit) => Some(Err(hangs)),
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
