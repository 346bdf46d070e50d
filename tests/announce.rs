//! Announcements, and the Asterisk id that they and the subjects follow.

use std::time::Duration;

use serde_json::{Value, json};

use crate::support::asterisk::{Asterisk, ENTITY_ID};
use crate::support::bus::{Bus, BusKind, Server, on_each_bus};
use crate::support::proxy::ProxyBuilder;
use crate::support::rig::Rig;
use crate::support::wait::{SOON, wait_for, wait_until};

on_each_bus!(
    announced_at_start_and_on_every_ping,
    everything_is_subscribed_to_before_it_is_announced,
    several_proxies_answer_a_ping_each_for_itself,
    defect_16_a_changed_id_is_followed_without_a_restart,
    defect_16_a_restarted_asterisk_with_another_id_is_followed_at_once,
    nothing_is_announced_while_asterisk_is_down,
    the_id_can_be_given,
    the_prefix_can_be_given,
);

/// How long to listen for what must not come.
const SILENCE: Duration = Duration::from_millis(400);

fn announcement(id: &str) -> Value {
    json!({"asterisk": id, "node": id, "application": "conf"})
}

fn announced_at_start_and_on_every_ping(on: BusKind) {
    let server = Server::start(on);
    let asterisk = Asterisk::start();
    let bus = Bus::connect(&server.url());
    let announcements = bus.subscribe("ari.announce");
    let _proxy = ProxyBuilder::new("conf", &asterisk, &server.url()).spawn();
    assert_eq!(
        announcements.expect("at start").json(),
        announcement(ENTITY_ID)
    );
    for body in [&b""[..], b"ping", b"{}", b"\xff\x00", b"[[["] {
        bus.publish("ari.ping", body);
        let got = announcements.expect("on ping").json();
        assert_eq!(got, announcement(ENTITY_ID));
    }
    assert_eq!(announcements.next(SILENCE), None);
}

fn everything_is_subscribed_to_before_it_is_announced(on: BusKind) {
    let server = Server::start(on);
    let asterisk = Asterisk::start();
    for round in 0..5 {
        let bus = Bus::connect(&server.url());
        let announcements = bus.subscribe("ari.announce");
        let _proxy = ProxyBuilder::new("conf", &asterisk, &server.url()).spawn();
        announcements.expect("at start");
        let request = json!({"kind": "AsteriskInfo", "key": null});
        for class in ["get", "data", "command", "create"] {
            for level in ["", ".conf", &format!(".conf.{ENTITY_ID}")] {
                let subject = format!("ari.{class}{level}");
                let answer = bus.try_ask(&subject, &request, SOON);
                let error = answer.map(|answer| answer["error"].clone());
                assert_eq!(error, Some(json!("")), "{subject} in round {round}");
            }
        }
    }
}

fn several_proxies_answer_a_ping_each_for_itself(on: BusKind) {
    let server = Server::start(on);
    let bus = Bus::connect(&server.url());
    let announcements = bus.subscribe("ari.announce");
    let asterisks: Vec<Asterisk> = (0..3).map(|_| Asterisk::start()).collect();
    let mut proxies = Vec::new();
    for (number, asterisk) in asterisks.iter().enumerate() {
        asterisk.entity_id(&format!("00:0{number}"));
        proxies.push(ProxyBuilder::new("conf", asterisk, &server.url()).spawn());
        announcements.expect("at start");
    }
    bus.publish("ari.ping", "");
    let mut ids: Vec<Value> = announcements
        .take(3)
        .iter()
        .map(|message| message.json()["node"].clone())
        .collect();
    ids.sort_by_key(Value::to_string);
    assert_eq!(ids, ["00:00", "00:01", "00:02"]);
}

/// Whether the proxy listens at the node level of `id`.
fn listens_as(bus: &Bus, id: &str) -> bool {
    let request = json!({"kind": "AsteriskInfo", "key": null});
    ["get", "data", "command", "create"].iter().all(|class| {
        let answer = bus.try_ask(&format!("ari.{class}.conf.{id}"), &request, SOON);
        answer.is_some_and(|answer| answer["error"] == "")
    })
}

