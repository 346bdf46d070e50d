//! Messages with events that were handed to a link and may still be lost with it: what the server
//! has not confirmed, and for a moment what it has, as a server that dies takes with it what it has
//! not delivered.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::ari::websocket::Frame;
use crate::bus::{Mark, Topic};

/// How long before its last sign of life a server may have confirmed what it did not deliver: a
/// subscriber that keeps up has the rest.
const KEPT: Duration = Duration::from_millis(500);
/// How many bytes of confirmed messages are kept.
const MOST_KEPT: usize = 4 * 1024 * 1024;
/// A link that is replaced sooner was not lost with its server, which takes longer to start.
const RESTART: Duration = Duration::from_secs(1);

/// A message.
#[derive(Debug)]
pub struct Message {
    /// What it is about.
    pub topic: Topic,
    /// Where it goes.
    pub subject: Arc<str>,
    /// What it carries beside.
    pub mark: Option<Mark>,
    /// Its body.
    pub body: Frame,
    /// When it was to be published first.
    pub since: Instant,
}

/// A message that was handed over.
#[derive(Debug)]
struct Handed {
    number: u64,
    when: Instant,
    message: Message,
}

/// Messages handed to one link, in order.
#[derive(Debug, Default)]
pub struct Sent {
    messages: VecDeque<Handed>,
    bytes: usize,
}

impl Sent {
    /// Keeps what was handed over as `number`.
    pub fn keep(&mut self, number: u64, message: Message) {
        self.bytes += message.body.len();
        self.messages.push_back(Handed {
            number,
            when: Instant::now(),
            message,
        });
    }

    /// How many messages are kept.
    pub fn len(&self) -> usize {
        self.messages.len()
    }

    /// Whether none is.
    pub fn is_empty(&self) -> bool {
        self.messages.is_empty()
    }

    /// Forgets what is safe, now that the server has taken all up to `taken` and was last `heard`
    /// of then.
    pub fn forget(&mut self, taken: u64, heard: Instant) {
        while let Some(first) = self.messages.front() {
            let kept = self.bytes <= MOST_KEPT && first.is_recent(heard);
            if first.number > taken || kept {
                return;
            }
            self.bytes -= first.message.body.len();
            self.messages.pop_front();
        }
    }

    /// Takes out, in order, what has to be published again, as the link is lost whose server had
    /// taken all up to `taken` and was last `heard` of then; there is another after the time `away`,
    /// maybe to the `same` server.
    pub fn to_repeat(
        &mut self,
        taken: u64,
        heard: Instant,
        away: Duration,
        same: bool,
    ) -> Vec<Message> {
        self.bytes = 0;
        let died = away > RESTART || !same;
        self.messages
            .drain(..)
            .filter(|handed| handed.number > taken || (died && handed.is_recent(heard)))
            .map(|handed| handed.message)
            .collect()
    }
}

impl Handed {
    fn is_recent(&self, heard: Instant) -> bool {
        heard.saturating_duration_since(self.when) < KEPT
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(body: Vec<u8>, age: Duration) -> Message {
        Message {
            topic: Topic::Event,
            subject: "s".into(),
            mark: None,
            body: body.into(),
            since: Instant::now().checked_sub(age).unwrap(),
        }
    }

    fn sent(ages: &[u64]) -> Sent {
        let mut sent = Sent::default();
        for (index, age) in ages.iter().enumerate() {
            let number = index as u64 + 1;
            sent.keep(
                number,
                message(vec![number as u8], Duration::from_secs(*age)),
            );
            if let Some(handed) = sent.messages.back_mut() {
                handed.when = handed.message.since;
            }
        }
        sent
    }

    fn bodies(messages: &[Message]) -> Vec<u8> {
        messages.iter().map(|message| message.body[0]).collect()
    }

    #[test]
    fn what_is_confirmed_is_forgotten_later() {
        let mut sent = sent(&[9, 9, 0, 0]);
        sent.forget(3, Instant::now());
        let later = Duration::from_secs(5);
        let again = sent.to_repeat(3, Instant::now(), later, true);
        assert_eq!(bodies(&again), [3, 4]);
    }

    #[test]
    fn the_same_server_has_what_it_confirmed() {
        let (now, at_once) = (Instant::now(), Duration::from_millis(100));
        let repeat = |away, same| bodies(&sent(&[0, 0]).to_repeat(1, now, away, same));
        assert_eq!(repeat(at_once, true), [2]);
        assert_eq!(repeat(at_once, false), [1, 2]);
        assert_eq!(repeat(Duration::from_secs(3), true), [1, 2]);
    }

    #[test]
    fn a_server_that_lived_on_has_delivered() {
        let heard = Instant::now() + Duration::from_secs(5);
        let away = Duration::from_secs(3);
        assert_eq!(bodies(&sent(&[0, 0]).to_repeat(1, heard, away, true)), [2]);
    }

    #[test]
    fn what_is_kept_is_bounded() {
        let mut sent = Sent::default();
        for number in 1..=10 {
            sent.keep(number, message(vec![0; MOST_KEPT / 4], Duration::ZERO));
        }
        sent.forget(2, Instant::now());
        assert_eq!(sent.messages.len(), 8, "what is not confirmed stays");
        sent.forget(10, Instant::now());
        assert_eq!(sent.messages.len(), 4);
    }
}
