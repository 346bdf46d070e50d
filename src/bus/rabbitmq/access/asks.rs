//! The connection on which an access asks: questions and their answers, pings, and the calls of groups on
//! their way from the queue of all events to that of the calls.
//!
//! A broker deals the messages of a queue out in turns, so that where traffic is periodic one listener
//! would get all calls and the others the rest. Hence the second queue: the readers of the first drop what
//! is no call, and what is dealt out in turns from the second are calls.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use crossbeam_channel::Receiver;

use super::super::lock;
use super::super::message::{EVENT_EXPIRATION, Message, put_ack};
use super::super::payloads::Notice;
use super::super::softening::Ours;
use super::super::stream::Listener;
use super::super::topology::exchange;
use super::super::writer::Writer;
use super::addresses::{Addresses, Open};
use super::channel::{Channel, Outcome};
use super::loss::{Loss, Side, Watched};
use super::mail::{Letter, Mail, Piece};
use super::methods::{Acknowledged, Call, DIRECT_REPLY, Said};
use crate::bus::access::Heard;
use crate::bus::{BusError, HearAccess, Question, Topic};
use crate::occasionally::Occasionally;
use crate::wire::event::Touched;

/// How many questions may be open.
const MOST: u16 = 256;
/// Where pings leave.
const PINGS: u16 = 1;
/// How much may wait for a broker that does not read, in bytes, when more is handed over.
const BACKLOG: usize = 8 * 1024 * 1024;
/// How many events of a group are on their way to us.
const WINDOW: u16 = 256;
/// The type of the event that is a call.
const CALL: &str = "StasisStart";

/// The channels of the connection.
pub(super) struct Asks {
    /// None until the broker has said how many channels it allows.
    book: Mutex<Option<Book>>,
    hear: HearAccess,
    loss: Arc<Loss>,
    refusals: Occasionally,
}

struct Book {
    pings: Channel,
    addresses: Addresses,
    /// The channels of groups, by number: no more than that.
    sorts: BTreeMap<u16, Sort>,
    most: u16,
}

/// What is read for a group.
struct Sort {
    channel: Channel,
    subscription: u64,
    /// What is for nobody, where only what is below a subject is meant.
    except: Option<String>,
    /// Where the calls go.
    calls: Arc<str>,
    /// The last event that is dealt with and not acknowledged.
    dealt: Option<u64>,
}

impl Asks {
    pub(super) fn new(hear: &HearAccess, loss: &Arc<Loss>) -> Arc<Asks> {
        Arc::new(Asks {
            book: Mutex::default(),
            hear: Arc::clone(hear),
            loss: Arc::clone(loss),
            refusals: Occasionally::new(),
        })
    }

    /// What hears what comes.
    pub(super) fn ears(self: &Arc<Asks>) -> Box<dyn Listener> {
        Box::new(Ears {
            asks: Arc::clone(self),
            mail: Mail::default(),
            any: false,
            _watched: Watched {
                loss: Arc::clone(&self.loss),
                side: Side::Asking,
            },
        })
    }

    /// The broker allows channels up to this number.
    fn begin(&self, most: u16) {
        // Where there are few, groups get half of them.
        let addresses = MOST.min(most.saturating_sub(PINGS) / 2);
        *lock(&self.book) = Some(Book {
            pings: Channel::new(PINGS),
            addresses: Addresses::new(PINGS + 1, addresses),
            sorts: BTreeMap::new(),
            most,
        });
    }

    /// Asks.
    pub(super) fn ask(&self, question: &Question<'_>, writer: &Writer) -> Result<(), BusError> {
        let correlation = question.number.to_string();
        let message = Message {
            exchange: exchange(Topic::Request),
            key: question.subject,
            mandatory: true,
            mark: None,
            correlation: Some(&correlation),
            reply: Some(DIRECT_REPLY),
            expiration: EVENT_EXPIRATION,
            id: None,
            body: question.body,
        };
        let mut book = lock(&self.book);
        let addresses = &mut book.as_mut().ok_or(BusError::Lost)?.addresses;
        check_backlog(writer)?;
        let (channel, open) = addresses.ask(question.number).ok_or(BusError::Busy)?;
        writer.put(channel, |frames, largest| {
            if open == Open(true) {
                // The broker reads all of it in order.
                Call::Open.put(channel, frames);
                Call::Read(DIRECT_REPLY, Acknowledged(false)).put(channel, frames);
            }
            message.put(channel, largest, frames);
        });
        drop(book);
        writer.flush();
        Ok(())
    }

