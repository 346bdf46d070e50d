//! The announcer: tells the cluster that this proxy is there, when asked, on pings and every 60 s,
//! as long as Asterisk is connected.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, after, never, select, tick};

use super::buffer::Buffer;
use super::counters::Counters;
use super::standing::Standing;
use crate::bus::{BusError, Outlet};
use crate::wire::announcement::announcement;

/// How often a proxy announces itself unasked, as the Go program does.
const EVERY: Duration = Duration::from_secs(60);

/// How long one announcement is from the next: a flood of pings is answered at this pace.
const APART: Duration = Duration::from_millis(20);

/// When it is tried again on a bus that takes nothing at the moment.
const BUSY: Duration = Duration::from_millis(200);

/// The announcer of one proxy.
pub struct Announcer {
    /// Where the proxy stands.
    pub standing: Arc<Standing>,
    /// Where announcements leave.
    pub outlet: Outlet,
    /// By which the status is told with every announcement, after what came before.
    pub buffer: Arc<Buffer>,
    /// What is counted.
    pub counters: Arc<Counters>,
    /// Whether the conductor lets the proxy be announced.
    pub open: Arc<AtomicBool>,
    /// Asks for an announcement; disconnected when it is time to end.
    pub asked: Receiver<()>,
}

impl Announcer {
    /// Runs until nobody can ask any more.
    pub fn run(self) {
        let clock = tick(EVERY);
        let mut again = never();
        // The first is not kept waiting.
        let mut last = Instant::now()
            .checked_sub(APART)
            .unwrap_or_else(Instant::now);
        loop {
            let announced = select! {
                recv(self.asked) -> asked => match asked {
                    Ok(()) => {
                        thread::sleep(APART.saturating_sub(last.elapsed()));
                        last = Instant::now();
                        self.announce()
                    }
                    Err(_) => return,
                },
                recv(clock) -> _ => self.announce(),
                recv(again) -> _ => self.announce(),
            };
            again = match announced {
                Err(BusError::Busy) => after(BUSY),
                _ => never(),
            };
        }
    }

    fn announce(&self) -> Result<(), BusError> {
        let ready = self.standing.is_up() && self.open.load(Ordering::Acquire);
        let origin = self.standing.origin().filter(|_| ready);
        let Some(origin) = origin else {
            // The status is told all the same, where there is a bus.
            if self.outlet.is_open() {
                self.buffer.repeat();
            }
            return Ok(());
        };
        let body = announcement(&self.standing.place(&origin));
        let announced = self
            .outlet
            .announce(&self.standing.subjects().announce(), &body);
        match &announced {
            Ok(()) => {
                self.counters.announcements.add();
                self.buffer.repeat();
            }
            Err(error) => log::debug!("not announced: {error}"),
        }
        announced
    }
}
