//! Random and mutated requests: all are answered, none kills the proxy or leaves its path.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::bus::{BusKind, on_each_bus};
use crate::support::cases::{Case, LEVELS, subject};
use crate::support::rig::Rig;
use crate::support::server::{Reply, Request};
use crate::support::wait::SOON;

on_each_bus!(
    ten_thousand_random_requests_are_all_answered,
    random_messages_without_a_reply_subject_and_pings_do_no_harm,
    random_events_pass_as_they_are,
);

/// How many requests are sent in all.
const REQUESTS: usize = 10_000;
/// How many are on their way at once, so that none finds the queue full.
const BATCH: usize = 100;
/// The first state of the random numbers; another one may be given to look further.
const SEED: u64 = 0x5eed_0002;

/// A small generator of random numbers (xorshift64*).
struct Random(u64);

impl Random {
    fn seeded() -> Random {
        let given = std::env::var("ARI_PROXY_TEST_SEED").ok();
        let seed = given.and_then(|seed| seed.parse().ok()).unwrap_or(SEED);
        println!("seed {seed} (ARI_PROXY_TEST_SEED)");
        Random(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    fn below(&mut self, bound: usize) -> usize {
        (self.next() >> 33) as usize % bound
    }

    fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.below(from.len())]
    }

    fn bytes(&mut self, most: usize) -> Vec<u8> {
        let length = self.below(most);
        (0..length).map(|_| self.next() as u8).collect()
    }

    /// A text that means something somewhere.
    fn text(&mut self) -> String {
        const TEXTS: [&str; 22] = [
            "",
            ".",
            "..",
            "/",
            "../../x",
            "a/b",
            "%2e%2e",
            "%",
            "%zz",
            "?x=1",
            "#",
            "a b",
            "\r\n",
            "\0",
            "ü€𝄞",
            "*",
            ">",
            "a..b",
            "{id}",
            "\"",
            "\\u0000",
            "ari.event",
        ];
        match self.below(4) {
            0 => "x".repeat(self.below(3_000)),
            1 => String::from_utf8_lossy(&self.bytes(40)).into_owned(),
            _ => (*self.pick(&TEXTS)).to_owned(),
        }
    }

    /// Any JSON.
    fn value(&mut self, depth: usize) -> Value {
        match self.below(if depth == 0 { 7 } else { 9 }) {
            0 => Value::Null,
            1 => json!(self.below(2) == 1),
            2 => json!(self.next() as i64),
            3 => json!(self.next()),
            4 => json!(-1.5e300),
            5 | 6 => json!(self.text()),
            7 => (0..self.below(4)).map(|_| self.value(depth - 1)).collect(),
            _ => (0..self.below(4))
                .map(|_| (self.text(), self.value(depth - 1)))
                .collect(),
        }
    }

    /// Changes something somewhere in `value`.
    fn mutate(&mut self, value: &mut Value) {
        match value {
            Value::Object(members) if !members.is_empty() && self.below(8) > 0 => {
                let names: Vec<String> = members.keys().cloned().collect();
                let name = self.pick(&names).clone();
                match self.below(12) {
                    0 => {
                        members.remove(&name);
                    }
                    1 => {
                        let member = members.remove(&name).unwrap_or_default();
                        members.insert(self.text(), member);
                    }
                    2 => {
                        let member = self.value(2);
                        members.insert(self.text(), member);
                    }
                    _ => {
                        if let Some(member) = members.get_mut(&name) {
                            self.mutate(member);
                        }
                    }
                }
            }
            Value::Array(items) if !items.is_empty() && self.below(4) > 0 => {
                let index = self.below(items.len());
                self.mutate(&mut items[index]);
            }
            Value::String(text) if self.below(3) > 0 => *text = self.text(),
            other => *other = self.value(3),
        }
    }

    /// The body of a request: a recorded one, more or less spoiled, or noise.
    fn body(&mut self, cases: &[Case]) -> Vec<u8> {
        let mut request = self.pick(cases).request.clone();
        match self.below(10) {
            0 => self.bytes(200),
            1 => self.value(4).to_string().into_bytes(),
            2 => {
                let mut body = request.to_string().into_bytes();
                for _ in 0..=self.below(4) {
                    let index = self.below(body.len());
                    body[index] = self.next() as u8;
                }
                body
            }
            3 => {
                let body = request.to_string().into_bytes();
                body[..self.below(body.len())].to_vec()
            }
            4 => {
                let depth = self.below(5_000);
                format!("{}{}", "[".repeat(depth), "]".repeat(self.below(depth + 1))).into_bytes()
            }
            _ => {
                for _ in 0..=self.below(3) {
                    self.mutate(&mut request);
                }
                request.to_string().into_bytes()
            }
        }
    }
}

/// What Asterisk says to what nobody meant.
fn any_reply(request: &Request) -> Option<Reply> {
    let length = request.target.len();
    match (request.path.as_str(), length % 7) {
        ("/ari/asterisk/info", _) => None,
        (_, 0) => Some(Reply::not_found("no")),
        (_, 1) => Some(Reply::new(500, "Internal Error", &json!({"error": "x"}))),
        (_, 2) => Some(Reply::ok(&json!([{"id": "a"}, {"name": 1}, null, 7]))),
        (_, 3) => Some(Reply::done()),
        (_, 4) => Some(Reply::ok(&json!("text"))),
        _ => Some(Reply::ok(&json!({"id": "a", "value": "v"}))),
    }
}

