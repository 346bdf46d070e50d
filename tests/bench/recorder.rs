//! The recorder: an application that listens to events and notes which arrive when.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::client::Topic;
use super::clock::Clock;
use super::feed::numbered;
use super::launch::Site;

/// How long nothing may come before what is missing counts as lost.
const QUIET: Duration = Duration::from_secs(3);

/// A listener on a thread of its own.
pub(crate) struct Recorder {
    shared: Arc<Shared>,
    thread: JoinHandle<Arrivals>,
}

#[derive(Default)]
struct Shared {
    stop: AtomicBool,
    /// Different events that arrived.
    arrived: AtomicU64,
    /// When the last did.
    last: AtomicU64,
}

/// What arrived.
#[derive(Default)]
pub(crate) struct Arrivals {
    /// How late each event was, in nanoseconds; each counts once, the first ones not at all.
    pub(crate) delays: Vec<u64>,
    /// Events that arrived again.
    pub(crate) duplicates: u64,
    /// Events that arrived after one that was sent later.
    pub(crate) disordered: u64,
    seen: Vec<bool>,
    next: u64,
}

impl Recorder {
    /// Listens to the events of `application`. The first `skipped` are counted as arrived, but not
    /// measured.
    pub(crate) fn start(site: &Site<'_>, application: &str, skipped: u64) -> Recorder {
        let shared = Arc::new(Shared::default());
        let client = site.broker.client();
        let clock = site.clock;
        let topic = Topic::Events(application.to_owned());
        let (ready, listens) = mpsc::channel();
        let listener = Arc::clone(&shared);
        let thread = std::thread::spawn(move || {
            let mut arrivals = Arrivals::default();
            client.listen(
                &topic,
                &listener.stop,
                &mut || ready.send(()).expect("who started it waits"),
                &mut |event| {
                    if let Some(sent) = numbered(event) {
                        arrivals.add(sent, clock, skipped, &listener);
                    }
                },
            );
            arrivals
        });
        listens.recv().expect("a listener");
        Recorder { shared, thread }
    }

    /// Waits until all of `sent` events have arrived or nothing comes any more; when the last did.
    pub(crate) fn settle(&self, sent: u64) -> u64 {
        let mut arrived = 0;
        let mut changed = Instant::now();
        loop {
            let now = self.shared.arrived.load(Ordering::Acquire);
            if now != arrived {
                arrived = now;
                changed = Instant::now();
            }
            if arrived >= sent || changed.elapsed() > QUIET {
                return self.shared.last.load(Ordering::Acquire);
            }
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// How many different events have arrived.
    pub(crate) fn arrived(&self) -> u64 {
        self.shared.arrived.load(Ordering::Acquire)
    }

    /// Stops listening.
    pub(crate) fn stop(self) -> Arrivals {
        self.shared.stop.store(true, Ordering::Release);
        self.thread.join().expect("the recorder's end")
    }
}

impl Arrivals {
    fn add(&mut self, (number, sent): (u64, u64), clock: Clock, skipped: u64, shared: &Shared) {
        let now = clock.now();
        let index = usize::try_from(number).expect("not that many events");
        if self.seen.len() <= index {
            self.seen.resize((index + 1).next_power_of_two(), false);
        }
        if std::mem::replace(&mut self.seen[index], true) {
            self.duplicates += 1;
            return;
        }
        if number < self.next {
            self.disordered += 1;
        }
        self.next = self.next.max(number + 1);
        if number >= skipped {
            self.delays.push(now.saturating_sub(sent));
        }
        shared.last.store(now, Ordering::Release);
        shared.arrived.fetch_add(1, Ordering::Release);
    }
}
