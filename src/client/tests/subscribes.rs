//! Subscriptions: what they get, and when they end.

use std::time::Duration;

use super::{SOON, client, client_as, until};
use crate::client::{Error, Event, Key, Request};

const EVENT: &str = r#"{"type":"X","application":"a","asterisk_id":"n","channel":{"id":"c1"}}"#;

fn key(id: &str, node: &str) -> Key {
    Key {
        id: id.into(),
        node: node.into(),
        ..Key::default()
    }
}

#[test]
fn many_subscribers_are_one_subscription() {
    let (bus, client) = client();
    let all = client.subscribe(&Key::default(), &[]).unwrap();
    let one = client.subscribe(&key("c1", ""), &[]).unwrap();
    let other = client.subscribe(&key("c2", ""), &[]).unwrap();
    let at = client.subscribe(&key("", "n"), &[]).unwrap();
    assert_eq!(bus.subscribed(), ["ari.event.a", "ari.event.a.n"]);
    bus.publish("ari.event.a.n", EVENT);
    for subscription in [&all, &one, &at] {
        assert!(matches!(subscription.try_recv(), Some(Event::Other(_))));
        assert_eq!(subscription.try_recv(), None);
    }
    assert_eq!(other.try_recv(), None);
    drop((all, one));
    assert_eq!(bus.subscribed().len(), 2);
    drop(other);
    assert_eq!(bus.subscribed(), ["ari.event.a.n"]);
}

#[test]
fn who_does_not_read_loses_and_is_told_and_harms_nobody() {
    let (bus, client) = client_as(|builder| builder.event_buffer(10));
    let idle = client.subscribe(&Key::default(), &[]).unwrap();
    let busy = client.subscribe(&Key::default(), &[]).unwrap();
    for _ in 0..1_000 {
        bus.publish("ari.event.a.n", EVENT);
        assert!(matches!(busy.try_recv(), Some(Event::Other(_))));
    }
    let events: Vec<Event> = std::iter::from_fn(|| idle.try_recv()).collect();
    assert_eq!(events.len(), 11);
    assert!(matches!(&events[10], Event::Gap(gap) if gap.lost == Some(990)));
}

#[test]
fn who_waits_for_ever_does() {
    let (bus, client) = client_as(|builder| {
        builder
            .request_timeout(Duration::MAX)
            .connect_timeout(Duration::MAX)
    });
    let all = client.subscribe(&Key::default(), &[]).unwrap();
    bus.publish("ari.event.a.n", EVENT);
    assert!(all.recv_timeout(Duration::MAX).is_ok());
    bus.answer(|_, _| Some(vec!["{}".to_owned()]));
    client.channels().at("n").handle("c").answer().unwrap();
    let calls = client.listen().unwrap();
    client.close();
    assert_eq!(calls.recv_timeout(Duration::MAX).err(), Some(Error::Closed));
}

#[test]
fn they_come_back_with_a_gap() {
    let (bus, client) = client();
    let before = client.subscribe(&Key::default(), &[]).unwrap();
    bus.fall();
    until("the link is lost", || !client.connection().unwrap().is_up());
    let meanwhile = client.subscribe(&key("", "n"), &[]).unwrap();
    bus.rise();
    for subscription in [&before, &meanwhile] {
        let gap = subscription.recv_timeout(SOON).unwrap();
        assert!(matches!(gap, Event::Gap(_)), "{gap:?}");
    }
    assert_eq!(bus.subscribed(), ["ari.event.a", "ari.event.a.n"]);
    bus.publish("ari.event.a.n", EVENT);
    assert!(matches!(before.try_recv(), Some(Event::Other(_))));
}

#[test]
fn clients_end_their_own() {
    let (bus, client) = client();
    let child = client.derive().unwrap();
    let grandchild = child.derive_in_dialog("d").unwrap();
    let own = client.subscribe(&Key::default(), &[]).unwrap();
    let childs = child.subscribe(&key("", "n"), &[]).unwrap();
    let of_dialog = grandchild.subscribe(&key("", "n"), &[]).unwrap();
    assert_eq!(
        bus.subscribed(),
        ["ari.event.a", "ari.event.a.n", "ari.dialogevent.d"]
    );
    child.close();
    assert_eq!(bus.subscribed(), ["ari.event.a"]);
    assert_eq!(childs.recv(), None);
    assert_eq!(of_dialog.recv_timeout(SOON), Err(Error::Closed));
    assert_eq!(
        grandchild.subscribe(&Key::default(), &[]).unwrap_err(),
        Error::Closed
    );
    bus.publish("ari.event.a.n", EVENT);
    assert!(own.try_recv().is_some());
    let connection = client.connection().unwrap();
    drop(client);
    assert_eq!(own.recv(), None);
    assert!(bus.subscribed().is_empty());
    assert!(connection.is_up(), "others may use it");
}

