//! The link of a proxy to one broker: three connections, and the fourth for doubtful reply addresses.

use std::fmt;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use amiquip::{Channel, Connection, Error};
use crossbeam_channel::{Receiver, Sender, bounded};

use super::answers::Answers;
use super::inbox::RabbitInbox;
use super::ledger::Ledger;
use super::message::{ANSWER_EXPIRATION, DIALOG_EXPIRATION, EVENT_EXPIRATION, Message};
use super::offers::{Offers, Published};
use super::opening::{Cutter, open};
use super::reply::Address;
use super::stream::Heard;
use super::told::{Silence, Told, Watched, confirms, largest};
use super::topics::{Commands, Desk, RabbitTopics};
use super::topology::{check_key, exchange};
use super::writer::Writer;
use super::{declarations, lock, topology};
use crate::address::BusServer;
use crate::bus::link::Use;
use crate::bus::{BusError, Connected, Hear, Link, Loss, Mark, Reply, Terms, Topic, Topics};

/// What may be on its way of events, in bytes: enough for 20 000 a second over a link that delays
/// 200 ms.
pub(super) const WINDOW: usize = 4 * 1024 * 1024;

/// A link to one broker.
pub struct RabbitLink {
    shared: Arc<Shared>,
    gone: Receiver<()>,
}

/// What the link, its inboxes and its watching thread share.
pub(super) struct Shared {
    pub(super) lost: AtomicBool,
    /// Dropped when the link is lost.
    pub(super) alive: Mutex<Option<Sender<()>>>,
    pub(super) why: Mutex<Option<String>>,
    /// The channel of events and announcements, and its number.
    pub(super) events: Mutex<Channel>,
    pub(super) number: u16,
    /// Where they leave.
    pub(super) writer: Arc<Writer>,
    /// Where acknowledgements of requests leave.
    pub(super) requests: Arc<Writer>,
    pub(super) ledger: Arc<Ledger>,
    pub(super) offers: Arc<Offers>,
    pub(super) desk: Arc<Desk>,
    /// The channels of the topics of dialogs, on which the crate does nothing; kept, so that it uses their
    /// numbers for no others. Held while they are opened.
    pub(super) reserved: Mutex<Option<[Channel; 2]>>,
    pub(super) answers: Arc<Answers>,
    /// For reply addresses that may end the connection; opened with the first.
    pub(super) doubtful: Mutex<Option<Arc<Answers>>>,
    /// Whether that is being opened.
    pub(super) doubting: AtomicBool,
    pub(super) server: BusServer,
    pub(super) terms: Terms,
    pub(super) silence: Mutex<Option<Silence>>,
    pub(super) publishing: Mutex<Option<Connection>>,
    /// Held while a channel is opened: all who wait for it want that too.
    pub(super) consuming: Mutex<Option<Connection>>,
    pub(super) cutters: [Cutter; 2],
    pub(super) heard: Arc<Heard>,
    pub(super) address: SocketAddr,
    /// What the names of its queues end with.
    pub(super) token: String,
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
        declarations::declare_exchanges(&events)?;
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
            reply: None,
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
            reply: None,
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
}

impl Connected for RabbitLink {
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
    pub(super) fn is_lost(&self) -> bool {
        self.lost.load(Ordering::Acquire)
    }

    pub(super) fn lose(&self) {
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

    pub(super) fn check(&self, key: &str, body: &[u8]) -> Result<(), BusError> {
        check_key(key)?;
        let (size, limit) = (body.len(), self.terms.largest.load(Ordering::Relaxed));
        if size > limit {
            return Err(BusError::TooLarge { size, limit });
        }
        Ok(())
    }

    /// A channel for what comes.
    pub(super) fn open_channel(&self) -> Result<Channel, BusError> {
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
    pub(super) fn blame(&self, why: String) {
        if let Some(limit) = largest(&why) {
            self.terms.largest.store(limit, Ordering::Relaxed);
        }
        lock(&self.why).get_or_insert(why);
    }

    /// Where answers to doubtful addresses leave. The first of them opens it; others that come
    /// meanwhile find the bus busy.
    pub(super) fn doubtful(&self) -> Result<Arc<Answers>, BusError> {
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
