//! The queues of dialogs that are closed: when they may go. Time is given, so that it can be tested.
//!
//! A queue that somebody consumes stays: applications of go-ari-library lose their connection with it, and
//! consume the events and responses of a dialog for as long as they run.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How long a listener may take to come for what is there for it.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long after that they are removed once more: who comes too late declares them anew.
const ONCE_MORE: Duration = Duration::from_secs(30);
/// How long after one look at the queues of a dialog the next is,
const BETWEEN: Duration = Duration::from_millis(500);
/// and how long at most, as long as somebody consumes them.
const LONGEST: Duration = Duration::from_secs(300);
/// How many queues of a dialog are looked at.
const LOOKED_AT: u8 = 2;
/// How many dialogs are waited with, at most, each time; of more the oldest go early.
const MOST: usize = 20_000;

/// Dialogs that are closed.
#[derive(Debug, Default)]
pub(super) struct Removals {
    /// Whose queues are there because something may be in them, or somebody consumes them.
    waiting: HashMap<Arc<str>, Waiting>,
    /// Whose queues are removed, and when they are once more; by time.
    removed: VecDeque<(Instant, Arc<str>)>,
}

#[derive(Debug)]
struct Waiting {
    /// What the broker has to have taken, by number, before its queues say anything.
    last: u64,
    until: Instant,
    look: Look,
    /// How long it is to the next look, as somebody consumes them.
    pause: Duration,
    /// Whether it is the first time.
    first: bool,
}

#[derive(Debug)]
enum Look {
    /// It is time for one then.
    At(Instant),
    /// It is on its way.
    Taken(Taken),
}

/// What is heard of the queues.
#[derive(Debug, Clone, Copy)]
struct Taken {
    /// Of how many nothing is.
    left: u8,
    /// Whether the others were empty,
    empty: bool,
    /// and nobody consumes them.
    unused: bool,
}

/// What is to be done.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// To ask what waits in two queues of a dialog, and who consumes them.
    Look(Arc<str>),
    /// To remove the one that only we consume.
    RemoveCommands(Arc<str>),
    /// To remove the queues of a dialog.
    Remove(Arc<str>),
}

impl Step {
    /// Whose queues it is about.
    pub(super) fn dialog(&self) -> &Arc<str> {
        match self {
            Step::Look(dialog) | Step::RemoveCommands(dialog) | Step::Remove(dialog) => dialog,
        }
    }
}

impl Removals {
    /// A dialog is closed; what was handed over before has numbers up to `last`.
    pub(super) fn close(&mut self, dialog: &str, last: u64, now: Instant) -> Option<Step> {
        let dialog = Arc::<str>::from(dialog);
        if self.waiting.len() >= MOST {
            return Some(self.remove(dialog, true, now));
        }
        self.wait(dialog, last, true, now);
        None
    }

    fn wait(&mut self, dialog: Arc<str>, last: u64, first: bool, now: Instant) {
        let waiting = Waiting {
            last,
            until: now + PATIENCE,
            look: Look::At(now),
            pause: BETWEEN,
            first,
        };
        self.waiting.insert(dialog, waiting);
    }

    /// The broker has not removed a queue of a dialog.
    pub(super) fn wait_on(&mut self, dialog: &str, now: Instant) {
        if self.waiting.len() < MOST && !self.waiting.contains_key(dialog) {
            let again = now + LONGEST;
            self.wait(dialog.into(), 0, false, again);
        }
    }

    /// The dialogs whose queues are still there, or may be again.
    pub(super) fn unfinished(&self) -> impl Iterator<Item = &Arc<str>> {
        let removed = self.removed.iter().map(|(_, dialog)| dialog);
        self.waiting.keys().chain(removed)
    }

    /// A dialog is open again.
    pub(super) fn reopen(&mut self, dialog: &str) {
        self.waiting.remove(dialog);
    }

