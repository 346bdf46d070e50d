//! The topics of dialogs on a RabbitMQ link: queues that come and go, and what the broker refuses.

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::{Duration, Instant};

use amiquip::{
    AmqpProperties, Channel, Exchange, Publish, QueueDeclareOptions, QueueDeleteOptions,
};
use ari_proxy::bus::link::LARGEST_MESSAGE;
use ari_proxy::bus::rabbitmq::RabbitLink;
use ari_proxy::bus::{BusError, Heard, Link, Terms, Topic, Topics};
use ari_proxy::config::{BusKind, BusServer, Secret};
use crossbeam_channel::{Receiver, unbounded};

use crate::support::nats::{BUS_PASSWORD, BUS_USER};
use crate::support::rabbitmq::Vhost;
use crate::support::rabbitmq_client::RabbitBus;
use crate::support::wait::{SOON, wait_for, wait_until};

/// The application of the tests, which is the name of its queue.
pub(crate) const APPLICATION: &str = "demo";
/// How long offers last.
pub(crate) const LASTS: Duration = Duration::from_secs(10);

/// Topics, and what is heard of them.
pub(crate) struct Desk {
    pub(crate) link: Arc<dyn Link>,
    pub(crate) topics: Box<dyn Topics>,
    pub(crate) heard: Receiver<Heard>,
}

pub(crate) fn connect(port: u16, vhost: &str) -> Arc<dyn Link> {
    let server = BusServer {
        bus: BusKind::RabbitMq,
        tls: false,
        host: "127.0.0.1".into(),
        port,
        vhost: vhost.into(),
        username: Some(BUS_USER.into()),
        password: Some(Secret::new(BUS_PASSWORD)),
    };
    let terms = Terms {
        name: "tests".into(),
        window: 100,
        losses: Arc::new(|_| {}),
        largest: Arc::new(AtomicUsize::new(LARGEST_MESSAGE)),
    };
    RabbitLink::connect(&server, &terms).expect("a link")
}

pub(crate) fn topics(link: &dyn Link) -> Result<(Box<dyn Topics>, Receiver<Heard>), BusError> {
    let (topics, heard, _) = all_topics(link)?;
    Ok((topics, heard))
}

/// Topics, what is heard of them, and which dialogs are listened to.
type AllTopics = (Box<dyn Topics>, Receiver<Heard>, Receiver<String>);

fn all_topics(link: &dyn Link) -> Result<AllTopics, BusError> {
    let (sender, heard) = unbounded();
    let (tell, listening) = unbounded();
    let hear = move |it| match it {
        Heard::Listening(dialog) => drop(tell.send(dialog)),
        other => drop(sender.send(other)),
    };
    let topics = link.topics(APPLICATION, None, Box::new(hear))?;
    Ok((topics, heard, listening))
}

impl Desk {
    pub(crate) fn new(port: u16, vhost: &str) -> Desk {
        let link = connect(port, vhost);
        let (topics, heard) = topics(&*link).expect("topics");
        Desk {
            link,
            topics,
            heard,
        }
    }

    pub(crate) fn open(&mut self, dialog: &str) {
        self.topics.open(dialog).expect("opened");
        self.topics.attend();
    }

    pub(crate) fn offer(&mut self, topic: &str, body: &[u8], number: u64) {
        let offered = self.topics.offer(topic, body, LASTS, number);
        offered.expect("offered");
        self.topics.attend();
    }

    pub(crate) fn publish(&self, topic: &str, body: &[u8]) {
        self.link
            .publish(Topic::Direct, topic, None, body)
            .expect("published");
        self.link.flush();
    }

    /// What is heard next.
    pub(crate) fn next(&mut self) -> Heard {
        wait_for("something is heard", SOON, || {
            self.topics.attend();
            self.heard.try_recv().ok()
        })
    }

    /// Waits until a queue has so many consumers, and nothing in it.
    pub(crate) fn wait_for_readers(&mut self, vhost: &Vhost, queue: &str, count: u32) {
        wait_until(queue, SOON, || {
            self.topics.attend();
            let of = |what: &str| {
                sum(
                    vhost,
                    what,
                    &format!("element(4, amqqueue:get_name(Q)) == <<\"{queue}\">>"),
                )
            };
            of("consumers") == count.to_string() && of("messages") == "0"
        });
    }

