//! Faults of the proxy's process and surroundings: ended, killed, doubled, without a disk, with a
//! clock that jumps.

use std::fs;
use std::process::Command;
use std::time::{Duration, Instant};

use super::trial::{ID, LATER, Trial};
use crate::links::create;
use crate::support::asterisk_process::AsteriskProcess;
use crate::support::bus::{BusKind, Server, on_each_bus};
use crate::support::directory::TemporaryDirectory;
use crate::support::proxy::ProxyBuilder;
use crate::support::rig::APPLICATION;
use crate::support::statuses::Expected;
use crate::support::wait::{SOON, wait_until};

on_each_bus!(
    ended_under_load,
    killed_under_load,
    two_on_one_application,
    two_on_one_asterisk,
    nothing_can_be_logged,
    the_clock_jumps,
);

/// One whose events say of which epoch they are.
fn marked(fault: &'static str, on: BusKind) -> Trial {
    let asterisk = AsteriskProcess::start(ID, 1);
    Trial::start(fault, Server::start(on), asterisk, mark)
}

fn mark(proxy: ProxyBuilder) -> ProxyBuilder {
    proxy.env("EVENTS_HEADERS", "true")
}

fn ended_under_load(on: BusKind) {
    let mut trial = marked("proxy SIGTERM under load", on);
    trial.run();
    // What is written to its websocket while it ends reaches nobody.
    trial.settle();
    trial.weigh();
    trial.proxy.signal("TERM");
    assert_eq!(trial.proxy.wait_exit(SOON), Some(0));
    next(trial, |expected| expected.told("stopping"));
}

fn killed_under_load(on: BusKind) {
    let mut trial = marked("proxy kill -9 under load", on);
    trial.run();
    trial.settle();
    trial.weigh();
    trial.proxy.signal("KILL");
    assert_eq!(trial.proxy.wait_exit(SOON), None);
    next(trial, |expected| expected);
}

/// Another proxy takes the place of one that has ended: a subscriber sees another epoch.
fn next(mut trial: Trial, told: impl FnOnce(Expected) -> Expected) {
    let started = Instant::now();
    let builder = trial.asterisk.proxy(APPLICATION, &trial.server.url());
    let _ended = trial.replace_proxy(mark(builder).spawn());
    trial.back(started);
    let mut expected = told(Expected::nothing(ID));
    expected.epochs = 2;
    trial.end(expected);
}

/// Each has an Asterisk of its own; they share what makes something, and one of the Asterisks dies.
fn two_on_one_application(on: BusKind) {
    let mut trial = Trial::shared("two proxies on one application, one Asterisk kill -9", on);
    let other = "02:42:ac:11:00:03";
    let mut second = AsteriskProcess::start(other, 1_000_000_000);
    let _proxy = second.proxy(APPLICATION, &trial.server.url()).spawn();
    wait_until("both serve", LATER, || {
        trial.probe(other).as_deref() == Some("")
    });
    trial.run();
    wait_until("both are asked", LATER, || {
        creates(&trial);
        trial.asterisk.calls() > 0 && second.calls() > 0
    });
    second.kill();
    wait_until("the one that is left is asked", LATER, || {
        creates(&trial) == 50
    });
    second.restart();
    let before = second.calls();
    wait_until("both are asked again", LATER, || {
        creates(&trial);
        second.calls() > before
    });
    second.quiet();
    let theirs = second.sent();
    wait_until("all of the second's came", LATER, || {
        trial.witness.has(&theirs)
    });
    trial.other = Some((theirs, Expected::nothing(other).told("down")));
    trial.end(Expected::nothing(ID));
}

/// Sends requests that one proxy of the application is to carry out; how many were.
fn creates(trial: &Trial) -> usize {
    let done = |_: &usize| {
        let answer = trial
            .bus
            .try_ask("ari.create.conf", &create(), Duration::from_secs(2));
        answer.is_some_and(|answer| answer["error"] == "")
    };
    (0..50).take_while(done).count()
}

