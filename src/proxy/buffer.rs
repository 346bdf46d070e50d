//! The buffer of events between ingest and publisher: bounded in number and bytes, the oldest
//! dropped first, so that ingest never waits for the bus. Changes of where the proxy stands are
//! among the events, where they came to pass.
//!
//! There is one thing that a full buffer waits for: a publisher that is faster than any Asterisk
//! and only lacks its share of the processor. The socket holds for a moment then what the buffer
//! does not, and nothing is lost. A slower one is not waited for: Asterisk drops a websocket that is
//! read too slowly (asterisk-facts.md).

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering, fence};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, unbounded};

use super::counters::Counters;
use super::sent::Message;
use super::standing::{Change, Origin};
use super::topics::Passed;
use crate::ari::websocket::Frame;
use crate::wire::status::Members;

/// How long a full buffer looks how fast the publisher is.
const LOOK: Duration = Duration::from_millis(10);
/// How many times it looks: a publisher may have to wait for its turn on a busy machine. Asterisk
/// waits for 100 ms (asterisk-facts.md).
const LOOKS: u32 = 8;
/// How many events a fast publisher takes in that time at least: the fastest Asterisk seen sends
/// 63 000 a second (asterisk-facts.md).
const FULL_SPEED: u64 = 650;
/// How many origins of changes that had to go are remembered.
const MOST_ORIGINS: usize = 16;

/// An event on its way.
#[derive(Debug)]
pub struct Event {
    /// Its bytes, as received.
    pub frame: Frame,
    /// Where it comes from.
    pub origin: Arc<Origin>,
    /// When it was received.
    pub received: Instant,
}

/// What is in the buffer.
#[derive(Debug)]
pub enum Item {
    /// An event.
    Event(Event),
    /// A change.
    Change(Box<Change>),
    /// The status is to be told once more.
    Repeat,
    /// A message for the application of a dialog.
    Direct(Box<Direct>),
    /// Nothing to publish: it tells when it is dropped.
    Passed(Passed),
}

/// A message for the one listener of a topic.
#[derive(Debug)]
pub struct Direct {
    /// The message.
    pub message: Message,
    /// Until when it is of use; such a message must not come twice, and is rather lost with a link.
    pub until: Option<Instant>,
}

impl Direct {
    /// Counts that it is lost.
    pub(super) fn count_loss(&self, counters: &Counters) {
        match self.until {
            Some(_) => counters.answers_lost.add(),
            None => counters.topic_events_dropped.add(),
        }
    }
}

/// The buffer. The channel itself has no bound, as one with a bound would take its memory at once;
/// the bound is kept by whoever puts something in.
#[derive(Debug)]
pub struct Buffer {
    sender: Sender<Item>,
    receiver: Receiver<Item>,
    bytes: AtomicUsize,
    /// Events taken out.
    taken: AtomicU64,
    /// The last changes that had to go, one of each origin: they hold, even if they are not told among
    /// the events.
    overdue: Mutex<Vec<Change>>,
    is_overdue: AtomicBool,
    /// How many changes there have been.
    changes: Mutex<u64>,
    most: usize,
    most_bytes: usize,
    counters: Arc<Counters>,
    /// Who takes out, and whether it sleeps: to wake it by hand costs half of what a channel's own
    /// waiting does, which first looks again and again.
    taker: OnceLock<Thread>,
    asleep: AtomicBool,
}

impl Buffer {
    /// A buffer of at most `most` events and `most_bytes` bytes. What has to go is counted.
    pub fn new(most: usize, most_bytes: usize, counters: &Arc<Counters>) -> Buffer {
        let (sender, receiver) = unbounded();
        Buffer {
            sender,
            receiver,
            bytes: AtomicUsize::new(0),
            taken: AtomicU64::new(0),
            overdue: Mutex::default(),
            is_overdue: AtomicBool::new(false),
            changes: Mutex::new(0),
            most,
            most_bytes,
            counters: Arc::clone(counters),
            taker: OnceLock::new(),
            asleep: AtomicBool::new(false),
        }
    }

    /// Waits until something is in it, [`Buffer::wake`] is called, or for `limit`. To be called by one
    /// thread. `has_more` says whether there is something else to do already.
    pub fn wait(&self, limit: Duration, has_more: impl Fn() -> bool) {
        self.taker.get_or_init(thread::current);
        self.asleep.store(true, Ordering::SeqCst);
        // Whoever put something in before did not see that it sleeps; whoever does so after, does.
        fence(Ordering::SeqCst);
        if self.receiver.is_empty() && !has_more() {
            thread::park_timeout(limit);
        }
        self.asleep.store(false, Ordering::SeqCst);
    }