/// The paths that there are, by their segments below `/ari`; `*` is an id.
const PATHS: [&str; 60] = [
    "applications",
    "applications/*",
    "applications/*/subscription",
    "asterisk/config/dynamic/*/*/*",
    "asterisk/info",
    "asterisk/logging",
    "asterisk/logging/*",
    "asterisk/logging/*/rotate",
    "asterisk/modules",
    "asterisk/modules/*",
    "asterisk/variable",
    "bridges",
    "bridges/*",
    "bridges/*/addChannel",
    "bridges/*/moh",
    "bridges/*/play",
    "bridges/*/play/*",
    "bridges/*/record",
    "bridges/*/removeChannel",
    "bridges/*/videoSource",
    "bridges/*/videoSource/*",
    "channels",
    "channels/*",
    "channels/*/answer",
    "channels/*/continue",
    "channels/*/dial",
    "channels/*/dtmf",
    "channels/*/hold",
    "channels/*/moh",
    "channels/*/mute",
    "channels/*/play",
    "channels/*/play/*",
    "channels/*/record",
    "channels/*/ring",
    "channels/*/silence",
    "channels/*/snoop",
    "channels/*/snoop/*",
    "channels/*/variable",
    "channels/create",
    "channels/externalMedia",
    "deviceStates",
    "deviceStates/*",
    "endpoints",
    "endpoints/*",
    "endpoints/*/*",
    "events/user/*",
    "mailboxes",
    "mailboxes/*",
    "playbacks/*",
    "playbacks/*/control",
    "recordings/live/*",
    "recordings/live/*/mute",
    "recordings/live/*/pause",
    "recordings/live/*/stop",
    "recordings/stored",
    "recordings/stored/*",
    "recordings/stored/*/copy",
    "sounds",
    "sounds/*",
    "asterisk/ping",
];

/// Whether the path of `request` is one of those, its ids within their segments.
fn is_known(request: &Request) -> bool {
    let segments = request.segments();
    let Some((root, segments)) = segments.split_first() else {
        return false;
    };
    let plain = |c: char| c.is_ascii_graphic() && !"<>\"{}|\\^`#?[]".contains(c);
    root == "ari"
        && request.path.chars().all(plain)
        && !segments
            .iter()
            .any(|s| s.is_empty() || s == "." || s == "..")
        && PATHS.iter().any(|path| {
            let pattern: Vec<&str> = path.split('/').collect();
            pattern.len() == segments.len()
                && pattern
                    .iter()
                    .zip(segments)
                    .all(|(p, s)| *p == "*" || p == s)
        })
}

fn ten_thousand_random_requests_are_all_answered(on: BusKind) {
    let mut random = Random::seeded();
    let cases = Case::all();
    let mut rig = Rig::start(on);
    rig.asterisk.on(any_reply);
    let start = Instant::now();
    for _ in 0..REQUESTS / BATCH {
        let batch: Vec<_> = (0..BATCH)
            .map(|_| {
                let body = random.body(&cases);
                let class = random.pick(&["get", "data", "command", "create"]);
                let subject = subject(class, LEVELS[random.below(LEVELS.len())]);
                let answers = rig.bus.send(&subject, &body);
                (subject, body, answers)
            })
            .collect();
        for (subject, body, answers) in batch {
            let answer = answers.next(SOON);
            let answer = answer.unwrap_or_else(|| {
                panic!(
                    "no answer on {subject} to {}",
                    String::from_utf8_lossy(&body)
                )
            });
            let answer = answer.json();
            assert!(answer["error"].is_string(), "{answer}");
        }
    }
    println!("{REQUESTS} requests in {:?}", start.elapsed());
    assert!(rig.proxy.is_running());
    assert_eq!(rig.probe(), None);
    let calls = rig.asterisk.calls();
    assert!(calls.len() > 500, "{}", calls.len());
    for call in &calls {
        assert!(is_known(call), "{} {}", call.method, call.target);
    }
    for line in rig.proxy.lines() {
        assert!(!line.contains("panicked"), "{line}");
    }
}

fn random_messages_without_a_reply_subject_and_pings_do_no_harm(on: BusKind) {
    let mut random = Random::seeded();
    let cases = Case::all();
    let mut rig = Rig::start(on);
    rig.asterisk.on(any_reply);
    let announcements = rig.bus.subscribe("ari.announce");
    for round in 0..20 {
        for _ in 0..100 {
            let class = random.pick(&["get", "data", "command", "create"]);
            let body = random.body(&cases);
            rig.bus
                .publish(&subject(class, LEVELS[random.below(LEVELS.len())]), body);
        }
        let body = random.body(&cases);
        rig.bus.publish("ari.ping", body);
        announcements.expect(&format!("an announcement in round {round}"));
    }
    assert!(rig.proxy.is_running());
    crate::support::wait::wait_until("it serves", Duration::from_secs(30), || {
        rig.probe().is_none()
    });
}

fn random_events_pass_as_they_are(on: BusKind) {
    let mut random = Random::seeded();
    let rig = Rig::start(on);
    for id in ["a", "b", "1700.1"] {
        rig.bind("ChannelSubscribe", "channel", id, "d");
    }
    let recorded = include_str!("data/events.jsonl").lines();
    let recorded: Vec<Value> = recorded
        .filter_map(|line| serde_json::from_str(line).ok())
        .filter(|event: &Value| event["type"] != "ApplicationReplaced")
        .collect();
    let events = rig.bus.subscribe("ari.event.>");
    for _ in 0..20 {
        let pushed: Vec<String> = (0..100)
            .map(|_| {
                let mut event = random.pick(&recorded).clone();
                random.mutate(&mut event);
                // An event is an object.
                if event.is_object() {
                    event
                } else {
                    json!({ "was": event })
                }
                .to_string()
            })
            .collect();
        for event in &pushed {
            rig.asterisk.push(event);
        }
        let got = events.take(pushed.len());
        let got: Vec<_> = got
            .iter()
            .map(|m| String::from_utf8_lossy(&m.data))
            .collect();
        assert_eq!(got, pushed);
    }
}
