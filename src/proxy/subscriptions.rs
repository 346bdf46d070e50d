//! Bus subscriptions, a thread per class: takes requests in, refuses what cannot be served at
//! once, and hands the rest to the workers.

use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, TryRecvError};

use super::answers::Answers;
use super::conductor::Event;
use super::counters::Counters;
use super::queue::{Job, Queue, Work};
use super::standing::Standing;
use crate::backoff::Backoff;
use crate::bus::link::LARGEST_REQUEST;
use crate::bus::{BusError, Delivery, Inbox, Link, Next, Topic, Waiting};
use crate::wire::subject::Class;

/// What a client is told while Asterisk is not connected; the Go program's words.
pub const DOWN: &str = "ARI connection is down";
/// What a client is told when too many requests wait.
pub const OVERLOADED: &str = "proxy is overloaded";

/// How long the server may take to end the subscriptions that are left at the end.
const FINISHING: Duration = Duration::from_secs(1);

/// What the conductor tells a subscription thread.
pub enum Order {
    /// Listen to the subjects, on this link if one is given. The number is told back when it is
    /// done.
    Listen(u64, Option<Arc<dyn Link>>, Vec<String>),
    /// Leave, hand over what has come, let go of what is given, wait until it is answered, and end.
    Finish(Sender<()>),
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
    /// Requests that waited for this long without a proxy are dropped, if any are.
    pub stale: Option<Duration>,
    /// What to do.
    pub orders: Receiver<Order>,
    /// Says that there is an order.
    pub waker: Receiver<()>,
    /// Who hears that an order is carried out.
    pub tell: Sender<Event>,
}

/// What a subscription thread is at.
struct Desk {
    link: Option<Arc<dyn Link>>,
    /// The number of the last order.
    number: u64,
    subjects: Vec<String>,
    /// Whether requests are taken.
    takes: bool,
    /// When they were last, where they are not.
    took: Option<Instant>,
    /// How long to wait before what the bus refused is tried again.
    backoff: Backoff,
    /// What it refused last.
    refusal: Option<BusError>,
}

/// Why an inbox is given back.
enum Why {
    /// There is another link.
    Replaced,
    /// The link is lost, or the bus refuses the subscriptions, or has ended them.
    Failed(BusError),
    /// It is time to end.
    Finished,
}

impl Subscriptions {
    /// Runs until told to finish.
    pub fn run(self) {
        let mut desk = Desk::new();
        let mut wait = None;
        loop {
            if !self.wait_for_order(&mut desk, wait.take()) {
                return;
            }
            let Some(link) = desk.link.clone() else {
                continue;
            };
            let mut why = Why::Failed(BusError::Lost);
            let lent = link.with_inbox(self.topic(), &mut |inbox| {
                why = self.serve(inbox, &mut desk);
            });
            desk.takes(false);
            match lent.map_or_else(Why::Failed, |()| why) {
                Why::Finished => return,
                Why::Replaced => wait = Some(Duration::ZERO),
                Why::Failed(_) if link.is_lost() => desk.link = None,
                Why::Failed(error) => {
                    let _ = self.tell.send(Event::Refused(self.class, desk.number));
                    // Of a lost link the supervisor tells.
                    if error != BusError::Lost && desk.refusal.as_ref() != Some(&error) {
                        log::warn!("requests on {}: {error}", self.class);
                        desk.refusal = Some(error);
                    }
                    wait = Some(desk.backoff.wait());
                }
            }
        }
    }

    fn topic(&self) -> Topic {
        match self.class {
            Class::Ping => Topic::Ping,
            _ => Topic::Request,
        }
    }

    /// Waits for an order to listen, but not longer than `limit`; whether to go on.
    fn wait_for_order(&self, desk: &mut Desk, limit: Option<Duration>) -> bool {
        let order = match limit {
            Some(limit) => self.orders.recv_timeout(limit),
            None => self.orders.recv().map_err(RecvTimeoutError::from),
        };
        match order {
            Ok(Order::Listen(number, link, subjects)) => {
                desk.wants(number, link, subjects);
                true
            }
            Err(RecvTimeoutError::Timeout) => true,
            Ok(Order::Finish(_)) | Err(RecvTimeoutError::Disconnected) => false,
        }
    }

