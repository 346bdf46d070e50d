//! The link that dialogs have their topics on, and what is offered there: calls, to whoever comes first,
//! and the first event of each, to see that its application listens.

use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use super::Host;
use crate::bus::{BusError, Heard, Link, Topics};
use crate::proxy::topics::dialog::Stage;
use crate::proxy::topics::{Event, Until};
use crate::wire::topic;

/// How long an application that was told of a call on a lost link has to show itself on the next.
const DOUBT: Duration = Duration::from_secs(1);
/// How long to wait for room on the link.
const ROOM: Duration = Duration::from_millis(20);
/// How long an event is kept for its application, where the bus keeps it.
const KEPT: Duration = Duration::from_secs(600);

impl Host {
    pub(super) fn set_link(&mut self, link: Option<Arc<dyn Link>>) {
        if let Some(topics) = self.topics.take() {
            let room = self.settings.most.saturating_sub(self.unclosed.len());
            self.unclosed
                .extend(topics.unfinished().into_iter().take(room));
        }
        self.offers.clear();
        self.links += 1;
        self.backoff.reset();
        self.ask = None;
        let again = Instant::now() + DOUBT;
        for (id, dialog) in &mut self.dialogs {
            dialog.lose_link(again);
            self.alarms.insert((Instant::now(), Arc::clone(id)));
        }
        self.link = link;
        self.ask_for_topics();
    }

    /// Asks the link for topics. A broker may take its time for that, which we do not wait for.
    pub(super) fn ask_for_topics(&mut self) {
        self.ask = None;
        let Some(link) = self.link.clone() else {
            return;
        };
        let (intake, number) = (self.intake.clone(), self.links);
        let (application, group) = (
            self.settings.application.clone(),
            self.settings.group.clone(),
        );
        let asking = thread::Builder::new()
            .name("bus-ask".into())
            .spawn(move || {
                let told = intake.clone();
                let hear = Box::new(move |heard| told.heard(number, heard));
                let topics = link.topics(&application, group.as_deref(), hear);
                intake.tell(Event::Topics(number, topics));
            });
        if let Err(error) = asking {
            self.asked(
                number,
                Err(BusError::Unreachable(format!("no thread: {error}"))),
            );
        }
    }

    /// The link of this number has topics for us, or not.
    pub(super) fn asked(&mut self, link: u64, topics: Result<Box<dyn Topics>, BusError>) {
        match topics {
            _ if link != self.links => {}
            Ok(topics) => self.begin_on(topics),
            Err(BusError::Lost) => {}
            Err(error) => {
                log::error!(
                    "bus: calls cannot be told to {}: {error}",
                    self.settings.application
                );
                self.ask = Some(Instant::now() + self.backoff.wait());
            }
        }
    }

    /// There are topics on the link: opens those of all dialogs.
    pub(super) fn begin_on(&mut self, mut topics: Box<dyn Topics>) {
        let now = Instant::now();
        for (id, dialog) in &mut self.dialogs {
            // The next link tells when this is lost.
            let _ = topics.open(id);
            // Without topics, nobody could come.
            let deadline = now + DOUBT + self.settings.max_wait;
            dialog.deadline = dialog.deadline.max(deadline);
            self.alarms.insert((now, Arc::clone(id)));
        }
        for id in self.unclosed.drain(..) {
            topics.close(&id);
        }
        topics.attend();
        self.topics = Some(topics);
        self.tell_when_passed(Until::Repeated(self.links));
    }

    /// What was said on the links before is said again on the one of this number. On NATS applications may
    /// come back later than we: they get the rest when they take the first of it.
    pub(super) fn repeated(&mut self, link: u64) {
        if link != self.links {
            return;
        }
        let now = Instant::now();
        for (id, dialog) in &mut self.dialogs {
            if dialog.stage == Stage::Doubted {
                dialog.stage = Stage::Greeted(now);
                dialog.deadline = now + DOUBT + self.settings.max_wait;
                self.alarms.insert((now, Arc::clone(id)));
            }
        }
    }

