//! One connection of the crate, with the thread of ours that flushes it, and the ways it ends.

use std::cell::RefCell;
use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, Weak};
use std::thread;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded};

use super::incoming::Greeting;
use super::lock;
use super::opening::{address, options};
use crate::address::BusServer;
use crate::bus::places::{Places, Remains};
use crate::bus::{BusError, Terms};

/// How long a flush may take before the server counts as dead.
const FLUSH: Duration = Duration::from_secs(5);
/// How often an idle server is asked whether it lives.
const IDLE: Duration = Duration::from_secs(2);
/// Where messages go that are only sent to have something sent. Whoever may answer requests may
/// publish to inboxes.
const NOWHERE: &str = "_INBOX.ari-proxy";
/// The number of a subscription that the crate does not come to.
const ECHO: u64 = u64::MAX;
/// How often, and how long apart, a broken connection is poked to free a flush that waits on it.
const POKES: u32 = 200;
const BETWEEN_POKES: Duration = Duration::from_millis(1);
/// How long the crate sleeps before it connects again by itself: longer than that takes.
pub(super) const RECONNECT: Duration = Duration::from_millis(400);
/// How often somebody who waits for a flush over TLS pokes it.
const IMPATIENCE: Duration = Duration::from_millis(5);

/// A connection of the crate.
pub(super) struct Connection {
    /// Taken out when it ends: the crate ends a connection that nobody holds.
    crates: Mutex<Option<nats::Connection>>,
    /// Put here instead when it is given up, until the crate's reading thread ends: for as long as it
    /// is held, the crate asks the server whether it lives, and after six minutes shuts the socket.
    given_up: Mutex<Option<nats::Connection>>,
    /// Dropped when it ends.
    alive: Mutex<Option<Sender<()>>>,
    gone: Receiver<()>,
    ended: AtomicBool,
    /// Whether TLS is spoken, see [`Connection::poke`].
    tls: bool,
    /// Held by the crate's reading thread and the flusher.
    remains: Weak<Remains>,
    /// Bytes handed over to the crate.
    handed: AtomicU64,
    /// Bytes that the server has taken.
    taken: AtomicU64,
    /// When the flush that is under way began, in milliseconds after `opened`, plus one.
    flushing: AtomicU64,
    /// When it was poked last, likewise.
    poked: AtomicU64,
    opened: Instant,
    /// For those who wait until more is taken.
    progress: (Mutex<()>, Condvar),
    kick: Sender<()>,
}

/// What is said to the server last, on a connection that it may still read.
#[derive(Clone, Copy)]
enum LastWord {
    /// Its answer has the crate's reading thread look up, and end.
    Ping,
    /// What no client says: the server ends the connection, and by that its subscriptions, as soon as
    /// it reads it.
    HangUp,
}

impl LastWord {
    /// The subject of a message that carries it. The crate does not check subjects, so that lines of
    /// the protocol fit in.
    fn subject(self) -> String {
        let word = match self {
            LastWord::Ping => "PING",
            LastWord::HangUp => "BYE from ari-proxy, which was not answered",
        };
        format!("{NOWHERE} 0\r\n\r\n{word}\r\nPUB {NOWHERE}")
    }
}

impl Connection {
    /// Connects to `server`, in the worst case never.
    pub(super) fn open(
        server: &BusServer,
        greeting: &Greeting,
        terms: &Terms,
        places: &Places,
    ) -> io::Result<Arc<Connection>> {
        let (alive, gone) = bounded(0);
        let (kick, kicked) = bounded(1);
        let remains = Arc::new(Remains::new(places));
        let connection = Arc::new(Connection {
            crates: Mutex::new(None),
            given_up: Mutex::new(None),
            alive: Mutex::new(Some(alive)),
            gone,
            ended: AtomicBool::new(false),
            tls: greeting.tls,
            remains: Arc::downgrade(&remains),
            handed: AtomicU64::new(0),
            taken: AtomicU64::new(0),
            flushing: AtomicU64::new(0),
            poked: AtomicU64::new(0),
            opened: Instant::now(),
            progress: (Mutex::new(()), Condvar::new()),
            kick,
        });
        let options = options(server, greeting.tls, terms, &connection, &remains);
        let crates = options.connect(address(server, greeting.tls))?;
        *lock(&connection.crates) = Some(crates);
        let flusher = Arc::clone(&connection);
        let flusher = move || {
            flusher.flush_until_it_ends(&kicked);
            drop(remains);
        };
        let spawned = thread::Builder::new()
            .name("bus-flush".into())
            .spawn(flusher);
        if let Err(error) = spawned {
            connection.close();
            return Err(error);
        }
        if connection.has_ended() {
            // It broke before it was stored: what was to let it go found nothing.
            connection.close();
            return Err(io::ErrorKind::ConnectionReset.into());
        }
        Ok(connection)
    }