    /// Takes requests in until the inbox is of no use any more.
    fn serve(&self, inbox: &mut dyn Inbox, desk: &mut Desk) -> Why {
        if let Err(why) = self.listen(inbox, desk) {
            return why;
        }
        loop {
            match self.orders.try_recv() {
                Ok(Order::Listen(number, link, subjects)) => {
                    let replaced = link.is_some();
                    desk.wants(number, link, subjects);
                    if replaced {
                        return Why::Replaced;
                    }
                    if let Err(why) = self.listen(inbox, desk) {
                        return why;
                    }
                    // One waking may be for several orders.
                    continue;
                }
                Ok(Order::Finish(given)) => {
                    desk.subjects.clear();
                    if self.listen(inbox, desk).is_ok() {
                        self.finish(inbox);
                    }
                    drop(given);
                    inbox.settle();
                    return Why::Finished;
                }
                Err(TryRecvError::Disconnected) => return Why::Finished,
                Err(TryRecvError::Empty) => {}
            }
            match inbox.next(&self.waker) {
                Next::Delivery(delivery) => self.take(delivery),
                Next::Woken => {}
                Next::Ended(why) => return Why::Failed(why),
                Next::Lost => return Why::Failed(BusError::Lost),
            }
        }
    }

    /// Has the inbox listen to what is wanted.
    fn listen(&self, inbox: &mut dyn Inbox, desk: &mut Desk) -> Result<(), Why> {
        let waiting = match (self.stale, desk.took) {
            (None, _) => Waiting::Take,
            (Some(longest), Some(then)) if then.elapsed() <= longest => Waiting::Take,
            _ => Waiting::Discard,
        };
        match inbox.listen(&desk.subjects, self.class.group(), waiting) {
            Ok(discarded) => {
                if discarded > 0 {
                    self.counters.requests_stale.add_all(discarded);
                    log::warn!(
                        "{discarded} stale requests on {} are discarded: they waited where no \
                         proxy was",
                        self.class
                    );
                }
                desk.takes(!desk.subjects.is_empty());
                desk.backoff.reset();
                desk.refusal = None;
                let _ = self.tell.send(Event::Listening(self.class, desk.number));
                Ok(())
            }
            Err(error) => Err(Why::Failed(error)),
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
            self.answers.error(delivery.reply.as_ref(), DOWN);
            return;
        }
        if delivery.body.len() > LARGEST_REQUEST {
            self.counters.requests_failed.add();
            let text = format!("bad request: larger than {LARGEST_REQUEST} bytes");
            self.answers.error(delivery.reply.as_ref(), &text);
            return;
        }
        let job = Job {
            since: delivery.received,
            work: Work::Request(self.class, delivery),
        };
        if let Err(Job {
            work: Work::Request(_, delivery),
            ..
        }) = self.queue.push(job)
        {
            self.counters.requests_overloaded.add();
            self.answers.error(delivery.reply.as_ref(), OVERLOADED);
        }
    }
}

impl Desk {
    /// Without a link.
    fn new() -> Desk {
        Desk {
            link: None,
            number: 0,
            subjects: Vec::new(),
            takes: false,
            took: None,
            backoff: Backoff::new(),
            refusal: None,
        }
    }

    fn takes(&mut self, takes: bool) {
        if self.takes != takes {
            self.took = self.takes.then(Instant::now);
            self.takes = takes;
        }
    }

    fn wants(&mut self, number: u64, link: Option<Arc<dyn Link>>, subjects: Vec<String>) {
        self.number = number;
        self.subjects = subjects;
        self.link = link.or(self.link.take());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bus::Outlet;
    use crate::wire::subject::Subjects;
    use crossbeam_channel::{bounded, unbounded};

    /// An inbox that no message comes to, and that is lost when nobody can wake its reader.
    struct Quiet;

    impl Inbox for Quiet {
        fn listen(&mut self, _: &[String], _: Option<&str>, _: Waiting) -> Result<u64, BusError> {
            Ok(0)
        }

        fn next(&mut self, waker: &Receiver<()>) -> Next {
            waker.recv().map_or(Next::Lost, |()| Next::Woken)
        }

        fn try_next(&mut self) -> Option<Delivery> {
            None
        }

        fn is_leaving(&mut self) -> bool {
            false
        }

        fn settle(&mut self) {}
    }

    #[test]
    fn two_orders_may_come_with_one_waking() {
        let (tell, told) = unbounded();
        let (order, orders) = unbounded();
        let (wake, waker) = bounded(1);
        let counters: Arc<Counters> = Arc::default();
        let listening = Subscriptions {
            class: Class::Create,
            standing: Arc::new(Standing::new("app", Subjects::new("ari.", "app"))),
            queue: Arc::new(Queue::new(1, Duration::ZERO)),
            answers: Answers::new(Outlet::default(), "ari.", Arc::clone(&counters)),
            counters,
            announce: bounded(1).0,
            stale: None,
            orders,
            waker,
            tell,
        };
        let mut desk = Desk::new();
        for number in 1..=2 {
            order.send(Order::Listen(number, None, Vec::new())).unwrap();
        }
        wake.send(()).unwrap();
        drop(wake);
        listening.serve(&mut Quiet, &mut desk);
        let listens = told.try_iter().filter_map(|event| match event {
            Event::Listening(_, number) => Some(number),
            _ => None,
        });
        // Once before any order.
        assert_eq!(listens.collect::<Vec<u64>>(), [0, 1, 2]);
    }
}
