//! A subscriber that keeps what it saw of numbered events and of statuses, in the order in which it
//! came: what happened to a proxy, as the bus shows it.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use serde_json::Value;

use super::bus::{Bus, Message, Messages};
use super::server::lock;

/// The queue of every witness on RabbitMQ. It outlives the broker.
const QUEUE: &str = "witness";

/// What was seen.
#[derive(Debug, Clone)]
pub(crate) enum Seen {
    /// A numbered event of an Asterisk.
    Event {
        /// Its number.
        number: u64,
        /// The last word of its subject.
        asterisk: String,
        /// Whether it had come before.
        again: bool,
        /// The epoch that it says it is of, where it does.
        epoch: Option<String>,
    },
    /// A status, as it came.
    Status {
        /// Its subject.
        subject: String,
        /// Its body.
        body: Value,
    },
    /// From here on the witness listened on a new connection.
    Listening,
}

/// What was seen so far.
#[derive(Default)]
pub(crate) struct Log {
    /// All of it, in order.
    pub(crate) seen: Vec<Seen>,
    numbers: HashSet<u64>,
    newest: Option<u64>,
    twice: usize,
    disorder: Option<(u64, u64)>,
    statuses: usize,
}

/// The subscriber. It has to be told when the bus is there again.
#[derive(Default)]
pub(crate) struct Witness {
    log: Arc<Mutex<Log>>,
    reader: Option<(Arc<AtomicBool>, JoinHandle<()>)>,
}

impl Witness {
    /// Listens to the bus at this URL, and no longer to where it did before.
    pub(crate) fn listen(&mut self, url: &str) {
        self.leave();
        let bus = Bus::connect(url);
        // Events and statuses by one subscription: what the publisher sent in order comes in order.
        let messages = match &bus {
            Bus::Nats(_) => bus.subscribe("ari.>"),
            Bus::RabbitMq(bus) => Messages::RabbitMq(bus.subscribe_queue(QUEUE, "ari.>")),
        };
        lock(&self.log).seen.push(Seen::Listening);
        let (log, leaving) = (Arc::clone(&self.log), Arc::new(AtomicBool::new(false)));
        let left = Arc::clone(&leaving);
        let reader = std::thread::spawn(move || {
            loop {
                let first = messages.next(Duration::from_millis(20));
                let mut log = lock(&log);
                let rest = messages.arrived();
                for message in first.iter().chain(&rest) {
                    log.take(message);
                }
                drop(log);
                if first.is_none() && left.load(Ordering::SeqCst) {
                    break;
                }
                if first.is_none() {
                    // A subscription that has ended returns at once.
                    std::thread::sleep(Duration::from_millis(2));
                }
            }
            drop(bus);
        });
        self.reader = Some((leaving, reader));
    }

    fn leave(&mut self) {
        if let Some((leaving, reader)) = self.reader.take() {
            leaving.store(true, Ordering::SeqCst);
            reader.join().expect("the witness listens");
        }
    }

    /// The greatest number of the events that came.
    pub(crate) fn newest(&self) -> Option<u64> {
        lock(&self.log).newest
    }

    /// Those of these events that have not come.
    pub(crate) fn missing(&self, sent: &[u64]) -> Vec<u64> {
        let log = lock(&self.log);
        let missing = sent.iter().filter(|number| !log.numbers.contains(number));
        missing.copied().collect()
    }

    /// Whether all of these events have come.
    pub(crate) fn has(&self, sent: &[u64]) -> bool {
        let log = lock(&self.log);
        // The last ones are those that are waited for.
        sent.iter().rev().all(|number| log.numbers.contains(number))
    }

    /// How many came more than once.
    pub(crate) fn twice(&self) -> usize {
        lock(&self.log).twice
    }

    /// Two events of one Asterisk, the second of which should have come before the first.
    pub(crate) fn disorder(&self) -> Option<(u64, u64)> {
        lock(&self.log).disorder
    }

    /// What was seen, in order.
    pub(crate) fn seen(&self) -> Vec<Seen> {
        lock(&self.log).seen.clone()
    }

    /// How many statuses came.
    pub(crate) fn statuses(&self) -> usize {
        lock(&self.log).statuses
    }

    /// The last of them.
    pub(crate) fn last_status(&self) -> Value {
        let log = lock(&self.log);
        let last = log.seen.iter().rev().find_map(|seen| match seen {
            Seen::Status { body, .. } => Some(body.clone()),
            _ => None,
        });
        last.unwrap_or_default()
    }
}

impl Drop for Witness {
    fn drop(&mut self) {
        self.leave();
    }
}

impl Log {
    fn take(&mut self, message: &Message) {
        let mut words = message.subject.splitn(4, '.').skip(1);
        match (words.next(), words.nth(1)) {
            (Some("event"), Some(asterisk)) => self.take_event(message, asterisk),
            (Some("status"), _) => {
                self.statuses += 1;
                self.seen.push(Seen::Status {
                    subject: message.subject.clone(),
                    body: serde_json::from_slice(&message.data).unwrap_or(Value::Null),
                });
            }
            _ => {}
        }
    }

    fn take_event(&mut self, message: &Message, asterisk: &str) {
        // The seq counts them too, so that they are kept as an event without a number.
        let number = message.json()["n"].as_u64().unwrap_or(0);
        let again = number > 0 && !self.numbers.insert(number);
        if again {
            self.twice += 1;
        } else if number > 0 {
            let before = self.newest_of(asterisk);
            if let Some(before) = before.filter(|before| *before > number) {
                self.disorder.get_or_insert((before, number));
            }
            self.newest = self.newest.max(Some(number));
        }
        self.seen.push(Seen::Event {
            number,
            asterisk: asterisk.to_owned(),
            again,
            epoch: message.header("Ari-Epoch"),
        });
    }

    /// The number of the last event of this Asterisk that was new.
    fn newest_of(&self, of: &str) -> Option<u64> {
        self.seen.iter().rev().find_map(|seen| match seen {
            Seen::Event {
                number,
                asterisk,
                again: false,
                ..
            } if asterisk == of && *number > 0 => Some(*number),
            _ => None,
        })
    }
}
