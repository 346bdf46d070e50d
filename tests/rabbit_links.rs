//! RabbitMQ brokers that die, stop, or are short of memory, under a stream of events and requests:
//! every event arrives at least once and in order.

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;

use crate::links::{BACK, Stream, info, serves, serves_within};
use crate::support::asterisk::Asterisk;
use crate::support::bus::{Bus, Messages};
use crate::support::proxy::{ProxyBuilder, ProxyProcess};
use crate::support::rabbitmq::{RabbitServer, amqp_url};
use crate::support::rig::APPLICATION;
use crate::support::wait::{SOON, wait_until};

/// What a proxy may take more of memory during an outage, in KiB. Its buffer of events may hold
/// 64 MiB, twice that is fragmentation.
const MORE_MEMORY: usize = 128 * 1024;

/// How long an orderly end may take; the rest is for a machine busy with other tests.
const ORDERLY: Duration = Duration::from_secs(5 + 2);

/// Whether a request is served at once.
fn again(bus: &Bus) -> bool {
    serves_within(bus, Duration::from_millis(150))
}

/// A proxy under load whose broker comes to harm.
struct Trial {
    proxy: ProxyProcess,
    bus: Bus,
    events: Messages,
    received: Vec<u64>,
    stream: Stream,
    memory: usize,
    asterisk: Arc<Asterisk>,
    server: RabbitServer,
}

impl Trial {
    fn start() -> Trial {
        let server = RabbitServer::start();
        let asterisk = Arc::new(Asterisk::start());
        let bus = Bus::connect(&amqp_url(server.port(), "%2f"));
        let announcements = bus.subscribe("ari.announce");
        // What is published before there is a queue may come later all the same, the second time.
        let events = bus.rabbitmq().subscribe_queue("events", "ari.event.>");
        let proxy =
            ProxyBuilder::new(APPLICATION, &asterisk, &amqp_url(server.port(), "%2f")).spawn();
        announcements.expect("at start");
        let trial = Trial {
            memory: proxy.rss_kib(),
            proxy,
            bus,
            events: Messages::RabbitMq(events),
            received: Vec::new(),
            stream: Stream::start(&asterisk),
            asterisk,
            server,
        };
        trial.stream.set_up(true);
        trial
    }

    /// Has the client read its durable queue of events, on a new connection.
    fn connect(&mut self) {
        self.read();
        let bus = Bus::connect(&amqp_url(self.server.port(), "%2f"));
        let events = bus.rabbitmq().subscribe_queue("events", "ari.event.>");
        self.events = Messages::RabbitMq(events);
        self.bus = bus;
    }

    /// Reads what has come.
    fn read(&mut self) {
        let arrived = self.events.arrived().into_iter();
        let numbers = arrived.filter_map(|message| message.json()["n"].as_u64());
        self.received.extend(numbers);
    }

    /// Runs the stream until so many more events were sent, and requests meanwhile.
    fn run(&mut self, events: usize) {
        let before = self.stream.owed().len();
        wait_until("more events sent", SOON, || {
            self.stream.owed().len() >= before + events
        });
        for _ in 0..10 {
            assert!(serves(&self.bus), "a request while the broker is there");
        }
        self.catch_up();
    }

    /// Waits until every event that was sent so far has arrived.
    fn catch_up(&mut self) {
        let last = self.stream.owed().last().copied();
        wait_until("every event sent has arrived", SOON * 2, || {
            self.read();
            self.received.iter().max().copied() >= last
        });
    }

    /// Has the client connect again after the broker was away; `since` it accepts connections.
    fn back(&mut self, since: std::time::Instant, round: usize) {
        self.connect();
        // What is asked too early goes to the queue of the proxy's last connection.
        wait_until("requests are served again", SOON, || again(&self.bus));
        let took = since.elapsed();
        assert!(took < BACK, "back after {took:?} in round {round}");
        self.catch_up();
    }

