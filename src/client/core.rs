//! What a connection and its thread share: the link of the moment, who waits for it, what is subscribed
//! to, what is asked.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde::Deserialize;

use super::Error;
use super::cluster::Cluster;
use super::questions::{Questions, Said};
use super::router::{Due, Router};
use super::settings::Settings;
use crate::bus::access::Heard;
use crate::bus::supervisor::Change;
use crate::bus::{Access, BusError, Interest};

/// The subscription to what proxies say of themselves; the router's numbers begin after it.
const STATUSES: u64 = 0;

/// How often what is wanted may change before a link is used on which not all is subscribed to yet.
const ROUNDS: usize = 8;

/// How long proxies may take to announce themselves when they are asked to.
const GRACE: Duration = Duration::from_millis(500);

/// What all clients of a connection share.
pub(super) struct Core {
    pub(super) settings: Settings,
    pub(super) questions: Questions,
    pub(super) router: Router,
    pub(super) cluster: Cluster,
    link: Mutex<Link>,
    /// The link has changed.
    changed: Condvar,
}

/// How the link stands.
#[derive(Default)]
struct Link {
    access: Option<Arc<dyn Access>>,
    /// The number of the last one.
    number: u64,
    /// Since when there is none after the first.
    lost: Option<Instant>,
    failure: Option<BusError>,
    /// Nothing will change any more.
    over: bool,
}

#[derive(Deserialize)]
struct Status<'a> {
    #[serde(borrow, default)]
    asterisk: std::borrow::Cow<'a, str>,
    #[serde(borrow, default)]
    application: std::borrow::Cow<'a, str>,
    #[serde(borrow, default)]
    state: std::borrow::Cow<'a, str>,
}

impl Core {
    pub(super) fn new(settings: Settings) -> Core {
        Core {
            cluster: Cluster::new(settings.cluster_age, settings.timeout.min(GRACE)),
            settings,
            questions: Questions::default(),
            router: Router::default(),
            link: Mutex::default(),
            changed: Condvar::new(),
        }
    }

