//! NATS behind the trait: a socket of ours for what leaves, the crate for what comes. The crate's
//! defects (crates.md) are contained here:
//!
//! - It sends nothing at once without waiting for the server's answer, three threads' work for each
//!   event: what leaves, leaves on a connection of our own, `outgoing`.
//! - It hangs on a silent server: a server is greeted on a socket of ours first.
//! - It reconnects by itself, and gives up: it is let go as soon as a connection breaks.
//! - It flushes every 5 ms: a thread of ours flushes when something was subscribed to.
//! - It ends a connection over a message that it cannot read, which anybody may send who may send
//!   requests: these have a connection of their own, `incoming`, without which the link lives on.
//! - It forgets a subscription before the server does: the server is told first.
//! - Over TLS its writers swallow what its reader waits for: a flush that waits is poked.
//! - It cannot be made to shut its socket: what is left of a connection to a silent server is counted,
//!   [`places`](super::places).
//! - It panics over a line of more than 4 KiB that comes in two reads: its thread tells us when it ends.
//! - It drops what is too much without a word to whoever asked: that is counted, and it is held back.
//! - It loads the system's certificates even for plain links: it is given an empty list instead.

#![expect(
    deprecated,
    reason = "the crate is deprecated in favour of an asynchronous one; this is the blocking one"
)]

mod connection;
mod dial;
mod inbox;
mod incoming;
mod opening;
mod outgoing;
mod protocol;
mod said;
mod socket;
mod topics;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crossbeam_channel::Receiver;

use self::dial::{Dialled, dial};
use self::inbox::NatsInbox;
use self::incoming::Incoming;
use self::outgoing::Outgoing;
use self::topics::{Limits, NatsTopics};
use super::link::Use;
use super::places::Places;
use super::{BusError, Hear, Link, Mark, Reply, Terms, Topic, Topics};
use crate::address::BusServer;
use crate::occasionally::Occasionally;
use crate::wire::subject::publishable;

/// A link to one NATS server: the connection that everything leaves on, by which it lives and dies,
/// where also the commands of dialogs come, and the one that requests come on.
pub struct NatsLink {
    outgoing: Arc<Outgoing>,
    incoming: Arc<Incoming>,
    server: String,
    largest: usize,
    /// Whether the server takes headers.
    headers: bool,
    /// When to say that it does not.
    headless: Occasionally,
    /// How many bytes the server has taken when it has the last event.
    event: AtomicU64,
}

impl NatsLink {
    /// Connects to `server`. What is left of a connection that is given up later has `places`.
    pub fn connect(
        server: &BusServer,
        terms: &Terms,
        places: &Places,
    ) -> Result<Arc<dyn Link>, BusError> {
        let Dialled {
            socket,
            info,
            greeting,
            lines,
        } = dial(server, &terms.name)?;
        let outgoing = Outgoing::start(socket, lines)
            .map_err(|error| BusError::Unreachable(format!("no thread: {error}")))?;
        let incoming = Incoming::begin(server, greeting, terms, places, &outgoing)
            // Nobody else ends it: there is no link.
            .inspect_err(|_| outgoing.end())?;
        Ok(Arc::new(NatsLink {
            outgoing,
            incoming,
            server: server.to_string(),
            largest: info.max_payload,
            headers: info.headers,
            headless: Occasionally::new(),
            event: AtomicU64::new(0),
        }))
    }

    fn hand_over(&self, subject: &str, mark: Option<&Mark>, body: &[u8]) -> Result<u64, BusError> {
        if !publishable(subject) {
            return Err(BusError::Subject(subject.to_owned()));
        }
        let headers = mark.map(protocol::headers).unwrap_or_default();
        let size = headers.len() + body.len();
        if size > self.largest {
            return Err(BusError::TooLarge {
                size,
                limit: self.largest,
            });
        }
        self.outgoing.put(subject, &headers, body)
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
        topic: Topic,
        subject: &str,
        mark: Option<&Mark>,
        body: &[u8],
    ) -> Result<Option<u64>, BusError> {
        if mark.is_some() && !self.headers && self.headless.now() {
            log::warn!("bus: {self} takes no headers: events.headers has no effect");
        }
        let mark = mark.filter(|_| self.headers);
        let handed = self.hand_over(subject, mark, body)?;
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
        self.hand_over(&reply.to, None, body)?;
        self.outgoing.flush();
        Ok(())
    }

    fn flush(&self) {
        self.outgoing.flush();
    }

    fn wait(&self, limit: Duration) {
        self.outgoing.wait(limit);
    }

    fn settle(&self, limit: Duration) -> bool {
        self.outgoing.settle(limit)
    }

    fn with_inbox(&self, _: Topic, work: Use<'_>) -> Result<(), BusError> {
        let connection = self.incoming.wait()?;
        work(&mut NatsInbox::new(&self.incoming, connection));
        Ok(())
    }

    fn topics(
        &self,
        _: &str,
        group: Option<&str>,
        hear: Hear,
    ) -> Result<Box<dyn Topics>, BusError> {
        let limits = Limits {
            largest: self.largest,
            headers: self.headers,
        };
        let topics = NatsTopics::start(&self.outgoing, limits, group, hear)?;
        Ok(Box::new(topics))
    }

    fn check(&self) {
        if self.outgoing.is_silent() {
            log::warn!("bus: {self} does not answer");
            self.outgoing.end();
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
        self.outgoing.why()
    }

    fn peer(&self) -> String {
        self.server.clone()
    }

    fn close(&self) {
        // Of a server that was lost on one connection it is not known whether it answers on the other.
        self.incoming.end(!self.is_lost());
        self.outgoing.end();
    }
}

impl Drop for NatsLink {
    fn drop(&mut self) {
        self.close();
    }
}
