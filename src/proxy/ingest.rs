//! Websocket ingest: connects to Asterisk, reads frames into the buffer, connects again. It never
//! waits for the bus.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender};

use super::buffer::{Buffer, Event, Pace};
use super::conductor::{self, AsteriskChange};
use super::counters::Counters;
use super::dialogs::Dialogs;
use super::standing::{Change, Origin, Standing};
use super::topics::{self, Intake};
use crate::ari::AriError;
use crate::ari::rest::Rest;
use crate::ari::websocket::{Cutter, Frame, Websocket};
use crate::backoff::Backoff;
use crate::config::{Ari, OnReplaced};
use crate::occasionally::Occasionally;
use crate::wire::event::replaces_application;
use crate::wire::status::{Members, State};
use crate::wire::subject::publishable;

/// The ingest of one proxy.
pub struct Ingest {
    /// Where Asterisk is and how to get in.
    pub ari: Ari,
    /// To ask Asterisk who it is.
    pub rest: Rest,
    /// Where the proxy stands.
    pub standing: Arc<Standing>,
    /// Where changes go, and frames that are published on the event subject.
    pub buffer: Arc<Buffer>,
    /// Whether they are.
    pub publishes: bool,
    /// Where frames go that are for dialogs, if there are any.
    pub topics: Option<Intake>,
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

impl Ingest {
    /// Runs until `stop` is disconnected.
    pub fn run(self) {
        let mut backoff = Backoff::new();
        let mut last_error = String::new();
        let mut startup_time = String::new();
        // Whether it is to be told that Asterisk is not connected.
        let mut untold = false;
        if let Some(id) = &self.ari.asterisk_id {
            // What has a name can be said to be down.
            self.standing.name(id);
            untold = true;
        }
        while !self.stopped(Duration::ZERO) {
            let wait = match self.connect(&mut startup_time) {
                Ok((websocket, origin)) => {
                    last_error.clear();
                    untold = false;
                    backoff.reset();
                    self.counters.asterisk_connections.add();
                    self.tell(AsteriskChange::Up);
                    log::info!(
                        "Asterisk {}: connected for application {}",
                        origin.asterisk,
                        self.ari.application
                    );
                    let (error, replaced) = self.read(websocket, &origin);
                    self.standing.set_up(false);
                    *self.lock_cutter() = None;
                    self.tell(AsteriskChange::Down);
                    match error {
                        _ if self.stopped(Duration::ZERO) => {}
                        Some(error) => {
                            log::warn!("Asterisk {}: {error}; connecting again", origin.asterisk);
                            self.change(State::Down, &error.to_string());
                        }
                        None => log::info!(
                            "Asterisk {}: taking the application {} back",
                            origin.asterisk,
                            self.ari.application
                        ),
                    }
                    match replaced {
                        // What is left of the pause: two proxies must not take the application
                        // from each other in a loop.
                        Some(until) => {
                            untold = true;
                            until.saturating_duration_since(Instant::now())
                        }
                        None => backoff.wait(),
                    }
                }
                Err(error) => {
                    // It holds the socket open.
                    *self.lock_cutter() = None;
                    let error = error.to_string();
                    if std::mem::take(&mut untold) {
                        self.change(State::Down, &error);
                    }
                    // One line per change of what is wrong, not one per attempt.
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
        let websocket = Websocket::connect(&self.ari)?;
        *self.lock_cutter() = Some(websocket.cutter()?);
        if self.stopped(Duration::ZERO) {
            // Who stopped it may have found nothing to cut.
            websocket.cutter()?.cut();
        }
        let info = self.rest.info()?;
        let id = identity(&self.ari, info.entity_id)?;
        let mut reason = match startup_time.is_empty() {
            true => "the proxy was started",
            false => "Asterisk is connected again",
        };
        let mut restarted = false;
        if *startup_time != info.startup_time {
            if !startup_time.is_empty() {
                restarted = true;
                // Nothing of what dialogs were bound to is there any more.
                self.dialogs.clear();
                reason = "Asterisk was restarted";
                log::info!("Asterisk {id}: was restarted");
            }
            *startup_time = info.startup_time;
        }
        let origin = self.standing.name(&id);
        let mut up = Change::new(State::Up, &origin, reason);
        if self.ari.snapshot {
            up.members = self.members(&id);
        }
        // In this order: who hears of it is served.
        self.standing.set_up(true);
        self.buffer.change(up);
        if let Some(topics) = &self.topics {
            topics.tell(topics::Event::Connected { restarted });
        }
        Ok((websocket, origin))
    }

    /// What is in the application. The websocket is open already: what changes after Asterisk has
    /// answered comes as an event.
    fn members(&self, id: &str) -> Option<Members> {
        let members = self.rest.members(&self.ari.application);
        members
            .inspect_err(|error| {
                log::warn!("Asterisk {id} does not say what is in the application: {error}");
            })
            .ok()
    }

    /// Reads until the websocket ends; why it did, if it was not us, and until when the application is left to
    /// another client that took it over.
    ///
    /// A websocket whose application was taken over stays open (asterisk-facts.md), and what still
    /// comes on it is passed on, until it is time to take the application back.
    fn read(
        &self,
        mut websocket: Websocket,
        origin: &Origin,
    ) -> (Option<AriError>, Option<Instant>) {
        let full = Occasionally::new();
        let mut pace = Pace::default();
        let mut replaced = None;
        websocket.begin();
        loop {
            match websocket.read() {
                Ok(Some(frame)) => {
                    let replaces = replaces_application(&frame, &self.ari.application);
                    self.take(frame, websocket.heard(), &mut pace, &full);
                    if replaces {
                        replaced = Some(Instant::now() + self.ari.replaced_pause);
                        self.replaced(origin);
                        // From now on there is an end to look out for.
                        if let Err(error) = websocket.look_every(self.ari.replaced_pause) {
                            return (Some(error), replaced);
                        }
                    }
                }
                Ok(None) if self.stopped(Duration::ZERO) => {
                    return (None, replaced);
                }
                Ok(None) => {}
                Err(error) => return (Some(error), replaced),
            }
            if replaced.is_some_and(|until| Instant::now() >= until) {
                return (None, replaced);
            }
        }
    }

    /// Puts a frame into the buffer.
    fn take(&self, frame: Frame, received: Instant, pace: &mut Pace, full: &Occasionally) {
        self.counters.events.add();
        if let Some(topics) = &self.topics {
            topics.arrived(frame.clone());
        }
        if !self.publishes {
            return;
        }
        // There is an origin: it is set before reading begins.
        let Some(origin) = self.standing.origin() else {
            return;
        };
        let event = Event {
            frame,
            origin,
            received,
        };
        if self.buffer.push(event, pace) && full.now() {
            log::warn!(
                "events are dropped, oldest first: more wait for the bus than events.max_count or \
                 events.max_bytes allow ({} so far)",
                self.counters.events_dropped_full.get()
            );
        }
    }

    /// The application was taken over: as good as down, and said as what it is.
    fn replaced(&self, origin: &Origin) {
        self.standing.set_up(false);
        self.change(
            State::Replaced,
            "another client took the application over (ApplicationReplaced)",
        );
        self.tell(AsteriskChange::Replaced);
        let then = match self.ari.on_replaced {
            OnReplaced::Exit => "exiting, as ari.on_replaced says".to_owned(),
            OnReplaced::Reconnect => {
                format!("taking it back in {:?}", self.ari.replaced_pause)
            }
        };
        log::error!(
            "Asterisk {}: another client took the application {} over (ApplicationReplaced), do \
             two proxies run for it? {then}",
            origin.asterisk,
            self.ari.application
        );
    }

    /// Has the status told, with the id of the moment: it may be another than when the websocket was
    /// opened.
    fn change(&self, state: State, reason: &str) {
        if let Some(origin) = self.standing.origin() {
            self.buffer.change(Change::new(state, &origin, reason));
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
