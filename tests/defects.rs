//! Known defects of the peer that need a proxy and a bus to show, and are in no other module:
//! rows 1, 2, 9, 12, 13, 14, 19 and 24, the last two of which `dialogs` has more of. Rows 3, 9, 10 and 22 are in `events`, 4, 8 and 20 in `overload`,
//! 5, 6 and 21 in `links`, 11 and 23 in `conformance`, 15 and 21 in `shutdown`, 16 in `announce`.

use serde_json::{Value, json};

use crate::support::application::Manner;
use crate::support::asterisk::Asterisk;
use crate::support::bus::{Bus, BusKind, Server, on_each_bus};
use crate::support::dialog_rig::DialogRig;
use crate::support::nats::{BUS_PASSWORD, BUS_USER, NatsBus, NatsServer};
use crate::support::proxy::ProxyBuilder;
use crate::support::rig::Rig;
use crate::support::server::Reply;
use crate::support::wait::{SOON, wait_until};

on_each_bus!(
    defect_1_a_request_without_its_parts_kills_nothing,
    defect_2_what_is_no_request_is_answered_if_it_can_be,
    defect_9_calls_that_are_over_take_no_memory,
    defect_14_a_server_that_wants_no_such_user_is_tried_again,
    defect_19_dialogs_survive_asterisk_unknown_events_and_queries,
    defect_24_dialogs_survive_one_of_several_objects_and_dummy,
);

fn defect_1_a_request_without_its_parts_kills_nothing(on: BusKind) {
    let mut rig = Rig::start(on);
    let requests = [
        (
            json!({"kind": "ChannelHangup", "key": {"kind": "channel", "id": "c"}}),
            "channel_hangup",
        ),
        (
            json!({"kind": "ChannelHangup", "key": null, "channel_hangup": {}}),
            "key",
        ),
        (json!({"kind": "ChannelHangup"}), "key"),
        (
            json!({"kind": "ChannelUserEvent", "key": {"id": "c"}, "channel_user_event": {}}),
            "eventname",
        ),
        (
            json!({"kind": "ChannelOriginate", "key": null}),
            "channel_originate",
        ),
        (json!({"kind": "", "key": null}), ""),
        (json!({"key": {"id": "c"}}), "Not implemented"),
    ];
    for (request, missing) in requests {
        for class in ["command", "create"] {
            let answer = rig.ask(class, &request);
            let error = answer["error"].as_str().unwrap_or_default();
            assert!(
                !error.is_empty() && error.contains(missing),
                "{request}: {answer}"
            );
        }
    }
    assert!(rig.asterisk.calls().is_empty());
    assert!(rig.proxy.is_running());
}

fn defect_2_what_is_no_request_is_answered_if_it_can_be(on: BusKind) {
    let mut rig = Rig::start(on);
    let bodies: [&[u8]; 9] = [
        b"",
        b"hello",
        b"[]",
        b"null",
        b"7",
        b"{",
        b"\xff\xfe",
        b"{\"kind\":[]}",
        b"\"text\"",
    ];
    for body in bodies {
        for class in ["get", "data", "command", "create"] {
            let subject = rig.subject(class);
            let answer = rig.bus.ask_raw(&subject, body);
            let error = answer["error"].as_str().unwrap_or_default();
            assert!(!error.is_empty(), "{class}: {body:?}: {answer}");
            rig.bus.publish(&subject, body);
        }
    }
    assert_eq!(rig.probe(), None);
    assert!(rig.proxy.is_running());
}

fn defect_9_calls_that_are_over_take_no_memory(on: BusKind) {
    const CALLS: usize = 3_000;
    let rig = Rig::start(on);
    let mut rounds = Vec::new();
    for round in 0..5 {
        let events = rig.bus.subscribe("ari.event.>");
        for call in 0..CALLS {
            let id = format!("{round}-{call}-{}", "x".repeat(200));
            // The longest that is taken.
            let dialog = format!("{round}-{call}-{}", "d".repeat(190));
            rig.bind("ChannelSubscribe", "channel", &id, &dialog);
            let event = json!({"type": "ChannelDestroyed", "channel": {"id": id}});
            rig.asterisk.push(event.to_string());
        }
        events.take(CALLS);
        rounds.push(rig.proxy.rss_kib());
    }
    // 3 000 bindings with such names are more than 2 MiB; four rounds of them more than 8.
    let grown = rounds[4].saturating_sub(rounds[0]);
    assert!(grown < 4 * 1024, "grown by {grown} KiB: {rounds:?}");
}

