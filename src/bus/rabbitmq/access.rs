//! The access of an application to one broker: two connections, one on which it asks and one on which it
//! hears, since a broker that blocks publishers stops reading from theirs.
//!
//! | file | noun |
//! |---|---|
//! | `asks` | the connection on which it asks, and sorts the events of groups |
//! | `hears` | the connection on which it hears |
//! | `addresses` | reply addresses, one for each open question |
//! | `interests` | who an event is for |
//! | `calls` | the calls that a listener has in hand |
//! | `channel` | what is asked on a channel, and what becomes of it |
//! | `mail` | frames, made into messages |
//! | `methods` | what the broker is asked, and says |
//! | `loss` | the end of an access, and why |
//!
//! The crate opens the connections, keeps their heartbeats and knows of no channel: what comes is heard on
//! the thread of the connection, before the crate, and there is no thread of ours. Who hears does not
//! wait, and nothing is queued here, however much comes.
//!
//! What a broker refuses is told to who subscribed, and the rest goes on. A queue that is deleted while it
//! is read ends the access: the next declares all anew, and all who subscribed know of the gap.

mod addresses;
mod asks;
mod calls;
mod channel;
mod hears;
mod interests;
mod loss;
mod mail;
mod methods;
#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use amiquip::Connection;
use crossbeam_channel::{Receiver, bounded, select};

use self::asks::Asks;
use self::channel::Outcome;
use self::hears::Hears;
use self::interests::key;
use self::loss::{Loss, Side};
use self::methods::{Binding, Call, Fanout, Kind};
use super::lock;
use super::opening::{Opened, open};
use super::topology::{check_key, exchange, new_link, own_queue};
use super::writer::Writer;
use crate::address::BusServer;
use crate::bus::access::LARGEST;
use crate::bus::{Access, BusError, Connected, HearAccess, Interest, Question, Topic};

/// How long a broker that is asked for a queue may be silent.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long one that is left may take to say goodbye.
const GOODBYE: Duration = Duration::from_secs(1);
/// The exchanges, and whether each gives everything to everybody.
const EXCHANGES: [(Topic, Fanout); 4] = [
    (Topic::Event, Fanout(false)),
    (Topic::Request, Fanout(false)),
    (Topic::Ping, Fanout(true)),
    (Topic::Announce, Fanout(true)),
];

/// An access to one broker.
pub struct RabbitAccess {
    asks: Arc<Asks>,
    hears: Arc<Hears>,
    /// The ways out of the connections of both.
    asking: Arc<Writer>,
    hearing: Arc<Writer>,
    loss: Arc<Loss>,
    gone: Receiver<()>,
    /// By a thread of the crate they must not be dropped: they wait for it.
    connections: Mutex<Vec<(Side, Connection)>>,
    server: BusServer,
    peer: String,
    /// What the names of its queues end with.
    token: String,
}

impl RabbitAccess {
    /// Connects to `server`, shown there under `name`.
    pub fn connect(
        server: &BusServer,
        name: &str,
        hear: &HearAccess,
    ) -> Result<Arc<dyn Access>, BusError> {
        let (loss, gone) = Loss::new();
        let (asks, hears) = (Asks::new(hear, &loss), Hears::new(hear, &loss));
        let asking = open(server, name, None, asks.ears())?;
        let address = asking.address;
        let hearing = open(server, name, Some(address), hears.ears())?;
        let mut connections = Vec::new();
        let mut keep = |side, opened: Opened| {
            loss.add(opened.cutter);
            connections.push((side, opened.connection));
            opened.writer
        };
        let asking = keep(Side::Asking, asking);
        let hearing = keep(Side::Hearing, hearing);
        let access = RabbitAccess {
            asks,
            hears,
            asking,
            hearing,
            loss,
            gone,
            connections: Mutex::new(connections),
            server: server.clone(),
            peer: address.to_string(),
            token: new_link(),
        };
        access.declare_exchanges()?;
        Ok(Arc::new(access))
    }

    /// Declares the exchanges, which a proxy of CyCoreSystems does not all. One that is there and that we
    /// may not declare is as good.
    fn declare_exchanges(&self) -> Result<(), BusError> {
        for (topic, fanout) in EXCHANGES {
            match self.declare(&Call::Exchange(exchange(topic), fanout)) {
                Err(error @ BusError::Declined { .. }) => log::info!("bus: {error}"),
                outcome => outcome?,
            }
        }
        Ok(())
    }

    fn declare(&self, call: &Call<'_>) -> Outcome {
        self.wait(&self.hears.declare(call, &self.hearing))
    }

    /// Waits for the broker.
    fn wait(&self, outcome: &Receiver<Outcome>) -> Outcome {
        select! {
            recv(outcome) -> outcome => outcome.unwrap_or(Err(BusError::Lost)),
            recv(self.gone) -> _ => Err(BusError::Lost),
            default(PATIENCE) => Err(BusError::Busy),
        }
    }

    /// The queue that all its events come from.
    fn events(&self) -> String {
        own_queue(exchange(Topic::Event), &self.token)
    }

