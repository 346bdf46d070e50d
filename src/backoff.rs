//! How long to wait before the next try to reach a peer.

use std::time::{Duration, Instant};

use crate::wire::id::random_64;

const FIRST: Duration = Duration::from_millis(100);
/// The longest wait while the outage is young: who restarts a peer wants to see us at once.
const YOUNG: Duration = Duration::from_millis(500);
/// How long an outage counts as young.
const YOUTH: Duration = Duration::from_secs(120);
/// The longest wait of all.
const LONGEST: Duration = Duration::from_secs(5);

/// Doubling waits with jitter, for ever: 0.1 s up to 0.5 s for two minutes, then up to 5 s.
#[derive(Debug)]
pub struct Backoff {
    since: Instant,
    next: Duration,
}

impl Backoff {
    /// A new outage.
    pub fn new() -> Backoff {
        Backoff {
            since: Instant::now(),
            next: FIRST,
        }
    }

    /// The peer was reached: the next outage begins from the start.
    pub fn reset(&mut self) {
        *self = Backoff::new();
    }

    /// The wait before the next try; up to a fifth of it is jitter, so that the proxies of a fleet
    /// do not come back all at once.
    pub fn wait(&mut self) -> Duration {
        let longest = if self.since.elapsed() < YOUTH {
            YOUNG
        } else {
            LONGEST
        };
        let wait = self.next.min(longest);
        self.next = (wait * 2).min(LONGEST);
        let jitter = (random_64() % 200) as f64 / 1000.0;
        wait.mul_f64(1.0 - jitter)
    }
}

impl Default for Backoff {
    fn default() -> Backoff {
        Backoff::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grows_to_its_bound_and_starts_again() {
        let mut backoff = Backoff::new();
        let waits: Vec<Duration> = (0..20).map(|_| backoff.wait()).collect();
        assert!(waits[0] <= FIRST && waits[0] >= FIRST.mul_f64(0.8));
        assert!(waits.iter().all(|wait| *wait <= YOUNG));
        assert!(waits[19] >= YOUNG.mul_f64(0.8));
        backoff.reset();
        assert!(backoff.wait() <= FIRST);
    }

    #[test]
    fn an_old_outage_is_looked_at_less_often() {
        let Some(long_ago) = Instant::now().checked_sub(YOUTH) else {
            return;
        };
        let mut backoff = Backoff {
            since: long_ago,
            next: YOUNG,
        };
        let last = (0..10).map(|_| backoff.wait()).last().unwrap();
        assert!(last > YOUNG && last <= LONGEST);
    }
}
