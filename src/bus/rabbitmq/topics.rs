//! The topics of dialogs on a RabbitMQ link: durable queues without arguments on the default exchange, as
//! go-ari-library declares them. Nothing is waited for: what is asked leaves by the writer, and the
//! broker's answers are heard on the thread of the connection, before the crate.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use amiquip::Channel;

use super::contents::Contents;
use super::declarations::{Readers, declare_queue};
use super::dialogs::Dialogs;
use super::link::{Shared, WINDOW};
use super::lock;
use super::message::{BODY, HEADER, METHOD, Message};
use super::methods::{Deliver, Said};
use super::offers::Ears;
use super::payloads::{LONGEST_BODY, Notice};
use super::softening::Ours;
use super::stream::Listener;
use super::topology::check_key;
use super::writer::Writer;
use crate::bus::{BusError, Hear, Topics};

/// The longest that something is offered for.
const LONGEST: Duration = Duration::from_secs(24 * 3600);

/// Where the thread of a connection and those who use topics meet.
#[derive(Default)]
pub(super) struct Desk {
    /// None until there are topics for the first time.
    dialogs: Mutex<Option<Dialogs>>,
    ours: Arc<Ours>,
    pub(super) ears: Arc<Ears>,
}

/// Hears what the broker says on the channels of a desk.
pub(super) struct Commands {
    desk: Arc<Desk>,
    contents: Contents<Deliver>,
    /// Whether anything was heard that is not dealt with.
    any: bool,
}

impl Commands {
    pub(super) fn new(desk: &Arc<Desk>) -> Commands {
        Commands {
            desk: Arc::clone(desk),
            contents: Contents::new(LONGEST_BODY as usize),
            any: false,
        }
    }
}

impl Listener for Commands {
    fn ours(&self) -> Arc<Ours> {
        Arc::clone(&self.desk.ours)
    }

    fn hear(&mut self, notice: Notice, writer: &Writer) {
        let Notice::Ours {
            channel,
            kind,
            payload,
        } = notice
        else {
            return;
        };
        self.any = true;
        let mut dialogs = lock(&self.desk.dialogs);
        let Some(dialogs) = &mut *dialogs else {
            return;
        };
        let arrived = match kind {
            METHOD => match Said::parse(&payload) {
                Some(Said::Delivers(deliver)) => {
                    self.contents.begin(deliver);
                    None
                }
                Some(said) => {
                    if matches!(said, Said::Closes { .. }) && dialogs.reads(channel) {
                        // What was coming there comes again on the next.
                        self.contents.reset();
                    }
                    dialogs.hear(channel, said, writer);
                    None
                }
                None => None,
            },
            HEADER => self.contents.header(&payload),
            BODY => self.contents.body(payload),
            _ => None,
        };
        if let Some((deliver, body)) = arrived {
            dialogs.arrive(deliver, body);
        }
    }

    fn pause(&mut self, writer: &Writer) {
        if !std::mem::take(&mut self.any) {
            return;
        }
        let with = |this: &mut dyn FnMut(&mut Dialogs)| {
            if let Some(dialogs) = &mut *lock(&self.desk.dialogs) {
                this(dialogs);
            }
        };
        let mut heard = Vec::new();
        with(&mut |dialogs| heard = dialogs.heard());
        for it in heard {
            self.desk.ears.tell(it);
        }
        with(&mut |dialogs| dialogs.acknowledge(writer));
        writer.flush();
    }
}

/// The topics of dialogs on a link.
pub(super) struct RabbitTopics {
    shared: Arc<Shared>,
}

