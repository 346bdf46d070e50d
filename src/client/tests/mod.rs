//! Clients on a bus in memory, with proxies that say what a test has them say.

mod asks;
mod bus;
mod endings;
mod places;
mod recorded;
pub(super) mod recorder;
mod subscribes;
mod variables;
mod verbs;

use std::time::{Duration, Instant};

use super::settings::Builder;
use super::{Client, Connection};
use bus::Bus;

/// How long something may take that takes no time.
const SOON: Duration = Duration::from_secs(10);

/// A client of the application `a` on a new bus, as `build` has it.
fn client_as(build: impl FnOnce(Builder) -> Builder) -> (Bus, Client) {
    let bus = Bus::default();
    let settings = build(Builder::default().url("nats://nowhere"))
        .checked(|_| None)
        .unwrap();
    let connection = Connection::start_by(settings, |hear| bus.connect(hear)).unwrap();
    let client = connection.client("a").unwrap();
    (bus, client)
}

fn client() -> (Bus, Client) {
    client_as(|builder| builder)
}

/// Waits until `holds`.
fn until(what: &str, holds: impl Fn() -> bool) {
    let deadline = Instant::now() + SOON;
    while !holds() {
        assert!(Instant::now() < deadline, "{what}");
        std::thread::yield_now();
    }
}
