//! Says when it is time to say again what is the case all the while.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Lets something be logged once in a while only.
#[derive(Debug)]
pub struct Occasionally {
    started: Instant,
    /// Milliseconds after `started` before which there is nothing to log.
    next: AtomicU64,
}

/// How long a while is.
const WHILE: Duration = Duration::from_secs(10);

impl Occasionally {
    /// The first time is at once.
    pub fn new() -> Occasionally {
        Occasionally {
            started: Instant::now(),
            next: AtomicU64::new(0),
        }
    }

    /// Whether it is time again.
    pub fn now(&self) -> bool {
        let now = self.started.elapsed().as_millis() as u64;
        let next = self.next.load(Ordering::Relaxed);
        let later = now + WHILE.as_millis() as u64;
        now >= next
            && self
                .next
                .compare_exchange(next, later, Ordering::Relaxed, Ordering::Relaxed)
                .is_ok()
    }
}

impl Default for Occasionally {
    fn default() -> Occasionally {
        Occasionally::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn once_in_a_while() {
        let occasionally = Occasionally::new();
        assert!(occasionally.now());
        assert!(!occasionally.now());
    }
}
