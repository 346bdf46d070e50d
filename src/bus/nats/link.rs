//! The link of a proxy to one server: a socket of ours for what leaves, the crate for requests.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crossbeam_channel::Receiver;

use super::dial::dial;
use super::inbox::NatsInbox;
use super::incoming::{Greeting, Incoming};
use super::outgoing::Outgoing;
use super::protocol;
use super::topics::{Limits, Listening, NatsTopics};
use crate::address::BusServer;
use crate::bus::link::{LARGEST_REQUEST, Use};
use crate::bus::places::Places;
use crate::bus::{BusError, Connected, Hear, Link, Mark, Reply, Terms, Topic, Topics};
use crate::occasionally::Occasionally;
use crate::wire::subject::publishable;

/// A link to one NATS server: the connection that everything leaves on, by which it lives and dies,
/// where also the commands of dialogs come, and the one that requests come on.
pub struct NatsLink {
    outgoing: Arc<Outgoing<Listening>>,
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
        let dialled = dial(server, &terms.name, LARGEST_REQUEST)?;
        let (greeting, info) = (Greeting::of(&dialled), dialled.info);
        let outgoing = Outgoing::start(dialled.socket, dialled.lines)
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
}

impl Connected for NatsLink {
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
