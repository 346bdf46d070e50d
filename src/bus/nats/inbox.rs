//! Subscriptions on a NATS link.

use std::sync::Arc;
use std::time::Instant;

use crossbeam_channel::{Receiver, Select, TryRecvError};

use super::Shared;
use crate::bus::{BusError, Delivery, Inbox, Next};

/// Messages that may wait in one subscription.
const WAITING: usize = 16_384;

/// Subscriptions on a link.
pub(super) struct NatsInbox {
    shared: Arc<Shared>,
    /// Disconnected when the link is lost.
    gone: Receiver<()>,
    subscriptions: Vec<(String, nats::Subscription)>,
    /// What had come on subscriptions that were left.
    left: Vec<Receiver<nats::Message>>,
}

impl NatsInbox {
    pub(super) fn new(shared: Arc<Shared>, gone: Receiver<()>) -> NatsInbox {
        NatsInbox {
            shared,
            gone,
            subscriptions: Vec::new(),
            left: Vec::new(),
        }
    }
}

impl Inbox for NatsInbox {
    fn listen(&mut self, subjects: &[String], group: Option<&str>) -> Result<(), BusError> {
        let connection = self.shared.connection()?;
        let (stay, leave) = std::mem::take(&mut self.subscriptions)
            .into_iter()
            .partition(|(subject, _)| subjects.contains(subject));
        self.subscriptions = stay;
        for (_, subscription) in leave {
            self.left.push(subscription.receiver().clone());
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
        Ok(())
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
            for receiver in &self.left {
                select.recv(receiver);
            }
            select.ready();
        }
    }

    fn try_next(&mut self) -> Option<Delivery> {
        for (_, subscription) in &self.subscriptions {
            if let Ok(message) = subscription.receiver().try_recv() {
                return Some(delivery(message));
            }
        }
        while let Some(receiver) = self.left.last() {
            match receiver.try_recv() {
                Ok(message) => return Some(delivery(message)),
                // Only the crate's reader held the other end: nothing more comes.
                Err(TryRecvError::Empty | TryRecvError::Disconnected) => {
                    self.left.pop();
                }
            }
        }
        None
    }
}

fn delivery(message: nats::Message) -> Delivery {
    Delivery {
        body: message.data,
        reply: message.reply,
        received: Instant::now(),
    }
}
