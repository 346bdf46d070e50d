//! The two connections of a NATS link: what ends the one that requests come on does not touch events
//! and answers; what is left of connections to a silent server is bounded.

use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::links::{info, serves, serves_within};
use crate::support::asterisk::Asterisk;
use crate::support::bus::{Bus, Messages};
use crate::support::nats::{BUS_PASSWORD, BUS_USER, NatsBus, NatsServer};
use crate::support::nats_raw::{RawNats, connections, play_a_server, poisons};
use crate::support::ports::free_port;
use crate::support::proxy::{ProxyBuilder, ProxyProcess};
use crate::support::relay::Relay;
use crate::support::server::{Reply, lock};
use crate::support::wait::{SOON, wait_for, wait_until};

/// How late an event may be while requests are interrupted; the rest is for a machine busy with other
/// tests.
const LATE: Duration = Duration::from_millis(250 + 750);
/// How long requests may go unserved after a message that the crate cannot read; the rest is for a
/// machine busy with other tests.
const INTERRUPTED: Duration = Duration::from_millis(1_000 + 750);

/// A server that tells of its connections, a relay before it, a proxy behind that, a client.
struct Set {
    proxy: ProxyProcess,
    bus: Bus,
    announcements: Messages,
    asterisk: Arc<Asterisk>,
    relay: Relay,
    monitor: u16,
    nats: NatsServer,
}

impl Set {
    fn start() -> Set {
        let monitor = free_port();
        let nats = NatsServer::start_with(&["-m", &monitor.to_string()]);
        let relay = Relay::start(nats.port());
        let asterisk = Arc::new(Asterisk::start());
        let bus = Bus::connect(&nats.url());
        let announcements = bus.subscribe("ari.announce");
        let proxy = ProxyBuilder::new("conf", &asterisk, &nats.url_by(relay.port())).spawn();
        announcements.expect("at start");
        Set {
            proxy,
            bus,
            announcements,
            asterisk,
            relay,
            monitor,
            nats,
        }
    }

    /// The proxy's connections that events leave on, as the server sees them.
    fn outgoing(&self) -> Vec<(u64, u16)> {
        connections(self.monitor, "ari-proxy conf")
    }

    /// Those that requests come on.
    fn incoming(&self) -> Vec<(u64, u16)> {
        connections(self.monitor, "ari-proxy conf requests")
    }
}

/// A numbered stream of 1000 events a second, and when each arrived.
struct Stream {
    running: Arc<AtomicBool>,
    pushed: Arc<AtomicU64>,
    /// How many there were, once there are no more.
    over: Arc<AtomicU64>,
    feeder: Option<JoinHandle<()>>,
    arrivals: Option<JoinHandle<Vec<(u64, Duration)>>>,
}

/// That there will be more.
const MORE: u64 = u64::MAX;

impl Stream {
    fn start(set: &Set) -> Stream {
        let running = Arc::new(AtomicBool::new(true));
        let pushed = Arc::new(AtomicU64::new(0));
        let clock = Instant::now();
        let events = set.bus.subscribe("ari.event.>");
        let feeder = {
            let asterisk = Arc::clone(&set.asterisk);
            let (running, pushed) = (Arc::clone(&running), Arc::clone(&pushed));
            std::thread::spawn(move || {
                while running.load(Ordering::SeqCst) {
                    let number = pushed.fetch_add(1, Ordering::SeqCst);
                    let at = clock.elapsed().as_micros() as u64;
                    asterisk.push(format!(
                        "{{\"type\":\"Numbered\",\"n\":{number},\"at\":{at}}}"
                    ));
                    // The pace of the stream.
                    std::thread::sleep(Duration::from_millis(1));
                }
            })
        };
        let over = Arc::new(AtomicU64::new(MORE));
        let all = Arc::clone(&over);
        let arrivals = std::thread::spawn(move || {
            let mut arrived: Vec<(u64, Duration)> = Vec::new();
            let mut last = Instant::now();
            // What is missing in the end is told by who looks at the result.
            while (arrived.len() as u64) < all.load(Ordering::SeqCst) && last.elapsed() < SOON {
                if let Some(message) = events.next(Duration::from_millis(50)) {
                    let event = message.json();
                    let number = event["n"].as_u64().expect("its number");
                    let at = Duration::from_micros(event["at"].as_u64().expect("its time"));
                    arrived.push((number, clock.elapsed().saturating_sub(at)));
                    last = Instant::now();
                }
            }
            arrived
        });
        Stream {
            running,
            pushed,
            over,
            feeder: Some(feeder),
            arrivals: Some(arrivals),
        }
    }

