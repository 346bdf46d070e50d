//! The end of an access, and why.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use crossbeam_channel::{Receiver, Sender, bounded};

use super::super::lock;
use super::super::opening::Cutter;

/// Which of the connections of an access it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    /// That on which it asks.
    Asking,
    /// That on which it hears.
    Hearing,
}

/// Whether an access is lost. The end of one connection is that of all.
pub(super) struct Loss {
    lost: AtomicBool,
    /// Dropped when it is.
    alive: Mutex<Option<Sender<()>>>,
    why: Mutex<Option<String>>,
    /// Which connection ended first.
    first: Mutex<Option<Side>>,
    cutters: Mutex<Vec<Cutter>>,
}

impl Loss {
    /// One that is not there yet, and what is disconnected when it is.
    pub(super) fn new() -> (Arc<Loss>, Receiver<()>) {
        let (alive, gone) = bounded(0);
        let loss = Loss {
            lost: AtomicBool::new(false),
            alive: Mutex::new(Some(alive)),
            why: Mutex::default(),
            first: Mutex::default(),
            cutters: Mutex::default(),
        };
        (Arc::new(loss), gone)
    }

    pub(super) fn is_lost(&self) -> bool {
        self.lost.load(Ordering::Acquire)
    }

    /// The connection of `cutter` ends with the access.
    pub(super) fn add(&self, cutter: Cutter) {
        lock(&self.cutters).push(cutter);
        if self.is_lost() {
            self.cut();
        }
    }

    /// The access is lost.
    pub(super) fn lose(&self) {
        if !self.lost.swap(true, Ordering::AcqRel) {
            self.cut();
            drop(lock(&self.alive).take());
        }
    }

    /// It is, by the end of this connection.
    fn lose_by(&self, side: Side) {
        if !self.is_lost() {
            lock(&self.first).get_or_insert(side);
        }
        self.lose();
    }

    /// Notes why, unless that is known.
    pub(super) fn blame(&self, why: String) {
        lock(&self.why).get_or_insert(why);
    }

    pub(super) fn why(&self) -> Option<String> {
        lock(&self.why).clone()
    }

    /// Which connection ended by itself.
    pub(super) fn first(&self) -> Option<Side> {
        *lock(&self.first)
    }

    fn cut(&self) {
        for cutter in &*lock(&self.cutters) {
            cutter.cut();
        }
    }
}

impl fmt::Debug for Loss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Loss").field(&self.is_lost()).finish()
    }
}

/// Held by the thread of a connection: when that ends, the access is lost.
pub(super) struct Watched {
    pub(super) loss: Arc<Loss>,
    pub(super) side: Side,
}

impl Drop for Watched {
    fn drop(&mut self) {
        self.loss.lose_by(self.side);
    }
}
