//! RabbitMQ behind the trait. The crate's defects (crates.md) are contained here:
//!
//! - It never sets TCP_NODELAY, has no deadline and no TLS but OpenSSL's: it gets a `stream` of ours.
//! - Messages that it cannot parse end the connection, and come again: `frames` lets none through.
//! - A call waits for as long as the broker says nothing: a link that is given up cuts the sockets,
//!   and heartbeats give up one that is silent for ten seconds.
//! - Publishing waits for a broker that takes nothing: what it has not confirmed is bounded by a
//!   `ledger`, beyond that nothing is handed over.
//! - Subscriptions borrow their channel: an inbox is lent to the thread that uses it.
//! - It does not check the lengths of routing keys: `topology` does.
//!
//! A link is two connections, as a broker that blocks publishers stops reading from theirs.

mod frames;
mod inbox;
mod ledger;
mod opening;
mod stream;
mod topology;

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use amiquip::{
    AmqpProperties, Channel, Confirm, Connection, ConnectionBlockedNotification, Publish, Return,
};
use crossbeam_channel::{Receiver, Sender, bounded, select};

use self::inbox::RabbitInbox;
use self::ledger::Ledger;
use self::opening::{Cutter, open};
use self::topology::{check_key, exchange};
use super::link::Use;
use super::{BusError, Link, Loss, Reply, Terms, Topic};
use crate::config::BusServer;
use crate::logging::Occasionally;

/// What may be on its way, in bytes, of events: enough for 20 000 a second over a link that delays
/// 200 ms.
const EVENTS_WINDOW: usize = 4 * 1024 * 1024;
/// The same of answers, which do not wait for room.
const ANSWERS_WINDOW: usize = 8 * 1024 * 1024;
/// Largest message, in bytes: what RabbitMQ 4 takes by default. A larger one would end the channel.
const LARGEST: usize = 16 * 1024 * 1024;

/// Two connections to one broker.
pub struct RabbitLink {
    shared: Arc<Shared>,
    gone: Receiver<()>,
    server: String,
    window: u16,
    /// Held for as long as it takes to hand a message to the crate's thread.
    events: Mutex<Channel>,
    answers: Mutex<Channel>,
    publishing: Mutex<Option<Connection>>,
    /// Held while a channel is opened: all who wait for it want that too.
    consuming: Mutex<Option<Connection>>,
}

/// What the link, its inboxes and its watching thread share.
struct Shared {
    lost: AtomicBool,
    /// Dropped when the link is lost.
    alive: Mutex<Option<Sender<()>>>,
    events: Ledger,
    answers: Ledger,
    cutters: [Cutter; 2],
}

/// What the broker tells a link.
struct Told {
    events: Receiver<Confirm>,
    answers: Receiver<Confirm>,
    returned: Receiver<Return>,
    blocked: Receiver<ConnectionBlockedNotification>,
    /// Only of interest for its end.
    consuming: Receiver<ConnectionBlockedNotification>,
}

impl RabbitLink {
    /// Connects to `server`.
    pub fn connect(server: &BusServer, terms: &Terms) -> Result<Arc<dyn Link>, BusError> {
        let mut publishing = open(server, &terms.name)?;
        let mut consuming = open(server, &terms.name)?;
        let lost = |error: amiquip::Error| BusError::Unreachable(format!("{server}: {error}"));
        let events = publishing.connection.open_channel(None).map_err(lost)?;
        let answers = publishing.connection.open_channel(None).map_err(lost)?;
        topology::declare_exchanges(&events)?;
        let told = Told {
            events: confirms(&events).map_err(lost)?,
            answers: confirms(&answers).map_err(lost)?,
            returned: answers.listen_for_returns().map_err(lost)?,
            blocked: publishing
                .connection
                .listen_for_connection_blocked()
                .map_err(lost)?,
            consuming: consuming
                .connection
                .listen_for_connection_blocked()
                .map_err(lost)?,
        };
        let (alive, gone) = bounded(0);
        let link = RabbitLink {
            shared: Arc::new(Shared {
                lost: AtomicBool::new(false),
                alive: Mutex::new(Some(alive)),
                events: Ledger::default(),
                answers: Ledger::default(),
                cutters: [publishing.cutter, consuming.cutter],
            }),
            gone,
            server: server.to_string(),
            window: terms.window,
            events: Mutex::new(events),
            answers: Mutex::new(answers),
            publishing: Mutex::new(Some(publishing.connection)),
            consuming: Mutex::new(Some(consuming.connection)),
        };
        let (shared, losses) = (Arc::clone(&link.shared), Arc::clone(&terms.losses));
        thread::Builder::new()
            .name("bus-confirm".into())
            .spawn(move || {
                shared.listen(&told, &*losses);
                shared.lose();
            })
            .map_err(|error| BusError::Unreachable(format!("no thread: {error}")))?;
        Ok(Arc::new(link))
    }

    /// Hands a message over that does not wait for room.
    fn send(&self, to: &str, publish: Publish<'_>) -> Result<(), BusError> {
        check(&publish)?;
        let channel = lock(&self.answers);
        if self.is_lost() {
            return Err(BusError::Lost);
        }
        self.shared
            .answers
            .hand_over(publish.body.len(), ANSWERS_WINDOW)
            .ok_or(BusError::Busy)?;
        channel
            .basic_publish(to, publish)
            .map_err(|_| self.shared.lose())
            .map_err(|()| BusError::Lost)
    }
}

/// Has `channel` confirm what is published on it.
fn confirms(channel: &Channel) -> amiquip::Result<Receiver<Confirm>> {
    let confirms = channel.listen_for_publisher_confirms()?;
    channel.enable_publisher_confirms()?;
    Ok(confirms)
}

