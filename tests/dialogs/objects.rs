//! Which events are whose: a dialog has its channel, what its commands make, and nothing else.

use serde_json::{Value, json};

use super::commands::call;
use crate::support::application::Application;
use crate::support::bus::{BusKind, on_each_bus};
use crate::support::dialog_rig::{DialogAsterisk, DialogRig, of_channel, of_entity};
use crate::support::server::{Reply, Request};

on_each_bus!(
    events_of_other_calls_never_arrive,
    events_of_any_type_are_passed_if_they_touch_the_channel,
    what_commands_make_joins_the_dialog,
    a_channel_of_a_given_id_joins_before_it_is_there,
    an_event_before_the_response_is_of_the_dialog,
    what_was_not_made_joins_nothing,
    what_is_gone_is_no_longer_of_the_dialog,
);

/// What is sent of an entity, and must come.
fn touches(rig: &DialogRig, application: &Application, dialog: &str, event: String) {
    let event = rig.asterisk.push(event);
    let parsed: Value = serde_json::from_str(&event).expect("an event");
    let kind = parsed["type"].as_str().expect("a type");
    application.wait_event(dialog, kind, |came| *came == parsed);
}

/// What is sent and must not come to any dialog.
fn touches_nothing(rig: &DialogRig, application: &Application, event: String) {
    let event = rig.asterisk.push(event);
    rig.settle(application);
    for dialog in application.dialogs() {
        let events = application.events(&dialog);
        assert!(!events.contains(&event), "{dialog} has {event}");
    }
}

fn bridge(id: &str) -> Value {
    json!({"id": id, "technology": "simple_bridge", "bridge_type": "mixing", "bridge_class": "base",
        "creator": "Stasis", "name": "", "channels": []})
}

fn playback(id: &str, channel: &str) -> Value {
    json!({"id": id, "media_uri": "sound:x", "target_uri": format!("channel:{channel}"),
        "language": "en", "state": "playing"})
}

fn events_of_other_calls_never_arrive(on: BusKind) {
    let rig = DialogRig::start(on);
    let (application, first) = call(&rig, "1.1");
    let begin = rig.asterisk.begin("1.10");
    let second = application.wait_dialog(2);
    assert_eq!(application.wait_events(&second, 1), [begin]);
    for event in [
        of_channel("ChannelVarset", "1.2", &json!({})),
        // Of none at all, though its own words are in there.
        of_channel(
            "ChannelVarset",
            "1.2",
            &json!({"value": "1.1", "x": {"id": "1.1"}}),
        ),
        of_entity("BridgeCreated", "bridge", &bridge("1.1b")),
        of_entity("PlaybackStarted", "playback", &playback("p", "1.2")),
        of_entity(
            "DeviceStateChanged",
            "device_state",
            &json!({"name": "1.1"}),
        ),
        r#"{"type":"Dial","peer":{"id":"1.2"},"caller":{"id":"1.3"},"application":"conf"}"#
            .to_owned(),
        r#"{"type":"X","application":"conf"}"#.to_owned(),
        r#"{"type":"ChannelCreated","channel":{"id":"1.9"},"application":"conf"}"#.to_owned(),
    ] {
        touches_nothing(&rig, &application, event);
    }
    // Neither of the two has what is the other's.
    let mine = rig
        .asterisk
        .push_channel("ChannelVarset", "1.1", &json!({"n": 1}));
    let other = rig
        .asterisk
        .push_channel("ChannelVarset", "1.10", &json!({"n": 2}));
    assert_eq!(application.wait_events(&first, 2)[1..], [mine]);
    assert_eq!(application.wait_events(&second, 2)[1..], [other]);
}

