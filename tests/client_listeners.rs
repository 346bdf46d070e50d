//! Listeners that share calls: each call reaches one of them, and they get about as many each.

use std::collections::{HashMap, HashSet};
use std::time::Instant;

use crossbeam_channel::{Receiver, unbounded};
use serde_json::json;

use crate::support::asterisk::{Asterisk, ENTITY_ID};
use crate::support::bus::{BusKind, on_each_bus};
use crate::support::program::Program;
use crate::support::rig::{APPLICATION, Rig};
use crate::support::wait::SOON;

on_each_bus!(
    three_share_ten_thousand_calls,
    one_that_is_killed_takes_only_what_it_had,
    two_groups_get_every_call,
);

/// Calls on their way at a time: what a listener has when it is killed is bounded by it.
const AT_ONCE: usize = 60;

/// Three listeners, and which of them gets what.
struct Three {
    programs: Vec<Program>,
    lines: Vec<Receiver<String>>,
}

impl Three {
    fn start(url: &str) -> Three {
        let (mut programs, mut lines) = (Vec::new(), Vec::new());
        for _ in 0..3 {
            let (line, those) = unbounded();
            programs.push(Program::started("listener", APPLICATION, url, &[], line));
            let first = those.recv_timeout(SOON).expect("it starts");
            assert_eq!(first, "listening");
            lines.push(those);
        }
        Three { programs, lines }
    }

    /// The next call, and whose it is.
    fn next(&self, deadline: Instant) -> Option<(usize, String)> {
        let mut select = crossbeam_channel::Select::new();
        for line in &self.lines {
            select.recv(line);
        }
        loop {
            let ready = select.select_deadline(deadline).ok()?;
            let whose = ready.index();
            match ready.recv(&self.lines[whose]) {
                Ok(call) => return Some((whose, call)),
                // It was killed.
                Err(_) => select.remove(whose),
            }
        }
    }
}

/// A call comes, and two events that are none, so that what is dealt out in turns goes wrong.
fn call(asterisk: &Asterisk, number: usize) {
    let channel = json!({"id": format!("call-{number}"), "name": "Local/x", "state": "Ring"});
    for kind in ["StasisStart", "ChannelVarset", "ChannelStateChange"] {
        let event = json!({
            "type": kind, "application": APPLICATION, "asterisk_id": ENTITY_ID,
            "timestamp": "2026-11-22T00:00:00.000+0000", "args": [], "channel": channel,
            "variable": "X", "value": "1",
        });
        asterisk.push(event.to_string());
    }
}

fn three_share_ten_thousand_calls(on: BusKind) {
    const CALLS: usize = 10_000;
    let rig = Rig::start(on);
    let three = Three::start(&rig.server.url());
    let (mut sent, mut seen, mut each) = (0, HashSet::new(), [0_usize; 3]);
    while seen.len() < CALLS {
        while sent < CALLS && sent - seen.len() < AT_ONCE {
            call(&rig.asterisk, sent);
            sent += 1;
        }
        let (whose, call) = three
            .next(Instant::now() + SOON)
            .unwrap_or_else(|| panic!("{} of {sent} calls reach somebody", seen.len()));
        assert!(seen.insert(call.clone()), "{call} twice");
        each[whose] += 1;
    }
    let fair = CALLS / 3;
    for count in each {
        assert!(count.abs_diff(fair) * 5 <= fair, "{each:?}");
    }
}

fn one_that_is_killed_takes_only_what_it_had(on: BusKind) {
    const CALLS: usize = 3_000;
    let rig = Rig::start(on);
    let mut three = Three::start(&rig.server.url());
    let (mut sent, mut seen) = (0, HashMap::new());
    let mut killed = false;
    loop {
        // Once it is killed, what it had does not come: the others need room.
        let room = if killed { 2 * AT_ONCE } else { AT_ONCE };
        while sent < CALLS && sent - seen.len() < room {
            call(&rig.asterisk, sent);
            sent += 1;
        }
        if !killed && seen.len() > CALLS / 2 {
            three.programs[0].kill();
            killed = true;
        }
        let limit = if sent < CALLS || !killed {
            SOON
        } else {
            SOON / 5
        };
        let Some((whose, call)) = three.next(Instant::now() + limit) else {
            break;
        };
        assert_eq!(seen.insert(call.clone(), whose), None, "{call} twice");
        if seen.len() == CALLS {
            break;
        }
    }
    let lost = CALLS - seen.len();
    // What was with it, or on its way to it.
    assert!(lost <= AT_ONCE, "{lost} are lost");
    if on == BusKind::RabbitMq {
        // What it had not taken went to the others.
        assert!(lost <= 1, "{lost} are lost");
    }
}

fn two_groups_get_every_call(on: BusKind) {
    let rig = Rig::start(on);
    let client = ari_proxy::client::Client::builder()
        .url(&rig.server.url())
        .application(APPLICATION)
        .connect()
        .expect("a client");
    let group = |name: &str| client.listen_in(name).expect("a listener");
    let (one, other) = (group("one"), group("other"));
    let twin = group("other");
    for number in 0..20 {
        call(&rig.asterisk, number);
    }
    let take = |listener: &ari_proxy::client::Listener| {
        listener
            .recv_timeout(SOON)
            .map(|call| call.channel.id().to_owned())
    };
    for number in 0..20 {
        assert_eq!(take(&one), Ok(format!("call-{number}")));
    }
    let mut seen = HashSet::new();
    let deadline = Instant::now() + SOON;
    while seen.len() < 20 {
        assert!(Instant::now() < deadline, "{seen:?}");
        for listener in [&other, &twin] {
            while let Some(call) = listener.try_recv() {
                assert!(seen.insert(call.channel.id().to_owned()));
            }
        }
        std::thread::yield_now();
    }
    assert!(one.try_recv().is_none());
}
