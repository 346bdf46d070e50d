//! Where one proxy stands: whether its Asterisk is connected, and under which id. Written by ingest
//! and watch, who learn of it; read by everyone.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use super::counters::Counter;
use crate::wire::id::random_64;
use crate::wire::key::Place;
use crate::wire::status::{Members, State};
use crate::wire::subject::Subjects;

/// The standing of one proxy.
#[derive(Debug)]
pub struct Standing {
    application: String,
    subjects: Subjects,
    up: AtomicBool,
    origin: Mutex<Option<Arc<Origin>>>,
}

/// Where events come from: an Asterisk by its id of the moment. Another id makes another origin.
#[derive(Debug)]
pub struct Origin {
    /// The Asterisk id.
    pub asterisk: String,
    /// The subject of its events.
    pub event_subject: Arc<str>,
    /// Where its status is told.
    pub status_subject: Arc<str>,
    /// What its events are counted in: random.
    pub epoch: Arc<str>,
    /// Its events that were published. Written by the publisher, as the next is.
    pub published: AtomicU64,
    /// Its events that are known to be lost.
    pub losses: Losses,
    /// How often it was told that something may be lost and cannot be known.
    pub unknown: AtomicU64,
}

/// Events that are known to be lost, by how.
#[derive(Debug, Default)]
pub struct Losses {
    /// There was no room for them.
    pub full: Counter,
    /// They had waited too long.
    pub old: Counter,
    /// The bus refused them.
    pub refused: Counter,
}

/// A change of where a proxy stands, on its way to the status subject, among the events.
#[derive(Debug)]
pub struct Change {
    /// Its number among all changes, in their order; the buffer gives it.
    pub number: u64,
    /// What is the case from now on.
    pub state: State,
    /// With which Asterisk.
    pub origin: Arc<Origin>,
    /// Since when, by the wall clock.
    pub since: SystemTime,
    /// Why.
    pub reason: String,
    /// What is in the application.
    pub members: Option<Members>,
}

impl Change {
    /// One that comes to pass now.
    pub fn new(state: State, origin: &Arc<Origin>, reason: impl Into<String>) -> Change {
        Change {
            number: 0,
            state,
            origin: Arc::clone(origin),
            since: SystemTime::now(),
            reason: reason.into(),
            members: None,
        }
    }
}

impl Standing {
    /// Of a proxy for `application`, down, its Asterisk not known yet.
    pub fn new(application: &str, subjects: Subjects) -> Standing {
        Standing {
            application: application.to_owned(),
            subjects,
            up: AtomicBool::new(false),
            origin: Mutex::new(None),
        }
    }

    /// The ARI application.
    pub fn application(&self) -> &str {
        &self.application
    }

    /// The subjects of the application.
    pub fn subjects(&self) -> &Subjects {
        &self.subjects
    }

    /// Whether Asterisk is connected.
    pub fn is_up(&self) -> bool {
        self.up.load(Ordering::Acquire)
    }

    /// Asterisk is connected, or no longer.
    pub fn set_up(&self, up: bool) {
        // Not while somebody gives it another id because it is up.
        let _origin = self.lock();
        self.up.store(up, Ordering::Release);
    }

    /// Asterisk goes by the id `asterisk`; the origin of its events from now on.
    pub fn name(&self, asterisk: &str) -> Arc<Origin> {
        let mut origin = self.lock();
        match &*origin {
            Some(same) if same.asterisk == asterisk => Arc::clone(same),
            _ => Arc::clone(origin.insert(self.origin_of(asterisk))),
        }
    }

    /// The Asterisk of the origin `old` goes by the id `asterisk` now, if it is still connected and the
    /// old origin still the one of the moment; `then` hears of the new one before either changes again.
    pub fn rename(
        &self,
        old: &Arc<Origin>,
        asterisk: &str,
        then: impl FnOnce(&Arc<Origin>),
    ) -> bool {
        let mut origin = self.lock();
        let same = origin.as_ref().is_some_and(|same| Arc::ptr_eq(same, old));
        if same && self.is_up() {
            then(origin.insert(self.origin_of(asterisk)));
            return true;
        }
        false
    }

    fn origin_of(&self, asterisk: &str) -> Arc<Origin> {
        Arc::new(Origin {
            asterisk: asterisk.to_owned(),
            event_subject: self.subjects.event(asterisk).into(),
            status_subject: self.subjects.status(asterisk).into(),
            epoch: format!("{:016x}", random_64()).into(),
            published: AtomicU64::new(0),
            losses: Losses::default(),
            unknown: AtomicU64::new(0),
        })
    }

    /// The origin of events; none before Asterisk was first connected.
    pub fn origin(&self) -> Option<Arc<Origin>> {
        self.lock().clone()
    }

    /// The place of this proxy, given its origin.
    pub fn place<'a>(&'a self, origin: &'a Origin) -> Place<'a> {
        Place {
            asterisk: &origin.asterisk,
            application: &self.application,
        }
    }

    fn lock(&self) -> MutexGuard<'_, Option<Arc<Origin>>> {
        self.origin.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
