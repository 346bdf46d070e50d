//! Subscriptions on a RabbitMQ link: queues that are declared, bound, read and acknowledged.

use std::sync::Arc;
use std::time::{Duration, Instant};

use amiquip::{
    Channel, Consumer, ConsumerMessage, ConsumerOptions, FieldTable, QueueDeleteOptions,
};
use crossbeam_channel::{Receiver, Select, TryRecvError};

use super::declarations::{self, Readers, denied};
use super::link::Shared;
use super::receipts::Receipts;
use super::topology::{self, exchange};
use crate::bus::{BusError, Delivery, Inbox, Next, Receipt, Reply, Topic, Waiting};

/// How often the bindings are made anew: who deletes an exchange takes them away, without a word.
const RENEW: Duration = Duration::from_secs(30);
/// How long receipts wait for the next message, with which the broker is told of all of them at once.
const MOMENT: Duration = Duration::from_millis(1);
/// How long the crate is waited for that has the end of a reader in hand.
const END: Duration = Duration::from_secs(1);

/// Subscriptions on a link.
pub(super) struct RabbitInbox<'a> {
    channel: &'a Channel,
    topic: Topic,
    shared: &'a Shared,
    /// Disconnected when the link is lost.
    gone: &'a Receiver<()>,
    /// The queue that only this inbox reads.
    own: Option<String>,
    /// The subjects that it is bound to.
    bound: Vec<String>,
    /// The queues that are read.
    readers: Vec<Reader<'a>>,
    /// Those of what is given out.
    receipts: Arc<Receipts>,
    /// Where the next look for a message begins, so that no queue starves another.
    turn: usize,
    /// When the bindings were made.
    renewed: Instant,
}

/// A queue that is read.
struct Reader<'a> {
    queue: String,
    /// What it is bound to, where all of a group read it.
    subject: Option<String>,
    consumer: Consumer<'a>,
    /// Whether it is cancelled: what is here is still read.
    left: bool,
}

impl<'a> RabbitInbox<'a> {
    pub(super) fn new(
        channel: &'a Channel,
        topic: Topic,
        shared: &'a Shared,
        gone: &'a Receiver<()>,
    ) -> RabbitInbox<'a> {
        RabbitInbox {
            channel,
            topic,
            shared,
            gone,
            own: None,
            bound: Vec::new(),
            readers: Vec::new(),
            receipts: Arc::new(Receipts::new(&shared.requests, channel.channel_id())),
            turn: 0,
            renewed: Instant::now(),
        }
    }

    /// Makes the bindings anew.
    fn renew(&mut self) -> Result<(), BusError> {
        self.renewed = Instant::now();
        declarations::declare_exchange(self.channel, self.topic)?;
        if let Some(queue) = &self.own {
            self.bound
                .iter()
                .try_for_each(|subject| self.bind(queue, subject))?;
        }
        for reader in self.readers.iter().filter(|reader| !reader.left) {
            if let Some(subject) = &reader.subject {
                self.bind(&reader.queue, subject)?;
            }
        }
        Ok(())
    }

    /// Has a queue of its own bound to `subjects`.
    fn listen_alone(&mut self, subjects: &[String]) -> Result<(), BusError> {
        let mut new = None;
        let queue = match (&self.own, subjects) {
            (Some(queue), _) => queue.clone(),
            (None, []) => return Ok(()),
            (None, [first, ..]) => {
                let queue = topology::own_queue(first, &self.shared.token);
                declarations::declare_queue(self.channel, &queue, &Readers::One)?;
                new = Some(queue.clone());
                self.own = Some(queue.clone());
                queue
            }
        };
        for subject in subjects {
            if !self.bound.contains(subject) {
                self.bind(&queue, subject)?;
                self.bound.push(subject.clone());
            }
        }
        if let Some(queue) = new {
            self.read(queue, None)?;
        }
        for subject in std::mem::take(&mut self.bound) {
            if subjects.contains(&subject) {
                self.bound.push(subject);
            } else {
                let exchange = exchange(self.topic);
                self.channel
                    .queue_unbind(&queue, exchange, &subject, FieldTable::new())
                    .map_err(|error| denied(&format!("unbind {queue} from {exchange}"), &error))?;
            }
        }
        Ok(())
    }

    /// Reads the queues of `group` for `subjects`; how many messages were discarded.
    fn listen_in(
        &mut self,
        group: &str,
        subjects: &[String],
        waiting: Waiting,
    ) -> Result<u64, BusError> {
        let queues: Vec<String> = subjects
            .iter()
            .map(|subject| topology::shared_queue(group, subject))
            .collect();
        let mut new = Vec::new();
        for (queue, subject) in queues.iter().zip(subjects) {
            let read = |reader: &Reader<'_>| !reader.left && reader.queue == *queue;
            if !self.readers.iter().any(read) {
                let state = declarations::declare_queue(self.channel, queue, &Readers::Group)?;
                self.bind(queue, subject)?;
                new.push((queue.clone(), subject.clone(), state));
            }
        }
        let mut discarded = 0;
        for (queue, subject, state) in new {
            let stale = waiting == Waiting::Discard && state.consumers == 0 && state.messages > 0;
            if stale {
                let purged = self.channel.queue_purge(&queue);
                discarded += purged.map(u64::from).map_err(|_| BusError::Lost)?;
            }
            self.read(queue, Some(subject))?;
        }
        for reader in &mut self.readers {
            if !queues.contains(&reader.queue) {
                reader.left = true;
                // Where it fails, the link or the channel is at its end, which is met next.
                let _ = reader.consumer.cancel();
            }
        }
        Ok(discarded)
    }

    fn bind(&self, queue: &str, subject: &str) -> Result<(), BusError> {
        topology::check_key(subject)?;
        let exchange = exchange(self.topic);
        self.channel
            .queue_bind(queue, exchange, subject, FieldTable::new())
            .map_err(|error| denied(&format!("bind {queue} to {exchange} for {subject}"), &error))
    }

    fn read(&mut self, queue: String, subject: Option<String>) -> Result<(), BusError> {
        let consumer = self
            .channel
            .basic_consume(&queue, ConsumerOptions::default())
            .map_err(|error| denied(&format!("read {queue}"), &error))?;
        self.readers.push(Reader {
            queue,
            subject,
            consumer,
            left: false,
        });
        Ok(())
    }

    /// What is here already.
    fn poll(&mut self) -> Option<Next> {
        let mut step = 0;
        while step < self.readers.len() {
            let index = (self.turn + step) % self.readers.len();
            let reader = self.readers.get(index)?;
            let message = reader.consumer.receiver().try_recv();
            match message {
                Ok(ConsumerMessage::Delivery(delivery)) => {
                    self.turn = index + 1;
                    return Some(Next::Delivery(self.give(delivery)));
                }
                Err(TryRecvError::Empty) => step += 1,
                _ if reader.left => drop(self.readers.remove(index)),
                Ok(ConsumerMessage::ServerClosedChannel(error)) => {
                    return Some(Next::Ended(BusError::Ended(error.to_string())));
                }
                Ok(ConsumerMessage::ServerCancelled) => {
                    let queue = &reader.queue;
                    let why = format!("the queue {queue} is gone");
                    return Some(Next::Ended(BusError::Ended(why)));
                }
                _ => return Some(Next::Lost),
            }
        }
        None
    }

    fn give(&self, delivery: amiquip::Delivery) -> Delivery {
        let number = delivery.delivery_tag();
        let properties = &delivery.properties;
        let reply = properties.reply_to().clone().filter(|to| !to.is_empty());
        self.receipts.give();
        Delivery {
            reply: reply.map(|to| Reply {
                to,
                correlation: properties.correlation_id().clone(),
            }),
            body: delivery.body,
            received: Instant::now(),
            redelivered: delivery.redelivered,
            receipt: Some(Receipt::new(number, Arc::clone(&self.receipts) as _)),
        }
    }
}

