//! The proxy: one application on one Asterisk, its threads and the channels between them.
//!
//! | file | thread | noun |
//! |---|---|---|
//! | [`conductor`] | the caller's | what happens, and who does what then |
//! | [`ingest`] | `ingest` | the websocket of Asterisk |
//! | [`buffer`] | | events between ingest and publisher |
//! | [`publisher`] | `publisher` | events to the bus |
//! | [`outbox`] | | the link of the publisher, and what comes before the next event |
//! | [`outgoing`] | | an event that is being published |
//! | [`report`] | | what the status subject is told |
//! | [`subscriptions`] | `sub-get`, `sub-data`, `sub-command`, `sub-create`, `sub-ping` | requests from the bus |
//! | [`sent`] | | events that may be lost with their link |
//! | [`queue`] | | requests between subscriptions and workers |
//! | [`workers`] | `worker-0`…, `expiry` | REST calls and answers |
//! | [`answers`] | | how answers leave |
//! | [`announcer`] | `announcer` | announcements |
//! | [`watch`] | `watch` | the Asterisk id |
//! | [`standing`] | | whether and as whom Asterisk is connected |
//! | [`dialogs`] | | which dialogs are bound to what |
//! | [`counters`] | | what is counted |
//! | [`team`] | | threads with names and deadlines |

pub mod announcer;
pub mod answers;
pub mod buffer;
pub mod conductor;
pub mod counters;
pub mod dialogs;
pub mod ingest;
pub mod outbox;
pub mod outgoing;
pub mod publisher;
pub mod queue;
pub mod report;
pub mod sent;
pub mod standing;
pub mod subscriptions;
pub mod team;
pub mod topics;
pub mod watch;
pub mod workers;

use std::io;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use crossbeam_channel::{Sender, bounded, unbounded};

use crate::ari::Credentials;
use crate::ari::rest::{Limits, Rest};
use crate::ari::websocket::Cutter;
use crate::bus::link::LARGEST_MESSAGE;
use crate::bus::{Loss, Outlet, Terms, supervisor};
use crate::config::{Config, StaleCreates};
use crate::occasionally::Occasionally;
use crate::wire::subject::{Class, Subjects};
use answers::Answers;
use conductor::{Conductor, End, Event};
use counters::Counters;
use standing::Standing;
use team::Team;
use topics::{Host, Intake};

/// How long the stages of ending may take, from the beginning of the end: each has time of its own,
/// however long the one before took. A process supervisor gives more than the last.
mod ending {
    use std::time::Duration;

    /// Leaving the bus.
    pub(super) const LEAVE: Duration = Duration::from_millis(1200);
    /// Finishing the requests in hand.
    pub(super) const REQUESTS: Duration = Duration::from_millis(3000);
    /// Telling the bus which requests are answered.
    pub(super) const ANSWERS: Duration = Duration::from_millis(3300);
    /// Leaving Asterisk.
    pub(super) const ASTERISK: Duration = Duration::from_millis(3400);
    /// Leaving the dialogs.
    pub(super) const DIALOGS: Duration = Duration::from_millis(3750);
    /// Publishing the events that wait.
    pub(super) const EVENTS: Duration = Duration::from_millis(3900);
    /// Waiting until the bus has taken everything.
    pub(super) const SETTLE: Duration = Duration::from_millis(4200);
}

/// How many requests more than workers and queue hold a bus may have given out.
const OVERFLOW: usize = 64;

/// A running proxy.
pub struct Proxy {
    conductor: Conductor,
    events: Sender<Event>,
    counters: Arc<Counters>,
    buffer: Arc<buffer::Buffer>,
    held: Arc<AtomicUsize>,
    queue: Arc<queue::Queue>,
    in_hand: Arc<workers::InHand>,
    answers: Answers,
    bus: Team,
    subscriptions: Team,
    workers: Team,
    asterisk: Team,
    hosting: Team,
    topics: Option<Intake>,
    publisher: Team,
    /// Dropped, ingest and watch end.
    stop_asterisk: Sender<()>,
    /// Dropped, the supervisor of the bus ends.
    stop_bus: Sender<()>,
    cutter: Arc<Mutex<Option<Cutter>>>,
}

/// Stops a proxy.
#[derive(Clone)]
pub struct Stopper(Sender<Event>);

impl Stopper {
    /// Has the proxy end as [`Proxy::run`] says.
    pub fn stop(&self) {
        // A proxy that has ended already hears nothing.
        let _ = self.0.send(Event::Stop);
    }
}