fn defect_16_a_changed_id_is_followed_without_a_restart(on: BusKind) {
    let mut rig = Rig::start(on);
    let announcements = rig.bus.subscribe("ari.announce");
    let events = rig.bus.subscribe("ari.event.>");
    rig.asterisk.entity_id("0a:0b:0c:0d:0e:0f");
    // The proxy looks every ten seconds.
    let got = announcements.next(Duration::from_secs(25));
    let got = got.expect("an announcement").json();
    assert_eq!(got, announcement("0a:0b:0c:0d:0e:0f"));
    assert!(listens_as(&rig.bus, "0a:0b:0c:0d:0e:0f"));
    wait_until("the old id is left", SOON, || {
        let request = json!({"kind": "AsteriskInfo", "key": null});
        let old = rig.bus.try_ask(&rig.subject("data"), &request, SOON);
        old.is_none()
    });
    rig.asterisk.push(r#"{"type":"X"}"#);
    let event = events.expect("an event");
    assert_eq!(event.subject, "ari.event.conf.0a:0b:0c:0d:0e:0f");
    rig.asterisk.on(|request| {
        let list = json!([{"id": "c"}]);
        (request.path == "/ari/channels").then(|| crate::support::server::Reply::ok(&list))
    });
    let list = rig
        .bus
        .ask("ari.get", &json!({"kind": "ChannelList", "key": null}));
    assert_eq!(list["keys"][0]["node"], "0a:0b:0c:0d:0e:0f");
    assert!(rig.proxy.is_running());
}

fn defect_16_a_restarted_asterisk_with_another_id_is_followed_at_once(on: BusKind) {
    let rig = Rig::start(on);
    let announcements = rig.bus.subscribe("ari.announce");
    rig.asterisk.stop();
    rig.asterisk.entity_id("0a:0b");
    rig.asterisk.restart();
    wait_for("an announcement of the new id", SOON, || {
        let got = announcements.next(SOON)?.json();
        (got == announcement("0a:0b")).then_some(())
    });
    assert!(listens_as(&rig.bus, "0a:0b"));
}

fn nothing_is_announced_while_asterisk_is_down(on: BusKind) {
    let rig = Rig::start(on);
    let announcements = rig.bus.subscribe("ari.announce");
    rig.asterisk.stop();
    wait_until("the proxy knows", SOON, || rig.probe().is_some());
    announcements.arrived();
    rig.bus.publish("ari.ping", "");
    assert_eq!(announcements.next(SILENCE), None);
    rig.asterisk.restart();
    let got = announcements.expect("when it is back").json();
    assert_eq!(got, announcement(ENTITY_ID));
}

fn the_id_can_be_given(on: BusKind) {
    let rig = Rig::with(on, |proxy| proxy.env("ARI_ASTERISK_ID", "my-asterisk"));
    let announcements = rig.bus.subscribe("ari.announce");
    rig.bus.publish("ari.ping", "");
    assert_eq!(
        announcements.expect("on ping").json(),
        announcement("my-asterisk")
    );
    assert!(listens_as(&rig.bus, "my-asterisk"));
    let events = rig.bus.subscribe("ari.event.>");
    rig.asterisk.push(r#"{"type":"X"}"#);
    assert_eq!(
        events.expect("an event").subject,
        "ari.event.conf.my-asterisk"
    );
}

fn the_prefix_can_be_given(on: BusKind) {
    let server = Server::start(on);
    let asterisk = Asterisk::start();
    let bus = Bus::connect(&server.url());
    let announcements = bus.subscribe("voice.x.announce");
    let _proxy = ProxyBuilder::new("conf", &asterisk, &server.url())
        .env("MESSAGEBUS_PREFIX", "voice.x.")
        .spawn();
    announcements.expect("at start");
    let answer = bus.ask(
        "voice.x.data",
        &json!({"kind": "AsteriskInfo", "key": null}),
    );
    assert_eq!(answer["error"], "");
    let events = bus.subscribe("voice.x.event.>");
    asterisk.push(r#"{"type":"X"}"#);
    let subject = events.expect("an event").subject;
    assert_eq!(subject, format!("voice.x.event.conf.{ENTITY_ID}"));
}
