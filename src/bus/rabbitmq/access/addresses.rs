//! Reply addresses, one for each open question: a proxy of CyCoreSystems echoes no correlation id, so
//! that where an answer comes in must tell what it answers.
//!
//! An address is a channel with the broker's direct reply-to, which is a new address each time that the
//! channel is opened, and what still comes for the old one goes nowhere. One to which a late answer may
//! come is used again only where proxies echo what they are asked by; a late answer that does not say
//! what it answers is then nobody's, and shows that they do not.

use std::collections::HashMap;

/// Whether proxies echo correlation ids.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Echo {
    /// None has answered.
    #[default]
    Unknown,
    /// All did that have.
    Always,
    /// One did not.
    NotAlways,
}

/// How an address stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum State {
    /// There is no channel.
    #[default]
    Shut,
    /// No question uses it.
    Idle,
    /// The question of this number does.
    Asked(u64),
    /// The broker is asked to close it.
    Closing,
}

#[derive(Debug, Clone, Copy, Default)]
struct Address {
    state: State,
    /// Whether an answer to a question that is forgotten may come.
    late: bool,
}

/// Whether a channel is to be opened first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Open(pub(super) bool);

/// The reply addresses of an access.
#[derive(Debug)]
pub(super) struct Addresses {
    /// The number of the first channel.
    first: u16,
    all: Vec<Address>,
    /// The channels that no question uses, and those that are not open.
    idle: Vec<u16>,
    shut: Vec<u16>,
    /// Where answers to each open question come.
    questions: HashMap<u64, u16>,
    echo: Echo,
}

impl Addresses {
    /// Those on `count` channels from `first` on.
    pub(super) fn new(first: u16, count: u16) -> Addresses {
        Addresses {
            first,
            all: vec![Address::default(); usize::from(count)],
            idle: Vec::new(),
            shut: (first..first.saturating_add(count)).rev().collect(),
            questions: HashMap::new(),
            echo: Echo::default(),
        }
    }

    /// Whether this channel is one of them.
    pub(super) fn has(&self, channel: u16) -> bool {
        self.index(channel).is_some()
    }

    /// A channel for the question of this number, if there is one left.
    pub(super) fn ask(&mut self, number: u64) -> Option<(u16, Open)> {
        let (channel, open) = match self.idle.pop() {
            Some(channel) => (channel, Open(false)),
            None => (self.shut.pop()?, Open(true)),
        };
        self.get(channel)?.state = State::Asked(number);
        self.questions.insert(number, channel);
        Some((channel, open))
    }

    /// The question is not open any more; the channel that is to be closed, if one is.
    pub(super) fn forget(&mut self, number: u64, complete: bool) -> Option<u16> {
        let channel = self.questions.remove(&number)?;
        let echo = self.echo;
        let address = self.get(channel)?;
        address.late |= !complete;
        if address.late && echo != Echo::Always {
            address.state = State::Closing;
            return Some(channel);
        }
        address.state = State::Idle;
        self.idle.push(channel);
        None
    }

    /// An answer has come on `channel` that says that it answers the question of this number, or nothing:
    /// the question that it answers, if that is open.
    pub(super) fn answered(&mut self, channel: u16, says: Option<u64>) -> Option<u64> {
        if let Some(number) = says {
            if self.echo == Echo::Unknown {
                self.echo = Echo::Always;
            }
            return self.questions.contains_key(&number).then_some(number);
        }
        self.echo = Echo::NotAlways;
        let address = self.get(channel)?;
        match address.state {
            State::Asked(number) if !address.late => Some(number),
            _ => None,
        }
    }

    /// The channels that are to be closed, since late answers may come there that do not say what they
    /// answer.
    pub(super) fn retire(&mut self) -> Vec<u16> {
        if self.echo != Echo::NotAlways {
            return Vec::new();
        }
        let (retired, idle) = std::mem::take(&mut self.idle)
            .into_iter()
            .partition(|channel| self.is_late(*channel));
        self.idle = idle;
        let retired: Vec<u16> = retired;
        for channel in &retired {
            if let Some(address) = self.get(*channel) {
                address.state = State::Closing;
            }
        }
        retired
    }

    /// Whether the question of this number is open.
    pub(super) fn is_open(&self, number: u64) -> bool {
        self.questions.contains_key(&number)
    }

