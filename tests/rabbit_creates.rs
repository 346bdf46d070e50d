//! Requests over RabbitMQ that come a second time, or that waited where nobody was.

use std::time::Duration;

use amiquip::FieldTable;
use serde_json::{Value, json};

use crate::rabbit::{SHARED_QUEUES, create, error, made, obliging, proxy_at, wait_serving};
use crate::support::asterisk::Asterisk;
use crate::support::bus::{Bus, BusKind, Messages};
use crate::support::proxy::{ProxyBuilder, ProxyProcess};
use crate::support::rabbitmq::{Vhost, wait_queue};
use crate::support::rabbitmq_client::declare;
use crate::support::rig::{APPLICATION, Rig};
use crate::support::server::Reply;
use crate::support::wait::{SOON, wait_for, wait_until};

/// Has `requests` wait in the queue of creates of the application, as redelivered ones.
fn redeliver(bus: &Bus, requests: &[&Value]) -> Messages {
    let client = bus.rabbitmq();
    let queue = SHARED_QUEUES[1];
    let channel = client.channel();
    declare(&channel, queue, FieldTable::new(), "ari.create.conf");
    let answers = Messages::RabbitMq(client.subscribe("answers.*"));
    for (number, request) in requests.iter().enumerate() {
        let reply = format!("answers.{number}");
        bus.publish_request("ari.create.conf", &reply, request.to_string());
    }
    bus.flush();
    // Taken by a proxy that dies with them in hand.
    let taken = wait_for("all requests in the queue", SOON, || {
        let waiting = channel.queue_declare_passive(queue).expect("there");
        (waiting.declared_message_count() == Some(requests.len() as u32)).then(|| {
            let taken = requests.iter().map(|_| channel.basic_get(queue, false));
            taken.collect::<Vec<_>>()
        })
    });
    for message in taken {
        let message = message.expect("taken").expect("one");
        message.nack(&channel, true).expect("given back");
    }
    answers
}

/// A proxy that runs what waited.
fn runs_stale(vhost: &Vhost, asterisk: &Asterisk) -> ProxyProcess {
    ProxyBuilder::new(APPLICATION, asterisk, &vhost.url())
        .env("MESSAGEBUS_STALE_CREATES", "run")
        .spawn()
}

#[test]
fn a_redelivered_request_is_refused_if_it_changes_something_and_done_if_it_reads() {
    let vhost = Vhost::new();
    let bus = Bus::connect(&vhost.url());
    let asterisk = obliging();
    let info = json!({"kind": "AsteriskInfo", "key": null});
    let answers = redeliver(&bus, &[&create(), &info]);
    let _proxy = runs_stale(&vhost, &asterisk);
    let mut got = answers.take(2);
    got.sort_by_key(|answer| answer.subject.clone());
    let refused = got[0].json();
    let text = refused["error"].as_str().expect("an error");
    assert!(text.contains("redelivered"), "{refused}");
    assert_eq!(got[1].json()["error"], "");
    assert_eq!(made(&asterisk), 0);
    // Dealt with: it does not come a third time.
    wait_queue(&vhost, SHARED_QUEUES[1], "none left", |messages, _| {
        messages == 0
    });
    assert_eq!(bus.ask("ari.create.conf", &create())["error"], "");
    assert_eq!(made(&asterisk), 1);
}

#[test]
fn a_proxy_that_dies_with_a_create_in_hand_has_no_other_do_it_again() {
    let vhost = Vhost::new();
    let bus = Bus::connect(&vhost.url());
    let asterisks = [obliging(), obliging()];
    let [dying, other] = &asterisks;
    other.entity_id("00:0b");
    let first = ProxyBuilder::new(APPLICATION, dying, &vhost.url())
        .env("HTTP_RESPONSE_TIMEOUT", "60s")
        .spawn();
    wait_serving(&vhost);
    dying.stall_http(true);
    let answers = bus.send("ari.create.conf", create().to_string());
    wait_until("the create is in hand", SOON, || made(dying) == 1);
    let waits = answers.next(Duration::from_millis(200));
    assert_eq!(waits, None, "not answered, so not acknowledged");
    let _second = proxy_at(&vhost, other);
    wait_queue(&vhost, SHARED_QUEUES[1], "both proxies", |_, consumers| {
        consumers == 2
    });
    first.signal("KILL");
    let text = error(&answers);
    assert!(text.contains("redelivered"), "{text}");
    assert_eq!(made(other), 0, "it was not done again");
    dying.stall_http(false);
}

