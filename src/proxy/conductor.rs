//! The conductor: the one owner of what the proxy does next. Every thread tells it what happened,
//! as an [`Event`]; it alone gives orders.
//!
//! On a new link: every class is subscribed, then what waited is published, then the proxy is
//! announced. While Asterisk is away the create group is left, so that others of the group get its
//! requests; everything else is answered with an error.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, bounded};

use super::standing::Standing;
use super::topics::{self, Intake};
use super::{publisher, subscriptions};
use crate::bus::supervisor::Change;
use crate::bus::{Link, Outlet};
use crate::config::OnReplaced;
use crate::wire::subject::Class;

/// What can happen to a proxy.
pub enum Event {
    /// The bus came or went.
    Bus(Change<dyn Link>),
    /// Asterisk came, went, or is someone else.
    Asterisk(AsteriskChange),
    /// A class listens as the order of this number says.
    Listening(Class, u64),
    /// The bus does not let a class listen as the order of this number says. It tries again.
    Refused(Class, u64),
    /// On the link of this number, all that waited is published.
    BacklogSent(u64),
    /// A thread panicked.
    Panicked(String),
    /// It is time to end.
    Stop,
}

/// What can happen to Asterisk. Where it stands then is in [`Standing`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AsteriskChange {
    /// It is connected, or goes by a new id.
    Up,
    /// It is no longer connected.
    Down,
    /// Another client took the application over.
    Replaced,
}

/// How conducting ended, from the best to the worst.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum End {
    /// As asked.
    Stopped,
    /// The application was taken over, and the configuration says to exit then.
    Replaced,
    /// The bus cannot be connected to from this process any more.
    Stuck,
    /// A thread panicked.
    Fault,
}

impl End {
    /// What the status subject is told of it.
    pub fn reason(self) -> &'static str {
        match self {
            End::Stopped => "the proxy is stopped",
            End::Replaced => "another client took the application over",
            End::Stuck => "the bus cannot be connected to from this process any more",
            End::Fault => "a fault of the proxy",
        }
    }
}

/// A subscription thread, as the conductor sees it.
pub struct Listener {
    /// Its class.
    pub class: Class,
    /// Its orders.
    pub orders: Sender<subscriptions::Order>,
    /// Says that there is an order.
    pub waker: Sender<()>,
}

impl Listener {
    fn order(&self, order: subscriptions::Order) {
        // The thread outlives the conductor, or the conductor hears of its panic.
        let _ = self.orders.send(order);
        let _ = self.waker.try_send(());
    }
}

/// The conductor of one proxy.
pub struct Conductor {
    /// What happens.
    pub events: Receiver<Event>,
    /// Where the proxy stands.
    pub standing: Arc<Standing>,
    /// The link for whoever publishes.
    pub outlet: Outlet,
    /// The subscription threads.
    pub listeners: Vec<Listener>,
    /// Orders of the publisher.
    pub publisher: publisher::Orders,
    /// Where dialogs are told of links, if there are any.
    pub topics: Option<Intake>,
    /// Asks the announcer.
    pub announcer: Sender<()>,
    /// Lets the announcer announce.
    pub open: Arc<AtomicBool>,
    /// What to do when the application is taken over.
    pub on_replaced: OnReplaced,
    /// Counts links.
    pub counters: Arc<super::counters::Counters>,
    /// What it knows itself.
    pub state: State,
}

/// What only the conductor knows.
#[derive(Default)]
pub struct State {
    link: Option<Arc<dyn Link>>,
    /// The number of the last order to listen.
    order: u64,
    /// The number of the order at which the publisher got the link.
    released: u64,
    /// Whether what waited for the link is published.
    backlog_sent: bool,
    /// Whether every class listens as it does while Asterisk is connected.
    serves: bool,
    /// Whether it will when the last order is carried out.
    serves_then: bool,
    /// Classes that have not carried it out yet.
    awaited: Vec<Class>,
    /// Classes that the bus does not let carry it out.
    refused: Vec<Class>,
    /// When the last link was lost.
    lost: Option<Instant>,
    /// What to do when they have.
    then: Option<Then>,
}

/// What follows when all classes listen.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Then {
    /// The link is new: let the publisher have it, and announce when it has sent what waited.
    Release,
    /// Only the subjects changed: announce.
    Announce,
}