    /// Wakes who waits.
    pub fn wake(&self) {
        fence(Ordering::SeqCst);
        if self.asleep.load(Ordering::SeqCst)
            && self.asleep.swap(false, Ordering::SeqCst)
            && let Some(taker) = self.taker.get()
        {
            taker.unpark();
        }
    }

    /// Puts an event in; whether old ones had to go for it. `pace` is what the one thread that
    /// does this remembers of the publisher's speed.
    pub fn push(&self, event: Event, pace: &mut Pace) -> bool {
        let mut dropped = false;
        self.send(Item::Event(event));
        while self.is_over() {
            if pace.is_full_speed(|| self.taken.load(Ordering::Relaxed)) {
                continue;
            }
            match self.receiver.try_recv() {
                Ok(oldest) => dropped |= self.drop(oldest),
                Err(_) => break,
            }
        }
        dropped
    }

    /// Puts a change in.
    pub fn change(&self, mut change: Change) {
        // Held while it is sent: they are in the order of their numbers.
        let mut changes = lock(&self.changes);
        *changes += 1;
        change.number = *changes;
        self.send(Item::Change(Box::new(change)));
        drop(changes);
        self.make_room();
    }

    /// Has the status told once more.
    pub fn repeat(&self) {
        self.send(Item::Repeat);
        self.make_room();
    }

    /// Puts a message for an application in.
    pub fn direct(&self, direct: Direct) {
        self.send(Item::Direct(Box::new(direct)));
        self.make_room();
    }

    /// Puts in what is to be told when all before it is handed to the bus.
    pub fn passed(&self, passed: Passed) {
        self.send(Item::Passed(passed));
    }

    fn make_room(&self) {
        while self.is_over()
            && let Ok(oldest) = self.receiver.try_recv()
        {
            self.drop(oldest);
        }
    }

    fn send(&self, item: Item) {
        self.bytes.fetch_add(item.size(), Ordering::AcqRel);
        // The buffer holds both ends: sending cannot fail.
        let _ = self.sender.send(item);
        self.wake();
    }

    /// Does without an item; whether it is an event.
    fn drop(&self, item: Item) -> bool {
        self.bytes.fetch_sub(item.size(), Ordering::AcqRel);
        match item {
            Item::Event(event) => {
                event.origin.losses.full.add();
                self.counters.events_dropped_full.add();
                true
            }
            Item::Change(change) => {
                let mut overdue = lock(&self.overdue);
                overdue.push(*change);
                overdue.sort_by_key(|change| change.number);
                // Of each origin the last. An Asterisk that has other ids all the time is not followed
                // through all of them.
                overdue.dedup_by(|later, earlier| {
                    let same = Arc::ptr_eq(&later.origin, &earlier.origin);
                    if same {
                        std::mem::swap(later, earlier);
                    }
                    same
                });
                let surplus = overdue.len().saturating_sub(MOST_ORIGINS);
                overdue.drain(..surplus);
                self.is_overdue.store(true, Ordering::Release);
                false
            }
            Item::Direct(direct) => {
                direct.count_loss(&self.counters);
                false
            }
            Item::Repeat | Item::Passed(_) => false,
        }
    }

    /// Changes that had to go, which come before all that is in the buffer.
    pub fn overdue(&self) -> Vec<Change> {
        if !self.is_overdue.load(Ordering::Acquire) {
            return Vec::new();
        }
        let mut overdue = lock(&self.overdue);
        self.is_overdue.store(false, Ordering::Release);
        std::mem::take(&mut *overdue)
    }

    fn is_over(&self) -> bool {
        self.receiver.len() > self.most || self.bytes.load(Ordering::Acquire) > self.most_bytes
    }

    /// Where events come out; each must be reported to [`Buffer::taken`].
    pub fn receiver(&self) -> &Receiver<Item> {
        &self.receiver
    }

    /// An item was taken out.
    pub fn taken(&self, item: &Item) {
        self.taken.fetch_add(1, Ordering::Relaxed);
        self.bytes.fetch_sub(item.size(), Ordering::AcqRel);
    }
}

