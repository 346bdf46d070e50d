//! Waiting for a condition instead of sleeping for a guessed time.

use std::time::{Duration, Instant};

/// How long a test waits for what should happen soon, on a machine that is busy with other tests.
pub(crate) const SOON: Duration = Duration::from_secs(15);

/// Polls `condition` until it holds; panics with `what` when `deadline` has passed.
pub(crate) fn wait_until(what: &str, deadline: Duration, mut condition: impl FnMut() -> bool) {
    wait_for(what, deadline, || condition().then_some(()));
}

/// Polls `attempt` until it gives something; panics with `what` when `deadline` has passed.
pub(crate) fn wait_for<T>(
    what: &str,
    deadline: Duration,
    mut attempt: impl FnMut() -> Option<T>,
) -> T {
    let start = Instant::now();
    loop {
        if let Some(value) = attempt() {
            return value;
        }
        assert!(
            start.elapsed() < deadline,
            "not within {deadline:?}: {what}"
        );
        std::thread::sleep(Duration::from_millis(2));
    }
}