impl Conductor {
    /// Runs until it is time to end.
    pub fn run(&mut self) -> End {
        while let Ok(event) = self.events.recv() {
            match event {
                Event::Bus(Change::Up(link)) => {
                    self.counters.bus_connections.add();
                    self.state.link = Some(Arc::clone(&link));
                    // Before the first request can come on it.
                    self.outlet.set(Some(Arc::clone(&link)));
                    self.tell_topics(Some(&link));
                    self.listen(Some(link), Then::Release);
                }
                Event::Bus(Change::Down) => {
                    self.state.link = None;
                    self.state.then = None;
                    self.state.released = 0;
                    self.state.backlog_sent = false;
                    // One that is lost before it was of use does not begin the time anew.
                    self.state.lost.get_or_insert_with(Instant::now);
                    self.announce(false);
                    self.outlet.set(None);
                    self.tell_topics(None);
                }
                // The supervisor says so, and goes on.
                Event::Bus(Change::Failed(_)) => {}
                Event::Bus(Change::Stuck) => return End::Stuck,
                Event::Asterisk(AsteriskChange::Replaced)
                    if self.on_replaced == OnReplaced::Exit =>
                {
                    return End::Replaced;
                }
                Event::Asterisk(_) => self.listen(None, Then::Announce),
                Event::Listening(class, order) => self.listening(class, order, true),
                Event::Refused(class, order) => self.listening(class, order, false),
                // A link that came after that one has its own turn.
                Event::BacklogSent(order) if order == self.state.released => {
                    self.state.backlog_sent = true;
                    self.announce(self.state.serves);
                }
                Event::BacklogSent(_) => {}
                Event::Panicked(thread) => {
                    log::error!("the thread {thread} ended by a fault of ours; exiting");
                    return End::Fault;
                }
                Event::Stop => return End::Stopped,
            }
        }
        End::Stopped
    }

    /// Has every class listen to what it should now.
    fn listen(&mut self, link: Option<Arc<dyn Link>>, then: Then) {
        if self.state.link.is_none() {
            return;
        }
        self.state.order += 1;
        let origin = self.standing.origin();
        let asterisk = origin.as_ref().map(|origin| origin.asterisk.as_str());
        let up = self.standing.is_up();
        self.state.serves_then = up;
        if !up {
            self.state.serves = false;
            self.announce(false);
        }
        self.state.awaited.clear();
        self.state.refused.clear();
        for listener in &self.listeners {
            let subjects = if listener.class == Class::Create && !up {
                Vec::new()
            } else {
                self.standing.subjects().listen(listener.class, asterisk)
            };
            self.state.awaited.push(listener.class);
            listener.order(subscriptions::Order::Listen(
                self.state.order,
                link.clone(),
                subjects,
            ));
        }
        // A release that has not come to pass yet must not be lost to a change of subjects.
        if self.state.then != Some(Then::Release) {
            self.state.then = Some(then);
        }
        if self.state.awaited.is_empty() {
            // Where there are no classes.
            self.all_heard();
        }
    }

    fn tell_topics(&self, link: Option<&Arc<dyn Link>>) {
        if let Some(topics) = &self.topics {
            topics.tell(topics::Event::Link(link.map(Arc::clone)));
        }
    }

    /// A class has carried out an order, or the bus does not let it for now. What the bus refuses of one
    /// class must not keep the others, or events, from it; but the proxy is not announced.
    fn listening(&mut self, class: Class, order: u64, listens: bool) {
        if order != self.state.order {
            return;
        }
        let state = &mut self.state;
        state.awaited.retain(|awaited| *awaited != class);
        state.refused.retain(|refused| *refused != class);
        if !listens {
            state.refused.push(class);
        }
        if state.awaited.is_empty() {
            self.all_heard();
        }
    }

    /// Every class has carried the last order out, or is refused.
    fn all_heard(&mut self) {
        let state = &mut self.state;
        let served = state.serves;
        state.serves = state.serves_then && state.refused.is_empty();
        match self.state.then.take() {
            Some(Then::Release) => {
                if let Some(link) = &self.state.link {
                    self.state.released = self.state.order;
                    let lost = self.state.lost.take();
                    let away = lost.map_or(Duration::ZERO, |lost| lost.elapsed());
                    let order = publisher::Order::Link(self.state.order, Arc::clone(link), away);
                    self.publisher.give(order);
                }
            }
            None if served == self.state.serves => {}
            Some(Then::Announce) | None => {
                self.announce(self.state.serves && self.state.backlog_sent);
            }
        }
    }

    /// Has the proxy announced, now and when it is asked, or not at all: only once every class
    /// listens as it does while Asterisk is connected, and what waited for the bus is sent.
    fn announce(&self, open: bool) {
        self.open.store(open, Ordering::Release);
        if open {
            // One that waits already does for this one too.
            let _ = self.announcer.try_send(());
        }
    }

    /// Has every class leave and hand over what has come; waits for that, but not beyond
    /// `deadline`.
    pub fn leave(&self, deadline: Instant) {
        let (given, all_given) = bounded(0);
        for listener in &self.listeners {
            listener.order(subscriptions::Order::Finish(given.clone()));
        }
        drop(given);
        // Nobody sends: it is disconnected when the last has let go, or the time is up.
        let _ = all_given.recv_deadline(deadline);
    }

    /// Waits until the bus has taken everything, but not beyond `deadline`.
    pub fn settle(&self, deadline: Instant) {
        if let Some(link) = &self.state.link {
            let left = deadline.saturating_duration_since(Instant::now());
            if !link.settle(left.max(Duration::from_millis(1))) {
                log::warn!("the bus did not take everything in time");
            }
        }
    }
}
