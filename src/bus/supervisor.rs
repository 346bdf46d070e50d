//! The supervisor: connects, watches, replaces links, for every bus alike. A peer that is absent
//! is waited for, for ever.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError, bounded, tick};

#[cfg(feature = "client")]
use super::nats::NatsAccess;
#[cfg(feature = "server")]
use super::nats::NatsLink;
use super::places::Places;
#[cfg(feature = "client")]
use super::rabbitmq::RabbitAccess;
#[cfg(feature = "server")]
use super::rabbitmq::RabbitLink;
#[cfg(feature = "client")]
use super::{Access, HearAccess};
use super::{BusError, Connected};
#[cfg(feature = "server")]
use super::{Link, Terms};
use crate::address::{BusKind, BusServer};
use crate::backoff::Backoff;

/// How a connection of a kind is made: blocks, in the worst case for ever. What one leaves behind when it
/// is given up has places; one on sockets of ours, which it cuts, leaves nothing.
pub type Connect<L> = Arc<dyn Fn(&BusServer, &Places) -> Result<Arc<L>, BusError> + Send + Sync>;

/// How links of proxies are made.
#[cfg(feature = "server")]
pub fn links(terms: &Terms) -> Connect<dyn Link> {
    let terms = terms.clone();
    Arc::new(move |server, places| match server.bus {
        BusKind::Nats => NatsLink::connect(server, &terms, places),
        BusKind::RabbitMq => RabbitLink::connect(server, &terms),
    })
}

/// How accesses of applications are made, shown at the server under `name`; what they hear is for `hear`.
#[cfg(feature = "client")]
pub fn accesses(name: &str, hear: &HearAccess) -> Connect<dyn Access> {
    let (name, hear) = (name.to_owned(), Arc::clone(hear));
    Arc::new(move |server, _| match server.bus {
        BusKind::Nats => NatsAccess::connect(server, &name, &hear),
        BusKind::RabbitMq => RabbitAccess::connect(server, &name, &hear),
    })
}

/// How long an attempt to connect to one server may take before it is given up.
pub(super) const ATTEMPT: Duration = Duration::from_secs(5);
/// The same with RabbitMQ, where it takes some thirty round trips; each step has its own deadline.
const MANY_STEPS: Duration = Duration::from_secs(20);
/// A link that is lost sooner was none: the waits go on growing.
const SHORT_LIVED: Duration = Duration::from_secs(5);
/// How often a link is asked whether its server still answers.
const CHECK: Duration = Duration::from_secs(2);

/// What the supervisor tells of connections of the kind `L`.
pub enum Change<L: ?Sized> {
    /// There is a link.
    Up(Arc<L>),
    /// No server could be connected to, why; it goes on trying.
    Failed(BusError),
    /// The link is lost.
    Down,
    /// So much is stuck, attempts and links that were given up, that no more can be: only another
    /// process can connect.
    Stuck,
}

/// Runs until `stop` is disconnected; `tell` hears of every change.
pub fn run<L: Connected + ?Sized + 'static>(
    servers: &[BusServer],
    connect: &Connect<L>,
    stop: &Receiver<()>,
    tell: impl Fn(Change<L>),
) {
    let attempts = Attempts::new(connect);
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
                        last_error = Some(error.clone());
                    }
                    tell(Change::Failed(error));
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
fn watch<L: Connected + ?Sized>(link: &L, stop: &Receiver<()>) {
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

type Outcome<L> = Result<Arc<L>, BusError>;

/// Attempts to connect, each in a thread of its own that can be done without.
struct Attempts<'a, L: ?Sized> {
    connect: &'a Connect<L>,
    places: Places,
}

impl<'a, L: Connected + ?Sized + 'static> Attempts<'a, L> {
    fn new(connect: &'a Connect<L>) -> Attempts<'a, L> {
        Attempts {
            connect,
            places: Places::default(),
        }
    }

    /// One attempt; none when `stop` came first.
    fn connect(&self, server: &BusServer, stop: &Receiver<()>) -> Option<Outcome<L>> {
        let (outcome, result) = bounded(1);
        let hangs = BusError::Hangs(server.to_string());
        let limit = match server.bus {
            BusKind::Nats => ATTEMPT,
            BusKind::RabbitMq => MANY_STEPS,
        };
        let (server, connect, places) = (
            server.clone(),
            Arc::clone(self.connect),
            self.places.clone(),
        );
        let begun = self.places.attempt(move || {
            let link = connect(&server, &places);
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

#[cfg(all(test, feature = "server"))]
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
        let connect = links(&terms);
        let attempts = Attempts::new(&connect);
        let outcome = attempts.connect(&server, &stop).unwrap();
        assert!(outcome.is_err());
    }
}
