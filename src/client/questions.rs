//! The questions that are open, and what is said to them.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crossbeam_channel::{Receiver, Sender, bounded};

use super::Error;

/// Questions open at once; each is a thread that waits.
const MOST: usize = 10_000;
/// Answers to one question that may wait; further ones are dropped.
const ANSWERS: usize = 1024;

/// What is said to a question.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Said {
    /// An answer.
    Answer(Vec<u8>),
    /// Nobody listens where it went.
    Nobody,
    /// The link that it went on is lost.
    Lost,
}

/// The open questions, by number.
#[derive(Debug, Default)]
pub(super) struct Questions {
    last: AtomicU64,
    open: Mutex<HashMap<u64, Sender<Said>>>,
}

/// An open question.
pub(super) struct Open<'a> {
    questions: &'a Questions,
    pub(super) number: u64,
    pub(super) said: Receiver<Said>,
}

impl Questions {
    fn open(&self) -> MutexGuard<'_, HashMap<u64, Sender<Said>>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A new question; open until it is dropped.
    pub(super) fn begin(&self) -> Result<Open<'_>, Error> {
        let (say, said) = bounded(ANSWERS);
        let number = self.last.fetch_add(1, Ordering::Relaxed) + 1;
        let mut open = self.open();
        if open.len() >= MOST {
            return Err(Error::TooMany("requests"));
        }
        open.insert(number, say);
        Ok(Open {
            questions: self,
            number,
            said,
        })
    }

    /// Something is said to the question `number`, which may be open no more.
    pub(super) fn say(&self, number: u64, said: Said) {
        if let Some(say) = self.open().get(&number) {
            // Who gets more answers than he can have asked for misses some.
            let _ = say.try_send(said);
        }
    }

    /// The link is lost that all of them went on.
    pub(super) fn lost(&self) {
        for say in self.open().values() {
            let _ = say.try_send(Said::Lost);
        }
    }
}

impl Drop for Open<'_> {
    fn drop(&mut self) {
        self.questions.open().remove(&self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_reach_their_question() {
        let questions = Questions::default();
        let (one, other) = (questions.begin().unwrap(), questions.begin().unwrap());
        assert_ne!(one.number, other.number);
        questions.say(other.number, Said::Answer(b"x".to_vec()));
        assert!(one.said.try_recv().is_err());
        assert_eq!(other.said.try_recv(), Ok(Said::Answer(b"x".to_vec())));
        let number = other.number;
        drop(other);
        questions.say(number, Said::Nobody);
        questions.lost();
        assert_eq!(one.said.try_recv(), Ok(Said::Lost));
    }

    #[test]
    fn they_are_bounded() {
        let questions = Questions::default();
        let open: Vec<_> = (0..MOST).map(|_| questions.begin().unwrap()).collect();
        assert!(questions.begin().is_err());
        for _ in 0..2 * ANSWERS {
            questions.say(open[0].number, Said::Nobody);
        }
        assert_eq!(open[0].said.len(), ANSWERS);
    }
}