fn events_of_any_type_are_passed_if_they_touch_the_channel(on: BusKind) {
    let rig = DialogRig::start(on);
    let (application, dialog) = call(&rig, "1.1");
    let with = |members: Value| {
        let mut event = json!({"type": "Dial", "dialstatus": "ANSWER", "application": "conf"});
        for (name, value) in members.as_object().into_iter().flatten() {
            event[name] = value.clone();
        }
        event.to_string()
    };
    let (own, other) = (json!({"id": "1.1"}), json!({"id": "7.7"}));
    for event in [
        with(json!({"peer": own, "caller": other})),
        with(json!({"peer": other, "caller": own})),
        with(json!({"peer": other, "forwarded": own})),
        with(json!({"type": "NeverHeardOf", "channel": own})),
        with(json!({"type": "CallBroadcast", "channel": own})),
        with(json!({"type": "ApplicationMoveFailed", "channel": own})),
        with(json!({"type": "ChannelTransfer", "channel": own})),
        with(
            json!({"type": "BridgeAttendedTransfer", "transferer_first_leg": own,
            "transferer_second_leg": other}),
        ),
        with(json!({"type": "BridgeBlindTransfer", "channel": own, "bridge": bridge("b")})),
        // A bridge that is nobody's, with the channel in it.
        with(json!({"type": "ChannelEnteredBridge", "channel": own, "bridge": bridge("b")})),
    ] {
        touches(&rig, &application, &dialog, event);
    }
}

/// An Asterisk that makes what it is asked to make, and says so before it answers where it should.
fn makes(asterisk: &DialogAsterisk, request: &Request, early: bool) -> Option<Reply> {
    let segments = request.segments();
    let path: Vec<&str> = segments.iter().skip(1).map(String::as_str).collect();
    let parameters = request.parameters();
    let text = |name: &str| parameters.get(name).and_then(Value::as_str);
    let say = |event: String| {
        if early {
            asterisk.push(event);
        }
    };
    let reply = match (request.method.as_str(), path.as_slice()) {
        ("POST", ["bridges"]) => {
            let made = bridge(text("bridgeId").unwrap_or("bridge-made"));
            say(of_entity("BridgeCreated", "bridge", &made));
            made
        }
        ("POST", ["bridges", id]) => {
            let made = bridge(id);
            say(of_entity("BridgeCreated", "bridge", &made));
            made
        }
        ("POST", [kind @ ("channels" | "bridges"), id, "play", rest @ ..]) => {
            let of = format!("{}:{id}", kind.trim_end_matches('s'));
            let id = rest.first().copied().or(text("playbackId"));
            let mut made = playback(id.unwrap_or("playback-made"), "");
            made["target_uri"] = json!(of);
            say(of_entity("PlaybackStarted", "playback", &made));
            made
        }
        ("POST", ["channels", id, "record"]) => {
            let made = json!({"name": text("name"), "format": "wav", "state": "recording",
                "target_uri": format!("channel:{id}")});
            say(of_entity("RecordingStarted", "recording", &made));
            made
        }
        ("POST", ["channels"] | ["channels", "create"]) => {
            let id = text("channelId").unwrap_or("channel-made").to_owned();
            say(of_channel("ChannelCreated", &id, &json!({})));
            json!({"id": id, "name": format!("PJSIP/{id}"), "state": "Down"})
        }
        ("POST", ["channels", _, "snoop"]) => {
            let id = text("snoopId").unwrap_or("snoop-made").to_owned();
            say(of_channel("ChannelCreated", &id, &json!({})));
            json!({"id": id, "name": "Snoop/x", "state": "Up"})
        }
        ("POST", ["channels", id]) => {
            say(of_channel("ChannelCreated", id, &json!({})));
            json!({"id": id, "name": format!("PJSIP/{id}"), "state": "Down"})
        }
        _ => return None,
    };
    Some(Reply::ok(&reply))
}

