//! More requests than can be served, and an Asterisk that does not answer them.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::bus::{Bus, BusKind, Message, Messages, on_each_bus};
use crate::support::rig::Rig;
use crate::support::server::{Reply, Request};
use crate::support::wait::{SOON, wait_until};

on_each_bus!(
    defect_20_a_full_queue_is_answered_at_once,
    defect_8_a_request_that_waited_too_long_is_answered_and_not_done,
    defect_20_a_stalled_asterisk_holds_few_connections,
    defect_20_connections_are_used_again,
    events_pass_while_requests_are_stuck,
    defect_4_a_burst_is_lost_nowhere,
    defect_4_what_is_lost_while_the_bus_is_away_is_said,
    defect_4_events_are_taken_while_the_bus_is_stuck,
);

fn list() -> String {
    json!({"kind": "ChannelList", "key": null}).to_string()
}

/// Answers that list, and nothing else.
fn no_channels(request: &Request) -> Option<Reply> {
    (request.path == "/ari/channels").then(|| Reply::ok(&json!([])))
}

fn error(answers: &Messages) -> String {
    let answer: Value = answers.expect("an answer").json();
    answer["error"]
        .as_str()
        .unwrap_or("no error member")
        .to_owned()
}

fn defect_20_a_full_queue_is_answered_at_once(on: BusKind) {
    let rig = Rig::with(on, |proxy| {
        proxy
            .env("WORKERS_COUNT", "2")
            .env("WORKERS_QUEUE", "3")
            .env("WORKERS_MAX_WAIT", "60s")
            .env("HTTP_RESPONSE_TIMEOUT", "60s")
    });
    rig.asterisk.stall_http(true);
    rig.asterisk.on(no_channels);
    let mut held: Vec<Messages> = (0..2).map(|_| rig.bus.send("ari.get", list())).collect();
    wait_until("the workers are busy", SOON, || {
        rig.asterisk.calls().len() == 2
    });
    held.extend((0..3).map(|_| rig.bus.send("ari.get", list())));
    // Only once the queue holds those three is another one too many; until then it would wait, and
    // Asterisk does not answer it.
    let refused = rig.bus.send("ari.get", list());
    let text = error(&refused);
    assert!(text.contains("overloaded"), "{text}");
    assert_eq!(rig.asterisk.calls().len(), 2);
    assert!(held.iter().all(|answers| answers.arrived().is_empty()));
    rig.asterisk.stall_http(false);
    for answers in &held {
        assert_eq!(error(answers), "");
    }
    assert_eq!(rig.probe(), None);
}

fn defect_8_a_request_that_waited_too_long_is_answered_and_not_done(on: BusKind) {
    let rig = Rig::with(on, |proxy| {
        proxy
            .env("WORKERS_COUNT", "1")
            .env("WORKERS_MAX_WAIT", "300ms")
            .env("HTTP_RESPONSE_TIMEOUT", "60s")
    });
    rig.asterisk.on(no_channels);
    rig.asterisk.stall_http(true);
    let first = rig.bus.send("ari.get", list());
    wait_until("the worker is busy", SOON, || {
        rig.asterisk.calls().len() == 1
    });
    let originate = json!({"kind": "ChannelOriginate", "key": null, "channel_originate":
        {"originate_request": {"endpoint": "Local/1", "app": "conf"}}});
    let late: Vec<Messages> = (0..5)
        .map(|_| rig.bus.send("ari.create", originate.to_string()))
        .collect();
    for answers in &late {
        let text = error(answers);
        assert!(text.contains("waited"), "{text}");
    }
    rig.asterisk.stall_http(false);
    assert_eq!(error(&first), "");
    assert_eq!(rig.probe(), None);
    let originated = rig
        .asterisk
        .calls()
        .iter()
        .any(|call| call.method == "POST");
    assert!(!originated, "run afterwards");
}