#[test]
fn what_the_bus_refuses_is_told() {
    let (bus, client) = client();
    bus.refuse("ari.event.a.n");
    let refused = client.subscribe(&key("", "n"), &[]).unwrap_err();
    assert!(matches!(refused, Error::Bus(_)), "{refused}");
    // One that was allowed before is told of it.
    let allowed = client.subscribe(&Key::default(), &[]).unwrap();
    bus.refuse("ari.event.a");
    bus.fall();
    until("the link is lost", || !client.connection().unwrap().is_up());
    bus.rise();
    for words in ["does not let us subscribe: no", "lost for"] {
        let told = allowed.recv_timeout(SOON).unwrap();
        assert!(
            matches!(&told, Event::Gap(gap) if gap.reason.contains(words)),
            "{told:?}"
        );
    }
    for bad in ["a b", "*", "x\r\nSUB > 1"] {
        assert!(client.subscribe(&key("", bad), &[]).is_err(), "{bad}");
    }
}

#[test]
fn what_proxies_say_of_themselves() {
    let (bus, client) = client();
    bus.announce(&["n", "m"]);
    assert_eq!(client.cluster().len(), 2);
    let here = client.subscribe(&key("", "n"), &[]).unwrap();
    let there = client.subscribe(&key("", "m"), &[]).unwrap();
    let status = r#"{"asterisk":"n","application":"a","state":"stopping","seq":1}"#;
    bus.publish("ari.status.a.n", status);
    assert!(here.try_recv().is_some());
    assert_eq!(there.try_recv(), None);
    assert_eq!(client.cluster().len(), 1);
}

#[test]
fn what_a_client_subscribes_to_while_it_is_closed_ends() {
    let (bus, client) = client();
    let connection = client.connection().unwrap();
    for _ in 0..2_000 {
        let closed = connection.client("a").unwrap();
        let session = closed.session.clone();
        let begin = std::sync::Barrier::new(2);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                begin.wait();
                let _ = session.subscribe(&Key::default(), &[]);
            });
            begin.wait();
            drop(closed);
        });
        assert_eq!(bus.subscribed(), Vec::<String>::new());
    }
}

#[test]
fn a_connection_that_is_closed_ends_what_is_subscribed_to() {
    let (_bus, client) = client();
    let subscription = client.subscribe(&Key::default(), &[]).unwrap();
    let mut calls = client.listen().unwrap();
    std::thread::scope(|scope| {
        let events = scope.spawn(|| subscription.recv_timeout(SOON));
        let calls = scope.spawn(|| calls.next().is_none());
        client.connection().unwrap().close();
        assert_eq!(events.join().unwrap(), Err(Error::Closed));
        assert!(calls.join().unwrap());
    });
    assert_eq!(subscription.recv(), None);
    let late = client.subscribe(&Key::default(), &[]);
    assert_eq!(late.unwrap_err(), Error::Closed);
}

#[test]
fn limits_that_are_none() {
    let (bus, client) = client_as(|builder| {
        builder
            .request_timeout(Duration::MAX)
            .connect_timeout(Duration::MAX)
    });
    bus.answer(|_, _| Some(vec![r#"{"error":""}"#.to_owned()]));
    client
        .command(&Request::new("AsteriskLoggingRotate", &Key::channel("c")))
        .unwrap();
    let subscription = client.subscribe(&Key::default(), &[]).unwrap();
    let calls = client.listen().unwrap();
    drop(client);
    let closed = subscription.recv_timeout(Duration::MAX);
    assert_eq!(closed, Err(Error::Closed));
    let closed = calls.recv_timeout(Duration::MAX);
    assert_eq!(closed.unwrap_err(), Error::Closed);
}

#[test]
fn a_link_comes_however_fast_subscribers_do() {
    let (bus, client) = client();
    let connection = client.connection().unwrap();
    let session = client.session.clone();
    let _first = client.subscribe(&key("", "first"), &[]).unwrap();
    let (keep, kept) = crossbeam_channel::unbounded();
    bus.meanwhile(move || {
        if !connection.is_up() {
            let key = key("", &format!("n{}", keep.len()));
            let _ = keep.send(session.subscribe(&key, &[]).unwrap());
        }
    });
    bus.fall();
    until("it is lost", || !client.connection().unwrap().is_up());
    bus.rise();
    until("there is a link", || client.connection().unwrap().is_up());
    until("all are subscribed to", || {
        bus.subscribed().len() == kept.len() + 1
    });
    bus.meanwhile(|| {});
}

#[test]
fn subscribers_come_and_go_while_the_link_does() {
    let (bus, client) = client();
    let over = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        for number in 0..4 {
            let (client, over) = (&client, &over);
            scope.spawn(move || {
                let node = format!("n{}", number % 2);
                while !over.load(std::sync::atomic::Ordering::Relaxed) {
                    let subscription = client.subscribe(&key("", &node), &[]).unwrap();
                    drop(subscription);
                }
            });
        }
        for _ in 0..5 {
            bus.fall();
            bus.rise();
            until("there is a link", || client.connection().unwrap().is_up());
        }
        over.store(true, std::sync::atomic::Ordering::Relaxed);
    });
    let last = client.subscribe(&key("", "n0"), &[]).unwrap();
    // The last link may be lost, and nobody knows yet.
    until("there is one subscription", || {
        bus.subscribed() == ["ari.event.a.n0"]
    });
    drop(last);
    until("there is none", || bus.subscribed().is_empty());
}
