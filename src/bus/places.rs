//! What may be stuck in a crate, counted: attempts to connect that were given up, and connections
//! that were. Nothing frees a thread that waits in a crate for a server that is silent, so that there
//! are only so many of them; then only another process can connect.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

use super::BusError;

/// How many attempts, or links that they made, may be stuck.
const PLACES: usize = 8;

/// The places of all that is stuck. Clones are the same places.
#[derive(Clone, Default)]
pub struct Places {
    /// How many are taken.
    taken: Arc<AtomicUsize>,
}

impl Places {
    /// Runs `work`, which connects to a server, in a thread that can be done without. It has a place
    /// until it ends, however it does: a crate panics where the system gives it no thread.
    pub fn attempt(&self, work: impl FnOnce() + Send + 'static) -> Result<(), BusError> {
        let place = self.take()?;
        thread::Builder::new()
            .name("bus-connect".into())
            .spawn(move || {
                let _place = place;
                work();
            })
            .map(drop)
            .map_err(|error| BusError::Unreachable(format!("no thread: {error}")))
    }

    fn take(&self) -> Result<Place, BusError> {
        self.taken
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, |taken| {
                (taken < PLACES).then_some(taken + 1)
            })
            .map(|_| Place(self.clone()))
            .map_err(|_| BusError::TooManyHang)
    }
}

/// The place of an attempt.
struct Place(Places);

impl Drop for Place {
    fn drop(&mut self) {
        self.0.taken.fetch_sub(1, Ordering::AcqRel);
    }
}

/// Held by the threads of a connection. Once that is given up, they take a place until the last of
/// them has ended.
pub struct Remains {
    places: Places,
    counted: AtomicBool,
}

impl Remains {
    /// Those of a connection that is of use.
    pub fn new(places: &Places) -> Remains {
        Remains {
            places: places.clone(),
            counted: AtomicBool::new(false),
        }
    }

    /// The connection is given up.
    pub fn count(&self) {
        if !self.counted.swap(true, Ordering::AcqRel) {
            self.places.taken.fetch_add(1, Ordering::AcqRel);
        }
    }
}

impl Drop for Remains {
    fn drop(&mut self) {
        if *self.counted.get_mut() {
            self.places.taken.fetch_sub(1, Ordering::AcqRel);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crossbeam_channel::bounded;

    #[test]
    fn attempts_that_hang_are_bounded_and_free_their_places() {
        let places = Places::default();
        let (end, ended) = bounded::<()>(0);
        for _ in 0..PLACES {
            let ended = ended.clone();
            let hangs = move || assert!(ended.recv().is_err());
            assert_eq!(places.attempt(hangs), Ok(()));
        }
        assert_eq!(places.attempt(|| ()), Err(BusError::TooManyHang));
        drop(end);
        while places.attempt(|| ()).is_err() {
            thread::yield_now();
        }
    }

    #[test]
    fn connections_that_were_given_up_take_places_until_they_are_gone() {
        let places = Places::default();
        let remains: Vec<Remains> = (0..PLACES).map(|_| Remains::new(&places)).collect();
        assert!(places.take().is_ok(), "those of use take none");
        for remains in &remains {
            remains.count();
            remains.count();
        }
        assert!(places.take().is_err());
        drop(remains);
        assert!(places.take().is_ok());
    }
}
