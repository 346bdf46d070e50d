//! Events on their way from Asterisk to the bus: untouched, in order, and to the dialogs bound to
//! their entities besides.

use serde_json::{Value, json};

use crate::support::asterisk::ENTITY_ID;
use crate::support::bus::{BusKind, Message, Messages, on_each_bus};
use crate::support::rig::Rig;
use crate::support::server::Reply;
use crate::support::wait::{SOON, wait_until};

on_each_bus!(
    the_recorded_events_pass_byte_for_byte_in_order,
    the_recorded_events_pass_in_one_burst,
    defect_3_every_type_passes_with_every_member,
    odd_frames_do_no_harm,
    a_dialog_gets_the_events_of_what_it_is_bound_to,
    defect_10_a_dialog_gets_the_events_of_its_recording_and_device_state,
    a_dialog_gets_the_events_of_what_its_requests_create,
    a_dialog_gets_events_that_name_its_channel_anywhere,
    defect_22_an_event_comes_once_per_dialog,
    defect_9_a_binding_ends_with_its_entity_after_its_last_event,
    a_binding_outlives_a_call_that_asterisk_may_have_carried_out,
    bindings_are_bounded_in_number,
    a_dialog_that_cannot_be_a_subject_does_no_harm,
);

/// The event types of Asterisk 22 and 23.
const TYPES: [&str; 46] = [
    "ApplicationMoveFailed",
    "ApplicationRegistered",
    "ApplicationReplaced",
    "ApplicationUnregistered",
    "BridgeAttendedTransfer",
    "BridgeBlindTransfer",
    "BridgeCreated",
    "BridgeDestroyed",
    "BridgeMerged",
    "BridgeVideoSourceChanged",
    "CallBroadcast",
    "CallClaimed",
    "ChannelCallerId",
    "ChannelConnectedLine",
    "ChannelCreated",
    "ChannelDestroyed",
    "ChannelDialplan",
    "ChannelDtmfReceived",
    "ChannelEnteredBridge",
    "ChannelHangupRequest",
    "ChannelHold",
    "ChannelLeftBridge",
    "ChannelStateChange",
    "ChannelTalkingFinished",
    "ChannelTalkingStarted",
    "ChannelToneDetected",
    "ChannelTransfer",
    "ChannelUnhold",
    "ChannelUserevent",
    "ChannelVarset",
    "ContactStatusChange",
    "DeviceStateChanged",
    "Dial",
    "EndpointStateChange",
    "MissingParams",
    "PeerStatusChange",
    "PlaybackContinuing",
    "PlaybackFinished",
    "PlaybackStarted",
    "RESTResponse",
    "RecordingFailed",
    "RecordingFinished",
    "RecordingStarted",
    "StasisEnd",
    "StasisStart",
    "TextMessageReceived",
];

/// Pushes `events` and returns all that the proxy publishes of them, in order.
fn published(rig: &Rig, events: &[Value]) -> Vec<Message> {
    let messages = rig.bus.subscribe("ari.>");
    for event in events {
        rig.asterisk.push(event.to_string());
    }
    until_sentinel(rig, &messages)
}

/// Pushes one more event and returns what was published before it.
fn until_sentinel(rig: &Rig, messages: &Messages) -> Vec<Message> {
    let sentinel = json!({"type": "Sentinel"}).to_string();
    rig.asterisk.push(&sentinel);
    let mut before = Vec::new();
    loop {
        let message = messages.expect("the sentinel");
        if message.data == sentinel.as_bytes() {
            return before;
        }
        if message.subject.contains("event.") {
            before.push(message);
        }
    }
}

/// What of `published` went to `dialog`.
fn of_dialog(published: &[Message], dialog: &str) -> Vec<Value> {
    let subject = format!("ari.dialogevent.{dialog}");
    let messages = published
        .iter()
        .filter(|message| message.subject == subject);
    messages.map(Message::json).collect()
}

/// `event` as a dialog gets it.
fn with_dialog(event: &Value, dialog: &str) -> Value {
    let mut event = event.clone();
    event["dialog"] = json!(dialog);
    event
}