impl Item {
    /// Its size in bytes, as far as it can be large.
    fn size(&self) -> usize {
        match self {
            Item::Event(event) => event.frame.len(),
            Item::Change(change) => change.members.as_ref().map_or(0, Members::size),
            Item::Direct(direct) => direct.message.body.len(),
            Item::Repeat | Item::Passed(_) => 0,
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // What is guarded is whole after every statement.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What ingest remembers of the publisher's speed.
#[derive(Debug, Default)]
pub struct Pace {
    /// When it was seen to be slow, and how many events it had taken then.
    slow: Option<(Instant, u64)>,
}

impl Pace {
    /// Whether `taken` grows as it does at full speed. Waits to see that, but not for one that was
    /// slow when it was looked at last.
    fn is_full_speed(&mut self, taken: impl Fn() -> u64) -> bool {
        if let Some((when, before)) = self.slow {
            let now = Instant::now();
            if now < when + LOOK {
                return false;
            }
            let after = taken();
            if after - before < FULL_SPEED {
                self.slow = Some((now, after));
                return false;
            }
        }
        let before = taken();
        let full_speed = (0..LOOKS).any(|_| {
            thread::sleep(LOOK);
            taken() - before >= FULL_SPEED
        });
        self.slow = (!full_speed).then(|| (Instant::now(), taken()));
        full_speed
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proxy::standing::Standing;
    use crate::wire::status::State;
    use crate::wire::subject::Subjects;

    fn buffer(most: usize, most_bytes: usize) -> Buffer {
        Buffer::new(most, most_bytes, &Arc::default())
    }

    fn origin() -> Arc<Origin> {
        Standing::new("app", Subjects::new("ari.", "app")).name("00:01")
    }

    fn event(bytes: &'static [u8]) -> Event {
        Event {
            frame: Frame::from_static(bytes),
            origin: origin(),
            received: Instant::now(),
        }
    }

    fn first(buffer: &Buffer) -> Event {
        match buffer.receiver().try_recv() {
            Ok(Item::Event(event)) => event,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_change_that_has_to_go_is_overdue() {
        let (buffer, mut pace) = (buffer(2, 1000), Pace::default());
        let origin = origin();
        for state in [State::Down, State::Up] {
            buffer.change(Change::new(state, &origin, "why"));
        }
        assert!(!buffer.push(event(b"1"), &mut pace));
        assert!(!buffer.push(event(b"2"), &mut pace));
        let overdue = buffer.overdue();
        let states: Vec<State> = overdue.iter().map(|change| change.state).collect();
        assert_eq!(states, [State::Up]);
        assert!(buffer.overdue().is_empty());
        assert!(buffer.push(event(b"3"), &mut pace));
        assert_eq!(&first(&buffer).frame[..], b"2");
    }

    #[test]
    fn who_waits_is_woken() {
        let (buffer, mut pace) = (buffer(1000, 1_000_000), Pace::default());
        let long = Duration::from_secs(60);
        thread::scope(|scope| {
            let taker = scope.spawn(|| {
                for _ in 0..1000 {
                    while buffer.receiver().is_empty() {
                        buffer.wait(long, || false);
                    }
                    let _ = first(&buffer);
                }
                buffer.wait(long, || true);
            });
            for _ in 0..1000 {
                assert!(!buffer.push(event(b"1"), &mut pace));
                thread::yield_now();
            }
            taker.join().unwrap();
        });
    }

    #[test]
    fn the_oldest_go_by_number() {
        let (buffer, mut pace) = (buffer(2, 1000), Pace::default());
        assert!(!buffer.push(event(b"1"), &mut pace));
        assert!(!buffer.push(event(b"2"), &mut pace));
        assert!(buffer.push(event(b"3"), &mut pace));
        let first = first(&buffer);
        assert_eq!(&first.frame[..], b"2");
    }

    #[test]
    fn the_oldest_go_by_bytes() {
        let (buffer, mut pace) = (buffer(100, 10), Pace::default());
        assert!(!buffer.push(event(b"12345"), &mut pace));
        assert!(!buffer.push(event(b"12345"), &mut pace));
        assert!(buffer.push(event(b"123456"), &mut pace));
        assert_eq!(buffer.counters.events_dropped_full.get(), 2);
        let first = first(&buffer);
        assert_eq!(&first.frame[..], b"123456");
        buffer.taken(&Item::Event(first));
        assert!(!buffer.push(event(b"1234567890"), &mut pace));
    }

    #[test]
    fn only_a_publisher_at_full_speed_is_waited_for() {
        let mut pace = Pace::default();
        let count = AtomicU64::new(0);
        assert!(pace.is_full_speed(|| count.fetch_add(FULL_SPEED, Ordering::Relaxed)));
        assert!(!pace.is_full_speed(|| 7));
        assert!(pace.slow.is_some_and(|(_, taken)| taken == 7));
        pace.slow = Some((Instant::now() + Duration::from_secs(60), 7));
        assert!(
            !pace.is_full_speed(|| panic!("waited for")),
            "one that was slow is not waited for"
        );
        pace.slow = Some((Instant::now() - LOOK, 0));
        assert!(!pace.is_full_speed(|| FULL_SPEED - 1));
        pace.slow = Some((Instant::now() - LOOK, 0));
        assert!(pace.is_full_speed(|| count.fetch_add(FULL_SPEED, Ordering::Relaxed)));
    }
}