    /// Ends it: every event has arrived, once, in order; how late the latest was.
    fn all_arrived(mut self) -> Duration {
        wait_until("a stream worth the name", SOON, || {
            self.pushed.load(Ordering::SeqCst) > 200
        });
        self.running.store(false, Ordering::SeqCst);
        let feeder = self.feeder.take().expect("once");
        feeder.join().expect("the stream");
        let all = self.pushed.load(Ordering::SeqCst);
        self.over.store(all, Ordering::SeqCst);
        let arrivals = self.arrivals.take().expect("once");
        let arrived = arrivals.join().expect("the listener");
        let numbers: Vec<u64> = arrived.iter().map(|(number, _)| *number).collect();
        let expected: Vec<u64> = (0..all).collect();
        assert!(numbers == expected, "missing, twice or out of order");
        arrived.iter().map(|(_, late)| *late).max().expect("some")
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        self.running.store(false, Ordering::SeqCst);
        self.over.fetch_min(0, Ordering::SeqCst);
    }
}

/// Ends `stream` and says that nothing has touched events: none is missing or late, and their
/// connection is the one that it was.
fn untouched(set: &Set, stream: Stream, outgoing: &[(u64, u16)]) {
    let late = stream.all_arrived();
    println!("the latest event: {late:?}");
    assert!(late < LATE, "{late:?}");
    assert_eq!(set.outgoing(), outgoing, "the connection of events stays");
}

/// How long it takes until a request is served.
fn unserved(bus: &Bus) -> Duration {
    let start = Instant::now();
    wait_until("requests are served", SOON, || {
        serves_within(bus, Duration::from_millis(20))
    });
    start.elapsed()
}

#[test]
fn a_message_that_cannot_be_read_touches_neither_events_nor_answers() {
    let set = Set::start();
    let outgoing = set.outgoing();
    assert_eq!(outgoing.len(), 1);
    let stream = Stream::start(&set);
    let mut client = RawNats::connect(set.nats.port());
    for (sort, poison) in poisons() {
        assert!(serves(&set.bus), "before {sort}");
        let incoming = set.incoming();
        client.say(&poison);
        let took = unserved(&set.bus);
        println!("{sort}: served after {took:?}");
        assert!(took < INTERRUPTED, "served after {took:?}: {sort}");
        wait_until("another connection for requests", SOON, || {
            let now = set.incoming();
            now.len() == 1 && now != incoming
        });
    }
    untouched(&set, stream, &outgoing);
    let lines = set.proxy.lines();
    let told = lines
        .iter()
        .filter(|line| line.contains("who may publish requests"))
        .count();
    assert_eq!(told, 1, "one line, not one for each: {lines:#?}");
}

#[test]
fn a_stream_of_messages_that_cannot_be_read_does_not_either() {
    const MESSAGES: usize = 2_000;
    let set = Set::start();
    let outgoing = set.outgoing();
    let stream = Stream::start(&set);
    let before = set.proxy.rss_kib();
    let mut client = RawNats::connect(set.nats.port());
    let poisons = poisons();
    // A quarter at a time: one message costs as little as those that follow it at once.
    for quarter in 0..4 {
        let all: Vec<u8> = (0..MESSAGES / 4)
            .flat_map(|n| poisons[(quarter + n) % poisons.len()].1.clone())
            .collect();
        client.say(&all);
        for (_, poison) in poisons.iter().cycle().take(50) {
            client.say(poison);
        }
    }
    let took = unserved(&set.bus);
    println!("served after {took:?}");
    assert!(took < 3 * INTERRUPTED, "{took:?}");
    untouched(&set, stream, &outgoing);
    let grown = set.proxy.rss_kib().saturating_sub(before);
    println!(
        "grown by {grown} KiB, threads {}",
        set.proxy.threads().len()
    );
    assert!(grown < 16 * 1024, "grown by {grown} KiB");
    assert!(set.proxy.lines().len() < 100, "{}", set.proxy.lines().len());
}

