//! The supervisor: connects, watches, replaces links, for every bus alike. A peer that is absent
//! is waited for, for ever.

use std::sync::Arc;
use std::thread;
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded, tick};

use super::{BusError, Link, link};
use crate::backoff::Backoff;
use crate::config::BusServer;

/// How long an attempt to connect may take before it is given up.
const ATTEMPT: Duration = Duration::from_secs(5);
/// How many attempts that were given up may still hang. Nothing frees a thread that is stuck in a
/// crate (crates.md), so that they are bounded.
const HANGING: usize = 8;
/// How often a link is asked whether its server still answers.
const CHECK: Duration = Duration::from_secs(1);

/// What the supervisor tells.
pub enum Change {
    /// There is a link.
    Up(Arc<dyn Link>),
    /// The link is lost.
    Down,
}

/// Runs until `stop` is disconnected; `tell` hears of every change.
pub fn run(servers: &[BusServer], name: &str, stop: &Receiver<()>, tell: impl Fn(Change)) {
    let attempts = Attempts::new(servers, name);
    let mut backoff = Backoff::new();
    let mut last_error = None;
    loop {
        match attempts.connect(stop) {
            None => return,
            Some(Ok(link)) => {
                log::info!("bus: connected to {link}");
                last_error = None;
                backoff.reset();
                tell(Change::Up(Arc::clone(&link)));
                watch(&*link, stop);
                link.close();
                tell(Change::Down);
                if stopped(stop, Duration::ZERO) {
                    return;
                }
                log::warn!("bus: lost {link}; connecting again");
            }
            Some(Err(error)) => {
                // One line per change of what is wrong, not one per attempt.
                if last_error.as_ref() != Some(&error) {
                    log::warn!("bus: {error}");
                    last_error = Some(error);
                }
                if stopped(stop, backoff.wait()) {
                    return;
                }
            }
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
    servers: &'a [BusServer],
    name: &'a str,
    /// One message lies here per attempt that hangs; its thread takes it away when it ends.
    hanging: (Sender<()>, Receiver<()>),
}

impl<'a> Attempts<'a> {
    fn new(servers: &'a [BusServer], name: &'a str) -> Attempts<'a> {
        Attempts {
            servers,
            name,
            hanging: bounded(HANGING),
        }
    }

    /// One attempt; none when `stop` came first.
    fn connect(&self, stop: &Receiver<()>) -> Option<Outcome> {
        if self.hanging.0.try_send(()).is_err() {
            return Some(Err(BusError::TooManyHang));
        }
        let (outcome, result) = bounded(1);
        let (servers, name) = (self.servers.to_vec(), self.name.to_owned());
        let done = self.hanging.1.clone();
        let spawned = thread::Builder::new()
            .name("bus-connect".into())
            .spawn(move || {
                let link = link::connect(&servers, &name);
                // Nobody waits any more if the attempt was given up: the link is dropped.
                if let Err(late) = outcome.send(link)
                    && let Ok(link) = late.into_inner()
                {
                    link.close();
                }
                let _ = done.try_recv();
            });
        if let Err(error) = spawned {
            let _ = self.hanging.1.try_recv();
            return Some(Err(BusError::Unreachable(format!("no thread: {error}"))));
        }
        crossbeam_channel::select! {
            recv(stop) -> _ => None,
            recv(result) -> link => Some(link.unwrap_or(Err(BusError::Hangs))),
            default(ATTEMPT) => Some(Err(BusError::Hangs)),
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
            tls: false,
            host: "127.0.0.1".into(),
            port: silent.local_addr().unwrap().port(),
            username: None,
            password: None,
        };
        let (_running, stop) = bounded(0);
        let servers = [server];
        let attempts = Attempts::new(&servers, "test");
        let outcome = attempts.connect(&stop).unwrap();
        assert!(outcome.is_err());
    }
}
