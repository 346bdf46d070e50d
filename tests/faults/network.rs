//! Faults of the network between proxy and bus: slow, broken off, silent.

use std::time::{Duration, Instant};

use super::trial::{ID, LATER, Trial};
use crate::support::asterisk_process::AsteriskProcess;
use crate::support::bus::{BusKind, Server, on_each_bus};
use crate::support::relay::Relay;
use crate::support::statuses::Expected;
use crate::support::wait::wait_until;

on_each_bus!(slow, cut_every_three_seconds, accepting_and_silent);

/// NATS loses what is on its way, and the proxy cannot know whether there was anything.
fn expected(on: BusKind) -> Expected {
    match on {
        BusKind::Nats => Expected::nothing(ID).perhaps("gap"),
        BusKind::RabbitMq => Expected::nothing(ID),
    }
}

fn start(fault: &'static str, on: BusKind, delay: Duration) -> (Trial, Relay) {
    let server = Server::start(on);
    let relay = Relay::slow(server.port(), delay);
    let url = server.url_by(relay.port());
    let asterisk = AsteriskProcess::start(ID, 1);
    let trial = Trial::start(fault, server, asterisk, |proxy| {
        proxy.env("MESSAGEBUS_URL", url)
    });
    (trial, relay)
}

/// Each way. A RabbitMQ that is much farther away is not connected to, as the README says.
fn slow(on: BusKind) {
    let fault = "relay to the bus delays 200 ms each way";
    let (mut trial, _relay) = start(fault, on, Duration::from_millis(200));
    trial.run();
    trial.end(Expected::nothing(ID));
}

fn cut_every_three_seconds(on: BusKind) {
    let fault = "link to the bus cut every 3 s for a minute";
    let (mut trial, relay) = start(fault, on, Duration::ZERO);
    trial.run();
    if on == BusKind::Nats {
        trial.settle();
    }
    let start = Instant::now();
    for round in 1..=20 {
        // The pace of the cuts.
        std::thread::sleep(Duration::from_secs(3 * round).saturating_sub(start.elapsed()));
        relay.cut();
    }
    trial.back(Instant::now());
    trial.end(expected(on));
}

fn accepting_and_silent(on: BusKind) {
    let (mut trial, relay) = start("bus accepts and stays silent", on, Duration::ZERO);
    trial.run();
    if on == BusKind::Nats {
        trial.settle();
    }
    let before = relay.accepted();
    relay.stall();
    wait_until("another attempt", LATER, || relay.accepted() > before + 1);
    relay.resume();
    trial.back(Instant::now());
    trial.end(expected(on));
}
