//! The status subject: what is said of changes and losses, and that it can be counted on.

use std::time::{Duration, Instant, SystemTime};

use amiquip::{AmqpValue, FieldTable, QueueDeclareOptions};
use ari_proxy::wire::timestamp::rfc3339;
use serde_json::{Value, json};

use crate::support::asterisk::{Asterisk, ENTITY_ID};
use crate::support::bus::{Bus, BusKind, Message, Messages, Server, on_each_bus};
use crate::support::proxy::ProxyBuilder;
use crate::support::relay::Relay;
use crate::support::rig::{APPLICATION, Rig};
use crate::support::server::Reply;
use crate::support::wait::{SOON, wait_for, wait_until};

on_each_bus!(
    it_is_told_at_the_start_with_announcements_and_at_the_end,
    asterisk_that_goes_and_comes_back_is_told_among_the_events,
    an_application_taken_over_is_told_and_taking_it_back,
    what_does_not_fit_into_the_buffer_is_told_by_number,
    what_waited_too_long_is_told_by_number,
    changes_that_did_not_fit_into_the_buffer_are_told,
    another_id_begins_another_count,
    another_process_begins_another_count,
    events_carry_their_number_where_that_is_wanted,
    what_is_in_the_application_is_told_where_that_is_wanted,
    many_channels_are_told_in_parts,
    a_snapshot_that_asterisk_does_not_give_holds_nothing_up,
    asterisk_that_is_down_is_told_on_a_new_link,
    asterisk_that_is_down_is_told_on_a_ping,
    an_asterisk_with_a_given_id_is_told_to_be_down_from_the_start,
    losses_are_those_of_their_own_id,
    a_flood_of_pings_is_answered_at_a_pace,
);

/// How long to listen for what must not come.
const SILENCE: Duration = Duration::from_millis(400);

fn event(number: usize) -> String {
    format!("{{\"type\":\"Numbered\",\"n\":{number}}}")
}

/// Members of a status, by their names.
fn some(status: &Value, members: &[&str]) -> Value {
    members.iter().map(|name| status[*name].clone()).collect()
}

/// The next status of this state. What comes before may only repeat what holds.
fn next(statuses: &Messages, state: &str) -> Value {
    wait_for(&format!("a status {state}"), SOON, || {
        let status = statuses.next(SOON)?.json();
        if status["state"] == state {
            return Some(status);
        }
        assert_eq!(status["lost"], 0, "{state} is awaited: {status}");
        None
    })
}

/// A proxy that is not started by a rig, as its first words are of interest.
struct Parts {
    server: Server,
    asterisk: Asterisk,
    bus: Bus,
}

impl Parts {
    fn new(on: BusKind) -> Parts {
        let server = Server::start(on);
        Parts {
            asterisk: Asterisk::start(),
            bus: Bus::connect(&server.url()),
            server,
        }
    }

    fn proxy(&self) -> ProxyBuilder {
        ProxyBuilder::new(APPLICATION, &self.asterisk, &self.server.url())
    }
}

fn it_is_told_at_the_start_with_announcements_and_at_the_end(on: BusKind) {
    let parts = Parts::new(on);
    let all = parts.bus.subscribe("ari.status.>");
    let announcements = parts.bus.subscribe("ari.announce");
    let events = parts.bus.subscribe("ari.event.>");
    let mut proxy = parts.proxy().spawn();
    let first = all.expect("at the start");
    assert_eq!(
        first.subject,
        format!("ari.status.{APPLICATION}.{ENTITY_ID}")
    );
    let first = first.json();
    let epoch = first["epoch"].as_str().expect("text").to_owned();
    assert_eq!(epoch.len(), 16);
    let since = first["since"].as_str().expect("text").to_owned();
    assert!(since.starts_with("20") && since.ends_with('Z') && since.len() == 24);
    let expected = |state: &str, seq: u64, lost: Value, since: &Value, reason: &str| {
        json!({"asterisk": ENTITY_ID, "application": APPLICATION, "state": state,
            "epoch": epoch, "seq": seq, "lost": lost, "lost_total": 0, "lost_unknown": 1, "since": since,
            "reason": reason})
    };
    let started = "the proxy was started";
    let since = json!(since);
    assert_eq!(first, expected("up", 0, json!(null), &since, started));
    announcements.expect("at the start");
    let again = all.expect("with the announcement").json();
    assert_eq!(again, expected("up", 0, json!(0), &since, started));
    for number in 1..=100 {
        parts.asterisk.push(event(number));
    }
    events.take(100);
    parts.bus.publish("ari.ping", "");
    announcements.expect("on a ping");
    let again = all.expect("with the announcement").json();
    assert_eq!(again, expected("up", 100, json!(0), &since, started));
    assert_eq!(all.next(SILENCE), None);
    proxy.signal("TERM");
    let last = all.expect("at the end").json();
    let stopped = "the proxy is stopped";
    assert_eq!(
        last,
        expected("stopping", 100, json!(0), &last["since"], stopped)
    );
    assert_eq!(proxy.wait_exit(SOON), Some(0));
}

