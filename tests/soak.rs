//! Many events and requests with dialogs made and ended: nothing is lost or comes twice, and the proxy
//! is as large at the end as it was after the first tenth.
//!
//! `ARI_PROXY_SOAK_EVENTS` says how many events, e.g. 5000000; the rest follows from it.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::support::asterisk::ENTITY_ID;
use crate::support::bus::{BusKind, Messages, on_each_bus};
use crate::support::rig::{APPLICATION, Rig};
use crate::support::server::{Reply, Request};
use crate::support::wait::{SOON, wait_until};

on_each_bus!(as_large_at_the_end_as_at_the_beginning,);

/// Events where the environment says nothing; RabbitMQ gets a fraction of them.
const EVENTS: usize = 200_000;
const FRACTION_OF_RABBITMQ: usize = 5;
/// As many are a long run.
const LONG: usize = 1_000_000;
/// Of each dialog: what is sent, its end included, and what is asked, its beginning included.
const EVENTS_OF_DIALOG: usize = 100;
const REQUESTS_OF_DIALOG: usize = 10;
/// Dialogs at a time.
const TOGETHER: usize = 20;
/// What comes and goes, in KiB: what the allocator keeps for so many threads, and on RabbitMQ what
/// the broker has not confirmed and what may have to be sent again, 4 MiB of each at most.
const UNEVEN: usize = 4 * 1024;
const UNEVEN_OF_RABBITMQ: usize = 12 * 1024;

/// How large a proxy is.
#[derive(Debug)]
struct Size {
    kib: usize,
    /// Without those to Asterisk, which come and go.
    files: usize,
    threads: usize,
}

impl Size {
    fn of(rig: &Rig) -> Size {
        Size {
            kib: rig.proxy.rss_kib(),
            files: files(rig),
            threads: rig.proxy.threads().len(),
        }
    }
}

fn files(rig: &Rig) -> usize {
    let connections = rig.asterisk.open_connections();
    rig.proxy.open_files().saturating_sub(connections)
}

/// An Asterisk on which everything succeeds.
fn anything(request: &Request) -> Option<Reply> {
    let id = request.segments().get(2).cloned().unwrap_or_default();
    match (request.method.as_str(), request.path.as_str()) {
        (_, "/ari/asterisk/info") => None,
        ("GET", _) => Some(Reply::ok(
            &json!({"id": id, "name": "PJSIP/100-00000001", "state": "Up",
            "caller": {"name": "", "number": "100"}, "value": "x"}),
        )),
        (_, path) if path.contains("/play") => {
            Some(Reply::new(201, "Created", &json!({"id": "p"})))
        }
        _ => Some(Reply::done()),
    }
}

/// The clients of the proxy, and what they have sent.
struct Clients<'a> {
    rig: &'a Rig,
    events: Messages,
    of_dialogs: Messages,
    answers: Messages,
    asked: usize,
    sent: usize,
}