    /// Whether the broker is asked to close `channel`.
    pub(super) fn is_closing(&mut self, channel: u16) -> bool {
        self.get(channel)
            .is_some_and(|address| address.state == State::Closing)
    }

    /// A channel is closed: the question that used it, if one did. It stays open, but nothing answers it.
    pub(super) fn closed(&mut self, channel: u16) -> Option<u64> {
        let address = self.get(channel)?;
        let before = std::mem::take(address).state;
        self.idle.retain(|other| *other != channel);
        if !self.shut.contains(&channel) {
            self.shut.push(channel);
        }
        match before {
            State::Asked(number) => {
                self.questions.remove(&number);
                Some(number)
            }
            _ => None,
        }
    }

    fn is_late(&self, channel: u16) -> bool {
        let address = self.index(channel).and_then(|index| self.all.get(index));
        address.is_some_and(|address| address.late)
    }

    fn index(&self, channel: u16) -> Option<usize> {
        let index = usize::from(channel.checked_sub(self.first)?);
        (index < self.all.len()).then_some(index)
    }

    fn get(&mut self, channel: u16) -> Option<&mut Address> {
        let index = self.index(channel)?;
        self.all.get_mut(index)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_used_again_when_nothing_can_come_late() {
        let mut addresses = Addresses::new(2, 2);
        assert!(!addresses.has(1) && addresses.has(2) && addresses.has(3) && !addresses.has(4));
        assert_eq!(addresses.ask(1), Some((2, Open(true))));
        assert_eq!(addresses.ask(2), Some((3, Open(true))));
        assert_eq!(addresses.ask(3), None);
        assert_eq!(addresses.forget(1, true), None);
        assert_eq!(addresses.ask(3), Some((2, Open(false))));
        assert_eq!(addresses.answered(2, None), Some(3));
        assert_eq!(addresses.answered(2, Some(1)), None, "it is forgotten");
        // Who does not echo may answer late.
        assert_eq!(addresses.forget(3, false), Some(2));
        assert_eq!(addresses.answered(2, None), None);
        assert_eq!(addresses.ask(4), None);
        assert_eq!(addresses.closed(2), None);
        assert_eq!(addresses.ask(4), Some((2, Open(true))));
    }

    #[test]
    fn with_echoes_it_is_used_again_and_the_first_late_answer_without_ends_that() {
        let mut addresses = Addresses::new(2, 3);
        assert_eq!(addresses.ask(1), Some((2, Open(true))));
        assert_eq!(addresses.answered(2, Some(1)), Some(1));
        assert_eq!(addresses.forget(1, false), None);
        assert_eq!(addresses.ask(2), Some((2, Open(false))));
        assert_eq!(addresses.ask(3), Some((3, Open(true))));
        assert_eq!(addresses.forget(3, false), None);
        assert_eq!(addresses.ask(4), Some((3, Open(false))));
        assert_eq!(addresses.forget(4, true), None);
        assert_eq!(addresses.answered(2, Some(1)), None, "a late one");
        assert_eq!(addresses.retire(), [0; 0]);
        // Of whichever question it is.
        assert_eq!(addresses.answered(2, None), None);
        assert_eq!(addresses.answered(2, Some(2)), Some(2));
        assert_eq!(addresses.retire(), [3]);
        assert_eq!(addresses.retire(), [0; 0]);
        assert_eq!(addresses.forget(2, true), Some(2));
        assert_eq!(addresses.closed(3), None);
        assert_eq!(addresses.ask(5), Some((3, Open(true))));
        assert_eq!(addresses.answered(3, None), Some(5));
    }

    #[test]
    fn a_channel_that_the_broker_closes() {
        let mut addresses = Addresses::new(2, 1);
        addresses.ask(1);
        assert!(addresses.is_open(1));
        assert_eq!(addresses.closed(2), Some(1));
        assert!(!addresses.is_open(1));
        assert_eq!(addresses.forget(1, true), None);
        assert_eq!(addresses.ask(2), Some((2, Open(true))));
        addresses.forget(2, true);
        assert_eq!(addresses.closed(2), None);
        assert_eq!(addresses.ask(3), Some((2, Open(true))));
    }
}
