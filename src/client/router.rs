//! Who subscribed to what: one subscription on the bus for all who want the same, and each event to those
//! whom it concerns. An event is looked at once, however many subscribers there are, and nobody waits for
//! a subscriber.

use std::collections::HashMap;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use super::Error;
use super::event::Gap;
use super::filter::Filter;
use super::local::{Inlet, Item};
use crate::bus::{BusError, Claim, Interest};
use crate::wire::event::Touched;

/// Subscribers of a connection at once.
const MOST: usize = 100_000;

/// The subscribers of a connection.
#[derive(Debug, Default)]
pub(super) struct Router {
    table: Mutex<Table>,
    /// A subscription on the bus was made, or refused.
    settled: Condvar,
}

#[derive(Debug, Default)]
struct Table {
    /// The number given out last.
    last: u64,
    subscribers: HashMap<u64, Subscriber>,
    interests: HashMap<Interest, u64>,
    /// What is subscribed to on the bus, by number.
    wanted: HashMap<u64, Wanted>,
    /// What is wanted no more, and the bus was not told.
    left: Vec<u64>,
    /// How often something was wanted anew, or no more.
    changes: u64,
    /// Nothing comes any more.
    over: bool,
}

#[derive(Debug)]
struct Subscriber {
    interest: u64,
    filter: Filter,
    inlet: Arc<Inlet>,
}

/// Something that is wanted of the bus.
#[derive(Debug)]
struct Wanted {
    interest: Interest,
    /// Who wants it: those whom all of it may concern,
    general: Vec<u64>,
    /// and those who want the events of one entity, by its id.
    by_id: HashMap<String, Vec<u64>>,
    /// The link, by number, on which somebody undertook to subscribe to it,
    begun: u64,
    /// and that on which it was done, or failed.
    done: u64,
    refusal: Option<BusError>,
}

impl Wanted {
    fn is_empty(&self) -> bool {
        self.general.is_empty() && self.by_id.is_empty()
    }
}

/// A subscription that has to be made on the bus.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Due {
    pub(super) number: u64,
    pub(super) interest: Interest,
}

impl Router {
    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a subscriber to `interest`; its number.
    pub(super) fn add(
        &self,
        interest: Interest,
        filter: Filter,
        inlet: Inlet,
    ) -> Result<u64, Error> {
        let mut table = self.table();
        let table = &mut *table;
        if table.over {
            return Err(Error::Closed);
        }
        if table.subscribers.len() >= MOST {
            return Err(Error::TooMany("subscriptions"));
        }
        table.last += 1;
        let subscriber = table.last;
        // One of a group has a subscription of its own.
        let shared = interest.group.is_none();
        let there = table.interests.get(&interest).copied().filter(|_| shared);
        let wanted = there.unwrap_or_else(|| {
            table.last += 1;
            table.changes += 1;
            let wanted = Wanted {
                interest: interest.clone(),
                general: Vec::new(),
                by_id: HashMap::new(),
                begun: 0,
                done: 0,
                refusal: None,
            };
            table.wanted.insert(table.last, wanted);
            if shared {
                table.interests.insert(interest, table.last);
            }
            table.last
        });
        if let Some(wanted) = table.wanted.get_mut(&wanted) {
            match filter.id() {
                Some(id) => wanted.by_id.entry(id.to_owned()).or_default(),
                None => &mut wanted.general,
            }
            .push(subscriber);
        }
        let entry = Subscriber {
            interest: wanted,
            filter,
            inlet: Arc::new(inlet),
        };
        table.subscribers.insert(subscriber, entry);
        Ok(subscriber)
    }

    /// Removes a subscriber. What nobody wants any more then is given out by [`Router::left`].
    pub(super) fn remove(&self, subscriber: u64) {
        let mut table = self.table();
        let table = &mut *table;
        let Some(removed) = table.subscribers.remove(&subscriber) else {
            return;
        };
        let Subscriber {
            interest, filter, ..
        } = removed;
        let Some(wanted) = table.wanted.get_mut(&interest) else {
            return;
        };
        match filter.id() {
            None => wanted.general.retain(|it| *it != subscriber),
            Some(id) => {
                if let Some(those) = wanted.by_id.get_mut(id) {
                    those.retain(|it| *it != subscriber);
                    if those.is_empty() {
                        wanted.by_id.remove(id);
                    }
                }
            }
        }
        if !wanted.is_empty() {
            return;
        }
        if let Some(gone) = table.wanted.remove(&interest)
            && gone.interest.group.is_none()
        {
            table.interests.remove(&gone.interest);
        }
        table.left.push(interest);
        table.changes += 1;
    }

    /// Nothing comes any more: all subscribers end, and no more can begin.
    pub(super) fn end(&self) {
        let over = Table {
            over: true,
            ..Table::default()
        };
        let ended = std::mem::replace(&mut *self.table(), over);
        self.settled.notify_all();
        drop(ended);
    }

    /// What nobody wants any more, to be told to the bus by who takes it.
    pub(super) fn left(&self) -> Vec<u64> {
        std::mem::take(&mut self.table().left)
    }

    /// What `subscriber` needs of the bus, if nobody has undertaken yet to subscribe to it on `link`.
    pub(super) fn due(&self, subscriber: u64, link: u64) -> Option<Due> {
        let mut table = self.table();
        let number = table.subscribers.get(&subscriber)?.interest;
        table.begin(number, link)
    }

