//! Messages and numbers of messages that are meant to hurt: none ends a link or makes the proxy grow.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::support::amqp::{RawProperties, RawPublisher, long, short};
use crate::support::bus::{BusKind, Messages, Server, on_each_bus};
use crate::support::nats_raw::RawNats;
use crate::support::rig::Rig;
use crate::support::server::{Reply, Request};
use crate::support::wait::{SOON, wait_until};

on_each_bus!(
    requests_at_the_bound_of_their_size_and_over,
    events_and_answers_that_the_bus_does_not_take_cost_only_themselves,
    large_answers_at_once_all_arrive,
    json_nested_deeply,
    ids_that_are_huge,
    requests_that_nobody_wants_an_answer_to,
    many_dialogs,
    an_entity_with_more_dialogs_than_it_may_have,
);

/// What comes and goes, whatever is asked, in KiB.
const UNEVEN: usize = 16 * 1024;

/// A request of exactly `size` bytes that does nothing.
fn of_size(size: usize) -> String {
    let (open, close) = (r#"{"kind":"AsteriskInfo","key":null,"x":""#, r#""}"#);
    let fill = size - open.len() - close.len();
    format!("{open}{}{close}", "x".repeat(fill))
}

/// It has served all the time, on the links it had.
fn unharmed(rig: &mut Rig) {
    assert!(rig.proxy.is_running());
    assert_eq!(rig.probe(), None);
    let lines = rig.proxy.lines();
    for bad in [": lost", "connecting again", "panicked", "overflow"] {
        let said = lines.iter().any(|line| line.contains(bad));
        assert!(!said, "{bad} in {lines:#?}");
    }
}

/// Binds `dialog` to `channel` by requests that are sent all at once, `TOGETHER` at a time.
fn bind_all(rig: &Rig, answers: &Messages, bindings: &[(String, String)]) {
    const TOGETHER: usize = 500;
    for bindings in bindings.chunks(TOGETHER) {
        for (channel, dialog) in bindings {
            let key = json!({"kind": "channel", "id": channel, "dialog": dialog});
            let request = json!({"kind": "ChannelSubscribe", "key": key}).to_string();
            let subject = rig.subject("command");
            rig.bus.publish_request(&subject, "bound.x", request);
        }
        rig.bus.flush();
        for answer in answers.take(bindings.len()) {
            assert_eq!(answer.json(), json!({"error": ""}));
        }
    }
}

fn requests_at_the_bound_of_their_size_and_over(on: BusKind) {
    const LARGEST: usize = 64 * 1024;
    let mut rig = Rig::start(on);
    let subject = rig.subject("data");
    for (size, fits) in [
        (LARGEST - 1, true),
        (LARGEST, true),
        (LARGEST + 1, false),
        // As much as NATS takes by default.
        (1024 * 1024, false),
    ] {
        let answer = rig.bus.ask_raw(&subject, of_size(size).as_bytes());
        let error = answer["error"].as_str().unwrap_or("none");
        assert_eq!(error.is_empty(), fits, "{size}: {error}");
        assert!(fits || error.contains("larger than 65536 bytes"), "{error}");
    }
    let before = rig.proxy.rss_kib();
    for _ in 0..100 {
        rig.bus.publish(&subject, of_size(1024 * 1024));
    }
    assert_eq!(rig.probe(), None);
    let grown = rig.proxy.rss_kib().saturating_sub(before);
    assert!(grown < 48 * 1024, "{grown} KiB more");
    unharmed(&mut rig);
}

fn events_and_answers_that_the_bus_does_not_take_cost_only_themselves(on: BusKind) {
    const MOST: usize = 1024 * 1024;
    let mut rig = Rig::start(on);
    rig.bind("ChannelSubscribe", "channel", "a", "d");
    let events = rig.bus.subscribe("ari.event.>");
    let of_dialog = rig.bus.subscribe("ari.dialogevent.>");
    let event = |size: usize| {
        let (open, close) = (r#"{"type":"X","channel":{"id":"a"},"x":""#, r#""}"#);
        format!(
            "{open}{}{close}",
            "x".repeat(size - open.len() - close.len())
        )
    };
    let takes = |size: usize| on == BusKind::RabbitMq || size <= MOST;
    // What comes to dialogs is larger by 13 bytes.
    for size in [MOST - 14, MOST - 12, MOST, MOST + 1, 5 * MOST, 100] {
        let event = event(size);
        rig.asterisk.push(&event);
        if takes(size) {
            assert_eq!(events.expect("the event").data.len(), size);
        }
        if takes(size + 13) {
            assert_eq!(of_dialog.expect("of the dialog").data.len(), size + 13);
        }
    }
    for size in [MOST - 200, MOST, 5 * MOST, 9 * MOST, 100] {
        let body = json!({"id": "a", "x": "x".repeat(size)});
        rig.asterisk.on(move |request: &Request| {
            request
                .path
                .starts_with("/ari/channels")
                .then(|| Reply::ok(&body))
        });
        let request = json!({"kind": "ChannelData", "key": {"kind": "channel", "id": "a"}});
        let answer = rig.ask("data", &request);
        let error = answer["error"].as_str().unwrap_or("none");
        // Of Asterisk at most 8 MiB are taken.
        let fits = takes(size + 200) && size < 8 * MOST;
        assert_eq!(error.is_empty(), fits, "{size}: {error}");
    }
    assert_eq!(events.arrived(), []);
    assert_eq!(of_dialog.arrived(), []);
    unharmed(&mut rig);
}

fn large_answers_at_once_all_arrive(on: BusKind) {
    let mut rig = Rig::start(on);
    let sizes: &[(usize, usize)] = match on {
        BusKind::Nats => &[(150_000, 100), (1_000_000, 40)],
        // More than may be on their way at once, and one that is as much alone.
        BusKind::RabbitMq => &[(150_000, 100), (1_000_000, 40), (7_000_000, 4)],
    };
    for &(size, count) in sizes {
        let body = json!({"id": "a", "x": "x".repeat(size)});
        rig.asterisk.on(move |request: &Request| {
            let channel = request.path.starts_with("/ari/channels");
            channel.then(|| Reply::ok(&body))
        });
        let request = json!({"kind": "ChannelData", "key": {"kind": "channel", "id": "a"}});
        let subject = rig.subject("data");
        let asked: Vec<Messages> = (0..count)
            .map(|_| rig.bus.send(&subject, request.to_string()))
            .collect();
        for answers in &asked {
            assert!(answers.expect("an answer").data.len() > size);
        }
    }
    unharmed(&mut rig);
}

fn json_nested_deeply(on: BusKind) {
    let mut rig = Rig::start(on);
    rig.bind("ChannelSubscribe", "channel", "a", "d");
    let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    let objects = |depth: usize| format!("{}0{}", r#"{"a":"#.repeat(depth), "}".repeat(depth));
    let parties =
        |depth: usize| format!("{}0{}", r#"{"refer_to":"#.repeat(depth), "}".repeat(depth));
    let subject = rig.subject("command");
    for deep in [nested(30_000), "[".repeat(60_000), objects(9_000)] {
        for request in [
            deep.clone(),
            format!(r#"{{"kind":"ChannelAnswer","key":{deep}}}"#),
            format!(r#"{{"kind":"ChannelAnswer","key":{{"id":{deep}}}}}"#),
            format!(r#"{{"kind":"ChannelAnswer","key":{{"id":"a"}},"x":{deep}}}"#),
        ] {
            let answer = rig.bus.ask_raw(&subject, request.as_bytes());
            assert_ne!(answer["error"], "", "{answer}");
        }
    }
    let events = rig.bus.subscribe("ari.event.>");
    for deep in [nested(100_000), objects(100_000), parties(50_000)] {
        for event in [
            format!(r#"{{"type":"X","x":{deep},"channel":{{"id":"a"}}}}"#),
            format!(r#"{{"type":"X","channel":{deep}}}"#),
            format!(r#"{{"type":"X","channel":{{"id":"a","x":{deep}}}}}"#),
            format!(r#"{{"type":"X","bridge":{{"channels":{deep}}}}}"#),
            format!(r#"{{"type":"ApplicationReplaced","application":{deep}}}"#),
            format!(r#"{{"type":"X","refer_to":{deep}}}"#),
        ] {
            rig.asterisk.push(&event);
            assert_eq!(events.expect("the event").data, event.as_bytes());
        }
    }
    unharmed(&mut rig);
}

fn ids_that_are_huge(on: BusKind) {
    let mut rig = Rig::start(on);
    let ask = |id: &str, dialog: &str| {
        let key = json!({"kind": "channel", "id": id, "dialog": dialog});
        let answer = rig.ask("command", &json!({"kind": "ChannelSubscribe", "key": key}));
        answer["error"].as_str().unwrap_or("none").to_owned()
    };
    assert_eq!(ask(&"i".repeat(1024), &"d".repeat(200)), "");
    assert_ne!(ask(&"i".repeat(1025), "d"), "");
    assert_ne!(ask(&"i".repeat(60_000), "d"), "");
    assert_ne!(ask("i", &"d".repeat(201)), "");
    assert_ne!(ask("i", &"d".repeat(60_000)), "");
    for dialog in [
        "a b",
        "a\r\nPUB x 0\r\n",
        "*",
        ">",
        "a.*",
        "#",
        "\t",
        "a..b",
    ] {
        assert_ne!(ask("i", dialog), "", "{dialog:?}");
    }
    // Events may say what they like.
    let events = rig.bus.subscribe("ari.event.>");
    let of_dialog = rig.bus.subscribe("ari.dialogevent.>");
    for id in ["i".repeat(1024), "i".repeat(900_000)] {
        for kind in ["X", "ChannelDestroyed"] {
            let event = format!(r#"{{"type":"{kind}","channel":{{"id":"{id}"}}}}"#);
            rig.asterisk.push(&event);
            assert_eq!(events.expect("the event").data, event.as_bytes());
        }
    }
    of_dialog.take(2);
    unharmed(&mut rig);
}

fn requests_that_nobody_wants_an_answer_to(on: BusKind) {
    let count = match on {
        BusKind::Nats => 50_000,
        BusKind::RabbitMq => 5_000,
    };
    let mut rig = Rig::start(on);
    let send = |count: usize| {
        let request = json!({"kind": "ChannelData", "key": {"id": "a"}}).to_string();
        for _ in 0..count {
            rig.bus.hand_over(&rig.subject("data"), &request);
        }
        rig.bus.flush();
        wait_until("it serves", SOON, || rig.probe().is_none());
    };
    send(count / 10);
    rig.asterisk.forget();
    let before = rig.proxy.rss_kib();
    send(count);
    let grown = rig.proxy.rss_kib().saturating_sub(before);
    println!(
        "{on:?}: {count} requests, {} carried out, {grown} KiB more",
        rig.asterisk.calls().len()
    );
    assert!(grown < UNEVEN, "{grown} KiB more");
    unharmed(&mut rig);
}

fn many_dialogs(on: BusKind) {
    let most = match on {
        BusKind::Nats => 100_000,
        BusKind::RabbitMq => 5_000,
    };
    let mut rig = Rig::with(on, |proxy| proxy.env("DIALOGS_MAX", most.to_string()));
    let answers = rig.bus.subscribe("bound.*");
    let events = rig.bus.subscribe("ari.dialogevent.>");
    let name = |n: usize| (format!("{}.{n}", 1_700_000_000 + n), format!("dialog-{n}"));
    let latency = |numbers: std::ops::Range<usize>| {
        let mut took: Vec<Duration> = numbers
            .map(|n| {
                let (channel, dialog) = name(n);
                let start = Instant::now();
                rig.asterisk
                    .push(format!(r#"{{"type":"X","channel":{{"id":"{channel}"}}}}"#));
                let subject = events.expect("of the dialog").subject;
                assert!(subject.ends_with(&dialog), "{subject} of {channel}");
                start.elapsed()
            })
            .collect();
        took.sort();
        (took[took.len() / 2], took[took.len() * 99 / 100])
    };
    let names: Vec<_> = (0..most + most / 10).map(name).collect();
    let empty = rig.proxy.rss_kib();
    bind_all(&rig, &answers, &names[..100]);
    let few = latency(0..100);
    let start = Instant::now();
    bind_all(&rig, &answers, &names[100..most]);
    let (took, full) = (start.elapsed(), rig.proxy.rss_kib());
    let many = latency(most - 500..most);
    // Beyond the bound the oldest go.
    bind_all(&rig, &answers, &names[most..]);
    let over = rig.proxy.rss_kib();
    println!(
        "{on:?}: {most} dialogs in {took:?}, {empty} KiB before, {full} with them, {over} after a tenth \
         more; an event takes p50 and p99 {few:?} with a hundred, {many:?} with all"
    );
    latency(most..most + 100);
    let (oldest, _) = name(0);
    rig.asterisk
        .push(format!(r#"{{"type":"X","channel":{{"id":"{oldest}"}}}}"#));
    latency(most + 100..most + 200);
    assert_eq!(events.arrived(), [], "of one that had to go");
    assert!(
        full < empty + most * 2 / 3 + UNEVEN,
        "{empty} KiB, {full} with {most}"
    );
    assert!(
        over < full + full / 4 + UNEVEN,
        "{full} KiB, {over} after a tenth more"
    );
    unharmed(&mut rig);
}

fn an_entity_with_more_dialogs_than_it_may_have(on: BusKind) {
    const MOST: usize = 1024;
    let mut rig = Rig::start(on);
    let answers = rig.bus.subscribe("bound.*");
    let names: Vec<_> = (0..MOST + 100)
        .map(|n| ("a".to_owned(), format!("dialog-{n}")))
        .collect();
    bind_all(&rig, &answers, &names);
    let events = rig.bus.subscribe("ari.dialogevent.>");
    rig.asterisk.push(r#"{"type":"X","channel":{"id":"a"}}"#);
    let came: HashSet<String> = events.take(MOST).into_iter().map(|m| m.subject).collect();
    assert_eq!(came.len(), MOST, "each once");
    // Which of those that were asked for at the same time are older is not known.
    let newest = &names[600..];
    let all = newest
        .iter()
        .all(|(_, dialog)| came.contains(&format!("ari.dialogevent.{dialog}")));
    assert!(all, "the newest");
    // Each of these is as much as a thousand; they pass by, and nothing piles up.
    let before = rig.proxy.rss_kib();
    let of_all = rig.bus.subscribe("ari.event.>");
    let filler = "x".repeat(2_000);
    for n in 0..10 {
        rig.asterisk.push(format!(
            r#"{{"type":"X","n":{n},"channel":{{"id":"a"}},"x":"{filler}"}}"#
        ));
    }
    rig.asterisk
        .push(r#"{"type":"ChannelDestroyed","channel":{"id":"a"}}"#);
    rig.asterisk.push(r#"{"type":"X","channel":{"id":"a"}}"#);
    of_all.take(12);
    events.take(11 * MOST);
    let more = events.next(Duration::from_millis(100));
    assert_eq!(more, None, "ended with the channel");
    let grown = rig.proxy.rss_kib().saturating_sub(before);
    assert!(grown < 24 * 1024, "{grown} KiB more");
    unharmed(&mut rig);
}

#[test]
fn nats_reply_subjects_that_cannot_be_published_to() {
    let mut rig = Rig::start(BusKind::Nats);
    let mut nats = RawNats::connect(rig.server.port());
    let subject = rig.subject("data");
    let request = br#"{"kind":"AsteriskInfo","key":null}"#;
    let long = format!("a.{}", "b".repeat(3_000));
    let (own, ping) = (rig.subject("data"), "ari.ping");
    for reply in [
        "*", ">", "a.*", "a.>", ".", "a..b", "a.", "\u{1}", "a\u{7f}b", "$SYS.x", "$JS.API", &long,
        &own, ping,
    ] {
        nats.publish(&subject, reply, "", request);
        nats.flush();
        assert_eq!(rig.probe(), None, "after {reply:?}");
    }
    unharmed(&mut rig);
}

#[test]
fn nats_headers_by_the_thousand() {
    let mut rig = Rig::start(BusKind::Nats);
    let mut nats = RawNats::connect(rig.server.port());
    nats.subscribe("flooded.*");
    let subject = rig.subject("data");
    let request = br#"{"kind":"AsteriskInfo","key":null}"#;
    let many: String = (0..6_000).map(|n| format!("K{n}: v\r\n")).collect();
    let same: String = (0..6_000).map(|n| format!("K: {n}\r\n")).collect();
    let long = format!("K: {}\r\n", "v".repeat(900_000));
    let named = format!("{}: v\r\n", "K".repeat(900_000));
    let none = "K:\r\n".repeat(6_000);
    let before = rig.proxy.rss_kib();
    for (number, headers) in [many, same, long, named, none].iter().enumerate() {
        for _ in 0..20 {
            nats.publish(&subject, &format!("flooded.{number}"), headers, request);
        }
        for _ in 0..20 {
            let (reply, body) = nats.message();
            assert_eq!(reply, format!("flooded.{number}"));
            assert!(body.starts_with(br#"{"error":"""#), "{number}");
        }
    }
    let grown = rig.proxy.rss_kib().saturating_sub(before);
    assert!(grown < 64 * 1024, "{grown} KiB more");
    unharmed(&mut rig);
}

#[test]
fn rabbitmq_reply_addresses_and_headers_by_the_thousand() {
    let mut rig = Rig::start(BusKind::RabbitMq);
    let Server::Vhost(vhost) = &rig.server else {
        panic!("no virtual host");
    };
    let mut publisher = RawPublisher::connect(vhost.server.port(), &vhost.name);
    let entries = |count: usize| -> Vec<u8> {
        let entry = |n: usize| [short(format!("K{n}").as_bytes()), b"S".to_vec(), long(b"v")];
        (0..count).flat_map(entry).flatten().collect()
    };
    let subject = rig.subject("data");
    let request = br#"{"kind":"AsteriskInfo","key":null}"#;
    for reply in [
        "*",
        "#",
        "a b",
        "a\r\nb",
        "\u{0}",
        "\u{7f}",
        "ari.request",
        "amq.direct",
        &"q".repeat(255),
        "",
    ] {
        let properties = RawProperties {
            reply_to: Some(reply.as_bytes().to_vec()),
            correlation_id: Some("c".repeat(255).into_bytes()),
            headers: Some(entries(5_000)),
        };
        publisher.publish("ari.request", subject.as_bytes(), &properties, request);
        publisher.flush();
        assert_eq!(rig.probe(), None, "after {reply:?}");
    }
    unharmed(&mut rig);
}
