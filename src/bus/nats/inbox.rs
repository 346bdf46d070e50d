//! Subscriptions on a NATS link.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Select};

use super::connection::Connection;
use super::incoming::{Attempt, Incoming, Wanted};
use crate::bus::{BusError, Delivery, Inbox, Next, Reply, Waiting};

/// Messages that may wait in one subscription.
const WAITING: usize = 16_384;
/// How long a server may take to hear of subscriptions.
const HEARING: Duration = Duration::from_secs(5);

/// Subscriptions on a link, made again on another connection when theirs has broken.
pub(super) struct NatsInbox<'a> {
    incoming: &'a Arc<Incoming>,
    connection: Arc<Connection>,
    /// What is listened to.
    subjects: Vec<String>,
    group: Option<String>,
    subscriptions: Vec<(String, nats::Subscription)>,
    /// Subscriptions that the server was told to end, and how many bytes it has taken when it has.
    leaving: Vec<(u64, nats::Subscription)>,
    /// Where the next look for a message begins, so that no subject starves another.
    turn: usize,
}

impl<'a> NatsInbox<'a> {
    pub(super) fn new(incoming: &'a Arc<Incoming>, connection: Arc<Connection>) -> NatsInbox<'a> {
        NatsInbox {
            incoming,
            connection,
            subjects: Vec::new(),
            group: None,
            subscriptions: Vec::new(),
            leaving: Vec::new(),
            turn: 0,
        }
    }

    /// Goes on to `connection` from one that has ended. What came on that one is given out first.
    fn move_to(&mut self, connection: Arc<Connection>) {
        self.connection = connection;
        for (taken, _) in &mut self.leaving {
            *taken = 0;
        }
        let old = self.subscriptions.drain(..);
        self.leaving
            .extend(old.map(|(_, subscription)| (0, subscription)));
    }

    /// Subscribes to what it is not yet, and waits until the server has heard of it: what follows, on
    /// another connection, may have a client ask at once.
    fn subscribe(&mut self) -> Result<(), BusError> {
        let crates = self.connection.crates()?;
        let mut bytes = None;
        for subject in &self.subjects {
            if self.subscriptions.iter().any(|(there, _)| there == subject) {
                continue;
            }
            let subscription = match &self.group {
                Some(group) => crates.queue_subscribe(subject, group),
                None => crates.subscribe(subject),
            };
            let subscription = subscription.map_err(|_| BusError::Lost)?;
            subscription.set_message_limits(WAITING);
            self.subscriptions.push((subject.clone(), subscription));
            bytes = Some(self.connection.handed(subject.len()));
        }
        drop(crates);
        match bytes {
            Some(bytes) if self.connection.settle(bytes, HEARING) => Ok(()),
            None => Ok(()),
            Some(_) if self.connection.has_ended() => Err(BusError::Lost),
            Some(_) => Err(BusError::Hangs(self.incoming.server().to_string())),
        }
    }

    /// Where the connection has broken, subscribes on another; if that is being opened, tells so.
    fn heal(&mut self) -> Result<Option<Attempt>, BusError> {
        if !self.connection.has_ended() {
            return Ok(None);
        }
        match self.incoming.want()? {
            Wanted::Opening(attempt) => Ok(Some(attempt)),
            Wanted::Here(connection) => {
                self.move_to(connection);
                match self.subscribe() {
                    // It has broken as well.
                    Err(_) if self.connection.has_ended() => Ok(None),
                    subscribed => subscribed.map(|()| None),
                }
            }
        }
    }

    /// Waits for a message, for `waker`, for an end.
    fn wait(&self, waker: &Receiver<()>) {
        let mut select = Select::new();
        select.recv(waker);
        select.recv(self.incoming.link());
        select.recv(self.connection.gone());
        for (_, subscription) in &self.subscriptions {
            select.recv(subscription.receiver());
        }
        for (_, subscription) in &self.leaving {
            select.recv(subscription.receiver());
        }
        select.ready();
    }
}

/// Waits for the end of `attempt`, for `waker`, for the end of the link; whether the attempt is over.
fn wait_for(attempt: &Attempt, waker: &Receiver<()>, link: &Receiver<()>) -> bool {
    let mut select = Select::new();
    select.recv(waker);
    select.recv(link);
    let over = select.recv(&attempt.ended);
    select
        .ready_deadline(attempt.deadline)
        .map_or(true, |ready| ready == over)
}

impl Inbox for NatsInbox<'_> {
    fn listen(
        &mut self,
        subjects: &[String],
        group: Option<&str>,
        _: Waiting,
    ) -> Result<u64, BusError> {
        self.subjects = subjects.to_vec();
        self.group = group.map(str::to_owned);
        if self.connection.has_ended() {
            let connection = self.incoming.wait()?;
            self.move_to(connection);
        }
        let (stay, leave) = std::mem::take(&mut self.subscriptions)
            .into_iter()
            .partition(|(subject, _)| subjects.contains(subject));
        self.subscriptions = stay;
        for (_, subscription) in leave {
            // One without a number just ends.
            if let Some(sid) = number(&subscription) {
                let taken = self.connection.unsubscribe(sid)?;
                self.leaving.push((taken, subscription));
            }
        }
        self.subscribe()?;
        // Nothing waits on NATS.
        Ok(0)
    }

