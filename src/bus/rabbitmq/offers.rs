//! What is offered on the topics of dialogs, until the broker says what has become of it; and who hears
//! that.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use amiquip::Confirm;

use super::ledger::Ledger;
use super::lock;
use super::payloads::Notice;
use super::stream::Listener;
use super::writer::Writer;
use crate::bus::{Hear, Heard, Loss, Terms};
use crate::occasionally::Occasionally;

/// Who hears of the topics of dialogs, while there is somebody.
#[derive(Default)]
pub(super) struct Ears(RwLock<Option<Hear>>);

impl Ears {
    /// From now on this one hears, or nobody; not any more when this returns, who heard before.
    pub(super) fn set(&self, hear: Option<Hear>) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = hear;
    }

    /// Tells it. No other lock may be held.
    pub(super) fn tell(&self, heard: Heard) {
        if let Some(hear) = &*self.0.read().unwrap_or_else(PoisonError::into_inner) {
            hear(heard);
        }
    }
}

/// What is offered, by its number among all that is published.
#[derive(Default)]
pub(super) struct Offers {
    open: Mutex<BTreeMap<u64, u64>>,
    /// Whether anything ever was: most links have nothing to look for.
    any: AtomicBool,
}

impl Offers {
    /// What is published under `number` is the offer `offer`. To be called before it leaves.
    pub(super) fn add(&self, number: u64, offer: u64) {
        lock(&self.open).insert(number, offer);
        self.any.store(true, Ordering::Release);
    }

    /// None are of interest any more.
    pub(super) fn clear(&self) {
        lock(&self.open).clear();
    }

    /// What the broker says of what is published: the offers that it is about.
    fn settle(&self, number: u64, all: bool) -> Vec<u64> {
        if !self.any.load(Ordering::Acquire) {
            return Vec::new();
        }
        let mut open = lock(&self.open);
        if !all {
            return open.remove(&number).into_iter().collect();
        }
        let later = open.split_off(&number.saturating_add(1));
        std::mem::replace(&mut *open, later).into_values().collect()
    }
}

/// Hears what the broker says of what a link publishes.
pub(super) struct Published {
    ledger: Arc<Ledger>,
    losses: Arc<dyn Fn(Loss) + Send + Sync>,
    offers: Arc<Offers>,
    ears: Arc<Ears>,
    refusals: Occasionally,
}

impl Published {
    pub(super) fn new(
        ledger: &Arc<Ledger>,
        terms: &Terms,
        offers: &Arc<Offers>,
        ears: &Arc<Ears>,
    ) -> Published {
        Published {
            ledger: Arc::clone(ledger),
            losses: Arc::clone(&terms.losses),
            offers: Arc::clone(offers),
            ears: Arc::clone(ears),
            refusals: Occasionally::new(),
        }
    }

    fn tell(&self, offers: Vec<u64>, how: impl Fn(u64) -> Heard) {
        offers
            .into_iter()
            .map(how)
            .for_each(|it| self.ears.tell(it));
    }
}

impl Listener for Published {
    fn hear(&mut self, notice: Notice, _: &Writer) {
        match notice {
            Notice::Confirm(confirm) => {
                match confirm {
                    Confirm::Ack(what) => {
                        let offers = self.offers.settle(what.delivery_tag, what.multiple);
                        self.tell(offers, Heard::Taken);
                    }
                    Confirm::Nack(what) => {
                        if self.refusals.now() {
                            log::warn!("bus: the broker refuses events: is a queue full?");
                        }
                        let offers = self.offers.settle(what.delivery_tag, what.multiple);
                        self.tell(offers, Heard::Nobody);
                    }
                }
                let lost = self.ledger.hear(confirm);
                lost.into_iter().for_each(&*self.losses);
            }
            // What comes back is confirmed after that, too.
            Notice::Returned(Some(number)) => {
                self.tell(self.offers.settle(number, false), Heard::Nobody);
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offers_are_settled_once() {
        let offers = Offers::default();
        assert_eq!(offers.settle(9, true), [0; 0]);
        for (number, offer) in [(2, 20), (5, 10), (6, 60), (9, 90)] {
            offers.add(number, offer);
        }
        assert_eq!(offers.settle(1, true), [0; 0]);
        assert_eq!(offers.settle(5, false), [10]);
        assert_eq!(offers.settle(6, true), [20, 60]);
        assert_eq!(offers.settle(6, true), [0; 0]);
        assert_eq!(offers.settle(u64::MAX, true), [90]);
    }
}
