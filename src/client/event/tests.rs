use serde_json::{Value, json};

use super::*;
use crate::client::data::kept::{difference, recorded};
use crate::wire::key::Key;

fn decode(event: &Value) -> Event {
    Event::decode(event.to_string().as_bytes())
}

/// Reads and writes an event of a known type, nothing of which may get lost, or be unknown.
fn keep(event: &Value) -> Event {
    let read = decode(event);
    assert!(!matches!(read, Event::Other(_)), "{event}");
    assert_eq!(
        difference(event, &serde_json::to_value(&read).unwrap()),
        None
    );
    assert!(!format!("{read:?}").contains("extra: {\""), "{read:?}");
    read
}

#[test]
fn all_recorded_events_are_kept() {
    for line in recorded("events.jsonl") {
        let event: Value = serde_json::from_str(&line).unwrap();
        let read = keep(&event);
        assert_eq!(read.event_type().name(), event["type"]);
        assert_eq!(read.application(), event["application"]);
        assert_eq!(read.asterisk_id(), event["asterisk_id"]);
        assert_eq!(read.timestamp(), event["timestamp"]);
        assert_eq!(read.dialog(), "");
        if let Some(channel) = event.get("channel") {
            assert_eq!(read.channel().unwrap().id, channel["id"]);
        }
    }
}

#[test]
fn every_known_type_is_read_whatever_is_missing() {
    assert_eq!(EventType::KNOWN.len(), 46);
    for known in EventType::KNOWN {
        assert_eq!(&EventType::named(known.name()), known);
        let read = keep(&json!({"dialog": "d", "type": known.name(), "timestamp": null}));
        assert_eq!(&read.event_type(), known);
        assert_eq!(read.dialog(), "d");
        let written = serde_json::to_value(&read).unwrap();
        assert_eq!(written["type"], known.name());
    }
}

#[test]
fn transfers_have_all_their_members() {
    let channel = |id: &str| json!({"id": id, "name": "n"});
    let bridge = |id: &str| json!({"id": id, "channels": ["x"]});
    let read = keep(&json!({
        "type": "ChannelTransfer", "application": "a", "state": "s",
        "refer_to": {
            "requested_destination": {"protocol_id": "p", "destination": "d",
                "additional_protocol_params": [{"parameter_name": "n", "parameter_value": "v"}]},
            "destination_channel": channel("1"), "connected_channel": channel("2"), "bridge": bridge("b1"),
        },
        "referred_by": {
            "source_channel": channel("3"), "connected_channel": channel("4"), "bridge": bridge("b2"),
        },
    }));
    let ids: Vec<_> = read.keys().into_iter().map(|key| key.id).collect();
    assert_eq!(ids.len(), 6);
    assert!(read.channel().is_none());
    let read = keep(&json!({
        "type": "BridgeAttendedTransfer", "transferer_first_leg": channel("1"), "transferer_second_leg": channel("2"),
        "replace_channel": channel("3"), "transferee": channel("4"), "transfer_target": channel("5"),
        "result": "Success", "is_external": true, "transferer_first_leg_bridge": bridge("b1"),
        "transferer_second_leg_bridge": bridge("b2"), "destination_type": "threeway", "destination_bridge": "b3",
        "destination_application": "a", "destination_link_first_leg": channel("6"),
        "destination_link_second_leg": channel("7"), "destination_threeway_channel": channel("8"),
        "destination_threeway_bridge": bridge("b4"),
    }));
    assert_eq!(read.channel().unwrap().id, "1");
    assert_eq!(read.keys().len(), 11);
}

#[test]
fn keys_say_where_they_are() {
    let read = decode(
        &json!({"type": "Dial", "application": "a", "asterisk_id": "00:01", "dialog": "d",
        "caller": {"id": "c1"}, "peer": {"id": "c2"}, "forwarded": {"id": "c2"}}),
    );
    let key = |id: &str| Key {
        node: "00:01".into(),
        dialog: "d".into(),
        app: "a".into(),
        ..Key::new("channel", id)
    };
    let mut keys = read.keys();
    keys.sort_by(|a, b| a.id.cmp(&b.id));
    assert_eq!(keys, [key("c1"), key("c2")]);
    assert_eq!(read.channel().unwrap().id, "c2");
    let other = decode(&json!({"type": "ChannelNew", "application": "a", "channel": {"id": "c"}}));
    assert_eq!(other.keys()[0].id, "c");
    assert_eq!(other.keys()[0].app, "a");
}

