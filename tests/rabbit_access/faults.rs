//! What a broker refuses, and brokers and connections that come to harm.

use std::time::{Duration, Instant};

use amiquip::QueueDeleteOptions;
use ari_proxy::bus::{Access, BusError};
use serde_json::json;

use super::{Application, Came, GROUP, calls_of, interest, publish, rig};
use crate::support::nats::BUS_USER;
use crate::support::rabbitmq::{RabbitServer, amqp_url};
use crate::support::rabbitmq_client::{declare, milliseconds};
use crate::support::relay::Relay;
use crate::support::wait::SOON;

/// How long a broker may be silent until an access is lost, with what a busy machine adds.
const SILENT: Duration = Duration::from_secs(12 + 3);

#[test]
fn what_is_refused_is_told_and_the_rest_goes_on() {
    let (vhost, bus) = rig();
    let application = Application::connect(&vhost.url());
    application.subscribe(1, "ari.event.app", true);
    let channel = bus.channel();
    declare(&channel, GROUP, milliseconds("x-expires"), "ari.event.none");
    let declined = application.access.subscribe(2, &calls_of(GROUP));
    assert!(matches!(&declined, Err(BusError::Declined { what, .. }) if what.contains(GROUP)));
    bus.channel()
        .exchange_delete("ari.announce", false)
        .unwrap();
    let denied = application.access.attend("ari.announce");
    assert!(
        matches!(&denied, Err(BusError::Denied { .. })),
        "{denied:?}"
    );
    let long = interest(&"s".repeat(254), true);
    let subject = application.access.subscribe(3, &long);
    assert!(matches!(&subject, Err(BusError::Subject(_))), "{subject:?}");
    publish(&bus, "ari.event.app.id", "e");
    assert_eq!(application.event(), (1, "e".into()));
    application.subscribe(4, "ari.event.other", true);
    publish(&bus, "ari.event.other.id", "o");
    assert_eq!(application.event(), (4, "o".into()));
    assert!(!application.access.is_lost());
}

#[test]
fn who_may_not_ask_or_declare_hears_all_the_same() {
    let (vhost, bus) = rig();
    let application = Application::connect(&vhost.url());
    let may = |configure: &str, write: &str| {
        let allowed = vhost.server.eval(&format!(
            "rabbit_auth_backend_internal:set_permissions(<<\"{BUS_USER}\">>,<<\"{}\">>,\
             <<\"{configure}\">>,<<\"{write}\">>,<<\".*\">>,<<\"t\">>)",
            vhost.name,
        ));
        assert_eq!(allowed, "ok");
    };
    application.subscribe(1, "ari.event.app", true);
    may("^$", "^(?!ari.request).*$");
    for number in 1..4 {
        application.ask(number, "ari.get.app.id");
        assert!(matches!(application.next(), Came::Nobody(it) if it == number));
        application.access.forget(number, true);
    }
    // The exchanges are there.
    let other = Application::connect(&vhost.url());
    let declined = other.access.subscribe(1, &interest("ari.event.app", true));
    assert!(
        matches!(&declined, Err(BusError::Declined { .. })),
        "{declined:?}"
    );
    may(".*", ".*");
    other.subscribe(2, "ari.event.app", true);
    publish(&bus, "ari.event.app.id", "e");
    assert_eq!(application.event(), (1, "e".into()));
    assert_eq!(other.event(), (2, "e".into()));
}

#[test]
fn a_queue_that_is_deleted_ends_the_access() {
    let (vhost, bus) = rig();
    let application = Application::connect(&vhost.url());
    application.listen(1, GROUP);
    let deleted = bus
        .channel()
        .queue_delete(GROUP, QueueDeleteOptions::default());
    deleted.unwrap();
    assert!(application.access.lost().recv_timeout(SOON).is_err());
    application.access.close();
    let why = application.access.why().expect("a reason");
    assert!(why.contains("gone"), "{why}");
    let asked = application.access.ping("ari.ping");
    assert_eq!(asked, Err(BusError::Lost));
}

