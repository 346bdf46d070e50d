//! The topics of dialogs on NATS: subscriptions to what comes, offers of what must find a listener.
//!
//! All of it goes on the connection that everything leaves on, in the order in which it is handed over: what is
//! offered after a dialog was opened reaches nobody before the server listens for us. An offer
//! names an inbox of ours for answers, of which a server says at once that nobody listens, and is
//! followed by a PING: the answer to it says that the offer is with a listener unless that was said
//! before. A server that takes no headers, or does not let us have an inbox, does not say it.
//!
//! Whoever calls here waits for nothing. It hands over, which takes a lock for the time of a copy, and the
//! thread `bus-topics` writes: it may wait for a server that does not read, the others do not notice.
//! There is a bound to what is on its way; more offers are [`BusError::Busy`].
//!
//! Commands come on that connection as well, and who floods them must not end it: they are read as fast
//! as they come, no more is kept of each than is of use, and what is heard of the server in between
//! counts as a sign that it lives.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crossbeam_channel::Sender;

use super::lock;
use super::outgoing::{Outgoing, ROOM};
use super::protocol::{self, check};
use super::said::Message;
use crate::bus::{BusError, Hear, Heard, Topics};
use crate::wire::id::random_64;
use crate::wire::topic::{self, COMMANDS};

/// What a server takes.
#[derive(Clone, Copy)]
pub(super) struct Limits {
    /// The largest message, in bytes.
    pub(super) largest: usize,
    /// Whether it takes headers, without which it does not say that nobody listens.
    pub(super) headers: bool,
}

/// What listens on a connection; the side of the thread that reads.
pub(super) struct Listening {
    /// Who hears it, until it listens no more. Locked while it is told, so that nothing is after that.
    hear: Mutex<Option<Hear>>,
    /// The dialogs by the numbers of their subscriptions.
    dialogs: Mutex<HashMap<u64, Arc<str>>>,
    inbox: Option<Inbox>,
}

/// Where it is answered that nobody listens.
struct Inbox {
    /// Its subjects begin so, the token of an offer follows.
    prefix: String,
    /// The number of its subscription.
    sid: u64,
}

impl Listening {
    fn tell(&self, heard: Heard) {
        if let Some(hear) = &*lock(&self.hear) {
            hear(heard);
        }
    }

    /// Takes a message; the token of the offer of which it says that nobody has it, if it does.
    pub(super) fn take(&self, message: Message) -> Option<u64> {
        if let Some(inbox) = self.inbox.as_ref().filter(|it| it.sid == message.sid) {
            // What who got an offer answers is of no interest.
            let token = message.subject.strip_prefix(inbox.prefix.as_bytes())?;
            let token = u64::from_str_radix(std::str::from_utf8(token).ok()?, 16).ok()?;
            return message.nobody.then_some(token);
        }
        let dialog = lock(&self.dialogs).get(&message.sid).cloned()?;
        self.tell(Heard::Command {
            dialog: dialog.as_ref().to_owned(),
            body: message.body,
            redelivered: false,
        });
        None
    }

    /// The server does not let us subscribe to `subject`.
    pub(super) fn tell_refused(&self, subject: &str, why: &str) {
        if let Some(dialog) = subject.strip_prefix(COMMANDS) {
            self.tell(Heard::Refused {
                dialog: dialog.to_owned(),
                why: why.to_owned(),
            });
        } else if let Some(inbox) = &self.inbox
            && subject.starts_with(&inbox.prefix)
        {
            log::warn!(
                "bus: without the permission to subscribe to _INBOX.> it is not known whether an \
                 application listens: calls that none is there for are not offered again"
            );
        }
    }
}

/// An offer of which it is not known yet what has become of it.
pub(super) struct Offer {
    listening: Arc<Listening>,
    topic: String,
    number: u64,
    /// What its answers go by. Numbers could be guessed by whoever has seen another offer.
    token: u64,
    failed: bool,
}

impl Offer {
    /// Whether it is that of this token, made by who listens so.
    pub(super) fn is(&self, listening: &Arc<Listening>, token: u64) -> bool {
        self.token == token && Arc::ptr_eq(&self.listening, listening)
    }

    pub(super) fn went_to(&self, topic: &str) -> bool {
        self.topic == topic
    }

    /// Nobody has it.
    pub(super) fn fail(&mut self) {
        self.failed = true;
    }

    /// Tells what has become of it, as the server has dealt with it.
    pub(super) fn tell(self) {
        self.listening.tell(if self.failed {
            Heard::Nobody(self.number)
        } else {
            Heard::Taken(self.number)
        });
    }
}

