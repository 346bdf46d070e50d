//! Events for whoever is interested, announcements, pings.

use ari_proxy::bus::access::LARGEST;

use super::{Application, Came, next, publish, rig};
use crate::support::wait::{SOON, wait_until};

#[test]
fn events_go_to_whoever_is_interested_once() {
    let (vhost, bus) = rig();
    let application = Application::connect(&vhost.url());
    application.subscribe(1, "ari.event.app", true);
    application.subscribe(2, "ari.event.app", false);
    application.subscribe(3, "ari.event.app.id", false);
    application.subscribe(4, "ari.event.app", true);
    application.subscribe(5, "ari.status.app", true);
    let heard = |subject: &str, count: usize| {
        publish(&bus, subject, subject);
        publish(&bus, "ari.status.app.id", "end");
        let mut numbers: Vec<u64> = (0..count)
            .map(|_| {
                let (number, body) = application.event();
                assert_eq!(body, subject);
                number
            })
            .collect();
        numbers.sort_unstable();
        assert_eq!(application.event(), (5, "end".into()));
        numbers
    };
    assert_eq!(heard("ari.event.app.id", 3), [1, 3, 4]);
    assert_eq!(heard("ari.event.app", 1), [2]);
    assert_eq!(heard("ari.event.other.id", 0), [0; 0]);
    application.access.unsubscribe(1);
    assert_eq!(heard("ari.event.app.id", 2), [3, 4]);
    application.access.unsubscribe(4);
    application.subscribe(6, "ari.event.app", true);
    assert_eq!(heard("ari.event.app.other", 1), [6]);
    application.access.unsubscribe(2);
    application.access.unsubscribe(3);
    application.access.unsubscribe(6);
    assert_eq!(heard("ari.event.app.id", 0), [0; 0]);
    wait_until("nothing is bound that is not wanted", SOON, || {
        let bound = vhost.list(
            "list_bindings",
            &["source_name", "routing_key"],
            "ari.event",
        );
        bound.len() == 1
    });
}

#[test]
fn announcements_and_pings() {
    let (vhost, bus) = rig();
    let pings = bus.subscribe("ari.ping");
    let application = Application::connect(&vhost.url());
    assert_eq!(application.access.attend("ari.announce"), Ok(()));
    assert_eq!(application.access.ping("ari.ping"), Ok(()));
    assert_eq!(next(&pings).subject, "ari.ping");
    publish(&bus, "other.announce", "other");
    publish(&bus, "ari.announce", "here");
    assert!(matches!(application.next(), Came::Announcement(it) if it == "here"));
}

#[test]
fn large_events_are_whole_and_too_large_ones_are_told() {
    let (vhost, bus) = rig();
    let application = Application::connect(&vhost.url());
    application.subscribe(1, "ari.event.app", true);
    for size in [70_000, 1_000_000, LARGEST] {
        let body: Vec<u8> = (0..size).map(|at| (at % 251) as u8).collect();
        publish(&bus, "ari.event.app.id", body.clone());
        match application.next() {
            Came::Event(1, heard, None) => assert!(heard == body, "{size}"),
            other => panic!("{other:?}"),
        }
    }
    publish(&bus, "ari.event.app.id", vec![0; LARGEST + 1]);
    assert!(matches!(application.next(), Came::Dropped(1)));
    publish(&bus, "ari.event.app.id", "after");
    assert_eq!(application.event(), (1, "after".into()));
}
