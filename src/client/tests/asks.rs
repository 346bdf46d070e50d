//! Requests: whose answers count, and how long they are waited for.

use std::time::{Duration, Instant};

use super::bus::Bus;
use super::{SOON, client, client_as, until};
use crate::bus::BusError;
use crate::client::{Client, Error, Key, Request};

/// The grace after which it is known who will answer.
const SHORT: Duration = Duration::from_millis(60);
/// Longer than any test may take.
const LONG: Duration = Duration::from_secs(60);

const DONE: &str = r#"{"error":""}"#;

fn keys(id: &str) -> String {
    format!(r#"{{"error":"","keys":[{{"kind":"channel","id":"{id}","node":"n","app":"a"}}]}}"#)
}

fn error(text: &str) -> String {
    format!(r#"{{"error":"{text}"}}"#)
}

fn key(node: &str) -> Key {
    Key {
        id: "c".into(),
        kind: "channel".into(),
        node: node.into(),
        ..Key::default()
    }
}

fn request(node: &str) -> Request {
    Request::new("ChannelAnswer", &key(node))
}

/// Waits until all who will answer are known.
fn know(client: &Client, members: usize) {
    until("the cluster is known", || {
        let connection = client.connection().unwrap();
        let cluster = &connection.core().cluster;
        cluster.expected("", "a", Instant::now()) == Some(members)
    });
}

fn with_answers(bus: &Bus, answers: &[String]) {
    let answers = answers.to_vec();
    bus.answer(move |_, _| Some(answers.clone()));
}

#[test]
fn subjects_are_as_precise_as_keys() {
    let (bus, client) = client();
    with_answers(&bus, &[DONE.to_owned()]);
    client.command(&request("n")).unwrap();
    client.command(&request("")).unwrap();
    let everywhere = client.connection().unwrap().client("").unwrap();
    everywhere.command(&request("n")).unwrap();
    let asked = bus.asked();
    assert_eq!(asked, ["ari.command.a.n", "ari.command.a", "ari.command"]);
    for bad in ["a b", "x\r\ny", "*", "a..b"] {
        let refused = client.command(&request(bad)).unwrap_err();
        assert!(matches!(refused, Error::Bus(_)), "{refused}");
    }
    assert_eq!(bus.asked().len(), asked.len());
}

#[test]
fn a_list_returns_when_all_that_are_known_have_answered() {
    let (bus, client) = client_as(|builder| builder.request_timeout(SHORT));
    bus.announce(&["n1", "n2"]);
    know(&client, 2);
    // A third is there that has not announced itself.
    with_answers(&bus, &[keys("1"), error("Not found"), keys("3")]);
    let list = client.session.list(&request("")).unwrap();
    assert_eq!(list.len(), 1, "the first two have answered");
    assert_eq!(bus.forgotten(), [true]);
    // One of them does not, and no ping either.
    bus.announce(&["n1"]);
    with_answers(&bus, &[keys("1")]);
    let began = Instant::now();
    assert_eq!(client.session.list(&request("")).unwrap().len(), 1);
    assert!(began.elapsed() >= SHORT);
    assert_eq!(bus.pings(), 2, "at the start, and to learn who is there");
    know(&client, 1);
    with_answers(&bus, &[keys("1")]);
    assert_eq!(client.session.list(&request("")).unwrap().len(), 1);
    assert_eq!(bus.forgotten(), [true, false, true]);
}

#[test]
fn the_first_good_answer_or_the_best_error() {
    let (bus, client) = client_as(|builder| builder.request_timeout(SHORT));
    bus.announce(&["n1", "n2", "n3"]);
    know(&client, 3);
    with_answers(&bus, &[error("Not found"), DONE.to_owned()]);
    client.command(&request("")).unwrap();
    let conflict = error("Non-2XX response: 409 Conflict: not in Stasis");
    for answers in [
        [error("Not found"), conflict.clone(), error("Not found")],
        [conflict, error("busy"), error("Not found")],
    ] {
        with_answers(&bus, &answers);
        let best = client.command(&request("")).unwrap_err();
        assert!(
            matches!(best, Error::Asterisk { status: 409, .. }),
            "{best}"
        );
    }
    // Two have answered when time is over.
    with_answers(&bus, &[error("Not found"), error("Not found")]);
    let best = client.command(&request("")).unwrap_err();
    assert!(matches!(best, Error::NotFound(_)), "{best}");
}

#[test]
fn who_answers_without_end_is_not_heard_without_end() {
    let (bus, client) = client_as(|builder| builder.request_timeout(Duration::from_millis(1)));
    // More than can be read in that time.
    let long = keys(&"x".repeat(10_000));
    with_answers(&bus, &vec![long; 1_000]);
    let heard = client.channels().list().unwrap().len();
    assert!((1..1_000).contains(&heard), "{heard}");
}

#[test]
fn nobody_answers() {
    let (bus, client) = client_as(|builder| builder.request_timeout(SHORT).retries(2));
    with_answers(&bus, &[]);
    let late = client.command(&request("n")).unwrap_err();
    assert_eq!(late, Error::Timeout(SHORT));
    assert_eq!(bus.asked().len(), 3);
    bus.answer(|_, _| None);
    let nobody = client.command(&request("n")).unwrap_err();
    assert_eq!(nobody, Error::NoProxy("ari.command.a.n".into()));
}

#[test]
fn a_proxy_that_comes_back_in_time() {
    let (bus, client) = client_as(|builder| builder.request_timeout(LONG));
    let mut tries = 0;
    bus.answer(move |_, _| {
        tries += 1;
        (tries > 2).then(|| vec![DONE.to_owned()])
    });
    client.command(&request("n")).unwrap();
    assert_eq!(bus.asked().len(), 3);
}

#[test]
fn answers_that_are_none() {
    let (bus, client) = client();
    for body in ["", "[]", r#"{"error":5}"#, r#"{"key":7}"#, "\u{1}"] {
        with_answers(&bus, &[body.to_owned()]);
        let unreadable = client.command(&request("n")).expect_err(body);
        assert!(
            matches!(unreadable, Error::Unreadable(_)),
            "{body}: {unreadable}"
        );
    }
    with_answers(&bus, &[DONE.to_owned()]);
    let no_key = client.session.create(&request("n")).unwrap_err();
    assert!(matches!(no_key, Error::Unreadable(_)), "{no_key}");
    let no_data = client.session.data::<Key>(&request("n"), "channel");
    assert!(matches!(no_data, Err(Error::Unreadable(_))), "{no_data:?}");
}

/// What comes of a request that the link is lost under, where the next has a proxy that answers; and how
/// often it was asked.
fn over_two_links<T: Send>(
    ask: impl Fn(&Client) -> Result<T, Error> + Sync,
) -> (Result<T, Error>, usize) {
    let (bus, client) = client_as(|builder| builder.request_timeout(LONG));
    with_answers(&bus, &[]);
    let outcome = std::thread::scope(|scope| {
        let asking = scope.spawn(|| ask(&client));
        until("it is asked", || bus.asked().len() == 1);
        with_answers(&bus, &[r#"{"error":"","key":{"id":"c"}}"#.to_owned()]);
        bus.fall();
        until("the link is lost", || !client.connection().unwrap().is_up());
        bus.rise();
        asking.join().unwrap()
    });
    (outcome, bus.asked().len())
}

#[test]
fn what_reads_is_asked_again_on_the_next_link_and_what_changes_is_not() {
    let (read, asked) = over_two_links(|client| client.session.get(&request("n")));
    assert_eq!((read.unwrap().id.as_str(), asked), ("c", 2));
    let (changed, asked) = over_two_links(|client| client.command(&request("n")));
    assert_eq!((changed, asked), (Err(Error::Bus(BusError::Lost)), 1));
}

#[test]
fn a_request_waits_for_the_link() {
    let (bus, client) = client_as(|builder| builder.request_timeout(LONG));
    with_answers(&bus, &[DONE.to_owned()]);
    bus.fall();
    until("the link is lost", || !client.connection().unwrap().is_up());
    std::thread::scope(|scope| {
        let asking = scope.spawn(|| client.command(&request("n")));
        bus.rise();
        asking.join().unwrap().unwrap();
    });
    let (bus, client) = client_as(|builder| builder.request_timeout(SHORT));
    bus.fall();
    until("the link is lost", || !client.connection().unwrap().is_up());
    let began = Instant::now();
    let away = client.command(&request("n")).unwrap_err();
    assert!(matches!(away, Error::Bus(_)), "{away}");
    assert!(began.elapsed() < SOON);
}
