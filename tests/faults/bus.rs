//! Faults of the bus: servers that die, stop, move, or are away for long.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use super::trial::{ID, LATER, Trial};
use crate::support::asterisk_process::AsteriskProcess;
use crate::support::bus::{BusKind, Server, on_each_bus};
use crate::support::directory::TemporaryDirectory;
use crate::support::relay::Relay;
use crate::support::statuses::Expected;
use crate::support::wait::wait_until;

on_each_bus!(
    killed,
    ended_politely,
    stopped_for_twenty_seconds,
    away_for_a_minute,
    moved_to_another_address_of_the_list,
    its_name_gone,
);

/// NATS loses what is on its way, and the proxy cannot know whether there was anything.
fn expected(on: BusKind) -> Expected {
    match on {
        BusKind::Nats => Expected::nothing(ID).perhaps("gap"),
        BusKind::RabbitMq => Expected::nothing(ID),
    }
}

/// RabbitMQ owes what is sent while it is away as well.
fn may_lose(trial: &mut Trial) {
    if trial.on == BusKind::Nats {
        trial.settle();
    }
}

/// A trial whose server may be killed, and the proxy's way to it. It is opened again when the witness
/// listens: what a proxy that is back sooner publishes has no subscriber.
fn start(fault: &'static str, on: BusKind) -> (Trial, Relay) {
    let server = Server::start_own(on);
    let relay = Relay::start(server.port());
    let url = server.url_by(relay.port());
    let asterisk = AsteriskProcess::start(ID, 1);
    let trial = Trial::start(fault, server, asterisk, |proxy| {
        proxy.env("MESSAGEBUS_URL", url)
    });
    (trial, relay)
}

fn killed(on: BusKind) {
    let (mut trial, relay) = start("bus kill -9", on);
    trial.run();
    may_lose(&mut trial);
    trial.server.kill();
    comes_back(trial, &relay);
}

fn ended_politely(on: BusKind) {
    let (mut trial, relay) = start("bus SIGTERM", on);
    trial.run();
    may_lose(&mut trial);
    trial.server.terminate();
    comes_back(trial, &relay);
}

fn comes_back(mut trial: Trial, relay: &Relay) {
    relay.refuse();
    trial.server.restart();
    trial.listen();
    relay.resume();
    trial.back(Instant::now());
    let expected = expected(trial.on);
    trial.end(expected);
}

fn stopped_for_twenty_seconds(on: BusKind) {
    let mut trial = Trial::own("bus SIGSTOP 20 s", on);
    trial.run();
    may_lose(&mut trial);
    trial.server.pause();
    // The time that it must last: longer than the proxy waits for a sign of life.
    std::thread::sleep(Duration::from_secs(20));
    trial.server.resume();
    trial.back(Instant::now());
    trial.end(expected(on));
}

/// Longer than events are kept: those that are young enough come in order, of the others the proxy
/// says how many there were.
fn away_for_a_minute(on: BusKind) {
    let (mut trial, relay) = start("bus away for 60 s", on);
    trial.run();
    // Nothing is on its way.
    trial.settle();
    trial.quiet();
    let gone = Instant::now();
    trial.server.kill();
    relay.refuse();
    trial.proxy.wait_log("lost");
    trial.asterisk.go_on();
    std::thread::sleep(Duration::from_secs(60).saturating_sub(gone.elapsed()));
    trial.server.restart();
    trial.listen();
    let sent = trial.asterisk.sent().len();
    relay.resume();
    trial.back(Instant::now());
    let all = trial.quiet();
    let missing = trial.witness.missing(&all);
    // They were kept for half of the time.
    let (least, most) = (sent / 4, sent * 3 / 4);
    assert!((least..most).contains(&missing.len()), "{}", missing.len());
    let contiguous = missing.windows(2).all(|pair| pair[0] + 1 == pair[1]);
    assert!(contiguous, "the oldest go first: {missing:?}");
    trial.ask_for_status(1);
    let told = trial.witness.last_status()["lost_total"].as_u64();
    assert_eq!(told, Some(missing.len() as u64), "told to be lost");
    trial.asterisk.go_on();
    trial.end(Expected::nothing(ID).told("gap"));
}

fn moved_to_another_address_of_the_list(on: BusKind) {
    let (first, second) = (Server::start_own(on), Server::absent(on));
    let relay = Relay::start(second.port());
    relay.refuse();
    let url = format!("{},{}", first.url(), second.url_by(relay.port()));
    let asterisk = AsteriskProcess::start(ID, 1);
    let fault = "bus restarted on another address of the list";
    let mut trial = Trial::start(fault, first, asterisk, |proxy| {
        proxy.env("MESSAGEBUS_URL", url)
    });
    trial.run();
    // What the first has not delivered is lost with it, on either bus.
    trial.settle();
    trial.server.kill();
    trial.server = second;
    trial.server.restart();
    trial.listen();
    relay.resume();
    trial.back(Instant::now());
    trial.end(expected(on));
}

/// The proxy has a view of its own of the files that say where names lead.
fn its_name_gone(on: BusKind) {
    const NAME: &str = "bus.test";
    let directory = TemporaryDirectory::new();
    let known = |known: bool| {
        let entry = if known { NAME } else { "other.test" };
        let hosts = format!("127.0.0.1 localhost\n127.0.0.1 {entry}\n");
        fs::write(directory.path.join("hosts"), hosts).expect("written");
    };
    known(true);
    // Without a server of names it is either known at once or not.
    fs::write(directory.path.join("nsswitch.conf"), "hosts: files\n").expect("written");
    let server = Server::start_own(on);
    let url = server.url().replace("127.0.0.1", NAME);
    let asterisk = AsteriskProcess::start(ID, 1);
    let mut trial = Trial::start("DNS name of the bus gone", server, asterisk, |proxy| {
        let view = view(&directory.path);
        let view: Vec<&str> = view.iter().map(String::as_str).collect();
        proxy.env("MESSAGEBUS_URL", url).within(&view)
    });
    trial.run();
    known(false);
    // A link that there is needs no name.
    trial.run();
    may_lose(&mut trial);
    trial.server.kill();
    trial.server.restart();
    trial.listen();
    wait_until("the name is looked for", LATER, || {
        let lines = trial.proxy.lines();
        lines
            .iter()
            .any(|line| line.contains("no bus server") || line.contains("lookup"))
    });
    known(true);
    trial.back(Instant::now());
    trial.end(expected(on));
}

/// What starts a program with these files in the place of the system's. It needs root, or a system
/// that lets everybody make name spaces.
fn view(directory: &Path) -> Vec<String> {
    let root = fs::metadata("/proc/self").is_ok_and(|own| {
        use std::os::unix::fs::MetadataExt;
        own.uid() == 0
    });
    let script = "mount --bind \"$1/hosts\" /etc/hosts && \
                  mount --bind \"$1/nsswitch.conf\" /etc/nsswitch.conf && shift && exec \"$@\"";
    let options = if root { "-m" } else { "-rm" };
    let directory = directory.to_str().expect("a path of text");
    ["unshare", options, "sh", "-c", script, "view", directory]
        .map(str::to_owned)
        .into()
}