/// What is asked to be made, and an event of what is made then.
fn made() -> Vec<(&'static str, String, String)> {
    let of_channel = |id: &str| of_channel("ChannelStateChange", id, &json!({}));
    let of_bridge = |id: &str| of_entity("BridgeVideoSourceChanged", "bridge", &bridge(id));
    let of_playback = |id: &str| of_entity("PlaybackFinished", "playback", &playback(id, "nobody"));
    let recording = |name: &str| {
        let recording = json!({"name": name, "target_uri": "channel:nobody", "state": "done"});
        of_entity("RecordingFinished", "recording", &recording)
    };
    let body = |value: Value| value.to_string();
    vec![
        (
            "/bridges",
            body(json!({"type": "mixing"})),
            of_bridge("bridge-made"),
        ),
        ("/bridges?bridgeId=b1", "{}".into(), of_bridge("b1")),
        ("/bridges", body(json!({"bridgeId": "b2"})), of_bridge("b2")),
        ("/bridges/b3", "{}".into(), of_bridge("b3")),
        (
            "/channels/1.1/play?media=sound:x",
            "{}".into(),
            of_playback("playback-made"),
        ),
        (
            "/channels/1.1/play/p1",
            body(json!({"media": "sound:x"})),
            of_playback("p1"),
        ),
        (
            "/channels/1.1/play",
            body(json!({"playbackId": "p2"})),
            of_playback("p2"),
        ),
        ("/bridges/b1/play/p3", "{}".into(), of_playback("p3")),
        (
            "/channels/1.1/record?name=r1&format=wav",
            "{}".into(),
            recording("r1"),
        ),
        (
            "/channels/1.1/record",
            body(json!({"name": "r 2/ü"})),
            recording("r 2/ü"),
        ),
        (
            "/channels/c1",
            body(json!({"endpoint": "PJSIP/1"})),
            of_channel("c1"),
        ),
        (
            "/channels/c%202?endpoint=PJSIP/1",
            "".into(),
            of_channel("c 2"),
        ),
        ("/channels?channelId=c3", "{}".into(), of_channel("c3")),
        (
            "/channels",
            body(json!({"channelId": "c4"})),
            of_channel("c4"),
        ),
        (
            "/channels",
            body(json!({"endpoint": "PJSIP/1"})),
            of_channel("channel-made"),
        ),
        (
            "/channels/create?channelId=c5",
            "{}".into(),
            of_channel("c5"),
        ),
        (
            "/channels/1.1/snoop",
            body(json!({"snoopId": "s1"})),
            of_channel("s1"),
        ),
    ]
}

fn what_commands_make_joins_the_dialog(on: BusKind) {
    let rig = DialogRig::start(on);
    rig.asterisk
        .on(|asterisk, request| makes(asterisk, request, false));
    let (application, dialog) = call(&rig, "1.1");
    for (url, body, event) in made() {
        let response = application.call(&dialog, "POST", url, &body);
        assert_eq!(response.status_code, 200, "{url}");
        touches(&rig, &application, &dialog, event);
    }
}

fn an_event_before_the_response_is_of_the_dialog(on: BusKind) {
    let rig = DialogRig::start(on);
    rig.asterisk
        .on(|asterisk, request| makes(asterisk, request, true));
    let (application, dialog) = call(&rig, "1.1");
    for (count, (url, body, event)) in made().into_iter().enumerate() {
        let response = application.call(&dialog, "POST", url, &body);
        assert_eq!(response.status_code, 200, "{url}");
        touches(&rig, &application, &dialog, event);
        // The StasisStart, and two of each that was made: as it began, and after that.
        let events = application.events(&dialog);
        assert_eq!(events.len(), 1 + 2 * (count + 1), "{url}: {events:#?}");
        let began: Value = serde_json::from_str(&events[events.len() - 2]).expect("an event");
        let kind = began["type"].as_str().unwrap_or_default();
        assert!(
            kind.ends_with("Created") || kind.ends_with("Started"),
            "{url}: {began}"
        );
    }
}