    pub(super) fn has_ended(&self) -> bool {
        self.ended.load(Ordering::Acquire)
    }

    /// Disconnected when it has ended.
    pub(super) fn gone(&self) -> &Receiver<()> {
        &self.gone
    }

    /// The crate's connection, for a moment.
    pub(super) fn crates(&self) -> Result<nats::Connection, BusError> {
        lock(&self.crates).clone().ok_or(BusError::Lost)
    }

    /// Counts `bytes` that were handed to the crate; when the server has taken as many as are
    /// returned, it has taken these.
    pub(super) fn handed(&self, bytes: usize) -> u64 {
        self.handed.fetch_add(bytes as u64, Ordering::AcqRel) + bytes as u64
    }

    /// How many bytes were handed over so far.
    fn all_handed(&self) -> u64 {
        self.handed.load(Ordering::Acquire)
    }

    pub(super) fn has_taken(&self, bytes: u64) -> bool {
        self.taken.load(Ordering::Acquire) >= bytes
    }

    /// Has the flusher flush; whether it was not about to anyway.
    fn kick(&self) -> bool {
        self.kick.try_send(()).is_ok()
    }

    /// The same, and where the flusher waits for an answer, has one come.
    fn flush(&self) {
        if !self.kick() {
            self.poke();
        }
    }

    /// Waits until the server has taken `bytes`, at most for `limit`; whether it has.
    pub(super) fn settle(&self, bytes: u64, limit: Duration) -> bool {
        let deadline = Instant::now() + limit;
        self.flush();
        while !self.has_taken(bytes) {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() || self.has_ended() {
                return false;
            }
            self.wait_for_progress(left.min(IMPATIENCE));
            self.poke();
        }
        true
    }

    fn wait_for_progress(&self, limit: Duration) {
        let (mutex, condvar) = &self.progress;
        let guard = lock(mutex);
        // Woken or not, the caller looks again.
        drop(condvar.wait_timeout(guard, limit));
    }

    /// Has the server send something. Over TLS the crate's writers read too, and what they read the
    /// reader does not see before something else arrives: a flush would wait for a PONG that is
    /// here already.
    ///
    /// It is a message to ourselves, on a subscription that the crate does not know and that ends with
    /// it: nobody can send to it.
    fn poke(&self) {
        let now = self.clock();
        let before = self.poked.load(Ordering::Relaxed);
        if self.tls
            && now >= before + IMPATIENCE.as_millis() as u64
            && let Ok(connection) = self.crates()
        {
            self.poked.store(now, Ordering::Relaxed);
            let echo = connection.new_inbox();
            let subject =
                format!("{NOWHERE} 0\r\n\r\nSUB {echo} {ECHO}\r\nUNSUB {ECHO} 1\r\nPUB {echo}");
            let _ = connection.try_publish_with_reply_or_headers(&subject, None, None, []);
        }
    }

    /// Tells the server, but not the crate, that the subscription of the number `sid` ends; when the
    /// server has taken as many bytes as are returned, it has ended.
    ///
    /// The crate forgets a subscription before the server does and drops what comes meanwhile. It
    /// does not check subjects, so that this one can carry a line of the protocol.
    pub(super) fn unsubscribe(&self, sid: u64) -> Result<u64, BusError> {
        let subject = format!("{NOWHERE} 0\r\n\r\nUNSUB {sid}\r\nPUB {NOWHERE}");
        self.crates()?
            .publish(&subject, [])
            .map_err(|_| BusError::Lost)?;
        let handed = self.handed(subject.len());
        self.kick();
        Ok(handed)
    }

    /// Whether the server has not answered a flush for too long; one that may answer soon is poked.
    pub(super) fn is_silent(&self) -> bool {
        let flushing = self.flushing.load(Ordering::Acquire);
        let waited = self.clock().saturating_sub(flushing);
        let silent = flushing > 0 && waited > FLUSH.as_millis() as u64;
        if flushing > 0 && !silent {
            self.poke();
        }
        silent
    }

    fn clock(&self) -> u64 {
        self.opened.elapsed().as_millis() as u64 + 1
    }

    /// Ends a connection whose server answers, or that has broken.
    pub(super) fn close(&self) {
        let connection = lock(&self.crates).take();
        self.say_that_it_ended();
        if let Some(connection) = connection {
            say(&connection, LastWord::Ping);
        }
    }