/// Asterisk has one websocket for an application: the proxy that came last has it, until the other
/// takes it back.
fn two_on_one_asterisk(on: BusKind) {
    let asterisk = AsteriskProcess::start(ID, 1);
    let fault = "two proxies on one Asterisk";
    let mut trial = Trial::start(fault, Server::start(on), asterisk, |proxy| {
        mark(proxy).env("ARI_REPLACED_PAUSE", "4s")
    });
    trial.run();
    let builder = trial.asterisk.proxy(APPLICATION, &trial.server.url());
    let mut second = mark(builder).env("ARI_REPLACED_PAUSE", "1h").spawn();
    trial.proxy.wait_log("ApplicationReplaced");
    // Both publish on one subject: what the first still has may come after what the second has.
    trial.disordered();
    second.wait_log("ApplicationReplaced");
    let since = Instant::now();
    trial.back(since);
    second.signal("TERM");
    assert_eq!(second.wait_exit(SOON), Some(0));
    let mut expected = Expected::nothing(ID).told("replaced").told("stopping");
    expected.epochs = 2;
    trial.end(expected);
}

fn nothing_can_be_logged(on: BusKind) {
    let asterisk = AsteriskProcess::start(ID, 1);
    let fault = "disk full where the log goes";
    let mut trial = Trial::start(fault, Server::start(on), asterisk, |proxy| {
        proxy
            .env("LOG_LEVEL", "trace")
            .within(&["sh", "-c", "exec \"$@\" >/dev/full", "full"])
    });
    trial.run();
    trial.asterisk.kill();
    let accepts = trial.asterisk.restart();
    trial.back(accepts);
    trial.end(Expected::nothing(ID).told("down"));
}

/// The clock of the wall, as the process sees it, goes a day ahead and then two back.
fn the_clock_jumps(on: BusKind) {
    const DAY: i64 = 24 * 60 * 60;
    let directory = TemporaryDirectory::new();
    let path = |name: &str| directory.path.join(name);
    let ahead = |seconds: i64| {
        // In place: the file is mapped.
        let mut file = fs::OpenOptions::new().write(true).open(path("ahead"));
        let file = file.as_mut().expect("opened");
        std::io::Write::write_all(file, &seconds.to_ne_bytes()).expect("written");
    };
    fs::write(path("ahead"), 0_i64.to_ne_bytes()).expect("written");
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/clock.c");
    let compiled = Command::new("cc")
        .args(["-O1", "-shared", "-fPIC", "-o"])
        .arg(path("clock.so"))
        .arg(source)
        .status();
    assert!(compiled.expect("cc is installed").success());
    let asterisk = AsteriskProcess::start(ID, 1);
    let mut trial = Trial::start(
        "clock jumps by days",
        Server::start(on),
        asterisk,
        |proxy| {
            proxy
                .env("LD_PRELOAD", path("clock.so"))
                .env("CLOCK_AHEAD", path("ahead"))
        },
    );
    trial.run();
    for (jump, seconds) in [("ahead", DAY), ("back", -DAY)] {
        ahead(seconds);
        trial.run();
        // Whoever is away is back as soon as always, and lines say the time that the clock says.
        trial.asterisk.kill();
        let accepts = trial.asterisk.restart();
        trial.back(accepts);
        let said = |lines: &[String]| lines.iter().any(|line| line.starts_with(&date(seconds)));
        assert!(said(&trial.proxy.lines()), "it saw the clock jump {jump}");
    }
    trial.end(Expected::nothing(ID).told("down"));
}

/// The date so many seconds from now.
fn date(ahead: i64) -> String {
    let output = Command::new("date")
        .args(["-u", "-d", &format!("{ahead} seconds"), "+%Y-%m-%d"])
        .output()
        .expect("date is installed");
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}
