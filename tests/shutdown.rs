//! How the process ends: by signals, by a configuration that cannot be used; and what it never
//! prints.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use serde_json::json;

use crate::support::asterisk::{Asterisk, PASSWORD, USER};
use crate::support::bus::{Bus, BusKind, Server, on_each_bus};
use crate::support::nats::{BUS_PASSWORD, NatsServer};
use crate::support::proxy::{ProxyBuilder, refused};
use crate::support::rig::Rig;
use crate::support::server::Reply;
use crate::support::wait::{SOON, wait_until};

on_each_bus!(
    defect_15_both_signals_end_it_with_status_0,
    defect_15_no_create_request_is_lost_when_a_member_leaves_the_group,
    defect_15_it_ends_as_well_while_its_peers_are_away,
    defect_15_it_ends_as_well_while_the_bus_is_stopped,
    defect_15_requests_in_hand_are_finished_and_the_groups_left,
    defect_15_a_request_that_asterisk_never_answers_does_not_hold_it,
    defect_15_events_in_hand_are_published_before_the_end,
    secrets_are_never_printed,
    log_lines_have_time_level_and_thread_and_none_per_event,
    threads_have_names,
);

/// How long an orderly end may take; the rest is for a machine busy with other tests.
const ORDERLY: Duration = Duration::from_secs(5 + 2);

fn defect_15_both_signals_end_it_with_status_0(on: BusKind) {
    for signal in ["TERM", "INT"] {
        let mut rig = Rig::start(on);
        let start = Instant::now();
        rig.proxy.signal(signal);
        assert_eq!(rig.proxy.wait_exit(SOON), Some(0), "{signal}");
        assert!(start.elapsed() < ORDERLY);
        let panicked = rig.proxy.lines().iter().any(|line| line.contains("panic"));
        assert!(!panicked, "{signal}");
        wait_until("Asterisk's end is closed", SOON, || {
            rig.asterisk.open_connections() == 0
        });
    }
}

fn defect_15_no_create_request_is_lost_when_a_member_leaves_the_group(on: BusKind) {
    let rig = Rig::start(on);
    let announcements = rig.bus.subscribe("ari.announce");
    let answers = rig.bus.subscribe("answers.*");
    let stage = json!({"kind": "BridgeStageCreate", "key": {"kind": "bridge", "id": "b"}});
    let stage = stage.to_string();
    let mut asked = 0;
    for _ in 0..5 {
        let asterisk = Asterisk::start();
        let mut leaver = ProxyBuilder::new("conf", &asterisk, &rig.server.url()).spawn();
        announcements.expect("of the second member");
        let mut ask = |count: usize| {
            for _ in 0..count {
                rig.bus
                    .publish_request("ari.create", &format!("answers.{asked}"), &stage);
                asked += 1;
                if asked % 20 == 0 {
                    rig.bus.flush();
                }
            }
        };
        ask(200);
        leaver.signal("TERM");
        while leaver.is_running() {
            ask(100);
        }
        assert_eq!(leaver.wait_exit(SOON), Some(0));
    }
    rig.bus.flush();
    let mut numbers: Vec<String> = answers
        .take(asked)
        .into_iter()
        .map(|answer| answer.subject)
        .collect();
    numbers.sort();
    numbers.dedup();
    assert_eq!(numbers.len(), asked, "each is answered once");
    assert!(answers.arrived().is_empty(), "and not twice");
}

fn defect_15_it_ends_as_well_while_its_peers_are_away(on: BusKind) {
    let mut rig = Rig::own(on, |proxy| proxy);
    rig.server.kill();
    rig.asterisk.stop();
    rig.proxy.wait_log("lost");
    rig.proxy.signal("TERM");
    assert_eq!(rig.proxy.wait_exit(ORDERLY), Some(0));
    let server = Server::absent(on);
    let mut proxy = ProxyBuilder::new("conf", &rig.asterisk, &server.url()).spawn();
    proxy.wait_log("no bus server");
    proxy.signal("TERM");
    assert_eq!(proxy.wait_exit(ORDERLY), Some(0));
}

