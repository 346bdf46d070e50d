//! Where handles are, and what they make of answers.

use std::time::Duration;

use serde_json::json;

use super::recorder::{NODE, Recorder, Seen};
use crate::client::{
    Bridge, BridgeCreate, BridgeType, Bridges, Channel, ChannelCreate, Channels, DeviceStateValue,
    Dial, DtmfOptions, Error, HangupReason, Key, LiveRecording, Originate, Playback, RecordOptions,
    Snoop, Staged,
};

fn kinds(seen: &[Seen]) -> Vec<&str> {
    seen.iter().map(|seen| seen.kind.as_str()).collect()
}

#[test]
fn threads_may_share_them() {
    fn shared<T: Send + Sync + Clone + std::fmt::Debug>() {}
    fn sent<T: Send + std::fmt::Debug>() {}
    shared::<Channel>();
    shared::<Bridge>();
    shared::<Playback>();
    shared::<LiveRecording>();
    shared::<Channels>();
    sent::<Staged<Playback>>();
}

#[test]
fn answers_tell_where() {
    let recorder = Recorder::new();
    let channels = Channels::new(recorder.clone());
    let anywhere = Key::channel("c").in_app("conf");
    assert_eq!(channels.handle("c").key(), &anywhere);
    let found = channels.get("c").unwrap();
    assert_eq!(found.key(), &anywhere.clone().at(NODE));
    assert_eq!((found.id(), channels.list().unwrap().len()), ("c", 1));

    let made = channels.originate(&Originate::to("PJSIP/1")).unwrap();
    assert_eq!(made.key().node, NODE);
    assert!(made.id().ends_with("-ch"));
    let bridge = Bridges::new(recorder.clone())
        .create(&BridgeCreate::default())
        .unwrap();
    assert_eq!(
        bridge.key(),
        &Key::bridge(bridge.id()).at(NODE).in_app("conf")
    );
    assert!(bridge.id().ends_with("-br"));
    assert!(found.play("sound:x").unwrap().id().ends_with("-pb"));
    let snoop = found.snoop(&Snoop::default()).unwrap();
    assert!(snoop.id().ends_with("-sn"));
    assert_eq!(snoop.key().node, NODE);
}

#[test]
fn what_is_made_from_a_channel_is_made_where_that_is() {
    let recorder = Recorder::new();
    let channel = Channels::new(recorder.clone()).handle("c");
    channel.play("sound:x").unwrap();
    let seen = recorder.take();
    assert_eq!(kinds(&seen), ["ChannelGet", "", "ChannelPlay"]);
    assert_eq!(seen[2].body["key"]["node"], NODE);
}

#[test]
fn dialogs_stay_with_what_is_made() {
    let recorder = Recorder::new();
    let channel = Channels::new(recorder.clone()).at(NODE).handle("c");
    let bound = channel.bind_dialog("d").unwrap();
    let playback = bound.play("sound:x").unwrap();
    assert_eq!(playback.key().dialog, "d", "no answer has it");
    playback.stop().unwrap();
    channel.answer().unwrap();
    let dialogs: Vec<String> = recorder
        .take()
        .iter()
        .filter(|seen| seen.class != "listen")
        .map(|seen| seen.body["key"]["dialog"].to_string())
        .collect();
    assert_eq!(dialogs, ["\"d\"", "\"d\"", "\"d\"", "null"]);
}

#[test]
fn two_channels_meet() {
    let recorder = Recorder::new();
    let channels = Channels::new(recorder.clone()).at(NODE);
    let (one, other) = (channels.handle("c1"), channels.handle("c2"));
    let bridge = one.bridge(&other).unwrap();
    let seen = recorder.take();
    let asked = ["BridgeCreate", "BridgeAddChannel", "BridgeAddChannel"];
    assert_eq!(kinds(&seen), asked);
    assert_eq!(seen[0].body["bridge_create"]["type"], "mixing");
    assert_eq!(seen[2].body["key"]["id"], bridge.id());
    assert_eq!(seen[2].body["bridge_add_channel"]["channel"], "c2");

    let why = Error::NotFound("Channel not found".into());
    recorder.refuse("BridgeAddChannel", why.clone());
    assert_eq!(one.bridge(&other).unwrap_err(), why);
    let seen = recorder.take();
    assert_eq!(seen.last().unwrap().kind, "BridgeDelete");

    let elsewhere = channels.at("00:02").handle("c2");
    assert!(matches!(one.bridge(&elsewhere), Err(Error::Setting(_))));
    assert!(recorder.take().is_empty());
}

