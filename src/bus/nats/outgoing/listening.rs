//! What the topics of dialogs need of the connection: subscriptions and offers among what leaves, and what
//! comes for them. Nothing is locked while somebody is told.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::{Out, Outgoing, WINDOW};
use crate::bus::BusError;
use crate::bus::nats::connection::lock;
use crate::bus::nats::said::{Message, Refusal};
use crate::bus::nats::topics::{Listening, Offer};

/// How much more may be on its way for who does not wait for room: those who do take all there is.
const RESERVE: u64 = WINDOW / 4;

impl Out {
    /// The offer that the server says of next what has become of it, unless others are dealt with first.
    fn first_offer(&mut self) -> Option<&mut Offer> {
        self.pings.front_mut()?.offer.as_mut()
    }
}

impl Outgoing {
    /// A number for a subscription, which none had before.
    pub(in crate::bus::nats) fn next_sid(&self) -> u64 {
        self.sids.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// From now on `listening` hears what comes.
    pub(in crate::bus::nats) fn listen(&self, listening: &Arc<Listening>) {
        *lock(&self.listening) = Some(Arc::clone(listening));
    }

    /// It does not any more.
    pub(in crate::bus::nats) fn unlisten(&self, listening: &Arc<Listening>) {
        lock(&self.listening).take_if(|it| Arc::ptr_eq(it, listening));
    }

    /// What listens on it.
    fn listening(&self) -> Option<Arc<Listening>> {
        lock(&self.listening).clone()
    }

    /// Hands over what `put` puts, whether there is room or not: who does it knows a bound.
    pub(in crate::bus::nats) fn say(&self, put: impl FnOnce(&mut Vec<u8>)) -> Result<(), BusError> {
        let mut out = lock(&self.out);
        if self.has_ended() {
            return Err(BusError::Lost);
        }
        self.append(&mut out, put);
        Ok(())
    }

    /// Hands over what `put` puts, if there is room, and asks what becomes of it, which `offer` is told.
    pub(in crate::bus::nats) fn offer(
        &self,
        offer: Offer,
        put: impl FnOnce(&mut Vec<u8>),
    ) -> Result<(), BusError> {
        let mut out = lock(&self.out);
        if self.has_ended() {
            return Err(BusError::Lost);
        }
        if self.all_handed() - self.all_taken() >= WINDOW + RESERVE {
            return Err(BusError::Busy);
        }
        self.append(&mut out, put);
        self.ask_of(&mut out, Some(offer));
        Ok(())
    }

    /// A message came for a subscription, maybe one that has ended.
    pub(super) fn deliver(&self, message: Message) {
        let Some(listening) = self.listening().filter(|_| !self.has_ended()) else {
            return;
        };
        if let Some(token) = listening.take(message) {
            // It comes before the answer to the PING that follows the offer, after those before.
            let mut out = lock(&self.out);
            if let Some(offer) = out.first_offer()
                && offer.is(&listening, token)
            {
                offer.fail();
            }
        }
    }

    /// Has those know whom a refusal concerns.
    pub(super) fn note_refusal(&self, why: &str) {
        match Refusal::of(why) {
            Some(Refusal::Publish(subject)) => {
                // It may as well be about what was published before the offer, elsewhere.
                let mut out = lock(&self.out);
                if let Some(offer) = out.first_offer()
                    && offer.went_to(subject)
                {
                    offer.fail();
                }
            }
            Some(Refusal::Subscribe(subject)) => {
                if let Some(listening) = self.listening().filter(|_| !self.has_ended()) {
                    listening.refused(subject, why);
                }
            }
            None => {}
        }
    }
}
