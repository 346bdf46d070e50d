//! What an application's access is subscribed to, and what is heard of it on the reading thread. A message
//! comes from anybody: it ends nothing.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use crate::bus::access::LARGEST;
use crate::bus::nats::lock;
use crate::bus::nats::outgoing::{Ear, Outgoing};
use crate::bus::nats::said::{Message, Refusal};
use crate::bus::{BusError, HearAccess, HeardByAccess as Heard};
use crate::occasionally::Occasionally;

/// What a subscription is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    /// Answers to questions, and that nobody will answer one.
    Answers,
    /// Announcements.
    Announcements,
    /// What the application subscribed to under this number.
    Events(u64),
}

/// The subscriptions of an access.
pub(super) struct Subscriptions {
    hear: HearAccess,
    /// How the subjects of answers begin.
    inbox: String,
    /// Not locked while somebody is told.
    all: Mutex<All>,
    /// When to say that answers are too large.
    too_large: Occasionally,
}

#[derive(Default)]
struct All {
    /// By the numbers that the server knows.
    by_sid: HashMap<u64, Subscription>,
    /// The numbers that the server knows, by the application's; not of those that end.
    sids: HashMap<u64, u64>,
}

/// A subscription.
struct Subscription {
    purpose: Purpose,
    subject: String,
    group: Option<String>,
    state: State,
}

/// How far a subscription is.
#[derive(Debug, PartialEq, Eq)]
enum State {
    /// The server may not know it yet.
    Begins,
    /// The server does not let us have it; its words. Who subscribes is still to be told.
    Refused(String),
    /// The server has it.
    Taken,
    /// It is of no use any more; the server may not know it yet.
    Ends,
}

/// The end of a subscription of which the server was told.
pub(super) struct End {
    subscriptions: Arc<Subscriptions>,
    sid: u64,
}

impl Subscriptions {
    /// None yet; answers will come on what begins with `inbox`.
    pub(super) fn new(inbox: &str, hear: &HearAccess) -> Subscriptions {
        Subscriptions {
            hear: Arc::clone(hear),
            inbox: inbox.to_owned(),
            all: Mutex::default(),
            too_large: Occasionally::new(),
        }
    }

    /// One of the number `sid` begins, which `hand_over` hands over to who writes: before anybody can end it,
    /// and what comes at once is heard.
    pub(super) fn add(
        &self,
        sid: u64,
        purpose: Purpose,
        subject: &str,
        group: Option<&str>,
        hand_over: impl FnOnce() -> Result<(), BusError>,
    ) -> Result<(), BusError> {
        let subscription = Subscription {
            purpose,
            subject: subject.to_owned(),
            group: group.map(str::to_owned),
            state: State::Begins,
        };
        let mut all = lock(&self.all);
        all.by_sid.insert(sid, subscription);
        if let Purpose::Events(number) = purpose {
            all.sids.insert(number, sid);
        }
        hand_over()
    }

    /// The server has dealt with the beginning of that of the number `sid`; why it refuses it, if so: then
    /// it is none.
    pub(super) fn refusal_of(&self, sid: u64) -> Option<String> {
        let mut all = lock(&self.all);
        let subscription = all.by_sid.get_mut(&sid)?;
        match &subscription.state {
            State::Begins => {
                subscription.state = State::Taken;
                None
            }
            State::Refused(why) => {
                let why = why.clone();
                all.remove(sid);
                Some(why)
            }
            State::Taken | State::Ends => None,
        }
    }

    /// By which number the server knows what the application knows by `number`, unless it ends.
    pub(super) fn sid_of(&self, number: u64) -> Option<u64> {
        lock(&self.all).sids.get(&number).copied()
    }

    /// That of the number `sid` ends, as the server is to be told.
    pub(super) fn end(self: &Arc<Subscriptions>, sid: u64) -> End {
        let mut all = lock(&self.all);
        if let Some(subscription) = all.by_sid.get_mut(&sid) {
            subscription.state = State::Ends;
            if let Purpose::Events(number) = subscription.purpose {
                all.sids.remove(&number);
            }
        }
        End {
            subscriptions: Arc::clone(self),
            sid,
        }
    }

