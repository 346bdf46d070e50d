//! Subscriptions on a NATS link.

use std::sync::Arc;
use std::time::Instant;

use crossbeam_channel::{Receiver, Select};

use super::Shared;
use crate::bus::{BusError, Delivery, Inbox, Next, Reply, Waiting};

/// Messages that may wait in one subscription.
const WAITING: usize = 16_384;

/// Subscriptions on a link.
pub(super) struct NatsInbox {
    shared: Arc<Shared>,
    /// Disconnected when the link is lost.
    gone: Receiver<()>,
    subscriptions: Vec<(String, nats::Subscription)>,
    /// Subscriptions that the server was told to end, and how many bytes it has taken when it has.
    leaving: Vec<(u64, nats::Subscription)>,
    /// Where the next look for a message begins, so that no subject starves another.
    turn: usize,
}

impl NatsInbox {
    pub(super) fn new(shared: Arc<Shared>, gone: Receiver<()>) -> NatsInbox {
        NatsInbox {
            shared,
            gone,
            subscriptions: Vec::new(),
            leaving: Vec::new(),
            turn: 0,
        }
    }
}

impl Inbox for NatsInbox {
    fn listen(
        &mut self,
        subjects: &[String],
        group: Option<&str>,
        _: Waiting,
    ) -> Result<u64, BusError> {
        let connection = self.shared.connection()?;
        let (stay, leave) = std::mem::take(&mut self.subscriptions)
            .into_iter()
            .partition(|(subject, _)| subjects.contains(subject));
        self.subscriptions = stay;
        for (_, subscription) in leave {
            // One without a number just ends.
            if let Some(sid) = number(&subscription) {
                let taken = self.shared.unsubscribe(sid)?;
                self.leaving.push((taken, subscription));
            }
        }
        for subject in subjects {
            if self.subscriptions.iter().any(|(there, _)| there == subject) {
                continue;
            }
            let subscription = match group {
                Some(group) => connection.queue_subscribe(subject, group),
                None => connection.subscribe(subject),
            };
            let subscription = subscription.map_err(|_| BusError::Lost)?;
            subscription.set_message_limits(WAITING);
            self.subscriptions.push((subject.clone(), subscription));
        }
        let _ = self.shared.kick.try_send(());
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
            if self.shared.is_lost() {
                return Next::Lost;
            }
            let mut select = Select::new();
            select.recv(waker);
            select.recv(&self.gone);
            for (_, subscription) in &self.subscriptions {
                select.recv(subscription.receiver());
            }
            for (_, subscription) in &self.leaving {
                select.recv(subscription.receiver());
            }
            select.ready();
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
            let ended = self.shared.has_taken(*taken) || self.shared.is_lost();
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
