//! The topics of dialogs on a RabbitMQ link where a broker refuses, stops, or hands out poison: nothing of
//! that ends the link or harms another dialog, and nobody waits.

use std::time::{Duration, Instant};

use amiquip::{QueueDeclareOptions, QueueDeleteOptions};
use ari_proxy::bus::link::LARGEST_REQUEST;
use ari_proxy::bus::{BusError, Heard, Topics};

use crate::dialog_queues::{APPLICATION, Desk, LASTS, application, connect, declare, send, topics};
use crate::support::amqp::{RawProperties, RawPublisher, long, nested_table, short};
use crate::support::nats::BUS_USER;
use crate::support::rabbitmq::{RabbitServer, Vhost, amqp_url};
use crate::support::rabbitmq_client::{RabbitBus, milliseconds};
use crate::support::wait::{SOON, wait_until};

/// What nothing takes that does not wait for a broker: it would for ten seconds.
const AT_ONCE: Duration = Duration::from_secs(2);

#[test]
fn a_dialog_that_the_broker_refuses_does_the_others_no_harm() {
    let vhost = Vhost::new();
    let mut desk = Desk::new(vhost.server.port(), &vhost.name);
    let (_bus, channel) = application(&vhost);
    desk.open("before");
    let options = QueueDeclareOptions {
        durable: true,
        arguments: milliseconds("x-message-ttl"),
        ..QueueDeclareOptions::default()
    };
    channel
        .queue_declare("events_bad", options)
        .expect("declared");
    for dialog in ["one", "bad", "other"] {
        desk.topics.open(dialog).expect("opened");
    }
    let why = desk.refusal("bad");
    assert!(
        why.contains("events_bad") && why.contains("x-message-ttl"),
        "{why}"
    );
    for dialog in ["before", "one", "other"] {
        let queue = format!("commands_{dialog}");
        declare(&channel, &queue);
        send(&channel, &queue, b"{}");
        assert_eq!(desk.command(dialog), (b"{}".to_vec(), false));
    }
    // It is removed all the same.
    desk.topics.close("bad");
    wait_until("its queues go", SOON, || {
        desk.topics.attend();
        vhost.queues("events_bad").is_empty()
    });
    assert!(!desk.link.is_lost());
}

#[test]
fn queues_that_we_may_not_read_or_declare() {
    let vhost = Vhost::new();
    let mut desk = Desk::new(vhost.server.port(), &vhost.name);
    let (_bus, channel) = application(&vhost);
    desk.open("good");
    desk.wait_for_readers(&vhost, "commands_good", 1);
    let not = |name: &str| format!("<<\"^(?!{name}).*$\">>");
    let allowed = vhost.server.eval(&format!(
        "rabbit_auth_backend_internal:set_permissions(<<\"{BUS_USER}\">>,<<\"{}\">>,{},<<\".*\">>,{},<<\"t\">>)",
        vhost.name,
        not("responses_undeclared"),
        not("commands_unread"),
    ));
    assert_eq!(allowed, "ok");
    desk.open("unread");
    let why = desk.refusal("unread");
    assert!(why.contains("read commands_unread"), "{why}");
    desk.open("undeclared");
    let why = desk.refusal("undeclared");
    assert!(why.contains("responses_undeclared"), "{why}");
    desk.open("new");
    for dialog in ["good", "new"] {
        let queue = format!("commands_{dialog}");
        desk.wait_for_readers(&vhost, &queue, 1);
        send(&channel, &queue, b"{}");
        assert_eq!(desk.command(dialog).0, b"{}");
    }
    assert!(!desk.link.is_lost());
}

