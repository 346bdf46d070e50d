//! The publisher: the one thread that publishes events. In order, each once, on the event subject
//! and then on the subject of every dialog that it touches. What a lost link may not have delivered
//! is published again on the next, before all else, on buses that can tell what that is.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, never, select};

use super::buffer::{Buffer, Event};
use super::conductor;
use super::counters::Counters;
use super::dialogs::Dialogs;
use super::sent::{Message, Sent};
use super::standing::Standing;
use crate::ari::websocket::Frame;
use crate::bus::{BusError, Link, Topic};
use crate::logging::Occasionally;
use crate::wire::event::{Touched, with_dialog};
use crate::wire::kind::Entity;

/// How many events are handed over before the link is told to send.
const BATCH: usize = 32;

/// How many events are published before orders are looked at.
const ROUND: usize = 1024;

/// How long a link that takes nothing is waited for before orders are looked at.
const PATIENCE: Duration = Duration::from_millis(100);

/// What the conductor tells the publisher.
pub enum Order {
    /// Publish on this link, its number told back when all that waited is sent. There was none for
    /// the time given.
    Link(u64, Arc<dyn Link>, Duration),
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
    /// How many messages it has taken and not handed over.
    pub held: Arc<AtomicUsize>,
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

/// What the publisher is at.
#[derive(Default)]
struct Desk {
    link: Option<Arc<dyn Link>>,
    /// Whether the link may be published to.
    usable: bool,
    /// What was handed to the link.
    sent: Sent,
    /// What comes before all else.
    again: VecDeque<Message>,
    outgoing: Option<Outgoing>,
    /// The number of the link, and how many of the messages that waited for it are left; none once
    /// that is told.
    backlog: Option<(u64, usize)>,
    refused: Occasionally,
}

impl Publisher {
    /// Runs until told to finish.
    pub fn run(self) {
        let mut desk = Desk::default();
        let mut finishing = false;
        let nothing = never();
        loop {
            let published = self.publish_waiting(&mut desk);
            self.held.store(desk.held(), Ordering::Relaxed);
            match published {
                Err(BusError::Busy) => {
                    if let Some(link) = &desk.link {
                        link.wait(PATIENCE);
                    }
                }
                Err(_) => desk.usable = false,
                Ok(()) => {}
            }
            let waiting = desk.held() > 0 || !self.buffer.receiver().is_empty();
            if finishing && !(desk.usable && waiting) {
                return;
            }
            if desk.usable && desk.held() > 0 {
                if let Ok(order) = self.orders.try_recv() {
                    finishing |= self.carry_out(order, &mut desk);
                }
                continue;
            }
            let events = match desk.usable {
                true => self.buffer.receiver(),
                false => &nothing,
            };
            select! {
                recv(self.orders) -> order => {
                    finishing |= self.carry_out(order.unwrap_or(Order::Finish), &mut desk);
                }
                recv(events) -> event => {
                    desk.outgoing = event.ok().map(|event| self.take(event));
                }
            }
        }
    }

    /// Carries an order out; whether it is to finish.
    fn carry_out(&self, order: Order, desk: &mut Desk) -> bool {
        let Order::Link(number, link, away) = order else {
            return true;
        };
        if let Some(lost) = desk.link.replace(link.clone()) {
            let same = lost.peer() == link.peer();
            let again = desk.sent.to_repeat(lost.taken(), lost.heard(), away, same);
            let mut again = VecDeque::from(again);
            again.append(&mut desk.again);
            desk.again = again;
        }
        desk.usable = true;
        desk.backlog = Some((number, self.buffer.receiver().len() + desk.held()));
        false
    }