/// The topics of the dialogs of an application.
pub(super) struct NatsTopics {
    outgoing: Arc<Outgoing<Listening>>,
    listening: Arc<Listening>,
    group: Option<String>,
    largest: usize,
    /// The numbers of the subscriptions of dialogs.
    sids: HashMap<String, u64>,
    /// Whether something was handed over that nobody was asked to write.
    handed_over: bool,
    /// Has it written; the thread that does it ends when this is dropped.
    kick: Sender<()>,
}

impl NatsTopics {
    /// Listens on `outgoing`, as a member of `group` if there is one.
    pub(super) fn start(
        outgoing: &Arc<Outgoing<Listening>>,
        limits: Limits,
        group: Option<&str>,
        hear: Hear,
    ) -> Result<NatsTopics, BusError> {
        if let Some(group) = group {
            check(group)?;
        }
        let inbox = limits.headers.then(|| Inbox {
            prefix: protocol::inbox(),
            sid: outgoing.next_sid(),
        });
        let kick = outgoing.start_writing("bus-topics")?;
        let mut topics = NatsTopics {
            outgoing: Arc::clone(outgoing),
            listening: Arc::new(Listening {
                hear: Mutex::new(Some(hear)),
                dialogs: Mutex::default(),
                inbox,
            }),
            group: group.map(str::to_owned),
            largest: limits.largest,
            sids: HashMap::new(),
            handed_over: false,
            kick,
        };
        outgoing.listen(&topics.listening);
        topics.begin()?;
        Ok(topics)
    }

    fn begin(&mut self) -> Result<(), BusError> {
        if let Some(Inbox { prefix, sid }) = &self.listening.inbox {
            let subject = format!("{prefix}*");
            self.outgoing
                .say(|out| protocol::put_sub(out, &subject, None, *sid))?;
        } else {
            log::warn!(
                "bus: a server without headers does not tell whether an application listens: calls \
                 that none is there for are not offered again"
            );
        }
        self.handed_over = true;
        self.attend();
        Ok(())
    }
}

impl Topics for NatsTopics {
    fn open(&mut self, dialog: &str) -> Result<bool, BusError> {
        if self.outgoing.has_ended() {
            return Err(BusError::Lost);
        }
        if self.sids.contains_key(dialog) {
            return Ok(true);
        }
        let subject = topic::commands(dialog);
        check(&subject)?;
        let sid = self.outgoing.next_sid();
        // First: who answers at once is heard.
        lock(&self.listening.dialogs).insert(sid, dialog.into());
        self.sids.insert(dialog.to_owned(), sid);
        self.handed_over = true;
        let group = self.group.as_deref();
        self.outgoing
            .say(|out| protocol::put_sub(out, &subject, group, sid))
            // What is published later comes behind it.
            .map(|()| true)
    }

    fn offer(
        &mut self,
        topic: &str,
        body: &[u8],
        _: Duration,
        number: u64,
    ) -> Result<(), BusError> {
        check(topic)?;
        if body.len() > self.largest {
            return Err(BusError::TooLarge {
                size: body.len(),
                limit: self.largest,
            });
        }
        let token = random_64();
        let offer = Offer {
            listening: Arc::clone(&self.listening),
            topic: topic.to_owned(),
            number,
            token,
            failed: false,
        };
        self.handed_over = true;
        let inbox = self.listening.inbox.as_ref();
        self.outgoing.ask_about(offer, ROOM, |out| match inbox {
            Some(inbox) => {
                let reply = format!("{}{token:016x}", inbox.prefix);
                protocol::put_request(out, topic, &reply, body);
            }
            None => protocol::put(out, topic, "", body),
        })
    }

    fn close(&mut self, dialog: &str) {
        if let Some(sid) = self.sids.remove(dialog) {
            lock(&self.listening.dialogs).remove(&sid);
            self.handed_over = true;
            // A link that is lost has no subscriptions.
            let _ = self.outgoing.say(|out| protocol::put_unsub(out, sid));
        }
    }

    fn attend(&mut self) {
        if std::mem::take(&mut self.handed_over) {
            // One that waits there is as good.
            let _ = self.kick.try_send(());
        }
    }
}

impl Drop for NatsTopics {
    fn drop(&mut self) {
        *lock(&self.listening.hear) = None;
        self.outgoing.unlisten(&self.listening);
        let inbox = self.listening.inbox.as_ref().map(|inbox| inbox.sid);
        let sids = self.sids.values().copied().chain(inbox);
        let _ = self.outgoing.say(|out| {
            for sid in sids {
                protocol::put_unsub(out, sid);
            }
        });
        self.handed_over = true;
        self.attend();
    }
}

#[cfg(test)]
mod tests;