#[test]
fn defect_12_role_mute_and_absorb_dtmf_are_passed_on() {
    let rig = Rig::start(BusKind::Nats);
    rig.asterisk.on(|_| Some(Reply::done()));
    let key = json!({"kind": "bridge", "id": "b"});
    let request = json!({"kind": "BridgeAddChannel", "key": key, "bridge_add_channel":
        {"channel": "c", "absorbDTMF": true, "mute": true, "role": "announcer"}});
    assert_eq!(rig.ask("command", &request)["error"], "");
    let parameters = rig.asterisk.calls()[0].parameters();
    assert_eq!(parameters["channel"], "c");
    assert_eq!(parameters["role"], "announcer");
    for flag in ["absorbDTMF", "mute"] {
        assert_eq!(
            parameters[flag].to_string().trim_matches('"'),
            "true",
            "{flag}"
        );
    }
}

#[test]
fn defect_13_log_channels_are_found_by_either_name() {
    let rig = Rig::start(BusKind::Nats);
    rig.asterisk.on(|request| {
        (request.path == "/ari/asterisk/logging").then(|| {
            Reply::ok(&json!([
                {"channel": "/var/log/asterisk/other_mine", "type": "File"},
                {"channel": "/var/log/asterisk/mine", "type": "File", "status": "Enabled"},
            ]))
        })
    });
    for id in ["mine", "/var/log/asterisk/mine"] {
        let key = json!({"kind": "logging", "id": id});
        let answer = rig.ask("data", &json!({"kind": "AsteriskLoggingData", "key": key}));
        assert_eq!(answer["error"], "", "{id}");
        assert_eq!(answer["data"]["log"]["channel"], "/var/log/asterisk/mine");
        let answer = rig.ask("get", &json!({"kind": "AsteriskLoggingGet", "key": key}));
        assert_eq!(answer["error"], "", "{id}");
        assert_eq!(answer["key"]["id"], id);
    }
    let key = json!({"kind": "logging", "id": "ine"});
    let answer = rig.ask("get", &json!({"kind": "AsteriskLoggingGet", "key": key}));
    assert_ne!(answer["error"], "");
}

#[test]
fn defect_13_dtmf_has_asterisks_defaults() {
    let rig = Rig::start(BusKind::Nats);
    rig.asterisk.on(|_| Some(Reply::done()));
    let with = |options: Value| {
        rig.asterisk.forget();
        let request = json!({"kind": "ChannelSendDTMF", "key": {"id": "c"},
            "channel_send_dtmf": {"dtmf": "1", "options": options}});
        assert_eq!(rig.ask("command", &request)["error"], "");
        rig.asterisk.calls()[0].parameters()
    };
    for none in [Value::Null, json!({}), json!({"Between": 0, "Duration": 0})] {
        let parameters = with(none);
        for name in ["between", "duration"] {
            let value = parameters.get(name);
            assert!(value.is_none_or(|value| *value == 100), "{name}: {value:?}");
        }
    }
    let parameters = with(json!({"Before": 1_000_000, "Between": 20_000_000,
        "Duration": 30_000_000, "After": 40_000_000}));
    let expected = [
        ("before", 1),
        ("between", 20),
        ("duration", 30),
        ("after", 40),
    ];
    for (name, milliseconds) in expected {
        assert_eq!(parameters[name], milliseconds, "{name}");
    }
}

#[test]
fn defect_14_the_other_names_of_the_bus_url_work() {
    let nats = NatsServer::start();
    let asterisk = Asterisk::start();
    let bus = Bus::connect(&nats.url());
    let announcements = bus.subscribe("ari.announce");
    let without = || ProxyBuilder::new("conf", &asterisk, "").without("MESSAGEBUS_URL");
    for builder in [
        without().arg("--nats.url").arg(nats.url()),
        without().arg(format!("--nats.url={}", nats.url())),
        without().env("NATS_URL", nats.url()),
        without().arg("--messagebus.url").arg(nats.url()),
    ] {
        let _proxy = builder.spawn();
        announcements.expect("at start");
    }
}