fn defect_20_a_stalled_asterisk_holds_few_connections(on: BusKind) {
    let rig = Rig::with(on, |proxy| {
        proxy
            .env("WORKERS_COUNT", "8")
            .env("WORKERS_MAX_WAIT", "1s")
            .env("HTTP_RESPONSE_TIMEOUT", "500ms")
    });
    rig.asterisk.on(no_channels);
    let before = rig.proxy.open_files();
    rig.asterisk.stall_http(true);
    let requests: Vec<Messages> = (0..200).map(|_| rig.bus.send("ari.get", list())).collect();
    wait_until("the workers are busy", SOON, || {
        rig.asterisk.calls().len() >= 8
    });
    let most = rig.proxy.open_files();
    assert!(most <= before + 16, "{before} files before, {most} now");
    for answers in &requests {
        assert_ne!(error(answers), "");
    }
    // Eight workers, the websocket, the watch, and what was given up and is not closed yet.
    rig.asterisk.stall_http(false);
    wait_until("it serves", SOON, || rig.probe().is_none());
    wait_until("what was given up is closed", SOON, || {
        rig.asterisk.open_connections() <= 10
    });
    let after = rig.proxy.open_files();
    assert!(after <= before + 16, "{before} files before, {after} after");
}

fn defect_20_connections_are_used_again(on: BusKind) {
    let rig = Rig::with(on, |proxy| proxy.env("WORKERS_COUNT", "4"));
    rig.asterisk.on(no_channels);
    for _ in 0..5 {
        let requests: Vec<Messages> = (0..100).map(|_| rig.bus.send("ari.get", list())).collect();
        for answers in &requests {
            assert_eq!(error(answers), "");
        }
    }
    let most = rig.asterisk.most_open_connections();
    assert!(most <= 6, "four workers, the websocket, the watch: {most}");
}

#[test]
fn connections_that_asterisk_closed_while_idle_fail_no_request() {
    let rig = Rig::with(BusKind::Nats, |proxy| proxy.env("WORKERS_COUNT", "4"));
    rig.asterisk.on(no_channels);
    for _ in 0..20 {
        let requests: Vec<Messages> = (0..20).map(|_| rig.bus.send("ari.get", list())).collect();
        for answers in &requests {
            assert_eq!(error(answers), "");
        }
        rig.asterisk.close_http();
    }
}