fn channel_event(kind: &str, id: &str) -> Value {
    json!({"type": kind, "channel": {"id": id, "name": "Local/1", "state": "Up"}})
}

fn the_recorded_events_pass_byte_for_byte_in_order(on: BusKind) {
    let rig = Rig::with(on, |proxy| {
        proxy
            .env("ARI_APPLICATION", "test")
            .env("ARI_REPLACED_PAUSE", "50ms")
    });
    let messages = rig.bus.subscribe("ari.event.>");
    let events: Vec<&str> = include_str!("data/events.jsonl").lines().collect();
    assert_eq!(events.len(), 488);
    for (number, event) in events.iter().enumerate() {
        let sockets = rig.asterisk.websocket_requests().len();
        rig.asterisk.push(event);
        if event.contains("\"type\":\"ApplicationReplaced\"") {
            // The proxy leaves this websocket, as Asterisk will send it nothing more.
            wait_until("a new websocket", SOON, || {
                rig.asterisk.websocket_requests().len() > sockets && rig.asterisk.websockets() == 1
            });
        }
        let message = messages.expect(&format!("event {number}"));
        assert_eq!(message.subject, format!("ari.event.test.{ENTITY_ID}"));
        assert_eq!(
            String::from_utf8_lossy(&message.data),
            *event,
            "event {number}"
        );
    }
}

fn the_recorded_events_pass_in_one_burst(on: BusKind) {
    let rig = Rig::start(on);
    let messages = rig.bus.subscribe("ari.event.>");
    let all = include_str!("data/events.jsonl").lines();
    let events: Vec<&str> = all.filter(|e| !e.contains("ApplicationReplaced")).collect();
    assert_eq!(events.len(), 487);
    for event in &events {
        rig.asterisk.push(event);
    }
    let got = messages.take(events.len());
    let got: Vec<_> = got
        .iter()
        .map(|m| String::from_utf8_lossy(&m.data))
        .collect();
    assert_eq!(got, events);
}

fn defect_3_every_type_passes_with_every_member(on: BusKind) {
    let rig = Rig::with(on, |proxy| proxy.env("ARI_REPLACED_PAUSE", "50ms"));
    let messages = rig.bus.subscribe("ari.event.>");
    for kind in TYPES.iter().chain(&["ChannelTeleported"]) {
        let sockets = rig.asterisk.websocket_requests().len();
        let event = format!(
            "{{ \"new\":[1.50,{{}}],\"channel\":{{\"id\":\"c\",\"x\":null}}, \
             \"type\":\"{kind}\",\"application\":\"conf\"}}"
        );
        rig.asterisk.push(&event);
        let message = messages.expect(kind);
        assert_eq!(String::from_utf8_lossy(&message.data), event);
        if *kind == "ApplicationReplaced" {
            wait_until("a new websocket", SOON, || {
                rig.asterisk.websocket_requests().len() > sockets && rig.asterisk.websockets() == 1
            });
        }
    }
}

fn odd_frames_do_no_harm(on: BusKind) {
    let mut rig = Rig::start(on);
    let messages = rig.bus.subscribe("ari.event.>");
    rig.bind("ChannelSubscribe", "channel", "c", "d");
    let long = format!("{{\"type\":\"Long\",\"text\":\"{}\"}}", "ü".repeat(100_000));
    let deep = format!(
        "{{\"type\":\"Deep\",\"x\":{}{}}}",
        "[".repeat(5_000),
        "]".repeat(5_000)
    );
    for event in [
        r#"{"type":"ChannelHold","channel":null}"#,
        r#"{"type":"ChannelHold","channel":[{"id":"c"}]}"#,
        r#"{"type":7,"channel":{"id":9},"bridge":"b","playback":{}}"#,
        r#"{"type":"Twice","type":"Again","channel":{"id":"c","id":"d"}}"#,
        &long,
        &deep,
    ] {
        rig.asterisk.push(event);
        let message = messages.expect(event);
        assert_eq!(String::from_utf8_lossy(&message.data), event);
    }
    // What is not JSON may pass or not; what comes after it must.
    for frame in ["", "text", "[]", "{", "null"] {
        rig.asterisk.push(frame);
    }
    until_sentinel(&rig, &messages);
    assert!(rig.proxy.is_running());
}