/// Events and statuses in the order in which they come, and from when on they are of interest.
struct Both(Messages, SystemTime);

impl Both {
    fn of(bus: &Bus) -> Both {
        Both(bus.subscribe("ari.>"), SystemTime::now())
    }

    /// Whether a status is of before: RabbitMQ may have lost it with a link, for all we know.
    fn is_old(&self, status: &Value) -> bool {
        status["since"].as_str() < Some(&rfc3339(self.1))
    }

    /// All until the event of this number: of events their numbers, of statuses their state and
    /// count; without those that only repeat what holds.
    fn until(&self, last: u64) -> (Vec<String>, Vec<Value>) {
        let (mut order, mut statuses) = (Vec::new(), Vec::new());
        loop {
            let message = self.0.expect("an event or status");
            if !["ari.event.", "ari.status."]
                .iter()
                .any(|at| message.subject.starts_with(at))
            {
                continue;
            }
            let body = message.json();
            if let Some(number) = body["n"].as_u64() {
                order.push(number.to_string());
                if number == last {
                    return (order, statuses);
                }
            } else if body["lost"] != 0 && !self.is_old(&body) {
                let state = body["state"].as_str().unwrap_or("?");
                order.push(format!("{state}@{}", body["seq"]));
                statuses.push(body);
            }
        }
    }
}

fn asterisk_that_goes_and_comes_back_is_told_among_the_events(on: BusKind) {
    let rig = Rig::start(on);
    let both = Both::of(&rig.bus);
    for number in 1..=3 {
        rig.asterisk.push(event(number));
    }
    rig.asterisk.stop();
    rig.proxy.wait_log("connecting again");
    rig.asterisk.restart();
    wait_until("it serves", SOON, || rig.probe().is_none());
    rig.asterisk.push(event(4));
    let (order, statuses) = both.until(4);
    assert_eq!(order, ["1", "2", "3", "down@3", "up@3", "4"]);
    let [down, up] = statuses.as_slice() else {
        panic!("{statuses:?}");
    };
    assert_eq!(some(down, &["lost", "lost_total"]), json!([null, 0]));
    assert_ne!(down["reason"], "");
    assert_eq!(some(up, &["lost", "epoch"]), json!([null, down["epoch"]]));
    assert_eq!(up["reason"], "Asterisk is connected again");
}