impl Drop for RabbitInbox<'_> {
    /// Waits for each reader to have ended: the crate gives the connection up when it has a message
    /// for one that is gone, and the end is a message.
    fn drop(&mut self) {
        self.receipts.close();
        for reader in &self.readers {
            if reader.consumer.cancel().is_err() {
                continue;
            }
            let messages = reader.consumer.receiver();
            while let Ok(ConsumerMessage::Delivery(_)) = messages.recv_timeout(END) {}
        }
    }
}

impl Inbox for RabbitInbox<'_> {
    fn listen(
        &mut self,
        subjects: &[String],
        group: Option<&str>,
        waiting: Waiting,
    ) -> Result<u64, BusError> {
        declarations::declare_exchange(self.channel, self.topic)?;
        match group {
            Some(group) => self.listen_in(group, subjects, waiting),
            // Nothing waits in a queue that is new.
            None => self.listen_alone(subjects).map(|()| 0),
        }
    }

    fn next(&mut self, waker: &Receiver<()>) -> Next {
        let mut patient = true;
        loop {
            if waker.try_recv().is_ok() {
                return Next::Woken;
            }
            if let Some(next) = self.poll() {
                return next;
            }
            if self.shared.is_lost() {
                return Next::Lost;
            }
            if self.renewed.elapsed() > RENEW
                && let Err(error) = self.renew()
            {
                return Next::Ended(error);
            }
            let mut select = Select::new();
            select.recv(waker);
            select.recv(self.gone);
            for reader in &self.readers {
                select.recv(reader.consumer.receiver());
            }
            let limit = if patient && self.receipts.out() > 0 {
                self.receipts.tell();
                MOMENT
            } else {
                self.receipts.leave();
                RENEW
            };
            // A time that is over makes for another look.
            patient = select.ready_timeout(limit).is_ok();
            self.receipts.attend();
        }
    }

    fn try_next(&mut self) -> Option<Delivery> {
        self.receipts.tell();
        match self.poll() {
            Some(Next::Delivery(delivery)) => Some(delivery),
            _ => None,
        }
    }

    fn is_leaving(&mut self) -> bool {
        if !self.bound.is_empty() || self.shared.is_lost() {
            return false;
        }
        if let Some(queue) = &self.own {
            // What the broker has sent before it says that nothing waits is here then.
            let state = self.channel.queue_declare_passive(queue);
            if state.is_ok_and(|state| state.declared_message_count() != Some(0)) {
                return true;
            }
            for reader in &mut self.readers {
                reader.left = true;
                let _ = reader.consumer.cancel();
            }
            let options = QueueDeleteOptions::default();
            // One that cannot be deleted expires.
            let _ = self.channel.queue_delete(queue, options);
            self.own = None;
        }
        let mut readers = self.readers.iter();
        readers.any(|reader| reader.left && !reader.consumer.receiver().is_empty())
    }

    fn settle(&mut self) {
        self.receipts.leave();
        while self.receipts.out() > 0 && !self.shared.is_lost() {
            let mut select = Select::new();
            select.recv(self.gone);
            let all = select.recv(self.receipts.all_back());
            if select.ready() == all {
                let _ = self.receipts.all_back().try_recv();
            }
        }
    }
}
