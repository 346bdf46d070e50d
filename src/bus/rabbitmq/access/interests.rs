//! What an access has subscribed to without a group, and which of it an event is for: all its events come
//! from one queue.

use std::collections::HashMap;

use crate::bus::Interest;

/// Subscriptions, by what they are interested in.
#[derive(Debug, Default)]
pub(super) struct Interests {
    exact: HashMap<String, Vec<u64>>,
    below: HashMap<String, Vec<u64>>,
    /// The interest of each: its subject, and whether what is below it is meant.
    by_number: HashMap<u64, (String, bool)>,
}

impl Interests {
    /// Adds the subscription of this number.
    pub(super) fn add(&mut self, number: u64, interest: &Interest) {
        let subject = interest.subject.clone();
        let of = self.side(interest.below);
        of.entry(subject.clone()).or_default().push(number);
        self.by_number.insert(number, (subject, interest.below));
    }

    /// Removes it; the key that nobody is interested in any more, if there is one.
    pub(super) fn remove(&mut self, number: u64) -> Option<String> {
        let (subject, below) = self.by_number.remove(&number)?;
        let of = self.side(below);
        let numbers = of.get_mut(&subject)?;
        numbers.retain(|other| *other != number);
        if !numbers.is_empty() {
            return None;
        }
        of.remove(&subject);
        Some(key(&subject, below))
    }

    /// Those that what is published at `subject` is for.
    pub(super) fn find(&self, subject: &str) -> Vec<u64> {
        let mut found = self.exact.get(subject).cloned().unwrap_or_default();
        if !self.below.is_empty() {
            for (at, _) in subject.match_indices('.') {
                let above = subject.get(..at).unwrap_or_default();
                found.extend(self.below.get(above).into_iter().flatten());
            }
        }
        found
    }

    fn side(&mut self, below: bool) -> &mut HashMap<String, Vec<u64>> {
        match below {
            true => &mut self.below,
            false => &mut self.exact,
        }
    }
}

/// The key that an interest is bound by. With `#` for what is below, it is for the subject itself too.
pub(super) fn key(subject: &str, below: bool) -> String {
    match below {
        true => format!("{subject}.#"),
        false => subject.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn interest(subject: &str, below: bool) -> Interest {
        Interest {
            subject: subject.into(),
            below,
            group: None,
        }
    }

    #[test]
    fn who_an_event_is_for() {
        let mut interests = Interests::default();
        assert_eq!(interests.find("ari.event.a"), [0; 0]);
        interests.add(1, &interest("ari.event.a", true));
        interests.add(2, &interest("ari.event.a", false));
        interests.add(3, &interest("ari", true));
        interests.add(4, &interest("ari.event.a", true));
        let find = |subject: &str| {
            let mut found = interests.find(subject);
            found.sort_unstable();
            found
        };
        assert_eq!(find("ari.event.a"), [2, 3]);
        assert_eq!(find("ari.event.a.id"), [1, 3, 4]);
        assert_eq!(find("ari.event.a.id.more"), [1, 3, 4]);
        assert_eq!(find("ari.event.ab"), [3]);
        assert_eq!(find("ari"), [0; 0]);
        assert_eq!(find("other.event.a.id"), [0; 0]);
    }

    #[test]
    fn the_last_takes_the_binding_with_it() {
        let mut interests = Interests::default();
        interests.add(1, &interest("s", true));
        interests.add(2, &interest("s", true));
        interests.add(3, &interest("s", false));
        assert_eq!(interests.remove(1), None);
        assert_eq!(interests.remove(1), None);
        assert_eq!(interests.remove(2).as_deref(), Some("s.#"));
        assert_eq!(interests.remove(3).as_deref(), Some("s"));
        assert_eq!(interests.find("s.t"), [0; 0]);
    }
}
