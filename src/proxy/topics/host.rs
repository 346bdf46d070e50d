//! The host: the one owner of all dialogs. It hears what happens, and keeps the clock for what must
//! happen in time.

mod arrivals;
mod commands;
mod offers;
#[cfg(test)]
mod tests;

use std::collections::{BTreeSet, HashMap};
use std::hash::RandomState;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError};

use self::commands::UnderWay;
use super::call::Look;
use super::dialog::{Dialog, Stage};
use super::objects::Objects;
use super::parked::Parked;
use super::room::Room;
use super::{Event, Intake, Passed, Settings, Until};
use crate::backoff::Backoff;
use crate::bus::{Link, Topic, Topics};
use crate::occasionally::Occasionally;
use crate::proxy::buffer::{Buffer, Direct};
use crate::proxy::counters::Counters;
use crate::proxy::queue::{Job, Queue, Work};
use crate::proxy::sent::Message;
use crate::proxy::standing::Standing;
use crate::wire::id::random_64;
use crate::wire::topic;

/// How often the topics are looked after.
const ATTEND: Duration = Duration::from_secs(1);
/// How many happenings there are between two such looks.
const ROUND: usize = 256;
/// How often it is looked whether Asterisk still has what belongs to dialogs: events may be lost with
/// their websocket.
const LOOK: Duration = Duration::from_secs(60);
/// How soon that is looked at again when something is missing: its last event may be on its way.
const LOOK_AGAIN: Duration = Duration::from_secs(2);
/// How often they are looked after then.
const OFTEN: Duration = Duration::from_millis(20);
/// How long the topics of dialogs may take to be removed when the proxy ends.
const ENDING: Duration = Duration::from_millis(300);

/// The host of the dialogs of one application.
pub struct Host {
    settings: Settings,
    standing: Arc<Standing>,
    buffer: Arc<Buffer>,
    queue: Arc<Queue>,
    counters: Arc<Counters>,
    intake: Intake,
    events: Receiver<Event>,
    dialogs: HashMap<Arc<str>, Dialog>,
    objects: Objects,
    parked: Parked,
    /// Where events are held, and commands wait.
    held: Room,
    pending: Room,
    /// Commands under way, by number.
    under_way: HashMap<u64, UnderWay>,
    /// What tells commands that come again.
    hasher: RandomState,
    /// When to look at which dialog.
    alarms: BTreeSet<(Instant, Arc<str>)>,
    /// What offers are about.
    offers: HashMap<u64, Arc<str>>,
    /// The number of the last offer or command.
    number: u64,
    link: Option<Arc<dyn Link>>,
    /// The number of the link.
    links: u64,
    topics: Option<Box<dyn Topics>>,
    /// Dialogs that ended while there were none, or whose topics the last did not remove.
    unclosed: Vec<Arc<str>>,
    /// When to ask a link for topics that it did not give.
    ask: Option<Instant>,
    backoff: Backoff,
    looked: Instant,
    look_again: bool,
    finishing: Option<Instant>,
    unclaimed: Occasionally,
    full: Occasionally,
    lossy: Occasionally,
    /// How many lost events are told of.
    told: u64,
}

/// What a host needs of its proxy.
pub struct Parts {
    /// Where it stands.
    pub standing: Arc<Standing>,
    /// Where messages go.
    pub buffer: Arc<Buffer>,
    /// Where commands go.
    pub queue: Arc<Queue>,
    /// What is counted.
    pub counters: Arc<Counters>,
}

impl Host {
    /// Without a dialog; what happens is told to `intake` and comes as `events`.
    pub fn new(settings: Settings, parts: Parts, intake: Intake, events: Receiver<Event>) -> Host {
        let now = Instant::now();
        Host {
            held: Room::new(settings.bytes),
            pending: Room::new(settings.bytes),
            settings,
            standing: parts.standing,
            buffer: parts.buffer,
            queue: parts.queue,
            counters: parts.counters,
            intake,
            events,
            dialogs: HashMap::new(),
            objects: Objects::default(),
            parked: Parked::default(),
            under_way: HashMap::new(),
            hasher: RandomState::new(),
            alarms: BTreeSet::new(),
            offers: HashMap::new(),
            number: 0,
            link: None,
            links: 0,
            topics: None,
            unclosed: Vec::new(),
            ask: None,
            backoff: Backoff::new(),
            looked: now,
            look_again: false,
            finishing: None,
            unclaimed: Occasionally::new(),
            full: Occasionally::new(),
            lossy: Occasionally::new(),
            told: 0,
        }
    }

