//! The topics of dialogs on a link to a real server: who gets what is offered, what is heard of it and
//! of commands, and that nothing of it waits for the server.

use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use ari_proxy::bus::link::LARGEST_REQUEST;
use ari_proxy::bus::supervisor::{self, Change};
use ari_proxy::bus::{BusError, Heard, Link, Terms, Topics};
use ari_proxy::config::{self, BusServer, Secret};
use crossbeam_channel::{Receiver, Sender, bounded, unbounded};

use crate::dialog_queues::declare;
use crate::support::bus::{Bus, BusKind, Messages, Server, on_each_bus};
use crate::support::nats::{BUS_PASSWORD, BUS_USER};
use crate::support::nats_raw::RawNats;
use crate::support::wait::{SOON, wait_for, wait_until};

/// The application, and the topic on which it is told of calls.
const APPLICATION: &str = "dialled";
/// What its instances are members of.
const GROUP: &str = "instances";
/// How long a call that waits for nothing may take on a machine that is busy with other tests.
const AT_ONCE: Duration = Duration::from_millis(200);

/// A server, links to it as a proxy has them, and a client.
struct Set {
    link: Arc<dyn Link>,
    bus: Bus,
    server: Server,
    stop: Option<Sender<()>>,
    supervisor: Option<JoinHandle<()>>,
}

impl Set {
    fn start(on: BusKind) -> Set {
        Set::on(on, Server::start(on))
    }

    fn on(kind: BusKind, server: Server) -> Set {
        let at = address(kind, &server);
        let (stop, stopped) = bounded(0);
        let (tell, changes) = unbounded();
        let terms = Terms {
            name: "dialog-links".into(),
            window: 100,
            losses: Arc::new(|_| {}),
            largest: Arc::new((16 * 1024 * 1024).into()),
        };
        let supervisor = std::thread::spawn(move || {
            supervisor::run(&[at], &supervisor::links(&terms), &stopped, |change| {
                drop(tell.send(change))
            });
        });
        let link = match changes.recv_timeout(SOON) {
            Ok(Change::Up(link)) => link,
            _ => panic!("no link"),
        };
        Set {
            link,
            bus: Bus::connect(&server.url()),
            server,
            stop: Some(stop),
            supervisor: Some(supervisor),
        }
    }

    fn topics(&self) -> Side {
        let (tell, heard) = unbounded();
        let hear = Box::new(move |it| {
            // That is of interest on RabbitMQ only, where it has a test of its own.
            if !matches!(it, Heard::Listening(_)) {
                drop(tell.send(it));
            }
        });
        let topics = self.link.topics(APPLICATION, Some(GROUP), hear);
        Side {
            topics: topics.expect("topics"),
            heard,
            offers: 0,
        }
    }

    /// An instance of the application listens.
    fn instance(&self) -> Messages {
        match &self.bus {
            Bus::Nats(_) => self.bus.subscribe_group(APPLICATION, GROUP),
            // Whoever reads a queue shares it.
            Bus::RabbitMq(_) => self.bus.subscribe(APPLICATION),
        }
    }

    /// Sends a command, as an application does: where there are queues, it declares its own.
    fn command(&self, dialog: &str, body: impl AsRef<[u8]>) {
        if let Bus::RabbitMq(bus) = &self.bus {
            declare(&bus.channel(), &commands(dialog));
        }
        self.bus.publish(&commands(dialog), body);
    }
}

impl Drop for Set {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(supervisor) = self.supervisor.take() {
            let _ = supervisor.join();
        }
    }
}

fn address(kind: BusKind, server: &Server) -> BusServer {
    BusServer {
        bus: match kind {
            BusKind::Nats => config::BusKind::Nats,
            BusKind::RabbitMq => config::BusKind::RabbitMq,
        },
        tls: false,
        host: "127.0.0.1".into(),
        port: server.port(),
        vhost: match server {
            Server::Vhost(vhost) => vhost.name.clone(),
            Server::RabbitMq(_) => "/".into(),
            Server::Nats(_) => String::new(),
        },
        username: Some(BUS_USER.into()),
        password: Some(Secret::new(BUS_PASSWORD)),
    }
}

/// The proxy's side: topics, and what is heard of them.
struct Side {
    topics: Box<dyn Topics>,
    heard: Receiver<Heard>,
    /// How many offers there were.
    offers: u64,
}

impl Side {
    fn open(&mut self, dialog: &str) {
        self.topics.open(dialog).expect("opened");
        self.topics.attend();
    }

    /// Offers `body` to one instance; what has become of it.
    fn offer(&mut self, body: &str) -> Heard {
        self.offers += 1;
        let offered = self
            .topics
            .offer(APPLICATION, body.as_bytes(), SOON, self.offers);
        offered.expect("offered");
        self.topics.attend();
        self.next()
    }

    fn take(&mut self, body: &str) {
        assert_eq!(self.offer(body), Heard::Taken(self.offers), "{body}");
    }

    /// What is heard next. It looks after its topics meanwhile.
    fn next(&mut self) -> Heard {
        wait_for("something is heard", SOON, || {
            self.topics.attend();
            self.heard.recv_timeout(Duration::from_millis(10)).ok()
        })
    }