    pub(super) fn heard(&mut self, link: u64, heard: Heard) {
        if link != self.links {
            // What a lost link has heard is worth hearing, but for its offers.
            if !matches!(heard, Heard::Command { .. }) {
                return;
            }
        }
        match heard {
            Heard::Command {
                dialog,
                body,
                redelivered,
            } => self.command(&dialog, &body, redelivered),
            Heard::Listening(dialog) => self.listens(&dialog),
            Heard::Taken(number) => self.offered(number, true),
            Heard::Nobody(number) => self.offered(number, false),
            Heard::Refused { dialog, why } => {
                log::warn!("the bus does not let the dialog {dialog} be: {why}; it ends");
                self.drop_dialog(&dialog);
            }
        }
    }

    /// The command topic of a dialog is listened to: its call can be offered, and time begins to count.
    fn listens(&mut self, id: &str) {
        let Some((id, _)) = self.dialogs.get_key_value(id) else {
            return;
        };
        let id = Arc::clone(id);
        if let Some(dialog) = self.dialogs.get_mut(&id)
            && dialog.stage == Stage::Opening
        {
            let now = Instant::now();
            dialog.stage = Stage::New(now);
            dialog.deadline = now + self.settings.max_wait;
            self.advance(&id);
        }
    }

    /// An offer was taken or not.
    fn offered(&mut self, number: u64, taken: bool) {
        let Some(id) = self.offers.remove(&number) else {
            return;
        };
        let Some(dialog) = self.dialogs.get_mut(&id) else {
            return;
        };
        let now = Instant::now();
        dialog.stage = match (dialog.stage, taken) {
            (Stage::Offered(of), true) if of == number => {
                // Applications begin with one call after the other.
                dialog.deadline = now + self.settings.max_wait;
                Stage::Awaited
            }
            (Stage::Offered(of), false) if of == number => Stage::New(dialog.next_try(now)),
            (Stage::Greeting(of), true) if of == number => {
                dialog.held.pop_front();
                Stage::Talking
            }
            (Stage::Greeting(of), false) if of == number => Stage::Greeted(dialog.next_try(now)),
            (stage, _) => stage,
        };
        if dialog.stage == Stage::Talking {
            // It has its last event from now on, however long ago that came.
            dialog.ended = dialog.ended.map(|_| now);
            let held = std::mem::take(&mut dialog.held);
            self.counters.topic_events.add_all(held.len() as u64 + 1);
            let subject: Arc<str> = topic::events(&id).into();
            for (event, _) in held {
                self.say(&subject, event, None);
            }
        }
        self.advance(&id);
    }

    /// Offers a call, or its first event; when to look again, if there is a link.
    pub(super) fn offer(&mut self, id: &Arc<str>) -> Option<Instant> {
        let (number, server) = (self.next_number(), self.server());
        let (dialog, topics) = (self.dialogs.get_mut(id)?, self.topics.as_mut()?);
        let (offered, stage) = match (&dialog.stage, dialog.held.front()) {
            (Stage::Greeted(_), Some((first, _))) => {
                let offered = topics.offer(&topic::events(id), first, KEPT, number);
                (offered, Stage::Greeting(number))
            }
            // There is nothing to offer.
            (Stage::Greeted(_), None) => return None,
            _ => {
                let application = &self.settings.application;
                // Who gets it at the last moment has some left to show himself.
                let lasts = self.settings.max_wait.mul_f32(0.9);
                let start = topic::app_start(application, id, &server);
                // It is not open yet where there was no room for that.
                match topics.open(id) {
                    Ok(true) => {
                        let offered = topics.offer(application, &start, lasts, number);
                        (offered, Stage::Offered(number))
                    }
                    Ok(false) => {
                        // An application that is told now would speak to nobody.
                        dialog.stage = Stage::Opening;
                        return None;
                    }
                    Err(error) => (Err(error), Stage::Opening),
                }
            }
        };
        match offered {
            Ok(()) => {
                dialog.stage = stage;
                self.offers.insert(number, Arc::clone(id));
                Some(dialog.deadline)
            }
            Err(BusError::Busy) => Some(Instant::now() + ROOM),
            // The next link tells.
            Err(BusError::Lost) => None,
            Err(error) => {
                if self.full.now() {
                    log::warn!("the bus refuses a message of the dialog {id}: {error}");
                }
                Some(dialog.deadline)
            }
        }
    }
}
