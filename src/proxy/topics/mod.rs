//! Dialogs as go-ari-proxy's applications have them (wire-protocol.md, part B): each call is told to one
//! application instance, which gets its events and sends commands on topics of their own.
//!
//! | file | noun |
//! |---|---|
//! | `host` | **the owner of all dialogs**: the thread `dialogs`, its clock, its link |
//! | `host/offers` | its link, and what it offers there |
//! | `host/arrivals` | events of Asterisk, and the dialogs that they belong to |
//! | `host/commands` | commands, and the objects that their answers bring into a dialog |
//! | `dialog` | how far one dialog is |
//! | `objects` | which objects belong to which dialogs |
//! | `parked` | events that came before the answer that says whose they are |
//! | `room` | how much is kept for all dialogs |
//! | [`call`] | what a worker does for a dialog |
//!
//! The thread `dialogs` never waits: events come from ingest, commands from a thread of the bus, answers
//! from workers, all as an [`Event`]; what it has to say goes into the buffer of the publisher. Only what
//! must be known to have arrived, the AppStart and the first event, it offers the bus itself.

pub mod call;
mod dialog;
mod host;
mod objects;
mod parked;
mod room;

pub use host::{Host, Parts};

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use crossbeam_channel::Sender;

use super::counters::Counters;
use crate::ari::websocket::Frame;
use crate::bus::{BusError, Heard, Link, Topics};
use call::{Done, Living};

/// When an application must have the response to a command: go-ari-library waits for five seconds, and
/// takes what comes later for the response to the next.
pub const ANSWER_BY: Duration = Duration::from_millis(4500);
/// Most commands that come from the bus and wait to be looked at, and most bytes of them.
const MOST_HEARD: usize = 16_384;
const MOST_HEARD_BYTES: usize = 64 * 1024 * 1024;

/// What can happen to dialogs.
pub enum Event {
    /// Asterisk sent an event.
    Arrived(Frame),
    /// Asterisk is connected again, after a restart or not.
    Connected {
        /// Whether it was restarted: nothing of what was is there any more.
        restarted: bool,
    },
    /// There is a link to the bus, or none any more.
    Link(Option<Arc<dyn Link>>),
    /// The link of this number was asked for topics.
    Topics(u64, Result<Box<dyn Topics>, BusError>),
    /// The bus tells of the link of this number.
    Heard(u64, Heard),
    /// A worker has carried a command out.
    Done(Done),
    /// A worker has looked what there is on Asterisk.
    Living(Living),
    /// All that there was is handed to the bus.
    Passed(Until),
    /// It is time to end.
    Finish,
}

/// What dialogs are like.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The ARI application, and the topic where it is told of calls.
    pub application: String,
    /// The proxy's name in messages; none for the Asterisk id.
    pub server: Option<String>,
    /// The queue group of listeners, on NATS.
    pub group: Option<String>,
    /// How long an application may take to come.
    pub max_wait: Duration,
    /// Most dialogs at once.
    pub most: usize,
    /// Most events held of one until its application has come.
    pub held: usize,
    /// Most bytes of all that are held, and of all commands that wait.
    pub bytes: usize,
}

/// Where others tell what happens.
#[derive(Clone)]
pub struct Intake {
    events: Sender<Event>,
    /// Events of Asterisk that wait to be looked at.
    waiting: Arc<AtomicUsize>,
    /// Commands that do, and their bytes.
    heard: Arc<AtomicUsize>,
    heard_bytes: Arc<AtomicUsize>,
    /// Most events that may.
    most: usize,
    counters: Arc<Counters>,
}

impl Intake {
    /// An intake to `events`; of Asterisk's, at most `most` may wait.
    pub fn new(events: Sender<Event>, most: usize, counters: &Arc<Counters>) -> Intake {
        Intake {
            events,
            waiting: Arc::default(),
            heard: Arc::default(),
            heard_bytes: Arc::default(),
            most,
            counters: Arc::clone(counters),
        }
    }

    /// Asterisk sent `frame`. What is too much is dropped, counted; the host looks after a while what
    /// has ended meanwhile.
    pub fn arrived(&self, frame: Frame) {
        if self.waiting.load(Ordering::Relaxed) >= self.most {
            self.counters.topic_events_dropped.add();
            return;
        }
        self.waiting.fetch_add(1, Ordering::Relaxed);
        self.tell(Event::Arrived(frame));
    }

    /// Tells of anything else.
    pub fn tell(&self, event: Event) {
        // The host outlives those who tell, or its panic is heard of.
        let _ = self.events.send(event);
    }

    /// Tells what is heard on the link of this number. Commands that are too many are dropped, counted:
    /// they come faster than they can be refused.
    fn heard(&self, link: u64, heard: Heard) {
        if let Heard::Command { body, .. } = &heard {
            if self.heard.load(Ordering::Relaxed) >= MOST_HEARD
                || self.heard_bytes.load(Ordering::Relaxed) >= MOST_HEARD_BYTES
            {
                self.counters.requests_dropped.add();
                return;
            }
            self.heard.fetch_add(1, Ordering::Relaxed);
            self.heard_bytes.fetch_add(body.len(), Ordering::Relaxed);
        }
        self.tell(Event::Heard(link, heard));
    }

    /// `event` is looked at.
    fn taken(&self, event: &Event) {
        match event {
            Event::Arrived(_) => self.waiting.fetch_sub(1, Ordering::Relaxed),
            Event::Heard(_, Heard::Command { body, .. }) => {
                self.heard_bytes.fetch_sub(body.len(), Ordering::Relaxed);
                self.heard.fetch_sub(1, Ordering::Relaxed)
            }
            _ => return,
        };
    }
}

/// What somebody waits for until all before it is handed to the bus.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Until {
    /// The end of this dialog.
    Leaves(Arc<str>),
    /// The link of this number: what was said on the one before comes first.
    Repeated(u64),
}

/// Says that all that was put into the buffer before it is handed to the bus, or dropped: when it is
/// dropped itself.
pub struct Passed {
    until: Until,
    intake: Intake,
}

impl Drop for Passed {
    fn drop(&mut self) {
        self.intake.tell(Event::Passed(self.until.clone()));
    }
}

impl std::fmt::Debug for Intake {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Intake")
    }
}

impl std::fmt::Debug for Passed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Passed").field(&self.until).finish()
    }
}