impl Proxy {
    /// Starts the threads of a proxy. Asterisk and bus need not be there.
    pub fn start(config: &Config) -> io::Result<Proxy> {
        let (tell, events) = unbounded();
        let (stop_asterisk, asterisk_stopped) = bounded(0);
        let (stop_bus, bus_stopped) = bounded(0);
        let (announce, asked) = bounded(1);
        let (publish, publisher_orders) = unbounded();

        let protocol = config.bus.protocol;
        let subjects = Subjects::new(&config.bus.prefix, &config.ari.application);
        let standing = Arc::new(Standing::new(&config.ari.application, subjects));
        let counters = Arc::new(Counters::default());
        let dialogs = Arc::new(dialogs::Dialogs::new(config.dialogs_max));
        let buffer = Arc::new(buffer::Buffer::new(
            config.events.max_count,
            config.events.max_bytes,
            &counters,
        ));
        // Commands of dialogs may wait for as long as their applications do, where nothing else waits.
        let longest = match protocol.serves_subjects() {
            true => config.workers.max_wait,
            false => config.workers.max_wait.max(topics::ANSWER_BY),
        };
        let queue = queue::Queue::new(config.workers.queue, longest);
        let queue = Arc::new(queue);
        let outlet = Outlet::default();
        let answers = Answers::new(outlet.clone(), &config.bus.prefix, Arc::clone(&counters));
        let cutter = Arc::new(Mutex::new(None));
        let open = Arc::new(AtomicBool::new(false));
        let rest = rest(config);

        // First those that wait for others, bus and Asterisk, at the same time; the rest of the threads
        // is made meanwhile, those last that have nothing to do before the proxy is announced.
        let bus = Team::new(&tell);
        let servers = config.bus.servers.clone();
        let connect = supervisor::links(&terms(config, &counters, &standing));
        let changed = tell.clone();
        bus.spawn("bus-link", move || {
            supervisor::run(&servers, &connect, &bus_stopped, |change| {
                // The conductor outlives the supervisor.
                let _ = changed.send(Event::Bus(change));
            });
        })?;

        let hosting = Team::new(&tell);
        let mut topics = None;
        if protocol.serves_topics() {
            let (host, intake) = host(config, &standing, &buffer, &queue, &counters);
            hosting.spawn("dialogs", move || host.run())?;
            topics = Some(intake);
        }

        let asterisk = Team::new(&tell);
        let reading = ingest::Ingest {
            ari: config.ari.clone(),
            rest: rest.clone(),
            standing: Arc::clone(&standing),
            buffer: Arc::clone(&buffer),
            publishes: protocol.serves_subjects(),
            topics: topics.clone(),
            dialogs: Arc::clone(&dialogs),
            counters: Arc::clone(&counters),
            tell: tell.clone(),
            stop: asterisk_stopped.clone(),
            cutter: Arc::clone(&cutter),
        };
        asterisk.spawn("ingest", move || reading.run())?;

        let publisher = Team::new(&tell);
        let held = Arc::new(AtomicUsize::new(0));
        let publishing = publisher::Publisher {
            buffer: Arc::clone(&buffer),
            dialogs: Arc::clone(&dialogs),
            standing: Arc::clone(&standing),
            counters: Arc::clone(&counters),
            longest: config.events.max_age,
            marked: config.events.headers,
            tells: protocol.serves_subjects(),
            held: Arc::clone(&held),
            orders: publisher_orders,
            tell: tell.clone(),
        };
        publisher.spawn("publisher", move || publishing.run())?;

        let subscriptions = Team::new(&tell);
        let mut listeners = Vec::new();
        let stale =
            (config.bus.stale_creates == StaleCreates::Discard).then_some(config.workers.max_wait);
        for class in Class::ALL
            .into_iter()
            .filter(|_| protocol.serves_subjects())
        {
            let (orders, order) = unbounded();
            let (waker, woken) = bounded(1);
            let listening = subscriptions::Subscriptions {
                class,
                standing: Arc::clone(&standing),
                queue: Arc::clone(&queue),
                answers: answers.clone(),
                counters: Arc::clone(&counters),
                announce: announce.clone(),
                stale: stale.filter(|_| class.group().is_some()),
                orders: order,
                waker: woken,
                tell: tell.clone(),
            };
            subscriptions.spawn(&format!("sub-{class}"), move || listening.run())?;
            listeners.push(conductor::Listener {
                class,
                orders,
                waker,
            });
        }

        let announcing = announcer::Announcer {
            standing: Arc::clone(&standing),
            outlet: outlet.clone(),
            buffer: Arc::clone(&buffer),
            counters: Arc::clone(&counters),
            open: Arc::clone(&open),
            asked,
        };
        if protocol.serves_subjects() {
            // Ends with those who ask it, of whom nobody waits for it.
            Team::new(&tell).spawn("announcer", move || announcing.run())?;
        }

        let workers = Team::new(&tell);
        let in_hand = Arc::new(workers::InHand::default());
        let worker = workers::Worker {
            number: 0,
            in_hand: Arc::clone(&in_hand),
            queue: Arc::clone(&queue),
            rest: rest.clone(),
            standing: Arc::clone(&standing),
            dialogs,
            answers: answers.clone(),
            counters: Arc::clone(&counters),
            full: Arc::new(Occasionally::new()),
        };
        for number in 0..config.workers.count {
            let mut worker = worker.clone();
            worker.number = number;
            workers.spawn(&format!("worker-{number}"), move || worker.run())?;
        }
        workers.spawn("expiry", move || worker.expire())?;

        let watching = watch::Watch {
            ari: config.ari.clone(),
            rest,
            standing: Arc::clone(&standing),
            buffer: Arc::clone(&buffer),
            tell: tell.clone(),
            stop: asterisk_stopped,
        };
        asterisk.spawn("watch", move || watching.run())?;

        Ok(Proxy {
            conductor: Conductor {
                events,
                standing,
                outlet,
                listeners,
                publisher: publisher::Orders {
                    orders: publish,
                    buffer: Arc::clone(&buffer),
                },
                topics: topics.clone(),
                announcer: announce,
                open,
                on_replaced: config.ari.on_replaced,
                counters: Arc::clone(&counters),
                state: conductor::State::default(),
            },
            events: tell,
            counters,
            buffer,
            held,
            queue,
            in_hand,
            answers,
            bus,
            subscriptions,
            workers,
            asterisk,
            hosting,
            topics,
            publisher,
            stop_asterisk,
            stop_bus,
            cutter,
        })
    }

