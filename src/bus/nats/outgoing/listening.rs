//! What the topics of dialogs hear of the connection: commands, and what has become of offers.

use std::sync::Arc;

use super::{Ear, Outgoing, WINDOW};
use crate::bus::nats::lock;
use crate::bus::nats::said::{Message, Refusal};
use crate::bus::nats::topics::{Listening, Offer};

/// How much may be on its way for who does not wait for room: some more than for those who do, who take
/// all there is.
pub(in crate::bus::nats) const ROOM: u64 = WINDOW + WINDOW / 4;

impl Ear for Listening {
    type Mark = Offer;

    fn message(self: &Arc<Self>, outgoing: &Outgoing<Self>, message: Message) {
        if let Some(token) = self.take(message) {
            // It comes before the answer to the PING that follows the offer, after those before.
            outgoing.fail_first(|offer| offer.is(self, token));
        }
    }

    fn refused(self: &Arc<Self>, outgoing: &Outgoing<Self>, refusal: &Refusal<'_>, why: &str) {
        match refusal {
            // It may as well be about what was published before the offer, elsewhere.
            Refusal::Publish(subject) => outgoing.fail_first(|offer| offer.went_to(subject)),
            Refusal::Subscribe { subject, .. } => self.tell_refused(subject, why),
        }
    }

    fn answered(offer: Offer) {
        offer.tell();
    }
}

impl Outgoing<Listening> {
    /// Nobody listens any more, if it was `listening` who did.
    pub(in crate::bus::nats) fn unlisten(&self, listening: &Arc<Listening>) {
        lock(&self.ear).take_if(|it| Arc::ptr_eq(it, listening));
    }

    /// The offer that the server says of next what has become of it has failed, if it is the one that is
    /// meant and not others are dealt with first.
    fn fail_first(&self, is_meant: impl FnOnce(&Offer) -> bool) {
        let mut out = lock(&self.out);
        let first = out.pings.front_mut().and_then(|ping| ping.mark.as_mut());
        if let Some(offer) = first.filter(|offer| is_meant(offer)) {
            offer.fail();
        }
    }
}