#[test]
fn what_is_not_known_is_other_and_whole() {
    for event in [
        json!({"type": "ChannelNew", "channel": {"id": "c"}, "application": "a"}),
        json!({"type": "StasisEnd", "channel": "c"}),
        json!({"type": "ChannelDestroyed", "cause": "sixteen"}),
        json!({"type": 7}),
        json!({"no": "type"}),
        json!([{"type": "StasisEnd"}]),
        json!("StasisEnd"),
    ] {
        assert_eq!(decode(&event), Event::Other(event));
    }
    for text in ["", "{", "{\"type\":\"StasisEnd\"} x", "what"] {
        assert_eq!(Event::decode(text.as_bytes()), Event::Other(text.into()));
    }
    assert_eq!(
        Event::decode(b"{\"type\":\"\xff\"}"),
        Event::Other("{\"type\":\"\u{fffd}\"}".into())
    );
    let deep = "[".repeat(1_000_000);
    assert_eq!(
        Event::decode(deep.as_bytes()),
        Event::Other(deep.as_str().into())
    );
    let new = decode(&json!({"type": "ChannelNew", "application": "a", "dialog": "d"}));
    assert_eq!(new.event_type(), EventType::Other("ChannelNew".into()));
    assert_eq!(
        (new.application(), new.dialog(), new.timestamp()),
        ("a", "d", "")
    );
}

#[test]
fn new_members_are_extra_and_the_type_is_not() {
    let event = json!({"n": 1, "type": "StasisEnd", "channel": {"id": "c", "m": 2}});
    let read = decode(&event);
    let Event::StasisEnd(end) = &read else {
        panic!("{read:?}");
    };
    assert_eq!(end.extra, json!({"n": 1}).as_object().unwrap().clone());
    assert_eq!(end.channel.extra["m"], 2);
    assert_eq!(
        difference(&event, &serde_json::to_value(&read).unwrap()),
        None
    );
    // The same with names that have to be unescaped.
    let escaped = Event::decode(
        br#"{"\u006e":1,"ty\u0070e":"Stasis\u0045nd","channel":{"\u0069d":"c","m":2}}"#,
    );
    assert_eq!(escaped, read);
}

#[test]
fn what_the_original_proxy_makes_of_events() {
    // It writes what is not there as null, and an entity that is not there as one without a name.
    let nobody = json!({"id": "", "name": "", "state": "", "accountcode": "", "caller": null, "connected": null,
        "creationtime": "1970-01-01T00:00:00.000+0000", "dialplan": null, "channelvars": null});
    let no_bridge = json!({"key": null, "id": "", "bridge_class": "", "bridge_type": "", "channels": null,
        "creator": "", "name": "", "technology": ""});
    let no_endpoint = json!({"key": null, "channel_ids": null, "resource": "", "technology": ""});
    let read = decode(
        &json!({"type": "ChannelUserevent", "application": "a", "eventname": "e", "userevent": {},
        "channel": nobody, "bridge": no_bridge, "endpoint": no_endpoint}),
    );
    let Event::ChannelUserevent(event) = &read else {
        panic!("{read:?}");
    };
    assert!(event.channel.is_none() && event.bridge.is_none() && event.endpoint.is_none());
    assert!(read.channel().is_none() && read.keys().is_empty());
    let read = decode(
        &json!({"type": "StasisStart", "dialog": "d", "args": null, "replace_channel": nobody,
        "channel": {"id": "c", "caller": {}, "connected": {}, "dialplan": {"priority": 1}, "channelvars": null}}),
    );
    let Event::StasisStart(start) = read else {
        panic!("{read:?}");
    };
    assert!(start.args.is_empty() && start.replace_channel.is_none());
    assert_eq!(start.channel.id, "c");
}

#[test]
fn statuses() {
    let status = json!({"asterisk": "00:01", "application": "a", "state": "up", "epoch": "e", "seq": 7,
        "lost": null, "lost_total": 2, "lost_unknown": 1, "since": "1970-01-01T00:00:00.000Z", "reason": "why",
        "details": {"channels": ["c"], "bridges": [], "part": 1, "parts": 2}, "new": 1});
    let read = decode(&status);
    let Event::Status(told) = &read else {
        panic!("{read:?}");
    };
    assert_eq!(told.state, State::Up);
    assert_eq!(
        (told.lost, told.lost_total, told.lost_unknown),
        (None, 2, 1)
    );
    assert_eq!(told.details.as_ref().unwrap().channels, ["c"]);
    assert_eq!((read.asterisk_id(), read.application()), ("00:01", "a"));
    assert_eq!(read.event_type().to_string(), "Status");
    assert!(read.keys().is_empty());
    assert_eq!(serde_json::to_value(&read).unwrap(), status);
    let short = decode(&json!({"state": "stopping", "asterisk": "00:01", "application": "a"}));
    assert!(matches!(short, Event::Status(status) if status.state == State::Stopping));
    for other in [
        json!({"state": "asleep", "asterisk": "00:01", "application": "a"}),
        json!({"state": "up", "asterisk": "00:01"}),
    ] {
        assert_eq!(decode(&other), Event::Other(other));
    }
}