/// Waits until `access` is lost, for `limit` at most: nothing of it hangs.
fn expect_lost(access: &dyn Access, limit: Duration) {
    let began = Instant::now();
    let lost = access.lost().recv_timeout(limit);
    let took = began.elapsed();
    assert!(
        access.is_lost() && lost.is_err(),
        "it is there after {took:?}"
    );
    access.close();
    assert!(access.why().is_some());
    let refused = access.subscribe(99, &interest("ari.event.late", true));
    assert_eq!(refused, Err(BusError::Lost));
}

#[test]
fn brokers_that_are_stopped_or_killed_and_connections_that_are_cut() {
    let mut server = RabbitServer::start();
    let relay = Relay::start(server.port());
    let cut = Application::connect(&amqp_url(relay.port(), "%2f"));
    cut.subscribe(1, "ari.event.app", true);
    relay.cut();
    expect_lost(&*cut.access, SOON);
    // Without a word to either side.
    let silent = Application::connect(&amqp_url(relay.port(), "%2f"));
    silent.subscribe(1, "ari.event.app", true);
    relay.stall();
    expect_lost(&*silent.access, SILENT);
    let stopped = Application::connect(&amqp_url(server.port(), "%2f"));
    stopped.subscribe(1, "ari.event.app", true);
    server.pause();
    expect_lost(&*stopped.access, SILENT);
    server.resume();
    let killed = Application::connect(&amqp_url(server.port(), "%2f"));
    killed.subscribe(1, "ari.event.app", true);
    server.kill();
    expect_lost(&*killed.access, SOON);
}

#[test]
fn who_leaves_does_not_wait_for_a_broker_that_is_stuck() {
    let (vhost, _) = rig();
    let relay = Relay::start(vhost.server.port());
    let application = Application::connect(&amqp_url(relay.port(), &vhost.name));
    application.subscribe(1, "ari.event.app", true);
    relay.stall();
    let began = Instant::now();
    application.access.close();
    assert!(began.elapsed() < SILENT / 3, "{:?}", began.elapsed());
    assert!(application.access.is_lost());
}

#[test]
fn a_broker_short_of_memory_goes_on_sending_events() {
    const EVENTS: usize = 2000;
    let server = RabbitServer::start();
    let application = Application::connect(&amqp_url(server.port(), "%2f"));
    application.subscribe(1, "ari.event.app", true);
    application.listen(2, GROUP);
    // As the broker itself, which lets no publisher pass.
    let publish = |count: usize, body: &str| {
        let body = body.replace('"', "\\\"");
        let published = server.eval(&format!(
            "lists:foreach(fun(_) -> rabbit_basic:publish(rabbit_misc:r(<<\"/\">>,exchange,\
             <<\"ari.event\">>),<<\"ari.event.app.id\">>,[],<<\"{body}\">>) end,\
             lists:seq(1,{count}))"
        ));
        assert_eq!(published, "ok");
    };
    server.memory_alarm(true);
    // The broker stops reading from who publishes.
    application.ask(1, "ari.get.nobody");
    publish(EVENTS, "e");
    for _ in 0..EVENTS {
        assert_eq!(application.event(), (1, "e".into()));
    }
    application.subscribe(3, "ari.event.other", true);
    let call = json!({"type": "StasisStart"}).to_string();
    publish(1, &call);
    assert_eq!(application.event(), (1, call));
    assert!(application.heard.is_empty(), "question and call wait");
    server.memory_alarm(false);
    let (mut answered, mut called) = (false, false);
    while !(answered && called) {
        match application.next() {
            Came::Nobody(1) => answered = true,
            Came::Event(2, _, Some(_)) => called = true,
            other => panic!("{other:?}"),
        }
    }
    assert!(!application.access.is_lost());
}