#[test]
fn no_more_requests_are_taken_than_can_be_in_hand() {
    let rig = Rig::with(BusKind::RabbitMq, |proxy| {
        proxy
            .env("WORKERS_COUNT", "2")
            .env("WORKERS_QUEUE", "4")
            .env("WORKERS_MAX_WAIT", "60s")
            .env("HTTP_RESPONSE_TIMEOUT", "60s")
    });
    rig.asterisk
        .on(|request| (request.method == "POST").then(Reply::done));
    rig.asterisk.stall_http(true);
    let answers: Vec<Messages> = (0..200)
        .map(|_| rig.bus.send("ari.create.conf", create().to_string()))
        .collect();
    wait_until("the workers are busy", SOON, || made(&rig.asterisk) == 2);
    rig.asterisk.stall_http(false);
    for answers in &answers {
        let text = error(answers);
        assert!(text.is_empty() || text.contains("overloaded"), "{text}");
    }
    assert_eq!(rig.probe(), None);
}

/// Has creates wait at a broker without proxies; their answers come to what is returned.
fn stale(bus: &Bus, count: usize) -> Messages {
    let client = bus.rabbitmq();
    for (queue, subject) in [
        (SHARED_QUEUES[0], "ari.create"),
        (SHARED_QUEUES[1], "ari.create.conf"),
    ] {
        declare(&client.channel(), queue, FieldTable::new(), subject);
    }
    let answers = Messages::RabbitMq(client.subscribe("answers.*"));
    for number in 0..count {
        let subject = if number % 2 == 0 {
            "ari.create"
        } else {
            "ari.create.conf"
        };
        bus.publish_request(subject, &format!("answers.{number}"), create().to_string());
    }
    bus.flush();
    answers
}

#[test]
fn defect_8_creates_that_nobody_was_there_for_are_discarded_with_their_count() {
    let vhost = Vhost::new();
    let bus = Bus::connect(&vhost.url());
    let asterisk = obliging();
    let answers = stale(&bus, 7);
    let proxy = proxy_at(&vhost, &asterisk);
    wait_serving(&vhost);
    proxy.wait_log("stale");
    let lines = proxy.lines();
    let told: u64 = lines
        .iter()
        .filter(|line| line.to_lowercase().contains("stale"))
        .flat_map(|line| line.split(|c: char| !c.is_ascii_digit() && c != ':' && c != '-'))
        .filter_map(|word| word.parse::<u64>().ok())
        .filter(|number| *number <= 7)
        .sum();
    assert_eq!(told, 7, "{lines:#?}");
    assert_eq!(made(&asterisk), 0);
    assert!(answers.arrived().is_empty());
    assert_eq!(bus.ask("ari.create.conf", &create())["error"], "");
    assert_eq!(made(&asterisk), 1);
}

#[test]
fn creates_that_nobody_was_there_for_are_run_where_that_is_wanted() {
    let vhost = Vhost::new();
    let bus = Bus::connect(&vhost.url());
    let asterisk = obliging();
    let answers = stale(&bus, 7);
    let proxy = runs_stale(&vhost, &asterisk);
    for answer in answers.take(7) {
        assert_eq!(answer.json()["error"], "");
    }
    assert_eq!(made(&asterisk), 7);
    let stale = proxy.lines().iter().any(|line| line.contains("stale"));
    assert!(!stale, "{:#?}", proxy.lines());
}

#[test]
fn creates_that_another_proxy_works_on_are_not_discarded() {
    let vhost = Vhost::new();
    let bus = Bus::connect(&vhost.url());
    let asterisks = [obliging(), obliging()];
    let [busy, other] = &asterisks;
    other.entity_id("00:0b");
    let _first = ProxyBuilder::new(APPLICATION, busy, &vhost.url())
        .env("WORKERS_COUNT", "1")
        .env("WORKERS_QUEUE", "1")
        .spawn();
    wait_serving(&vhost);
    let answers: Vec<Messages> = (0..50)
        .map(|_| bus.send("ari.create.conf", create().to_string()))
        .collect();
    let second = proxy_at(&vhost, other);
    for answers in &answers {
        error(answers);
    }
    let stale = second.lines().iter().any(|line| line.contains("stale"));
    assert!(!stale, "{:#?}", second.lines());
}
