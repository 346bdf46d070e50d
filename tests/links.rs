//! Peers that are absent, die, stall and come back, under a stream of events and requests.

use std::net::TcpListener;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::asterisk::{Asterisk, ENTITY_ID};
use crate::support::bus::{Bus, BusKind, Messages, Server, on_each_bus};
use crate::support::nats::NatsServer;
use crate::support::proxy::ProxyBuilder;
use crate::support::relay::Relay;
use crate::support::rig::Rig;
use crate::support::server::{Reply, lock};
use crate::support::wait::{SOON, wait_for, wait_until};

on_each_bus!(
    asterisk_gone_ten_times_under_load,
    defect_21_a_bus_absent_at_start_is_waited_for,
    servers_of_the_list_that_are_stuck_are_passed_over,
    defect_6_a_bus_away_for_many_attempts_is_found_again,
    a_bus_that_accepts_and_stays_silent_is_given_up_and_tried_again,
    a_link_that_falls_silent_is_replaced,
    a_link_that_is_cut_is_replaced_and_what_waited_is_sent_in_order,
    a_bus_stopped_for_a_moment_loses_nothing,
    asterisk_absent_at_start_is_waited_for,
    the_create_group_is_left_while_asterisk_is_down,
    create_requests_are_done_once_and_shared,
    create_requests_are_shared_with_proxies_of_the_other_make,
    defect_5_a_replaced_application_is_said_left_and_taken_back_after_a_pause,
    an_asterisk_that_falls_silent_is_counted_dead,
);

/// The proxy is back within a second of its peer; the rest is for a machine busy with other tests.
pub(crate) const BACK: Duration = Duration::from_millis(1_000 + 750);

/// What requests are answered while Asterisk is away.
const DOWN: &str = "ARI connection is down";

/// A stream of numbered events out of an Asterisk, in a thread of its own.
pub(crate) struct Stream {
    pushed: Arc<Mutex<Pushed>>,
    running: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Pushed {
    number: u64,
    /// Whether both peers are known to be up.
    up: bool,
    /// The numbers of the events that were sent while they were.
    owed: Vec<u64>,
}

impl Stream {
    pub(crate) fn start(asterisk: &Arc<Asterisk>) -> Stream {
        let pushed = Arc::new(Mutex::new(Pushed::default()));
        let running = Arc::new(AtomicBool::new(true));
        let thread = {
            let (asterisk, pushed) = (Arc::clone(asterisk), Arc::clone(&pushed));
            let running = Arc::clone(&running);
            std::thread::spawn(move || {
                while running.load(Ordering::SeqCst) {
                    let mut pushed = lock(&pushed);
                    pushed.number += 1;
                    let number = pushed.number;
                    if pushed.up {
                        pushed.owed.push(number);
                    }
                    // Under the lock: when `up` is taken back, what is owed has been sent.
                    asterisk.push(format!("{{\"type\":\"Numbered\",\"n\":{number}}}"));
                    drop(pushed);
                    // The pace of the stream.
                    std::thread::sleep(Duration::from_millis(1));
                }
            })
        };
        Stream {
            pushed,
            running,
            thread: Some(thread),
        }
    }

    pub(crate) fn set_up(&self, up: bool) {
        lock(&self.pushed).up = up;
    }

    fn number(&self) -> u64 {
        lock(&self.pushed).number
    }