fn defect_15_it_ends_as_well_while_the_bus_is_stopped(on: BusKind) {
    let mut rig = Rig::own(on, |proxy| proxy);
    rig.server.pause();
    for _ in 0..100 {
        rig.asterisk.push(format!(
            "{{\"type\":\"X\",\"x\":\"{}\"}}",
            "x".repeat(100_000)
        ));
    }
    rig.proxy.signal("TERM");
    let status = rig.proxy.wait_exit(ORDERLY);
    rig.server.resume();
    assert_eq!(status, Some(0));
}

fn defect_15_requests_in_hand_are_finished_and_the_groups_left(on: BusKind) {
    let mut rig = Rig::start(on);
    let (asked, go) = (
        Arc::new(AtomicBool::new(false)),
        Arc::new(AtomicBool::new(false)),
    );
    let (handler_asked, handler_go) = (Arc::clone(&asked), Arc::clone(&go));
    rig.asterisk.on(move |request| {
        if request.path == "/ari/channels" {
            handler_asked.store(true, Ordering::SeqCst);
            wait_until("the word", SOON, || handler_go.load(Ordering::SeqCst));
            return Some(Reply::ok(&json!([{"id": "c"}])));
        }
        None
    });
    let list = json!({"kind": "ChannelList", "key": null});
    let answers = rig.bus.send("ari.get", list.to_string());
    wait_until("the request is in hand", SOON, || {
        asked.load(Ordering::SeqCst)
    });
    rig.proxy.signal("TERM");
    wait_until("nobody listens any more", SOON, || {
        let classes = ["get", "data", "command", "create"];
        let timeout = on.unanswered(Duration::from_secs(2));
        let nobody = |class: &&str| {
            rig.bus
                .try_ask(&format!("ari.{class}"), &list, timeout)
                .is_none()
        };
        classes.iter().all(nobody)
    });
    assert!(rig.proxy.is_running(), "a request is in hand");
    go.store(true, Ordering::SeqCst);
    let answer = answers.expect("the answer").json();
    assert_eq!(answer["error"], "");
    assert_eq!(answer["keys"][0]["id"], "c");
    assert_eq!(rig.proxy.wait_exit(SOON), Some(0));
}

fn defect_15_a_request_that_asterisk_never_answers_does_not_hold_it(on: BusKind) {
    let mut rig = Rig::with(on, |proxy| proxy.env("HTTP_RESPONSE_TIMEOUT", "60s"));
    rig.asterisk.stall_http(true);
    let answers = rig.bus.send(
        "ari.get",
        json!({"kind": "ChannelList", "key": null}).to_string(),
    );
    wait_until("it is in hand", SOON, || !rig.asterisk.calls().is_empty());
    let start = Instant::now();
    rig.proxy.signal("TERM");
    assert_eq!(rig.proxy.wait_exit(SOON), Some(0));
    assert!(start.elapsed() < ORDERLY, "{:?}", start.elapsed());
    let answer = answers.expect("an answer all the same").json();
    let error = answer["error"].as_str().expect("an error");
    assert!(error.contains("stopping"), "{error}");
}

fn defect_15_events_in_hand_are_published_before_the_end(on: BusKind) {
    let mut rig = Rig::start(on);
    let events = rig.bus.subscribe("ari.event.>");
    for number in 0..2_000 {
        rig.asterisk
            .push(format!("{{\"type\":\"X\",\"n\":{number}}}"));
    }
    let first = events.expect("the first");
    assert_eq!(first.json()["n"], 0);
    rig.proxy.signal("TERM");
    assert_eq!(rig.proxy.wait_exit(SOON), Some(0));
    rig.bus.flush();
    let got: Vec<_> = events
        .arrived()
        .iter()
        .map(|m| m.json()["n"].as_u64())
        .collect();
    let expected: Vec<_> = (1..).map(Some).take(got.len()).collect();
    assert_eq!(got, expected, "in order, none missing in between");
}