#[test]
fn nothing_is_made_before_it_is_executed() {
    let recorder = Recorder::new();
    let channels = Channels::new(recorder.clone());
    let staged = channels.stage_originate(&Originate::to("PJSIP/1")).unwrap();
    let key = staged.handle().key().clone();
    assert_eq!(key.node, NODE);
    assert_eq!(kinds(&recorder.take()), ["ChannelStageOriginate"]);
    assert_eq!(staged.exec().unwrap().key(), &key);
    let seen = recorder.take();
    assert_eq!(kinds(&seen), ["ChannelOriginate"]);
    let made = &seen[0].body;
    assert_eq!(made["key"]["node"], NODE, "where it was staged");
    assert_eq!(
        made["channel_originate"]["originate_request"]["channelId"],
        key.id
    );

    let staged = channels.handle("c").stage_play("sound:x").unwrap();
    assert_eq!(kinds(&recorder.take()), ["ChannelStagePlay", ""]);
    staged.exec().unwrap();
    let seen = recorder.take();
    assert_eq!(kinds(&seen), ["ChannelPlay"]);
    assert_eq!(
        seen[0].body["key"],
        json!({"kind": "channel", "id": "c", "node": NODE, "app": "conf"})
    );
}

#[test]
fn calls_come_back_to_the_application() {
    let recorder = Recorder::new();
    let channels = Channels::new(recorder.clone());
    let into_the_dialplan = Originate {
        context: "default".into(),
        ..Originate::to("PJSIP/1")
    };
    channels.originate(&Originate::to("PJSIP/1")).unwrap();
    channels.originate(&into_the_dialplan).unwrap();
    channels.create(&ChannelCreate::to("PJSIP/1")).unwrap();
    let seen = recorder.take();
    // A Go proxy adds none to a snoop.
    let channel = channels.at(NODE).handle("c");
    channel.snoop(&Snoop::default()).unwrap();
    let staged = channel.stage_snoop(&Snoop::default()).unwrap();
    let id = staged.handle().id().to_owned();
    staged.exec().unwrap();
    let snoops = recorder.take();
    for snoop in &snoops {
        assert_eq!(snoop.body["channel_snoop"]["options"]["app"], "conf");
    }
    for snoop in &snoops[1..] {
        assert_eq!(snoop.body["channel_snoop"]["snoop_id"], id);
    }
    let apps: Vec<String> = seen
        .iter()
        .map(|seen| {
            let payloads = ["channel_originate", "channel_create"];
            let requests = ["originate_request", "channel_create_request"];
            let (payload, request) = match seen.kind.as_str() {
                "ChannelOriginate" => (payloads[0], requests[0]),
                _ => (payloads[1], requests[1]),
            };
            seen.body[payload][request]["app"].to_string()
        })
        .collect();
    assert_eq!(apps, ["\"conf\"", "null", "\"conf\""]);
}

#[test]
fn units_on_the_wire() {
    let timeout = |timeout| {
        let call = Originate {
            timeout,
            ..Originate::default()
        };
        serde_json::to_value(call).unwrap()["timeout"].clone()
    };
    assert_eq!(timeout(None), json!(null));
    assert_eq!(timeout(Some(Duration::from_millis(1_500))), 2);
    assert_eq!(timeout(Some(Duration::ZERO)), 1);
    assert_eq!(timeout(Some(Duration::MAX)), -1);
    // Proxies cut to whole seconds, and none at all are no limit.
    for (limit, wire) in [
        (Duration::ZERO, 0),
        (Duration::from_millis(1), 1_000_000_000),
        (Duration::from_millis(1_500), 2_000_000_000),
        (Duration::MAX, i64::from(i32::MAX) * 1_000_000_000),
    ] {
        let options = RecordOptions {
            max_duration: limit,
            max_silence: limit,
            ..RecordOptions::default()
        };
        let options = serde_json::to_value(options).unwrap();
        assert_eq!(
            (&options["MaxDuration"], &options["MaxSilence"]),
            (&json!(wire), &json!(wire))
        );
        let dial = serde_json::to_value(Dial::within(limit)).unwrap();
        assert_eq!(dial["timeout"], wire);
    }
    let dtmf = DtmfOptions {
        before: Duration::from_millis(3),
        after: Duration::MAX,
        ..DtmfOptions::default()
    };
    assert_eq!(
        serde_json::to_value(dtmf).unwrap(),
        json!({"Before": 3_000_000, "Between": 0, "Duration": 0, "After": i64::MAX})
    );
}

#[test]
fn texts_that_are_one_of_a_few() {
    assert_eq!(HangupReason::from("no_answer"), HangupReason::NoAnswer);
    assert_eq!(HangupReason::from("odd").name(), "odd");
    assert_eq!(
        DeviceStateValue::from("NOT_INUSE"),
        DeviceStateValue::NotInUse
    );
    let bridge = BridgeCreate {
        types: vec![BridgeType::Mixing, BridgeType::ProxyMedia],
        ..BridgeCreate::default()
    };
    assert_eq!(
        serde_json::to_value(bridge).unwrap(),
        json!({"type": "mixing,proxy_media"})
    );
}