#[test]
fn the_connection_of_requests_cut_is_opened_again() {
    let set = Set::start();
    let outgoing = set.outgoing();
    let stream = Stream::start(&set);
    for round in 0..5 {
        assert!(serves(&set.bus));
        let incoming = set.incoming();
        set.relay.cut_one(incoming[0].1);
        wait_until("another connection for requests", SOON, || {
            let now = set.incoming();
            now.len() == 1 && now != incoming
        });
        let took = unserved(&set.bus);
        assert!(took < INTERRUPTED, "{took:?} in round {round}");
    }
    untouched(&set, stream, &outgoing);
}

#[test]
fn a_proxy_that_is_stopped_for_a_moment_keeps_its_connections() {
    let set = Set::start();
    let (outgoing, incoming) = (set.outgoing(), set.incoming());
    let stream = Stream::start(&set);
    for _ in 0..5 {
        set.proxy.signal("STOP");
        // The moment.
        std::thread::sleep(Duration::from_millis(20));
        set.proxy.signal("CONT");
        assert!(serves(&set.bus));
    }
    untouched(&set, stream, &outgoing);
    assert_eq!(set.incoming(), incoming);
    let lines = set.proxy.lines();
    assert!(
        !lines.iter().any(|line| line.contains("connecting again")),
        "{lines:#?}"
    );
}

#[test]
fn the_connection_of_requests_silent_is_replaced() {
    let set = Set::start();
    let outgoing = set.outgoing();
    let stream = Stream::start(&set);
    let [(number, port)] = set.incoming()[..] else {
        panic!("one connection for requests");
    };
    set.relay.stall_one(port);
    let silent = Instant::now();
    wait_until("served again", SOON, || {
        serves_within(&set.bus, Duration::from_millis(100))
    });
    let took = silent.elapsed();
    println!("served after {took:?}");
    assert!(took < Duration::from_secs(10 + 2), "{took:?}");
    untouched(&set, stream, &outgoing);
    set.relay.resume();
    wait_until("the server has ended the silent one", SOON, || {
        let left = set.incoming();
        left.len() == 1 && left[0].0 != number
    });
}

fn create() -> Value {
    json!({"kind": "BridgeCreate", "key": {"kind": "bridge", "id": "b"},
        "bridge_create": {"type": "mixing"}})
}

#[test]
fn a_path_that_heals_leaves_no_connection_behind_that_requests_are_lost_on() {
    let set = Set::start();
    set.asterisk
        .on(|request| (request.method == "POST").then(Reply::done));
    let (outgoing, incoming) = (set.outgoing(), set.incoming());
    let threads = set.proxy.threads().len();
    let before = set.relay.accepted();
    set.relay.stall();
    let silent = Instant::now();
    // As long as connections that are there take to be given up, and some that are not.
    wait_until("attempts to connect again", 4 * SOON, || {
        set.relay.accepted() >= before + 3 && silent.elapsed() > Duration::from_secs(15)
    });
    set.announcements.arrived();
    set.relay.resume();
    set.announcements.expect("on another link");
    for number in 0..300 {
        let answer = set.bus.ask("ari.create.conf", &create());
        assert_eq!(answer["error"], "", "create {number}");
    }
    assert_eq!(set.asterisk.calls().len(), 300, "each is done once");
    assert!(set.outgoing().iter().all(|it| !outgoing.contains(it)));
    assert!(set.incoming().iter().all(|it| !incoming.contains(it)));
    assert_eq!((set.outgoing().len(), set.incoming().len()), (1, 1));
    // The crate's flushing thread of a connection sleeps two minutes more if it is woken a moment before
    // the connection is let go of.
    wait_until("what was left of the old link is gone", SOON, || {
        set.proxy.threads().len() <= threads + 2
    });
}

#[test]
fn links_cut_thirty_times_leave_nothing_behind() {
    let set = Set::start();
    let stream = Stream::start(&set);
    let (threads, files) = (set.proxy.threads().len(), set.proxy.open_files());
    for round in 0..30 {
        set.announcements.arrived();
        set.relay.cut();
        set.announcements
            .next(2 * SOON)
            .unwrap_or_else(|| panic!("no link in round {round}"));
    }
    wait_until("no more files than before", SOON, || {
        set.proxy.open_files() <= files
    });
    let now = set.proxy.threads();
    println!("{threads} threads, then {}: {now:?}", now.len());
    drop(stream);
    // A thread of the crate may sleep for two minutes more, without a socket.
    assert!(now.len() <= threads + 8, "{threads} then {now:?}");
}