    /// The question of this number is not open any more.
    pub(super) fn forget(&self, number: u64, complete: bool, writer: &Writer) {
        let mut book = lock(&self.book);
        let Some(Book { addresses, .. }) = &mut *book else {
            return;
        };
        if let Some(channel) = addresses.forget(number, complete) {
            close(channel, writer);
            drop(book);
            writer.flush();
        }
    }

    /// Has proxies announce themselves.
    pub(super) fn ping(&self, subject: &str, writer: &Writer) -> Result<(), BusError> {
        let message = Message {
            exchange: exchange(Topic::Ping),
            key: subject,
            mandatory: false,
            mark: None,
            correlation: None,
            reply: None,
            expiration: EVENT_EXPIRATION,
            id: None,
            body: b"{}",
        };
        let mut book = lock(&self.book);
        let pings = &mut book.as_mut().ok_or(BusError::Lost)?.pings;
        check_backlog(writer)?;
        pings.say(writer, |channel, frames, largest| {
            message.put(channel, largest, frames);
        });
        drop(book);
        writer.flush();
        Ok(())
    }

    /// Reads `events` for a subscription, and brings what is a call to the queue `calls`.
    pub(super) fn sort(
        &self,
        subscription: u64,
        (events, calls): (&str, &str),
        except: Option<String>,
        writer: &Writer,
    ) -> Result<Receiver<Outcome>, BusError> {
        let mut all = lock(&self.book);
        let book = all.as_mut().ok_or(BusError::Lost)?;
        let first = PINGS + 1;
        let number = (first..=book.most)
            .find(|number| !book.addresses.has(*number) && !book.sorts.contains_key(number))
            .ok_or_else(|| super::too_many(book.most))?;
        let mut channel = Channel::new(number);
        channel.order(&Call::Window(WINDOW), writer);
        let outcome = channel.ask(&Call::Read(events, Acknowledged(true)), writer);
        book.sorts.insert(
            number,
            Sort {
                channel,
                subscription,
                except,
                calls: calls.into(),
                dealt: None,
            },
        );
        drop(all);
        writer.flush();
        Ok(outcome)
    }

    /// Ends that for a subscription.
    pub(super) fn end_sort(&self, subscription: u64, writer: &Writer) {
        let mut book = lock(&self.book);
        let sorts = book.iter_mut().flat_map(|book| book.sorts.values_mut());
        for sort in sorts.filter(|sort| sort.subscription == subscription) {
            // Calls that are on their way to the second queue must not come again from the first.
            sort.acknowledge(writer);
            sort.channel.close(writer);
        }
        drop(book);
        writer.flush();
    }

    fn hear(&self, channel: u16, piece: Piece, writer: &Writer) {
        // Whoever hears it may ask: the lock is not held for that.
        let told = match &mut *lock(&self.book) {
            Some(book) => self.read(book, channel, piece, writer),
            None => None,
        };
        match &told {
            // Half of it would be worse than none.
            Some(Told::Answer(_, letter)) if letter.is_too_large() => {
                log::warn!("bus: an answer is too large, and dropped");
            }
            Some(Told::Answer(question, letter)) => (self.hear)(Heard::Answer {
                question: *question,
                body: &letter.body,
            }),
            Some(Told::Nobody(question)) => (self.hear)(Heard::Nobody(*question)),
            Some(Told::Dropped(subscription)) => (self.hear)(Heard::Dropped(*subscription)),
            None => {}
        }
    }

    fn read(&self, book: &mut Book, channel: u16, piece: Piece, writer: &Writer) -> Option<Told> {
        match piece {
            Piece::Said(said) if book.addresses.has(channel) => {
                let addresses = &mut book.addresses;
                self.hear_of_address(addresses, channel, said, writer)
            }
            Piece::Said(said) => {
                self.hear_of_others(book, channel, said, writer);
                None
            }
            Piece::Message(letter) if book.addresses.has(channel) => {
                let question = book.addresses.answered(channel, letter.correlation);
                for late in book.addresses.retire() {
                    close(late, writer);
                }
                question.map(|question| Told::Answer(question, letter))
            }
            Piece::Message(letter) => book.sorts.get_mut(&channel)?.take(&letter, writer),
            Piece::Returned(letter) => match book.sorts.get(&channel) {
                Some(sort) => Some(Told::Dropped(sort.subscription)),
                None => letter
                    .correlation
                    .filter(|question| book.addresses.is_open(*question))
                    .map(Told::Nobody),
            },
        }
    }