    /// Runs until told to finish.
    pub fn run(mut self) {
        loop {
            match self.events.recv_timeout(self.patience()) {
                Ok(event) => self.take(event),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
            for _ in 0..ROUND {
                let Ok(event) = self.events.try_recv() else {
                    break;
                };
                self.take(event);
            }
            self.look_at_the_clock();
            if self.finishing.is_some_and(|until| Instant::now() >= until) {
                return;
            }
        }
    }

    fn take(&mut self, event: Event) {
        self.intake.taken(&event);
        match event {
            Event::Arrived(frame) => self.arrived(&frame, true),
            Event::Connected { restarted: true } => self.all_is_gone(),
            Event::Connected { restarted: false } => self.look(),
            Event::Link(link) => self.set_link(link),
            Event::Topics(link, topics) => self.asked(link, topics),
            Event::Heard(link, heard) => self.heard(link, heard),
            Event::Done(done) => self.done(done),
            Event::Living(living) => {
                let any = self.missing(&living);
                self.look_again = any;
            }
            Event::Passed(until) => self.passed(&until),
            Event::Finish => self.finish(),
        }
    }

    /// How long nothing has to be done.
    fn patience(&self) -> Duration {
        let first = self.alarms.first().map(|(when, _)| *when);
        let finishing = self
            .finishing
            .map(|until| until.min(Instant::now() + OFTEN));
        let next = [first, self.ask, finishing].into_iter().flatten().min();
        // Topics that are being removed need looking after too.
        let idle = match self.topics.is_some() || !self.dialogs.is_empty() {
            true => ATTEND,
            false => LOOK,
        };
        next.map_or(idle, |next| {
            next.saturating_duration_since(Instant::now()).min(idle)
        })
    }

    fn look_at_the_clock(&mut self) {
        let now = Instant::now();
        if self.ask.is_some_and(|ask| now >= ask) {
            self.ask_for_topics();
        }
        while let Some((when, _)) = self.alarms.first()
            && *when <= now
            && let Some((_, dialog)) = self.alarms.pop_first()
        {
            self.look_for_late(&dialog);
            self.advance(&dialog);
        }
        let pause = if self.look_again { LOOK_AGAIN } else { LOOK };
        if !self.objects.is_empty() && self.looked.elapsed() >= pause {
            self.look();
        }
        if let Some(topics) = &mut self.topics {
            topics.attend();
        }
        self.tell_losses();
    }

    /// Says that applications miss events, whoever dropped them.
    fn tell_losses(&mut self) {
        let lost = self.counters.topic_events_dropped.get();
        if lost > self.told && self.lossy.now() {
            self.told = lost;
            log::warn!(
                "events of calls are dropped, as the bus or applications do not take them in time \
                 ({lost} so far)"
            );
        }
    }

    /// Has a worker look what there is on Asterisk.
    fn look(&mut self) {
        self.looked = Instant::now();
        if self.objects.is_empty() || !self.standing.is_up() {
            return;
        }
        // Where the workers have no time for it, there is another time.
        let _ = self
            .queue
            .push(Job::new(Work::Look(Look::new(&self.intake))));
    }

    /// What this Asterisk is called in messages.
    fn server(&self) -> String {
        let configured = self.settings.server.clone();
        let asterisk = || Some(self.standing.origin()?.asterisk.clone());
        configured.or_else(asterisk).unwrap_or_default()
    }

    fn next_number(&mut self) -> u64 {
        self.number += 1;
        self.number
    }

    /// Does for a dialog what it is time for.
    fn advance(&mut self, id: &Arc<str>) {
        let now = Instant::now();
        let Some(dialog) = self.dialogs.get_mut(id) else {
            return;
        };
        if dialog.ended.is_some() && matches!(dialog.stage, Stage::New(_) | Stage::Opening) {
            // Nobody has to hear of a call that is over.
            log::info!(
                "the call of channel {} ended before an application came",
                dialog.channel
            );
            return self.give_up(id);
        }
        if dialog.waits() && self.topics.is_none() {
            // Nobody can come. The next topics tell.
            return;
        }
        if dialog.waits() && now >= dialog.deadline {
            let (channel, application) = (&dialog.channel, &self.settings.application);
            if self.unclaimed.now() {
                log::warn!(
                    "no application {application} came within topics.max_wait for the call of channel \
                     {channel}, which stays as it is ({} such calls so far)",
                    self.counters.dialogs_unclaimed.get() + 1
                );
            }
            return self.give_up(id);
        }
        if matches!(dialog.stage, Stage::Greeted(_)) && dialog.held.is_empty() {
            if dialog.ended.is_none() {
                // There is nothing to offer yet.
                return;
            }
            dialog.stage = Stage::Talking;
        }
        let next = match dialog.stage {
            Stage::New(when) | Stage::Greeted(when) if when > now => when.min(dialog.deadline),
            Stage::New(_) | Stage::Greeted(_) => match self.offer(id) {
                Some(next) => next,
                None => return,
            },
            Stage::Offered(_) | Stage::Awaited | Stage::Greeting(_) => dialog.deadline,
            Stage::Talking => match dialog.over() {
                None => return,
                Some(over) if over > now => over,
                Some(_) => {
                    dialog.stage = Stage::Leaving;
                    let until = Until::Leaves(Arc::clone(id));
                    self.tell_when_passed(until);
                    return;
                }
            },
            Stage::Opening | Stage::Doubted | Stage::Leaving => return,
        };
        self.alarms.insert((next, Arc::clone(id)));
    }

    /// A new dialog, for the call on `channel`; none where there are too many.
    fn begin(&mut self, channel: &str) -> Option<Arc<str>> {
        if self.dialogs.len() >= self.settings.most {
            self.counters.dialogs_refused.add();
            if self.full.now() {
                log::warn!(
                    "more calls at once than topics.max allows: no application is told of channel \
                     {channel} ({} such calls so far)",
                    self.counters.dialogs_refused.get()
                );
            }
            return None;
        }
        let random = [random_64(), random_64()];
        let id: Arc<str> = topic::new_dialog(random).into();
        log::debug!("dialog {id}: begins with channel {channel}");
        self.counters.dialogs.add();
        if let Some(topics) = &mut self.topics {
            // Where the link is lost, the next opens it.
            let _ = topics.open(&id);
        }
        let deadline = Instant::now() + self.settings.max_wait;
        self.dialogs
            .insert(Arc::clone(&id), Dialog::new(channel, deadline));
        self.alarms.insert((Instant::now(), Arc::clone(&id)));
        Some(id)
    }

    /// The last event of a dialog came.
    fn end(&mut self, id: &Arc<str>) {
        self.objects.forget(id);
        if let Some(dialog) = self.dialogs.get_mut(id)
            && dialog.ended.is_none()
        {
            log::debug!("dialog {id}: ends");
            dialog.ended = Some(Instant::now());
            self.advance(id);
        }
    }

    /// A dialog ends without an application.
    fn give_up(&mut self, id: &Arc<str>) {
        self.counters.dialogs_unclaimed.add();
        self.drop_dialog(id);
    }

    /// A dialog is no more.
    fn drop_dialog(&mut self, id: &str) {
        let id: Arc<str> = id.into();
        self.objects.forget(&id);
        if self.dialogs.remove(&id).is_none() {
            return;
        }
        match &mut self.topics {
            Some(topics) => topics.close(&id),
            None if self.unclosed.len() < self.settings.most => self.unclosed.push(id),
            None => {}
        }
    }

    fn tell_when_passed(&self, until: Until) {
        let intake = self.intake.clone();
        self.buffer.passed(Passed { until, intake });
    }

    /// What somebody waited for is handed to the bus.
    fn passed(&mut self, until: &Until) {
        match until {
            Until::Leaves(id) => {
                let leaving = |dialog: &Dialog| dialog.stage == Stage::Leaving;
                // On another link it is handed over once more.
                if self.dialogs.get(id).is_some_and(leaving) {
                    self.drop_dialog(id);
                }
            }
            Until::Repeated(link) => self.repeated(*link),
        }
    }

    /// Puts a message for an application into the buffer; one that must not come later than `until` must not
    /// come twice either.
    fn say(&self, subject: &Arc<str>, body: Vec<u8>, until: Option<Instant>) {
        let message = Message {
            topic: Topic::Direct,
            subject: Arc::clone(subject),
            mark: None,
            body: body.into(),
            since: Instant::now(),
        };
        self.buffer.direct(Direct { message, until });
    }

    fn finish(&mut self) {
        self.finishing = Some(Instant::now() + ENDING);
        let ids: Vec<_> = self.dialogs.keys().cloned().collect();
        if !ids.is_empty() {
            log::warn!(
                "{} dialogs end with the proxy; their calls stay as they are",
                ids.len()
            );
        }
        for id in ids {
            self.leave_commands(&id);
            self.drop_dialog(&id);
        }
    }
}
