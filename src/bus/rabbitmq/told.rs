//! What a broker tells a link beside messages: what it has taken, whether it takes any, and the end.

use std::sync::Arc;

use amiquip::{Channel, Confirm, Connection, ConnectionBlockedNotification, Error};
use crossbeam_channel::{Receiver, select};

use super::ledger::Ledger;
use super::opening::Cutter;
use super::{Shared, lock};
use crate::bus::Terms;
use crate::logging::Occasionally;

/// What the broker tells a link.
pub(super) struct Told {
    /// Only of interest for its end.
    pub(super) confirms: Receiver<Confirm>,
    pub(super) blocked: Receiver<ConnectionBlockedNotification>,
    /// Only of interest for its end.
    pub(super) consuming: Receiver<ConnectionBlockedNotification>,
}

/// A link that is lost when nobody listens to its broker any more.
pub(super) struct Watched<'a>(pub(super) &'a Shared);

impl Drop for Watched<'_> {
    fn drop(&mut self) {
        self.0.lose();
    }
}

impl Shared {
    /// Listens to what the broker tells until one of the connections has ended, and says why.
    pub(super) fn listen(&self, told: &Told) {
        let ended = loop {
            select! {
                recv(told.confirms) -> confirm => if confirm.is_err() {
                    break &self.publishing;
                },
                recv(told.blocked) -> told => match told {
                    Ok(ConnectionBlockedNotification::Blocked(reason)) => {
                        log::warn!("bus: the broker takes nothing ({reason}); events wait here");
                        self.ledger.block(true);
                    }
                    Ok(ConnectionBlockedNotification::Unblocked) => {
                        log::info!("bus: the broker takes messages again");
                        self.ledger.block(false);
                    }
                    Err(_) => break &self.publishing,
                },
                recv(told.consuming) -> told => if told.is_err() {
                    break &self.consuming;
                },
            }
        };
        if !self.is_lost() {
            let connection = lock(ended).take();
            let why = match std::ptr::eq(ended, &self.publishing) {
                true => {
                    let [publishing, _] = &self.cutters;
                    why(&lock(&self.events), publishing, connection)
                }
                false => match connection.map(Connection::close) {
                    Some(Err(error)) => error.to_string(),
                    _ => "closed".to_owned(),
                },
            };
            self.blame(why);
        }
    }
}

/// What notes in `ledger` what the broker confirms of events.
pub(super) fn hear(ledger: &Arc<Ledger>, terms: &Terms) -> impl Fn(Confirm) + use<> {
    let (ledger, losses) = (Arc::clone(ledger), Arc::clone(&terms.losses));
    let refusals = Occasionally::new();
    move |confirm| {
        if matches!(confirm, Confirm::Nack(_)) && refusals.now() {
            log::warn!("bus: the broker refuses events: is a queue full?");
        }
        ledger.hear(confirm).into_iter().for_each(&*losses);
    }
}

/// Has `channel` confirm what is published on it.
pub(super) fn confirms(channel: &Channel) -> amiquip::Result<Receiver<Confirm>> {
    let confirms = channel.listen_for_publisher_confirms()?;
    channel.enable_publisher_confirms()?;
    Ok(confirms)
}

/// What ended `channel`: the crate tells it once to whoever uses the channel or, where the connection
/// has ended, closes that. What is left of the connection is cut off.
pub(super) fn why(channel: &Channel, cutter: &Cutter, connection: Option<Connection>) -> String {
    let used = channel.qos(0, 0, false);
    cutter.cut();
    let closed = connection.map(Connection::close);
    match (used, closed) {
        (Err(error), _) if !matches!(error, Error::EventLoopDropped) => error.to_string(),
        (_, Some(Err(error))) => error.to_string(),
        _ => "closed".to_owned(),
    }
}

/// The size of the largest message that the broker takes, where it is what ended the link.
pub(super) fn largest(why: &str) -> Option<usize> {
    let (_, limit) = why.split_once("larger than configured max size ")?;
    let end = limit
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(limit.len());
    limit.get(..end)?.parse().ok()
}