    /// The next is a command for `dialog`; its body, and whether it came before.
    pub(crate) fn command(&mut self, dialog: &str) -> (Vec<u8>, bool) {
        match self.next() {
            Heard::Command {
                dialog: of,
                body,
                redelivered,
            } if of == dialog => (body, redelivered),
            other => panic!("{other:?}"),
        }
    }

    /// The next is a refusal for `dialog`; why.
    pub(crate) fn refusal(&mut self, dialog: &str) -> String {
        match self.next() {
            Heard::Refused { dialog: of, why } if of == dialog => why,
            other => panic!("{other:?}"),
        }
    }
}

/// The sum of what the queues have of something, for which `which` holds.
fn sum(vhost: &Vhost, what: &str, which: &str) -> String {
    vhost.server.eval(&format!(
        "lists:sum([N || Q <- rabbit_amqqueue:list(<<\"{}\">>), {which}, \
         {{_, N}} <- rabbit_amqqueue:info(Q, [{what}])])",
        vhost.name
    ))
}

/// An application: a channel of its own.
pub(crate) fn application(vhost: &Vhost) -> (RabbitBus, Channel) {
    let bus = RabbitBus::connect(&vhost.url());
    let channel = bus.channel();
    (bus, channel)
}

/// Declares a queue as go-ari-library does; how many messages wait in it.
pub(crate) fn declare(channel: &Channel, queue: &str) -> u32 {
    let options = QueueDeclareOptions {
        durable: true,
        ..QueueDeclareOptions::default()
    };
    let queue = channel.queue_declare(queue, options).expect("declared");
    queue.declared_message_count().unwrap_or_default()
}

pub(crate) fn send(channel: &Channel, queue: &str, body: &[u8]) {
    let properties = AmqpProperties::default();
    Exchange::direct(channel)
        .publish(Publish::with_properties(body, queue, properties))
        .expect("sent");
}

#[test]
fn an_offer_is_taken_by_one_of_the_consumers_in_turn() {
    let vhost = Vhost::new();
    let mut desk = Desk::new(vhost.server.port(), &vhost.name);
    let bus = RabbitBus::connect(&vhost.url());
    let instances = [bus.subscribe(APPLICATION), bus.subscribe(APPLICATION)];
    for number in 1..=20 {
        desk.offer(APPLICATION, b"AppStart", number);
        assert_eq!(desk.next(), Heard::Taken(number));
    }
    for instance in &instances {
        wait_until("every second one", SOON, || instance.len() == 10);
    }
    assert!(desk.heard.is_empty());
}

#[test]
fn an_offer_waits_for_a_listener_for_as_long_as_it_lasts() {
    let vhost = Vhost::new();
    let mut desk = Desk::new(vhost.server.port(), &vhost.name);
    let (_bus, channel) = application(&vhost);
    desk.offer(APPLICATION, b"waits", 7);
    assert_eq!(desk.next(), Heard::Taken(7));
    let got = channel.basic_get(APPLICATION, true).expect("got");
    let delivery = got.expect("a message").delivery;
    assert_eq!(delivery.body, b"waits");
    let properties = delivery.properties;
    assert_eq!(properties.expiration().as_deref(), Some("10000"));
    assert_eq!(*properties.delivery_mode(), Some(1));
    assert_eq!(
        properties.content_type().as_deref(),
        Some("application/json")
    );
}

#[test]
fn an_offer_where_there_is_no_queue_is_gone_and_the_next_has_one() {
    let vhost = Vhost::new();
    let mut desk = Desk::new(vhost.server.port(), &vhost.name);
    let (_bus, channel) = application(&vhost);
    for round in 0..10 {
        let gone = QueueDeleteOptions::default();
        channel.queue_delete(APPLICATION, gone).expect("deleted");
        let mut number = round * 1000;
        wait_until("taken", SOON, || {
            number += 1;
            desk.offer(APPLICATION, b"x", number);
            match desk.next() {
                Heard::Taken(which) => which == number,
                other => {
                    assert_eq!(other, Heard::Nobody(number));
                    false
                }
            }
        });
        assert_eq!(declare(&channel, APPLICATION), 1);
    }
}