    /// Ends it all: every event arrived, in order, few of them twice, in bounded memory; and the
    /// proxy says what it published again.
    fn end(mut self) {
        self.run(50);
        self.stream.set_up(false);
        self.catch_up();
        let mut seen = Vec::new();
        for number in &self.received {
            if seen.last().is_none_or(|last| last < number) {
                seen.push(*number);
            } else {
                assert!(
                    seen.binary_search(number).is_ok(),
                    "event {number} came after later ones: {:?}",
                    self.received
                );
            }
        }
        let owed = self.stream.owed();
        assert!(owed.len() > 300, "{}", owed.len());
        let missing: Vec<_> = owed
            .iter()
            .filter(|number| seen.binary_search(number).is_err())
            .collect();
        assert!(missing.is_empty(), "missing: {missing:?}");
        let twice = self.received.len() - seen.len();
        println!("{} events, {twice} more than once", seen.len());
        // Three times the broker dies: at most as often is all of it published again, as what is repeated
        // may be lost as well.
        assert!(twice <= 3 * owed.len(), "{twice} of {} again", owed.len());
        let memory = self.proxy.rss_kib();
        assert!(
            memory < self.memory + MORE_MEMORY,
            "{} KiB at start, {memory} at the end",
            self.memory
        );
        self.proxy.signal("TERM");
        assert_eq!(self.proxy.wait_exit(SOON), Some(0));
        let lines = self.proxy.lines();
        if twice > 0 {
            let counted = lines.iter().any(|line| line.contains("again"));
            assert!(counted, "no count of what was published again: {lines:#?}");
        }
    }
}

#[test]
fn a_broker_killed_under_load_loses_no_event() {
    let mut trial = Trial::start();
    for round in 0..3 {
        trial.run(100);
        trial.server.kill();
        trial.read();
        let accepts = trial.server.restart();
        trial.back(accepts, round);
    }
    trial.end();
}

#[test]
fn a_broker_ended_politely_under_load_loses_no_event() {
    let mut trial = Trial::start();
    for round in 0..2 {
        trial.run(100);
        trial.server.terminate();
        trial.read();
        let accepts = trial.server.restart();
        trial.back(accepts, round);
    }
    trial.end();
}

#[test]
fn a_broker_stopped_for_twenty_seconds_under_load_loses_no_event() {
    let mut trial = Trial::start();
    trial.run(100);
    trial.server.pause();
    let before = trial.stream.owed().len();
    // The time that it must last: longer than any heartbeat.
    std::thread::sleep(Duration::from_secs(20));
    let sent = trial.stream.owed().len() - before;
    assert!(sent > 1_000, "only {sent} events were taken meanwhile");
    assert_eq!(trial.asterisk.websocket_requests().len(), 1);
    trial.server.resume();
    wait_until("requests are served again", SOON, || again(&trial.bus));
    trial.catch_up();
    trial.end();
}

#[test]
fn a_broker_short_of_memory_under_load_loses_no_event() {
    let mut trial = Trial::start();
    trial.run(100);
    trial.server.memory_alarm(true);
    let before = trial.stream.owed().len();
    wait_until("events are taken meanwhile", SOON, || {
        trial.stream.owed().len() > before + 3_000
    });
    assert_eq!(trial.asterisk.websocket_requests().len(), 1);
    trial.server.memory_alarm(false);
    let relieved = std::time::Instant::now();
    wait_until("requests are served again", SOON, || again(&trial.bus));
    let took = relieved.elapsed();
    assert!(took < BACK, "back after {took:?}");
    trial.catch_up();
    trial.end();
}

