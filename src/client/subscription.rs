//! Events as they reach who subscribed to them.

use std::time::{Duration, Instant};

use crossbeam_channel::RecvTimeoutError;

use super::local::{Item, Outlet};
use super::session::Session;
use super::{Error, Event};

/// A subscription to events. Dropped, it ends.
///
/// As many events as [`event_buffer`](super::Builder::event_buffer) says may wait in it. What comes when
/// it is full is dropped, and an [`Event::Gap`] in its place says how many events were. After the link to
/// the bus was lost, an [`Event::Gap`] says that too. What a proxy says of itself comes as
/// [`Event::Status`]. Both come whatever types of events were subscribed to.
#[derive(Debug)]
pub struct Subscription {
    session: Session,
    number: u64,
    outlet: Outlet,
}

impl Subscription {
    pub(super) fn new(session: &Session, number: u64, outlet: Outlet) -> Subscription {
        Subscription {
            session: session.clone(),
            number,
            outlet,
        }
    }

    /// The next event; waits for it. None once the client, or its connection, is closed.
    pub fn recv(&self) -> Option<Event> {
        if let Some(event) = self.try_recv() {
            return Some(event);
        }
        self.outlet.recv().map(event)
    }

    /// The next event within `limit`. [`Error::Timeout`] says that there is none, [`Error::Closed`] that
    /// there will be none.
    pub fn recv_timeout(&self, limit: Duration) -> Result<Event, Error> {
        let Some(deadline) = Instant::now().checked_add(limit) else {
            return self.recv().ok_or(Error::Closed);
        };
        self.recv_deadline(deadline).map_err(|error| match error {
            Error::Timeout(_) => Error::Timeout(limit),
            other => other,
        })
    }

    /// The next event before `deadline`, likewise.
    pub fn recv_deadline(&self, deadline: Instant) -> Result<Event, Error> {
        if let Some(event) = self.try_recv() {
            return Ok(event);
        }
        let limit = deadline.saturating_duration_since(Instant::now());
        match self.outlet.recv_deadline(deadline) {
            Ok(item) => Ok(event(item)),
            Err(RecvTimeoutError::Timeout) => Err(Error::Timeout(limit)),
            Err(RecvTimeoutError::Disconnected) => Err(Error::Closed),
        }
    }

    /// The next event, if there is one.
    pub fn try_recv(&self) -> Option<Event> {
        if let Some(item) = self.outlet.try_recv() {
            return Some(event(item));
        }
        self.outlet.lost().map(Event::Gap)
    }

    /// The events, one after the other, until the client is closed.
    pub fn iter(&self) -> impl Iterator<Item = Event> + '_ {
        std::iter::from_fn(|| self.recv())
    }
}

fn event(item: Item) -> Event {
    match item {
        Item::Event(body) | Item::Call(body, _) => Event::decode(&body),
        Item::Gap(gap) => Event::Gap(gap),
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        self.session.release(self.number);
    }
}
