//! The connection on which an access hears: events, announcements and calls. Nothing is published there,
//! so that a broker that blocks publishers goes on sending.
//!
//! Who hears does not wait, so that what is not a call is not acknowledged: what is more than we can hear
//! waits in the socket, and then in the broker.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use crossbeam_channel::Receiver;

use super::super::lock;
use super::super::payloads::Notice;
use super::super::softening::Ours;
use super::super::stream::Listener;
use super::super::writer::Writer;
use super::calls::Calls;
use super::channel::{Channel, Outcome};
use super::interests::Interests;
use super::loss::{Loss, Side, Watched};
use super::mail::{Letter, Mail, Piece};
use super::methods::{Acknowledged, Call, Said};
use crate::bus::access::Heard;
use crate::bus::{BusError, Claim, HearAccess, Interest};

/// Where queues are declared and bound: what is refused there closes none that is read.
const DECLARING: u16 = 1;
/// How many calls a listener has in hand.
const WINDOW: u16 = 1_000;

/// The channels of the connection.
pub(super) struct Hears {
    book: Mutex<Book>,
    hear: HearAccess,
    loss: Arc<Loss>,
}

struct Book {
    declaring: Channel,
    /// Those that are read, by number.
    readers: BTreeMap<u16, Reader>,
    interests: Interests,
    /// The highest number of a channel that the broker allows.
    most: u16,
}

struct Reader {
    channel: Channel,
    queue: String,
    what: What,
}

/// What is read.
enum What {
    /// Events, for who is interested.
    Events,
    /// Announcements on this subject.
    Announcements(String),
    /// The calls of a subscription.
    Calls(u64, Arc<Calls>),
}

/// Who a message is for.
enum To {
    Subscriptions(Vec<u64>),
    Attendant,
    Listener(u64, Claim),
}

impl Hears {
    pub(super) fn new(hear: &HearAccess, loss: &Arc<Loss>) -> Arc<Hears> {
        Arc::new(Hears {
            book: Mutex::new(Book {
                declaring: Channel::new(DECLARING),
                readers: BTreeMap::new(),
                interests: Interests::default(),
                most: 0,
            }),
            hear: Arc::clone(hear),
            loss: Arc::clone(loss),
        })
    }

    /// What hears what comes.
    pub(super) fn ears(self: &Arc<Hears>) -> Box<dyn Listener> {
        Box::new(Ears {
            hears: Arc::clone(self),
            mail: Mail::default(),
            any: false,
            _watched: Watched {
                loss: Arc::clone(&self.loss),
                side: Side::Hearing,
            },
        })
    }

    /// Has the broker do something with exchanges and queues.
    pub(super) fn declare(&self, call: &Call<'_>, writer: &Writer) -> Receiver<Outcome> {
        let outcome = lock(&self.book).declaring.ask(call, writer);
        writer.flush();
        outcome
    }

    /// The same for what nobody waits for.
    pub(super) fn order(&self, call: &Call<'_>, writer: &Writer) {
        lock(&self.book).declaring.order(call, writer);
        writer.flush();
    }

    /// The subscription of this number hears events from now on.
    pub(super) fn add(&self, number: u64, interest: &Interest) {
        lock(&self.book).interests.add(number, interest);
    }

    /// It does not any more; the key that nobody is interested in any more, if there is one.
    pub(super) fn remove(&self, number: u64) -> Option<String> {
        lock(&self.book).interests.remove(number)
    }

    /// Reads `queue` for all who are interested in events, unless that is read.
    pub(super) fn read_events(
        &self,
        queue: &str,
        writer: &Writer,
    ) -> Result<Option<Receiver<Outcome>>, BusError> {
        let mut book = lock(&self.book);
        let mut readers = book.readers.values();
        if readers.any(|reader| matches!(reader.what, What::Events)) {
            return Ok(None);
        }
        let outcome = book.read(queue, |_| What::Events, writer)?;
        drop(book);
        writer.flush();
        Ok(Some(outcome))
    }

    /// Reads `queue` for announcements on `subject`.
    pub(super) fn read_announcements(
        &self,
        queue: &str,
        subject: &str,
        writer: &Writer,
    ) -> Result<Receiver<Outcome>, BusError> {
        let what = |_| What::Announcements(subject.to_owned());
        let outcome = lock(&self.book).read(queue, what, writer)?;
        writer.flush();
        Ok(outcome)
    }

    /// Reads `queue` for the calls of a subscription.
    pub(super) fn read_calls(
        &self,
        queue: &str,
        subscription: u64,
        writer: &Arc<Writer>,
    ) -> Result<Receiver<Outcome>, BusError> {
        let what = |channel| What::Calls(subscription, Calls::new(channel, writer, &self.loss));
        let outcome = lock(&self.book).read(queue, what, writer)?;
        writer.flush();
        Ok(outcome)
    }