    /// What stops the proxy from another thread.
    pub fn stopper(&self) -> Stopper {
        Stopper(self.events.clone())
    }

    /// The counts of the proxy.
    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    /// Runs until it is time to end, then ends: leaves the groups, finishes the requests in hand,
    /// publishes what waits, all within 5 s.
    pub fn run(self) -> End {
        self.run_then(|| {})
    }

    /// As [`Proxy::run`]. When it is time to end, `ending` is called first.
    pub fn run_then(mut self, ending: impl FnOnce()) -> End {
        let end = self.conductor.run();
        ending();
        let began = Instant::now();
        log::info!("stopping: leaving the bus, finishing requests");
        self.conductor.leave(began + ending::LEAVE);
        self.queue.close();
        if !self.workers.wait(began + ending::REQUESTS) {
            let abandoned = self.in_hand.abandon(&self.answers);
            log::warn!("{abandoned} requests that Asterisk does not answer are left behind");
        }
        self.subscriptions.wait(began + ending::ANSWERS);
        drop(self.stop_asterisk);
        if let Some(cutter) = &*self.cutter.lock().unwrap_or_else(PoisonError::into_inner) {
            cutter.cut();
        }
        self.asterisk.wait(began + ending::ASTERISK);
        if let Some(topics) = &self.topics {
            topics.tell(topics::Event::Finish);
        }
        self.hosting.wait(began + ending::DIALOGS);
        let finish = publisher::Order::Finish(end.reason());
        self.conductor.publisher.give(finish);
        self.publisher.wait(began + ending::EVENTS);
        self.conductor.settle(began + ending::SETTLE);
        drop(self.stop_bus);
        self.bus.wait(began + ending::SETTLE);
        let waiting = self.buffer.receiver().len() + self.held.load(Ordering::Relaxed);
        if waiting > 0 {
            log::warn!("{waiting} events or statuses are lost: there was no bus to take them");
        }
        log::info!("stopped; {}", self.counters);
        end
    }
}

/// The host of dialogs, and where it is told what happens.
fn host(
    config: &Config,
    standing: &Arc<Standing>,
    buffer: &Arc<buffer::Buffer>,
    queue: &Arc<queue::Queue>,
    counters: &Arc<Counters>,
) -> (Host, Intake) {
    let (tell, happenings) = unbounded();
    let intake = Intake::new(tell, config.events.max_count, counters);
    let settings = topics::Settings {
        application: config.ari.application.clone(),
        server: config.topics.server_id.clone(),
        group: config.topics.queue.clone(),
        max_wait: config.topics.max_wait,
        most: config.topics.most,
        held: config.topics.held,
        bytes: config.events.max_bytes,
    };
    let parts = topics::Parts {
        standing: Arc::clone(standing),
        buffer: Arc::clone(buffer),
        queue: Arc::clone(queue),
        counters: Arc::clone(counters),
    };
    let host = Host::new(settings, parts, intake.clone(), happenings);
    (host, intake)
}

/// The window is what workers and queue hold, and some more, so that what is too much is told so.
fn terms(config: &Config, counters: &Arc<Counters>, standing: &Arc<Standing>) -> Terms {
    let window = config.workers.count + config.workers.queue + OVERFLOW;
    let counters = Arc::clone(counters);
    let standing = Arc::clone(standing);
    Terms {
        name: format!("ari-proxy {}", config.ari.application),
        window: u16::try_from(window).unwrap_or(u16::MAX),
        losses: Arc::new(move |loss| match loss {
            Loss::Event => {
                counters.events_refused.add();
                if let Some(origin) = standing.origin() {
                    origin.losses.refused.add();
                }
            }
            Loss::Dialog => counters.dialog_events_lost.add(),
            Loss::Answer => counters.answers_lost.add(),
            Loss::Request => counters.requests_dropped.add(),
        }),
        largest: Arc::new(AtomicUsize::new(LARGEST_MESSAGE)),
    }
}

fn rest(config: &Config) -> Rest {
    let limits = Limits {
        connect: config.http.connect_timeout,
        response: config.http.response_timeout,
    };
    let credentials = Credentials::basic(&config.ari.username, config.ari.password.expose());
    Rest::new(&config.ari.http_url, credentials, limits)
}
