//! The recorded requests of `tests/data/requests.jsonl` and how to compare with them.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use serde_json::{Map, Value};

use super::asterisk::{Asterisk, ENTITY_ID};
use super::rig::APPLICATION;
use super::server::{Reply, Request, lock};

/// A recorded case.
#[derive(Debug, Clone)]
pub(crate) struct Case {
    /// Its name: the kind, and what is special.
    pub(crate) name: String,
    /// The class it was sent on.
    pub(crate) class: String,
    /// How much of the subject was given.
    pub(crate) level: String,
    /// The request.
    pub(crate) request: Value,
    /// The REST calls it caused.
    pub(crate) http: Vec<Exchange>,
    /// What was answered.
    pub(crate) response: Value,
    /// Whether that answer is wrong.
    pub(crate) peer_defect: bool,
}

/// A recorded REST call and its reply.
#[derive(Debug, Clone)]
pub(crate) struct Exchange {
    /// The method.
    pub(crate) method: String,
    /// The path.
    pub(crate) path: String,
    /// Query and body as one.
    pub(crate) parameters: Map<String, Value>,
    /// The reply.
    pub(crate) reply: Reply,
}

/// The levels of a subject.
pub(crate) const LEVELS: [&str; 3] = ["all", "application", "node"];

/// The subject of `class` at `level`.
pub(crate) fn subject(class: &str, level: &str) -> String {
    match level {
        "all" => format!("ari.{class}"),
        "application" => format!("ari.{class}.{APPLICATION}"),
        _ => format!("ari.{class}.{APPLICATION}.{ENTITY_ID}"),
    }
}

impl Case {
    /// All of them.
    pub(crate) fn all() -> Vec<Case> {
        include_str!("../data/requests.jsonl")
            .lines()
            .map(|line| Case::read(&serde_json::from_str(line).expect("JSON")))
            .collect()
    }

    fn read(case: &Value) -> Case {
        let text = |name: &str| case[name].as_str().unwrap_or_default().to_owned();
        let http = case["http"].as_array().expect("a list");
        Case {
            name: text("name"),
            class: text("class"),
            level: text("level"),
            request: case["request"].clone(),
            http: http.iter().map(Exchange::read).collect(),
            response: case["response"].clone(),
            peer_defect: !case["peer_defect"].is_null(),
        }
    }

    /// Where it was sent.
    pub(crate) fn subject(&self) -> String {
        subject(&self.class, &self.level)
    }

    /// Whether it changes something at Asterisk.
    pub(crate) fn changes(&self) -> bool {
        self.http.iter().any(|call| call.method != "GET")
    }

    /// The id in its key.
    pub(crate) fn id(&self) -> &str {
        self.request["key"]["id"].as_str().unwrap_or_default()
    }

    /// Whether it works on something that its key must name. Some make it, one does nothing at all,
    /// and a variable without a name is refused by Asterisk itself, as the Go program leaves it to.
    pub(crate) fn needs_id(&self) -> bool {
        let others = [
            "BridgeCreate",
            "BridgeStageCreate",
            "ChannelCreate",
            "BridgeUnsubscribe",
        ];
        !self.id().is_empty()
            && !self.name.starts_with("AsteriskVariable")
            && !others.contains(&self.name.as_str())
    }

    /// The payload member that it cannot do without. Staging a bridge asks for nothing, so the Go
    /// program never reads what comes with it.
    pub(crate) fn payload(&self) -> Option<&str> {
        if self.name == "BridgeStageCreate" {
            return None;
        }
        let members = self.request.as_object().expect("an object");
        let mut names = members.keys().map(String::as_str);
        names.find(|name| !["kind", "key", "ChannelUserevent"].contains(name))
    }
}

impl Exchange {
    fn read(call: &Value) -> Exchange {
        let mut parameters = Map::new();
        for from in [&call["query"], &call["body"]] {
            parameters.extend(from.as_object().cloned().unwrap_or_default());
        }
        let status = call["status"].as_u64().and_then(|s| s.try_into().ok());
        let reason = call["reason"].as_str().expect("a reason");
        Exchange {
            method: call["method"].as_str().expect("a method").to_owned(),
            path: call["path"].as_str().expect("a path").to_owned(),
            parameters,
            reply: Reply::new(status.expect("a status"), reason, &call["reply"]),
        }
    }