    /// In a queue of a dialog there are so many messages, and so many consume it.
    pub(super) fn count(
        &mut self,
        dialog: &str,
        messages: u32,
        consumers: u32,
        now: Instant,
    ) -> Option<Step> {
        let (dialog, _) = self.waiting.get_key_value(dialog)?;
        let dialog = Arc::clone(dialog);
        let waiting = self.waiting.get_mut(&dialog)?;
        let Look::Taken(taken) = &mut waiting.look else {
            return None;
        };
        taken.left = taken.left.saturating_sub(1);
        taken.empty &= messages == 0;
        taken.unused &= consumers == 0;
        match *taken {
            Taken { left: 1.., .. } => None,
            Taken { unused: false, .. } => {
                let first = waiting.pause == BETWEEN;
                let next = now + waiting.pause;
                waiting.look = Look::At(next);
                // What they leave behind waits for others again.
                waiting.until = next + PATIENCE;
                waiting.pause = (waiting.pause * 2).min(LONGEST);
                first.then_some(Step::RemoveCommands(dialog))
            }
            Taken { empty: true, .. } => {
                let first = waiting.first;
                Some(self.remove(dialog, first, now))
            }
            Taken { empty: false, .. } => {
                waiting.look = Look::At(now + BETWEEN);
                None
            }
        }
    }

    /// What is to be done by now, where the broker has taken what has numbers up to `taken`, and these
    /// dialogs are open.
    pub(super) fn due(
        &mut self,
        now: Instant,
        taken: u64,
        is_open: impl Fn(&str) -> bool,
    ) -> Vec<Step> {
        let mut steps = Vec::new();
        let mut late = Vec::new();
        while let Some((_, dialog)) = self
            .removed
            .pop_front_if(|(time, _)| *time <= now)
            .or_else(|| self.overdue())
        {
            // Of one that is there again, the next end counts.
            if !is_open(&dialog) && !self.waiting.contains_key(&dialog) {
                steps.push(Step::Remove(dialog));
            }
        }
        for (dialog, waiting) in &mut self.waiting {
            match waiting.look {
                // A look that is on its way ends: to be asked more would come behind it.
                Look::Taken(_) => {}
                _ if waiting.until <= now => late.push((Arc::clone(dialog), waiting.first)),
                Look::At(time) if time <= now && waiting.last <= taken => {
                    waiting.look = Look::Taken(Taken {
                        left: LOOKED_AT,
                        empty: true,
                        unused: true,
                    });
                    steps.push(Step::Look(Arc::clone(dialog)));
                }
                _ => {}
            }
        }
        for (dialog, first) in late {
            steps.push(self.remove(dialog, first, now));
        }
        steps
    }

    /// One too many.
    fn overdue(&mut self) -> Option<(Instant, Arc<str>)> {
        let too_many = self.removed.len() > MOST;
        too_many.then(|| self.removed.pop_front()).flatten()
    }

