//! Clients on a bus that fails them, and clients that fail.

use std::time::{Duration, Instant};

use ari_proxy::client::{Client, Error, Event, EventType, Key, Subscription};
use serde_json::json;

use crate::support::asterisk::{Asterisk, ENTITY_ID};
use crate::support::bus::{BusKind, on_each_bus};
use crate::support::program::Program;
use crate::support::relay::Relay;
use crate::support::rig::{APPLICATION, Rig};
use crate::support::wait::{SOON, wait_until};

on_each_bus!(
    subscriptions_and_listeners_come_back_after_a_restart_of_the_bus,
    subscriptions_come_back_after_a_cut,
    who_never_reads_harms_nothing,
    a_bus_that_hangs_is_noticed,
);

/// Longer than a silent bus takes to be noticed.
const LATE: Duration = Duration::from_secs(30);

fn client(url: &str) -> Client {
    Client::builder()
        .url(url)
        .application(APPLICATION)
        .connect()
        .expect("a client")
}

fn event(kind: &str, id: &str) -> String {
    json!({
        "type": kind, "application": APPLICATION, "asterisk_id": ENTITY_ID,
        "timestamp": "2026-11-22T00:00:00.000+0000", "args": [],
        "channel": {"id": id, "name": "Local/x", "state": "Up"},
        "variable": "X", "value": "x".repeat(700), "eventname": id, "userevent": {},
    })
    .to_string()
}

/// Waits for a gap, whatever comes before.
fn gap(subscription: &Subscription) {
    let deadline = Instant::now() + LATE;
    while !matches!(subscription.recv_deadline(deadline), Ok(Event::Gap(_))) {
        assert!(Instant::now() < deadline, "no gap");
    }
}

/// The next event of Asterisk's: what the proxy says of itself may come before it.
fn next(subscription: &Subscription) -> Event {
    let deadline = Instant::now() + SOON;
    loop {
        let event = subscription.recv_deadline(deadline).expect("an event");
        if !matches!(event, Event::Gap(_) | Event::Status(_)) {
            return event;
        }
    }
}

/// Pushes events until one is heard, as the proxy may be there a moment later than the client.
fn hears(subscription: &Subscription, asterisk: &Asterisk) {
    wait_until("an event is heard", LATE, || {
        asterisk.push(event("ChannelVarset", "after"));
        let heard = subscription.recv_timeout(Duration::from_millis(50));
        matches!(heard, Ok(Event::ChannelVarset(_)))
    });
}

fn subscriptions_and_listeners_come_back_after_a_restart_of_the_bus(on: BusKind) {
    let mut rig = Rig::own(on, |proxy| proxy);
    let client = client(&rig.server.url());
    let all = client.subscribe(&Key::default(), &[]).expect("subscribed");
    let key = Key::channel("after");
    let one = client.subscribe(&key, &[EventType::ChannelVarset]);
    let one = one.expect("subscribed");
    let calls = client.listen().expect("a listener");
    for _ in 0..2 {
        rig.server.kill();
        rig.server.restart();
        gap(&all);
        gap(&one);
        hears(&one, &rig.asterisk);
        rig.asterisk.push(event("StasisStart", "call"));
        let call = calls.recv_timeout(SOON).expect("a call");
        assert_eq!(call.channel.id(), "call");
        wait_until("a request is answered", LATE, || {
            client.asterisk().info().is_ok()
        });
    }
}

fn subscriptions_come_back_after_a_cut(on: BusKind) {
    let rig = Rig::start(on);
    let relay = Relay::start(rig.server.port());
    let client = client(&rig.server.url_by(relay.port()));
    let all = client.subscribe(&Key::default(), &[]).expect("subscribed");
    for _ in 0..3 {
        relay.cut();
        gap(&all);
        rig.asterisk.push(event("ChannelVarset", "after"));
        let heard = next(&all);
        assert!(matches!(heard, Event::ChannelVarset(_)), "{heard:?}");
    }
}

fn a_bus_that_hangs_is_noticed(on: BusKind) {
    let rig = Rig::start(on);
    let relay = Relay::start(rig.server.port());
    let client = client(&rig.server.url_by(relay.port()));
    let all = client.subscribe(&Key::default(), &[]).expect("subscribed");
    relay.stall_present();
    let began = Instant::now();
    let error = client.asterisk().info();
    assert!(error.is_err(), "{error:?}");
    // A request ends when its time is over, whatever the bus does.
    assert!(began.elapsed() < SOON, "{:?}", began.elapsed());
    gap(&all);
    rig.asterisk.push(event("ChannelVarset", "after"));
    let heard = next(&all);
    assert!(matches!(heard, Event::ChannelVarset(_)), "{heard:?}");
}

fn who_never_reads_harms_nothing(on: BusKind) {
    const EVENTS: usize = 60_000;
    /// In KiB: 40 MB of events went through it.
    const ROOM: usize = 16 * 1024;
    let rig = Rig::start(on);
    let mut program = Program::start("idler", APPLICATION, &rig.server.url(), &[]);
    assert_eq!(program.line("it starts"), "reading");
    let (mut pushed, mut read, mut before) = (0, 0, 0);
    while read < EVENTS {
        while pushed < EVENTS && pushed - read < 500 {
            rig.asterisk.push(event("ChannelVarset", "c"));
            pushed += 1;
        }
        let line = program.line("it reads on");
        read = line.parse().unwrap_or_else(|_| panic!("{line}"));
        if before == 0 && read >= EVENTS / 10 {
            before = program.rss_kib();
        }
    }
    let after = program.rss_kib();
    assert!(after < before + ROOM, "{before} KiB, then {after}");
    rig.asterisk.push(event("ChannelUserevent", "end"));
    let last = program.line("what waits in the other");
    let numbers: Vec<usize> = last
        .split(' ')
        .skip(1)
        .map(|number| number.parse().expect("a number"))
        .collect();
    // The end is one more, and what the proxy says of itself may be some.
    assert_eq!(numbers[0], 1_000, "{last}");
    assert!(numbers[0] + numbers[1] > EVENTS, "{last}");
    assert!(program.ends());
}

#[test]
fn a_bus_that_is_not_there_or_refuses() {
    let port = crate::support::ports::free_port();
    let builder = |url: &str| {
        Client::builder()
            .url(url)
            .connect_timeout(Duration::from_millis(300))
    };
    let error = builder(&format!("nats://user:hunter2@127.0.0.1:{port}"))
        .connect()
        .expect_err("nobody is there");
    let said = error.to_string();
    assert!(matches!(error, Error::Bus(_)), "{said}");
    assert!(
        said.contains(&port.to_string()) && !said.contains("hunter2"),
        "{said}"
    );
    for on in [BusKind::Nats, BusKind::RabbitMq] {
        let server = crate::support::bus::Server::start(on);
        let url = server.url().replacen("://", "://wrong", 1);
        let error = Client::builder().url(&url).connect().expect_err("refused");
        assert!(error.to_string().contains("refuses"), "{error}");
    }
}