impl Clients<'_> {
    /// Sends requests, and takes an answer to each.
    fn ask(&mut self, requests: &[(&str, String)]) {
        let before = self.asked;
        for (class, request) in requests {
            let reply = format!("soak.{}", self.asked);
            let subject = self.rig.subject(class);
            self.rig.bus.publish_request(&subject, &reply, request);
            self.asked += 1;
        }
        self.rig.bus.flush();
        let mut answered = vec![false; requests.len()];
        for answer in self.answers.take(requests.len()) {
            let number = answer.subject.rsplit('.').next();
            let number: usize = number.and_then(|n| n.parse().ok()).expect("a number");
            let text = String::from_utf8_lossy(&answer.data);
            assert!(text.starts_with(r#"{"error":"""#), "{number}: {text}");
            let first = !std::mem::replace(&mut answered[number - before], true);
            assert!(first, "{number} is answered twice");
        }
    }

    /// Sends events of dialogs, and takes each of them twice: as it is, and of its dialog.
    fn send(&mut self, events: &[(String, String)]) {
        for (_, event) in events {
            self.rig.asterisk.push(event);
        }
        self.sent += events.len();
        for (_, event) in events {
            assert_eq!(self.events.expect(event).data, event.as_bytes());
        }
        for (dialog, event) in events {
            let message = self.of_dialogs.expect(event);
            let open = event.strip_suffix('}').expect("an object");
            let expected = format!("{open},\"dialog\":\"{dialog}\"}}");
            assert_eq!(message.data, expected.as_bytes());
            assert!(message.subject.ends_with(dialog.as_str()), "{message:?}");
        }
    }

    /// Makes dialogs, has them live, and ends them.
    fn dialogs(&mut self, numbers: std::ops::Range<usize>) {
        let (mut begin, mut requests, mut events, mut ends) = (vec![], vec![], vec![], vec![]);
        for number in numbers {
            let dialog = format!("dialog-{number}");
            let channel = format!("{}.{number}", 1_700_000_000 + number);
            let playback = format!("playback-{number}");
            let key = json!({"kind": "channel", "id": channel, "dialog": dialog});
            let answer = json!({"kind": "ChannelAnswer", "key": key});
            let play = json!({"kind": "ChannelPlay", "key": key,
                "channel_play": {"playback_id": playback, "media_uri": "sound:hello-world"}});
            begin.push(("command", answer.to_string()));
            begin.push(("create", play.to_string()));
            let key = json!({"kind": "channel", "id": channel});
            for n in 2..REQUESTS_OF_DIALOG {
                let (class, kind) = match n % 3 {
                    0 => ("command", "ChannelRing"),
                    _ => ("data", "ChannelData"),
                };
                requests.push((class, json!({"kind": kind, "key": key}).to_string()));
            }
            let members = format!(
                r#""channel":{{"id":"{channel}","name":"PJSIP/100-{number:08x}","state":"Up","caller":{{"name":"","number":"100"}},"connected":{{"name":"","number":""}},"dialplan":{{"context":"default","exten":"s","priority":1}}}},"asterisk_id":"{ENTITY_ID}","application":"{APPLICATION}"}}"#
            );
            for n in 2..EVENTS_OF_DIALOG {
                let variable = "x".repeat(100 + n);
                events.push((
                    dialog.clone(),
                    format!(r#"{{"type":"ChannelVarset","n":{n},"value":"{variable}",{members}"#),
                ));
            }
            let playback = format!(r#""playback":{{"id":"{playback}"}}"#);
            for end in [
                format!(r#"{{"type":"PlaybackFinished",{playback},"application":"conf"}}"#),
                format!(r#"{{"type":"ChannelDestroyed","cause":16,{members}"#),
            ] {
                ends.push((dialog.clone(), end));
            }
        }
        self.ask(&begin);
        self.send(&events);
        self.ask(&requests);
        self.send(&ends);
        // The scripted Asterisk keeps what it was asked.
        self.rig.asterisk.forget();
    }
}

fn as_large_at_the_end_as_at_the_beginning(on: BusKind) {
    let given = std::env::var("ARI_PROXY_SOAK_EVENTS").ok();
    let events = given.and_then(|n| n.parse().ok()).unwrap_or(EVENTS);
    let events: usize = match on {
        BusKind::Nats => events,
        BusKind::RabbitMq => events / FRACTION_OF_RABBITMQ,
    };
    let dialogs = (events / EVENTS_OF_DIALOG).next_multiple_of(10 * TOGETHER);
    let rig = Rig::start(on);
    rig.asterisk.on(anything);
    let mut clients = Clients {
        rig: &rig,
        events: rig.bus.subscribe("ari.event.>"),
        of_dialogs: rig.bus.subscribe("ari.dialogevent.>"),
        answers: rig.bus.subscribe("soak.*"),
        asked: 0,
        sent: 0,
    };
    let start = Instant::now();
    let mut first = None;
    for done in (0..dialogs).step_by(TOGETHER) {
        clients.dialogs(done..done + TOGETHER);
        if (done + TOGETHER).is_multiple_of(dialogs / 10) {
            let size = Size::of(&rig);
            println!("{on:?}: {} events: {size:?}", clients.sent);
            first.get_or_insert(size);
        }
    }
    let first = first.expect("a tenth is a whole number of rounds");
    let last = Size::of(&rig);
    println!(
        "{on:?}: {} events and {} requests of {dialogs} dialogs in {:?}: {first:?} after a tenth, \
         {last:?} at the end",
        clients.sent,
        clients.asked,
        start.elapsed(),
    );
    // What has ended is forgotten: an event of it is of no dialog any more.
    rig.asterisk
        .push(r#"{"type":"X","channel":{"id":"1700000000.0"}}"#);
    clients.events.expect("the last event");
    let more = clients.of_dialogs.next(Duration::from_millis(100));
    assert_eq!(more, None, "bound to what has ended");
    assert_eq!(clients.answers.arrived(), []);
    let uneven = match on {
        // In the long run that is little.
        BusKind::Nats if events >= LONG => 0,
        BusKind::Nats => UNEVEN,
        BusKind::RabbitMq => UNEVEN_OF_RABBITMQ,
    };
    let most = first.kib + (first.kib / 10).max(uneven);
    assert!(last.kib <= most, "{first:?}, {last:?}");
    assert_eq!(first.threads, last.threads);
    // A connection may have been about to end.
    wait_until("as many files as before", SOON, || {
        files(&rig).abs_diff(first.files) <= 1
    });
}