#[test]
fn a_dialog_is_told_of_when_it_is_listened_to() {
    let vhost = Vhost::new();
    let link = connect(vhost.server.port(), &vhost.name);
    let (mut topics, _heard, listening) = all_topics(&*link).expect("topics");
    for dialog in ["a", "b"] {
        assert!(!topics.open(dialog).expect("there is room"), "not yet");
        topics.attend();
        assert_eq!(listening.recv_timeout(SOON).as_deref(), Ok(dialog));
        assert!(topics.open(dialog).expect("nothing happens"));
    }
    // By then its consumer is there.
    assert_eq!(sum(&vhost, "consumers", "true"), "2");
}

#[test]
fn a_thousand_dialogs_at_once() {
    let vhost = Vhost::new();
    let mut desk = Desk::new(vhost.server.port(), &vhost.name);
    let (_bus, channel) = application(&vhost);
    let dialogs: Vec<String> = (0..1000).map(|number| format!("d{number:03}")).collect();
    // Some applications are there first.
    for dialog in dialogs.iter().step_by(100) {
        declare(&channel, &format!("commands_{dialog}"));
        send(&channel, &format!("commands_{dialog}"), b"DUMMY");
    }
    for dialog in &dialogs {
        desk.topics.open(dialog).expect("opened");
    }
    desk.topics.open(&dialogs[0]).expect("nothing happens");
    desk.topics.attend();
    for (at, dialog) in dialogs.iter().enumerate() {
        if at % 100 != 0 {
            declare(&channel, &format!("commands_{dialog}"));
            send(&channel, &format!("commands_{dialog}"), b"DUMMY");
        }
    }
    let mut came: Vec<String> = (0..1000)
        .map(|_| match desk.next() {
            Heard::Command { dialog, body, .. } if body == b"DUMMY" => dialog,
            other => panic!("{other:?}"),
        })
        .collect();
    came.sort();
    assert!(came == dialogs);
    // All that was heard is acknowledged.
    wait_until("nothing is left", SOON, || {
        sum(&vhost, "messages", "true") == "0"
    });
    // They are removed as they came: nobody reads there, and nothing is in them.
    for dialog in &dialogs {
        desk.topics.close(dialog);
    }
    wait_until("no queue is left", SOON * 2, || {
        desk.topics.attend();
        vhost.queues("") == [APPLICATION]
    });
}

#[test]
fn queues_go_when_what_was_sent_is_fetched_or_nobody_fetches_it() {
    let vhost = Vhost::new();
    let mut desk = Desk::new(vhost.server.port(), &vhost.name);
    let (_bus, channel) = application(&vhost);
    for dialog in ["read", "left"] {
        desk.open(dialog);
        let commands = format!("commands_{dialog}");
        desk.wait_for_readers(&vhost, &commands, 1);
        desk.publish(&format!("events_{dialog}"), b"StasisEnd");
        desk.publish(&format!("responses_{dialog}"), b"200");
    }
    desk.topics.close("read");
    desk.topics.close("left");
    desk.topics.close("never opened");
    let closed = Instant::now();
    desk.wait_for_readers(&vhost, "commands_read", 0);
    for queue in ["events_read", "responses_read"] {
        assert_eq!(vhost.queues(queue), [queue], "something is in it");
        let got = channel.basic_get(queue, true).expect("got");
        assert!(got.is_some(), "{queue}");
    }
    let gone = |desk: &mut Desk, dialog: &str, limit| {
        wait_until(dialog, limit, || {
            desk.topics.attend();
            let end = format!("_{dialog}");
            !vhost.queues("").iter().any(|queue| queue.ends_with(&end))
        });
    };
    gone(&mut desk, "read", SOON);
    let soon = closed.elapsed();
    if soon < Duration::from_secs(9) {
        assert_eq!(vhost.queues("events_left"), ["events_left"]);
    }
    gone(&mut desk, "left", SOON * 2);
    assert!(closed.elapsed() >= Duration::from_secs(10));
    // A dialog of this name may come again.
    desk.open("left");
    declare(&channel, "commands_left");
    send(&channel, "commands_left", b"DUMMY");
    assert_eq!(desk.command("left").0, b"DUMMY");
    assert!(!desk.link.is_lost());
}

