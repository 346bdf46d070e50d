//! One subscriber's events on their way to it: a bounded queue that nobody waits for.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Instant;

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, unbounded};

use super::event::Gap;
use crate::bus::Claim;

/// What there is for a subscriber.
#[derive(Debug)]
pub(super) enum Item {
    /// An event, or the status of a proxy.
    Event(Arc<[u8]>),
    /// A call, for who listens, to be taken first.
    Call(Arc<[u8]>, Option<Claim>),
    /// Events may be lost here.
    Gap(Gap),
}

/// Bytes of events that may wait for a subscriber, however few these are.
const LARGEST: usize = 64 * 1024 * 1024;

impl Item {
    /// How many bytes it is that wait.
    fn size(&self) -> usize {
        match self {
            Item::Event(body) | Item::Call(body, _) => body.len(),
            Item::Gap(_) => 0,
        }
    }
}

/// What both ends of a queue count.
#[derive(Debug, Default)]
struct Counts {
    /// Bytes that wait.
    waiting: AtomicUsize,
    /// Events that were dropped, and nobody told of.
    lost: AtomicU64,
}

/// Where the events of a subscriber are put.
#[derive(Debug)]
pub(super) struct Inlet {
    queue: Sender<Item>,
    most: usize,
    counts: Arc<Counts>,
}

/// Where they are taken out.
#[derive(Debug)]
pub(super) struct Outlet {
    queue: Receiver<Item>,
    counts: Arc<Counts>,
}

/// A queue of `most` events. It takes memory for what waits in it only.
pub(super) fn queue(most: usize) -> (Inlet, Outlet) {
    let (put, take) = unbounded();
    let counts = Arc::<Counts>::default();
    let inlet = Inlet {
        queue: put,
        most,
        counts: Arc::clone(&counts),
    };
    let outlet = Outlet {
        queue: take,
        counts,
    };
    (inlet, outlet)
}

impl Inlet {
    /// Puts `item` at the end. If there is no room it is dropped, and the subscriber is told how many
    /// were before the next that has room, or when it has taken all there is.
    pub(super) fn put(&self, item: Item) {
        let size = item.size();
        let waiting = self.counts.waiting.load(Ordering::Acquire);
        if self.queue.len() >= self.most || (waiting > 0 && waiting + size > LARGEST) {
            self.counts.lost.fetch_add(1, Ordering::AcqRel);
            return;
        }
        if let Some(gap) = take_lost(&self.counts.lost) {
            let _ = self.queue.send(Item::Gap(gap));
        }
        self.counts.waiting.fetch_add(size, Ordering::AcqRel);
        // Nobody there: the subscription ends.
        let _ = self.queue.send(item);
    }
}

impl Outlet {
    /// The next, when there is one; none once there will be none.
    pub(super) fn recv(&self) -> Option<Item> {
        self.queue.recv().ok().inspect(|item| self.taken(item))
    }

    /// The next before `deadline`.
    pub(super) fn recv_deadline(&self, deadline: Instant) -> Result<Item, RecvTimeoutError> {
        let item = self.queue.recv_deadline(deadline);
        item.inspect(|item| self.taken(item))
    }

    /// The next, if there is one.
    pub(super) fn try_recv(&self) -> Option<Item> {
        self.queue.try_recv().ok().inspect(|item| self.taken(item))
    }

    fn taken(&self, item: &Item) {
        self.counts.waiting.fetch_sub(item.size(), Ordering::AcqRel);
    }

    /// What was lost since it was told last, to be asked when the queue is empty.
    pub(super) fn lost(&self) -> Option<Gap> {
        take_lost(&self.counts.lost)
    }
}

fn take_lost(lost: &AtomicU64) -> Option<Gap> {
    // Nearly always there is nothing.
    if lost.load(Ordering::Acquire) == 0 {
        return None;
    }
    let lost = lost.swap(0, Ordering::AcqRel);
    (lost > 0).then(|| Gap {
        lost: Some(lost),
        reason: "they were not taken out of the subscription as fast as they came".to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(number: u8) -> Item {
        Item::Event(Arc::from([number].as_slice()))
    }

    fn told(item: &Item) -> (u8, Option<u64>) {
        match item {
            Item::Event(body) | Item::Call(body, _) => (body[0], None),
            Item::Gap(gap) => (0, gap.lost),
        }
    }

    #[test]
    fn what_has_no_room_is_told_where_it_is_missing() {
        let (inlet, outlet) = queue(2);
        (1..=5).for_each(|number| inlet.put(event(number)));
        assert_eq!(told(&outlet.recv().unwrap()), (1, None));
        inlet.put(event(6));
        let rest: Vec<_> = std::iter::from_fn(|| outlet.try_recv())
            .map(|item| told(&item))
            .collect();
        assert_eq!(rest, [(2, None), (0, Some(3)), (6, None)]);
        (1..=3).for_each(|number| inlet.put(event(number)));
        assert_eq!(std::iter::from_fn(|| outlet.try_recv()).count(), 2);
        assert_eq!(outlet.lost().unwrap().lost, Some(1));
        assert_eq!(outlet.lost(), None);
    }

    #[test]
    fn large_ones_are_bounded_by_their_bytes() {
        let (inlet, outlet) = queue(1_000);
        let large = || Item::Event(Arc::from(vec![0; LARGEST / 4]));
        (0..100).for_each(|_| inlet.put(large()));
        assert_eq!(std::iter::from_fn(|| outlet.try_recv()).count(), 4);
        assert_eq!(outlet.lost().unwrap().lost, Some(96));
        // One that is larger than all may be has its turn.
        inlet.put(Item::Event(Arc::from(vec![0; LARGEST + 1])));
        assert!(outlet.try_recv().is_some());
        inlet.put(event(1));
        assert!(outlet.try_recv().is_some());
    }
}
