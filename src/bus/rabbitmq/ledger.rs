//! What was handed over on a channel with publisher confirms, and what of it the broker has taken.

use std::collections::{BTreeSet, VecDeque};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use amiquip::Confirm;

use crate::bus::Loss;

/// What is counted for a message besides its body, in bytes: about what its frames take.
const AROUND: usize = 256;

/// The messages of one channel. Their numbers are those of the protocol, from 1.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    book: Mutex<Book>,
    progress: Condvar,
}

#[derive(Debug, Default)]
struct Book {
    /// Up to this number all are taken.
    taken: u64,
    /// Those after.
    open: VecDeque<Open>,
    /// The sum of the sizes.
    bytes: usize,
    /// Numbers that were taken before one that was handed over before them.
    ahead: BTreeSet<u64>,
    /// Whether one did not fit into the window since something was taken.
    full: bool,
    /// Whether the broker takes nothing, as it said.
    blocked: bool,
    /// Whether there is nothing to wait for any more.
    closed: bool,
    /// How many wait for progress: to tell those who do not is a system call for each message.
    waiters: usize,
    /// Whether somebody has waited in vain since something was taken.
    stuck: bool,
}

/// A message that is not taken.
#[derive(Debug)]
struct Open {
    /// Its size, in bytes.
    size: usize,
    /// What is lost if the broker refuses it, if anything is.
    loss: Option<Loss>,
}

impl Ledger {
    /// The number of the next message, whose body has `size` bytes. None where there would be more than
    /// `window` bytes on their way then, and there are others, or where the broker takes nothing, for now
    /// or any more.
    pub(super) fn hand_over(&self, size: usize, loss: Option<Loss>, window: usize) -> Option<u64> {
        let size = size + AROUND;
        let mut book = self.lock();
        book.full = book.bytes > 0 && book.bytes + size > window;
        if book.full || book.blocked || book.closed {
            return None;
        }
        book.bytes += size;
        book.open.push_back(Open { size, loss });
        Some(book.last())
    }

    /// The broker refuses message `number`, or all up to it: what is lost with them.
    pub(super) fn refuse(&self, number: u64, all: bool) -> Vec<Loss> {
        let book = self.lock();
        let last = number.min(book.last());
        let first = if all { book.taken + 1 } else { number };
        let losses = (first..=last)
            .filter(|number| !book.ahead.contains(number))
            .filter_map(|number| {
                let index = usize::try_from(number.checked_sub(book.taken + 1)?).ok()?;
                book.open.get(index)?.loss
            });
        let losses = losses.collect();
        drop(book);
        self.take(number, all);
        losses
    }

    /// The broker has taken message `number`, or all up to it.
    pub(super) fn take(&self, number: u64, all: bool) {
        let mut book = self.lock();
        if all {
            while book.taken < number && book.take_next() {}
            book.ahead = book.ahead.split_off(&number.saturating_add(1));
        } else if number == book.taken + 1 {
            book.take_next();
        } else if number > book.taken && number <= book.last() {
            book.ahead.insert(number);
        }
        while book.next_is_ahead() && book.take_next() {}
        book.full = false;
        book.stuck = false;
        self.tell(book);
    }

    /// What the broker says of messages; what is lost by it.
    pub(super) fn hear(&self, confirm: Confirm) -> Vec<Loss> {
        match confirm {
            Confirm::Ack(what) => {
                self.take(what.delivery_tag, what.multiple);
                Vec::new()
            }
            Confirm::Nack(what) => self.refuse(what.delivery_tag, what.multiple),
        }
    }

    /// Somebody has waited in vain.
    pub(super) fn give_up(&self) {
        self.lock().stuck = true;
    }

    /// Whether somebody has since something was taken.
    pub(super) fn is_stuck(&self) -> bool {
        self.lock().stuck
    }

    /// Up to which number all are taken.
    pub(super) fn taken(&self) -> u64 {
        self.lock().taken
    }

    /// The number of the last message that was handed over.
    pub(super) fn last(&self) -> u64 {
        self.lock().last()
    }

    /// How many messages are on their way.
    pub(super) fn unsettled(&self) -> usize {
        self.lock().open.len()
    }

    /// Whether anything is on its way to a broker that takes messages.
    pub(super) fn is_waited_for(&self) -> bool {
        let book = self.lock();
        !book.open.is_empty() && !book.blocked
    }

    /// Waits, at most for `limit`, while there is no room, or until all is over.
    pub(super) fn wait_for_room(&self, limit: Duration) {
        self.wait_while(limit, |book| book.full || book.blocked);
    }

    /// Waits, at most for `limit`, while anything is on its way, or until all is over.
    pub(super) fn wait_for_all(&self, limit: Duration) {
        self.wait_while(limit, |book| !book.open.is_empty());
    }

