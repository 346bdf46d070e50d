//! What a broker tells a link beside messages: what it has taken, whether it takes any, and the end.

use std::time::{Duration, Instant};

use amiquip::{Channel, Confirm, Connection, ConnectionBlockedNotification, Error};
use crossbeam_channel::{Receiver, select};

use super::link::Shared;
use super::lock;
use super::opening::Cutter;

/// How long a broker may confirm nothing of what is on its way until that is told.
const SILENT: Duration = Duration::from_secs(5);

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

/// That the broker confirms nothing of what is on its way.
pub(super) struct Silence {
    /// Up to which number it had.
    taken: u64,
    since: Instant,
    told: bool,
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

    /// Says so where the broker confirms nothing for long.
    pub(super) fn look_for_silence(&self) {
        let taken = self.ledger.taken();
        let waits = self.ledger.is_waited_for();
        let mut silence = lock(&self.silence);
        match &mut *silence {
            Some(silence) if waits && silence.taken == taken => {
                if !silence.told && silence.since.elapsed() >= SILENT {
                    silence.told = true;
                    log::warn!(
                        "bus: {} confirms no events; is a queue bound to ari.event stuck? They wait \
                         here",
                        self.server
                    );
                }
            }
            _ => {
                *silence = waits.then(|| Silence {
                    taken,
                    since: Instant::now(),
                    told: false,
                });
            }
        }
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