#[test]
fn defect_14_tls_to_nats_works_and_needs_a_certificate_of_trust() {
    let data = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/tls");
    let file = |name: &str| format!("{data}/{name}");
    let (certificate, key) = (file("server.pem"), file("server.key"));
    let nats = NatsServer::start_with(&["--tls", "--tlscert", &certificate, "--tlskey", &key]);
    let asterisk = Asterisk::start();
    let bus = Bus::Nats(NatsBus::connect_tls(&nats.url(), &file("ca.pem")));
    let announcements = bus.subscribe("ari.announce");
    let url = format!("tls://{BUS_USER}:{BUS_PASSWORD}@127.0.0.1:{}", nats.port());
    let stranger = ProxyBuilder::new("conf", &asterisk, &url).spawn();
    stranger.wait_log("certificate");
    assert!(announcements.arrived().is_empty());
    drop(stranger);
    let proxy = || ProxyBuilder::new("conf", &asterisk, &url).env("SSL_CERT_FILE", file("ca.pem"));
    let _proxy = proxy().spawn();
    announcements.expect("at start");
    let events = bus.subscribe("ari.event.>");
    // 8 MiB at once, which the crate alone does not get through (crates.md).
    let filler = "x".repeat(8 * 1024);
    for number in 0..1_024 {
        asterisk.push(format!(
            "{{\"type\":\"X\",\"n\":{number},\"x\":\"{filler}\"}}"
        ));
    }
    for (number, message) in events.take(1_024).iter().enumerate() {
        assert_eq!(message.json()["n"], number);
    }
}

fn defect_14_a_server_that_wants_no_such_user_is_tried_again(on: BusKind) {
    let server = Server::start(on);
    let asterisk = Asterisk::start();
    let url = server.url().replace(BUS_PASSWORD, "wrong");
    let mut proxy = ProxyBuilder::new("conf", &asterisk, &url).spawn();
    let line = proxy.wait_log("messagebus.url");
    assert!(!line.contains("wrong"), "{line}");
    wait_until("it still runs", SOON, || proxy.is_running());
}

fn defect_19_dialogs_survive_asterisk_unknown_events_and_queries(on: BusKind) {
    let mut rig = DialogRig::start(on);
    let application = rig.application(Manner::Library);
    rig.asterisk.script.drop_websockets();
    wait_until("another websocket", SOON, || {
        rig.asterisk.script.websocket_requests().len() == 2
    });
    rig.asterisk.die();
    rig.asterisk.rise();
    rig.asterisk.script.wait_websockets(1);
    assert!(rig.proxy.is_running());
    rig.asterisk.begin("1.1");
    let dialog = application.wait_dialog(1);
    for kind in ["NeverHeardOf", "ApplicationMoveFailed", "Dial", ""] {
        let event = rig.asterisk.push_channel(kind, "1.1", &json!({}));
        application.wait_event(&dialog, kind, |_| true);
        assert_eq!(application.events(&dialog).last(), Some(&event));
    }
    let url = "/channels/1.1/answer?a=b&c=d%26e";
    let response = application.call(&dialog, "POST", url, "");
    assert_eq!(response.status_code, 204);
    let calls = rig.asterisk.calls("/answer");
    assert_eq!((&*calls[0].query["a"], &*calls[0].query["c"]), ("b", "d&e"));
    assert_eq!(calls[0].path, "/ari/channels/1.1/answer");
}

fn defect_24_dialogs_survive_one_of_several_objects_and_dummy(on: BusKind) {
    let mut rig = DialogRig::start(on);
    rig.asterisk.on(|_, request| {
        let id = request.path.strip_prefix("/ari/channels/c")?;
        Some(Reply::ok(&json!({"id": format!("c{id}")})))
    });
    let application = rig.application(Manner::Library);
    rig.asterisk.begin("1.1");
    let dialog = application.wait_dialog(1);
    for (count, id) in ["c1", "c2", "c3"].iter().enumerate() {
        // The first response is the first command's, though DUMMY was said before it.
        let response = application.call(&dialog, "POST", &format!("/channels/{id}"), "");
        assert_eq!(response.response_body, json!({"id": id}).to_string());
        assert_eq!(application.responses(&dialog).len(), count + 1);
    }
    for id in ["c2", "c1", "c3"] {
        rig.asterisk
            .push_channel("ChannelDestroyed", id, &json!({}));
        application.wait_event(&dialog, "ChannelDestroyed", |e| e["channel"]["id"] == id);
    }
    rig.asterisk
        .push_channel("ChannelVarset", "1.1", &json!({}));
    application.wait_event(&dialog, "ChannelVarset", |_| true);
    let calls = rig.asterisk.changes();
    assert_eq!(calls.len(), 3, "{calls:?}");
    assert!(rig.proxy.is_running());
}