    /// The next command of `dialog`, which must be the next thing that is heard.
    fn command(&mut self, dialog: &str) -> Vec<u8> {
        match self.next() {
            Heard::Command {
                dialog: of, body, ..
            } if of == dialog => body,
            other => panic!("{other:?}"),
        }
    }
}

fn commands(dialog: &str) -> String {
    format!("commands_{dialog}")
}

/// How many there are of something that a broker with queues takes longer for.
fn few_or_many(on: BusKind, few: usize, many: usize) -> usize {
    match on {
        BusKind::Nats => many,
        BusKind::RabbitMq => few,
    }
}

fn an_offer_is_taken_by_one_of_two(on: BusKind) {
    let set = Set::start(on);
    let mut side = set.topics();
    let instances = [set.instance(), set.instance()];
    const OFFERS: usize = 200;
    for number in 0..OFFERS {
        side.take(&number.to_string());
    }
    set.bus.flush();
    let mut taken: Vec<usize> = Vec::new();
    wait_until("all are taken", SOON, || {
        let arrived = instances.iter().flat_map(Messages::arrived);
        taken.extend(arrived.map(|it| String::from_utf8_lossy(&it.data).parse::<usize>().unwrap()));
        taken.len() >= OFFERS
    });
    taken.sort_unstable();
    assert_eq!(taken, Vec::from_iter(0..OFFERS));
}

fn whoever_listens_when_it_is_taken_is_told(on: BusKind) {
    let set = Set::start(on);
    let mut side = set.topics();
    // To many, of whom each answers at once.
    let dialogs = few_or_many(on, 300, 2_000);
    let calls = set.instance();
    let bus = Bus::connect(&set.server.url());
    let answering = std::thread::spawn(move || {
        let channel = match &bus {
            Bus::Nats(_) => None,
            Bus::RabbitMq(bus) => Some(bus.channel()),
        };
        for call in calls.take(dialogs) {
            let dialog = String::from_utf8(call.data).unwrap();
            if let Some(channel) = &channel {
                declare(channel, &commands(&dialog));
            }
            bus.hand_over(&commands(&dialog), format!("DUMMY {dialog}"));
        }
        bus.flush();
    });
    let (mut taken, mut shown) = (0, Vec::new());
    let mut hear = |heard: Heard| match heard {
        Heard::Taken(_) => taken += 1,
        Heard::Command { dialog, body, .. } => {
            assert_eq!(body, format!("DUMMY {dialog}").into_bytes());
            shown.push(dialog);
        }
        other => panic!("{other:?}"),
    };
    for number in 0..dialogs {
        let dialog = format!("d{number}");
        side.topics.open(&dialog).expect("opened");
        let number = number as u64;
        wait_for("room", SOON, || {
            let offered = side
                .topics
                .offer(APPLICATION, dialog.as_bytes(), SOON, number);
            side.topics.attend();
            match offered {
                Ok(()) => return Some(()),
                Err(BusError::Busy) => {}
                Err(error) => panic!("{error}"),
            }
            side.heard.try_iter().for_each(&mut hear);
            None
        });
    }
    for _ in 0..2 * dialogs {
        match side.heard.recv_timeout(SOON) {
            Ok(heard) => hear(heard),
            Err(_) => break,
        }
    }
    answering.join().unwrap();
    shown.sort();
    shown.dedup();
    assert_eq!((taken, shown.len()), (dialogs, dialogs));
}

fn commands_are_heard_while_a_dialog_is_open(on: BusKind) {
    let set = Set::start(on);
    let mut side = set.topics();
    for dialog in ["a", "b"] {
        side.open(dialog);
        side.open(dialog);
    }
    // What is taken on the same connection was after these.
    let _instance = set.instance();
    side.take("");
    set.command("a", "first");
    assert_eq!(side.command("a"), b"first");
    let large = vec![b'x'; LARGEST_REQUEST];
    set.command("b", &large);
    assert!(side.command("b") == large);
    set.command("b", large.repeat(4));
    let cut = side.command("b");
    assert!(cut.len() > LARGEST_REQUEST && cut.len() < 2 * LARGEST_REQUEST);
    set.command("a", b"\xff\0\r\n");
    assert_eq!(side.command("a"), b"\xff\0\r\n");
    side.topics.close("a");
    side.take("");
    set.command("a", "to nobody");
    set.command("b", "after that");
    assert_eq!(side.command("b"), b"after that");
    side.open("c");
    side.take("");
    set.command("c", "opened later");
    assert_eq!(side.command("c"), b"opened later");
    // Others, once these are gone.
    let heard = side.heard.clone();
    drop(side);
    assert!(heard.is_empty());
    let mut side = set.topics();
    side.open("d");
    side.take("");
    set.command("c", "to those who are gone");
    set.command("d", "to those who are here");
    assert_eq!(side.command("d"), b"to those who are here");
    assert!(heard.is_empty());
}

