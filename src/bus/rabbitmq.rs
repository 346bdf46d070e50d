//! RabbitMQ behind the trait. The crate's defects (crates.md) are contained here:
//!
//! - It never sets TCP_NODELAY, has no deadline and no TLS but OpenSSL's: it gets a `stream` of ours.
//! - Messages that it cannot parse end the connection, and come again: `payloads` lets none through.
//! - Its thread is woken for every part of every message, and for every confirm wakes another: messages
//!   leave by a `writer`, and confirms are heard by `frames`, without it.
//! - A call waits for as long as the broker says nothing: a link that is given up cuts the sockets,
//!   and heartbeats give up one that is silent for ten seconds.
//! - What a broker has not confirmed is bounded by a `ledger`, beyond that nothing is handed over.
//! - Subscriptions borrow their channel: an inbox is lent to the thread that uses it.
//! - It does not check the lengths of routing keys: `topology` does.
//! - It takes the smaller of both sides' heartbeats, and 0 for none: `payloads` sees to ours.
//! - It gives a connection up when it has a message for a consumer that is gone, and the end of a
//!   consumer is one: an inbox waits for it.
//! - Whatever is asked by it waits for the broker, a consumer borrows its channel: dialogs have channels
//!   of our own (`topics`), which it has opened and knows nothing more of.
//! - It logs passwords: nothing of it is logged, and what ends a connection is asked of it.
//!
//! A link is three connections: a broker that blocks publishers stops reading from theirs, and an
//! answer may end its own. There is a fourth for answers to reply addresses that look like that.

mod answers;
mod channel;
mod contents;
mod dialogs;
mod frames;
mod inbox;
mod ledger;
mod message;
mod methods;
mod offers;
mod opening;
mod payloads;
mod receipts;
mod removals;
mod reply;
mod softening;
mod stream;
mod told;
mod topics;
mod topology;
mod writer;

use std::fmt;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use amiquip::{Channel, Connection, Error};
use crossbeam_channel::{Receiver, Sender, bounded};

use self::answers::Answers;
use self::inbox::RabbitInbox;
use self::ledger::Ledger;
use self::message::{ANSWER_EXPIRATION, DIALOG_EXPIRATION, EVENT_EXPIRATION, Message};
use self::offers::{Offers, Published};
use self::opening::{Cutter, open};
use self::reply::Address;
use self::stream::Heard;
use self::told::{Silence, Told, Watched, confirms, largest};
use self::topics::{Commands, Desk, RabbitTopics};
use self::topology::{check_key, exchange};
use self::writer::Writer;
use super::link::Use;
use super::{BusError, Hear, Link, Loss, Mark, Reply, Terms, Topic, Topics};
use crate::address::BusServer;

/// What may be on its way of events, in bytes: enough for 20 000 a second over a link that delays
/// 200 ms.
const WINDOW: usize = 4 * 1024 * 1024;

/// A link to one broker.
pub struct RabbitLink {
    shared: Arc<Shared>,
    gone: Receiver<()>,
}

/// What the link, its inboxes and its watching thread share.
struct Shared {
    lost: AtomicBool,
    /// Dropped when the link is lost.
    alive: Mutex<Option<Sender<()>>>,
    why: Mutex<Option<String>>,
    /// The channel of events and announcements, and its number.
    events: Mutex<Channel>,
    number: u16,
    /// Where they leave.
    writer: Arc<Writer>,
    /// Where acknowledgements of requests leave.
    requests: Arc<Writer>,
    ledger: Arc<Ledger>,
    offers: Arc<Offers>,
    desk: Arc<Desk>,
    /// The channels of the topics of dialogs, on which the crate does nothing; kept, so that it uses their
    /// numbers for no others. Held while they are opened.
    reserved: Mutex<Option<[Channel; 2]>>,
    answers: Arc<Answers>,
    /// For reply addresses that may end the connection; opened with the first.
    doubtful: Mutex<Option<Arc<Answers>>>,
    /// Whether that is being opened.
    doubting: AtomicBool,
    server: BusServer,
    terms: Terms,
    silence: Mutex<Option<Silence>>,
    publishing: Mutex<Option<Connection>>,
    /// Held while a channel is opened: all who wait for it want that too.
    consuming: Mutex<Option<Connection>>,
    cutters: [Cutter; 2],
    heard: Arc<Heard>,
    address: SocketAddr,
    /// What the names of its queues end with.
    token: String,
}

