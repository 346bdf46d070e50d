//! Which protocol a proxy speaks: this one by a `config.json`, either or both by a key of ours.

use serde_json::{Value, json};

use crate::support::application::{Application, Manner, QUEUE};
use crate::support::asterisk::{Asterisk, ENTITY_ID, PASSWORD, USER};
use crate::support::bus::{Bus, BusKind, Server, on_each_bus};
use crate::support::dialog_rig::{DialogAsterisk, DialogRig};
use crate::support::proxy::{ProxyBuilder, ProxyProcess};
use crate::support::rig::{APPLICATION, Rig};
use crate::support::wait::{SOON, wait_until};

on_each_bus!(
    both_on_one_websocket,
    nothing_of_the_other_protocol_where_it_is_not_wanted,
    by_a_config_json_with_two_applications,
    dialogs_are_not_told_of_by_default,
);

fn both_on_one_websocket(on: BusKind) {
    let rig = DialogRig::with(on, |proxy| proxy.env("MESSAGEBUS_PROTOCOL", "both"));
    let bus = Bus::connect(&rig.server.url());
    let events = bus.subscribe(&format!("ari.event.{APPLICATION}.{ENTITY_ID}"));
    let announcements = bus.subscribe("ari.announce");
    bus.publish("ari.ping", "{}");
    let announced = announcements.expect("an announcement").json();
    assert_eq!(announced["application"], APPLICATION);
    let application = rig.application(Manner::Library);
    let mut sent = vec![rig.asterisk.begin("1.1")];
    let dialog = application.wait_dialog(1);
    for n in 0..20 {
        sent.push(
            rig.asterisk
                .push_channel("ChannelVarset", "1.1", &json!({"n": n})),
        );
    }
    // A request of the one protocol and a command of the other.
    let request = json!({"kind": "ChannelAnswer", "key": {"kind": "channel", "id": "1.1"}});
    let subject = format!("ari.command.{APPLICATION}.{ENTITY_ID}");
    assert_eq!(bus.ask(&subject, &request), json!({"error": ""}));
    let response = application.call(&dialog, "POST", "/channels/1.1/ring", "");
    assert_eq!(response.status_code, 204);
    sent.push(rig.asterisk.end("1.1"));
    assert_eq!(application.wait_events(&dialog, sent.len()), sent);
    let published: Vec<String> = events
        .take(sent.len() + 1)
        .iter()
        .map(|event| String::from_utf8_lossy(&event.data).into_owned())
        .collect();
    assert_eq!(published[..sent.len()], sent);
    assert!(published[sent.len()].contains("ChannelDestroyed"));
    assert_eq!(rig.asterisk.script.websocket_requests().len(), 1);
    rig.wait_no_topics("");
}

fn nothing_of_the_other_protocol_where_it_is_not_wanted(on: BusKind) {
    let rig = DialogRig::start(on);
    let bus = Bus::connect(&rig.server.url());
    let events = bus.subscribe("ari.event.>");
    let announcements = bus.subscribe("ari.announce");
    let application = rig.application(Manner::Library);
    bus.publish("ari.ping", "{}");
    rig.settle(&application);
    assert_eq!(events.arrived(), []);
    assert_eq!(announcements.arrived(), []);
    let request = json!({"kind": "ChannelAnswer", "key": {"kind": "channel", "id": "1.1"}});
    let subject = format!("ari.command.{APPLICATION}.{ENTITY_ID}");
    let wait = std::time::Duration::from_millis(300);
    assert_eq!(bus.try_ask(&subject, &request, wait), None);
    assert!(rig.asterisk.changes().is_empty());
}

fn dialogs_are_not_told_of_by_default(on: BusKind) {
    let rig = Rig::start(on);
    let application = Application::start(&rig.server.url(), Manner::Library);
    let events = rig.bus.subscribe("ari.event.>");
    for n in 0..3 {
        let event = json!({"type": "StasisStart", "args": [], "channel": {"id": n.to_string()}});
        rig.asterisk.push(event.to_string());
    }
    events.take(3);
    assert_eq!(rig.probe(), None);
    assert_eq!(application.starts(), Vec::<Value>::new());
}

fn config_json(asterisk: &Asterisk, server: &Server, applications: &[&str]) -> Value {
    let port = asterisk.port();
    json!({
        "origin": "http://tests.example/",
        "server_id": "from-config-json",
        "applications": applications,
        "websocket_url": format!("ws://127.0.0.1:{port}/ari/events"),
        "stasis_url": format!("http://127.0.0.1:{port}/ari"),
        "ws_user": USER,
        "ws_password": PASSWORD,
        "message_bus": match server {
            Server::Nats(_) => "NATS",
            _ => "RABBITMQ",
        },
        "bus_config": {"url": server.url(), "queue": QUEUE},
    })
}

fn started(asterisk: &DialogAsterisk, server: &Server, applications: &[&str]) -> ProxyProcess {
    let config = config_json(&asterisk.script, server, applications);
    let proxy = ProxyBuilder::bare()
        .config_json(&config.to_string())
        .spawn();
    asterisk.script.wait_websockets(applications.len());
    proxy
}

fn by_a_config_json_with_two_applications(on: BusKind) {
    let server = Server::start(on);
    let asterisk = DialogAsterisk::start();
    let proxy = started(&asterisk, &server, &["one", "two"]);
    let mut names: Vec<Option<String>> = Vec::new();
    for request in asterisk.script.websocket_requests() {
        let origin = request.headers.get("origin").map(String::as_str);
        assert_eq!(origin, Some("http://tests.example/"));
        names.push(request.query.get("app").cloned());
    }
    names.sort();
    assert_eq!(names, [Some("one".to_owned()), Some("two".to_owned())]);
    let [one, two] =
        ["one", "two"].map(|name| Application::named(&server.url(), name, Manner::Library));
    for (application, name) in [(&one, "one"), (&two, "two")] {
        let id = format!("{name}.1");
        let begin = asterisk.begin_in(name, &id);
        let dialog = application.wait_dialog(1);
        let start = &application.starts()[0];
        assert_eq!(start["application"], name);
        assert_eq!(start["server_id"], "from-config-json");
        assert_eq!(application.wait_events(&dialog, 1), [begin]);
        assert_eq!(
            application.envelopes(&dialog)[0]["server_id"],
            "from-config-json"
        );
        let url = format!("/channels/{id}/answer");
        assert_eq!(application.call(&dialog, "POST", &url, "").status_code, 204);
    }
    assert_eq!((one.starts().len(), two.starts().len()), (1, 1));
    wait_until("the log", SOON, || !proxy.lines().is_empty());
    for line in proxy.lines() {
        assert!(!line.contains(PASSWORD), "{line}");
    }
}

#[test]
fn buses_that_are_not_supported_end_it_with_a_reason() {
    let server = Server::start(BusKind::Nats);
    let asterisk = Asterisk::start();
    for bus in ["NSQ", "OSLO"] {
        let mut config = config_json(&asterisk, &server, &["one"]);
        config["message_bus"] = json!(bus);
        let mut proxy = ProxyBuilder::bare()
            .config_json(&config.to_string())
            .spawn();
        assert_eq!(proxy.wait_exit(SOON), Some(2), "{bus}");
        let lines = proxy.lines();
        assert!(
            lines.iter().any(|line| line.contains(bus)),
            "{bus}: {lines:?}"
        );
        assert!(asterisk.websocket_requests().is_empty());
    }
}