    fn hear_of_address(
        &self,
        addresses: &mut Addresses,
        channel: u16,
        said: Said,
        writer: &Writer,
    ) -> Option<Told> {
        match said {
            Said::Closed => addresses.closed(channel).map(Told::Nobody),
            Said::Closes(why) => {
                writer.put(channel, |frames, _| Call::CloseOk.put(channel, frames));
                if self.refusals.now() {
                    log::warn!("bus: the broker does not let us ask: {why}");
                }
                // What we have asked at the same time, it answers all the same.
                match addresses.is_closing(channel) {
                    true => None,
                    false => addresses.closed(channel).map(Told::Nobody),
                }
            }
            _ => None,
        }
    }

    fn hear_of_others(&self, book: &mut Book, channel: u16, said: Said, writer: &Writer) {
        let of = match book.sorts.get_mut(&channel) {
            Some(sort) => Some(&mut sort.channel),
            None => (channel == PINGS).then_some(&mut book.pings),
        };
        let Some(of) = of else {
            return;
        };
        let why = match said {
            Said::Done => return of.done(),
            Said::Closed => return drop(book.sorts.remove(&channel)),
            Said::Closes(why) => {
                let why = of.closes(why, writer);
                if channel == PINGS {
                    if self.refusals.now() {
                        log::warn!("bus: the broker does not take pings: {why:?}");
                    }
                    return;
                }
                match why {
                    Some(why) => why,
                    None => {
                        // Whoever subscribed is told that he has not.
                        if of.is_shut() {
                            book.sorts.remove(&channel);
                        }
                        return;
                    }
                }
            }
            Said::Left => "the queue of a group is gone".to_owned(),
            Said::Delivers(_) | Said::Returns => return,
        };
        self.loss.blame(why);
        self.loss.lose();
    }

    /// Has the broker forget what is dealt with.
    fn acknowledge(&self, writer: &Writer) {
        let mut book = lock(&self.book);
        for sort in book.iter_mut().flat_map(|book| book.sorts.values_mut()) {
            sort.acknowledge(writer);
        }
    }
}

/// What is to be told, when no lock is held.
enum Told {
    Answer(u64, Letter),
    Nobody(u64),
    Dropped(u64),
}

impl Sort {
    /// Has the broker forget what is dealt with. After the end it is another's: a word more on the channel
    /// would end the connection.
    fn acknowledge(&mut self, writer: &Writer) {
        if let Some(dealt) = self.dealt.take()
            && self.channel.is_open()
        {
            self.channel.say(writer, |channel, frames, _| {
                put_ack(channel, dealt, true, frames);
            });
        }
    }

    /// An event has come.
    fn take(&mut self, letter: &Letter, writer: &Writer) -> Option<Told> {
        if letter.is_too_large() {
            self.dealt = Some(letter.deliver.number);
            return Some(Told::Dropped(self.subscription));
        }
        let wanted = self.except.as_ref() != Some(&letter.deliver.key);
        let kind = Touched::named(&letter.body).map(|event| event.kind);
        if wanted && kind.as_deref() == Some(CALL) {
            let message = Message {
                exchange: "",
                key: &self.calls,
                mandatory: true,
                mark: None,
                correlation: None,
                reply: None,
                expiration: EVENT_EXPIRATION,
                id: None,
                body: &letter.body,
            };
            // It leaves in the same write as the acknowledgement, before that.
            self.channel.say(writer, |channel, frames, largest| {
                message.put(channel, largest, frames);
            })?;
        }
        self.dealt = Some(letter.deliver.number);
        None
    }
}

/// Has the broker close a channel for answers.
fn close(channel: u16, writer: &Writer) {
    writer.put(channel, |frames, _| Call::Close.put(channel, frames));
}

/// Whether the broker reads what it is sent.
fn check_backlog(writer: &Writer) -> Result<(), BusError> {
    match writer.put(PINGS, |frames, _| frames.len() > BACKLOG) {
        true => Err(BusError::Busy),
        false => Ok(()),
    }
}

/// Hears what comes on the connection.
struct Ears {
    asks: Arc<Asks>,
    mail: Mail,
    /// Whether anything has come that is not dealt with.
    any: bool,
    _watched: Watched,
}

impl Listener for Ears {
    fn ours(&self) -> Arc<Ours> {
        Arc::new(Ours::all())
    }

    fn hear(&mut self, notice: Notice, writer: &Writer) {
        if let Notice::Limits { channels, .. } = notice {
            self.asks.begin(channels);
        } else if let Some((channel, piece)) = self.mail.take(notice) {
            self.any = true;
            self.asks.hear(channel, piece, writer);
        }
    }

    fn pause(&mut self, writer: &Writer) {
        if std::mem::take(&mut self.any) {
            self.asks.acknowledge(writer);
            writer.flush();
        }
    }
}
