//! Calls that the listeners of a group share.

use std::collections::HashMap;

use ari_proxy::bus::Claim;
use serde_json::json;

use super::{Application, Came, GROUP, publish, rig};
use crate::support::rabbitmq::{amqp_url, wait_queue};
use crate::support::rabbitmq_client::RabbitBus;
use crate::support::relay::Relay;
use crate::support::wait::SOON;

/// Publishes calls with these numbers, other events among them.
fn publish_calls(bus: &RabbitBus, numbers: std::ops::Range<usize>) {
    for number in numbers {
        for kind in ["StasisStart", "ChannelVarset", "ChannelDialplan"] {
            let event = json!({"type": kind, "n": number, "channel": {"id": "c"}});
            publish(bus, "ari.event.app.id", event.to_string());
        }
    }
}

/// Reads a call, and which; to be taken by the caller.
fn call(came: Came) -> (usize, Claim) {
    let Came::Event(_, body, Some(claim)) = came else {
        panic!("{came:?} is no call");
    };
    let event: serde_json::Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(event["type"], "StasisStart");
    (event["n"].as_u64().unwrap() as usize, claim)
}

#[test]
fn a_group_shares_calls_evenly_whatever_the_traffic() {
    const CALLS: usize = 3000;
    const AT_A_TIME: usize = 60;
    let (vhost, bus) = rig();
    let listeners: Vec<Application> = (0..3)
        .map(|number| {
            let application = Application::connect(&vhost.url());
            application.listen(number, GROUP);
            application
        })
        .collect();
    let (mut seen, mut counts) = (vec![0; CALLS], HashMap::new());
    // No more than they may have in hand: then, whoever is faster gets more.
    for first in (0..CALLS).step_by(AT_A_TIME) {
        publish_calls(&bus, first..first + AT_A_TIME);
        for _ in 0..AT_A_TIME {
            let mut select = crossbeam_channel::Select::new();
            for listener in &listeners {
                select.recv(&listener.heard);
            }
            let ready = select.select_timeout(SOON).expect("a call");
            let index = ready.index();
            let came = ready.recv(&listeners[index].heard).unwrap();
            let (number, claim) = call(came);
            assert!(claim.take());
            seen[number] += 1;
            *counts.entry(index).or_insert(0_usize) += 1;
        }
    }
    assert!(seen.iter().all(|count| *count == 1), "each once");
    let even = CALLS / 3;
    for index in 0..3 {
        let count = counts.get(&index).copied().unwrap_or(0);
        assert!(count.abs_diff(even) <= even / 5, "{counts:?}");
    }
    wait_queue(&vhost, GROUP, "all sorted", |messages, _| messages == 0);
    let calls = format!("{GROUP}.calls");
    wait_queue(&vhost, &calls, "all taken", |messages, _| messages == 0);
}

#[test]
fn calls_that_a_lost_listener_has_not_taken_come_to_others() {
    const CALLS: usize = 40;
    let (vhost, bus) = rig();
    let relay = Relay::start(vhost.server.port());
    let lost = Application::connect(&amqp_url(relay.port(), &vhost.name));
    let ended = Application::connect(&vhost.url());
    let left = Application::connect(&vhost.url());
    for listener in [&lost, &ended, &left] {
        listener.listen(1, GROUP);
    }
    publish_calls(&bus, 0..CALLS);
    // Two take the first of theirs each, and nothing more.
    let (first, claim) = call(lost.next());
    assert!(claim.take());
    let (second, claim) = call(ended.next());
    assert!(claim.take());
    let calls = format!("{GROUP}.calls");
    wait_queue(&vhost, GROUP, "all sorted", |messages, _| messages == 0);
    wait_queue(&vhost, &calls, "two taken", |messages, _| {
        messages == CALLS as u64 - 2
    });
    relay.cut();
    ended.access.unsubscribe(1);
    let mut seen = vec![0; CALLS];
    seen[first] += 1;
    seen[second] += 1;
    for _ in 2..CALLS {
        let (number, claim) = call(left.next());
        assert!(claim.take());
        seen[number] += 1;
    }
    assert!(seen.iter().all(|count| *count == 1), "{seen:?}");
    // What is dropped later is of no matter.
    drop(lost);
    while let Ok(came) = ended.heard.try_recv() {
        drop(came);
    }
    assert!(!ended.access.is_lost());
    publish_calls(&bus, 0..1);
    assert_eq!(call(left.next()).0, 0);
    // It may listen again.
    ended.listen(2, GROUP);
    publish_calls(&bus, 7..8);
    publish_calls(&bus, 7..8);
    assert_eq!(call(left.next()).0, 7);
    assert_eq!(call(ended.next()).0, 7);
}

#[test]
fn who_leaves_a_group_in_the_midst_of_it_harms_no_call() {
    const ROUNDS: usize = 40;
    const CALLS: usize = 100;
    let (vhost, bus) = rig();
    let leaver = Application::connect(&vhost.url());
    let left = Application::connect(&vhost.url());
    left.listen(1, GROUP);
    let mut seen = vec![0; ROUNDS * CALLS];
    for round in 0..ROUNDS {
        let number = round as u64 + 2;
        leaver.listen(number, GROUP);
        publish_calls(&bus, round * CALLS..(round + 1) * CALLS);
        // It has begun to sort, and takes none.
        let _ = leaver.next();
        leaver.access.unsubscribe(number);
    }
    for _ in 0..seen.len() {
        let (number, claim) = call(left.next());
        assert!(claim.take());
        seen[number] += 1;
    }
    assert!(seen.iter().all(|count| *count == 1), "each once");
    assert!(!leaver.access.is_lost() && !left.access.is_lost());
    for queue in [GROUP.to_owned(), format!("{GROUP}.calls")] {
        wait_queue(&vhost, &queue, "all are taken", |messages, consumers| {
            messages == 0 && consumers == 1
        });
    }
}
