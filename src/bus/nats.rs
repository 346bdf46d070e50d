//! NATS behind the trait. The crate's defects (crates.md) are contained here:
//!
//! - It hangs on a silent server: a server is asked for its INFO, and without TLS for a PONG, on a
//!   socket of ours first.
//! - It reconnects by itself, and gives up: it is let go as soon as a connection breaks.
//! - It flushes every 5 ms: a thread of ours flushes when something was published, and each flush
//!   ends with the server's PONG, which also tells how much the server has taken.
//! - It blocks for ever on a server that takes nothing: what the server has not taken yet is bounded;
//!   beyond what the sockets hold, only bodies over 30 KiB are written by the thread that publishes.
//! - It forgets a subscription before the server does: the server is told first.
//! - Over TLS its writers swallow what its reader waits for: a flush that waits is poked.
//! - It checks neither subjects nor sizes: we do.
//! - It loads the system's certificates even for plain links: it is given an empty list instead.

#![expect(
    deprecated,
    reason = "the crate is deprecated in favour of an asynchronous one; this is the blocking one"
)]

mod inbox;
mod opening;

use std::fmt;
use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError, Weak};
use std::thread;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded};

use self::inbox::NatsInbox;
use self::opening::{Greeting, address, greet, options};
use super::link::Use;
use super::{BusError, Link, Mark, Reply, Topic};
use crate::config::BusServer;
use crate::wire::subject::publishable;

/// How long a flush may take before the server counts as dead.
const FLUSH: Duration = Duration::from_secs(5);
/// How often an idle server is asked whether it lives.
const IDLE: Duration = Duration::from_secs(2);
/// What may be on its way, in bytes: what a server that stops answering may take with it. Enough
/// for 10 000 events a second over a link that delays 200 ms.
const WINDOW: u64 = 1024 * 1024;
/// The same for TLS, where the crate's buffer of 64 KiB fails for good when the socket is full too.
const TLS_WINDOW: u64 = 128 * 1024;
/// Bodies up to this size fit into the crate's buffer of 32 KiB with what it reserves.
const LARGEST_BUFFERED: usize = 30 * 1024;
/// What the sockets of a connection hold on any network before the first byte is read: 64 KiB each
/// here and there are the least that Linux begins with. On loopback it is some MiB (crates.md).
const HELD_BY_SOCKETS: u64 = 64 * 1024;
/// How often handing over is tried again before it is waited for.
const SPINS: u32 = 32;
/// How often a large body waits for the buffer to be empty before it is written all the same.
const PATIENCE: u32 = 8;
/// Where messages go that are only sent to have something sent. Whoever may answer requests may
/// publish to inboxes.
const NOWHERE: &str = "_INBOX.ari-proxy";
/// How often, and how long apart, a broken connection is poked to free a flush that waits on it.
const POKES: u32 = 40;
const BETWEEN_POKES: Duration = Duration::from_millis(5);

/// A connection to one NATS server.
pub struct NatsLink {
    shared: Arc<Shared>,
    gone: Receiver<()>,
    server: String,
    largest: usize,
}

/// What the link, its inboxes and its flusher share.
struct Shared {
    /// Taken out when the link is lost: the crate ends a connection that nobody holds.
    connection: Mutex<Option<nats::Connection>>,
    /// Dropped when the link is lost.
    alive: Mutex<Option<Sender<()>>>,
    lost: AtomicBool,
    /// Over TLS only, see [`Shared::poke`].
    echo: Mutex<Option<Echo>>,
    window: u64,
    /// What the sockets hold even if the server reads nothing.
    held_by_sockets: u64,
    /// Bytes handed over to the crate.
    handed: AtomicU64,
    /// Bytes that the server has taken.
    taken: AtomicU64,
    /// When the flush that is under way began, in milliseconds after `opened`, plus one.
    flushing: AtomicU64,
    opened: Instant,
    /// For those who wait until more is taken.
    progress: (Mutex<()>, Condvar),
    kick: Sender<()>,
}

/// A subject of our own: what is published to it comes back.
struct Echo {
    subject: String,
    subscription: nats::Subscription,
}

impl Echo {
    fn on(connection: &nats::Connection) -> io::Result<Echo> {
        let subject = connection.new_inbox();
        let subscription = connection.subscribe(&subject)?;
        Ok(Echo {
            subject,
            subscription,
        })
    }
}

impl NatsLink {
    /// Connects to `server`.
    pub fn connect(server: &BusServer, name: &str) -> Result<Arc<dyn Link>, BusError> {
        let greeting =
            greet(server).map_err(|error| BusError::Unreachable(format!("{server}: {error}")))?;
        let link = NatsLink::open(server, &greeting, name).map_err(|error| BusError::Refused {
            server: server.to_string(),
            why: error.to_string(),
        })?;
        Ok(Arc::new(link))
    }

