//! The entity watch: asks a connected Asterisk every 10 s for its id, and follows a new one
//! without a restart (known defect 16).

use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender};

use super::conductor::{AsteriskChange, Event};
use super::ingest::identity;
use super::standing::Standing;
use crate::ari::rest::Rest;
use crate::config::Ari;

/// How often Asterisk is asked, as the Go program asks it.
const EVERY: Duration = Duration::from_secs(10);

/// The watch of one proxy.
pub struct Watch {
    /// How Asterisk is configured.
    pub ari: Ari,
    /// Asterisk.
    pub rest: Rest,
    /// Where the proxy stands.
    pub standing: Arc<Standing>,
    /// Who hears of a new id.
    pub tell: Sender<Event>,
    /// Disconnected when it is time to end.
    pub stop: Receiver<()>,
}

impl Watch {
    /// Runs until `stop` is disconnected.
    pub fn run(self) {
        while self.stop.recv_timeout(EVERY) == Err(RecvTimeoutError::Timeout) {
            if !self.standing.is_up() {
                continue;
            }
            let identity = self
                .rest
                .info()
                .and_then(|info| identity(&self.ari, info.entity_id));
            match identity {
                Ok(id) => self.compare(&id),
                Err(error) => log::warn!("Asterisk does not say its id: {error}"),
            }
        }
    }

    fn compare(&self, id: &str) {
        let Some(old) = self.standing.origin() else {
            return;
        };
        if old.asterisk != id {
            log::warn!("Asterisk {} is {id} now", old.asterisk);
            self.standing.name(id);
            let _ = self.tell.send(Event::Asterisk(AsteriskChange::Up));
        }
    }
}
