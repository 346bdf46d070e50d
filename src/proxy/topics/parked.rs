//! Events of objects that belong to no dialog, while commands are under way that create such: Asterisk
//! tells of an object before it answers the command that has made it.

use std::collections::{BTreeMap, HashMap, VecDeque};

use crate::ari::websocket::Frame;
use crate::wire::kind::Entity;

/// Most events that wait. Beyond, none waits any longer: to let some go before others would be to have
/// those overtaken by what comes then.
const MOST: usize = 4096;

/// The events that wait, and the commands that they wait for.
#[derive(Debug, Default)]
pub(super) struct Parked {
    events: VecDeque<Event>,
    /// The commands under way, by their numbers, which grow.
    under_way: BTreeMap<u64, Entity>,
    /// How many of them create what.
    makers: HashMap<Entity, usize>,
}

#[derive(Debug)]
struct Event {
    frame: Frame,
    /// The last command that may have made its object.
    until: u64,
}

impl Parked {
    /// Command `number` is under way, and creates an `entity` of which the id is not known.
    pub(super) fn begin(&mut self, number: u64, entity: Entity) {
        self.under_way.insert(number, entity);
        *self.makers.entry(entity).or_default() += 1;
    }

    /// Whether an `entity` may be the work of a command under way.
    pub(super) fn may_be_made(&self, entity: Entity) -> bool {
        self.makers.get(&entity).is_some_and(|count| *count > 0)
    }

    /// Has `frame` wait; what does not wait any longer, in order.
    pub(super) fn park(&mut self, frame: Frame) -> Vec<Frame> {
        let until = self.under_way.keys().next_back().copied().unwrap_or(0);
        self.events.push_back(Event { frame, until });
        let surplus = match self.events.len() > MOST {
            true => std::mem::take(&mut self.events),
            false => VecDeque::new(),
        };
        surplus.into_iter().map(|event| event.frame).collect()
    }

    /// Command `number` is done. What waits, with whether it has nothing to wait for any more; whatever
    /// still has is to be [kept](Parked::keep).
    pub(super) fn end(&mut self, number: u64) -> Vec<(Waiting, bool)> {
        let made = self.under_way.remove(&number);
        if let Some(count) = made.and_then(|made| self.makers.get_mut(&made)) {
            *count -= 1;
        }
        let first = self.under_way.keys().next().copied().unwrap_or(u64::MAX);
        let waiting = self.events.drain(..).map(|event| {
            let over = event.until < first;
            (Waiting(event), over)
        });
        waiting.collect()
    }

    /// Has what waited wait on.
    pub(super) fn keep(&mut self, Waiting(event): Waiting) {
        self.events.push_back(event);
    }
}

/// An event that waited.
pub(super) struct Waiting(Event);

impl Waiting {
    /// Its bytes.
    pub(super) fn frame(&self) -> &Frame {
        &self.0.frame
    }

    pub(super) fn into_frame(self) -> Frame {
        self.0.frame
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(text: &'static str) -> Frame {
        Frame::from_static(text.as_bytes())
    }

    fn over(waiting: &[(Waiting, bool)]) -> Vec<(&[u8], bool)> {
        let mut all = Vec::new();
        for (waiting, over) in waiting {
            all.push((&waiting.0.frame[..], *over));
        }
        all
    }

    #[test]
    fn events_wait_for_the_commands_before_them() {
        let mut parked = Parked::default();
        parked.begin(1, Entity::Channel);
        assert!(parked.may_be_made(Entity::Channel) && !parked.may_be_made(Entity::Bridge));
        assert!(parked.park(frame("a")).is_empty());
        parked.begin(2, Entity::Bridge);
        parked.park(frame("b"));
        let waiting = parked.end(2);
        assert_eq!(over(&waiting), [(&b"a"[..], false), (b"b", false)]);
        waiting
            .into_iter()
            .for_each(|(event, _)| parked.keep(event));
        parked.begin(3, Entity::Bridge);
        let waiting = parked.end(1);
        assert_eq!(over(&waiting), [(&b"a"[..], true), (b"b", true)]);
        assert!(parked.end(3).is_empty());
        assert!(!parked.may_be_made(Entity::Bridge));
    }

    #[test]
    fn what_waits_is_bounded() {
        let mut parked = Parked::default();
        parked.begin(1, Entity::Channel);
        for _ in 0..MOST {
            assert!(parked.park(frame("x")).is_empty());
        }
        let all = parked.park(frame("y"));
        assert_eq!((all.len(), &all[MOST][..]), (MOST + 1, &b"y"[..]));
        assert!(parked.park(frame("z")).is_empty());
    }
}
