//! Where one proxy stands: whether its Asterisk is connected, and under which id. Written by ingest
//! and watch, who learn of it; read by everyone.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::wire::key::Place;
use crate::wire::subject::Subjects;

/// The standing of one proxy.
#[derive(Debug)]
pub struct Standing {
    application: String,
    subjects: Subjects,
    up: AtomicBool,
    origin: Mutex<Option<Arc<Origin>>>,
}

/// Where events come from.
#[derive(Debug, PartialEq, Eq)]
pub struct Origin {
    /// The Asterisk id.
    pub asterisk: String,
    /// The subject of its events.
    pub event_subject: Arc<str>,
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
        self.up.store(up, Ordering::Release);
    }

    /// Asterisk goes by the id `asterisk`; the origin of its events from now on.
    pub fn name(&self, asterisk: &str) -> Arc<Origin> {
        let origin = self.origin_of(asterisk);
        *self.lock() = Some(Arc::clone(&origin));
        origin
    }

    /// The Asterisk of the origin `old` goes by the id `asterisk` now; whether that origin was
    /// still the one of the moment.
    pub fn rename(&self, old: &Arc<Origin>, asterisk: &str) -> bool {
        let mut origin = self.lock();
        let same = origin
            .as_ref()
            .is_some_and(|origin| Arc::ptr_eq(origin, old));
        if same {
            *origin = Some(self.origin_of(asterisk));
        }
        same
    }

    fn origin_of(&self, asterisk: &str) -> Arc<Origin> {
        Arc::new(Origin {
            asterisk: asterisk.to_owned(),
            event_subject: self.subjects.event(asterisk).into(),
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
