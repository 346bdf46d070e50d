//! Messages with events that were handed to a link and may still be lost with it: what the server
//! has not confirmed, and for a moment what it has, as a server that dies takes with it what it has
//! not delivered.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::ari::websocket::Frame;

/// How long a confirmed message is kept: a subscriber that keeps up has it by then.
const KEPT: Duration = Duration::from_millis(500);
/// How many bytes of confirmed messages are kept.
const MOST_KEPT: usize = 4 * 1024 * 1024;
/// A link that is replaced sooner was not lost with its server, which takes longer to start.
const RESTART: Duration = Duration::from_secs(1);

/// A message.
#[derive(Debug)]
pub struct Message {
    /// Where it goes.
    pub subject: Arc<str>,
    /// Its body.
    pub body: Frame,
    /// When it was published first.
    pub since: Instant,
}

/// Messages handed to one link, in order.
#[derive(Debug, Default)]
pub struct Sent {
    /// With their numbers.
    messages: VecDeque<(u64, Message)>,
    bytes: usize,
}

impl Sent {
    /// Keeps what was handed over as `number`.
    pub fn keep(&mut self, number: u64, message: Message) {
        self.bytes += message.body.len();
        self.messages.push_back((number, message));
    }

    /// Forgets what is safe, now that the server has taken all up to `taken`.
    pub fn forget(&mut self, taken: u64) {
        while let Some((number, message)) = self.messages.front() {
            let kept = self.bytes <= MOST_KEPT && message.since.elapsed() < KEPT;
            if *number > taken || kept {
                return;
            }
            self.bytes -= message.body.len();
            self.messages.pop_front();
        }
    }

    /// How many messages the server has not taken that has taken all up to `taken`.
    pub fn unconfirmed(&self, taken: u64) -> usize {
        let confirmed = |(number, _): &(u64, Message)| *number <= taken;
        self.messages.len() - self.messages.partition_point(confirmed)
    }

    /// Takes out, in order, what has to be published again, as the link is lost that had taken all
    /// up to `taken`, and there is another after the time `away`, maybe to the `same` server.
    pub fn to_repeat(&mut self, taken: u64, away: Duration, same: bool) -> Vec<Message> {
        self.bytes = 0;
        let all = away > RESTART || !same;
        self.messages
            .drain(..)
            .filter(|(number, _)| all || *number > taken)
            .map(|(_, message)| message)
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(body: Vec<u8>, age: Duration) -> Message {
        Message {
            subject: "s".into(),
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
        }
        sent
    }

    fn bodies(messages: &[Message]) -> Vec<u8> {
        messages.iter().map(|message| message.body[0]).collect()
    }

    #[test]
    fn what_is_confirmed_is_forgotten_later() {
        let mut sent = sent(&[9, 9, 0, 0]);
        sent.forget(3);
        assert_eq!(sent.unconfirmed(3), 1);
        let again = sent.to_repeat(3, Duration::from_secs(5), true);
        assert_eq!(bodies(&again), [3, 4]);
        assert_eq!(sent.unconfirmed(0), 0);
    }

    #[test]
    fn the_same_server_has_what_it_confirmed() {
        let at_once = Duration::from_millis(100);
        assert_eq!(bodies(&sent(&[0, 0]).to_repeat(1, at_once, true)), [2]);
        assert_eq!(bodies(&sent(&[0, 0]).to_repeat(1, at_once, false)), [1, 2]);
        let later = Duration::from_secs(3);
        assert_eq!(bodies(&sent(&[0, 0]).to_repeat(1, later, true)), [1, 2]);
    }

    #[test]
    fn what_is_kept_is_bounded() {
        let mut sent = Sent::default();
        for number in 1..=10 {
            sent.keep(number, message(vec![0; MOST_KEPT / 4], Duration::ZERO));
        }
        sent.forget(2);
        assert_eq!(sent.messages.len(), 8, "what is not confirmed stays");
        sent.forget(10);
        assert_eq!(sent.messages.len(), 4);
    }
}
