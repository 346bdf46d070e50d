//! A thousand calls at once among three instances of an application, again and again: none loses
//! anything, all have their share, and nothing is left.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::application::{Application, Manner};
use crate::support::bus::{BusKind, on_each_bus};
use crate::support::dialog_rig::{DialogRig, of_channel};
use crate::support::wait::wait_until;

on_each_bus!(a_thousand_calls_at_once_and_again,);

const CALLS: usize = 1_000;
/// Events of each between its first and its last.
const EVENTS: usize = 8;
const ROUNDS: usize = 4;
/// The share of an instance may be off by so much.
const UNEVEN: f64 = 0.2;
/// How long a round may take on a machine that is busy.
const LONG: Duration = Duration::from_secs(120);
/// What the allocator keeps comes and goes, in KiB. Four KiB that two rounds leave of each call would be more.
const GROWTH: usize = 8 * 1024;

fn a_thousand_calls_at_once_and_again(on: BusKind) {
    // A broker that makes some ten thousand queues has no time for the tests beside.
    let rig = DialogRig::own(on, |proxy, _| proxy);
    let mut sizes = vec![rig.proxy.rss_kib()];
    let files = rig.proxy.open_files();
    let mut threads = Vec::new();
    let instances = [(); 3].map(|()| rig.application(Manner::Answering));
    let mut sent = HashMap::new();
    for number in 0..ROUNDS {
        let began = Instant::now();
        let shares = round(&rig, number, &instances, &mut sent);
        sizes.push(rig.proxy.rss_kib());
        threads.push(rig.proxy.threads().len());
        println!(
            "{on:?}: {shares:?} in {:?}, {:?} KiB",
            began.elapsed(),
            sizes
        );
    }
    // The first rounds make room, the others find it.
    assert!(sizes[ROUNDS] <= sizes[ROUNDS - 2] + GROWTH, "{sizes:?}");
    // Those of the link may begin a little after it.
    assert!(threads[ROUNDS - 1] <= threads[0], "{threads:?}");
    wait_until("as many files as before", LONG, || {
        let http = rig.asterisk.script.open_connections();
        rig.proxy.open_files() <= files + http
    });
}

/// What was sent of each channel.
type Sent = HashMap<String, Vec<String>>;

/// All calls at once, from their beginning to their end; how many each instance has had so far.
fn round(rig: &DialogRig, round: usize, instances: &[Application], sent: &mut Sent) -> Vec<usize> {
    let channel = |call: usize| format!("{round}-{call}.1");
    let mut push = |call: usize, event: String| {
        sent.entry(channel(call)).or_default().push(event);
    };
    for call in 0..CALLS {
        push(call, rig.asterisk.begin(&channel(call)));
    }
    for n in 0..EVENTS {
        for call in 0..CALLS {
            let event = of_channel("ChannelVarset", &channel(call), &json!({ "n": n }));
            push(call, rig.asterisk.push(event));
        }
    }
    // They are all there at the same time, and each is answered.
    wait_count("responses_", instances, (round + 1) * CALLS);
    for call in 0..CALLS {
        push(call, rig.asterisk.end(&channel(call)));
    }
    wait_count("events_", instances, (round + 1) * CALLS * (EVENTS + 2));
    wait_until("nothing is left", LONG, || rig.left().is_empty());
    judge(instances, sent);
    assert_eq!(rig.asterisk.calls("/answer").len(), CALLS);
    rig.asterisk.script.forget();
    instances.iter().map(|one| one.starts().len()).collect()
}

/// Waits until so many messages came to all instances on the topics that begin so.
fn wait_count(start: &str, instances: &[Application], count: usize) {
    let came = |start: &str| -> usize {
        let all = instances.iter().map(|one| one.count_from(start));
        all.sum()
    };
    let began = Instant::now();
    while came(start) < count {
        if began.elapsed() > LONG {
            let starts: usize = instances.iter().map(|one| one.dialogs().len()).sum();
            let silent: Vec<String> = instances
                .iter()
                .flat_map(|one| {
                    let mut dialogs = one.dialogs();
                    dialogs.retain(|dialog| one.count(&format!("{start}{dialog}")) == 0);
                    dialogs
                })
                .collect();
            panic!(
                "{} of {count} on {start}…, {starts} calls told of, nothing of {silent:?}; {:?}",
                came(start),
                instances
                    .iter()
                    .map(Application::complaints)
                    .collect::<Vec<_>>()
            );
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Each call's events are with one instance, all of them, in order, and nothing else is.
fn judge(instances: &[Application], sent: &Sent) {
    let mut seen = 0;
    for instance in instances {
        assert_eq!(instance.complaints(), [""; 0]);
        let dialogs = instance.dialogs();
        let mut of_dialog: HashMap<String, Vec<String>> = HashMap::new();
        for came in instance.came() {
            let Some(dialog) = came.topic.strip_prefix("events_") else {
                continue;
            };
            let body = came.json()["ari_body"].as_str().map(str::to_owned);
            let of = of_dialog.entry(dialog.to_owned()).or_default();
            of.push(body.expect("an ari_body"));
        }
        assert_eq!(of_dialog.len(), dialogs.len());
        for (dialog, events) in &of_dialog {
            assert!(dialogs.contains(dialog), "{dialog} is of another instance");
            let first: Value = serde_json::from_str(&events[0]).expect("an event");
            let channel = first["channel"]["id"].as_str().expect("a channel");
            assert_eq!(events, &sent[channel], "{channel}");
            seen += 1;
        }
        let mean = sent.len() as f64 / instances.len() as f64;
        let off = (dialogs.len() as f64 - mean).abs() / mean;
        assert!(off <= UNEVEN, "{} of {}", dialogs.len(), sent.len());
    }
    assert_eq!(seen, sent.len());
}
