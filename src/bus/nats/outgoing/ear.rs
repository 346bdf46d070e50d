//! Who hears what comes on the connection: the topics of dialogs, or an application's access. What they
//! need of it: subscriptions among what leaves, and what comes for them. Nothing of the connection is
//! locked while somebody is told.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread;

use crossbeam_channel::{Sender, bounded};

use super::Outgoing;
use crate::bus::BusError;
use crate::bus::nats::lock;
use crate::bus::nats::said::{Message, Refusal};

/// Hears what comes, on the connection's reading thread: it must not wait for anything.
pub(in crate::bus::nats) trait Ear: Send + Sync + Sized + 'static {
    /// What the answer to a PING may be about, beside what the server has taken.
    type Mark: Send;

    /// A message came for a subscription, maybe one that has ended.
    fn message(self: &Arc<Self>, outgoing: &Outgoing<Self>, message: Message);

    /// The server does not let us do something; its words are `why`.
    fn refused(self: &Arc<Self>, outgoing: &Outgoing<Self>, refusal: &Refusal<'_>, why: &str);

    /// The server has dealt with all that was handed over before the PING that this is about.
    fn answered(mark: Self::Mark);
}

impl<E: Ear> Outgoing<E> {
    /// A number for a subscription, which none had before.
    pub(in crate::bus::nats) fn next_sid(&self) -> u64 {
        self.sids.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// From now on `ear` hears what comes.
    pub(in crate::bus::nats) fn listen(&self, ear: &Arc<E>) {
        *lock(&self.ear) = Some(Arc::clone(ear));
    }

    /// Who hears what comes, until the connection has ended.
    fn ear(&self) -> Option<Arc<E>> {
        lock(&self.ear).clone().filter(|_| !self.has_ended())
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

    /// Hands over what `put` puts, if less than `room` is on its way, and asks what becomes of it: the
    /// answer is about `mark`.
    pub(in crate::bus::nats) fn ask_about(
        &self,
        mark: E::Mark,
        room: u64,
        put: impl FnOnce(&mut Vec<u8>),
    ) -> Result<(), BusError> {
        let mut out = lock(&self.out);
        if self.has_ended() {
            return Err(BusError::Lost);
        }
        if self.all_handed() - self.all_taken() >= room {
            return Err(BusError::Busy);
        }
        self.append(&mut out, put);
        self.ask_of(&mut out, Some(mark));
        Ok(())
    }

    /// Starts the thread `name`, which writes what is handed over whenever it is kicked, for those who
    /// wait for nothing. It ends when what is returned is dropped.
    pub(in crate::bus::nats) fn start_writing(
        self: &Arc<Self>,
        name: &str,
    ) -> Result<Sender<()>, BusError> {
        let (kick, kicked) = bounded(1);
        let outgoing = Arc::clone(self);
        thread::Builder::new()
            .name(name.to_owned())
            .spawn(move || {
                while kicked.recv().is_ok() {
                    outgoing.flush();
                }
            })
            .map_err(|error| BusError::Unreachable(format!("no thread: {error}")))?;
        Ok(kick)
    }

    /// A message came.
    pub(super) fn deliver(&self, message: Message) {
        if let Some(ear) = self.ear() {
            ear.message(self, message);
        }
    }

    /// Has who hears know what a refusal concerns.
    pub(super) fn note_refusal(&self, why: &str) {
        if let Some(refusal) = Refusal::of(why)
            && let Some(ear) = self.ear()
        {
            ear.refused(self, &refusal, why);
        }
    }
}
