//! What Asterisk replies made into responses. The first line of an input is a request, the rest is
//! the reply to its call. The reply is also taken as that for each way there is to read one.
#![no_main]

use std::sync::LazyLock;

use ari_proxy::wire::call::{Plan, plan};
use ari_proxy::wire::key::Place;
use ari_proxy::wire::kind::{Answer, Entity, Kind};
use ari_proxy::wire::kinds::{self, KINDS};
use ari_proxy::wire::request::Request;
use ari_proxy::wire::response;
use libfuzzer_sys::fuzz_target;
use serde_json::{Value, json};
use support::{first_line, members, written};

const PLACE: Place<'static> = Place {
    asterisk: "00:01",
    application: "app",
};

/// A request of each way in which a reply is read; the other kinds have one of them.
static SORTS: LazyLock<Vec<Plan>> = LazyLock::new(|| {
    let mut sorts: Vec<Plan> = Vec::new();
    for kind in &KINDS {
        let known = |plan: &Plan| way(plan.kind) == way(kind);
        if !sorts.iter().any(known) {
            sorts.push(example(kind.name));
        }
    }
    sorts
});

/// What decides how a reply to a call of `kind` is read.
fn way(kind: &Kind) -> (Answer, Option<Entity>) {
    let special = matches!(kind.entity, Entity::Config | Entity::Logging);
    let reads = matches!(kind.answer, Answer::Data | Answer::Key) && !kind.changes();
    (kind.answer, (special && reads).then_some(kind.entity))
}

/// A request of the kind `name`, with all that any kind asks for.
fn example(name: &str) -> Plan {
    let kind = kinds::find(name).expect("a kind of the table");
    let id = match kind.entity {
        Entity::Config => "a/b/c",
        Entity::Endpoint => "a/b",
        _ => "mine",
    };
    let payload = json!({
        "playback_id": "p", "name": "r", "snoop_id": "s", "channel": "c", "tech": "a",
        "destination": "d", "UserEvent": {"eventname": "e"},
        "options": {"external_host": "h:1", "format": "ulaw"},
    });
    let mut request = json!({"kind": name, "key": {"id": id, "dialog": "d"}});
    if let Some(wanted) = kind.payload {
        request[wanted.member] = payload;
    }
    let request = Request::read(request.to_string().as_bytes()).expect("a request");
    plan(&request, kind, PLACE.application).expect("a plan")
}

fuzz_target!(|input: &[u8]| {
    let (request, reply) = first_line(input);
    if let Ok(request) = Request::read(request)
        && let Some(kind) = kinds::of(&request)
        && let Ok(plan) = plan(&request, kind, PLACE.application)
    {
        check(&plan, reply);
    }
    for plan in SORTS.iter() {
        check(plan, reply);
    }
});

fn check(plan: &Plan, reply: &[u8]) {
    let response = match response::success(plan, &PLACE, reply) {
        Ok(response) => response,
        Err(error) => {
            assert!(!error.is_empty());
            let answer = response::error(&error);
            let answer: Value = serde_json::from_slice(&answer).expect("a response");
            assert_eq!(answer["error"].as_str(), Some(error.as_str()));
            return;
        }
    };
    let response = members(written(&response).expect("a response in JSON"));
    let member = |name: &str| {
        let found = response.iter().find(|(n, _)| n == name);
        found.map(|(_, value)| *value)
    };
    for (name, _) in &response {
        assert!(["data", "error", "key", "keys"].contains(&name.as_str()));
    }
    assert_eq!(member("error").expect("an error").get(), r#""""#);
    let (data, key, keys) = (member("data"), member("key"), member("keys"));
    match plan.kind.answer {
        Answer::Done | Answer::NoKeys => assert_eq!(response.len(), 1),
        Answer::Data => {
            let (data, name) = (data.expect("data").get(), plan.kind.entity.data_member());
            assert_eq!(response.len(), 2);
            assert!(data.starts_with(&format!(r#"{{"{name}":{{"key":{{"#)));
        }
        Answer::Variable => assert!(data.is_some() && response.len() == 2),
        Answer::Key | Answer::Created | Answer::Staged => {
            assert_eq!(response.len(), 2);
            check_key(&serde_json::from_str(key.expect("a key").get()).expect("values"));
        }
        Answer::Keys { .. } => {
            let keys = keys.map_or("[]", |keys| keys.get());
            let keys: Vec<Value> = serde_json::from_str(keys).expect("a list of values");
            assert_eq!(response.len(), 1 + usize::from(!keys.is_empty()));
            keys.iter().for_each(check_key);
        }
    }
}

/// Every key of a response says where its entity is.
fn check_key(key: &Value) {
    assert_eq!(key["node"].as_str(), Some(PLACE.asterisk));
    assert_eq!(key["app"].as_str(), Some(PLACE.application));
}