fn a_link_that_is_lost_says_so(on: BusKind) {
    let mut set = Set::on(on, Server::start_own(on));
    let mut side = set.topics();
    side.open("a");
    set.server.kill();
    assert!(set.link.lost().recv_timeout(SOON).is_err());
    wait_until("it is lost", SOON, || set.link.is_lost());
    assert_eq!(side.topics.open("b"), Err(BusError::Lost));
    let offered = side.topics.offer(APPLICATION, b"", SOON, 1);
    assert_eq!(offered, Err(BusError::Lost));
    side.topics.close("a");
    side.topics.attend();
    assert!(side.heard.is_empty());
}

fn a_flood_of_commands_ends_no_link(on: BusKind) {
    let set = Set::start(on);
    let mut side = set.topics();
    side.open("a");
    let _instance = set.instance();
    side.take("");
    let (all_small, all_large) = (few_or_many(on, 10_000, 100_000), few_or_many(on, 50, 500));
    let large = vec![b'x'; 500_000];
    // Where there are queues, it is there now.
    set.command("a", "{}");
    for _ in 1..all_small {
        set.bus.hand_over(&commands("a"), "{}");
    }
    for _ in 0..all_large {
        set.bus.hand_over(&commands("a"), &large);
    }
    let (mut small, mut cut) = (0, 0);
    while small + cut < all_small + all_large {
        let body = side.command("a");
        match body.len() {
            2 => small += 1,
            _ => cut += 1,
        }
    }
    side.take("");
    assert_eq!((small, cut), (all_small, all_large));
    assert!(!set.link.is_lost());
}

/// Fails if what it does takes longer than what waits for nothing.
fn at_once<T>(what: &str, does: impl FnOnce() -> T) -> T {
    let start = Instant::now();
    let outcome = does();
    let took = start.elapsed();
    assert!(took < AT_ONCE, "{what} took {took:?}");
    outcome
}

fn a_server_that_stopped_holds_nobody_up(on: BusKind) {
    let set = Set::on(on, Server::start_own(on));
    let mut side = set.topics();
    let _instance = set.instance();
    side.open("a");
    side.take("");
    set.server.pause();
    let body = vec![b'x'; 64 * 1024];
    let mut busy = 0;
    for number in 0..500 {
        let dialog = format!("d{number}");
        let topics = &mut side.topics;
        // A link is lost after seconds of it.
        let _ = at_once("open", || topics.open(&dialog));
        match at_once("offer", || topics.offer(APPLICATION, &body, SOON, number)) {
            Err(BusError::Busy) => busy += 1,
            Ok(()) | Err(BusError::Lost) => {}
            Err(error) => panic!("{error}"),
        }
        at_once("attend", || topics.attend());
        at_once("close", || topics.close(&dialog));
    }
    assert!(busy > 0);
    at_once("drop", || drop(side));
    set.server.resume();
}

#[test]
fn nobody_is_told_until_somebody_listens() {
    let set = Set::start(BusKind::Nats);
    let mut side = set.topics();
    for _ in 0..3 {
        assert_eq!(side.offer("early"), Heard::Nobody(side.offers));
    }
    let instance = set.instance();
    side.take("late");
    assert_eq!(instance.expect("the call").data, b"late");
    drop(instance);
    set.bus.flush();
    assert_eq!(side.offer("too late"), Heard::Nobody(side.offers));
}

#[test]
fn whoever_answers_offers_disturbs_nothing() {
    let set = Set::start(BusKind::Nats);
    let mut side = set.topics();
    side.open("a");
    let Messages::Nats(instance) = set.instance() else {
        panic!("over NATS");
    };
    let mut raw = RawNats::connect(set.server.port());
    let mut inbox = String::new();
    for number in 1..20 {
        side.take("call");
        let call = instance.next_timeout(SOON).expect("the call");
        inbox = call.reply.clone().expect("an inbox");
        call.respond("got it").expect("answered");
        let (start, _) = inbox.rsplit_once('.').expect("a prefix");
        let other = |tail: &str| format!("{start}{tail}");
        // Of an offer that is over, of one that comes, and of none.
        for subject in [&inbox, &other(&format!(".{}", number + 1)), &other(".x")] {
            raw.publish(subject, "", "", &vec![b'x'; 500_000]);
            raw.say(
                &[
                    b"HPUB ",
                    subject.as_bytes(),
                    b" \xa0\xff 5 7\r\nNONE\xff{}\r\n",
                ]
                .concat(),
            );
        }
        for subject in [&inbox, &other(&format!(".{}", number + 1))] {
            raw.say(format!("HPUB {subject} 16 16\r\nNATS/1.0 503\r\n\r\n\r\n").as_bytes());
        }
    }
    assert!(!inbox.is_empty());
    set.command("a", "still there");
    assert_eq!(side.command("a"), b"still there");
    assert!(!set.link.is_lost());
}

on_each_bus! {
    an_offer_is_taken_by_one_of_two,
    whoever_listens_when_it_is_taken_is_told,
    commands_are_heard_while_a_dialog_is_open,
    a_link_that_is_lost_says_so,
    a_flood_of_commands_ends_no_link,
    a_server_that_stopped_holds_nobody_up,
}