#[test]
fn defect_15_a_second_signal_ends_it_at_once() {
    let mut rig = Rig::with(BusKind::Nats, |proxy| {
        proxy.env("HTTP_RESPONSE_TIMEOUT", "60s")
    });
    rig.asterisk.stall_http(true);
    let _answers = rig.bus.send(
        "ari.get",
        json!({"kind": "ChannelList", "key": null}).to_string(),
    );
    wait_until("it is in hand", SOON, || !rig.asterisk.calls().is_empty());
    rig.proxy.signal("TERM");
    rig.proxy.wait_log("stopping");
    rig.proxy.signal("TERM");
    let status = rig.proxy.wait_exit(SOON);
    assert_ne!(status, Some(0), "not in order");
    let said = rig
        .proxy
        .lines()
        .iter()
        .any(|line| line.contains("stopped;"));
    assert!(!said, "not in order");
}

/// A complete configuration without any peer.
fn complete() -> ProxyBuilder {
    ProxyBuilder::bare()
        .env("ARI_APPLICATION", "conf")
        .env("ARI_USERNAME", USER)
        .env("ARI_PASSWORD", PASSWORD)
}

#[test]
fn defect_21_a_configuration_that_cannot_be_used_is_refused_with_its_key_and_source() {
    refused(complete().without("ARI_APPLICATION"), &["ari.application"]);
    refused(complete().without("ARI_USERNAME"), &["ari.username"]);
    refused(complete().without("ARI_PASSWORD"), &["ari.password"]);
    refused(
        complete().env("ARI_HTTP_URL", "gopher://x"),
        &["ari.http_url", "ARI_HTTP_URL"],
    );
    refused(
        complete().arg("--ari.websocket_url").arg("not a url"),
        &["ari.websocket_url", "--ari.websocket_url"],
    );
    refused(
        complete().env("MESSAGEBUS_URL", "smtp://x"),
        &["messagebus.url", "MESSAGEBUS_URL"],
    );
    refused(
        complete().env("WORKERS_COUNT", "none"),
        &["workers.count", "WORKERS_COUNT"],
    );
    refused(complete().arg("--no.such"), &["no.such"]);
    refused(
        complete().file("c.yaml", "ari:\n  pasword: x\n"),
        &["ari.pasword", "c.yaml"],
    );
    refused(complete().file("c.json", "{\"ari\": {"), &["c.json"]);
    refused(
        complete().arg("--config").arg("/nowhere/x.yaml"),
        &["/nowhere/x.yaml"],
    );
    refused(
        complete().env("ARI_ON_REPLACED", "panic"),
        &["ari.on_replaced", "ARI_ON_REPLACED"],
    );
}

#[test]
fn flags_go_over_environment_over_file_over_defaults() {
    let nats = NatsServer::start();
    let asterisk = Asterisk::start();
    let bus = Bus::connect(&nats.url());
    let announcements = bus.subscribe("ari.announce");
    let file = format!(
        "ari:\n  application: from-file\n  username: {USER}\n  password: {PASSWORD}\n  \
         http_url: {}\n  websocket_url: {}\nmessagebus:\n  url: {}\n",
        asterisk.http_url(),
        asterisk.websocket_url(),
        nats.url()
    );
    let application = || announcements.expect("at start").json()["application"].clone();
    let from_file = ProxyBuilder::bare().file("c.yaml", &file).spawn();
    assert_eq!(application(), "from-file");
    drop(from_file);
    let over = || {
        ProxyBuilder::bare()
            .file("c.yaml", &file)
            .env("ARI_APPLICATION", "from-env")
    };
    let from_environment = over().spawn();
    assert_eq!(application(), "from-env");
    drop(from_environment);
    let _from_flag = over().arg("--ari.application").arg("from-flag").spawn();
    assert_eq!(application(), "from-flag");
}

