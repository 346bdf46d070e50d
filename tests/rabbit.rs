//! What a proxy makes of a RabbitMQ broker: exchanges, queues, properties.

use std::time::Duration;

use amiquip::{
    AmqpProperties, AmqpValue, ExchangeDeclareOptions, ExchangeType, FieldTable, QueueDeleteOptions,
};
use serde_json::{Value, json};

use crate::support::asterisk::{Asterisk, ENTITY_ID};
use crate::support::bus::{Bus, BusKind, Messages, Server};
use crate::support::proxy::{ProxyBuilder, ProxyProcess};
use crate::support::rabbitmq::{RabbitServer, Vhost, wait_queue};
use crate::support::rabbitmq_client::{Post, declare, milliseconds};
use crate::support::rig::{APPLICATION, Rig};
use crate::support::server::Reply;
use crate::support::wait::{SOON, wait_until};

/// The queues that proxies share.
pub(crate) const SHARED_QUEUES: [&str; 3] = [
    "ariproxy-ari.create",
    "ariproxy-ari.create.conf",
    "ariproxy-ari.create.conf.02:42:ac:11:00:02",
];

/// The virtual host of a rig.
pub(crate) fn vhost(rig: &Rig) -> &Vhost {
    match &rig.server {
        Server::Vhost(vhost) => vhost,
        _ => panic!("no virtual host"),
    }
}

/// A proxy at a virtual host.
pub(crate) fn proxy_at(vhost: &Vhost, asterisk: &Asterisk) -> ProxyProcess {
    ProxyBuilder::new(APPLICATION, asterisk, &vhost.url()).spawn()
}

/// Waits until a proxy listens for creates at its own level, which comes last.
pub(crate) fn wait_serving(vhost: &Vhost) {
    for queue in SHARED_QUEUES {
        wait_queue(vhost, queue, "a consumer of creates", |_, consumers| {
            consumers > 0
        });
    }
}

/// A create request, with what says that it was done: a POST.
pub(crate) fn create() -> Value {
    json!({"kind": "BridgeCreate", "key": {"kind": "bridge", "id": "b"},
        "bridge_create": {"type": "mixing"}})
}

/// An Asterisk that makes whatever it is asked to.
pub(crate) fn obliging() -> Asterisk {
    let asterisk = Asterisk::start();
    asterisk.on(|request| (request.method == "POST").then(Reply::done));
    asterisk
}

/// How many things this Asterisk was asked to make.
pub(crate) fn made(asterisk: &Asterisk) -> usize {
    let calls = asterisk.calls();
    calls.iter().filter(|call| call.method == "POST").count()
}

pub(crate) fn error(answers: &Messages) -> String {
    let answer = answers.expect("an answer").json();
    answer["error"].as_str().expect("an error").to_owned()
}

