//! One row of the fault table: a proxy under a stream of events, what is done to it or its peers,
//! and what a witness on the bus says of that.

use std::time::{Duration, Instant};

use crate::links::{info, serves_within};
use crate::support::asterisk_process::AsteriskProcess;
use crate::support::bus::{Bus, BusKind, Server};
use crate::support::proxy::{ProxyBuilder, ProxyProcess};
use crate::support::rig::APPLICATION;
use crate::support::statuses::{Expected, judge};
use crate::support::wait::{SOON, wait_until};
use crate::support::witness::{Seen, Witness};

/// The Asterisk of a trial.
pub(crate) const ID: &str = "02:42:ac:11:00:02";

/// How long a trial may wait for what takes the proxy some time: a silent peer is noticed in 10 s.
pub(crate) const LATER: Duration = Duration::from_secs(40);

/// How soon the proxy is back. It takes a second at most, as other tests say; what is more is for a
/// machine that is busy, as several brokers that start at the same time make it.
const BACK: Duration = Duration::from_secs(15);

/// A row that is being made.
pub(crate) struct Trial {
    fault: &'static str,
    pub(crate) on: BusKind,
    /// The first goes first when it is dropped.
    pub(crate) proxy: ProxyProcess,
    pub(crate) witness: Witness,
    /// For requests.
    pub(crate) bus: Bus,
    pub(crate) asterisk: AsteriskProcess,
    pub(crate) server: Server,
    /// What another Asterisk sent, all of which is owed, and what is expected of its proxy.
    pub(crate) other: Option<(Vec<u64>, Expected)>,
    back: Duration,
    memory: usize,
    disordered: bool,
}

impl Trial {
    /// Starts one with a proxy that is what `configure` makes of the usual one, and waits until it
    /// is announced.
    pub(crate) fn start(
        fault: &'static str,
        server: Server,
        asterisk: AsteriskProcess,
        configure: impl FnOnce(ProxyBuilder) -> ProxyBuilder,
    ) -> Trial {
        let on = match server {
            Server::Nats(_) => BusKind::Nats,
            _ => BusKind::RabbitMq,
        };
        let mut witness = Witness::default();
        witness.listen(&server.url());
        let bus = Bus::connect(&server.url());
        let announcements = bus.subscribe("ari.announce");
        let builder = asterisk.proxy(APPLICATION, &server.url());
        let proxy = configure(builder).spawn();
        announcements.expect("at start");
        Trial {
            fault,
            on,
            proxy,
            witness,
            bus,
            asterisk,
            server,
            other: None,
            back: Duration::ZERO,
            memory: 0,
            disordered: false,
        }
    }

    /// One with a server that must come to no harm, and an Asterisk that may.
    pub(crate) fn shared(fault: &'static str, on: BusKind) -> Trial {
        let asterisk = AsteriskProcess::start(ID, 1);
        Trial::start(fault, Server::start(on), asterisk, |proxy| proxy)
    }

    /// One with a server that may come to harm.
    pub(crate) fn own(fault: &'static str, on: BusKind) -> Trial {
        let asterisk = AsteriskProcess::start(ID, 1);
        Trial::start(fault, Server::start_own(on), asterisk, |proxy| proxy)
    }

    /// Runs while both peers are up: every event is owed, every request served.
    pub(crate) fn run(&mut self) {
        self.asterisk.owe(true);
        let before = self.asterisk.owes();
        for _ in 0..20 {
            assert!(
                serves_within(&self.bus, SOON),
                "a request while all are there"
            );
        }
        wait_until("more events sent", SOON, || {
            self.asterisk.owes() >= before + 100
        });
    }

    /// Nothing more is owed; what is has arrived.
    pub(crate) fn settle(&mut self) {
        self.asterisk.owe(false);
        let owed = self.asterisk.owed();
        wait_until("what is owed arrived", LATER, || self.witness.has(&owed));
    }

    /// Has Asterisk send nothing more for now, and waits until the last event came; all that it sent.
    pub(crate) fn quiet(&mut self) -> Vec<u64> {
        self.asterisk.quiet();
        let sent = self.asterisk.sent();
        let last = sent.last().copied();
        wait_until("the last event came", LATER, || {
            self.witness.newest() >= last
        });
        sent
    }

    /// Has the witness listen, and requests go, to a bus that is there again.
    pub(crate) fn listen(&mut self) {
        self.listen_to(&self.server.url());
    }

    /// The same by this URL.
    pub(crate) fn listen_to(&mut self, url: &str) {
        self.witness.listen(url);
        self.bus = Bus::connect(url);
    }

