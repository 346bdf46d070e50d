//! How answers leave: published to where the asker said, over the link of the moment.

use std::sync::Arc;

use super::counters::Counters;
use crate::bus::{BusError, Outlet, Reply};
use crate::wire::response;

/// Publishes answers.
#[derive(Clone)]
pub struct Answers {
    outlet: Outlet,
    /// What the subjects of the protocol begin with.
    prefix: Arc<str>,
    counters: Arc<Counters>,
}

impl Answers {
    /// Answers that leave by `outlet`, but not to what begins with `prefix`: who may only ask must not
    /// be able to have events, statuses or requests published with our leave.
    pub fn new(outlet: Outlet, prefix: &str, counters: Arc<Counters>) -> Answers {
        Answers {
            outlet,
            prefix: prefix.into(),
            counters,
        }
    }

    /// Answers the error `text`.
    pub fn error(&self, reply: Option<&Reply>, text: &str) {
        self.send(reply, &response::error(text));
    }

    /// Publishes `body` to `reply`, if an answer is wanted.
    pub fn send(&self, reply: Option<&Reply>, body: &[u8]) {
        let Some(reply) = reply else {
            return;
        };
        if reply.to.starts_with(&*self.prefix) {
            self.counters.answers_lost.add();
            log::debug!(
                "no answer is sent to {}, a subject of the protocol",
                reply.to
            );
            return;
        }
        let sent = match self.outlet.answer(reply, body) {
            Err(error @ BusError::TooLarge { .. }) => {
                let text = format!("the answer cannot be sent: {error}");
                self.outlet.answer(reply, &response::error(&text))
            }
            sent => sent,
        };
        if let Err(error) = sent {
            self.counters.answers_lost.add();
            log::debug!("an answer is lost: {error}");
        }
    }
}