    /// How many there are.
    #[cfg(test)]
    pub(super) fn count(&self) -> usize {
        lock(&self.all).by_sid.len()
    }

    /// The question that an answer on `subject` is for.
    fn question(&self, subject: &[u8]) -> Option<u64> {
        let number = subject.strip_prefix(self.inbox.as_bytes())?;
        std::str::from_utf8(number).ok()?.parse().ok()
    }

    fn hear_answer(&self, message: &Message) {
        let Some(question) = self.question(&message.subject) else {
            return;
        };
        if message.nobody {
            (self.hear)(Heard::Nobody(question));
        } else if message.body.len() <= LARGEST {
            (self.hear)(Heard::Answer {
                question,
                body: &message.body,
            });
        } else if self.too_large.now() {
            log::warn!("bus: an answer of more than {LARGEST} bytes is dropped");
        }
    }
}

impl All {
    /// There is none of the number `sid` any more.
    fn remove(&mut self, sid: u64) {
        if let Some(subscription) = self.by_sid.remove(&sid)
            && let Purpose::Events(number) = subscription.purpose
        {
            self.sids.remove(&number);
        }
    }

    /// Those that a refusal without a number is about: what begins so, if anything does.
    fn refused(&self, subject: &str, group: Option<&str>) -> Vec<u64> {
        let same = |it: &Subscription| it.subject == subject && it.group.as_deref() == group;
        let same = self.by_sid.iter().filter(|(_, it)| same(it));
        let begin = same.clone().filter(|(_, it)| it.state == State::Begins);
        let begin: Vec<u64> = begin.map(|(sid, _)| *sid).collect();
        match begin.is_empty() {
            true => same.map(|(sid, _)| *sid).collect(),
            false => begin,
        }
    }
}

impl Ear for Subscriptions {
    type Mark = End;

    fn message(self: &Arc<Self>, _: &Outgoing<Self>, message: Message) {
        let purpose = lock(&self.all)
            .by_sid
            .get(&message.sid)
            .map(|it| it.purpose);
        let is_whole = message.body.len() <= LARGEST;
        match purpose {
            Some(Purpose::Answers) => self.hear_answer(&message),
            Some(Purpose::Announcements) if is_whole => {
                (self.hear)(Heard::Announcement(&message.body));
            }
            Some(Purpose::Events(subscription)) if is_whole => (self.hear)(Heard::Event {
                subscription,
                body: &message.body,
                claim: None,
            }),
            Some(Purpose::Events(subscription)) => (self.hear)(Heard::Dropped(subscription)),
            // Of no use as it is, or for what has ended.
            Some(Purpose::Announcements) | None => {}
        }
    }

    fn refused(self: &Arc<Self>, outgoing: &Outgoing<Self>, refusal: &Refusal<'_>, why: &str) {
        // What may not be published is said in the log; who waits for an answer waits in vain.
        let Refusal::Subscribe {
            subject,
            group,
            sid,
        } = *refusal
        else {
            return;
        };
        let mut lost = Vec::new();
        let mut all = lock(&self.all);
        let refused = sid.map_or_else(|| all.refused(subject, group), |sid| vec![sid]);
        for sid in refused {
            let Some(subscription) = all.by_sid.get_mut(&sid) else {
                continue;
            };
            match subscription.state {
                State::Begins => subscription.state = State::Refused(why.to_owned()),
                State::Taken => {
                    lost.push(subscription.purpose);
                    all.remove(sid);
                }
                State::Refused(_) | State::Ends => {}
            }
        }
        drop(all);
        for purpose in lost {
            match purpose {
                Purpose::Events(subscription) => (self.hear)(Heard::Refused {
                    subscription,
                    why: why.to_owned(),
                }),
                // Nothing is of use without these: the next connection says what is wrong.
                Purpose::Answers | Purpose::Announcements => outgoing.end(),
            }
        }
    }

    fn answered(end: End) {
        lock(&end.subscriptions.all).remove(end.sid);
    }
}