    /// Waits until requests are served and events sent after this moment come, and notes the time
    /// that passed `since` the fault was over.
    pub(crate) fn back(&mut self, since: Instant) {
        wait_until("requests are served again", LATER, || {
            serves_within(&self.bus, Duration::from_millis(250))
        });
        let before = self.asterisk.last();
        wait_until("events come again", LATER, || {
            self.witness.newest() > before
        });
        let took = since.elapsed();
        assert!(took < BACK, "back after {took:?}");
        self.back = self.back.max(took);
    }

    /// Events of two proxies need not come in order.
    pub(crate) fn disordered(&mut self) {
        self.disordered = true;
    }

    /// Looks how much memory the proxy has had at most: it is asked for before it ends.
    pub(crate) fn weigh(&mut self) {
        let path = format!("/proc/{}/status", self.proxy.pid());
        let status = std::fs::read_to_string(path).expect("the proxy runs");
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let number = line.and_then(|line| line.split_whitespace().next());
        let kib = number.and_then(|number| number.parse().ok()).unwrap_or(0);
        self.memory = self.memory.max(kib);
    }

    /// Takes the proxy down and starts another: the one before, ended.
    pub(crate) fn replace_proxy(&mut self, next: ProxyProcess) -> ProxyProcess {
        std::mem::replace(&mut self.proxy, next)
    }

    /// Ends a trial after which all are up: runs for a while more, then judges. Every owed event came,
    /// once on NATS, all in order; the statuses were true. Prints the row.
    pub(crate) fn end(mut self, expected: Expected) {
        self.run();
        self.settle();
        let sent = self.quiet();
        let mut owed = self.asterisk.owed();
        let mut all = vec![(sent, expected)];
        if let Some((sent, expected)) = self.other.take() {
            owed.extend(&sent);
            all.push((sent, expected));
        }
        self.weigh();
        self.ask_for_status(all.len());
        assert!(owed.len() >= 200, "{}", owed.len());
        let missing = self.witness.missing(&owed);
        assert!(missing.is_empty(), "owed and missing: {missing:?}");
        if !self.disordered {
            assert_eq!(self.witness.disorder(), None, "out of order");
        }
        let twice = self.witness.twice();
        if self.on == BusKind::Nats {
            assert_eq!(twice, 0, "more than once");
        }
        let seen = self.witness.seen();
        let wrong: Vec<String> = all
            .iter()
            .flat_map(|(sent, expected)| judge(&seen, sent, expected))
            .collect();
        let sent: Vec<u64> = all.into_iter().flat_map(|(sent, _)| sent).collect();
        let told = match wrong.is_empty() {
            true => told(&seen),
            false => "NOT TRUE".to_owned(),
        };
        println!(
            "| {} | {} | {} of {} | {twice} | {:.1} s | {} MiB | {told} |",
            self.fault,
            match self.on {
                BusKind::Nats => "NATS",
                BusKind::RabbitMq => "RabbitMQ",
            },
            self.witness.missing(&sent).len(),
            sent.len(),
            self.back.as_secs_f64(),
            self.memory.div_ceil(1024),
        );
        assert!(wrong.is_empty(), "{wrong:#?}");
    }

    /// Has the proxies tell how they are, in order to have the last word on it.
    pub(crate) fn ask_for_status(&self, proxies: usize) {
        let before = self.witness.statuses();
        self.bus.publish("ari.ping", "{}");
        wait_until("a status of each", SOON, || {
            self.witness.statuses() >= before + proxies
        });
    }

    /// What a request is answered, where it is.
    pub(crate) fn probe(&self, asterisk: &str) -> Option<String> {
        let subject = format!("ari.data.{APPLICATION}.{asterisk}");
        let answer = self
            .bus
            .try_ask(&subject, &info(), Duration::from_millis(500))?;
        answer["error"].as_str().map(str::to_owned)
    }
}

/// The states that were told of, but for the first one and what only repeats.
fn told(seen: &[Seen]) -> String {
    let mut told: Vec<&str> = Vec::new();
    for seen in seen {
        let Seen::Status { body, .. } = seen else {
            continue;
        };
        let state = body["state"].as_str().unwrap_or("?");
        if (state != "up" || body["lost"].is_null()) && !told.contains(&state) {
            told.push(state);
        }
    }
    told.retain(|state| *state != "up");
    match told.as_slice() {
        [] => "true: nothing".to_owned(),
        told => format!("true: {}", told.join(", ")),
    }
}