    fn next(&mut self, waker: &Receiver<()>) -> Next {
        loop {
            if waker.try_recv().is_ok() {
                return Next::Woken;
            }
            if let Some(delivery) = self.try_next() {
                return Next::Delivery(delivery);
            }
            if self.incoming.is_lost() {
                return Next::Lost;
            }
            let failed = match self.heal() {
                Ok(None) => {
                    if !self.connection.has_ended() {
                        self.wait(waker);
                    }
                    continue;
                }
                Ok(Some(attempt)) => match wait_for(&attempt, waker, self.incoming.link()) {
                    true => self.incoming.outcome(&attempt).err(),
                    false => None,
                },
                Err(error) => Some(error),
            };
            match failed {
                None => {}
                Some(_) if self.incoming.is_lost() => return Next::Lost,
                Some(error) => return Next::Ended(error),
            }
        }
    }

    fn try_next(&mut self) -> Option<Delivery> {
        let here = self.subscriptions.len();
        for step in 0..here {
            let index = (self.turn + step) % here;
            if let Some((_, subscription)) = self.subscriptions.get(index)
                && let Ok(message) = subscription.receiver().try_recv()
            {
                self.turn = index + 1;
                return Some(delivery(message));
            }
        }
        while let Some((taken, subscription)) = self.leaving.last() {
            // Looked at first: nothing comes after the server has ended it.
            let ended = self.connection.has_taken(*taken) || self.connection.has_ended();
            match subscription.receiver().try_recv() {
                Ok(message) => return Some(delivery(message)),
                Err(_) if ended => drop(self.leaving.pop()),
                Err(_) => break,
            }
        }
        None
    }

    fn is_leaving(&mut self) -> bool {
        !self.leaving.is_empty()
    }

    fn settle(&mut self) {
        // It gives out no receipts.
    }
}

/// The number of a subscription in the protocol, which the crate shows in its debug form only.
fn number(subscription: &nats::Subscription) -> Option<u64> {
    let shown = format!("{subscription:?}");
    let (_, number) = shown.split_once("sid: ")?;
    let end = number.find(|c: char| !c.is_ascii_digit())?;
    number.get(..end)?.parse().ok()
}

fn delivery(message: nats::Message) -> Delivery {
    Delivery {
        body: message.data,
        reply: message.reply.map(|to| Reply {
            to,
            correlation: None,
        }),
        received: Instant::now(),
        redelivered: false,
        receipt: None,
    }
}