#[test]
fn exchanges_and_queues_are_those_of_the_go_program() {
    let vhost = Vhost::new();
    let asterisk = Asterisk::start();
    let _proxy = proxy_at(&vhost, &asterisk);
    wait_serving(&vhost);
    let columns = [
        "name",
        "type",
        "durable",
        "auto_delete",
        "internal",
        "arguments",
    ];
    let exchange = |name: &str, kind: &str| {
        json!({"name": name, "type": kind, "durable": true, "auto_delete": false,
            "internal": false, "arguments": []})
    };
    let expected = [
        exchange("ari.announce", "fanout"),
        exchange("ari.event", "topic"),
        exchange("ari.ping", "fanout"),
        exchange("ari.request", "topic"),
    ];
    let mut exchanges = vhost.list("list_exchanges", &columns, "ari.");
    exchanges.sort_by_key(|exchange| exchange["name"].to_string());
    assert_eq!(exchanges, expected);

    let columns = ["name", "durable", "exclusive", "auto_delete", "arguments"];
    let queues = vhost.list("list_queues", &columns, "");
    let bindings = vhost.list(
        "list_bindings",
        &[
            "source_name",
            "destination_name",
            "routing_key",
            "arguments",
        ],
        "ari.",
    );
    let bound = |queue: &Value| -> Vec<(String, String)> {
        let text = |row: &Value, column: &str| row[column].as_str().unwrap_or_default().to_owned();
        let of_it = bindings
            .iter()
            .filter(|b| b["destination_name"] == queue["name"]);
        let mut bound: Vec<_> = of_it
            .map(|b| (text(b, "source_name"), text(b, "routing_key")))
            .collect();
        bound.sort();
        bound
    };
    let levels = |class: &str| -> Vec<(String, String)> {
        let key = |level: &str| ("ari.request".to_owned(), format!("ari.{class}{level}"));
        vec![key(""), key(".conf"), key(&format!(".conf.{ENTITY_ID}"))]
    };
    let mut own = Vec::new();
    for queue in &queues {
        assert_eq!(queue["durable"], true, "{queue}");
        assert_eq!(queue["exclusive"], false, "{queue}");
        assert_eq!(queue["auto_delete"], false, "{queue}");
        let name = queue["name"].as_str().expect("a name");
        if let Some(subject) = name.strip_prefix("ariproxy-") {
            assert!(SHARED_QUEUES.contains(&name), "{name}");
            // RabbitMQ 4 shows what it has filled in.
            let mut arguments = queue["arguments"].as_array().cloned().unwrap_or_default();
            arguments.retain(|argument| argument[0] != "x-queue-type");
            assert_eq!(arguments, [] as [Value; 0], "{queue}");
            let binding = ("ari.request".to_owned(), subject.to_owned());
            assert_eq!(bound(queue), [binding], "{queue}");
        } else {
            let arguments = queue["arguments"].to_string();
            assert!(
                arguments.contains("x-expires") && arguments.contains("30000"),
                "{queue}"
            );
            assert!(!arguments.contains("x-message-ttl"), "{queue}");
            own.extend(bound(queue));
        }
    }
    own.sort();
    let mut expected = [levels("get"), levels("data"), levels("command")].concat();
    expected.push(("ari.ping".to_owned(), "ari.ping".to_owned()));
    expected.sort();
    assert_eq!(own, expected);
    let shared = queues.iter().filter(|queue| {
        let name = queue["name"].as_str();
        name.is_some_and(|name| name.starts_with("ariproxy-"))
    });
    assert_eq!(shared.count(), 3, "{queues:?}");
}

