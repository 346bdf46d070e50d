//! What handles ask, compared with what was recorded of the Go client's requests.

use serde_json::{Map, Value};

use super::recorder::{Seen, recorded};
use super::verbs;

/// Without what means nothing to a proxy: members that are empty, and those of the key that lists and
/// creations leave to the client.
fn meant(value: &Value) -> Value {
    match value {
        Value::Object(members) => {
            let members: Map<String, Value> = members
                .iter()
                .map(|(name, value)| (name.clone(), meant(value)))
                .filter(|(_, value)| !says_nothing(value))
                .collect();
            Value::Object(members)
        }
        other => other.clone(),
    }
}

fn says_nothing(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => true,
        Value::String(text) => text.is_empty() || text == "none",
        Value::Number(number) => number.as_i64() == Some(0),
        Value::Object(members) => members.is_empty(),
        Value::Array(_) => false,
        Value::Bool(true) => false,
    }
}

/// The payload as it is meant.
fn payload(request: &Value) -> Value {
    let mut request = meant(request);
    let members = request.as_object_mut().unwrap();
    members.remove("kind");
    members.remove("key");
    // The recording has it twice: once in Go's name of the field.
    members.remove("ChannelUserevent");
    if let Some(options) = request.pointer_mut("/channel_external_media/options") {
        // What is the default when it is not there.
        let options = options.as_object_mut().unwrap();
        options.retain(|_, value| value != "both");
        options.remove("app");
    }
    request
}

fn is_like(seen: &Seen, row: &Value) -> bool {
    let request = &row["request"];
    let key = |request: &Value, name: &str| request["key"][name].as_str().map(str::to_owned);
    let same_id = || {
        let (ours, theirs) = (key(&seen.body, "id"), key(request, "id"));
        theirs.as_deref().unwrap_or_default().is_empty() || ours == theirs
    };
    seen.kind == request["kind"] && same_id() && payload(&seen.body) == payload(request)
}

#[test]
fn what_the_go_client_asks_is_asked() {
    let seen = verbs::all();
    for row in recorded() {
        let kind = &row["request"]["kind"];
        let name = row["name"].as_str().unwrap();
        // Options of staged recordings are left out there, as are entities that are not there.
        if name.ends_with("StageRecord") || name == "ChannelData missing" {
            continue;
        }
        let ours: Vec<&Seen> = seen.iter().filter(|seen| seen.kind == *kind).collect();
        assert!(
            ours.iter().any(|seen| is_like(seen, &row)),
            "{name}: {}\nours: {ours:#?}",
            row["request"]
        );
    }
}

#[test]
fn on_the_class_that_the_go_client_asks_on() {
    let staged_on_get = [
        "BridgeStagePlay",
        "BridgeStageRecord",
        "ChannelStagePlay",
        "ChannelStageRecord",
        "ChannelStageSnoop",
    ];
    for row in recorded() {
        let kind = row["request"]["kind"].as_str().unwrap();
        // Those were recorded on `create`; the client has them on `get`.
        let wanted = if staged_on_get.contains(&kind) {
            "get"
        } else {
            row["class"].as_str().unwrap()
        };
        for seen in verbs::all().iter().filter(|seen| seen.kind == kind) {
            let class = if seen.class == "list" {
                "get"
            } else {
                seen.class
            };
            assert_eq!(class, wanted, "{kind}");
            assert_eq!(seen.class == "list", kind.contains("List"), "{kind}");
        }
    }
}