impl RabbitTopics {
    /// Those of `application`.
    pub(super) fn open(
        shared: &Arc<Shared>,
        application: &str,
        hear: Hear,
    ) -> Result<RabbitTopics, BusError> {
        check_name(application)?;
        let channel = shared.open_channel()?;
        declare_queue(&channel, application, &Readers::Group)?;
        drop(channel);
        let mut reserved = lock(&shared.reserved);
        if reserved.is_none() {
            let channels = [shared.open_channel()?, shared.open_channel()?];
            let numbers = channels.each_ref().map(Channel::channel_id);
            *reserved = Some(channels);
            *lock(&shared.desk.dialogs) = Some(Dialogs::new(numbers));
            shared.desk.ours.set(numbers);
        }
        drop(reserved);
        let begun = lock(&shared.desk.dialogs)
            .as_mut()
            .is_some_and(|dialogs| dialogs.begin(&shared.requests));
        if !begun {
            return Err(BusError::Busy);
        }
        shared.desk.ears.set(Some(hear));
        shared.requests.flush();
        Ok(RabbitTopics {
            shared: Arc::clone(shared),
        })
    }

    /// Does something with the dialogs. Not for long: the thread of the connection waits for it.
    fn with<T>(&self, work: impl FnOnce(&mut Dialogs, &Writer) -> T) -> Result<T, BusError> {
        if self.shared.is_lost() {
            return Err(BusError::Lost);
        }
        let mut dialogs = lock(&self.shared.desk.dialogs);
        let dialogs = dialogs.as_mut().ok_or(BusError::Lost)?;
        Ok(work(dialogs, &self.shared.requests))
    }
}

/// Checks that a queue can have this name: where there is none, the broker makes one up.
fn check_name(name: &str) -> Result<(), BusError> {
    match name {
        "" => Err(BusError::Subject(String::new())),
        name => check_key(name),
    }
}

impl Topics for RabbitTopics {
    fn open(&mut self, dialog: &str) -> Result<bool, BusError> {
        self.with(|dialogs, writer| dialogs.open(dialog, writer))?
    }

    fn offer(
        &mut self,
        topic: &str,
        body: &[u8],
        lasts: Duration,
        number: u64,
    ) -> Result<(), BusError> {
        let shared = &self.shared;
        check_name(topic)?;
        shared.check(topic, body)?;
        if shared.is_lost() {
            return Err(BusError::Lost);
        }
        let expiration = lasts.min(LONGEST).as_millis().to_string();
        let channel = shared.number;
        let handed_over = shared.writer.put(channel, |frames, largest| {
            let id = shared.ledger.hand_over(body.len(), None, WINDOW)?;
            shared.offers.add(id, number);
            let message = Message {
                exchange: "",
                key: topic,
                // The queue is declared on another connection, and may be there too late.
                mandatory: true,
                mark: None,
                correlation: None,
                reply: None,
                expiration: &expiration,
                id: Some(id),
                body,
            };
            message.put(channel, largest, frames);
            Some(())
        });
        handed_over.ok_or(BusError::Busy)?;
        self.with(|dialogs, writer| dialogs.offer(topic, writer))
    }

    fn close(&mut self, dialog: &str) {
        let last = self.shared.ledger.last();
        // What is to be removed on a link that is lost, is left to the next.
        if let Some(dialogs) = &mut *lock(&self.shared.desk.dialogs) {
            dialogs.close(dialog, last, &self.shared.requests);
        }
    }

    fn unfinished(&self) -> Vec<Arc<str>> {
        // Of a link that is lost as well.
        let dialogs = lock(&self.shared.desk.dialogs);
        dialogs
            .as_ref()
            .map(Dialogs::unfinished)
            .unwrap_or_default()
    }

    fn attend(&mut self) {
        let taken = self.shared.ledger.taken();
        if self
            .with(|dialogs, writer| dialogs.attend(taken, writer))
            .is_ok()
        {
            self.shared.requests.flush();
            self.shared.writer.flush();
        }
    }
}

impl Drop for RabbitTopics {
    fn drop(&mut self) {
        self.shared.desk.ears.set(None);
        self.shared.offers.clear();
        if self.with(|dialogs, writer| dialogs.end(writer)).is_ok() {
            self.shared.requests.flush();
        }
    }
}