    /// Hears events with everybody else.
    fn subscribe_alone(&self, number: u64, interest: &Interest) -> Outcome {
        let key = key(&interest.subject, interest.below);
        check_key(&key)?;
        let queue = self.events();
        self.declare(&Call::Queue(&queue, Kind::Own))?;
        if let Some(outcome) = self.hears.read_events(&queue, &self.hearing)? {
            self.wait(&outcome)?;
        }
        self.hears.add(number, interest);
        let binding = Binding {
            queue: &queue,
            exchange: exchange(Topic::Event),
            key: &key,
        };
        self.declare(&Call::Bind(binding))
    }

    /// Hears the calls that are for this member of a group.
    fn subscribe_in(&self, number: u64, interest: &Interest, group: &str) -> Outcome {
        let key = key(&interest.subject, interest.below);
        let calls = format!("{group}.calls");
        check_key(&key)?;
        check_key(&calls)?;
        let binding = Binding {
            queue: group,
            exchange: exchange(Topic::Event),
            key: &key,
        };
        self.declare(&Call::Queue(&calls, Kind::Shared))?;
        self.declare(&Call::Queue(group, Kind::Shared))?;
        self.declare(&Call::Bind(binding))?;
        let outcome = self.hears.read_calls(&calls, number, &self.hearing)?;
        self.wait(&outcome)?;
        let except = interest.below.then(|| interest.subject.clone());
        let queues = (group, calls.as_str());
        let outcome = self.asks.sort(number, queues, except, &self.asking)?;
        self.wait(&outcome)
    }

    /// Closes the connections, and hears why, where they ended by themselves.
    fn say_goodbye(&self) {
        let mut connections = std::mem::take(&mut *lock(&self.connections));
        // The one that ended by itself knows why.
        connections.sort_by_key(|(side, _)| Some(*side) != self.loss.first());
        let lost = self.is_lost();
        for (_, connection) in connections {
            let closed = connection.close();
            if let (true, Err(error)) = (lost, closed) {
                self.loss.blame(error.to_string());
            }
        }
    }
}

/// The error of a broker that allows no more than `most` channels.
fn too_many(most: u16) -> BusError {
    BusError::Denied {
        what: "open one more channel on a connection".to_owned(),
        why: format!("it allows {most}"),
    }
}

impl fmt::Display for RabbitAccess {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.server.fmt(f)
    }
}

impl Access for RabbitAccess {
    fn ask(&self, question: Question<'_>) -> Result<(), BusError> {
        check_key(question.subject)?;
        let (size, limit) = (question.body.len(), LARGEST);
        if size > limit {
            return Err(BusError::TooLarge { size, limit });
        }
        if self.is_lost() {
            return Err(BusError::Lost);
        }
        self.asks.ask(&question, &self.asking)
    }

    fn forget(&self, number: u64, complete: bool) {
        self.asks.forget(number, complete, &self.asking);
    }

    fn ping(&self, subject: &str) -> Result<(), BusError> {
        check_key(subject)?;
        if self.is_lost() {
            return Err(BusError::Lost);
        }
        self.asks.ping(subject, &self.asking)
    }

    fn attend(&self, subject: &str) -> Result<(), BusError> {
        let queue = own_queue(subject, &self.token);
        check_key(&queue)?;
        let binding = Binding {
            queue: &queue,
            exchange: exchange(Topic::Announce),
            key: subject,
        };
        self.declare(&Call::Queue(&queue, Kind::Announcements))?;
        self.declare(&Call::Bind(binding))?;
        let hearing = &self.hearing;
        let outcome = self.hears.read_announcements(&queue, subject, hearing)?;
        self.wait(&outcome)
    }

    fn subscribe(&self, number: u64, interest: &Interest) -> Result<(), BusError> {
        let outcome = match &interest.group {
            None => self.subscribe_alone(number, interest),
            Some(group) => self.subscribe_in(number, interest, group),
        };
        if outcome.is_err() {
            self.unsubscribe(number);
        }
        outcome
    }

    fn unsubscribe(&self, number: u64) {
        if let Some(key) = self.hears.remove(number) {
            let queue = self.events();
            let binding = Binding {
                queue: &queue,
                exchange: exchange(Topic::Event),
                key: &key,
            };
            self.hears.order(&Call::Unbind(binding), &self.hearing);
        }
        self.asks.end_sort(number, &self.asking);
        self.hears.end_calls(number, &self.hearing);
    }
}

impl Connected for RabbitAccess {
    fn check(&self) {
        // Whether it is there, the heartbeats see to.
    }

    fn lost(&self) -> &Receiver<()> {
        &self.gone
    }

    fn is_lost(&self) -> bool {
        self.loss.is_lost()
    }

    fn why(&self) -> Option<String> {
        self.loss.why()
    }

    fn peer(&self) -> String {
        self.peer.clone()
    }

    fn close(&self) {
        let (said, goodbye) = bounded::<()>(0);
        thread::scope(|scope| {
            let say = || {
                let _said = said;
                self.say_goodbye();
            };
            let thread = thread::Builder::new().name("bus-close".into());
            if thread.spawn_scoped(scope, say).is_ok() {
                // Nothing is sent: it is said, or the time is over.
                let _ = goodbye.recv_timeout(GOODBYE);
            }
            // Whoever still waits in the crate does not any more.
            self.loss.lose();
        });
    }
}

impl Drop for RabbitAccess {
    fn drop(&mut self) {
        // The crate says goodbye and waits for the answer: not of a broker that is stuck.
        self.loss.lose();
    }
}