    fn remove(&mut self, dialog: Arc<str>, first: bool, now: Instant) -> Step {
        self.waiting.remove(&dialog);
        if first {
            self.removed
                .push_back((now + ONCE_MORE, Arc::clone(&dialog)));
        }
        Step::Remove(dialog)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn look(dialog: &str) -> Step {
        Step::Look(dialog.into())
    }

    fn remove(dialog: &str) -> Step {
        Step::Remove(dialog.into())
    }

    #[test]
    fn queues_go_when_they_are_empty_and_once_more() {
        let (mut removals, start) = (Removals::default(), Instant::now());
        let at = |seconds: u64| start + Duration::from_secs(seconds);
        let nobody = |_: &str| false;
        assert_eq!(removals.close("d", 5, start), None);
        assert_eq!(removals.due(start, 4, nobody), []);
        assert_eq!(removals.due(start, 5, nobody), [look("d")]);
        assert_eq!(removals.due(at(1), 5, nobody), [], "one look at a time");
        assert_eq!(removals.count("d", 1, 0, at(1)), None);
        assert_eq!(removals.count("d", 0, 0, at(1)), None);
        assert_eq!(removals.count("d", 0, 0, at(1)), None, "not asked for");
        assert_eq!(removals.due(at(1), 5, nobody), []);
        assert_eq!(removals.due(at(2), 5, nobody), [look("d")]);
        assert_eq!(removals.count("d", 0, 0, at(2)), None);
        assert_eq!(removals.count("d", 0, 0, at(2)), Some(remove("d")));
        assert_eq!(removals.count("d", 0, 0, at(2)), None);
        assert_eq!(removals.due(at(31), 5, nobody), []);
        assert!(removals.unfinished().eq([&Arc::from("d")]));
        assert_eq!(removals.due(at(32), 5, nobody), [remove("d")]);
        assert_eq!(removals.unfinished().next(), None);
        assert_eq!(removals.due(at(99), 5, nobody), []);
        assert!(removals.waiting.is_empty() && removals.removed.is_empty());
    }

    #[test]
    fn queues_that_nobody_empties_go_all_the_same() {
        let (mut removals, start) = (Removals::default(), Instant::now());
        for (dialog, last) in [("full", 1), ("unconfirmed", 2), ("unanswered", 1)] {
            removals.close(dialog, last, start);
        }
        removals.due(start, 1, |_| false);
        for _ in 0..2 {
            removals.count("full", 7, 0, start);
        }
        let late = removals.due(start + PATIENCE, 1, |_| false);
        assert_eq!(late.len(), 2, "{late:?}");
        assert!(late.iter().all(|step| matches!(step, Step::Remove(_))));
        // Whether somebody consumes it is not known.
        assert!(!late.contains(&remove("unanswered")));
        for _ in 0..2 {
            assert_eq!(removals.count("unanswered", 7, 0, start + PATIENCE), None);
        }
        let answered = removals.due(start + PATIENCE, 1, |_| false);
        assert_eq!(answered, [remove("unanswered")]);
    }

    #[test]
    fn a_dialog_that_is_open_again_keeps_its_queues() {
        let (mut removals, start) = (Removals::default(), Instant::now());
        removals.close("d", 0, start);
        assert_eq!(removals.due(start, 0, |_| false), [look("d")]);
        removals.reopen("d");
        assert_eq!(removals.count("d", 0, 0, start), None);
        assert_eq!(removals.due(start + PATIENCE, 0, |_| true), []);
        removals.close("d", 1, start);
        assert_eq!(removals.due(start + PATIENCE, 0, |_| false), [remove("d")]);
        assert_eq!(removals.due(start + PATIENCE + ONCE_MORE, 0, |_| true), []);
    }

    #[test]
    fn queues_that_somebody_consumes_stay() {
        let (mut removals, start) = (Removals::default(), Instant::now());
        removals.close("d", 0, start);
        let mut now = start;
        for round in 0..20 {
            assert_eq!(removals.due(now, 0, |_| false), [look("d")], "{round}");
            assert_eq!(removals.count("d", 0, 0, now), None);
            let commands = (round == 0).then_some(Step::RemoveCommands("d".into()));
            assert_eq!(removals.count("d", 0, 1, now), commands);
            now = removals.waiting["d"].until - PATIENCE;
        }
        assert!(now > start + LONGEST);
        assert_eq!(removals.due(now, 0, |_| false), [look("d")]);
        removals.count("d", 0, 0, now);
        assert_eq!(removals.count("d", 0, 0, now), Some(remove("d")));
        removals.wait_on("d", now);
        assert_eq!(
            removals.due(now, 0, |_| false),
            [],
            "the broker did not let us"
        );
        assert_eq!(removals.due(now + LONGEST, 0, |_| false), [look("d")]);
    }

    #[test]
    fn no_more_than_so_many_are_waited_with() {
        let (mut removals, start) = (Removals::default(), Instant::now());
        for number in 0..MOST {
            assert_eq!(removals.close(&number.to_string(), 1, start), None);
        }
        assert_eq!(removals.close("more", 1, start), Some(remove("more")));
        assert_eq!(removals.due(start + PATIENCE, 0, |_| false).len(), MOST);
        assert_eq!(
            (removals.waiting.len(), removals.removed.len()),
            (0, MOST + 1)
        );
        // Those of which somebody consumes what is there do not become more either.
        for number in 0..MOST {
            removals.close(&format!("again {number}"), 1, start);
        }
        let late = start + PATIENCE + ONCE_MORE;
        assert!(removals.due(late, 0, |_| false).len() > MOST);
        assert!(removals.waiting.len() <= MOST && removals.removed.len() <= MOST);
    }
}
