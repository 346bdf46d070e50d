//! Messages that no client library would send, over RabbitMQ: they are answered or passed over, and
//! come once.

use std::time::Duration;

use serde_json::json;

use crate::support::amqp::{RawProperties, RawPublisher, long, nested_table, short};
use crate::support::bus::{BusKind, Server};
use crate::support::rig::Rig;
use crate::support::wait::{SOON, wait_until};

/// Sends each of these to every exchange that the proxy reads; then the proxy must be there as
/// before, on the same connection, with nothing left to be delivered again.
fn harmless(what: &str, properties: &RawProperties, keys: &[&[u8]], body: &[u8]) {
    let rig = Rig::start(BusKind::RabbitMq);
    let Server::Vhost(vhost) = &rig.server else {
        panic!("no virtual host");
    };
    let announcements = rig.bus.subscribe("ari.announce");
    let mut publisher = RawPublisher::connect(vhost.server.port(), &vhost.name);
    for key in keys {
        publisher.publish("ari.ping", key, properties, body);
        publisher.flush();
        announcements.expect(what);
    }
    for class in ["get", "data", "command", "create"] {
        let subject = rig.subject(class);
        publisher.publish("ari.request", subject.as_bytes(), properties, body);
        publisher.flush();
    }
    let request = json!({"kind": "AsteriskInfo", "key": null});
    for class in ["get", "data", "command", "create"] {
        assert_eq!(rig.ask(class, &request)["error"], "", "{what}: {class}");
    }
    wait_until("nothing is delivered again", SOON, || {
        let rows = vhost.list("list_queues", &["name", "messages"], "");
        let own = rows.iter().filter(|row| {
            row["name"]
                .as_str()
                .is_some_and(|n| !n.starts_with("tests-"))
        });
        own.map(|row| row["messages"].as_u64().unwrap_or(1))
            .sum::<u64>()
            == 0
    });
    let once = announcements.next(Duration::from_millis(300));
    assert_eq!(once, None, "{what}: one announcement for one ping");
    let lines = rig.proxy.lines();
    for bad in ["lost the", "lost;", "panicked", "overflow"] {
        let said = lines.iter().any(|line| line.contains(bad));
        assert!(!said, "{what}: {bad} in {lines:#?}");
    }
}

#[test]
fn properties_that_are_not_utf_8() {
    let properties = RawProperties {
        correlation_id: Some(b"\xff\xfe\x80".to_vec()),
        reply_to: Some(b"\xc3\x28".to_vec()),
        headers: Some([short(b"\xff"), b"S".to_vec(), long(b"\xfe")].concat()),
    };
    let body = br#"{"kind":"AsteriskInfo","key":null}"#;
    harmless("not UTF-8", &properties, &[b"ari.ping", b"\xff\xff"], body);
}

#[test]
fn headers_nested_deeply() {
    let properties = RawProperties {
        headers: Some(nested_table(10_000)),
        ..RawProperties::default()
    };
    harmless("nested headers", &properties, &[b"ari.ping"], b"{}");
}

#[test]
fn headers_of_every_type_the_broker_takes() {
    let mut headers = Vec::new();
    let values: [(&[u8], &[u8]); 14] = [
        (b"t", b"\x01"),
        (b"b", b"\x80"),
        (b"B", b"\xff"),
        (b"s", b"\x80\x00"),
        (b"u", b"\xff\xff"),
        (b"I", b"\x80\x00\x00\x00"),
        (b"i", b"\xff\xff\xff\xff"),
        (b"l", b"\x80\x00\x00\x00\x00\x00\x00\x00"),
        (b"f", b"\x7f\x7f\xff\xff"),
        (b"d", b"\x7f\xef\xff\xff\xff\xff\xff\xff"),
        (b"D", b"\x02\x00\x00\x00\x07"),
        (b"T", b"\xff\xff\xff\xff\xff\xff\xff\xff"),
        (b"V", b""),
        (b"x", b"\x00\x00\x00\x02\xff\xfe"),
    ];
    for (kind, value) in values {
        headers.extend(short(kind));
        headers.extend(kind);
        headers.extend(value);
    }
    headers.extend(short(b"A"));
    headers.extend(b"A");
    headers.extend(long(b"t\x01Vx\x00\x00\x00\x00"));
    let properties = RawProperties {
        headers: Some(headers),
        ..RawProperties::default()
    };
    harmless("types of fields", &properties, &[b"ari.ping"], b"{}");
}

#[test]
fn bodies_of_twenty_megabytes() {
    let body = vec![b'['; 20 * 1024 * 1024];
    let properties = RawProperties::default();
    harmless("large bodies", &properties, &[b"ari.ping"], &body);
}

#[test]
fn a_reply_address_that_the_broker_cannot_read() {
    let rig = Rig::start(BusKind::RabbitMq);
    let Server::Vhost(vhost) = &rig.server else {
        panic!("no virtual host");
    };
    let events = rig.bus.subscribe("ari.event.>");
    let mut publisher = RawPublisher::connect(vhost.server.port(), &vhost.name);
    let properties = RawProperties {
        reply_to: Some(b"amq.rabbitmq.reply-to.g1h2.x".to_vec()),
        ..RawProperties::default()
    };
    let request = json!({"kind": "AsteriskInfo", "key": null});
    for number in 0..3 {
        let subject = rig.subject("data");
        let body = request.to_string();
        publisher.publish(
            "ari.request",
            subject.as_bytes(),
            &properties,
            body.as_bytes(),
        );
        publisher.flush();
        let event = format!("{{\"type\":\"X\",\"n\":{number}}}");
        rig.asterisk.push(&*event);
        assert_eq!(events.expect("an event").data, event.as_bytes());
        for _ in 0..20 {
            assert_eq!(
                rig.bus.ask(&subject, &request)["error"],
                "",
                "others are answered"
            );
        }
    }
    let lines = rig.proxy.lines();
    assert!(
        !lines.iter().any(|line| line.contains("bus: lost")),
        "{lines:#?}"
    );
    assert_eq!(events.arrived(), [], "nothing is published again");
}