fn events_pass_while_requests_are_stuck(on: BusKind) {
    let rig = Rig::with(on, |proxy| proxy.env("WORKERS_COUNT", "2"));
    rig.asterisk.stall_http(true);
    let _requests: Vec<Messages> = (0..50).map(|_| rig.bus.send("ari.get", list())).collect();
    wait_until("the workers are busy", SOON, || {
        rig.asterisk.calls().len() >= 2
    });
    let events = rig.bus.subscribe("ari.event.>");
    rig.asterisk.push(r#"{"type":"X"}"#);
    events.expect("an event");
}

fn defect_4_a_burst_is_lost_nowhere(on: BusKind) {
    let rig = Rig::start(on);
    let events = rig.bus.subscribe("ari.event.>");
    let filler = "x".repeat(400);
    for number in 0..20_000 {
        rig.asterisk.push(format!(
            "{{\"type\":\"X\",\"n\":{number},\"x\":\"{filler}\"}}"
        ));
    }
    for (number, message) in events.take(20_000).iter().enumerate() {
        assert_eq!(message.json()["n"], number);
    }
}

fn defect_4_what_is_lost_while_the_bus_is_away_is_said(on: BusKind) {
    let mut rig = Rig::own(on, |proxy| proxy.env("EVENTS_MAX_COUNT", "100"));
    rig.server.kill();
    rig.proxy.wait_log("lost");
    for number in 0..1_000 {
        rig.asterisk
            .push(format!("{{\"type\":\"X\",\"n\":{number}}}"));
    }
    rig.proxy.wait_log("dropped");
    rig.server.restart();
    let bus = Bus::connect(&rig.server.url());
    wait_until("it serves", SOON, || {
        let request = json!({"kind": "AsteriskInfo", "key": null});
        let answer = bus.try_ask("ari.data", &request, Duration::from_secs(5));
        answer.is_some_and(|answer| answer["error"] == "")
    });
    assert!(rig.proxy.is_running());
}

fn defect_4_events_are_taken_while_the_bus_is_stuck(on: BusKind) {
    let rig = Rig::own(on, |proxy| proxy);
    rig.server.pause();
    // More than any socket holds: Asterisk drops a websocket that is not read.
    let filler = "x".repeat(1_000);
    for number in 0..30_000 {
        rig.asterisk.push(format!(
            "{{\"type\":\"X\",\"n\":{number},\"x\":\"{filler}\"}}"
        ));
    }
    rig.server.resume();
    assert_eq!(
        rig.asterisk.websocket_requests().len(),
        1,
        "the same websocket"
    );
    wait_until("it serves", SOON, || rig.probe().is_none());
}

#[test]
fn who_may_only_ask_has_nothing_published_on_our_subjects() {
    let rig = Rig::start(BusKind::Nats);
    let events = rig.bus.subscribe("ari.event.>");
    let statuses = rig.bus.subscribe("ari.status.>");
    for reply in ["ari.event.conf.x", "ari.status.conf.x", "ari.get"] {
        rig.bus.publish_request(&rig.subject("get"), reply, list());
    }
    assert_eq!(rig.probe(), None);
    rig.asterisk.push(r#"{"type":"After"}"#);
    assert_eq!(events.expect("an event").json()["type"], "After");
    let made_up = |status: &Message| status.json().get("error").is_some();
    assert!(!statuses.arrived().iter().any(made_up));
}

/// Ten times as many as can be done, with everything as it is by default.
#[test]
fn requests_whose_turn_would_come_too_late_are_refused_at_once() {
    const ASKED: usize = 6_000;
    let rig = Rig::start(BusKind::Nats);
    rig.asterisk.on(|request: &Request| {
        let list = request.path == "/ari/channels";
        list.then(|| {
            std::thread::sleep(Duration::from_millis(100));
            Reply::ok(&json!([]))
        })
    });
    let answers = rig.bus.subscribe("late.*");
    let subject = rig.subject("get");
    let started = Instant::now();
    for number in 0..ASKED {
        // 1 600 a second, where 160 can be done.
        let due = Duration::from_micros(625) * number as u32;
        std::thread::sleep(due.saturating_sub(started.elapsed()));
        rig.bus.publish_request(&subject, "late.1", list());
        rig.bus.flush();
    }
    let (mut done, mut at_once, mut late) = (0, 0, 0);
    for answer in answers.take(ASKED) {
        match answer.json()["error"].as_str() {
            Some("") => done += 1,
            Some("proxy is overloaded") => at_once += 1,
            _ => late += 1,
        }
    }
    println!("{done} done, {at_once} refused at once, {late} late");
    assert!(done > 400, "{done} done");
    assert!(late < ASKED / 50, "{late} waited in vain");
    assert_eq!(rig.probe(), None, "and it serves");
}

#[test]
fn a_burst_of_more_requests_than_can_be_refused_is_answered_or_counted() {
    const BURST: usize = 200_000;
    let mut rig = Rig::with(BusKind::Nats, |proxy| {
        proxy.env("WORKERS_COUNT", "1").env("WORKERS_QUEUE", "1")
    });
    rig.asterisk.on(no_channels);
    let answers = rig.bus.subscribe("burst.*");
    let subject = rig.subject("get");
    let events = rig.bus.subscribe("ari.event.>");
    for _ in 0..BURST {
        rig.bus.publish_request(&subject, "burst.1", list());
    }
    rig.bus.flush();
    wait_until("it serves", SOON, || rig.probe().is_none());
    rig.asterisk.push(r#"{"type":"After"}"#);
    events.expect("an event");
    rig.proxy.signal("TERM");
    assert_eq!(rig.proxy.wait_exit(SOON), Some(0));
    let dropped = counted(&rig.proxy.lines(), "requests_dropped");
    let mut answered = 0;
    wait_until("the answers", SOON, || {
        answered += answers.arrived().len();
        answered + dropped >= BURST
    });
    assert_eq!(answered + dropped, BURST);
    println!("{dropped} of {BURST} are dropped");
    assert!(dropped < BURST / 20, "{dropped} of {BURST} are dropped");
}

/// What the last line of a proxy says of a count.
fn counted(lines: &[String], name: &str) -> usize {
    let last = lines.last().expect("a last line");
    let count = last.split(' ').find_map(|word| {
        let (counted, count) = word.split_once('=')?;
        (counted == name).then(|| count.parse().expect("a number"))
    });
    count.unwrap_or(0)
}