fn a_channel_of_a_given_id_joins_before_it_is_there(on: BusKind) {
    let rig = DialogRig::start(on);
    // Everything that happens to it happens before there is a response.
    rig.asterisk.on(|asterisk, request| {
        let id = request.path.strip_prefix("/ari/channels/new-");
        let id = match id {
            Some(number) => format!("new-{number}"),
            None if request.method == "POST" && request.path == "/ari/channels" => {
                request.parameters()["channelId"].as_str()?.to_owned()
            }
            None => return None,
        };
        asterisk.add_channel(&id);
        asterisk.push_channel("ChannelCreated", &id, &json!({}));
        asterisk.begin(&id);
        Some(Reply::ok(&json!({"id": id, "state": "Up"})))
    });
    let (application, dialog) = call(&rig, "1.1");
    for (number, (url, body)) in [
        ("/channels/new-1", "{\"endpoint\":\"PJSIP/1\"}"),
        ("/channels/new-2?endpoint=PJSIP/1&app=conf", ""),
        ("/channels?channelId=new-3", "{}"),
        ("/channels", "{\"channelId\":\"new-4\"}"),
    ]
    .into_iter()
    .enumerate()
    {
        assert_eq!(
            application.call(&dialog, "POST", url, body).status_code,
            200
        );
        let id = format!("new-{}", number + 1);
        let of = |event: &Value| event["channel"]["id"] == id.as_str();
        application.wait_event(&dialog, "ChannelCreated", of);
        application.wait_event(&dialog, "StasisStart", of);
        // Its end is not the dialog's.
        rig.asterisk.end(&id);
        application.wait_event(&dialog, "StasisEnd", of);
        application.wait_event(&dialog, "ChannelDestroyed", of);
    }
    let response = application.call(&dialog, "POST", "/channels/1.1/answer", "");
    assert_eq!(response.status_code, 204);
    rig.settle(&application);
    assert_eq!(application.dialogs().len(), 2, "the first and what settles");
    let end = rig.asterisk.end("1.1");
    application.wait_event(&dialog, "StasisEnd", |event| {
        event["channel"]["id"] == "1.1"
    });
    rig.wait_no_topics("");
    assert_eq!(application.events(&dialog).last(), Some(&end));
}

fn what_was_not_made_joins_nothing(on: BusKind) {
    let rig = DialogRig::start(on);
    rig.asterisk.on(|_, request| {
        let refused = json!({"message": "no", "id": "r1", "name": "r2"});
        let refuses = request.method == "POST" && request.path.contains("refused");
        refuses.then(|| Reply::new(400, "Bad Request", &refused))
    });
    let (application, dialog) = call(&rig, "1.1");
    let response = application.call(&dialog, "POST", "/channels/refused", "{}");
    assert_eq!(response.status_code, 400);
    // A channel of that id that comes later is a call of its own.
    let begin = rig.asterisk.begin("refused");
    let second = application.wait_dialog(2);
    assert_eq!(application.wait_events(&second, 1), [begin]);
    assert_eq!(application.events(&dialog).len(), 1);
    touches_nothing(
        &rig,
        &application,
        of_channel("ChannelVarset", "r1", &json!({})),
    );
    // Whether it was refused because another has it or not: the first dialog ends with its channel.
    rig.asterisk.end("1.1");
    rig.wait_no_topics(&dialog);
    let more = rig
        .asterisk
        .push_channel("ChannelVarset", "refused", &json!({}));
    assert_eq!(application.wait_events(&second, 2)[1], more);
}

fn what_is_gone_is_no_longer_of_the_dialog(on: BusKind) {
    let rig = DialogRig::start(on);
    rig.asterisk
        .on(|asterisk, request| makes(asterisk, request, false));
    let (application, dialog) = call(&rig, "1.1");
    application.call(&dialog, "POST", "/bridges/b1", "{}");
    application.call(&dialog, "POST", "/channels/c1", "{}");
    touches(
        &rig,
        &application,
        &dialog,
        of_entity("BridgeDestroyed", "bridge", &bridge("b1")),
    );
    let gone = of_channel("ChannelDestroyed", "c1", &json!({"cause": 16}));
    touches(&rig, &application, &dialog, gone);
    touches_nothing(
        &rig,
        &application,
        of_entity("BridgeCreated", "bridge", &bridge("b1")),
    );
    // Asterisk may give an id to another channel: it is another call.
    let number = application.dialogs().len() + 1;
    let begin = rig.asterisk.begin("c1");
    let last = application.wait_dialog(number);
    assert_eq!(application.wait_events(&last, 1), [begin]);
    assert_ne!(last, dialog);
}