    /// Ends a connection whose server does not answer. The crate's threads wait until it does, or for
    /// minutes; nothing here can shut their socket. If the server ever reads it again, it ends it at
    /// once, and gives no more requests to who no longer listens.
    pub(super) fn give_up(&self) {
        if let Some(remains) = self.remains.upgrade() {
            remains.count();
        }
        let mut crates = lock(&self.crates);
        if let Some(connection) = crates.take() {
            say(&connection, LastWord::HangUp);
            *lock(&self.given_up) = Some(connection);
        }
        drop(crates);
        self.say_that_it_ended();
    }

    fn say_that_it_ended(&self) {
        self.ended.store(true, Ordering::Release);
        drop(lock(&self.alive).take());
        self.progress.1.notify_all();
        self.kick();
    }

    /// Called on the crate's reading thread, when the connection broke. The crate goes on to connect
    /// again unless nobody holds the connection: a flush that waits for an answer does, and is freed
    /// by a write that fails.
    pub(super) fn broke(&self) {
        self.break_off(LastWord::Ping);
    }

    fn break_off(&self, last: LastWord) {
        let connection = lock(&self.crates).take();
        self.say_that_it_ended();
        let connection = connection.or_else(|| lock(&self.given_up).take());
        for _ in 0..POKES {
            if self.flushing.load(Ordering::SeqCst) == 0 {
                break;
            }
            if let Some(connection) = &connection {
                let _ = connection.publish(&last.subject(), []);
            }
            thread::sleep(BETWEEN_POKES);
        }
        if let Some(connection) = connection {
            say(&connection, last);
        }
    }

    /// The flusher: sends what was handed over, learns what the server has taken, and asks an idle
    /// server whether it lives.
    fn flush_until_it_ends(&self, kicked: &Receiver<()>) {
        while kicked.recv_timeout(IDLE) != Err(RecvTimeoutError::Disconnected) {
            // First: whoever takes the connection away looks whether somebody has it.
            self.flushing.store(self.clock(), Ordering::SeqCst);
            let flushed = self.flush_once();
            self.flushing.store(0, Ordering::SeqCst);
            match flushed {
                Some(Ok(handed)) => self.taken.fetch_max(handed, Ordering::AcqRel),
                Some(Err(error)) => match error.kind() {
                    // Its threads are as stuck as the server: once more, to say the last word.
                    io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock => {
                        self.give_up();
                        continue;
                    }
                    _ => return self.close(),
                },
                None => return,
            };
            let guard = lock(&self.progress.0);
            self.progress.1.notify_all();
            drop(guard);
        }
    }

    /// One flush, and how many bytes the server had taken by its end; none if it has ended.
    fn flush_once(&self) -> Option<io::Result<u64>> {
        let connection = lock(&self.crates).clone();
        let connection = connection.or_else(|| lock(&self.given_up).clone())?;
        let handed = self.all_handed();
        let flushed = connection.flush_timeout(FLUSH);
        if self.has_ended() {
            // What was said when it ended may have found no room, or was answered before nobody held
            // the connection any more.
            let given_up = lock(&self.given_up).is_some();
            say(
                &connection,
                if given_up {
                    LastWord::HangUp
                } else {
                    LastWord::Ping
                },
            );
            return None;
        }
        Some(flushed.map(|()| handed))
    }
}

/// Says `last`, and by that has the crate's flushing thread look up: it sees that nobody holds the
/// connection any more, once it is dropped. It would sleep for two minutes otherwise.
fn say(connection: &nats::Connection, last: LastWord) {
    let _ = connection.try_publish_with_reply_or_headers(&last.subject(), None, None, []);
}

/// Tells a connection that the crate's reading thread has ended, which may panic: it does where a
/// line of over 4 KiB comes in two reads.
struct Reader {
    connection: Weak<Connection>,
    _remains: Arc<Remains>,
}

impl Drop for Reader {
    fn drop(&mut self) {
        if let Some(connection) = self.connection.upgrade() {
            match connection.has_ended() {
                true => drop(lock(&connection.given_up).take()),
                // Nobody else closes the socket.
                false => connection.break_off(LastWord::HangUp),
            }
        }
    }
}

thread_local! {
    static READER: RefCell<Option<Reader>> = const { RefCell::new(None) };
}

/// Called on the crate's reading thread before it connects.
pub(super) fn reads(connection: &Weak<Connection>, remains: &Weak<Remains>) {
    if let Some(remains) = remains.upgrade() {
        READER.with_borrow_mut(|reader| {
            reader.get_or_insert(Reader {
                connection: Weak::clone(connection),
                _remains: remains,
            });
        });
    }
}