fn an_application_taken_over_is_told_and_taking_it_back(on: BusKind) {
    let rig = Rig::with(on, |proxy| proxy.env("ARI_REPLACED_PAUSE", "300ms"));
    let both = Both::of(&rig.bus);
    rig.asterisk.push(event(1));
    rig.asterisk
        .push(r#"{"type":"ApplicationReplaced","application":"conf","n":2}"#);
    wait_until("a new websocket", SOON, || {
        rig.asterisk.websocket_requests().len() == 2
    });
    wait_until("it serves", SOON, || rig.probe().is_none());
    rig.asterisk.push(event(3));
    let (order, _) = both.until(3);
    assert_eq!(order, ["1", "2", "replaced@2", "up@2", "3"]);
}

/// A rig whose proxy comes to the bus by way of a relay.
fn relayed(on: BusKind, configure: impl FnOnce(ProxyBuilder) -> ProxyBuilder) -> (Rig, Relay) {
    let server = Server::start(on);
    let relay = Relay::start(server.port());
    let url = server.url_by(relay.port());
    let rig = Rig::on(server, |proxy| configure(proxy.env("MESSAGEBUS_URL", url)));
    (rig, relay)
}

/// A bus that is away while this many events come, of which so many may wait.
fn away(on: BusKind, events: usize, most: usize) -> (Rig, Relay, Both) {
    let (rig, relay) = relayed(on, |proxy| {
        proxy
            .env("EVENTS_MAX_COUNT", most.to_string())
            .env("EVENTS_MAX_AGE", "10s")
    });
    let both = Both::of(&rig.bus);
    relay.refuse();
    rig.proxy.wait_log("lost");
    for number in 1..=events {
        rig.asterisk.push(event(number));
    }
    if events > most {
        rig.proxy.wait_log("dropped");
    }
    relay.resume();
    (rig, relay, both)
}

fn what_does_not_fit_into_the_buffer_is_told_by_number(on: BusKind) {
    let (_rig, _relay, both) = away(on, 1_000, 100);
    let (order, statuses) = both.until(1_000);
    let kept = order.iter().filter(|what| !what.contains('@')).count();
    let lost: u64 = statuses
        .iter()
        .filter(|status| status["state"] == "gap")
        .map(|status| status["lost"].as_u64().expect("a number"))
        .sum();
    assert_eq!(lost, 1_000 - kept as u64, "{statuses:#?}");
    assert!(lost >= 899, "{lost}");
    // It is told where it is: one event may have been taken out of the buffer before.
    let gap = order.iter().position(|what| what.starts_with("gap"));
    let gap = gap.expect("a gap");
    let before: u64 = match gap {
        0 => 0,
        _ => order[gap - 1].parse().expect("a number"),
    };
    let after: u64 = order[gap + 1].parse().expect("a number");
    assert_eq!(statuses[0]["lost"], after - before - 1, "{order:?}");
    assert_eq!(statuses[0]["seq"], gap);
    let last = &statuses[statuses.len() - 1];
    assert_eq!(last["lost_total"], lost);
    let reason = last["reason"].as_str().expect("text");
    assert!(reason.ends_with("did not fit into the buffer"), "{reason}");
}

fn what_waited_too_long_is_told_by_number(on: BusKind) {
    let (rig, relay) = relayed(on, |proxy| proxy.env("EVENTS_MAX_AGE", "500ms"));
    let both = Both::of(&rig.bus);
    relay.refuse();
    rig.proxy.wait_log("lost");
    for number in 1..=10 {
        rig.asterisk.push(event(number));
    }
    // Their age is what is tested.
    std::thread::sleep(Duration::from_secs(1));
    relay.resume();
    let announcements = rig.bus.subscribe("ari.announce");
    announcements.expect("on the new link");
    rig.asterisk.push(event(11));
    let (order, statuses) = both.until(11);
    assert_eq!(order, ["gap@0", "11"]);
    let gap = &statuses[statuses.len() - 1];
    assert_eq!(some(gap, &["lost", "lost_total"]), json!([10, 10]));
}

fn changes_that_did_not_fit_into_the_buffer_are_told(on: BusKind) {
    let (rig, relay) = relayed(on, |proxy| proxy.env("EVENTS_MAX_COUNT", "10"));
    let both = Both::of(&rig.bus);
    relay.refuse();
    rig.proxy.wait_log("lost");
    rig.asterisk.drop_websockets();
    wait_until("a new websocket", SOON, || {
        rig.asterisk.websocket_requests().len() == 2
    });
    rig.asterisk.wait_websockets(1);
    for number in 1..=50 {
        rig.asterisk.push(event(number));
    }
    rig.proxy.wait_log("dropped");
    relay.resume();
    let (mut order, statuses) = both.until(50);
    let kept = order.len() - statuses.len();
    // It had been taken out of the buffer when the bus went, or not.
    order.retain(|what| what != "down@0");
    assert_eq!(order[..2], ["gap@0", "up@0"], "{order:?}");
    let gap = statuses.iter().find(|status| status["state"] == "gap");
    let lost = gap.and_then(|gap| gap["lost"].as_u64());
    assert_eq!(lost, Some(50 - kept as u64), "{statuses:#?}");
}

#[test]
fn events_that_a_full_queue_refuses_are_told_and_nothing_else() {
    let rig = Rig::start(BusKind::RabbitMq);
    let statuses = rig.bus.subscribe("ari.status.>");
    let events = rig.bus.subscribe("ari.event.>");
    rig.bind("ChannelSubscribe", "channel", "c", "d");
    let channel = rig.bus.rabbitmq().channel();
    let mut arguments = FieldTable::new();
    arguments.insert("x-max-length".into(), AmqpValue::LongInt(1));
    let refuse = AmqpValue::LongString("reject-publish".into());
    arguments.insert("x-overflow".into(), refuse);
    let options = QueueDeclareOptions {
        arguments,
        ..QueueDeclareOptions::default()
    };
    channel.queue_declare("full", options).expect("declared");
    channel
        .queue_bind("full", "ari.event", "#", FieldTable::new())
        .expect("bound");
    // The first fills the queue; of the others the copies for the dialog are refused too.
    for _ in 0..5 {
        rig.asterisk
            .push(r#"{"type":"ChannelVarset","channel":{"id":"c"}}"#);
    }
    events.take(5);
    let mut last = Value::Null;
    let patience = Duration::from_secs(20);
    wait_until("four are told", patience, || {
        rig.bus.publish("ari.ping", "");
        last = statuses.expect("a status").json();
        last["lost_total"] == 4
    });
    for _ in 0..3 {
        rig.bus.publish("ari.ping", "");
        let status = next(&statuses, "up");
        assert_eq!(some(&status, &["lost_total", "seq"]), json!([4, 5]));
    }
}

#[test]
fn an_event_that_the_bus_refuses_is_told() {
    let rig = Rig::start(BusKind::Nats);
    let both = Both::of(&rig.bus);
    rig.asterisk.push(event(1));
    let large = "x".repeat(1_200_000);
    rig.asterisk
        .push(format!("{{\"type\":\"Large\",\"x\":\"{large}\"}}"));
    rig.asterisk.push(event(2));
    let (order, statuses) = both.until(2);
    assert_eq!(order, ["1", "gap@1", "2"]);
    assert_eq!(statuses[0]["lost"], 1);
    assert_eq!(statuses[0]["reason"], "1 were refused by the bus");
}

fn another_id_begins_another_count(on: BusKind) {
    let rig = Rig::start(on);
    let statuses = rig.bus.subscribe("ari.status.>");
    let events = rig.bus.subscribe("ari.event.>");
    rig.asterisk.push(event(1));
    events.expect("an event");
    rig.asterisk.entity_id("0a:0b");
    // The proxy looks every ten seconds.
    let mut messages: Vec<Value> = Vec::new();
    wait_until("the new id", Duration::from_secs(25), || {
        let came = statuses.arrived();
        let came = came.iter().map(Message::json);
        messages.extend(came.filter(|status| status["lost"] != 0));
        messages.len() >= 2
    });
    let names = ["asterisk", "state", "seq"];
    assert_eq!(some(&messages[0], &names), json!([ENTITY_ID, "down", 1]));
    assert_eq!(some(&messages[1], &names), json!(["0a:0b", "up", 0]));
    assert_ne!(messages[0]["epoch"], messages[1]["epoch"]);
    rig.asterisk.push(event(2));
    assert_eq!(events.expect("an event").subject, "ari.event.conf.0a:0b");
    rig.bus.publish("ari.ping", "");
    wait_until("it is counted", SOON, || {
        statuses.expect("with the announcement").json()["seq"] == 1
    });
}

fn another_process_begins_another_count(on: BusKind) {
    let parts = Parts::new(on);
    let statuses = parts.bus.subscribe("ari.status.>");
    let epochs: Vec<Value> = (0..2)
        .map(|_| {
            let proxy = parts.proxy().spawn();
            let up = wait_for("its start", SOON, || {
                let status = statuses.next(SOON)?.json();
                status["lost"].is_null().then_some(status)
            });
            assert_eq!(some(&up, &["state", "seq"]), json!(["up", 0]));
            proxy.signal("KILL");
            up["epoch"].clone()
        })
        .collect();
    assert_ne!(epochs[0], epochs[1]);
}

fn events_carry_their_number_where_that_is_wanted(on: BusKind) {
    for wanted in [false, true] {
        let rig = Rig::with(on, |proxy| proxy.env("EVENTS_HEADERS", wanted.to_string()));
        let both = rig.bus.subscribe("ari.>");
        let statuses = rig.bus.subscribe("ari.status.>");
        let dialogs = rig.bus.subscribe("ari.dialogevent.d");
        rig.bus.publish("ari.ping", "");
        let epoch = statuses.expect("with the announcement").json()["epoch"].clone();
        rig.bind("ChannelSubscribe", "channel", "c", "d");
        let text = r#"{"type":"ChannelVarset","channel":{"id":"c"}}"#;
        for _ in 0..3 {
            rig.asterisk.push(text);
        }
        let marks = |messages: &[Message]| -> Vec<Value> {
            let mark =
                |message: &Message| json!([message.header("Ari-Epoch"), message.header("Ari-Seq")]);
            messages.iter().map(mark).collect()
        };
        let expected: Vec<Value> = (1..=3)
            .map(|seq| match wanted {
                true => json!([epoch, seq.to_string()]),
                false => json!([null, null]),
            })
            .collect();
        let of_dialog = dialogs.take(3);
        assert_eq!(marks(&of_dialog), expected);
        let mut events = Vec::new();
        wait_until("the events", SOON, || {
            let came = both.arrived().into_iter();
            events.extend(came.filter(|message| message.subject.starts_with("ari.event.")));
            events.len() == 3
        });
        assert_eq!(marks(&events), expected);
        assert!(events.iter().all(|event| event.data == text.as_bytes()));
    }
}

/// An Asterisk that has these channels, and the bridge `b`, in the application.
fn with_channels(rig: &Rig, channels: Value) {
    rig.asterisk.on(move |request| {
        let body = json!({"name": "conf", "channel_ids": channels, "bridge_ids": ["b"],
            "endpoint_ids": [], "device_names": []});
        (request.path == "/ari/applications/conf").then(|| Reply::ok(&body))
    });
}

fn snapshot(on: BusKind) -> Rig {
    Rig::with(on, |proxy| proxy.env("ARI_SNAPSHOT", "true"))
}

fn what_is_in_the_application_is_told_where_that_is_wanted(on: BusKind) {
    let rig = snapshot(on);
    let statuses = rig.bus.subscribe("ari.status.>");
    with_channels(&rig, json!(["c1", "__AST_CHANNEL_ALL_TOPIC", "c2"]));
    rig.asterisk.drop_websockets();
    let up = wait_for("the new websocket", SOON, || {
        let status = statuses.next(SOON)?.json();
        (status["state"] == "up" && status["lost"].is_null()).then_some(status)
    });
    assert_eq!(
        up["details"],
        json!({"channels": ["c1", "c2"], "bridges": ["b"], "part": 1, "parts": 1})
    );
    rig.bus.publish("ari.ping", "");
    let again = statuses.expect("with the announcement").json();
    assert_eq!(again.get("details"), None);
}

fn many_channels_are_told_in_parts(on: BusKind) {
    let rig = snapshot(on);
    let statuses = rig.bus.subscribe("ari.status.>");
    let ids: Vec<String> = (0..100_000).map(|n| format!("channel-{n:08}")).collect();
    with_channels(&rig, json!(ids));
    rig.asterisk.drop_websockets();
    let mut channels = Vec::new();
    let mut last = Value::Null;
    wait_until("the last part", SOON, || {
        for status in statuses.arrived().iter().map(Message::json) {
            if let Some(details) = status.get("details") {
                channels.extend(details["channels"].as_array().cloned().unwrap_or_default());
                last = details.clone();
            }
        }
        !last.is_null() && last["part"] == last["parts"]
    });
    assert!(json!(ids) == json!(channels), "{} of them", channels.len());
    assert_eq!(last["bridges"], json!(["b"]));
}

fn a_snapshot_that_asterisk_does_not_give_holds_nothing_up(on: BusKind) {
    let rig = snapshot(on);
    let statuses = rig.bus.subscribe("ari.status.>");
    rig.asterisk.drop_websockets();
    next(&statuses, "down");
    let up = next(&statuses, "up");
    assert_eq!(up.get("details"), None);
    rig.proxy
        .wait_log("does not say what is in the application");
    wait_until("it serves", SOON, || rig.probe().is_none());
}

fn asterisk_that_is_down_is_told_on_a_new_link(on: BusKind) {
    let (rig, relay) = relayed(on, |proxy| proxy);
    let statuses = rig.bus.subscribe("ari.status.>");
    rig.asterisk.stop();
    next(&statuses, "down");
    relay.cut();
    wait_until("it is told again", SOON, || {
        let status = statuses.expect("a status").json();
        status["state"] == "down" && status["lost"] == 0
    });
}

fn asterisk_that_is_down_is_told_on_a_ping(on: BusKind) {
    let rig = Rig::start(on);
    let statuses = rig.bus.subscribe("ari.status.>");
    rig.asterisk.stop();
    let down = next(&statuses, "down");
    rig.bus.publish("ari.ping", "");
    let again = next(&statuses, "down");
    assert_eq!(some(&again, &["lost", "since"]), json!([0, down["since"]]));
}

fn an_asterisk_with_a_given_id_is_told_to_be_down_from_the_start(on: BusKind) {
    let parts = Parts::new(on);
    parts.asterisk.stop();
    let statuses = parts.bus.subscribe("ari.status.>");
    let _proxy = parts.proxy().env("ARI_ASTERISK_ID", "mine").spawn();
    let down = statuses.expect("at the start");
    assert_eq!(down.subject, format!("ari.status.{APPLICATION}.mine"));
    assert_eq!(down.json()["state"], "down");
    parts.asterisk.restart();
    next(&statuses, "up");
}

fn losses_are_those_of_their_own_id(on: BusKind) {
    let (rig, relay) = relayed(on, |proxy| proxy.env("EVENTS_MAX_COUNT", "3"));
    let both = Both::of(&rig.bus);
    relay.refuse();
    rig.proxy.wait_log("lost");
    rig.asterisk.stop();
    rig.asterisk.entity_id("other");
    rig.asterisk.restart();
    rig.asterisk.wait_websockets(1);
    for number in 1..=20 {
        rig.asterisk.push(event(number));
    }
    rig.proxy.wait_log("dropped");
    relay.resume();
    let (order, statuses) = both.until(20);
    let arrived = order.len() - statuses.len();
    let last_of = |id: &str| {
        let mut own = statuses.iter().filter(|status| status["asterisk"] == id);
        own.next_back().cloned().unwrap_or_default()
    };
    let old = last_of(ENTITY_ID);
    assert_eq!(some(&old, &["state", "lost_total"]), json!(["down", 0]));
    assert_eq!(
        last_of("other")["lost_total"],
        20 - arrived,
        "{statuses:#?}"
    );
}

fn a_flood_of_pings_is_answered_at_a_pace(on: BusKind) {
    let rig = Rig::start(on);
    let announcements = rig.bus.subscribe("ari.announce");
    let started = Instant::now();
    for _ in 0..2_000 {
        rig.bus.hand_over("ari.ping", "");
    }
    rig.bus.flush();
    announcements.expect("an announcement");
    let mut came = 1;
    while announcements.next(SILENCE).is_some() {
        came += 1;
    }
    // One every 20 ms at most, the silence at the end not counted.
    let most = (started.elapsed() - SILENCE).as_millis() / 20 + 2;
    assert!(came <= most, "{came}");
}