fn check(publish: &Publish<'_>) -> Result<(), BusError> {
    check_key(&publish.routing_key)?;
    if publish.body.len() > LARGEST {
        return Err(BusError::TooLarge {
            size: publish.body.len(),
            limit: LARGEST,
        });
    }
    Ok(())
}

fn message<'a>(key: &str, body: &'a [u8], properties: AmqpProperties) -> Publish<'a> {
    Publish::with_properties(body, key, properties)
}

impl fmt::Display for RabbitLink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.server)
    }
}

impl Link for RabbitLink {
    fn publish(&self, topic: Topic, subject: &str, body: &[u8]) -> Result<Option<u64>, BusError> {
        let publish = message(subject, body, topology::event_properties());
        if topic != Topic::Event {
            return self.send(exchange(topic), publish).map(|()| None);
        }
        check(&publish)?;
        let channel = lock(&self.events);
        if self.is_lost() {
            return Err(BusError::Lost);
        }
        let number = self.shared.events.hand_over(body.len(), EVENTS_WINDOW);
        let number = number.ok_or(BusError::Busy)?;
        match channel.basic_publish(exchange(topic), publish) {
            Ok(()) => Ok(Some(number)),
            Err(_) => {
                self.shared.lose();
                Err(BusError::Lost)
            }
        }
    }

    fn taken(&self) -> u64 {
        self.shared.events.taken()
    }

    fn answer(&self, reply: &Reply, body: &[u8]) -> Result<(), BusError> {
        let properties = topology::answer_properties(reply.correlation.as_deref());
        // Mandatory: what nobody is there for comes back and is counted.
        let publish = Publish {
            mandatory: true,
            ..message(&reply.to, body, properties)
        };
        self.send("", publish)
    }

    fn flush(&self) {
        // The crate's thread sends at once.
    }

    fn wait(&self, limit: Duration) {
        self.shared.events.wait_for_room(limit);
    }

    fn settle(&self, limit: Duration) -> bool {
        let deadline = Instant::now() + limit;
        for ledger in [&self.shared.events, &self.shared.answers] {
            ledger.wait_for_all(deadline.saturating_duration_since(Instant::now()));
        }
        self.shared.events.is_settled() && self.shared.answers.is_settled()
    }

    fn with_inbox(&self, topic: Topic, work: Use<'_>) -> Result<(), BusError> {
        let channel = match &mut *lock(&self.consuming) {
            Some(connection) => connection.open_channel(None).map_err(|_| BusError::Lost)?,
            None => return Err(BusError::Lost),
        };
        channel
            .qos(0, self.window, false)
            .map_err(|_| BusError::Lost)?;
        work(&mut RabbitInbox::new(
            &channel,
            topic,
            &self.shared,
            &self.gone,
        ));
        Ok(())
    }

    fn check(&self) {
        // The heartbeats do.
    }

    fn lost(&self) -> &Receiver<()> {
        &self.gone
    }

    fn is_lost(&self) -> bool {
        self.shared.is_lost()
    }

    fn close(&self) {
        if !self.is_lost() {
            for connection in [&self.consuming, &self.publishing] {
                let connection = lock(connection).take();
                // One that fails is as closed as one that does not.
                let _ = connection.map(Connection::close);
            }
        }
        self.shared.lose();
    }
}

impl Drop for RabbitLink {
    fn drop(&mut self) {
        // The crate says goodbye and waits for the answer: not of a broker that is stuck.
        self.shared.lose();
    }
}

impl Shared {
    fn is_lost(&self) -> bool {
        self.lost.load(Ordering::Acquire)
    }

    fn lose(&self) {
        if self.lost.swap(true, Ordering::AcqRel) {
            return;
        }
        drop(lock(&self.alive).take());
        for cutter in &self.cutters {
            cutter.cut();
        }
        self.events.close();
        self.answers.close();
    }

    /// Listens to what the broker tells until one of the connections or channels has ended.
    fn listen(&self, told: &Told, losses: &dyn Fn(Loss)) {
        let refusals = Occasionally::new();
        loop {
            select! {
                recv(told.events) -> confirm => match confirm {
                    Ok(confirm) => confirmed(confirm, &self.events, || {
                        if refusals.now() {
                            log::warn!("bus: the broker refuses events: is a queue full?");
                        }
                        losses(Loss::Event);
                    }),
                    Err(_) => return,
                },
                recv(told.answers) -> confirm => match confirm {
                    Ok(confirm) => confirmed(confirm, &self.answers, || losses(Loss::Answer)),
                    Err(_) => return,
                },
                recv(told.returned) -> returned => match returned {
                    Ok(_) => losses(Loss::Answer),
                    Err(_) => return,
                },
                recv(told.blocked) -> note => match note {
                    Ok(ConnectionBlockedNotification::Blocked(reason)) => {
                        log::warn!("bus: the broker takes nothing ({reason}); events wait here");
                        self.events.block(true);
                    }
                    Ok(ConnectionBlockedNotification::Unblocked) => {
                        log::info!("bus: the broker takes messages again");
                        self.events.block(false);
                    }
                    Err(_) => return,
                },
                recv(told.consuming) -> note => if note.is_err() {
                    return;
                },
            }
        }
    }
}

/// Notes a confirm; `refused` is called for each message that the broker did not take.
fn confirmed(confirm: Confirm, ledger: &Ledger, refused: impl Fn()) {
    let (Confirm::Ack(what) | Confirm::Nack(what)) = confirm;
    let before = ledger.taken();
    ledger.take(what.delivery_tag, what.multiple);
    if matches!(confirm, Confirm::Nack(_)) {
        let count = match what.multiple {
            true => ledger.taken().saturating_sub(before),
            false => 1,
        };
        (0..count).for_each(|_| refused());
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // What is guarded is whole after every statement.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