    /// Ends that for a subscription.
    pub(super) fn end_calls(&self, subscription: u64, writer: &Writer) {
        let mut book = lock(&self.book);
        for reader in book.readers.values_mut() {
            if let What::Calls(number, calls) = &reader.what
                && *number == subscription
            {
                calls.end();
                reader.channel.close(writer);
            }
        }
        drop(book);
        writer.flush();
    }

    fn hear(&self, channel: u16, piece: Piece, writer: &Writer) {
        let mut book = lock(&self.book);
        match piece {
            Piece::Said(said) => {
                if let Some(why) = book.hear(channel, said, writer) {
                    drop(book);
                    self.loss.blame(why);
                    self.loss.lose();
                }
            }
            Piece::Message(letter) => {
                let to = book.find(channel, &letter);
                // Whoever hears it may subscribe at the same time: the lock is not held for that.
                drop(book);
                if let Some(to) = to {
                    self.tell(to, &letter);
                }
            }
            // Nothing is published here.
            Piece::Returned(_) => {}
        }
    }

    fn tell(&self, to: To, letter: &Letter) {
        let body = &letter.body;
        let event = |subscription, claim: Option<Claim>| match letter.is_too_large() {
            true => {
                // It is for nobody else either.
                claim.map(Claim::take);
                Heard::Dropped(subscription)
            }
            false => Heard::Event {
                subscription,
                body,
                claim,
            },
        };
        match to {
            To::Subscriptions(numbers) => {
                for number in numbers {
                    (self.hear)(event(number, None));
                }
            }
            To::Attendant => (self.hear)(Heard::Announcement(body)),
            To::Listener(number, claim) => (self.hear)(event(number, Some(claim))),
        }
    }
}

impl Book {
    fn read(
        &mut self,
        queue: &str,
        what: impl FnOnce(u16) -> What,
        writer: &Writer,
    ) -> Result<Receiver<Outcome>, BusError> {
        let number = (DECLARING + 1..=self.most)
            .find(|number| !self.readers.contains_key(number))
            .ok_or_else(|| super::too_many(self.most))?;
        let mut channel = Channel::new(number);
        let what = what(number);
        let acknowledged = matches!(what, What::Calls(..));
        if acknowledged {
            channel.order(&Call::Window(WINDOW), writer);
        }
        let outcome = channel.ask(&Call::Read(queue, Acknowledged(acknowledged)), writer);
        let queue = queue.to_owned();
        self.readers.insert(
            number,
            Reader {
                channel,
                queue,
                what,
            },
        );
        Ok(outcome)
    }

    /// The broker says something on `channel`: why the access is lost, if it is by that.
    fn hear(&mut self, channel: u16, said: Said, writer: &Writer) -> Option<String> {
        if channel == DECLARING {
            match said {
                Said::Done => self.declaring.done(),
                // What closes it without being asked for is of no matter: it is opened again.
                Said::Closes(why) => drop(self.declaring.closes(why, writer)),
                Said::Closed | Said::Left | Said::Delivers(_) | Said::Returns => {}
            }
            return None;
        }
        let reader = self.readers.get_mut(&channel)?;
        match said {
            Said::Done => reader.channel.done(),
            Said::Closed => drop(self.readers.remove(&channel)),
            Said::Closes(why) => {
                if let What::Calls(_, calls) = &reader.what {
                    calls.end();
                }
                let why = reader.channel.closes(why, writer);
                if why.is_none() && reader.channel.is_shut() {
                    // Whoever subscribed is told that he has not.
                    self.readers.remove(&channel);
                }
                return why;
            }
            Said::Left => return Some(format!("the queue {} is gone", reader.queue)),
            Said::Delivers(_) | Said::Returns => {}
        }
        None
    }

    /// Who a message that came on `channel` is for.
    fn find(&self, channel: u16, letter: &Letter) -> Option<To> {
        let key = &letter.deliver.key;
        match &self.readers.get(&channel)?.what {
            What::Events => Some(To::Subscriptions(self.interests.find(key))),
            // All announcements come, whatever they are of.
            What::Announcements(subject) => (key == subject).then_some(To::Attendant),
            // What still comes after the end is another's by then.
            What::Calls(_, calls) if !calls.is_open() => None,
            What::Calls(subscription, calls) => {
                let claim = Claim::new(letter.deliver.number, Arc::clone(calls) as _);
                Some(To::Listener(*subscription, claim))
            }
        }
    }
}

/// Hears what comes on the connection.
struct Ears {
    hears: Arc<Hears>,
    mail: Mail,
    /// Whether anything has come that may have been answered.
    any: bool,
    _watched: Watched,
}

impl Listener for Ears {
    fn ours(&self) -> Arc<Ours> {
        Arc::new(Ours::all())
    }

    fn hear(&mut self, notice: Notice, writer: &Writer) {
        if let Notice::Limits { channels, .. } = notice {
            lock(&self.hears.book).most = channels;
        } else if let Some((channel, piece)) = self.mail.take(notice) {
            self.any = true;
            self.hears.hear(channel, piece, writer);
        }
    }

    fn pause(&mut self, writer: &Writer) {
        if std::mem::take(&mut self.any) {
            writer.flush();
        }
    }
}