impl RabbitLink {
    /// Connects to `server`.
    pub fn connect(server: &BusServer, terms: &Terms) -> Result<Arc<dyn Link>, BusError> {
        let ledger = Arc::<Ledger>::default();
        let (offers, desk) = (Arc::<Offers>::default(), Arc::<Desk>::default());
        let published = Published::new(&ledger, terms, &offers, &desk.ears);
        let mut publishing = open(server, &terms.name, None, Box::new(published))?;
        let address = publishing.address;
        let commands = Box::new(Commands::new(&desk));
        let mut consuming = open(server, &terms.name, Some(address), commands)?;
        let lost = |error: Error| BusError::Unreachable(format!("{server}: {error}"));
        let events = publishing.connection.open_channel(None).map_err(lost)?;
        topology::declare_exchanges(&events)?;
        let told = Told {
            confirms: confirms(&events).map_err(lost)?,
            blocked: publishing
                .connection
                .listen_for_connection_blocked()
                .map_err(lost)?,
            consuming: consuming
                .connection
                .listen_for_connection_blocked()
                .map_err(lost)?,
        };
        let answers = Answers::open(server, terms, address)?;
        let (alive, gone) = bounded(0);
        let shared = Arc::new(Shared {
            lost: AtomicBool::new(false),
            alive: Mutex::new(Some(alive)),
            why: Mutex::new(None),
            number: events.channel_id(),
            events: Mutex::new(events),
            writer: publishing.writer,
            requests: consuming.writer,
            ledger,
            offers,
            desk,
            reserved: Mutex::new(None),
            answers,
            doubtful: Mutex::new(None),
            doubting: AtomicBool::new(false),
            server: server.clone(),
            terms: terms.clone(),
            silence: Mutex::default(),
            publishing: Mutex::new(Some(publishing.connection)),
            consuming: Mutex::new(Some(consuming.connection)),
            cutters: [publishing.cutter, consuming.cutter],
            heard: publishing.heard,
            address,
            token: topology::new_link(),
        });
        let link = RabbitLink {
            shared: Arc::clone(&shared),
            gone,
        };
        thread::Builder::new()
            .name("bus-confirm".into())
            .spawn(move || {
                // However it ends.
                let link = Watched(&shared);
                link.0.listen(&told);
            })
            .map_err(|error| BusError::Unreachable(format!("no thread: {error}")))?;
        Ok(Arc::new(link))
    }
}

impl fmt::Display for RabbitLink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.shared.server.fmt(f)
    }
}

impl Link for RabbitLink {
    fn publish(
        &self,
        topic: Topic,
        subject: &str,
        mark: Option<&Mark>,
        body: &[u8],
    ) -> Result<Option<u64>, BusError> {
        self.shared.check(subject, body)?;
        if self.is_lost() {
            return Err(BusError::Lost);
        }
        let loss = match topic {
            Topic::Event => Some(Loss::Event),
            Topic::Dialog | Topic::Direct => Some(Loss::Dialog),
            _ => None,
        };
        let message = Message {
            exchange: exchange(topic),
            key: subject,
            mandatory: false,
            mark,
            correlation: None,
            expiration: match topic {
                Topic::Direct => DIALOG_EXPIRATION,
                _ => EVENT_EXPIRATION,
            },
            id: None,
            body,
        };
        let (shared, channel) = (&self.shared, self.shared.number);
        // Where nothing leaves any more, the link is lost soon.
        let number = shared.writer.put(channel, |frames, largest| {
            let number = shared.ledger.hand_over(body.len(), loss, WINDOW)?;
            message.put(channel, largest, frames);
            Some(number)
        });
        let number = number.ok_or(BusError::Busy)?;
        Ok((topic != Topic::Announce).then_some(number))
    }

    fn taken(&self) -> u64 {
        self.shared.ledger.taken()
    }

    fn is_uncertain(&self) -> bool {
        // What it has not confirmed is published again.
        false
    }

    fn heard(&self) -> Instant {
        self.shared.heard.last()
    }

    fn answer(&self, reply: &Reply, body: &[u8]) -> Result<(), BusError> {
        let address = Address::of(&reply.to);
        let message = Message {
            exchange: "",
            key: &reply.to,
            // What nobody is there for comes back and is counted; not from direct reply-to, where
            // RabbitMQ 3.10 sends back what it has delivered.
            mandatory: address == Address::Queue,
            mark: None,
            correlation: reply.correlation.as_deref(),
            expiration: ANSWER_EXPIRATION,
            id: None,
            body,
        };
        self.shared.check(message.key, body)?;
        if self.is_lost() {
            return Err(BusError::Lost);
        }
        match address {
            Address::Queue | Address::Direct => self.shared.answers.send(&message),
            Address::Doubtful => self.shared.doubtful()?.send(&message),
        }
    }

