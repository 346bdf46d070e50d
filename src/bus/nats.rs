//! NATS behind the trait. The crate's defects (crates.md) are contained here:
//!
//! - It hangs on a silent server: a server is asked for its INFO, and without TLS for a PONG, on a
//!   socket of ours first.
//! - It reconnects by itself, and gives up: it is let go as soon as a connection breaks.
//! - It flushes every 5 ms: a thread of ours flushes when something was published, and each flush
//!   ends with the server's PONG, which also tells how much the server has taken.
//! - It blocks for ever on a server that takes nothing: what the server has not taken yet is bounded;
//!   beyond what the sockets hold, only bodies over 30 KiB are written by the thread that publishes.
//! - It ends a connection over a message that it cannot read, which anybody may send who may send
//!   requests: these have a connection of their own, `incoming`, without which the link lives on.
//! - It forgets a subscription before the server does: the server is told first.
//! - Over TLS its writers swallow what its reader waits for: a flush that waits is poked.
//! - It cannot be made to shut its socket: what is left of a connection to a silent server is counted,
//!   [`places`](super::places).
//! - It panics over a line of more than 4 KiB that comes in two reads: its thread tells us when it ends.
//! - It drops what is too much without a word to whoever asked: that is counted, and it is held back.
//! - It checks neither subjects nor sizes: we do.
//! - It loads the system's certificates even for plain links: it is given an empty list instead.

#![expect(
    deprecated,
    reason = "the crate is deprecated in favour of an asynchronous one; this is the blocking one"
)]

mod connection;
mod inbox;
mod incoming;
mod opening;

use std::fmt;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crossbeam_channel::Receiver;

use self::connection::Connection;
use self::inbox::NatsInbox;
use self::incoming::Incoming;
use self::opening::{Greeting, greet};
use super::link::{EPOCH_HEADER, SEQ_HEADER, Use};
use super::places::Places;
use super::{BusError, Link, Mark, Reply, Terms, Topic};
use crate::config::BusServer;
use crate::logging::Occasionally;
use crate::wire::subject::publishable;

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
/// More than the headers of an event take, in bytes.
const HEADERS: usize = 96;
/// How often handing over is tried again before it is waited for.
const SPINS: u32 = 32;
/// How often a large body waits for the buffer to be empty before it is written all the same.
const PATIENCE: u32 = 8;

/// A link to one NATS server: the connection that everything leaves on, by which it lives and dies,
/// and the one that requests come on.
pub struct NatsLink {
    outgoing: Arc<Connection>,
    incoming: Arc<Incoming>,
    server: String,
    largest: usize,
    /// Whether the server takes headers.
    headers: bool,
    /// When to say that it does not.
    headless: Occasionally,
    /// How many bytes the server has taken when it has the last event.
    event: AtomicU64,
    window: u64,
    /// What the sockets hold even if the server reads nothing.
    held_by_sockets: u64,
}

impl NatsLink {
    /// Connects to `server`. What is left of a connection that is given up later has `places`.
    pub fn connect(
        server: &BusServer,
        terms: &Terms,
        places: &Places,
    ) -> Result<Arc<dyn Link>, BusError> {
        let greeting =
            greet(server).map_err(|error| BusError::Unreachable(format!("{server}: {error}")))?;
        let link = NatsLink::open(server, &greeting, terms, places).map_err(|error| {
            BusError::Refused {
                server: server.to_string(),
                why: error.to_string(),
            }
        })?;
        Ok(Arc::new(link))
    }

    fn open(
        server: &BusServer,
        greeting: &Greeting,
        terms: &Terms,
        places: &Places,
    ) -> io::Result<NatsLink> {
        let outgoing = Connection::open(server, greeting, terms, places)?;
        let largest = outgoing
            .crates()
            .map_err(|_| io::ErrorKind::ConnectionReset)?
            .max_payload();
        Ok(NatsLink {
            incoming: Incoming::new(server, terms, places, &outgoing),
            outgoing,
            server: server.to_string(),
            largest,
            headers: greeting.headers,
            headless: Occasionally::new(),
            event: AtomicU64::new(0),
            window: if greeting.tls { TLS_WINDOW } else { WINDOW },
            held_by_sockets: match greeting.loopback {
                _ if greeting.tls => 0,
                true => WINDOW,
                false => HELD_BY_SOCKETS,
            },
        })
    }

