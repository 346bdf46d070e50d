//! Answers, on a connection of their own: a broker ends the connection over an answer to a reply
//! address that it cannot read, whoever made that up, and events and requests must not end with it.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use amiquip::{Channel, Confirm};
use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded, select};

use super::ledger::Ledger;
use super::lock;
use super::message::Message;
use super::opening::{Opened, open};
use super::payloads::Notice;
use super::stream::Listener;
use super::told::{confirms, why};
use super::writer::Writer;
use crate::address::BusServer;
use crate::backoff::Backoff;
use crate::bus::{BusError, Loss, Terms};
use crate::occasionally::Occasionally;

/// What may be on its way, in bytes, when another answer is handed over. That bounds what waits here for
/// a broker that does not read.
const WINDOW: usize = 6 * 1024 * 1024;
/// How long an answer waits for room until it is lost. No longer: those who answer have other things to
/// do, and those who asked do not wait for long.
const PATIENCE: Duration = Duration::from_millis(1500);
/// How long the link is looked at before its connection for answers is opened again.
const MOMENT: Duration = Duration::from_millis(50);
/// A connection that ends sooner was none: the waits before the next go on growing.
const SHORT_LIVED: Duration = Duration::from_secs(5);

/// Where answers leave.
pub(super) struct Answers {
    line: Mutex<Option<Arc<Line>>>,
    /// Dropped, the thread that keeps the line ends.
    stop: Mutex<Option<Sender<()>>>,
}

/// A connection, for as long as it lasts.
struct Line {
    writer: Arc<Writer>,
    /// The number of its channel.
    number: u16,
    channel: Mutex<Channel>,
    ledger: Arc<Ledger>,
    opened: Mutex<Option<Opened>>,
}

/// Counts the answers of a line that the broker refuses, or has nobody for.
struct Counting {
    ledger: Arc<Ledger>,
    losses: Arc<dyn Fn(Loss) + Send + Sync>,
}

impl Listener for Counting {
    fn hear(&mut self, notice: Notice, _: &Writer) {
        match notice {
            Notice::Confirm(confirm) => {
                let lost = self.ledger.hear(confirm);
                lost.into_iter().for_each(&*self.losses);
            }
            Notice::Returned(_) => (self.losses)(Loss::Answer),
            _ => {}
        }
    }
}

impl Answers {
    /// Opens a line to `server` at `address`, and keeps one open from then on.
    pub(super) fn open(
        server: &BusServer,
        terms: &Terms,
        address: SocketAddr,
    ) -> Result<Arc<Answers>, BusError> {
        let (line, confirms) = Line::open(server, terms, address)?;
        let (stop, stopped) = bounded(0);
        let answers = Arc::new(Answers {
            line: Mutex::new(Some(line)),
            stop: Mutex::new(Some(stop)),
        });
        let (kept, server, terms) = (Arc::clone(&answers), server.clone(), terms.clone());
        thread::Builder::new()
            .name("bus-answers".into())
            .spawn(move || kept.keep(&server, &terms, address, confirms, &stopped))
            .map_err(|error| BusError::Unreachable(format!("no thread: {error}")))?;
        Ok(answers)
    }

    /// Hands an answer over, as soon as there is room for it.
    pub(super) fn send(&self, message: &Message<'_>) -> Result<(), BusError> {
        let size = message.body.len();
        let deadline = Instant::now() + PATIENCE;
        // Any answer fits where there is room at all: no small ones keep a large one out.
        let window = WINDOW + size;
        loop {
            let line = lock(&self.line).clone().ok_or(BusError::Busy)?;
            let number = line.writer.put(line.number, |frames, largest| {
                let number = line.ledger.hand_over(size, Some(Loss::Answer), window)?;
                message.put(line.number, largest, frames);
                Some(number)
            });
            if number.is_some() {
                // A line that is lost counts what was on its way.
                line.writer.flush();
                return Ok(());
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                line.ledger.give_up();
            }
            // The next do not wait.
            if line.ledger.is_stuck() {
                return Err(BusError::Busy);
            }
            line.ledger.wait_for_room(left);
        }
    }