    fn flush(&self) {
        self.shared.writer.flush();
    }

    fn wait(&self, limit: Duration) {
        self.shared.ledger.wait_for_room(limit);
    }

    fn settle(&self, limit: Duration) -> bool {
        let deadline = Instant::now() + limit;
        self.shared.ledger.wait_for_all(limit);
        self.shared.answers.settle(deadline) && self.shared.ledger.unsettled() == 0
    }

    fn with_inbox(&self, topic: Topic, work: Use<'_>) -> Result<(), BusError> {
        let channel = self.shared.open_channel()?;
        let window = self.shared.terms.window;
        channel.qos(0, window, false).map_err(|_| BusError::Lost)?;
        let (shared, gone) = (&self.shared, &self.gone);
        work(&mut RabbitInbox::new(&channel, topic, shared, gone));
        Ok(())
    }

    fn topics(
        &self,
        application: &str,
        _: Option<&str>,
        hear: Hear,
    ) -> Result<Box<dyn Topics>, BusError> {
        // Those who read a queue share it, whatever group they are of.
        Ok(Box::new(RabbitTopics::open(
            &self.shared,
            application,
            hear,
        )?))
    }

    fn check(&self) {
        // Whether it is there, the heartbeats see to.
        self.shared.look_for_silence();
    }

    fn lost(&self) -> &Receiver<()> {
        &self.gone
    }

    fn is_lost(&self) -> bool {
        self.shared.is_lost()
    }

    fn why(&self) -> Option<String> {
        lock(&self.shared.why).clone()
    }

    fn peer(&self) -> String {
        self.shared.address.to_string()
    }

    fn close(&self) {
        if !self.is_lost() {
            self.shared.answers.close(true);
            if let Some(doubtful) = lock(&self.shared.doubtful).take() {
                doubtful.close(true);
            }
            for connection in [&self.shared.consuming, &self.shared.publishing] {
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
        for cutter in &self.cutters {
            cutter.cut();
        }
        self.answers.close(false);
        if let Some(doubtful) = lock(&self.doubtful).take() {
            doubtful.close(false);
        }
        self.ledger.close();
        drop(lock(&self.alive).take());
    }

    fn check(&self, key: &str, body: &[u8]) -> Result<(), BusError> {
        check_key(key)?;
        let (size, limit) = (body.len(), self.terms.largest.load(Ordering::Relaxed));
        if size > limit {
            return Err(BusError::TooLarge { size, limit });
        }
        Ok(())
    }

    /// A channel for what comes.
    fn open_channel(&self) -> Result<Channel, BusError> {
        let opened = lock(&self.consuming)
            .as_mut()
            .map(|connection| connection.open_channel(None));
        let denied = |error: Error| match error {
            Error::ExhaustedChannelIds | Error::UnavailableChannelId { .. } => BusError::Denied {
                what: "open eight channels on a connection".to_owned(),
                why: error.to_string(),
            },
            _ => BusError::Lost,
        };
        opened.ok_or(BusError::Lost)?.map_err(denied)
    }

    /// Notes why the link is lost, and what is to be learnt of that.
    fn blame(&self, why: String) {
        if let Some(limit) = largest(&why) {
            self.terms.largest.store(limit, Ordering::Relaxed);
        }
        lock(&self.why).get_or_insert(why);
    }

    /// Where answers to doubtful addresses leave. The first of them opens it; others that come
    /// meanwhile find the bus busy.
    fn doubtful(&self) -> Result<Arc<Answers>, BusError> {
        if let Some(answers) = &*lock(&self.doubtful) {
            return Ok(Arc::clone(answers));
        }
        if self.doubting.swap(true, Ordering::AcqRel) {
            return Err(BusError::Busy);
        }
        let opened = Answers::open(&self.server, &self.terms, self.address);
        self.doubting.store(false, Ordering::Release);
        let answers = opened?;
        *lock(&self.doubtful) = Some(Arc::clone(&answers));
        if self.is_lost() {
            answers.close(false);
        }
        Ok(answers)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // What is guarded is whole after every statement.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