    /// All that nobody has undertaken yet to subscribe to on `link`; and how many changes there were.
    pub(super) fn all_due(&self, link: u64) -> (Vec<Due>, u64) {
        let mut table = self.table();
        let mut numbers: Vec<u64> = table.wanted.keys().copied().collect();
        numbers.sort_unstable();
        let due = numbers
            .into_iter()
            .filter_map(|number| table.begin(number, link))
            .collect();
        (due, table.changes)
    }

    /// How many changes there were.
    pub(super) fn changes(&self) -> u64 {
        self.table().changes
    }

    /// `number` is subscribed to on `link`, or refused; whether it is still wanted.
    pub(super) fn done(&self, number: u64, link: u64, refusal: Option<BusError>) -> bool {
        let mut table = self.table();
        let wanted = table.wanted.get_mut(&number);
        let there = wanted.is_some();
        // Who was held up on a link before has nothing to say about this one.
        if let Some(wanted) = wanted.filter(|wanted| wanted.done <= link) {
            wanted.done = link;
            wanted.refusal = refusal;
        }
        self.settled.notify_all();
        there
    }

    /// Waits until what `subscriber` needs is subscribed to on `link`, at most until `deadline`.
    pub(super) fn wait(
        &self,
        subscriber: u64,
        link: u64,
        deadline: Instant,
    ) -> Result<(), BusError> {
        let mut table = self.table();
        loop {
            let wanted = table
                .subscribers
                .get(&subscriber)
                .and_then(|it| table.wanted.get(&it.interest));
            match wanted {
                // It was removed, or is done.
                None => return Ok(()),
                Some(wanted) if wanted.done >= link => {
                    return wanted.refusal.clone().map_or(Ok(()), Err);
                }
                Some(_) => {}
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(BusError::Busy);
            }
            let woken = self.settled.wait_timeout(table, left);
            table = woken.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// An event came for the subscription `number` on the bus.
    pub(super) fn event(&self, number: u64, body: &[u8], claim: Option<Claim>) {
        let Some(event) = Touched::read(body) else {
            claim.map(Claim::take);
            return;
        };
        let mut takers: Vec<Arc<Inlet>> = Vec::new();
        let mut group = false;
        {
            let table = self.table();
            let Some(wanted) = table.wanted.get(&number) else {
                // It has just left: what came for it is another's.
                return;
            };
            group |= wanted.interest.group.is_some();
            let mut those: Vec<u64> = wanted.general.clone();
            for (at, (_, id)) in event.entities.iter().enumerate() {
                let seen = event.entities.iter().take(at).any(|(_, other)| other == id);
                if !seen && let Some(more) = wanted.by_id.get(id.as_ref()) {
                    those.extend(more);
                }
            }
            takers.extend(
                those
                    .iter()
                    .filter_map(|number| table.subscribers.get(number))
                    .filter(|subscriber| subscriber.filter.takes(&event))
                    .map(|subscriber| Arc::clone(&subscriber.inlet)),
            );
        }
        if takers.is_empty() {
            // Whoever it is for, it is none of the group.
            claim.map(Claim::take);
            return;
        }
        let body: Arc<[u8]> = Arc::from(body);
        if group {
            if let Some(taker) = takers.first() {
                taker.put(Item::Call(body, claim));
            }
            return;
        }
        for taker in takers {
            taker.put(Item::Event(Arc::clone(&body)));
        }
    }

    /// The proxy of `application` at `asterisk` says `body` of itself.
    pub(super) fn status(&self, asterisk: &str, application: &str, body: &[u8]) {
        let body: Arc<[u8]> = Arc::from(body);
        let concerned = |subscriber: &Subscriber| subscriber.filter.concerns(asterisk, application);
        for taker in self.those(concerned) {
            taker.put(Item::Event(Arc::clone(&body)));
        }
    }

    /// Events of the subscription `number` on the bus may be lost.
    pub(super) fn gap(&self, number: u64, lost: Option<u64>, reason: &str) {
        let concerned: Vec<Arc<Inlet>> = {
            let table = self.table();
            let Some(wanted) = table.wanted.get(&number) else {
                return;
            };
            let all = wanted.general.iter().chain(wanted.by_id.values().flatten());
            all.filter_map(|number| table.subscribers.get(number))
                .map(|subscriber| Arc::clone(&subscriber.inlet))
                .collect()
        };
        for taker in concerned {
            let reason = reason.to_owned();
            taker.put(Item::Gap(Gap { lost, reason }));
        }
    }

    fn those(&self, which: impl Fn(&Subscriber) -> bool) -> Vec<Arc<Inlet>> {
        let table = self.table();
        let those = table.subscribers.values().filter(|it| which(it));
        those.map(|it| Arc::clone(&it.inlet)).collect()
    }
}

impl Table {
    fn begin(&mut self, number: u64, link: u64) -> Option<Due> {
        let wanted = self.wanted.get_mut(&number)?;
        if wanted.begun >= link {
            return None;
        }
        wanted.begun = link;
        Some(Due {
            number,
            interest: wanted.interest.clone(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::local;

    #[test]
    fn what_comes_of_a_link_before_is_of_no_matter() {
        let router = Router::default();
        let interest = Interest {
            subject: "s".to_owned(),
            below: false,
            group: None,
        };
        let add = || router.add(interest.clone(), Filter::default(), local::queue(1).0);
        let one = add().unwrap();
        let due = router.due(one, 1).unwrap();
        assert_eq!(router.all_due(2).0, std::slice::from_ref(&due));
        assert!(router.done(due.number, 2, None));
        // Whoever did it on the first link was held up.
        assert!(router.done(due.number, 1, Some(BusError::Busy)));
        let other = add().unwrap();
        assert_eq!(router.due(other, 2), None);
        assert_eq!(router.wait(other, 2, Instant::now()), Ok(()));
    }
}
