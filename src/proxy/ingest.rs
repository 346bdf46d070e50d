//! Websocket ingest: connects to Asterisk, reads frames into the buffer, connects again. It never
//! waits for the bus.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender};

use super::buffer::{Buffer, Event};
use super::conductor::{self, AsteriskChange};
use super::counters::Counters;
use super::dialogs::Dialogs;
use super::standing::{Origin, Standing};
use crate::ari::rest::Rest;
use crate::ari::websocket::{Cutter, Websocket};
use crate::ari::{AriError, Credentials};
use crate::backoff::Backoff;
use crate::config::{Ari, OnReplaced};
use crate::logging::Occasionally;
use crate::wire::event::replaces_application;
use crate::wire::subject::publishable;

/// The ingest of one proxy.
pub struct Ingest {
    /// Where Asterisk is and how to get in.
    pub ari: Ari,
    /// To ask Asterisk who it is.
    pub rest: Rest,
    /// Where the proxy stands.
    pub standing: Arc<Standing>,
    /// Where frames go.
    pub buffer: Arc<Buffer>,
    /// Cleared when Asterisk was restarted.
    pub dialogs: Arc<Dialogs>,
    /// What is counted.
    pub counters: Arc<Counters>,
    /// Who hears of changes.
    pub tell: Sender<conductor::Event>,
    /// Disconnected when it is time to end.
    pub stop: Receiver<()>,
    /// Ends the websocket from another thread.
    pub cutter: Arc<Mutex<Option<Cutter>>>,
}

/// Why reading ended.
enum End {
    /// Another websocket took the application.
    Replaced,
    /// The websocket broke.
    Broken(AriError),
}

impl Ingest {
    /// Runs until `stop` is disconnected.
    pub fn run(self) {
        let mut backoff = Backoff::new();
        let mut last_error = String::new();
        let mut startup_time = String::new();
        while !self.stopped(Duration::ZERO) {
            let wait = match self.connect(&mut startup_time) {
                Ok((websocket, origin)) => {
                    last_error.clear();
                    backoff.reset();
                    self.counters.asterisk_connections.add();
                    self.tell(AsteriskChange::Up);
                    log::info!(
                        "Asterisk {}: connected for application {}",
                        origin.asterisk,
                        self.ari.application
                    );
                    let end = self.read(websocket);
                    self.standing.set_up(false);
                    *self.lock_cutter() = None;
                    self.after(end, &origin, &mut backoff)
                }
                Err(error) => {
                    // One line per change of what is wrong, not one per attempt.
                    let error = error.to_string();
                    if error != last_error {
                        log::warn!("Asterisk: {error}");
                        last_error = error;
                    }
                    backoff.wait()
                }
            };
            if self.stopped(wait) {
                return;
            }
        }
    }

    /// Connects, learns who Asterisk is, and says that it is up.
    fn connect(&self, startup_time: &mut String) -> Result<(Websocket, Arc<Origin>), AriError> {
        let credentials = Credentials::basic(&self.ari.username, self.ari.password.expose());
        let websocket =
            Websocket::connect(&self.ari.websocket_url, &self.ari.application, &credentials)?;
        *self.lock_cutter() = Some(websocket.cutter()?);
        let info = self.rest.info()?;
        let id = identity(&self.ari, info.entity_id)?;
        if *startup_time != info.startup_time {
            if !startup_time.is_empty() {
                // Nothing of what dialogs were bound to is there any more.
                self.dialogs.clear();
                log::info!("Asterisk {id}: was restarted");
            }
            *startup_time = info.startup_time;
        }
        let origin = self.standing.name(&id);
        self.standing.set_up(true);
        Ok((websocket, origin))
    }

    fn read(&self, mut websocket: Websocket) -> End {
        let full = Occasionally::new();
        loop {
            let frame = match websocket.read() {
                Ok(Some(frame)) => frame,
                Ok(None) if self.stopped(Duration::ZERO) => {
                    return End::Broken(AriError::Broken("we are stopping".into()));
                }
                Ok(None) => continue,
                Err(error) => return End::Broken(error),
            };
            let replaced = replaces_application(&frame);
            self.counters.events.add();
            // There is an origin: it is set before reading begins.
            if let Some(origin) = self.standing.origin() {
                let dropped = self.buffer.push(Event {
                    frame,
                    origin,
                    received: Instant::now(),
                });
                for _ in 0..dropped {
                    self.counters.events_dropped_full.add();
                }
                if dropped > 0 && full.now() {
                    log::warn!(
                        "events are dropped, oldest first: more wait for the bus than \
                         events.max_count or events.max_bytes allow ({} so far)",
                        self.counters.events_dropped_full.get()
                    );
                }
            }
            if replaced {
                return End::Replaced;
            }
        }
    }

    /// Tells how reading ended; how long to wait before connecting again.
    fn after(&self, end: End, origin: &Origin, backoff: &mut Backoff) -> Duration {
        let asterisk = &origin.asterisk;
        match end {
            End::Replaced => {
                self.tell(AsteriskChange::Replaced);
                let application = &self.ari.application;
                let pause = self.ari.replaced_pause;
                match self.ari.on_replaced {
                    OnReplaced::Exit => log::error!(
                        "Asterisk {asterisk}: another client took the application {application} \
                         over (ApplicationReplaced); exiting, as ari.on_replaced says"
                    ),
                    OnReplaced::Reconnect => log::error!(
                        "Asterisk {asterisk}: another client took the application {application} \
                         over (ApplicationReplaced); taking it back in {pause:?}: do two proxies \
                         run for it?"
                    ),
                }
                pause
            }
            End::Broken(error) => {
                self.tell(AsteriskChange::Down);
                if !self.stopped(Duration::ZERO) {
                    log::warn!("Asterisk {asterisk}: {error}; connecting again");
                }
                backoff.wait()
            }
        }
    }

    fn tell(&self, change: AsteriskChange) {
        // The conductor outlives ingest.
        let _ = self.tell.send(conductor::Event::Asterisk(change));
    }

    fn stopped(&self, wait: Duration) -> bool {
        self.stop.recv_timeout(wait) != Err(RecvTimeoutError::Timeout)
    }

    fn lock_cutter(&self) -> std::sync::MutexGuard<'_, Option<Cutter>> {
        self.cutter.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The id of an Asterisk that calls itself `entity_id`: what is configured goes first.
pub(super) fn identity(ari: &Ari, entity_id: String) -> Result<String, AriError> {
    if let Some(id) = &ari.asterisk_id {
        return Ok(id.clone());
    }
    if entity_id.is_empty() {
        return Err(AriError::EntityId("Asterisk has no entity id".into()));
    }
    if !publishable(&entity_id) {
        return Err(AriError::EntityId(format!(
            "Asterisk's entity id {entity_id:?} cannot be part of a subject"
        )));
    }
    Ok(entity_id)
}