#[test]
fn poison_on_a_command_queue() {
    let vhost = Vhost::new();
    let mut desk = Desk::new(vhost.server.port(), &vhost.name);
    desk.open("d");
    desk.wait_for_readers(&vhost, "commands_d", 1);
    let mut publisher = RawPublisher::connect(vhost.server.port(), &vhost.name);
    let odd = RawProperties {
        correlation_id: Some(b"\xff\xfe\x80".to_vec()),
        reply_to: Some(b"\xc3\x28".to_vec()),
        headers: Some([short(b"\xff"), b"S".to_vec(), long(b"\xfe")].concat()),
    };
    let nested = RawProperties {
        headers: Some(nested_table(10_000)),
        ..RawProperties::default()
    };
    let (plain, large) = (RawProperties::default(), vec![b'x'; 20 * 1024 * 1024]);
    let messages: [(&RawProperties, &[u8]); 5] = [
        (&odd, b"odd"),
        (&nested, b"nested"),
        (&plain, &large),
        (&plain, b""),
        (&plain, b"\xff\xfe"),
    ];
    for (properties, body) in messages {
        publisher.publish("", b"commands_d", properties, body);
        publisher.flush();
        let (came, redelivered) = desk.command("d");
        assert!(came == body[..body.len().min(LARGEST_REQUEST + 1)]);
        assert!(!redelivered);
    }
    desk.wait_for_readers(&vhost, "commands_d", 1);
    for name in [&"x".repeat(250), "\u{fc}ber"] {
        let opened = desk.topics.open(name);
        assert_eq!(opened.is_ok(), name.len() < 200, "{opened:?}");
    }
    desk.topics.close(&"x".repeat(250));
    desk.topics.attend();
    assert!(!desk.link.is_lost());
}

#[test]
fn an_application_whose_queue_is_another() {
    let vhost = Vhost::new();
    let (_bus, channel) = application(&vhost);
    let options = QueueDeclareOptions {
        durable: false,
        ..QueueDeclareOptions::default()
    };
    channel
        .queue_declare(APPLICATION, options)
        .expect("declared");
    let link = connect(vhost.server.port(), &vhost.name);
    let why = topics(&*link).err().expect("refused").to_string();
    assert!(
        why.contains("the queue demo") && why.contains("durable"),
        "{why}"
    );
    let gone = QueueDeleteOptions::default();
    channel.queue_delete(APPLICATION, gone).expect("deleted");
    assert!(topics(&*link).is_ok());
}

#[test]
fn a_broker_that_takes_nothing_is_stopped_and_is_killed() {
    let mut server = RabbitServer::start();
    let mut desk = Desk::new(server.port(), "/");
    let bus = RabbitBus::connect(&amqp_url(server.port(), "%2f"));
    let channel = bus.channel();
    desk.open("d");
    declare(&channel, "commands_d");
    server.memory_alarm(true);
    // It says so to those who publish.
    let mut number = 0;
    wait_until("there is no room", SOON, || {
        number += 1;
        let offered = desk.topics.offer(APPLICATION, b"x", LASTS, number);
        desk.topics.attend();
        offered == Err(BusError::Busy)
    });
    server.memory_alarm(false);
    wait_until("there is room", SOON, || {
        number += 1;
        desk.topics.offer(APPLICATION, b"x", LASTS, number).is_ok()
    });
    wait_until("all is taken", SOON, || {
        desk.topics.attend();
        desk.heard.try_recv() == Ok(Heard::Taken(number))
    });
    server.pause();
    let mut longest = Duration::ZERO;
    let mut timed = |work: &mut dyn FnMut(&mut dyn Topics)| {
        let began = Instant::now();
        work(&mut *desk.topics);
        longest = longest.max(began.elapsed());
    };
    for turn in 0..2000 {
        let dialog = format!("s{turn}");
        timed(&mut |topics| assert!(topics.open(&dialog).is_ok()));
        timed(&mut |topics| {
            let _ = topics.offer(APPLICATION, &[b'x'; 1000], LASTS, 10_000 + turn);
        });
        timed(&mut |topics| topics.close(&dialog));
        timed(&mut |topics| topics.attend());
    }
    server.resume();
    send(&channel, "commands_d", b"after");
    wait_until("it is heard", SOON, || {
        timed(&mut |topics| topics.attend());
        matches!(desk.heard.try_recv(), Ok(Heard::Command { body, .. }) if body == b"after")
    });
    assert!(longest < AT_ONCE, "{longest:?}");
    server.kill();
    wait_until("the link is lost", SOON, || desk.link.is_lost());
    assert_eq!(desk.topics.open("e"), Err(BusError::Lost));
    let offered = desk.topics.offer(APPLICATION, b"x", LASTS, 1);
    assert_eq!(offered, Err(BusError::Lost));
    desk.topics.close("d");
    desk.topics.attend();
    assert!(
        desk.topics.unfinished().contains(&"d".into()),
        "for the next link"
    );
    assert_eq!(topics(&*desk.link).err(), Some(BusError::Lost));
}
