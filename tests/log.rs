//! A standard output that takes nothing: it costs lines, and nothing else.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, PipeReader, pipe};
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::support::bus::BusKind;
use crate::support::directory::TemporaryDirectory;
use crate::support::proxy::ProxyBuilder;
use crate::support::rig::Rig;
use crate::support::wait::{SOON, wait_until};

/// A rig whose proxy logs every request.
fn rig(stdout: impl FnOnce(ProxyBuilder) -> ProxyBuilder) -> Rig {
    Rig::with(BusKind::Nats, |proxy| {
        stdout(proxy.env("LOG_LEVEL", "debug"))
    })
}

/// Has it log at least `lines` lines while requests are answered and events pass, without delay.
fn is_served(rig: &Rig, lines: usize) {
    let events = rig.bus.subscribe("ari.event.>");
    let request = json!({"kind": "AsteriskInfo", "key": null});
    let start = Instant::now();
    for n in 0..lines {
        assert_eq!(rig.ask("data", &request)["error"], "");
        if n % 100 == 0 {
            rig.asterisk.push(format!("{{\"type\":\"X\",\"n\":{n}}}"));
            assert_eq!(events.expect("an event").json()["n"], n);
        }
    }
    // A request takes less than a millisecond, on a machine that is busy some; one that waits for its
    // line would wait for ever.
    let took = start.elapsed();
    assert!(took < 4 * SOON, "{lines} requests take {took:?}");
}

#[test]
fn full() {
    let rig = rig(|proxy| proxy.stdout(File::create("/dev/full").expect("a device")));
    is_served(&rig, 500);
}

#[test]
fn closed() {
    let (reader, writer) = pipe().expect("a pipe");
    drop(reader);
    let rig = rig(|proxy| proxy.stdout(writer));
    is_served(&rig, 500);
}

#[test]
fn read_by_nobody() {
    let (reader, writer) = pipe().expect("a pipe");
    let mut rig = rig(|proxy| proxy.stdout(writer));
    // A pipe holds 64 KiB, some 600 lines; about a thousand may wait.
    is_served(&rig, 2_500);
    let reader = read_until(reader, "lines are lost");
    is_served(&rig, 1_000);
    rig.proxy.signal("TERM");
    let status = rig.proxy.wait_exit(Duration::from_secs(10));
    assert_eq!(status, Some(0), "it ends all the same");
    drop(reader);
}

/// Reads up to a line with `text` in it.
fn read_until(reader: PipeReader, text: &str) -> BufReader<PipeReader> {
    let mut reader = BufReader::new(reader);
    loop {
        let mut line = String::new();
        let count = reader.read_line(&mut line).expect("readable");
        assert!(count > 0, "ended without {text:?}");
        if line.contains(text) {
            return reader;
        }
    }
}

#[test]
fn not_allowed_to_grow() {
    let directory = TemporaryDirectory::new();
    let path = directory.path.join("log");
    let rig = rig(|proxy| proxy.stdout(File::create(&path).expect("a file")));
    let limit = |bytes: &str| {
        let pid = rig.proxy.pid().to_string();
        let status = Command::new("prlimit")
            .args(["--pid", &pid, &format!("--fsize={bytes}:")])
            .status();
        assert!(status.is_ok_and(|status| status.success()), "prlimit");
    };
    limit("8192");
    is_served(&rig, 500);
    assert_eq!(fs::metadata(&path).expect("a file").len(), 8192);
    limit("1000000");
    wait_until("the lost lines are told", SOON, || {
        is_served(&rig, 1);
        let text = fs::read_to_string(&path).expect("a file");
        text.contains("lines are lost")
    });
}

#[test]
fn lines_name_the_thread_that_logged() {
    let rig = Rig::start(BusKind::Nats);
    let line = rig.proxy.wait_log("bus: connected to");
    assert!(line.contains("@bus-link] "), "{line}");
    assert!(rig.proxy.threads().iter().any(|name| name == "log"));
}