    pub(crate) fn owed(&self) -> Vec<u64> {
        lock(&self.pushed).owed.clone()
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        self.running.store(false, Ordering::SeqCst);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn numbers(messages: &Messages) -> Vec<u64> {
    let arrived = messages.arrived();
    arrived
        .iter()
        .filter_map(|m| m.json()["n"].as_u64())
        .collect()
}

pub(crate) fn info() -> Value {
    json!({"kind": "AsteriskInfo", "key": null})
}

/// Whether a request is served.
pub(crate) fn serves(bus: &Bus) -> bool {
    serves_within(bus, Duration::from_secs(5))
}

/// Whether a request is served in this time.
pub(crate) fn serves_within(bus: &Bus, limit: Duration) -> bool {
    let answer = bus.try_ask("ari.data.conf", &info(), limit);
    answer.is_some_and(|answer| answer["error"] == "")
}

/// Runs the stream and requests for a while in which both peers are up: all requests are served,
/// and all events that are sent arrive.
fn both_up(stream: &Stream, bus: &Bus, events: &Messages, received: &mut Vec<u64>) {
    stream.set_up(true);
    for _ in 0..20 {
        assert!(serves(bus), "a request while both are up");
    }
    let before = stream.owed().len();
    wait_until("more events sent", SOON, || {
        stream.owed().len() >= before + 30
    });
    stream.set_up(false);
    let last = stream.owed().last().copied();
    wait_until("every event sent arrived", SOON, || {
        received.extend(numbers(events));
        received.last().copied() >= last
    });
}

/// Every owed event arrived once, and all in order.
fn check(stream: &Stream, received: &[u64]) {
    assert!(received.is_sorted(), "out of order: {received:?}");
    let owed = stream.owed();
    assert!(owed.len() > 300, "{}", owed.len());
    for number in owed {
        let times = received.iter().filter(|other| **other == number).count();
        assert_eq!(times, 1, "event {number} of {received:?}");
    }
    let twice = received.windows(2).find(|pair| pair[0] == pair[1]);
    assert_eq!(twice, None);
}

#[test]
fn nats_killed_ten_times_under_load() {
    let mut nats = NatsServer::start();
    let asterisk = Arc::new(Asterisk::start());
    let mut bus = Bus::connect(&nats.url());
    let announcements = bus.subscribe("ari.announce");
    let mut events = bus.subscribe("ari.event.>");
    let proxy = ProxyBuilder::new("conf", &asterisk, &nats.url()).spawn();
    announcements.expect("at start");
    let stream = Stream::start(&asterisk);
    let mut received = Vec::new();
    for round in 0..10 {
        both_up(&stream, &bus, &events, &mut received);
        nats.kill();
        received.extend(numbers(&events));
        if round % 2 == 1 {
            wait_until("the loss is logged", SOON, || {
                let lost = proxy.lines().iter().filter(|l| l.contains("lost")).count();
                lost > round
            });
        }
        let accepts = nats.restart();
        bus = Bus::connect(&nats.url());
        events = bus.subscribe("ari.event.>");
        wait_until("requests are served again", SOON, || serves(&bus));
        wait_until("events come again", SOON, || {
            received.extend(numbers(&events));
            received.last() > stream.owed().last()
        });
        let took = accepts.elapsed();
        assert!(took < BACK, "back after {took:?} in round {round}");
    }
    both_up(&stream, &bus, &events, &mut received);
    check(&stream, &received);
}

fn asterisk_gone_ten_times_under_load(on: BusKind) {
    let server = Server::start(on);
    let asterisk = Arc::new(Asterisk::start());
    let bus = Bus::connect(&server.url());
    let announcements = bus.subscribe("ari.announce");
    let events = bus.subscribe("ari.event.>");
    let _proxy = ProxyBuilder::new("conf", &asterisk, &server.url()).spawn();
    announcements.expect("at start");
    let stream = Stream::start(&asterisk);
    let mut received = Vec::new();
    for round in 0..10 {
        both_up(&stream, &bus, &events, &mut received);
        asterisk.stop();
        if round % 2 == 1 {
            wait_until("requests are refused", SOON, || {
                let answer = bus.ask("ari.data.conf", &info());
                answer["error"] == DOWN
            });
        }
        asterisk.restart();
        let accepts = Instant::now();
        // Those sent before may still be on their way.
        let before = stream.number();
        wait_until("requests are served again", SOON, || serves(&bus));
        wait_until("events come again", SOON, || {
            received.extend(numbers(&events));
            received.last() > Some(&before)
        });
        let took = accepts.elapsed();
        assert!(took < BACK, "back after {took:?} in round {round}");
    }
    both_up(&stream, &bus, &events, &mut received);
    check(&stream, &received);
}

#[test]
fn websockets_cut_without_a_word_come_back() {
    let rig = Rig::start(BusKind::Nats);
    for round in 1..=5 {
        rig.asterisk.drop_websockets();
        wait_until("a new websocket", SOON, || {
            rig.asterisk.websocket_requests().len() == round + 1
        });
        wait_until("it serves", SOON, || rig.probe().is_none());
        assert_eq!(rig.asterisk.websockets(), 1);
    }
}

fn defect_21_a_bus_absent_at_start_is_waited_for(on: BusKind) {
    let mut server = Server::absent(on);
    let asterisk = Asterisk::start();
    let mut proxy = ProxyBuilder::new("conf", &asterisk, &server.url()).spawn();
    proxy.wait_log("no bus server");
    asterisk.wait_websockets(1);
    assert!(proxy.is_running());
    let accepts = server.restart();
    let bus = Bus::connect(&server.url());
    wait_until("it serves", SOON, || serves(&bus));
    let took = accepts.elapsed();
    assert!(took < BACK, "back after {took:?}");
}

fn servers_of_the_list_that_are_stuck_are_passed_over(on: BusKind) {
    let server = Server::start(on);
    let bus = Bus::connect(&server.url());
    let announcements = bus.subscribe("ari.announce");
    let asterisk = Asterisk::start();
    let stuck: Vec<TcpListener> = (0..3)
        .map(|_| TcpListener::bind("127.0.0.1:0").expect("a port"))
        .collect();
    let ports: Vec<u16> = stuck
        .iter()
        .map(|listener| listener.local_addr().expect("its address").port())
        .collect();
    let _proxy = ProxyBuilder::new("conf", &asterisk, &server.url_after(&ports)).spawn();
    announcements.expect("on the last server");
}

fn defect_6_a_bus_away_for_many_attempts_is_found_again(on: BusKind) {
    let server = Server::start(on);
    let relay = Relay::start(server.port());
    let rig = RelayedRig::start(&server, &relay);
    relay.refuse();
    let before = relay.accepted();
    // More often than the crate alone would try, is more than a test can wait for: a dozen.
    let patience = Duration::from_secs(40);
    wait_until("a dozen attempts", patience, || {
        relay.accepted() >= before + 12
    });
    relay.resume();
    wait_until("it serves", SOON, || serves(&rig.bus));
    let lines = rig.proxy.lines();
    let told = lines.iter().filter(|line| line.contains("bus")).count();
    assert!(told < 10, "a line per attempt: {lines:#?}");
}

/// A proxy whose way to the bus is a relay; the client's is not.
struct RelayedRig {
    proxy: crate::support::proxy::ProxyProcess,
    bus: Bus,
    asterisk: Asterisk,
}

impl RelayedRig {
    fn start(server: &Server, relay: &Relay) -> RelayedRig {
        let asterisk = Asterisk::start();
        let bus = Bus::connect(&server.url());
        let announcements = bus.subscribe("ari.announce");
        let url = server.url_by(relay.port());
        let proxy = ProxyBuilder::new("conf", &asterisk, &url).spawn();
        announcements.expect("at start");
        RelayedRig {
            proxy,
            bus,
            asterisk,
        }
    }
}

fn a_bus_that_accepts_and_stays_silent_is_given_up_and_tried_again(on: BusKind) {
    let server = Server::start(on);
    let relay = Relay::start(server.port());
    relay.stall();
    let asterisk = Asterisk::start();
    let bus = Bus::connect(&server.url());
    let url = server.url_by(relay.port());
    let _proxy = ProxyBuilder::new("conf", &asterisk, &url).spawn();
    wait_until("another attempt", SOON, || relay.accepted() >= 2);
    relay.resume();
    wait_until("it serves", Duration::from_secs(25), || serves(&bus));
}

fn a_link_that_falls_silent_is_replaced(on: BusKind) {
    let server = Server::start(on);
    let relay = Relay::start(server.port());
    let rig = RelayedRig::start(&server, &relay);
    relay.stall();
    let before = relay.accepted();
    let patience = Duration::from_secs(60);
    wait_until("another attempt", patience, || relay.accepted() > before);
    relay.resume();
    wait_until("it serves", Duration::from_secs(25), || serves(&rig.bus));
    let events = rig.bus.subscribe("ari.event.>");
    rig.asterisk.push(r#"{"type":"Numbered","n":1}"#);
    assert_eq!(events.expect("an event").json()["n"], 1);
}

fn a_link_that_is_cut_is_replaced_and_what_waited_is_sent_in_order(on: BusKind) {
    let server = Server::start(on);
    let relay = Relay::start(server.port());
    let rig = RelayedRig::start(&server, &relay);
    let events = rig.bus.subscribe("ari.event.>");
    relay.refuse();
    rig.proxy.wait_log("lost");
    for number in 1..=500 {
        rig.asterisk
            .push(format!("{{\"type\":\"Numbered\",\"n\":{number}}}"));
    }
    relay.resume();
    let got: Vec<_> = events
        .take(500)
        .iter()
        .map(|m| m.json()["n"].as_u64())
        .collect();
    let expected: Vec<_> = (1..=500).map(Some).collect();
    assert_eq!(got, expected);
}

fn a_bus_stopped_for_a_moment_loses_nothing(on: BusKind) {
    let rig = Rig::own(on, |proxy| proxy);
    let events = rig.bus.subscribe("ari.event.>");
    rig.server.pause();
    for number in 1..=500 {
        rig.asterisk
            .push(format!("{{\"type\":\"Numbered\",\"n\":{number}}}"));
    }
    rig.server.resume();
    let got: Vec<_> = events
        .take(500)
        .iter()
        .map(|m| m.json()["n"].as_u64())
        .collect();
    let expected: Vec<_> = (1..=500).map(Some).collect();
    assert_eq!(got, expected);
}

fn asterisk_absent_at_start_is_waited_for(on: BusKind) {
    let server = Server::start(on);
    let asterisk = Asterisk::start();
    asterisk.stop();
    let bus = Bus::connect(&server.url());
    let announcements = bus.subscribe("ari.announce");
    let proxy = ProxyBuilder::new("conf", &asterisk, &server.url()).spawn();
    proxy.wait_log("cannot connect to Asterisk");
    for class in ["get", "data", "command"] {
        let answer = wait_for("an answer", SOON, || {
            bus.try_ask(&format!("ari.{class}.conf"), &info(), SOON)
        });
        assert_eq!(answer["error"], DOWN, "{class}");
    }
    assert_eq!(
        bus.try_ask("ari.create.conf", &info(), on.unanswered(SOON)),
        None,
        "nobody listens"
    );
    assert!(announcements.arrived().is_empty());
    asterisk.restart();
    assert_eq!(
        announcements.expect("when it is there").json()["node"],
        ENTITY_ID
    );
    assert!(serves(&bus));
    assert!(bus.try_ask("ari.create.conf", &info(), SOON).is_some());
}

/// A create request, and what says that it was done.
pub(crate) fn create() -> Value {
    json!({"kind": "BridgeCreate", "key": {"kind": "bridge", "id": "b"},
        "bridge_create": {"type": "mixing"}})
}

fn the_create_group_is_left_while_asterisk_is_down(on: BusKind) {
    let server = Server::start(on);
    let bus = Bus::connect(&server.url());
    let announcements = bus.subscribe("ari.announce");
    let asterisks = [Asterisk::start(), Asterisk::start()];
    let mut proxies = Vec::new();
    for (asterisk, id) in asterisks.iter().zip(["00:0a", "00:0b"]) {
        asterisk.entity_id(id);
        asterisk.on(|request| (request.method == "POST").then(Reply::done));
        proxies.push(ProxyBuilder::new("conf", asterisk, &server.url()).spawn());
        announcements.expect("at start");
    }
    let [gone, there] = &asterisks;
    gone.stop();
    wait_until("the first is down", SOON, || {
        bus.ask("ari.data.conf.00:0a", &info())["error"] == DOWN
    });
    // The group is left when the server has heard of it, which may take a moment more.
    wait_until("all go to the other", SOON, || {
        (0..50).all(|_| bus.ask("ari.create.conf", &create())["error"] == "")
    });
    assert!(there.calls().len() >= 50);
    gone.restart();
    announcements.expect("the first is back");
    wait_until("the first gets some again", SOON, || {
        assert_eq!(bus.ask("ari.create.conf", &create())["error"], "");
        !gone.calls().is_empty()
    });
}

fn create_requests_are_done_once_and_shared(on: BusKind) {
    let server = Server::start(on);
    let bus = Bus::connect(&server.url());
    let announcements = bus.subscribe("ari.announce");
    let asterisks = [Asterisk::start(), Asterisk::start()];
    let mut proxies = Vec::new();
    for (asterisk, id) in asterisks.iter().zip(["00:0a", "00:0b"]) {
        asterisk.entity_id(id);
        asterisk.on(|request| (request.method == "POST").then(Reply::done));
        proxies.push(ProxyBuilder::new("conf", asterisk, &server.url()).spawn());
        announcements.expect("at start");
    }
    // A message to the whole of the group: another client sees every request there is.
    for _ in 0..100 {
        assert_eq!(bus.ask("ari.create", &create())["error"], "");
    }
    let calls: Vec<usize> = asterisks.iter().map(|a| a.calls().len()).collect();
    assert_eq!(calls.iter().sum::<usize>(), 100, "{calls:?}");
    assert!(calls.iter().all(|count| *count > 0), "{calls:?}");
}

fn create_requests_are_shared_with_proxies_of_the_other_make(on: BusKind) {
    let rig = Rig::start(on);
    rig.asterisk
        .on(|request| (request.method == "POST").then(Reply::done));
    let other = rig.bus.subscribe_group("ari.create", "ariproxy");
    let answers: Vec<Messages> = (0..100)
        .map(|_| rig.bus.send("ari.create", create().to_string()))
        .collect();
    let mut theirs = 0;
    wait_until("each is somebody's", SOON, || {
        theirs += other.arrived().len();
        theirs + rig.asterisk.calls().len() == answers.len()
    });
    assert!(theirs > 0 && theirs < answers.len(), "{theirs}");
}

fn defect_5_a_replaced_application_is_said_left_and_taken_back_after_a_pause(on: BusKind) {
    let rig = Rig::with(on, |proxy| proxy.env("ARI_REPLACED_PAUSE", "1500ms"));
    let events = rig.bus.subscribe("ari.event.>");
    let start = Instant::now();
    let event = r#"{"type":"ApplicationReplaced","application":"conf"}"#;
    rig.asterisk.push(event);
    assert_eq!(events.expect("the event").data, event.as_bytes());
    rig.proxy.wait_log("ApplicationReplaced");
    wait_until("requests are refused", SOON, || {
        rig.probe().as_deref() == Some(DOWN)
    });
    wait_until("the create group is left", SOON, || {
        let timeout = on.unanswered(Duration::from_secs(5));
        rig.bus
            .try_ask("ari.create.conf", &info(), timeout)
            .is_none()
    });
    wait_until("a new websocket", SOON, || {
        rig.asterisk.websocket_requests().len() == 2
    });
    assert!(start.elapsed() >= Duration::from_millis(1_500));
    wait_until("it serves", SOON, || rig.probe().is_none());
    wait_until("the create group is joined", SOON, || {
        // One that comes while the group is joined may be taken for one that waited.
        let timeout = on.unanswered(SOON);
        rig.bus
            .try_ask("ari.create.conf", &info(), timeout)
            .is_some()
    });
}

#[test]
fn defect_5_a_replaced_application_can_end_the_proxy() {
    let mut rig = Rig::with(BusKind::Nats, |proxy| proxy.env("ARI_ON_REPLACED", "exit"));
    let events = rig.bus.subscribe("ari.event.>");
    rig.asterisk
        .push(r#"{"type":"ApplicationReplaced","application":"conf"}"#);
    events.expect("the event");
    let status = rig.proxy.wait_exit(SOON);
    assert!(
        status.is_some_and(|status| status != 0 && status != 2),
        "{status:?}"
    );
    rig.proxy.wait_log("ApplicationReplaced");
}

fn an_asterisk_that_falls_silent_is_counted_dead(on: BusKind) {
    let server = Server::start(on);
    let asterisk = Asterisk::start();
    let relay = Relay::start(asterisk.port());
    let bus = Bus::connect(&server.url());
    let announcements = bus.subscribe("ari.announce");
    let _proxy = ProxyBuilder::new("conf", &asterisk, &server.url())
        .env(
            "ARI_WEBSOCKET_URL",
            format!("ws://127.0.0.1:{}/ari/events", relay.port()),
        )
        .spawn();
    announcements.expect("at start");
    relay.stall();
    // Ten seconds of silence are what it takes.
    wait_until("it is counted dead", Duration::from_secs(30), || {
        bus.ask("ari.data.conf", &info())["error"] == DOWN
    });
    relay.resume();
    wait_until("it serves", Duration::from_secs(25), || serves(&bus));
}

#[test]
fn an_asterisk_that_accepts_and_stays_silent_is_tried_again() {
    let nats = NatsServer::start();
    let asterisk = Asterisk::start();
    let relay = Relay::start(asterisk.port());
    relay.stall();
    let bus = Bus::connect(&nats.url());
    let announcements = bus.subscribe("ari.announce");
    let _proxy = ProxyBuilder::new("conf", &asterisk, &nats.url())
        .env(
            "ARI_WEBSOCKET_URL",
            format!("ws://127.0.0.1:{}/ari/events", relay.port()),
        )
        .spawn();
    let patience = Duration::from_secs(30);
    wait_until("another attempt", patience, || relay.accepted() >= 2);
    assert!(announcements.arrived().is_empty());
    relay.resume();
    announcements
        .next(patience)
        .expect("an announcement when it answers");
}