#[test]
fn the_first_event_on_a_fresh_broker_arrives() {
    let vhost = Vhost::new();
    let asterisk = Asterisk::start();
    let proxy = proxy_at(&vhost, &asterisk);
    asterisk.wait_websockets(1);
    // Nobody has declared anything; what is sent now may have no exchange yet, and no queue.
    asterisk.push(r#"{"type":"Early"}"#);
    wait_serving(&vhost);
    let bus = Bus::connect(&vhost.url());
    let events = bus.subscribe("ari.event.>");
    asterisk.push(r#"{"type":"First"}"#);
    assert_eq!(events.expect("the event").json()["type"], "First");
    let lost = proxy.lines().iter().any(|line| line.contains("lost"));
    assert!(!lost, "the link was lost: {:#?}", proxy.lines());
}

#[test]
fn the_first_request_on_a_fresh_broker_is_answered() {
    let vhost = Vhost::new();
    let asterisk = Asterisk::start();
    let _proxy = proxy_at(&vhost, &asterisk);
    wait_serving(&vhost);
    let bus = Bus::connect(&vhost.url());
    let answer = bus.ask("ari.data", &json!({"kind": "AsteriskInfo", "key": null}));
    assert_eq!(answer["error"], "");
}

#[test]
fn the_first_announcement_on_a_fresh_broker_arrives() {
    let vhost = Vhost::new();
    let asterisk = Asterisk::start();
    let _proxy = proxy_at(&vhost, &asterisk);
    wait_serving(&vhost);
    let bus = Bus::connect(&vhost.url());
    let announcements = bus.subscribe("ari.announce");
    bus.publish("ari.ping", "");
    assert_eq!(announcements.expect("on ping").json()["node"], ENTITY_ID);
}

#[test]
fn what_is_published_has_the_properties_of_the_go_program() {
    let rig = Rig::start(BusKind::RabbitMq);
    let messages = rig.bus.subscribe("ari.>");
    let announcements = rig.bus.subscribe("ari.announce");
    rig.bind("ChannelSubscribe", "channel", "c", "d");
    rig.asterisk.push(r#"{"type":"X","channel":{"id":"c"}}"#);
    rig.bus.publish("ari.ping", "");
    let mut got = messages.take(2);
    got.push(announcements.expect("on ping"));
    for message in got {
        let properties = &message.properties;
        assert_eq!(
            properties.content_type().as_deref(),
            Some("application/json"),
            "{message:?}"
        );
        assert_eq!(
            properties.expiration().as_deref(),
            Some("30000"),
            "{message:?}"
        );
        // Transient, in so many words or by saying nothing.
        assert_ne!(*properties.delivery_mode(), Some(2), "{message:?}");
    }
}

#[test]
fn what_is_larger_than_a_frame_leaves_in_several() {
    let server = RabbitServer::start();
    // The smallest that the protocol allows: 4088 bytes of a body.
    server.eval("application:set_env(rabbit, frame_max, 4096)");
    let rig = Rig::on(Server::RabbitMq(server), |proxy| proxy);
    let events = rig.bus.subscribe("ari.event.>");
    let event = |filler: &str| format!("{{\"type\":\"Large\",\"x\":\"{filler}\"}}");
    for size in [4087, 4088, 4089, 8176, 8177, 100_000] {
        let event = event(&"x".repeat(size - event("").len()));
        rig.asterisk.push(event.clone());
        let came = events.expect("the event");
        assert_eq!(came.data.len(), size);
        assert!(came.data == event.as_bytes(), "{size}");
    }
    let channels: Vec<Value> = (0..5000)
        .map(|number| json!({"id": format!("channel-{number}")}))
        .collect();
    rig.asterisk.on(move |request| {
        let list = request.path.ends_with("/channels");
        list.then(|| Reply::ok(&json!(channels)))
    });
    let answer = rig.ask("get", &json!({"kind": "ChannelList", "key": null}));
    assert!(answer.to_string().contains("channel-4999"));
    let lost = rig.proxy.lines().iter().any(|line| line.contains("lost"));
    assert!(!lost, "{:#?}", rig.proxy.lines());
}

#[test]
fn correlation_ids_are_echoed_to_direct_answers_and_to_queues() {
    let rig = Rig::start(BusKind::RabbitMq);
    let info = json!({"kind": "AsteriskInfo", "key": null}).to_string();
    let direct = rig.bus.send("ari.data", &info).expect("an answer");
    let id = direct.properties.correlation_id().clone();
    assert!(id.is_some_and(|id| id.starts_with("request-")));
    let content = direct.properties.content_type().clone();
    assert_eq!(content.as_deref(), Some("application/json"));

    let bus = rig.bus.rabbitmq();
    let answers = Messages::RabbitMq(bus.subscribe("answers.*"));
    for correlation in [Some("first"), None, Some("ü \"' \n"), Some("")] {
        let mut properties = AmqpProperties::default().with_reply_to("answers".into());
        if let Some(correlation) = correlation {
            properties = properties.with_correlation_id(correlation.into());
        }
        bus.post(Post {
            subject: "ari.data".into(),
            body: info.clone().into_bytes(),
            properties,
        });
        let answer = answers.expect("an answer");
        assert_eq!(answer.json()["error"], "");
        let echoed = answer.properties.correlation_id().clone();
        assert_eq!(
            echoed.filter(|id| !id.is_empty()).as_deref(),
            correlation.filter(|id| !id.is_empty())
        );
    }
}

#[test]
fn an_answer_that_nobody_takes_does_no_harm() {
    let rig = Rig::start(BusKind::RabbitMq);
    for _ in 0..20 {
        rig.bus.rabbitmq().post(Post {
            subject: "ari.data".into(),
            body: json!({"kind": "AsteriskInfo", "key": null})
                .to_string()
                .into(),
            properties: AmqpProperties::default().with_reply_to("no such queue".into()),
        });
    }
    assert_eq!(rig.probe(), None);
    let lost = rig
        .proxy
        .lines()
        .iter()
        .any(|line| line.contains("lost the"));
    assert!(!lost, "{:#?}", rig.proxy.lines());
}

#[test]
fn a_refusal_that_the_broker_cuts_within_a_character() {
    let vhost = Vhost::new();
    let bus = Bus::connect(&vhost.url());
    let channel = bus.rabbitmq().channel();
    let mut arguments = FieldTable::new();
    let long = format!("a{}", "ü".repeat(100));
    arguments.insert("x-dead-letter-exchange".into(), AmqpValue::LongString(long));
    declare(&channel, SHARED_QUEUES[1], arguments, "ari.create.conf");
    let events = bus.subscribe("ari.event.>");
    let asterisk = obliging();
    let proxy = proxy_at(&vhost, &asterisk);
    let line = proxy.wait_log("refuses");
    assert!(line.contains(SHARED_QUEUES[1]), "{line}");
    asterisk.wait_websockets(1);
    asterisk.push(r#"{"type":"X"}"#);
    events.expect("an event");
    let lines = proxy.lines();
    assert!(
        !lines.iter().any(|line| line.contains("bus: lost")),
        "{lines:#?}"
    );
}

#[test]
fn a_queue_that_others_declared_otherwise_is_named_and_all_else_goes_on() {
    let vhost = Vhost::new();
    let bus = Bus::connect(&vhost.url());
    let channel = bus.rabbitmq().channel();
    let queue = SHARED_QUEUES[1];
    declare(
        &channel,
        queue,
        milliseconds("x-message-ttl"),
        "ari.create.conf",
    );
    let events = bus.subscribe("ari.event.>");
    let asterisk = obliging();
    let proxy = proxy_at(&vhost, &asterisk);
    let line = proxy.wait_log("refuses");
    for word in [queue, "x-message-ttl"] {
        assert!(line.contains(word), "{word} in {line}");
    }
    asterisk.wait_websockets(1);
    wait_until("a reading request is answered", SOON, || {
        let info = json!({"kind": "AsteriskInfo", "key": null});
        let answer = bus.try_ask("ari.data.conf", &info, Duration::from_secs(5));
        answer.is_some_and(|answer| answer["error"] == "")
    });
    let key = json!({"kind": "channel", "id": "c"});
    for class in ["get", "command"] {
        let request = json!({"kind": "ChannelSubscribe", "key": key});
        // It is not announced, so that nothing tells when each class is served.
        wait_until("every class is served", SOON, || {
            let subject = format!("ari.{class}.conf");
            let answer = bus.try_ask(&subject, &request, Duration::from_millis(500));
            answer.is_some_and(|answer| answer["error"].is_string())
        });
    }
    asterisk.push(r#"{"type":"X"}"#);
    events.expect("an event");
    channel
        .queue_delete(queue, QueueDeleteOptions::default())
        .expect("deleted");
    wait_until("creates are served", SOON, || {
        let timeout = Duration::from_secs(1);
        let answer = bus.try_ask("ari.create.conf", &create(), timeout);
        answer.is_some_and(|answer| answer["error"] == "")
    });
    let told = proxy
        .lines()
        .iter()
        .filter(|l| l.contains("refuses"))
        .count();
    assert!(told < 20, "a line per attempt: {:#?}", proxy.lines());
}

#[test]
fn a_subscription_that_is_cancelled_is_made_again() {
    let rig = Rig::start(BusKind::RabbitMq);
    let vhost = vhost(&rig);
    let channel = rig.bus.rabbitmq().channel();
    let all = vhost.queues("");
    let (creates, others): (Vec<_>, Vec<_>) = all
        .into_iter()
        .filter(|name| !name.starts_with("tests-"))
        .partition(|name| name.starts_with("ariproxy-"));
    assert_eq!((creates.len(), others.len()), (3, 4));
    for queue in creates.iter().chain(&others) {
        channel
            .queue_delete(queue, QueueDeleteOptions::default())
            .expect("deleted");
    }
    let served = |subject: &str| {
        let info = json!({"kind": "AsteriskInfo", "key": null});
        let answer = rig.bus.try_ask(subject, &info, Duration::from_secs(1));
        answer.is_some_and(|answer| answer["error"] == "")
    };
    for class in ["get", "data", "command", "create"] {
        for level in ["", ".conf", ".conf.02:42:ac:11:00:02"] {
            let subject = format!("ari.{class}{level}");
            wait_until(&subject, SOON, || served(&subject));
        }
    }
    let announcements = rig.bus.subscribe("ari.announce");
    wait_until("pings are heard", SOON, || {
        rig.bus.publish("ari.ping", "");
        announcements.next(Duration::from_millis(200)).is_some()
    });
}

#[test]
fn an_exchange_that_is_deleted_is_declared_again() {
    let rig = Rig::start(BusKind::RabbitMq);
    let channel = rig.bus.rabbitmq().channel();
    channel
        .exchange_delete("ari.event", false)
        .expect("deleted");
    let number = std::cell::Cell::new(0);
    let push = || {
        number.set(number.get() + 1);
        rig.asterisk
            .push(format!("{{\"type\":\"Numbered\",\"n\":{}}}", number.get()));
    };
    // The proxy finds out when it publishes.
    push();
    wait_until("the exchange is there again", SOON, || {
        let exchanges = vhost(&rig).list("list_exchanges", &["name"], "ari.event");
        !exchanges.is_empty()
    });
    let events = rig.bus.subscribe("ari.event.>");
    wait_until("events arrive", SOON, || {
        push();
        events.next(Duration::from_millis(100)).is_some()
    });
    assert_eq!(rig.probe(), None);
}

#[test]
fn exchanges_that_are_made_anew_are_bound_again() {
    let rig = Rig::start(BusKind::RabbitMq);
    let channel = rig.bus.rabbitmq().channel();
    let durable = || ExchangeDeclareOptions {
        durable: true,
        ..ExchangeDeclareOptions::default()
    };
    for (name, kind) in [
        ("ari.request", ExchangeType::Topic),
        ("ari.ping", ExchangeType::Fanout),
    ] {
        channel.exchange_delete(name, false).expect("deleted");
        channel
            .exchange_declare(kind, name, durable())
            .expect("declared");
    }
    // Nobody tells the proxy; it looks every half minute.
    let soon = Duration::from_secs(60);
    let announcements = rig.bus.subscribe("ari.announce");
    wait_until("pings are answered", soon, || {
        rig.bus.publish("ari.ping", "{}");
        announcements.next(Duration::from_millis(300)).is_some()
    });
    for class in ["get", "data", "command", "create"] {
        wait_until("requests are answered", soon, || {
            let info = json!({"kind": "AsteriskInfo", "key": null});
            let answer = rig
                .bus
                .try_ask(&rig.subject(class), &info, Duration::from_millis(300));
            answer.is_some()
        });
    }
}

#[test]
fn an_event_too_large_for_the_broker_holds_up_no_other() {
    let server = RabbitServer::start();
    server.eval("application:set_env(rabbit, max_message_size, 65536)");
    let rig = Rig::on(Server::RabbitMq(server), |proxy| proxy);
    let events = rig.bus.subscribe("ari.event.>");
    let filler = "x".repeat(100_000);
    let event = |number: u64, filler: &str| {
        format!("{{\"type\":\"Numbered\",\"n\":{number},\"x\":\"{filler}\"}}")
    };
    rig.asterisk.push(event(1, ""));
    assert_eq!(events.expect("the first").json()["n"], 1);
    rig.asterisk.push(event(2, &filler));
    rig.asterisk.push(event(3, ""));
    wait_until("what follows arrives", SOON, || {
        let event = events.next(Duration::from_millis(300));
        event.is_some_and(|event| event.json()["n"] == 3)
    });
    rig.asterisk.push(event(4, &filler));
    rig.asterisk.push(event(5, ""));
    assert_eq!(
        events.expect("the fifth").json()["n"],
        5,
        "at once: the limit is known"
    );
}

#[test]
fn an_orderly_end_leaves_no_queue_of_its_own_and_takes_no_creates() {
    let mut rig = Rig::start(BusKind::RabbitMq);
    rig.proxy.signal("TERM");
    assert_eq!(rig.proxy.wait_exit(SOON), Some(0));
    let left = vhost(&rig).queues("");
    let of_the_proxy = left.iter().filter(|name| !name.starts_with("tests-"));
    let mut expected = SHARED_QUEUES.to_vec();
    expected.sort_unstable();
    assert_eq!(of_the_proxy.collect::<Vec<_>>(), expected);
    let answers = rig.bus.send("ari.create.conf", create().to_string());
    wait_queue(
        vhost(&rig),
        SHARED_QUEUES[1],
        "it waits",
        |messages, consumers| messages == 1 && consumers == 0,
    );
    assert!(answers.arrived().is_empty());
}

#[test]
fn defect_14_tls_to_rabbitmq_works_and_needs_a_certificate_of_trust() {
    let vhost = Vhost::new();
    let asterisk = Asterisk::start();
    let bus = Bus::connect(&vhost.url());
    let announcements = bus.subscribe("ari.announce");
    let plain = format!(":{}/", vhost.server.port());
    let tls = format!(":{}/", vhost.server.tls_port());
    let url = vhost
        .url()
        .replace("amqp://", "amqps://")
        .replace(&plain, &tls);
    let stranger = ProxyBuilder::new(APPLICATION, &asterisk, &url).spawn();
    stranger.wait_log("certificate");
    assert!(announcements.arrived().is_empty());
    drop(stranger);
    let authority = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/tls/ca.pem");
    let _proxy = ProxyBuilder::new(APPLICATION, &asterisk, &url)
        .env("SSL_CERT_FILE", authority)
        .spawn();
    announcements.expect("at start");
    let events = bus.subscribe("ari.event.>");
    let filler = "x".repeat(8 * 1024);
    for number in 0..1_024 {
        asterisk.push(format!(
            "{{\"type\":\"X\",\"n\":{number},\"x\":\"{filler}\"}}"
        ));
    }
    for (number, message) in events.take(1_024).iter().enumerate() {
        assert_eq!(message.json()["n"], number);
    }
    let answer = bus.ask("ari.data", &json!({"kind": "AsteriskInfo", "key": null}));
    assert_eq!(answer["error"], "");
}