    /// What is different about `request`; nothing where it is the same call.
    pub(crate) fn difference(&self, request: &Request) -> Option<String> {
        let expected = (&self.method, &self.path, comparable(&self.parameters));
        let path = request.decoded_path();
        let got = (&request.method, &path, comparable(&request.parameters()));
        (expected != got).then(|| format!("expected {expected:?}\n     got {got:?}"))
    }
}

/// Parameters as Asterisk takes them: a number is its text, null is none.
fn comparable(parameters: &Map<String, Value>) -> Map<String, Value> {
    let mut comparable = Map::new();
    for (name, value) in parameters {
        match value {
            Value::Null => {}
            Value::Number(number) => {
                comparable.insert(name.clone(), number.to_string().into());
            }
            value => {
                comparable.insert(name.clone(), value.clone());
            }
        }
    }
    comparable
}

/// Has `asterisk` answer the calls of a case in their order, whatever they are.
pub(crate) fn answer_in_order(asterisk: &Asterisk, http: &[Exchange]) {
    let replies: VecDeque<Reply> = http.iter().map(|call| call.reply.clone()).collect();
    let replies = Arc::new(Mutex::new(replies));
    asterisk.forget();
    asterisk.on(move |request| {
        // The proxy asks for this by itself, too.
        if request.path == "/ari/asterisk/info" {
            return None;
        }
        lock(&replies).pop_front()
    });
}

/// Has `asterisk` answer the request for its information as in `case`, if that is what it is about.
pub(crate) fn answer_case(asterisk: &Asterisk, case: &Case) {
    if case.name != "AsteriskInfo" {
        return answer_in_order(asterisk, &case.http);
    }
    let reply = case.http[0].reply.clone();
    asterisk.forget();
    asterisk.on(move |request| (request.path == "/ari/asterisk/info").then(|| reply.clone()));
}

/// What is different about the calls that `asterisk` got; nothing where they are those of `case`.
pub(crate) fn calls_difference(asterisk: &Asterisk, case: &Case) -> Option<String> {
    if case.name == "AsteriskInfo" {
        let asked = asterisk.requests().len();
        return (asked == 0).then(|| "Asterisk was not asked".to_owned());
    }
    let calls = asterisk.calls();
    if calls.len() != case.http.len() {
        let made: Vec<_> = calls.iter().map(|c| (&c.method, &c.target)).collect();
        return Some(format!("{} calls expected: {made:?}", case.http.len()));
    }
    let mut pairs = case.http.iter().zip(&calls);
    pairs.find_map(|(expected, call)| expected.difference(call))
}

/// What is different about `response`; nothing where it says at least what `expected` says.
pub(crate) fn response_difference(expected: &Value, response: &Value) -> Option<String> {
    let error = |of: &Value| of["error"].as_str().map(str::to_owned);
    let (wanted, got) = (error(expected).expect("recorded"), error(response));
    let same_error = got.is_some_and(|got| match wanted.as_str() {
        "" => got.is_empty(),
        wanted => got.starts_with(wanted),
    });
    let same = same_error
        && without_empty(&expected["key"]) == without_empty(&response["key"])
        && without_empty(&expected["keys"]) == without_empty(&response["keys"])
        && expected["data"].is_object() == response["data"].is_object()
        && includes(&response["data"], &expected["data"]);
    (!same).then(|| format!("expected {expected}\n     got {response}"))
}

/// `keys` without members that are empty.
fn without_empty(keys: &Value) -> Value {
    match keys {
        Value::Array(keys) => keys.iter().map(without_empty).collect(),
        Value::Object(key) => key
            .iter()
            .filter(|(_, value)| *value != "")
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect(),
        other => other.clone(),
    }
}

/// Whether `all` has every member of `some`, at any depth.
fn includes(all: &Value, some: &Value) -> bool {
    match (all, some) {
        (Value::Object(all), Value::Object(some)) => some
            .iter()
            .all(|(name, value)| includes(all.get(name).unwrap_or(&Value::Null), value)),
        (Value::Array(all), Value::Array(some)) => {
            all.len() == some.len() && all.iter().zip(some).all(|(a, s)| includes(a, s))
        }
        (all, some) => all == some,
    }
}
