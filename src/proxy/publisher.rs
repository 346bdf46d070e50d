//! The publisher: the one thread that publishes events. In order, each once, on the event subject
//! and then on the subject of every dialog that it touches. What a lost link may not have delivered
//! is published again on the next, before all else, on buses that can tell what that is. Statuses
//! ([`super::report`]) go out between the events, where they belong.

#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, TryRecvError};

use super::buffer::{Buffer, Item};
use super::conductor;
use super::counters::Counters;
use super::dialogs::Dialogs;
use super::outbox::Outbox;
use super::outgoing::Outgoing;
use super::report::Report;
use super::standing::Standing;
use crate::bus::{BusError, Link, Mark, Topic};
use crate::wire::event::with_dialog;

/// How many events are handed over before the link is told to send.
const BATCH: usize = 64;

/// How many events are published before orders are looked at.
const ROUND: usize = 1024;

/// How long a link that takes nothing is waited for before orders are looked at.
const PATIENCE: Duration = Duration::from_millis(100);

/// How often it looks, when no event comes, whether there is a loss to tell of.
const LOOK: Duration = Duration::from_secs(1);

/// How long the bus may take to take the last events.
const LAST: Duration = Duration::from_millis(200);

/// What the publisher is told.
pub enum Order {
    /// Publish on this link, its number told back when all that waited is sent. There was none for
    /// the time given.
    Link(u64, Arc<dyn Link>, Duration),
    /// Publish what is left, tell that the proxy ends for this reason, then end.
    Finish(&'static str),
}

/// Gives orders to a publisher.
pub struct Orders {
    /// Where they go.
    pub orders: Sender<Order>,
    /// Where it waits.
    pub buffer: Arc<Buffer>,
}

impl Orders {
    /// Has the publisher carry `order` out.
    pub fn give(&self, order: Order) {
        // It outlives the conductor, or its panic is heard of.
        let _ = self.orders.send(order);
        self.buffer.wake();
    }
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
    /// Whether events carry their epoch and number.
    pub marked: bool,
    /// Whether the status is told.
    pub tells: bool,
    /// How many messages it has taken and not handed over.
    pub held: Arc<AtomicUsize>,
    /// What to do.
    pub orders: Receiver<Order>,
    /// Who hears that all that waited is sent.
    pub tell: Sender<conductor::Event>,
}

impl Publisher {
    /// Runs until told to finish.
    pub fn run(self) {
        let mut outbox = Outbox::new(Report::new(&self.standing, self.tells));
        loop {
            let published = self.publish_waiting(&mut outbox);
            self.held.store(outbox.held(), Ordering::Relaxed);
            match published {
                Err(BusError::Busy) => {
                    if let Some(link) = &outbox.link {
                        link.wait(PATIENCE);
                    }
                }
                Err(_) => outbox.usable = false,
                Ok(()) => {}
            }
            let waiting = outbox.held() > 0 || !self.buffer.receiver().is_empty();
            if outbox.usable
                && !waiting
                && let Some(reason) = outbox.finish.take()
            {
                if let Some(link) = &outbox.link {
                    // What the bus refuses of the last events is to be in it.
                    link.settle(LAST);
                }
                let last = outbox.report.stopping(reason);
                outbox.statuses.extend(last);
                continue;
            }
            if outbox.finishing && !(outbox.usable && waiting) {
                return;
            }
            if outbox.usable && outbox.held() > 0 {
                if let Ok(order) = self.orders.try_recv() {
                    self.carry_out(order, &mut outbox);
                }
                continue;
            }
            if let Some(order) = self.wait(outbox.usable) {
                self.carry_out(order, &mut outbox);
            }
        }
    }

    /// Waits for an order, and on a link that is usable for an item, at most for [`LOOK`].
    fn wait(&self, usable: bool) -> Option<Order> {
        let over = Order::Finish("the proxy ends");
        if !usable {
            return Some(self.orders.recv().unwrap_or(over));
        }
        self.buffer.wait(LOOK, || !self.orders.is_empty());
        match self.orders.try_recv() {
            Ok(order) => Some(order),
            Err(TryRecvError::Empty) => None,
            Err(TryRecvError::Disconnected) => Some(over),
        }
    }

    fn carry_out(&self, order: Order, outbox: &mut Outbox) {
        match order {
            Order::Link(number, link, away) => {
                outbox.replace_link(link, away);
                outbox.backlog = Some((number, self.buffer.receiver().len()));
            }
            Order::Finish(reason) => {
                outbox.finish = Some(reason);
                outbox.finishing = true;
            }
        }
    }

    /// Publishes what waits, a round of it, so that orders are looked at now and then.
    fn publish_waiting(&self, outbox: &mut Outbox) -> Result<(), BusError> {
        let Some(link) = outbox.link.clone().filter(|_| outbox.usable) else {
            return Ok(());
        };
        let published = self.publish_round(&*link, outbox);
        outbox.flush(&*link);
        if let Some((number, 0)) = outbox.backlog
            && outbox.held() == 0
        {
            outbox.backlog = None;
            outbox.report.caught_up();
            let _ = self.tell.send(conductor::Event::BacklogSent(number));
            if !self.standing.is_up() {
                // There will be no announcement to tell it with.
                let status = outbox.report.again();
                outbox.statuses.extend(status);
            }
        }
        published
    }

    fn publish_round(&self, link: &dyn Link, outbox: &mut Outbox) -> Result<(), BusError> {
        for count in 1..=ROUND {
            if !self.publish_next(link, outbox)? {
                break;
            }
            if count % BATCH == 0 {
                outbox.flush(link);
            }
        }
        Ok(())
    }