#[test]
fn links_that_fall_silent_one_after_the_other_end_the_process() {
    let mut set = Set::start();
    let stream = Stream::start(&set);
    let start = Instant::now();
    let mut links = 1;
    while set.proxy.is_running() {
        set.relay.stall_present();
        wait_for("another link, or the end", 2 * SOON, || {
            (!set.proxy.is_running() || set.announcements.next(Duration::from_millis(10)).is_some())
                .then_some(())
        });
        links += 1;
        println!(
            "{links} after {:?}: {} threads",
            start.elapsed(),
            if set.proxy.is_running() {
                set.proxy.threads().len()
            } else {
                0
            }
        );
        assert!(links <= 10, "{links} links");
    }
    assert_eq!(set.proxy.wait_exit(SOON), Some(75));
    drop(stream);
}

#[test]
fn a_message_that_the_crate_panics_over_is_as_any_that_it_cannot_read() {
    let (port, heard) = play_a_server();
    let asterisk = Asterisk::start();
    let proxy = ProxyBuilder::new("conf", &asterisk, &format!("nats://127.0.0.1:{port}")).spawn();
    let listening = |from: usize| {
        let heard = lock(&heard);
        let number = (from..heard.len()).find(|number| heard[*number].has("SUB ari.create"));
        number.filter(|number| heard[*number].has("SUB ari.ping"))
    };
    let first = wait_for("subscriptions", SOON, || listening(0));
    let threads = proxy.threads().len();
    // The first piece of a line that is longer than the crate's buffer for lines.
    let piece = format!("MSG ari.get 1 {}", "r".repeat(4_090));
    let stream = lock(&heard)[first].stream.take().expect("it is there");
    (&stream).write_all(piece.as_bytes()).expect("sent");
    wait_for("subscriptions on another connection", INTERRUPTED, || {
        listening(first + 1)
    });
    wait_until("the server is asked to end the first", SOON, || {
        lock(&heard)[first].has("BYE")
    });
    wait_until("its threads are gone", SOON, || {
        proxy.threads().len() <= threads
    });
    let lines = proxy.lines();
    assert!(
        !lines.iter().any(|line| line.contains("lost")),
        "{lines:#?}"
    );
}

#[test]
fn over_tls_requests_have_a_connection_of_their_own_as_well() {
    let data = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/tls");
    let file = |name: &str| format!("{data}/{name}");
    // The crate over TLS may wait for what is here already (crates.md): only the proxy speaks it.
    let nats = NatsServer::start_with(&[
        "-c",
        &file("optional.conf"),
        "--tls",
        "--tlscert",
        &file("server.pem"),
        "--tlskey",
        &file("server.key"),
    ]);
    let asterisk = Asterisk::start();
    let client = NatsBus::connect(&nats.url());
    let bus = Bus::connect(&nats.url());
    let announcements = bus.subscribe("ari.announce");
    let url = format!("tls://{BUS_USER}:{BUS_PASSWORD}@127.0.0.1:{}", nats.port());
    let proxy = ProxyBuilder::new("conf", &asterisk, &url)
        .env("SSL_CERT_FILE", file("ca.pem"))
        .spawn();
    announcements.expect("at start");
    let threads = proxy.threads().len();
    for _ in 0..5 {
        assert!(serves(&bus));
        client.hand_over("ari.get", &"r".repeat(4_084), b"{}");
        client.flush();
        let took = unserved(&bus);
        println!("served after {took:?}");
        assert!(took < INTERRUPTED, "{took:?}");
    }
    wait_until("no threads are left behind", SOON, || {
        proxy.threads().len() <= threads
    });
    let lines = proxy.lines();
    assert!(
        !lines.iter().any(|line| line.contains("lost")),
        "{lines:#?}"
    );
    assert!(
        lines
            .iter()
            .any(|line| line.contains("who may publish requests"))
    );
}

#[test]
fn requests_are_subscribed_before_the_announcement() {
    let set = Set::start();
    for _ in 0..10 {
        set.relay.cut();
        set.announcements.expect("on another link");
        let answer = set
            .bus
            .try_ask("ari.data.conf", &info(), Duration::from_secs(5));
        assert_eq!(answer.expect("an answer")["error"], "");
    }
}