#[test]
fn more_events_than_may_wait_while_the_broker_is_short_of_memory_are_dropped_and_counted() {
    let server = RabbitServer::start();
    let url = amqp_url(server.port(), "%2f");
    let asterisk = Asterisk::start();
    let bus = Bus::connect(&url);
    let events = bus.subscribe("ari.event.>");
    let proxy = ProxyBuilder::new(APPLICATION, &asterisk, &url)
        .env("EVENTS_MAX_BYTES", "8MiB")
        .spawn();
    asterisk.wait_websockets(1);
    wait_until("it serves", SOON, || serves(&bus));
    let memory = proxy.rss_kib();
    server.memory_alarm(true);
    let filler = "x".repeat(2_000);
    for number in 0..30_000 {
        asterisk.push(format!(
            "{{\"type\":\"X\",\"n\":{number},\"x\":\"{filler}\"}}"
        ));
    }
    proxy.wait_log("dropped");
    let more = proxy.rss_kib().saturating_sub(memory);
    assert!(more < 100 * 1024, "{more} KiB for 60 MB of events");
    server.memory_alarm(false);
    wait_until("it serves", SOON, || serves(&bus));
    asterisk.push(r#"{"type":"Last","n":30000}"#);
    let mut numbers = Vec::new();
    while numbers.last() != Some(&30_000) {
        numbers.extend(events.expect("the last").json()["n"].as_u64());
    }
    numbers.dedup();
    assert!(numbers.is_sorted(), "out of order");
}

/// Has a proxy with events and a request in hand end while its broker is as `harm` leaves it.
fn ends(harm: impl FnOnce(&RabbitServer), heal: impl FnOnce(&RabbitServer)) {
    let server = RabbitServer::start();
    let url = amqp_url(server.port(), "%2f");
    let asterisk = Asterisk::start();
    let bus = Bus::connect(&url);
    let announcements = bus.subscribe("ari.announce");
    let mut proxy = ProxyBuilder::new(APPLICATION, &asterisk, &url).spawn();
    announcements.expect("at start");
    let answers = bus.send("ari.data", info().to_string());
    answers.expect("an answer");
    asterisk.stall_http(true);
    let list = json!({"kind": "ChannelList", "key": null});
    let _answers = bus.send("ari.get", list.to_string());
    wait_until("a request is in hand", SOON, || {
        !asterisk.calls().is_empty()
    });
    harm(&server);
    for number in 0..2_000 {
        asterisk.push(format!("{{\"type\":\"X\",\"n\":{number}}}"));
    }
    asterisk.stall_http(false);
    let start = std::time::Instant::now();
    proxy.signal("TERM");
    let status = proxy.wait_exit(SOON);
    let took = start.elapsed();
    heal(&server);
    assert_eq!(status, Some(0));
    assert!(took < ORDERLY, "{took:?}");
}

#[test]
fn defect_15_it_ends_in_time_while_the_broker_is_stopped() {
    ends(RabbitServer::pause, RabbitServer::resume);
}

#[test]
fn defect_15_it_ends_in_time_while_the_broker_is_short_of_memory() {
    ends(
        |server| server.memory_alarm(true),
        |server| server.memory_alarm(false),
    );
}

#[test]
fn requests_in_hand_are_done_while_the_broker_is_stopped() {
    let server = RabbitServer::start();
    let url = amqp_url(server.port(), "%2f");
    let asterisk = Asterisk::start();
    let bus = Bus::connect(&url);
    let announcements = bus.subscribe("ari.announce");
    let _proxy = ProxyBuilder::new(APPLICATION, &asterisk, &url).spawn();
    announcements.expect("at start");
    asterisk.stall_http(true);
    let list = json!({"kind": "ChannelList", "key": null});
    let requests: Vec<Messages> = (0..5)
        .map(|_| bus.send("ari.get", list.to_string()))
        .collect();
    wait_until("they are in hand", SOON, || asterisk.calls().len() == 5);
    asterisk.on(|request| {
        let empty = crate::support::server::Reply::ok(&json!([]));
        (request.path == "/ari/channels").then_some(empty)
    });
    server.pause();
    asterisk.stall_http(false);
    asterisk.push(r#"{"type":"X"}"#);
    wait_until("Asterisk has answered all", SOON, || {
        asterisk.calls().len() >= 5
    });
    server.resume();
    for answers in &requests {
        assert_eq!(answers.expect("an answer").json()["error"], "");
    }
}