    /// Publishes one message or event; whether there was one.
    fn publish_next(&self, link: &dyn Link, outbox: &mut Outbox) -> Result<bool, BusError> {
        if outbox.publish_again(link, &self.counters, self.longest)?
            || outbox.publish_status(link, &self.counters)?
        {
            return Ok(true);
        }
        if outbox.outgoing.is_none() && outbox.direct.is_none() {
            self.take_next(outbox);
        }
        if outbox.publish_direct(link, &self.counters, self.longest)? {
            return Ok(true);
        }
        let Some(mut outgoing) = outbox.outgoing.take() else {
            return Ok(!outbox.statuses.is_empty());
        };
        let published = self.publish(link, &mut outgoing, outbox);
        if published.is_err() {
            outbox.outgoing = Some(outgoing);
        }
        published.map(|()| true)
    }

    /// Takes what comes next.
    fn take_next(&self, outbox: &mut Outbox) {
        if self.tell_overdue(outbox) {
            return;
        }
        match self.buffer.receiver().try_recv() {
            Ok(item) => self.take(item, outbox),
            Err(_) => {
                outbox.tell_gap();
                // What was dropped meanwhile is not waited for.
                outbox.backlog = outbox.backlog.map(|(number, _)| (number, 0));
            }
        }
    }

    /// Tells of changes that had no room in the buffer; whether there were any.
    fn tell_overdue(&self, outbox: &mut Outbox) -> bool {
        let overdue = self.buffer.overdue();
        let any = !overdue.is_empty();
        for change in overdue {
            outbox.tell_change(Box::new(change));
        }
        any
    }

    fn take(&self, item: Item, outbox: &mut Outbox) {
        if let Some((_, left)) = &mut outbox.backlog {
            *left = left.saturating_sub(1);
        }
        self.buffer.taken(&item);
        match item {
            Item::Event(event) => {
                let after_gap = outbox.report.is_gap();
                outbox.outgoing = Some(Outgoing::new(event, after_gap));
            }
            Item::Change(change) => {
                let status = outbox.report.change(change);
                outbox.statuses.extend(status);
            }
            Item::Repeat => {
                let status = outbox.report.again();
                outbox.statuses.extend(status);
            }
            Item::Direct(direct) => outbox.direct = Some(direct),
            // It tells who waits for it.
            Item::Passed(passed) => drop(passed),
        }
    }

    /// Publishes what is left of an event. An error means that the link is lost or busy: what is
    /// left then is for later.
    fn publish(
        &self,
        link: &dyn Link,
        outgoing: &mut Outgoing,
        outbox: &mut Outbox,
    ) -> Result<(), BusError> {
        if !outgoing.published {
            if outgoing.event.received.elapsed() > self.longest {
                self.drop_old(outgoing, outbox);
                return Ok(());
            }
            if outgoing.after_gap {
                outbox.tell_gap();
            }
            while outbox.publish_status(link, &self.counters)? {}
            let origin = &outgoing.event.origin;
            let seq = origin.published.load(Ordering::Relaxed) + 1;
            let (subject, frame) = (&origin.event_subject, &outgoing.event.frame);
            let mark = self.mark(outgoing, seq);
            match outbox.hand_over(link, Topic::Event, subject, mark, frame) {
                Ok(()) => {
                    origin.published.store(seq, Ordering::Relaxed);
                    outgoing.seq = Some(seq);
                    self.counters.events_published.add();
                }
                Err(error) => {
                    self.refused(error, outbox)?;
                    origin.losses.refused.add();
                    self.counters.events_refused.add();
                }
            }
            outgoing.published = true;
            outgoing.look_up(&self.dialogs);
        }
        while let Some(dialog) = outgoing.dialogs.last() {
            if let Some(body) = with_dialog(&outgoing.event.frame, dialog) {
                let subject = self.standing.subjects().dialog_event(dialog).into();
                let mark = outgoing.seq.and_then(|seq| self.mark(outgoing, seq));
                match outbox.hand_over(link, Topic::Dialog, &subject, mark, &body.into()) {
                    Ok(()) => self.counters.dialog_events_published.add(),
                    Err(error) => {
                        self.refused(error, outbox)?;
                        self.counters.dialog_events_lost.add();
                    }
                }
            }
            outgoing.dialogs.pop();
        }
        outgoing.end(&self.dialogs);
        Ok(())
    }

    fn mark(&self, outgoing: &Outgoing, seq: u64) -> Option<Mark> {
        self.marked.then(|| Mark {
            epoch: Arc::clone(&outgoing.event.origin.epoch),
            seq,
        })
    }

    fn drop_old(&self, outgoing: &mut Outgoing, outbox: &Outbox) {
        outgoing.event.origin.losses.old.add();
        self.counters.events_dropped_old.add();
        if outbox.refused.now() {
            log::warn!(
                "events older than events.max_age are dropped ({} so far)",
                self.counters.events_dropped_old.get()
            );
        }
        outgoing.look_up(&self.dialogs);
        outgoing.dialogs.clear();
        outgoing.end(&self.dialogs);
    }

    /// Whether a message is for later, or refused for good, which is logged.
    fn refused(&self, error: BusError, outbox: &Outbox) -> Result<(), BusError> {
        if matches!(error, BusError::Lost | BusError::Busy) {
            return Err(error);
        }
        if outbox.refused.now() {
            log::warn!("an event is dropped: {error}");
        }
        Ok(())
    }
}
