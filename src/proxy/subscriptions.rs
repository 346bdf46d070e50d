//! Bus subscriptions, a thread per class: takes requests in, refuses what cannot be served at
//! once, and hands the rest to the workers.

use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, TryRecvError};

use super::answers::Answers;
use super::conductor::Event;
use super::counters::Counters;
use super::queue::{Job, Queue};
use super::standing::Standing;
use crate::bus::{Delivery, Inbox, Link, Next};
use crate::wire::subject::Class;

/// What a client is told while Asterisk is not connected; the Go program's words.
pub const DOWN: &str = "ARI connection is down";
/// What a client is told when too many requests wait.
pub const OVERLOADED: &str = "proxy is overloaded";

/// How long the server may take to end the subscriptions that are left at the end.
const FINISHING: Duration = Duration::from_secs(1);
/// Longest request taken, in bytes. Asterisk takes bodies of 40 960 (asterisk-facts.md); so bounded,
/// a full queue is bounded in memory too.
const LARGEST: usize = 64 * 1024;

/// What the conductor tells a subscription thread.
pub enum Order {
    /// Listen to the subjects, on this link if one is given. The number is told back when it is
    /// done.
    Listen(u64, Option<Arc<dyn Link>>, Vec<String>),
    /// Leave, hand over what has come, and end.
    Finish,
}

/// The subscriptions of one class.
pub struct Subscriptions {
    /// The class.
    pub class: Class,
    /// Where the proxy stands.
    pub standing: Arc<Standing>,
    /// Where requests wait for workers.
    pub queue: Arc<Queue>,
    /// How answers leave.
    pub answers: Answers,
    /// What is counted.
    pub counters: Arc<Counters>,
    /// Asks for an announcement.
    pub announce: Sender<()>,
    /// What to do.
    pub orders: Receiver<Order>,
    /// Says that there is an order.
    pub waker: Receiver<()>,
    /// Who hears that an order is carried out.
    pub tell: Sender<Event>,
}

impl Subscriptions {
    /// Runs until told to finish.
    pub fn run(self) {
        let mut inbox: Option<Box<dyn Inbox>> = None;
        loop {
            match self.orders.try_recv() {
                Ok(Order::Listen(number, link, subjects)) => {
                    self.listen(&mut inbox, link, &subjects);
                    let _ = self.tell.send(Event::Listening(self.class, number));
                    continue;
                }
                Ok(Order::Finish) | Err(TryRecvError::Disconnected) => {
                    self.listen(&mut inbox, None, &[]);
                    if let Some(inbox) = &mut inbox {
                        self.finish(&mut **inbox);
                    }
                    return;
                }
                Err(TryRecvError::Empty) => {}
            }
            let next = match &mut inbox {
                Some(inbox) => inbox.next(&self.waker),
                None => {
                    // Disconnected, it is the orders that say so next.
                    let _ = self.waker.recv();
                    Next::Woken
                }
            };
            match next {
                Next::Delivery(delivery) => self.take(delivery),
                Next::Woken => {}
                Next::Lost => inbox = None,
            }
        }
    }

    fn listen(
        &self,
        inbox: &mut Option<Box<dyn Inbox>>,
        link: Option<Arc<dyn Link>>,
        subjects: &[String],
    ) {
        if let Some(link) = link {
            *inbox = link.inbox().ok();
        }
        let listening = inbox
            .as_mut()
            .map(|inbox| inbox.listen(subjects, self.class.group()));
        // A link that is lost meanwhile is replaced, and the order comes again.
        if let Some(Err(error)) = listening {
            log::debug!("{} is not subscribed: {error}", self.class);
            *inbox = None;
        }
    }

    /// Hands over what still comes on subjects that were left.
    fn finish(&self, inbox: &mut dyn Inbox) {
        let deadline = Instant::now() + FINISHING;
        loop {
            while let Some(delivery) = inbox.try_next() {
                self.take(delivery);
            }
            if !inbox.is_leaving() || Instant::now() > deadline {
                return;
            }
            thread::sleep(Duration::from_millis(1));
        }
    }

    fn take(&self, delivery: Delivery) {
        if self.class == Class::Ping {
            // A request for an announcement that still waits does for this ping too.
            let _ = self.announce.try_send(());
            return;
        }
        self.counters.requests.add();
        if !self.standing.is_up() {
            self.counters.requests_down.add();
            self.answers.error(delivery.reply.as_deref(), DOWN);
            return;
        }
        if delivery.body.len() > LARGEST {
            self.counters.requests_failed.add();
            let text = format!("bad request: larger than {LARGEST} bytes");
            self.answers.error(delivery.reply.as_deref(), &text);
            return;
        }
        let job = Job {
            class: self.class,
            body: delivery.body,
            reply: delivery.reply,
            received: delivery.received,
        };
        if let Err(job) = self.queue.push(job) {
            self.counters.requests_overloaded.add();
            self.answers.error(job.reply.as_deref(), OVERLOADED);
        }
    }
}