#[test]
fn a_command_queue_that_is_deleted_comes_again() {
    let vhost = Vhost::new();
    let mut desk = Desk::new(vhost.server.port(), &vhost.name);
    let (_bus, channel) = application(&vhost);
    desk.open("d");
    for _ in 0..2 {
        desk.wait_for_readers(&vhost, "commands_d", 1);
        send(&channel, "commands_d", b"DUMMY");
        assert_eq!(desk.command("d").0, b"DUMMY");
        let gone = QueueDeleteOptions::default();
        channel.queue_delete("commands_d", gone).expect("deleted");
    }
}

#[test]
fn topics_are_there_one_at_a_time_and_leave_what_waits() {
    let vhost = Vhost::new();
    let mut desk = Desk::new(vhost.server.port(), &vhost.name);
    let (_bus, channel) = application(&vhost);
    assert_eq!(topics(&*desk.link).err(), Some(BusError::Busy));
    desk.open("d");
    desk.wait_for_readers(&vhost, "commands_d", 1);
    let Desk {
        link,
        topics: first,
        heard,
    } = desk;
    drop(first);
    wait_until("nobody listens", SOON, || {
        sum(&vhost, "consumers", "true") == "0"
    });
    send(&channel, "commands_d", b"waits");
    let (topics, next) = topics(&*link).expect("topics");
    let mut desk = Desk {
        link,
        topics,
        heard: next,
    };
    desk.open("d");
    assert_eq!(desk.command("d"), (b"waits".to_vec(), false));
    assert!(heard.is_empty());
}

#[test]
fn a_dialog_that_is_closed_and_opened_again_at_once() {
    let vhost = Vhost::new();
    let mut desk = Desk::new(vhost.server.port(), &vhost.name);
    let (_bus, channel) = application(&vhost);
    desk.open("d");
    for _ in 0..200 {
        desk.topics.close("d");
        desk.open("d");
    }
    desk.wait_for_readers(&vhost, "commands_d", 1);
    send(&channel, "commands_d", b"DUMMY");
    assert_eq!(desk.command("d").0, b"DUMMY");
    assert!(desk.heard.is_empty() && !desk.link.is_lost());
}

#[test]
fn queues_that_an_application_reads_stay_until_it_is_gone_whatever_becomes_of_links() {
    let vhost = Vhost::new();
    let port = vhost.server.port();
    let mut desk = Desk::new(port, &vhost.name);
    let application = RabbitBus::connect(&vhost.url());
    let dialogs = ["one", "two"];
    let queues = |start: &str| dialogs.map(|dialog| format!("{start}{dialog}"));
    let mut kept = queues("events_");
    for dialog in dialogs {
        desk.open(dialog);
        desk.wait_for_readers(&vhost, &format!("commands_{dialog}"), 1);
    }
    let reading = kept.each_ref().map(|queue| application.subscribe(queue));
    let closed = |desk: &mut Desk| {
        wait_until("only what is read is left", SOON, || {
            desk.topics.attend();
            vhost.queues("commands_").is_empty()
        });
    };
    for dialog in dialogs {
        desk.topics.close(dialog);
    }
    closed(&mut desk);
    for _ in 0..2 {
        // The next link goes on where this one ends.
        desk.link.close();
        let mut left = desk.topics.unfinished();
        left.sort();
        assert_eq!(left, dialogs.map(Into::into));
        desk = Desk::new(port, &vhost.name);
        left.iter().for_each(|dialog| desk.topics.close(dialog));
        closed(&mut desk);
    }
    let mut there = vhost.queues("events_");
    there.sort();
    kept.sort();
    assert_eq!(there, kept);
    drop((reading, application));
    wait_until("nothing is left", SOON * 2, || {
        desk.topics.attend();
        vhost.queues("") == [APPLICATION]
    });
    assert!(!desk.link.is_lost());
}
