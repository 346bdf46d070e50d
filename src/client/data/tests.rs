use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::kept::{difference, recorded};
use super::*;

/// Reads and writes an entity, nothing of which may get lost, or be unknown.
fn keep<T: DeserializeOwned + Serialize + std::fmt::Debug>(entity: &Value) {
    let read: T = serde_json::from_str(&entity.to_string()).unwrap();
    assert_eq!(
        difference(entity, &serde_json::to_value(&read).unwrap()),
        None
    );
    assert!(!format!("{read:?}").contains("extra: {\""), "{read:?}");
}

fn keep_named(member: &str, entity: &Value) -> bool {
    match member {
        "application" => keep::<ApplicationData>(entity),
        "asterisk" => keep::<AsteriskData>(entity),
        "bridge" => keep::<BridgeData>(entity),
        "channel" => keep::<ChannelData>(entity),
        "config" => keep::<ConfigData>(entity),
        "device_state" => keep::<DeviceStateData>(entity),
        "endpoint" => keep::<EndpointData>(entity),
        "live_recording" => keep::<LiveRecordingData>(entity),
        "log" => keep::<LogData>(entity),
        "mailbox" => keep::<MailboxData>(entity),
        "module" => keep::<ModuleData>(entity),
        "playback" => keep::<PlaybackData>(entity),
        "sound" => keep::<SoundData>(entity),
        "stored_recording" => keep::<StoredRecordingData>(entity),
        _ => return false,
    }
    true
}

/// What the REST call of `path` answers with, by the names of the members of responses.
fn entity_at(path: &str) -> &str {
    let parts: Vec<&str> = path.trim_start_matches("/ari/").split('/').collect();
    match parts[..] {
        ["asterisk", "info"] => "asterisk",
        ["asterisk", "logging", ..] => "log",
        ["asterisk", "modules", ..] => "module",
        ["applications", ..] => "application",
        ["bridges", _, "play"] | ["channels", _, "play"] | ["playbacks", _] => "playback",
        ["bridges", _, "record"] | ["channels", _, "record"] => "live_recording",
        ["recordings", "live", ..] => "live_recording",
        ["recordings", "stored", ..] => "stored_recording",
        ["bridges"] | ["bridges", _] => "bridge",
        ["channels"] | ["channels", _] | ["channels", _, "snoop"] => "channel",
        ["deviceStates", ..] => "device_state",
        ["endpoints", ..] => "endpoint",
        ["mailboxes", ..] => "mailbox",
        ["sounds", ..] => "sound",
        _ => "",
    }
}

#[test]
fn what_asterisk_and_the_original_proxy_say_is_kept() {
    let mut answered = 0;
    let mut told = 0;
    for line in recorded("requests.jsonl") {
        let case: Value = serde_json::from_str(&line).unwrap();
        for call in case["http"].as_array().unwrap() {
            let well = call["status"] == json!(200);
            let Some(reply) = call.get("reply").filter(|_| well) else {
                continue;
            };
            let member = entity_at(call["path"].as_str().unwrap());
            match reply {
                Value::Array(entities) => {
                    told += entities.iter().filter(|e| keep_named(member, e)).count();
                }
                entity => told += usize::from(keep_named(member, entity)),
            }
        }
        if let Some(data) = case["response"].get("data").and_then(Value::as_object) {
            let known = data
                .iter()
                .filter(|(member, entity)| keep_named(member, entity));
            answered += known.count();
        }
    }
    assert!(answered >= 13 && told >= 60, "{answered}, {told}");
}

#[test]
fn what_is_not_known_is_extra() {
    let channel = json!({"id": "c", "new": [1, {"a": null}], "caller": {"name": "n", "newer": 2}});
    let read: ChannelData = serde_json::from_value(channel.clone()).unwrap();
    assert_eq!(read.extra["new"], channel["new"]);
    let written = serde_json::to_value(&read).unwrap();
    assert_eq!(difference(&channel, &written), None);
    assert_eq!(written["caller"]["newer"], 2);
}

#[test]
fn null_is_absent() {
    let nothing = json!({"id": null, "caller": null, "dialplan": {"priority": null}, "key": null,
        "channelvars": null, "extra": null});
    let read: ChannelData = serde_json::from_value(nothing).unwrap();
    let extra = [("extra".to_owned(), Value::Null)];
    let expected = ChannelData {
        extra: extra.into_iter().collect(),
        ..ChannelData::default()
    };
    assert_eq!(read, expected);
    assert!(serde_json::from_value::<ChannelData>(json!({"id": 7})).is_err());
}

#[test]
fn a_key_says_where_it_is() {
    let answer = json!({"key": {"kind": "module", "id": "m", "node": "00:01"}, "name": "m"});
    let read: ModuleData = serde_json::from_value(answer).unwrap();
    assert_eq!(read.key.unwrap().node, "00:01");
}
