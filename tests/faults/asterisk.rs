//! Faults of Asterisk and of the websocket.

use std::time::{Duration, Instant};

use super::trial::{ID, LATER, Trial};
use crate::support::asterisk_process::{AsteriskProcess, LARGE};
use crate::support::bus::{BusKind, Server, on_each_bus};
use crate::support::relay::Relay;
use crate::support::statuses::Expected;
use crate::support::wait::wait_until;

on_each_bus!(
    the_websocket_cut_mid_frame,
    killed,
    stopped_for_twenty_seconds,
    restarted_with_another_id,
);

fn the_websocket_cut_mid_frame(on: BusKind) {
    let asterisk = AsteriskProcess::start(ID, 1);
    let relay = Relay::start(asterisk.port());
    let url = format!("ws://127.0.0.1:{}/ari/events", relay.port());
    let mut trial = Trial::start(
        "websocket cut mid-frame",
        Server::start(on),
        asterisk,
        |proxy| proxy.env("ARI_WEBSOCKET_URL", url),
    );
    trial.run();
    trial.settle();
    let before = relay.accepted();
    relay.cut_after(LARGE / 2);
    let cut = Instant::now();
    trial.asterisk.send_large();
    wait_until("a new websocket", LATER, || relay.accepted() > before);
    trial.back(cut);
    trial.end(Expected::nothing(ID).told("down"));
}

/// What it wrote to its socket before is owed all the same.
fn killed(on: BusKind) {
    let mut trial = Trial::shared("Asterisk kill -9", on);
    trial.run();
    trial.asterisk.kill();
    let accepts = trial.asterisk.restart();
    trial.back(accepts);
    trial.end(Expected::nothing(ID).told("down"));
}

fn stopped_for_twenty_seconds(on: BusKind) {
    let mut trial = Trial::shared("Asterisk SIGSTOP 20 s", on);
    trial.run();
    trial.settle();
    trial.asterisk.signal("STOP");
    // The time that it must last: longer than the proxy waits for a sign of life.
    std::thread::sleep(Duration::from_secs(20));
    trial.asterisk.signal("CONT");
    trial.back(Instant::now());
    trial.end(Expected::nothing(ID).told("down"));
}

fn restarted_with_another_id(on: BusKind) {
    let mut trial = Trial::shared("Asterisk restarted with another entity id", on);
    let other = "02:42:ac:11:00:99";
    trial.run();
    trial.asterisk.kill();
    trial.asterisk.rename(other);
    let accepts = trial.asterisk.restart();
    trial.back(accepts);
    assert_eq!(
        trial.probe(other).as_deref(),
        Some(""),
        "on its new subject"
    );
    let mut expected = Expected::nothing(ID).told("down");
    expected.asterisks.push(other.to_owned());
    expected.epochs = 2;
    trial.end(expected);
}