    /// The broker takes nothing, or does again.
    pub(super) fn block(&self, blocked: bool) {
        let mut book = self.lock();
        book.blocked = blocked;
        self.tell(book);
    }

    /// Nothing more will be taken.
    pub(super) fn close(&self) {
        let mut book = self.lock();
        book.closed = true;
        self.tell(book);
    }

    fn tell(&self, book: MutexGuard<'_, Book>) {
        let anybody = book.waiters > 0;
        drop(book);
        if anybody {
            self.progress.notify_all();
        }
    }

    fn wait_while(&self, limit: Duration, so: impl Fn(&Book) -> bool) {
        let wait = |book: &mut Book| so(book) && !book.closed;
        let mut book = self.lock();
        book.waiters += 1;
        let waited = self.progress.wait_timeout_while(book, limit, wait);
        waited.unwrap_or_else(PoisonError::into_inner).0.waiters -= 1;
    }

    fn lock(&self) -> MutexGuard<'_, Book> {
        // A book is whole after every statement that could panic.
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Book {
    /// The number of the last message that was handed over.
    fn last(&self) -> u64 {
        self.taken + self.open.len() as u64
    }

    fn take_next(&mut self) -> bool {
        let next = self.open.pop_front();
        self.taken += u64::from(next.is_some());
        self.bytes -= next.as_ref().map_or(0, |open| open.size);
        next.is_some()
    }

    fn next_is_ahead(&mut self) -> bool {
        self.ahead.remove(&(self.taken + 1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_taken_in_any_order() {
        let ledger = Ledger::default();
        for number in 1..=6 {
            assert_eq!(ledger.hand_over(10, None, 10_000), Some(number));
        }
        ledger.take(2, false);
        assert_eq!(ledger.taken(), 0);
        ledger.take(1, false);
        assert_eq!(ledger.taken(), 2);
        ledger.take(5, false);
        ledger.take(4, true);
        assert_eq!(ledger.taken(), 5);
        ledger.take(6, true);
        assert_eq!(ledger.unsettled(), 0);
        assert_eq!(ledger.hand_over(10, None, 10_000), Some(7));
    }

    #[test]
    fn the_window_bounds_what_is_on_its_way() {
        let ledger = Ledger::default();
        let window = AROUND + 100;
        assert_eq!(ledger.hand_over(60, None, window), Some(1));
        assert_eq!(ledger.hand_over(60, None, window), None);
        ledger.take(1, false);
        assert_eq!(
            ledger.hand_over(600, None, window),
            Some(2),
            "one always fits"
        );
        assert_eq!(ledger.hand_over(0, None, window), None);
    }

    #[test]
    fn what_was_never_handed_over_is_not_taken() {
        let ledger = Ledger::default();
        ledger.take(7, true);
        ledger.take(9, false);
        assert_eq!(ledger.taken(), 0);
        for number in 1..=9 {
            assert_eq!(ledger.hand_over(10, None, 10_000), Some(number));
        }
        ledger.take(8, true);
        assert_eq!(ledger.taken(), 8);
        ledger.take(8, false);
        assert!(ledger.lock().ahead.is_empty());
    }

    #[test]
    fn nothing_is_handed_over_after_the_end() {
        let ledger = Ledger::default();
        ledger.close();
        assert_eq!(ledger.hand_over(10, None, 10_000), None);
    }

    #[test]
    fn what_is_refused_is_lost_once() {
        let ledger = Ledger::default();
        let losses = [
            Some(Loss::Event),
            None,
            Some(Loss::Dialog),
            Some(Loss::Event),
        ];
        for loss in losses {
            ledger.hand_over(10, loss, 10_000);
        }
        assert_eq!(ledger.refuse(3, false), [Loss::Dialog]);
        assert_eq!(ledger.refuse(3, false), []);
        assert_eq!(ledger.refuse(3, true), [Loss::Event]);
        assert_eq!(ledger.refuse(2, true), []);
        assert_eq!(ledger.refuse(u64::MAX, true), [Loss::Event]);
        assert_eq!(ledger.unsettled(), 0);
    }

    #[test]
    fn who_waits_is_told_of_progress() {
        let ledger = Ledger::default();
        ledger.hand_over(10, None, 10_000);
        ledger.give_up();
        std::thread::scope(|scope| {
            let waits = scope.spawn(|| ledger.wait_for_all(Duration::from_secs(60)));
            while ledger.lock().waiters == 0 {
                std::thread::yield_now();
            }
            assert!(ledger.is_stuck());
            ledger.take(1, false);
            waits.join().unwrap();
        });
        assert_eq!(ledger.lock().waiters, 0);
        assert!(!ledger.is_stuck());
    }
}
