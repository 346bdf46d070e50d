//! Starting a proxy where everything else runs, and knowing when it is there.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::{Duration, Instant};

use super::asterisk::{Asterisk, ENTITY_ID, Websocket};
use super::broker::Broker;
use super::client::Topic;
use super::clock::Clock;
use super::contender::Contender;
use super::process::Process;
use super::scratch::Scratch;

/// How long a proxy may take until it announces itself.
const START: Duration = Duration::from_secs(30);
/// How long it may take to end.
const END: Duration = Duration::from_secs(10);

/// Where a proxy is measured.
#[derive(Clone, Copy)]
pub(crate) struct Site<'a> {
    /// The clock of all.
    pub(crate) clock: Clock,
    /// The Asterisk.
    pub(crate) asterisk: &'a Asterisk,
    /// The broker.
    pub(crate) broker: &'a Broker,
    /// Where logs go.
    pub(crate) scratch: &'a Scratch,
}

/// Whether a starting proxy is asked to announce itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Asking {
    /// Not at all.
    Never,
    /// From the start, again and again.
    AtOnce,
    /// When it has not done so by itself after a while: the Go program does not.
    Late,
}

/// A proxy that has announced itself and has a websocket.
pub(crate) struct Launched {
    /// Its process.
    pub(crate) process: Process,
    /// How long after its start it announced itself.
    pub(crate) announced: Duration,
    /// Its websocket, to send events by.
    pub(crate) websocket: Websocket,
}

impl Launched {
    /// Ends it.
    pub(crate) fn end(self) {
        self.process.end(END);
    }
}

impl Site<'_> {
    /// An application that nothing else was started for: on RabbitMQ, queues of proxies that are
    /// gone stay for a while.
    pub(crate) fn application(&self) -> String {
        static APPLICATIONS: AtomicU64 = AtomicU64::new(1);
        format!("bench-{}", APPLICATIONS.fetch_add(1, Ordering::Relaxed))
    }

    /// The subject of `class` for `application` on this Asterisk.
    pub(crate) fn subject(&self, class: &str, application: &str) -> String {
        format!("ari.{class}.{application}.{ENTITY_ID}")
    }

    /// Starts `contender` for `application`; panics where it does not come up, but for one that is
    /// never asked.
    pub(crate) fn launch(
        &self,
        contender: &Contender,
        application: &str,
        asking: Asking,
    ) -> Option<Launched> {
        let listener = self.await_announcement(application);
        let mut ping = self.broker.client().pinger();
        let log = format!("{application}.log");
        let mut process = contender.spawn(self, application, &log);
        let started = process.started();
        let announced = loop {
            let waited = started.elapsed();
            let limit = match asking {
                Asking::Never => Duration::from_millis(50),
                Asking::AtOnce => {
                    ping();
                    Duration::from_millis(2)
                }
                Asking::Late if waited > Duration::from_millis(500) => {
                    ping();
                    Duration::from_millis(100)
                }
                Asking::Late => Duration::from_millis(10),
            };
            // The listener notes the time itself: this thread may look late.
            match listener.heard.recv_timeout(limit) {
                Ok(heard) => break heard.duration_since(started),
                Err(RecvTimeoutError::Disconnected) => panic!("the listener has ended"),
                Err(RecvTimeoutError::Timeout) => {}
            }
            if asking == Asking::Never && waited > Duration::from_secs(5) {
                process.end(END);
                return None;
            }
            if waited > START || !process.lives() {
                self.give_up(contender, &log, "does not announce itself");
            }
        };
        listener.stop.store(true, Ordering::Release);
        match self.asterisk.websocket(application, START) {
            Some(websocket) => Some(Launched {
                process,
                announced,
                websocket,
            }),
            None => self.give_up(contender, &log, "makes no websocket"),
        }
    }

    /// Ends the bench, saying what `contender` did not do and what it logged.
    pub(crate) fn give_up(&self, contender: &Contender, log: &str, what: &str) -> ! {
        let text = std::fs::read_to_string(self.scratch.join(log)).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        let last = lines[lines.len().saturating_sub(20)..].join("\n");
        panic!("{} {what}; its last lines:\n{last}", contender.name());
    }

    fn await_announcement(&self, application: &str) -> Listener {
        let client = self.broker.client();
        let wanted = format!(r#""application":"{application}""#).into_bytes();
        let stop = Arc::new(AtomicBool::new(false));
        let (ready, listens) = mpsc::channel();
        let (hear, heard) = mpsc::channel();
        let stopped = Arc::clone(&stop);
        std::thread::spawn(move || {
            client.listen(
                &Topic::Announcements,
                &stopped,
                &mut || ready.send(()).expect("who started it waits"),
                &mut |body| {
                    if body.windows(wanted.len()).any(|part| part == wanted) {
                        // Only the first is waited for.
                        let _ = hear.send(Instant::now());
                    }
                },
            );
        });
        listens.recv().expect("a listener");
        Listener { heard, stop }
    }
}

/// A listener to announcements, ended when dropped.
struct Listener {
    heard: mpsc::Receiver<Instant>,
    stop: Arc<AtomicBool>,
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Release);
    }
}