#[test]
fn an_event_too_large_for_the_server_is_lost_alone() {
    let rig = Rig::start(BusKind::Nats);
    let messages = rig.bus.subscribe("ari.event.>");
    let large = format!("{{\"type\":\"Large\",\"x\":\"{}\"}}", "x".repeat(1_200_000));
    rig.asterisk.push(r#"{"type":"Before"}"#);
    rig.asterisk.push(&large);
    rig.asterisk.push(r#"{"type":"After"}"#);
    let got = messages.take(2);
    assert_eq!(got[0].json()["type"], "Before");
    assert_eq!(got[1].json()["type"], "After");
    assert_eq!(rig.probe(), None);
}

#[test]
fn the_credentials_are_in_a_header_and_not_in_the_url() {
    let rig = Rig::start(BusKind::Nats);
    let upgrades = rig.asterisk.websocket_requests();
    assert_eq!(upgrades.len(), 1);
    assert!(upgrades[0].headers["authorization"].starts_with("Basic "));
    assert_eq!(upgrades[0].query["app"], "conf");
    assert!(
        !upgrades[0].target.contains("api_key"),
        "{}",
        upgrades[0].target
    );
}

fn a_dialog_gets_the_events_of_what_it_is_bound_to(on: BusKind) {
    let rig = Rig::start(on);
    let cases = [
        (
            "ChannelSubscribe",
            "channel",
            "c1",
            channel_event("ChannelVarset", "c1"),
        ),
        (
            "BridgeSubscribe",
            "bridge",
            "b1",
            json!({"type": "BridgeCreated", "bridge": {"id": "b1", "channels": []}}),
        ),
        (
            "PlaybackSubscribe",
            "playback",
            "p1",
            json!({"type": "PlaybackStarted", "playback": {"id": "p1", "state": "playing"}}),
        ),
    ];
    for (kind, key_kind, id, event) in cases {
        let dialog = format!("dialog-{id}");
        rig.bind(kind, key_kind, id, &dialog);
        let published = published(&rig, std::slice::from_ref(&event));
        assert_eq!(published.len(), 2, "{published:?}");
        let plain = published
            .iter()
            .find(|m| m.subject.starts_with("ari.event."));
        assert_eq!(
            plain.expect("published as ever").data,
            event.to_string().as_bytes()
        );
        assert_eq!(
            of_dialog(&published, &dialog),
            [with_dialog(&event, &dialog)]
        );
    }
}

fn defect_10_a_dialog_gets_the_events_of_its_recording_and_device_state(on: BusKind) {
    let rig = Rig::start(on);
    rig.asterisk.on(|_| Some(Reply::done()));
    rig.bind("RecordingLiveSubscribe", "liverecording", "r1", "d1");
    let recording = json!({"type": "RecordingStarted", "recording":
        {"name": "r1", "format": "wav", "state": "recording", "target_uri": "channel:c"}});
    let update = json!({"kind": "DeviceStateUpdate",
        "key": {"kind": "devicestate", "id": "Stasis:x", "dialog": "d2"},
        "device_state_update": {"state": "BUSY"}});
    assert_eq!(rig.ask("command", &update)["error"], "");
    let device = json!({"type": "DeviceStateChanged",
        "device_state": {"name": "Stasis:x", "state": "BUSY"}});
    let published = published(&rig, &[recording.clone(), device.clone()]);
    assert_eq!(of_dialog(&published, "d1"), [with_dialog(&recording, "d1")]);
    assert_eq!(of_dialog(&published, "d2"), [with_dialog(&device, "d2")]);
}

fn a_dialog_gets_the_events_of_what_its_requests_create(on: BusKind) {
    let rig = Rig::start(on);
    rig.asterisk
        .on(|_| Some(Reply::ok(&json!({"id": "x", "name": "x"}))));
    let key = |kind: &str, dialog: &str| json!({"kind": kind, "id": "there", "dialog": dialog});
    let requests = [
        json!({"kind": "ChannelPlay", "key": key("channel", "d-play"),
            "channel_play": {"playback_id": "p1", "media_uri": "sound:x"}}),
        json!({"kind": "BridgePlay", "key": key("bridge", "d-bplay"),
            "bridge_play": {"playback_id": "p2", "media_uri": "sound:x"}}),
        json!({"kind": "ChannelRecord", "key": key("channel", "d-record"),
            "channel_record": {"name": "r1", "options": {"Format": "wav"}}}),
        json!({"kind": "ChannelSnoop", "key": key("channel", "d-snoop"),
            "channel_snoop": {"snoop_id": "s1", "options": {"spy": "in"}}}),
        json!({"kind": "ChannelOriginate", "key": {"dialog": "d-orig"}, "channel_originate":
            {"originate_request": {"endpoint": "Local/1", "app": "conf",
                "channelId": "o1", "otherChannelId": "o2"}}}),
    ];
    for request in &requests {
        assert_eq!(rig.ask("create", request)["error"], "", "{request}");
    }
    let playback = |id: &str| json!({"type": "PlaybackStarted", "playback": {"id": id}});
    let expected = [
        ("d-play", playback("p1")),
        ("d-bplay", playback("p2")),
        (
            "d-record",
            json!({"type": "RecordingStarted", "recording": {"name": "r1"}}),
        ),
        ("d-snoop", channel_event("ChannelCreated", "s1")),
        ("d-orig", channel_event("ChannelCreated", "o1")),
        ("d-orig", channel_event("ChannelCreated", "o2")),
    ];
    let events: Vec<Value> = expected.iter().map(|(_, event)| event.clone()).collect();
    let published = published(&rig, &events);
    for (dialog, event) in &expected {
        let got = of_dialog(&published, dialog);
        assert!(
            got.contains(&with_dialog(event, dialog)),
            "{dialog}: {got:?}"
        );
        let wanted = expected.iter().filter(|(other, _)| other == dialog).count();
        assert_eq!(got.len(), wanted, "{dialog}: {got:?}");
    }
}

fn a_dialog_gets_events_that_name_its_channel_anywhere(on: BusKind) {
    let rig = Rig::start(on);
    rig.bind("ChannelSubscribe", "channel", "c", "d");
    let channel = json!({"id": "c", "name": "x"});
    let events: Vec<Value> = [
        ("Dial", "caller"),
        ("Dial", "peer"),
        ("Dial", "forwarded"),
        ("BridgeBlindTransfer", "transferee"),
        ("BridgeBlindTransfer", "replace_channel"),
        ("StasisStart", "replace_channel"),
        ("BridgeAttendedTransfer", "transferer_first_leg"),
        ("BridgeAttendedTransfer", "destination_link_second_leg"),
    ]
    .iter()
    .map(|(kind, member)| json!({"type": kind, *member: channel}))
    .chain([
        json!({"type": "BridgeMerged", "bridge": {"id": "b", "channels": ["a", "c"]}}),
        json!({"type": "BridgeMerged", "bridge": {"id": "b", "channels": []},
            "bridge_from": {"id": "f", "channels": ["c"]}}),
    ])
    .collect();
    let unrelated = channel_event("ChannelVarset", "other");
    let pushed = [events.as_slice(), &[unrelated]].concat();
    let published = published(&rig, &pushed);
    let expected: Vec<Value> = events.iter().map(|event| with_dialog(event, "d")).collect();
    assert_eq!(of_dialog(&published, "d"), expected);
}

fn defect_22_an_event_comes_once_per_dialog(on: BusKind) {
    let rig = Rig::start(on);
    rig.bind("ChannelSubscribe", "channel", "c", "d");
    rig.bind("BridgeSubscribe", "bridge", "b", "d");
    rig.bind("BridgeSubscribe", "bridge", "b", "other");
    let event = json!({"type": "ChannelEnteredBridge", "channel": {"id": "c"},
        "bridge": {"id": "b", "channels": ["c"]}});
    let published = published(&rig, std::slice::from_ref(&event));
    assert_eq!(published.len(), 3, "{published:?}");
    assert_eq!(of_dialog(&published, "d"), [with_dialog(&event, "d")]);
    assert_eq!(
        of_dialog(&published, "other"),
        [with_dialog(&event, "other")]
    );
}

fn defect_9_a_binding_ends_with_its_entity_after_its_last_event(on: BusKind) {
    let rig = Rig::start(on);
    let cases = [
        (
            "ChannelSubscribe",
            "channel",
            channel_event("ChannelDestroyed", "x"),
        ),
        (
            "BridgeSubscribe",
            "bridge",
            json!({"type": "BridgeDestroyed", "bridge": {"id": "x", "channels": []}}),
        ),
        (
            "PlaybackSubscribe",
            "playback",
            json!({"type": "PlaybackFinished", "playback": {"id": "x", "state": "done"}}),
        ),
        (
            "RecordingLiveSubscribe",
            "liverecording",
            json!({"type": "RecordingFinished", "recording": {"name": "x", "state": "done"}}),
        ),
        (
            "RecordingLiveSubscribe",
            "liverecording",
            json!({"type": "RecordingFailed", "recording": {"name": "x", "state": "failed"}}),
        ),
    ];
    for (kind, key_kind, last) in cases {
        rig.bind(kind, key_kind, "x", "d");
        let published = published(&rig, &[last.clone(), last.clone()]);
        assert_eq!(
            of_dialog(&published, "d"),
            [with_dialog(&last, "d")],
            "{kind}"
        );
        assert_eq!(published.len(), 3, "{kind}");
    }
}

fn a_binding_outlives_a_call_that_asterisk_may_have_carried_out(on: BusKind) {
    let rig = Rig::with(on, |proxy| proxy.env("HTTP_RESPONSE_TIMEOUT", "300ms"));
    let answer = |id: &str, dialog: &str| {
        let key = json!({"kind": "channel", "id": id, "dialog": dialog});
        rig.ask("command", &json!({"kind": "ChannelAnswer", "key": key}))
    };
    // The scripted Asterisk knows no channel: 404, and nothing to bind to.
    assert_ne!(answer("nowhere", "in-vain")["error"], "");
    rig.asterisk.stall_http(true);
    assert_ne!(answer("c", "kept")["error"], "");
    rig.asterisk.stall_http(false);
    let events = ["c", "nowhere"].map(|id| channel_event("ChannelVarset", id));
    let published = published(&rig, &events);
    assert_eq!(
        of_dialog(&published, "kept"),
        [with_dialog(&events[0], "kept")]
    );
    assert_eq!(of_dialog(&published, "in-vain"), [] as [Value; 0]);
}

fn bindings_are_bounded_in_number(on: BusKind) {
    let rig = Rig::with(on, |proxy| proxy.env("DIALOGS_MAX", "10"));
    for number in 0..50 {
        rig.bind(
            "ChannelSubscribe",
            "channel",
            &format!("c{number}"),
            &format!("d{number}"),
        );
    }
    let events: Vec<Value> = (0..50)
        .map(|number| channel_event("ChannelVarset", &format!("c{number}")))
        .collect();
    let published = published(&rig, &events);
    let to_dialogs = published
        .iter()
        .filter(|m| m.subject.contains("dialogevent"));
    assert!(to_dialogs.count() <= 10, "{published:?}");
    assert_eq!(of_dialog(&published, "d49").len(), 1, "the newest is kept");
}

fn a_dialog_that_cannot_be_a_subject_does_no_harm(on: BusKind) {
    let rig = Rig::start(on);
    for dialog in [
        "a b",
        "*",
        ">",
        "a..b",
        "x\r\nPUB ari.ping 0\r\n",
        &"d".repeat(5_000),
    ] {
        let key = json!({"kind": "channel", "id": "c", "dialog": dialog});
        let answer = rig.ask("command", &json!({"kind": "ChannelSubscribe", "key": key}));
        assert!(answer["error"].is_string(), "{dialog}");
    }
    let event = channel_event("ChannelVarset", "c");
    let published = published(&rig, std::slice::from_ref(&event));
    assert_eq!(published[0].data, event.to_string().as_bytes());
    assert_eq!(rig.probe(), None);
}