#[test]
fn the_same_tree_as_json_and_the_file_at_home() {
    let nats = NatsServer::start();
    let asterisk = Asterisk::start();
    let bus = Bus::connect(&nats.url());
    let announcements = bus.subscribe("ari.announce");
    let tree = json!({
        "ari": {"application": "from-json", "username": USER, "password": PASSWORD,
            "http_url": asterisk.http_url(), "websocket_url": asterisk.websocket_url()},
        "messagebus": {"url": nats.url()},
    });
    let from_json = ProxyBuilder::bare()
        .file("c.json", &tree.to_string())
        .spawn();
    let application = announcements.expect("at start").json()["application"].clone();
    assert_eq!(application, "from-json");
    drop(from_json);
    let _from_home = ProxyBuilder::bare()
        .home_file(".ari-proxy.yaml", &tree.to_string())
        .spawn();
    announcements.expect("at start");
}

#[test]
fn help_and_version_end_with_status_0() {
    let mut help = ProxyBuilder::bare().arg("--help").spawn();
    assert_eq!(help.wait_exit(SOON), Some(0));
    let text = help.lines().join("\n");
    for key in [
        "ari.application",
        "ARI_APPLICATION",
        "ari.http_url",
        "http://localhost:8088/ari",
        "messagebus.url",
        "MESSAGEBUS_URL",
        "nats://localhost:4222",
        "workers.max_wait",
        "NATS_URL",
        "log.level",
    ] {
        assert!(text.contains(key), "{key} in {text}");
    }
    for flag in ["--version", "-V"] {
        let mut version = ProxyBuilder::bare().arg(flag).spawn();
        assert_eq!(version.wait_exit(SOON), Some(0));
        assert!(
            version
                .lines()
                .join("\n")
                .contains(env!("CARGO_PKG_VERSION"))
        );
    }
}

fn secrets_are_never_printed(on: BusKind) {
    let mut rig = Rig::own(on, |proxy| proxy.env("LOG_LEVEL", "trace"));
    let answer = rig.ask("data", &json!({"kind": "ChannelData", "key": {"id": "c"}}));
    assert_ne!(answer["error"], "");
    rig.asterisk.push(r#"{"type":"X"}"#);
    rig.asterisk.drop_websockets();
    wait_until("a new websocket", SOON, || {
        rig.asterisk.websocket_requests().len() == 2
    });
    rig.server.kill();
    rig.proxy.wait_log("lost");
    rig.proxy.wait_log("no bus server");
    rig.proxy.signal("TERM");
    assert_eq!(rig.proxy.wait_exit(SOON), Some(0));
    // base64 of the user and the password, as the header has it.
    for secret in [PASSWORD, BUS_PASSWORD, "dGVzdGVyOnMzY3IzdC1QYTU1d29yZA=="] {
        for line in rig.proxy.lines() {
            assert!(!line.contains(secret), "{line}");
        }
    }
}

fn log_lines_have_time_level_and_thread_and_none_per_event(on: BusKind) {
    let rig = Rig::start(on);
    let events = rig.bus.subscribe("ari.event.>");
    let before = rig.proxy.lines().len();
    for number in 0..500 {
        rig.asterisk
            .push(format!("{{\"type\":\"X\",\"n\":{number}}}"));
    }
    events.take(500);
    let lines = rig.proxy.lines();
    assert!(lines.len() < before + 10, "{lines:#?}");
    for line in lines {
        let year = line.starts_with("20") && line.contains('T');
        let level = ["INFO", "WARN", "ERROR"]
            .iter()
            .any(|level| line.contains(level));
        assert!(year && level && line.contains('Z'), "{line}");
    }
}

fn threads_have_names(on: BusKind) {
    let rig = Rig::start(on);
    let threads = rig.proxy.threads();
    let unnamed = threads.iter().filter(|name| *name == "ari-proxy").count();
    // The main thread has the name of the process.
    assert_eq!(unnamed, 1, "{threads:?}");
}
