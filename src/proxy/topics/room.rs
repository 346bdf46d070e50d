//! How much is kept for dialogs, in bytes: bounded for all of them together, as a bound for each says
//! little where there are many.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Room for what is kept.
#[derive(Debug)]
pub(super) struct Room {
    used: Arc<AtomicUsize>,
    most: usize,
}

/// A part of it, until it is dropped.
#[derive(Debug)]
pub(super) struct Place {
    used: Arc<AtomicUsize>,
    bytes: usize,
}

impl Room {
    /// Room for `most` bytes.
    pub(super) fn new(most: usize) -> Room {
        Room {
            used: Arc::default(),
            most,
        }
    }

    /// A place for so many bytes, if there is room. Only one thread takes any.
    pub(super) fn take(&self, bytes: usize) -> Option<Place> {
        if self.used.load(Ordering::Relaxed).saturating_add(bytes) > self.most {
            return None;
        }
        self.used.fetch_add(bytes, Ordering::Relaxed);
        Some(Place {
            used: Arc::clone(&self.used),
            bytes,
        })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.used.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_free_again() {
        let room = Room::new(10);
        let first = room.take(6).unwrap();
        assert!(room.take(5).is_none());
        let second = room.take(4).unwrap();
        assert!(room.take(1).is_none());
        drop(first);
        assert!(room.take(usize::MAX).is_none() && room.take(6).is_some());
        drop(second);
        assert!(room.take(10).is_some());
    }
}
