//! The entity watch: asks a connected Asterisk every 10 s for its id, and follows a new one
//! without a restart (known defect 16).

use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender};

use super::buffer::Buffer;
use super::conductor::{AsteriskChange, Event};
use super::ingest::identity;
use super::standing::{Change, Origin, Standing};
use crate::ari::rest::Rest;
use crate::config::Ari;
use crate::wire::status::State;

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
    /// Where the change goes.
    pub buffer: Arc<Buffer>,
    /// Who hears of a new id.
    pub tell: Sender<Event>,
    /// Disconnected when it is time to end.
    pub stop: Receiver<()>,
}

impl Watch {
    /// Runs until `stop` is disconnected.
    pub fn run(self) {
        let mut failing = false;
        while self.stop.recv_timeout(EVERY) == Err(RecvTimeoutError::Timeout) {
            // The one that was there before Asterisk was asked: its answer may come after ingest
            // has met another Asterisk.
            let Some(origin) = self.standing.origin().filter(|_| self.standing.is_up()) else {
                continue;
            };
            let identity = self
                .rest
                .info()
                .and_then(|info| identity(&self.ari, info.entity_id));
            match identity {
                Ok(id) => {
                    failing = false;
                    self.compare(&origin, &id);
                }
                Err(error) => {
                    if !failing {
                        log::warn!("Asterisk {} does not say its id: {error}", origin.asterisk);
                    }
                    failing = true;
                }
            }
        }
    }

    fn compare(&self, asked: &Arc<Origin>, id: &str) {
        if asked.asterisk == id {
            return;
        }
        let renamed = self.standing.rename(asked, id, |origin| {
            let reason = format!("Asterisk {} goes by this id now", asked.asterisk);
            self.buffer.change(Change::new(State::Up, origin, reason));
        });
        if renamed {
            log::warn!("Asterisk {} is {id} now", asked.asterisk);
            let _ = self.tell.send(Event::Asterisk(AsteriskChange::Up));
        }
    }
}
