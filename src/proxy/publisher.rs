//! The publisher: the one thread that publishes events. In order, each once, on the event subject
//! and then on the subject of every dialog that it touches.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, never, select};

use super::buffer::{Buffer, Event};
use super::conductor;
use super::counters::Counters;
use super::dialogs::Dialogs;
use super::standing::Standing;
use crate::bus::{BusError, Link};
use crate::logging::Occasionally;
use crate::wire::event::{Touched, with_dialog};
use crate::wire::kind::Entity;

/// How many events are handed over before the link is told to send.
const BATCH: usize = 32;

/// How many events are published before orders are looked at.
const ROUND: usize = 1024;

/// What the conductor tells the publisher.
pub enum Order {
    /// Publish on this link, its number told back when all that waited is sent.
    Link(u64, Arc<dyn Link>),
    /// Publish what is left, then end.
    Finish,
}

/// The publisher of one proxy.
pub struct Publisher {
    /// Where events wait.
    pub buffer: Arc<Buffer>,
    /// Which dialogs they touch.
    pub dialogs: Arc<Dialogs>,
    /// Where the proxy stands.
    pub standing: Arc<Standing>,
    /// What is counted.
    pub counters: Arc<Counters>,
    /// How long an event may have waited.
    pub longest: Duration,
    /// What to do.
    pub orders: Receiver<Order>,
    /// Who hears that all that waited is sent.
    pub tell: Sender<conductor::Event>,
}

/// An event that is being published: a link may break between its subjects.
struct Outgoing {
    event: Event,
    /// Whether it is published on the event subject.
    published: bool,
    /// What is left to publish for dialogs, last first.
    dialogs: Vec<Arc<str>>,
    ended: Option<(Entity, String)>,
}

impl Publisher {
    /// Runs until told to finish.
    pub fn run(self) {
        let mut link: Option<(u64, Arc<dyn Link>)> = None;
        let mut outgoing: Option<Outgoing> = None;
        // How many of the events that waited for the link are left; none once it is told.
        let mut backlog: Option<usize> = None;
        let mut finishing = false;
        let refused = Occasionally::new();
        let nothing = never();
        loop {
            if let Some((number, current)) = &link {
                let published = self.publish_waiting(&**current, &mut outgoing, &refused);
                match (published, &mut backlog) {
                    (Ok(count), Some(left)) => {
                        *left = left.saturating_sub(count);
                        if *left == 0 {
                            backlog = None;
                            let _ = self.tell.send(conductor::Event::BacklogSent(*number));
                        }
                    }
                    (Ok(_), None) => {}
                    (Err(_), _) => link = None,
                }
            }
            if finishing && (link.is_none() || self.buffer.receiver().is_empty()) {
                return;
            }
            let events = if link.is_some() {
                self.buffer.receiver()
            } else {
                &nothing
            };
            select! {
                recv(self.orders) -> order => match order {
                    Ok(Order::Link(number, new)) => {
                        link = Some((number, new));
                        let held = usize::from(outgoing.is_some());
                        backlog = Some(self.buffer.receiver().len() + held);
                    }
                    Ok(Order::Finish) | Err(_) => finishing = true,
                },
                recv(events) -> event => {
                    outgoing = event.ok().map(|event| self.take(event));
                }
            }
        }
    }

    /// Publishes what waits, a round of it, so that orders are looked at now and then; how many
    /// events it was.
    fn publish_waiting(
        &self,
        link: &dyn Link,
        outgoing: &mut Option<Outgoing>,
        refused: &Occasionally,
    ) -> Result<usize, BusError> {
        let mut count = 0;
        while count < ROUND {
            if outgoing.is_none() {
                *outgoing = self
                    .buffer
                    .receiver()
                    .try_recv()
                    .ok()
                    .map(|event| self.take(event));
            }
            let Some(event) = outgoing else {
                break;
            };
            self.publish(link, event, refused)?;
            *outgoing = None;
            count += 1;
            if count % BATCH == 0 {
                link.flush();
            }
        }
        link.flush();
        Ok(count)
    }

    fn take(&self, event: Event) -> Outgoing {
        self.buffer.taken(&event);
        Outgoing {
            event,
            published: false,
            dialogs: Vec::new(),
            ended: None,
        }
    }

    /// Publishes what is left of an event. An error means that the link is lost: what is left then
    /// is for the next one.
    fn publish(
        &self,
        link: &dyn Link,
        outgoing: &mut Outgoing,
        refused: &Occasionally,
    ) -> Result<(), BusError> {
        if !outgoing.published {
            if Instant::now().duration_since(outgoing.event.received) > self.longest {
                self.counters.events_dropped_old.add();
                if refused.now() {
                    log::warn!(
                        "events older than events.max_age are dropped ({} so far)",
                        self.counters.events_dropped_old.get()
                    );
                }
                self.look_up(outgoing);
                outgoing.dialogs.clear();
                self.end(outgoing);
                return Ok(());
            }
            let subject = &outgoing.event.origin.event_subject;
            if self.hand_over(link, subject, &outgoing.event.frame, refused)? {
                self.counters.events_published.add();
            }
            outgoing.published = true;
            self.look_up(outgoing);
        }
        while let Some(dialog) = outgoing.dialogs.last() {
            let subject = self.standing.subjects().dialog_event(dialog);
            if let Some(body) = with_dialog(&outgoing.event.frame, dialog)
                && self.hand_over(link, &subject, &body, refused)?
            {
                self.counters.dialog_events_published.add();
            }
            outgoing.dialogs.pop();
        }
        self.end(outgoing);
        Ok(())
    }

    /// Hands a message over; whether the bus takes it.
    fn hand_over(
        &self,
        link: &dyn Link,
        subject: &str,
        body: &[u8],
        refused: &Occasionally,
    ) -> Result<bool, BusError> {
        match link.publish(subject, body) {
            Ok(()) => Ok(true),
            Err(BusError::Lost) => Err(BusError::Lost),
            Err(error) => {
                self.counters.events_refused.add();
                if refused.now() {
                    log::warn!("an event is dropped: {error}");
                }
                Ok(false)
            }
        }
    }

    /// Finds the dialogs of an event and what it ends. Events are only parsed if there are any.
    fn look_up(&self, outgoing: &mut Outgoing) {
        if self.dialogs.is_empty() {
            return;
        }
        let Some(touched) = Touched::read(&outgoing.event.frame) else {
            return;
        };
        let entities = touched
            .entities
            .iter()
            .map(|(entity, id)| (*entity, id.as_ref()));
        outgoing.dialogs = self.dialogs.of(entities);
        outgoing.ended = touched.ends().map(|(entity, id)| (*entity, id.to_string()));
    }

    /// Drops the bindings of what the event ended, now that it was published.
    fn end(&self, outgoing: &mut Outgoing) {
        if let Some((entity, id)) = outgoing.ended.take() {
            self.dialogs.end(entity, &id);
        }
    }
}