    /// Publishes what waits, a round of it, so that orders are looked at now and then.
    fn publish_waiting(&self, desk: &mut Desk) -> Result<(), BusError> {
        let Some(link) = desk.link.clone().filter(|_| desk.usable) else {
            return Ok(());
        };
        let published = self.publish_round(&*link, desk);
        link.flush();
        desk.sent.forget(link.taken(), link.heard());
        if let Some((number, 0)) = desk.backlog {
            desk.backlog = None;
            let _ = self.tell.send(conductor::Event::BacklogSent(number));
        }
        published
    }

    fn publish_round(&self, link: &dyn Link, desk: &mut Desk) -> Result<(), BusError> {
        for count in 1..=ROUND {
            let more = self.publish_next(link, desk)?;
            if let Some((_, left)) = &mut desk.backlog {
                // What was dropped meanwhile is not waited for.
                *left = if more { left.saturating_sub(1) } else { 0 };
            }
            if !more {
                break;
            }
            if count % BATCH == 0 {
                link.flush();
                desk.sent.forget(link.taken(), link.heard());
            }
        }
        Ok(())
    }

    /// Publishes one message or event; whether there was one.
    fn publish_next(&self, link: &dyn Link, desk: &mut Desk) -> Result<bool, BusError> {
        if let Some(message) = desk.again.pop_front() {
            if message.since.elapsed() > self.longest {
                self.counters.events_dropped_old.add();
                return Ok(true);
            }
            match link.publish(Topic::Event, &message.subject, &message.body) {
                Ok(number) => {
                    self.counters.events_published_again.add();
                    if let Some(number) = number {
                        desk.sent.keep(number, message);
                    }
                }
                Err(error @ (BusError::Lost | BusError::Busy)) => {
                    desk.again.push_front(message);
                    return Err(error);
                }
                Err(_) => self.counters.events_refused.add(),
            }
            return Ok(true);
        }
        if desk.outgoing.is_none() {
            let event = self.buffer.receiver().try_recv();
            desk.outgoing = event.ok().map(|event| self.take(event));
        }
        let Some(mut outgoing) = desk.outgoing.take() else {
            return Ok(false);
        };
        let published = self.publish(link, &mut outgoing, desk);
        if published.is_err() {
            desk.outgoing = Some(outgoing);
        }
        published.map(|()| true)
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

    /// Publishes what is left of an event. An error means that the link is lost or busy: what is
    /// left then is for later.
    fn publish(
        &self,
        link: &dyn Link,
        outgoing: &mut Outgoing,
        desk: &mut Desk,
    ) -> Result<(), BusError> {
        if !outgoing.published {
            if outgoing.event.received.elapsed() > self.longest {
                self.counters.events_dropped_old.add();
                if desk.refused.now() {
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
            if self.hand_over(link, subject, &outgoing.event.frame, desk)? {
                self.counters.events_published.add();
            }
            outgoing.published = true;
            self.look_up(outgoing);
        }
        while let Some(dialog) = outgoing.dialogs.last() {
            let subject = self.standing.subjects().dialog_event(dialog).into();
            if let Some(body) = with_dialog(&outgoing.event.frame, dialog)
                && self.hand_over(link, &subject, &body.into(), desk)?
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
        subject: &Arc<str>,
        body: &Frame,
        desk: &mut Desk,
    ) -> Result<bool, BusError> {
        match link.publish(Topic::Event, subject, body) {
            Ok(None) => Ok(true),
            Ok(Some(number)) => {
                let message = Message {
                    subject: Arc::clone(subject),
                    body: body.clone(),
                    since: Instant::now(),
                };
                desk.sent.keep(number, message);
                Ok(true)
            }
            Err(error @ (BusError::Lost | BusError::Busy)) => Err(error),
            Err(error) => {
                self.counters.events_refused.add();
                if desk.refused.now() {
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

impl Desk {
    /// How many messages are taken and not handed over.
    fn held(&self) -> usize {
        self.again.len() + usize::from(self.outgoing.is_some())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bus::Reply;
    use crate::bus::link::Use;
    use crate::proxy::standing::Origin;
    use crate::wire::subject::Subjects;
    use crossbeam_channel::{bounded, unbounded};
    use std::fmt;
    use std::sync::Mutex;
    use std::thread;

    /// A link that takes one message more with every wait.
    struct Narrow {
        came: Mutex<Vec<Vec<u8>>>,
        taken: AtomicUsize,
        gone: Receiver<()>,
    }

    impl fmt::Display for Narrow {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("narrow")
        }
    }

    impl Link for Narrow {
        fn publish(&self, _: Topic, _: &str, body: &[u8]) -> Result<Option<u64>, BusError> {
            let mut came = self.came.lock().unwrap();
            if came.len() > self.taken.load(Ordering::Relaxed) {
                return Err(BusError::Busy);
            }
            came.push(body.to_vec());
            Ok(Some(came.len() as u64))
        }

        fn taken(&self) -> u64 {
            self.taken.load(Ordering::Relaxed) as u64
        }

        fn heard(&self) -> Instant {
            // Long after everything: nothing that is taken is kept.
            Instant::now() + Duration::from_secs(60)
        }

        fn wait(&self, _: Duration) {
            self.taken.fetch_add(1, Ordering::Relaxed);
        }

        fn answer(&self, _: &Reply, _: &[u8]) -> Result<(), BusError> {
            Err(BusError::Busy)
        }

        fn flush(&self) {}

        fn settle(&self, _: Duration) -> bool {
            true
        }

        fn with_inbox(&self, _: Topic, _: Use<'_>) -> Result<(), BusError> {
            Err(BusError::Lost)
        }

        fn check(&self) {}

        fn lost(&self) -> &Receiver<()> {
            &self.gone
        }

        fn is_lost(&self) -> bool {
            false
        }

        fn why(&self) -> Option<String> {
            None
        }

        fn peer(&self) -> String {
            "narrow".into()
        }

        fn close(&self) {}
    }

    fn event(number: u8) -> Event {
        Event {
            frame: vec![number].into(),
            origin: Arc::new(Origin {
                asterisk: "a".into(),
                event_subject: "s".into(),
            }),
            received: Instant::now(),
        }
    }

    #[test]
    fn on_a_link_that_is_busy_most_of_the_time() {
        let (tell, told) = unbounded();
        let (give, orders) = bounded(4);
        let buffer = Arc::new(Buffer::new(1000, 1000));
        let publisher = Publisher {
            buffer: Arc::clone(&buffer),
            dialogs: Arc::new(Dialogs::new(10)),
            standing: Arc::new(Standing::new("app", Subjects::new("ari.", "app"))),
            counters: Arc::default(),
            longest: Duration::from_secs(60),
            held: Arc::default(),
            orders,
            tell,
        };
        let mut pace = crate::proxy::buffer::Pace::default();
        for number in 0..200 {
            assert_eq!(buffer.push(event(number), &mut pace), 0);
        }
        let link = Arc::new(Narrow {
            came: Mutex::default(),
            taken: AtomicUsize::new(0),
            gone: never(),
        });
        let mut desk = Desk::default();
        let order = Order::Link(7, link.clone(), Duration::ZERO);
        assert!(!publisher.carry_out(order, &mut desk));
        while let Err(BusError::Busy) = publisher.publish_waiting(&mut desk) {
            assert!(desk.sent.len() <= 2, "what is taken is forgotten");
            link.wait(Duration::ZERO);
        }
        let backlog = told.try_recv();
        assert!(matches!(backlog, Ok(conductor::Event::BacklogSent(7))));
        let bodies: Vec<u8> = link
            .came
            .lock()
            .unwrap()
            .iter()
            .flatten()
            .copied()
            .collect();
        assert_eq!(bodies, (0..200).collect::<Vec<u8>>());
        give.send(Order::Finish).unwrap();
        thread::scope(|scope| scope.spawn(|| publisher.run()).join().unwrap());
    }
}