    fn open(server: &BusServer, greeting: &Greeting, name: &str) -> io::Result<NatsLink> {
        let tls = server.tls || greeting.wants_tls;
        let (alive, gone) = bounded(0);
        let (kick, kicked) = bounded(1);
        let shared = Arc::new(Shared {
            connection: Mutex::new(None),
            alive: Mutex::new(Some(alive)),
            lost: AtomicBool::new(false),
            echo: Mutex::new(None),
            window: if tls { TLS_WINDOW } else { WINDOW },
            held_by_sockets: match greeting.loopback {
                _ if tls => 0,
                true => WINDOW,
                false => HELD_BY_SOCKETS,
            },
            handed: AtomicU64::new(0),
            taken: AtomicU64::new(0),
            flushing: AtomicU64::new(0),
            opened: Instant::now(),
            progress: (Mutex::new(()), Condvar::new()),
            kick,
        });
        let connection = options(server, tls, name, &shared).connect(address(server, tls))?;
        let largest = connection.max_payload();
        if tls {
            *lock(&shared.echo) = Some(Echo::on(&connection)?);
        }
        *lock(&shared.connection) = Some(connection);
        if shared.is_lost() {
            // It broke before it was stored: what was to let it go found nothing.
            drop(lock(&shared.connection).take());
            return Err(io::ErrorKind::ConnectionReset.into());
        }
        let flusher = Arc::downgrade(&shared);
        thread::Builder::new()
            .name("bus-flush".into())
            .spawn(move || flush(&flusher, &kicked))?;
        Ok(NatsLink {
            shared,
            gone,
            server: server.to_string(),
            largest,
        })
    }
}

impl NatsLink {
    fn hand_over(&self, subject: &str, body: &[u8]) -> Result<(), BusError> {
        if !publishable(subject) {
            return Err(BusError::Subject(subject.to_owned()));
        }
        if body.len() > self.largest {
            return Err(BusError::TooLarge {
                size: body.len(),
                limit: self.largest,
            });
        }
        self.shared.publish(subject, body)
    }
}

impl fmt::Display for NatsLink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.server)
    }
}

impl Link for NatsLink {
    fn publish(
        &self,
        _: Topic,
        subject: &str,
        _: Option<&Mark>,
        body: &[u8],
    ) -> Result<Option<u64>, BusError> {
        self.hand_over(subject, body).map(|()| None)
    }

    fn taken(&self) -> u64 {
        // It has no numbers.
        0
    }

    fn is_uncertain(&self) -> bool {
        true
    }

    fn heard(&self) -> Instant {
        Instant::now()
    }

    fn answer(&self, reply: &Reply, body: &[u8]) -> Result<(), BusError> {
        self.hand_over(&reply.to, body)
    }

    fn flush(&self) {
        // A kick that is waiting already does for this one too, but tells that the flusher waits.
        if self.shared.kick.try_send(()).is_err() {
            self.shared.poke();
        }
    }

    fn wait(&self, limit: Duration) {
        self.shared.wait_for_progress(limit);
    }

    fn settle(&self, limit: Duration) -> bool {
        let deadline = Instant::now() + limit;
        let wanted = self.shared.handed.load(Ordering::Acquire);
        self.flush();
        while self.shared.taken.load(Ordering::Acquire) < wanted {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() || self.is_lost() {
                return false;
            }
            self.shared.wait_for_progress(left.min(BETWEEN_POKES));
        }
        true
    }

    fn with_inbox(&self, _: Topic, work: Use<'_>) -> Result<(), BusError> {
        if self.is_lost() {
            return Err(BusError::Lost);
        }
        let shared = Arc::clone(&self.shared);
        work(&mut NatsInbox::new(shared, self.gone.clone()));
        Ok(())
    }

    fn check(&self) {
        let flushing = self.shared.flushing.load(Ordering::Acquire);
        let now = self.shared.clock();
        if flushing > 0 && now.saturating_sub(flushing) > FLUSH.as_millis() as u64 {
            log::warn!("bus: {self} does not answer");
            self.shared.lose();
        } else if flushing > 0 {
            self.shared.poke();
        }
    }

    fn lost(&self) -> &Receiver<()> {
        &self.gone
    }

    fn is_lost(&self) -> bool {
        self.shared.is_lost()
    }

    fn why(&self) -> Option<String> {
        // The crate does not say.
        None
    }

    fn peer(&self) -> String {
        self.server.clone()
    }

    fn close(&self) {
        self.shared.lose();
    }
}

impl Shared {
    fn is_lost(&self) -> bool {
        self.lost.load(Ordering::Acquire)
    }

    fn clock(&self) -> u64 {
        self.opened.elapsed().as_millis() as u64 + 1
    }

    fn connection(&self) -> Result<nats::Connection, BusError> {
        lock(&self.connection).clone().ok_or(BusError::Lost)
    }