    fn hand_over(
        &self,
        subject: &str,
        headers: Option<&nats::HeaderMap>,
        body: &[u8],
    ) -> Result<(), BusError> {
        if !publishable(subject) {
            return Err(BusError::Subject(subject.to_owned()));
        }
        // Headers count.
        let around = headers.map_or(0, |_| HEADERS);
        if body.len() + around > self.largest {
            return Err(BusError::TooLarge {
                size: body.len() + around,
                limit: self.largest,
            });
        }
        let connection = self.outgoing.crates()?;
        let mut tries = 0_u32;
        loop {
            if self.is_lost() {
                return Err(BusError::Lost);
            }
            let on_its_way = self.outgoing.on_its_way();
            if on_its_way < self.window {
                // Written through where the socket holds it for sure, or where it does not fit into
                // the crate's buffer; everything else must not touch the socket on this thread.
                let held = on_its_way + (body.len() as u64) < self.held_by_sockets;
                let large =
                    body.len() > LARGEST_BUFFERED && (on_its_way == 0 || tries > SPINS + PATIENCE);
                let handed = if held || large {
                    Some(connection.publish_with_reply_or_headers(subject, None, headers, body))
                } else {
                    connection.try_publish_with_reply_or_headers(subject, None, headers, body)
                };
                match handed {
                    Some(Ok(())) => {
                        self.outgoing.handed(subject.len() + around + body.len());
                        return Ok(());
                    }
                    // Nothing whole was written: on another link it is the first time.
                    Some(Err(_)) => {
                        self.outgoing.close();
                        return Err(BusError::Lost);
                    }
                    // The buffer is full, or another thread is at it.
                    None => {}
                }
            }
            tries += 1;
            self.outgoing.kick();
            if tries < SPINS {
                thread::yield_now();
            } else {
                self.outgoing.poke();
                self.outgoing.wait_for_progress(Duration::from_millis(1));
            }
        }
    }
}

fn headers(mark: &Mark) -> nats::HeaderMap {
    let seq = mark.seq.to_string();
    nats::HeaderMap::from_iter([(EPOCH_HEADER, &*mark.epoch), (SEQ_HEADER, &seq)])
}

impl fmt::Display for NatsLink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.server)
    }
}

impl Link for NatsLink {
    fn publish(
        &self,
        topic: Topic,
        subject: &str,
        mark: Option<&Mark>,
        body: &[u8],
    ) -> Result<Option<u64>, BusError> {
        if mark.is_some() && !self.headers && self.headless.now() {
            log::warn!("bus: {self} takes no headers: events.headers has no effect");
        }
        let headers = mark.filter(|_| self.headers).map(headers);
        self.hand_over(subject, headers.as_ref(), body)?;
        let handed = self.outgoing.all_handed();
        if topic == Topic::Event {
            self.event.store(handed, Ordering::Release);
        }
        // An event is not published twice; a status may be, and must not be lost.
        Ok((topic == Topic::Status).then_some(handed))
    }

    fn taken(&self) -> u64 {
        self.outgoing.all_taken()
    }

    fn is_uncertain(&self) -> bool {
        !self.outgoing.has_taken(self.event.load(Ordering::Acquire))
    }

    fn heard(&self) -> Instant {
        Instant::now()
    }

    fn answer(&self, reply: &Reply, body: &[u8]) -> Result<(), BusError> {
        self.hand_over(&reply.to, None, body)
    }

    fn flush(&self) {
        // A kick that is waiting already does for this one too, but tells that the flusher waits.
        self.outgoing.flush();
    }

    fn wait(&self, limit: Duration) {
        self.outgoing.wait_for_progress(limit);
    }

    fn settle(&self, limit: Duration) -> bool {
        self.outgoing.settle(self.outgoing.all_handed(), limit)
    }

    fn with_inbox(&self, _: Topic, work: Use<'_>) -> Result<(), BusError> {
        let connection = self.incoming.wait()?;
        work(&mut NatsInbox::new(&self.incoming, connection));
        Ok(())
    }

    fn check(&self) {
        if self.outgoing.is_silent() {
            log::warn!("bus: {self} does not answer");
            self.outgoing.give_up();
        } else {
            self.incoming.check();
        }
    }

    fn lost(&self) -> &Receiver<()> {
        self.outgoing.gone()
    }

    fn is_lost(&self) -> bool {
        self.outgoing.has_ended()
    }

    fn why(&self) -> Option<String> {
        // The crate does not say.
        None
    }

    fn peer(&self) -> String {
        self.server.clone()
    }

    fn close(&self) {
        // Of a server that was lost on one connection it is not known whether it answers on the other.
        self.incoming.end(!self.is_lost());
        self.outgoing.close();
    }
}

impl Drop for NatsLink {
    fn drop(&mut self) {
        self.close();
    }
}