    /// Waits until the broker has taken every answer, at most until `deadline`; whether it has.
    pub(super) fn settle(&self, deadline: Instant) -> bool {
        let Some(line) = lock(&self.line).clone() else {
            return true;
        };
        let left = deadline.saturating_duration_since(Instant::now());
        line.ledger.wait_for_all(left);
        line.ledger.unsettled() == 0
    }

    /// Gives the line up, politely or at once.
    pub(super) fn close(&self, politely: bool) {
        // Before the thread that keeps it is stopped, which would cut it.
        let line = lock(&self.line).take();
        let opened = line.and_then(|line| {
            // Nobody waits for room any more.
            line.ledger.close();
            lock(&line.opened).take()
        });
        if let Some(opened) = opened {
            if !politely {
                opened.cutter.cut();
            }
            // One that fails is as closed as one that does not.
            let _ = opened.connection.close();
        }
        drop(lock(&self.stop).take());
    }

    /// Keeps a line open until told to stop.
    fn keep(
        &self,
        server: &BusServer,
        terms: &Terms,
        address: SocketAddr,
        mut confirms: Receiver<Confirm>,
        stop: &Receiver<()>,
    ) {
        let occasionally = Occasionally::new();
        let mut backoff = Backoff::new();
        loop {
            let began = Instant::now();
            let Some(line) = lock(&self.line).clone() else {
                return;
            };
            let stopped = line.listen(&confirms, stop);
            *lock(&self.line) = None;
            line.ledger.close();
            let lost = line.ledger.unsettled();
            (0..lost).for_each(|_| (terms.losses)(Loss::Answer));
            // Mostly it is the whole link that is lost.
            if stopped || stop.recv_timeout(MOMENT) == Err(RecvTimeoutError::Disconnected) {
                return;
            }
            if occasionally.now() {
                let why = line.why();
                log::warn!(
                    "bus: {server} ended the connection for answers, {lost} are lost: {why}"
                );
            }
            drop(line);
            if began.elapsed() > SHORT_LIVED {
                backoff.reset();
            }
            // At once, if the last was of use for a while.
            let mut wait = match began.elapsed() > SHORT_LIVED {
                true => Duration::ZERO,
                false => backoff.wait(),
            };
            confirms = loop {
                if stop.recv_timeout(wait) == Err(RecvTimeoutError::Disconnected) {
                    return;
                }
                wait = backoff.wait();
                if let Ok((line, confirms)) = Line::open(server, terms, address) {
                    *lock(&self.line) = Some(line);
                    break confirms;
                }
            };
        }
    }
}

impl Line {
    fn open(
        server: &BusServer,
        terms: &Terms,
        address: SocketAddr,
    ) -> Result<(Arc<Line>, Receiver<Confirm>), BusError> {
        let ledger = Arc::<Ledger>::default();
        let counting = Counting {
            ledger: Arc::clone(&ledger),
            losses: Arc::clone(&terms.losses),
        };
        let mut opened = open(server, &terms.name, Some(address), Box::new(counting))?;
        let lost = |error: amiquip::Error| BusError::Unreachable(format!("{server}: {error}"));
        let channel = opened.connection.open_channel(None).map_err(lost)?;
        let confirms = confirms(&channel).map_err(lost)?;
        let line = Line {
            writer: Arc::clone(&opened.writer),
            number: channel.channel_id(),
            channel: Mutex::new(channel),
            ledger,
            opened: Mutex::new(Some(opened)),
        };
        Ok((Arc::new(line), confirms))
    }

    /// Listens to what the broker tells until the line is lost or it is time to stop; whether it
    /// is.
    fn listen(&self, confirms: &Receiver<Confirm>, stop: &Receiver<()>) -> bool {
        loop {
            select! {
                // They come by another way: this is of interest for its end.
                recv(confirms) -> confirm => if confirm.is_err() {
                    return false;
                },
                recv(stop) -> _ => return true,
            }
        }
    }

    /// Why it is lost.
    fn why(&self) -> String {
        let opened = lock(&self.opened).take();
        match opened {
            Some(opened) => why(
                &lock(&self.channel),
                &opened.cutter,
                Some(opened.connection),
            ),
            None => "closed".to_owned(),
        }
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        // The crate says goodbye and waits for the answer: not of a broker that is stuck.
        if let Some(opened) = &*lock(&self.opened) {
            opened.cutter.cut();
        }
    }
}