    fn publish(&self, subject: &str, body: &[u8]) -> Result<(), BusError> {
        let connection = self.connection()?;
        let mut tries = 0_u32;
        loop {
            if self.is_lost() {
                return Err(BusError::Lost);
            }
            // In this order: what is taken was handed over before.
            let taken = self.taken.load(Ordering::Acquire);
            let on_its_way = self.handed.load(Ordering::Acquire).saturating_sub(taken);
            if on_its_way < self.window {
                // Written through where the socket holds it for sure, or where it does not fit into
                // the crate's buffer; everything else must not touch the socket on this thread.
                let held = on_its_way + (body.len() as u64) < self.held_by_sockets;
                let large =
                    body.len() > LARGEST_BUFFERED && (on_its_way == 0 || tries > SPINS + PATIENCE);
                let handed = if held || large {
                    Some(connection.publish(subject, body))
                } else {
                    connection.try_publish_with_reply_or_headers(subject, None, None, body)
                };
                match handed {
                    Some(Ok(())) => {
                        let size = (subject.len() + body.len()) as u64;
                        self.handed.fetch_add(size, Ordering::AcqRel);
                        return Ok(());
                    }
                    // Nothing whole was written: on another link it is the first time.
                    Some(Err(_)) => {
                        self.lose();
                        return Err(BusError::Lost);
                    }
                    // The buffer is full, or another thread is at it.
                    None => {}
                }
            }
            tries += 1;
            let _ = self.kick.try_send(());
            if tries < SPINS {
                thread::yield_now();
            } else {
                self.poke();
                self.wait_for_progress(Duration::from_millis(1));
            }
        }
    }

    /// Has the server send something. Over TLS the crate's writers read too, and what they read the
    /// reader does not see before something else arrives: a flush would wait for a PONG that is
    /// here already.
    fn poke(&self) {
        if let Some(echo) = &*lock(&self.echo)
            && let Ok(connection) = self.connection()
        {
            while echo.subscription.try_next().is_some() {}
            let subject = &echo.subject;
            let _ = connection.try_publish_with_reply_or_headers(subject, None, None, []);
        }
    }

    /// Tells the server, but not the crate, that the subscription of the number `sid` ends; when the
    /// server has taken as many bytes as are returned, it has ended.
    ///
    /// The crate forgets a subscription before the server does and drops what comes meanwhile. It
    /// does not check subjects, so that this one can carry a line of the protocol.
    fn unsubscribe(&self, sid: u64) -> Result<u64, BusError> {
        let connection = self.connection()?;
        let subject = format!("{NOWHERE} 0\r\n\r\nUNSUB {sid}\r\nPUB {NOWHERE}");
        connection
            .publish(&subject, [])
            .map_err(|_| BusError::Lost)?;
        let size = subject.len() as u64;
        let handed = self.handed.fetch_add(size, Ordering::AcqRel) + size;
        let _ = self.kick.try_send(());
        Ok(handed)
    }

    fn has_taken(&self, bytes: u64) -> bool {
        self.taken.load(Ordering::Acquire) >= bytes
    }

    fn wait_for_progress(&self, limit: Duration) {
        let (mutex, condvar) = &self.progress;
        let guard = lock(mutex);
        // Woken or not, the caller looks again.
        drop(condvar.wait_timeout(guard, limit));
    }

    fn lose(&self) {
        if self.lost.swap(true, Ordering::AcqRel) {
            return;
        }
        drop(lock(&self.alive).take());
        if let Some(connection) = lock(&self.connection).take() {
            end(&connection);
        }
        drop(lock(&self.echo).take());
        self.progress.1.notify_all();
    }

    /// Called by the crate, on its reading thread, when the connection broke. It goes on to connect
    /// again unless nobody holds the connection: a flush that waits for an answer does, and is
    /// freed by a write that fails.
    fn broken(&self) {
        let connection = lock(&self.connection).take();
        self.lose();
        let Some(connection) = connection else {
            return;
        };
        for _ in 0..POKES {
            if self.flushing.load(Ordering::Acquire) == 0 {
                break;
            }
            let _ = connection.publish(NOWHERE, []);
            thread::sleep(BETWEEN_POKES);
        }
        end(&connection);
    }
}

/// Has the crate's flushing thread look up: it sees that nobody holds the connection any more, once
/// it is dropped. It would sleep for two minutes otherwise.
fn end(connection: &nats::Connection) {
    let _ = connection.try_publish_with_reply_or_headers(NOWHERE, None, None, []);
}

/// The flusher: sends what was handed over, learns what the server has taken, and asks an idle
/// server whether it lives.
fn flush(shared: &Weak<Shared>, kicked: &Receiver<()>) {
    loop {
        if let Err(RecvTimeoutError::Disconnected) = kicked.recv_timeout(IDLE) {
            return;
        }
        let Some(shared) = shared.upgrade() else {
            return;
        };
        let Ok(connection) = shared.connection() else {
            return;
        };
        let handed = shared.handed.load(Ordering::Acquire);
        shared.flushing.store(shared.clock(), Ordering::Release);
        let flushed = connection.flush_timeout(FLUSH);
        shared.flushing.store(0, Ordering::Release);
        if flushed.is_err() {
            shared.lose();
            return;
        }
        shared.taken.fetch_max(handed, Ordering::AcqRel);
        let guard = lock(&shared.progress.0);
        shared.progress.1.notify_all();
        drop(guard);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    // What is guarded is whole after every statement.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