    fn link(&self) -> MutexGuard<'_, Link> {
        self.link.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The link, and its number; waits for one, at most until `deadline`.
    pub(super) fn access(&self, deadline: Instant) -> Result<(Arc<dyn Access>, u64), Error> {
        let mut link = self.link();
        loop {
            if link.over {
                return Err(link.failure.clone().map_or(Error::Closed, Error::Bus));
            }
            if let Some(access) = &link.access {
                return Ok((Arc::clone(access), link.number));
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                let failure = link.failure.clone();
                return Err(Error::Bus(failure.unwrap_or(BusError::Lost)));
            }
            let woken = self.changed.wait_timeout(link, left);
            link = woken.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// The link, if there is one.
    pub(super) fn access_now(&self) -> Option<(Arc<dyn Access>, u64)> {
        let link = self.link();
        let access = link.access.as_ref()?;
        Some((Arc::clone(access), link.number))
    }

    /// Waits for the first link. A server that refuses us will go on doing so; it is not waited for.
    pub(super) fn wait_for_the_first(&self, limit: Duration) -> Result<(), Error> {
        let deadline = Instant::now() + limit;
        let mut link = self.link();
        loop {
            if link.access.is_some() {
                return Ok(());
            }
            let left = deadline.saturating_duration_since(Instant::now());
            let refused = matches!(
                link.failure,
                Some(BusError::Refused { .. } | BusError::Denied { .. })
            );
            if left.is_zero() || refused || link.over {
                let failure = link.failure.clone();
                let hangs = || BusError::Unreachable("it takes too long".to_owned());
                return Err(Error::Bus(failure.unwrap_or_else(hangs)));
            }
            let woken = self.changed.wait_timeout(link, left);
            link = woken.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// The link has changed; on the thread of its supervisor.
    pub(super) fn change(&self, change: Change<dyn Access>) {
        match change {
            Change::Up(access) => {
                if let Err(error) = self.begin(&access) {
                    // It is lost, and replaced.
                    self.link().failure = Some(error);
                }
            }
            Change::Failed(error) => self.link().failure = Some(error),
            Change::Down => {
                let mut link = self.link();
                if link.access.take().is_some() {
                    link.lost = Some(Instant::now());
                }
                drop(link);
                self.questions.lost();
            }
            Change::Stuck => {
                let mut link = self.link();
                link.failure = Some(BusError::TooManyHang);
                link.over = true;
            }
        }
        self.changed.notify_all();
    }

    /// Nothing follows.
    pub(super) fn end(&self) {
        let mut link = self.link();
        // Unless it is known why.
        if !link.over {
            link.over = true;
            link.failure = None;
        }
        link.access = None;
        drop(link);
        self.router.end();
        self.questions.lost();
        self.changed.notify_all();
    }

    /// Has all that is wanted be subscribed to on `access`, then everybody may use it.
    fn begin(&self, access: &Arc<dyn Access>) -> Result<(), BusError> {
        let prefix = &self.settings.prefix;
        // Who may not hear these can still ask and hear events.
        let tolerate = |done: Result<(), BusError>| match done {
            Err(error) if access.is_lost() => Err(error),
            Err(error) => {
                log::warn!("bus: {error}");
                Ok(())
            }
            Ok(()) => Ok(()),
        };
        tolerate(access.attend(&format!("{prefix}announce")))?;
        let statuses = Interest {
            subject: format!("{prefix}status"),
            below: true,
            group: None,
        };
        tolerate(access.subscribe(STATUSES, &statuses))?;
        let (number, lost) = {
            let link = self.link();
            (link.number + 1, link.lost)
        };
        let catch_up = || -> Result<u64, BusError> {
            let (due, changes) = self.router.all_due(number);
            for due in due {
                // Who is refused is told; the others go on.
                tolerate(self.subscribe(&**access, number, &due))?;
                // Not before: who hears of it and asks how things are misses nothing from then on.
                if let Some(lost) = lost {
                    let away = lost.elapsed().as_millis();
                    let reason = format!("the link to the bus was lost for {away} ms");
                    self.router.gap(due.number, None, &reason);
                }
            }
            for number in self.router.left() {
                access.unsubscribe(number);
            }
            Ok(changes)
        };
        let mut rounds = 0;
        loop {
            let changes = catch_up()?;
            rounds += 1;
            let mut link = self.link();
            // What changed meanwhile is seen to by nobody else.
            if self.router.changes() != changes && rounds < ROUNDS {
                continue;
            }
            self.cluster.begin(Instant::now());
            link.access = Some(Arc::clone(access));
            link.number = number;
            link.failure = None;
            link.lost = None;
            break;
        }
        self.changed.notify_all();
        tolerate(access.ping(&format!("{prefix}ping")))?;
        // What changed in the last round.
        catch_up().map(drop)
    }

    /// Has the bus know of what nobody wants any more. Where there is no link, who begins the next one
    /// sees to it.
    pub(super) fn leave(&self) {
        let link = self.link();
        let Some(access) = link.access.clone() else {
            return;
        };
        // Taken while the link is that of the moment: on one before it would be for nothing.
        let left = self.router.left();
        drop(link);
        for number in left {
            access.unsubscribe(number);
        }
    }

    /// Subscribes to what is `due` on the link of `number`.
    pub(super) fn subscribe(
        &self,
        access: &dyn Access,
        number: u64,
        due: &Due,
    ) -> Result<(), BusError> {
        let subscribed = access.subscribe(due.number, &due.interest);
        // One that is lost has not refused.
        let refusal = subscribed.clone().err().filter(|_| !access.is_lost());
        if let Some(refusal) = &refusal {
            let reason = refusal.to_string();
            self.router.gap(due.number, None, &reason);
        }
        if !self.router.done(due.number, number, refusal) {
            // Who wanted it went meanwhile.
            access.unsubscribe(due.number);
        }
        subscribed
    }

    /// Asks all proxies to announce themselves if there is reason to.
    pub(super) fn doubt(&self) {
        if self.cluster.doubt(Instant::now())
            && let Some((access, _)) = self.access_now()
        {
            // If it fails, the link is about to be replaced, and they are asked then.
            let _ = access.ping(&format!("{}ping", self.settings.prefix));
        }
    }

    /// Something is heard; on a thread of the bus.
    pub(super) fn hear(&self, heard: Heard<'_>) {
        match heard {
            Heard::Answer { question, body } => {
                self.questions.say(question, Said::Answer(body.to_vec()));
            }
            Heard::Nobody(question) => self.questions.say(question, Said::Nobody),
            Heard::Event {
                subscription: STATUSES,
                body,
                ..
            } => self.status(body),
            Heard::Event {
                subscription,
                body,
                claim,
            } => self.router.event(subscription, body, claim),
            Heard::Announcement(body) => self.cluster.announced(body, Instant::now()),
            Heard::Dropped(subscription) => {
                self.router.gap(subscription, Some(1), "it was too large");
            }
            Heard::Refused { subscription, why } => self.router.gap(subscription, None, &why),
        }
    }

    fn status(&self, body: &[u8]) {
        let Ok(status) = serde_json::from_slice::<Status<'_>>(body) else {
            return;
        };
        if status.state == "stopping" {
            self.cluster.left(&status.asterisk, &status.application);
        }
        self.router
            .status(&status.asterisk, &status.application, body);
    }
}
