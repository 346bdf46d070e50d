//! Every verb there is, with what was recorded of the Go client where it was.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;

use super::recorder::{NODE, Recorder, Seen};
use crate::client::{
    AddOptions, Applications, Asterisk, BridgeCreate, BridgeType, Bridges, ChannelCreate, Channels,
    DeviceStates, Dial, Direction, DtmfOptions, Endpoints, Error, ExternalMedia, IfExists, Key,
    Mailboxes, Originate, Playbacks, RecordOptions, Recordings, Snoop, Sounds, TerminateOn,
};
use crate::wire::call;
use crate::wire::kinds;
use crate::wire::request::Request;

/// What all verbs ask.
pub(super) fn all() -> Vec<Seen> {
    let recorder = Recorder::new();
    for verbs in [
        calls, channels, media, staged, bridges, playbacks, recordings, others, asterisk,
    ] {
        verbs(&recorder).unwrap();
    }
    recorder.take()
}

fn originate() -> Originate {
    Originate {
        app: "conf".into(),
        app_args: "x,y".into(),
        caller_id: "\"Conf\" <100>".into(),
        timeout: Some(Duration::from_secs(30)),
        id: "conf-a".into(),
        other_id: "conf-a2".into(),
        variables: BTreeMap::from([("V1".into(), "one".into())]),
        ..Originate::to("Local/200@default")
    }
}

fn calls(recorder: &Arc<Recorder>) -> Result<(), Error> {
    let channels = Channels::new(recorder.clone());
    channels.originate(&originate())?;
    let staged = Originate {
        app: "conf".into(),
        id: "conf-staged".into(),
        ..Originate::to("Local/204@default")
    };
    channels.stage_originate(&staged)?.exec()?;
    let here = channels.at(NODE);
    here.create(&ChannelCreate {
        id: "conf-created".into(),
        other_id: "conf-created2".into(),
        ..ChannelCreate::to("Local/205@default")
    })?;
    let media = |id: &str| ExternalMedia {
        id: id.into(),
        ..ExternalMedia::rtp("127.0.0.1:40000", "ulaw")
    };
    channels.external_media(&media("conf-em"))?;
    channels.stage_external_media(&media("conf-em3"))?.exec()?;
    channels.list()?;
    here.get("conf-a")?;
    here.handle("conf-created")
        .dial(&Dial::within(Duration::from_secs(5)))?;
    let key = Key::channel("conf-h1").at(NODE);
    channels.of(&key).hangup_with("no_answer")?;
    here.handle("conf-h2").hangup()?;
    here.handle("conf-h3").busy()?;
    here.handle("conf-h4").congestion()
}

fn channels(recorder: &Arc<Recorder>) -> Result<(), Error> {
    let channel = Channels::new(recorder.clone()).at(NODE).handle("conf-a");
    channel.data()?;
    channel.set_variable("CONFVAR", "x y&z=ü")?;
    channel.variable("CONFVAR")?;
    channel.answer()?;
    channel.ring()?;
    channel.stop_ring()?;
    channel.hold()?;
    channel.unhold()?;
    channel.silence()?;
    channel.stop_silence()?;
    channel.moh("default")?;
    channel.stop_moh()?;
    channel.mute(Direction::In)?;
    channel.unmute(Direction::In)?;
    channel.dtmf_with(
        "1#",
        &DtmfOptions {
            between: Duration::from_millis(100),
            duration: Duration::from_millis(120),
            ..DtmfOptions::default()
        },
    )?;
    channel.dtmf("1")?;
    channel.user_event("confEvent", &json!({"k": "v"}))?;
    channel.bind_dialog("d")?.answer()?;
    channel.continue_in_dialplan("default", "200", 1)
}

fn options() -> RecordOptions {
    RecordOptions {
        max_duration: Duration::from_secs(60),
        max_silence: Duration::from_secs(10),
        if_exists: IfExists::Overwrite,
        terminate_on: TerminateOn::Hash,
        ..RecordOptions::default()
    }
}

fn snoop() -> Snoop {
    Snoop {
        id: "conf-snoop".into(),
        app: "conf".into(),
        app_args: "snooping".into(),
        ..Snoop::default()
    }
}

fn media(recorder: &Arc<Recorder>) -> Result<(), Error> {
    let channel = Channels::new(recorder.clone()).at(NODE).handle("conf-a");
    channel.play_as("conf-pb", "sound:hello-world")?;
    channel.play("sound:hello-world")?;
    channel.record("conf-rec", &options())?;
    channel.snoop(&snoop())?;
    channel.external_media(&ExternalMedia::rtp("h:1", "ulaw"))?;
    channel.originate(&Originate::to("PJSIP/1"))?;
    Ok(())
}

fn staged(recorder: &Arc<Recorder>) -> Result<(), Error> {
    let channel = Channels::new(recorder.clone()).at(NODE).handle("conf-a");
    channel
        .stage_play_as("conf-pb2", "sound:hello-world")?
        .exec()?;
    channel.stage_play("sound:hello-world")?.exec()?;
    channel.stage_record("conf-rec4", &options())?.exec()?;
    let snoop = Snoop {
        id: "conf-snoop2".into(),
        app_args: String::new(),
        spy: Direction::In,
        ..snoop()
    };
    channel.stage_snoop(&snoop)?.exec()?;
    channel.stage_originate(&Originate::to("PJSIP/1"))?.exec()?;
    let media = ExternalMedia::rtp("h:1", "ulaw");
    channel.stage_external_media(&media)?.exec()?;
    Ok(())
}

fn bridges(recorder: &Arc<Recorder>) -> Result<(), Error> {
    let bridges = Bridges::new(recorder.clone());
    let here = bridges.at(NODE);
    let create = |types: &[BridgeType]| BridgeCreate {
        id: "conf-b".into(),
        types: types.to_vec(),
        name: "confb".into(),
    };
    here.create(&create(&[BridgeType::Mixing, BridgeType::DtmfEvents]))?;
    here.stage_create(&create(&[BridgeType::Mixing]))?.exec()?;
    bridges.list()?;
    let bridge = here.get("conf-b")?;
    bridge.data()?;
    let channel = Channels::new(recorder.clone()).at(NODE).handle("conf-a");
    bridge.add(&channel)?;
    bridge.add_with(
        &channel,
        &AddOptions {
            role: "announcer".into(),
            mute: true,
            absorb_dtmf: true,
        },
    )?;
    bridge.video_source(&channel)?;
    bridge.delete_video_source()?;
    bridge.moh("default")?;
    bridge.stop_moh()?;
    bridge.play_as("conf-bpb", "sound:hello-world")?;
    bridge.play("sound:hello-world")?;
    bridge
        .stage_play_as("conf-bpb2", "sound:hello-world")?
        .exec()?;
    bridge.stage_play("sound:hello-world")?.exec()?;
    let options = RecordOptions {
        max_silence: Duration::ZERO,
        beep: true,
        terminate_on: TerminateOn::None,
        ..options()
    };
    bridge.record("conf-brec", &options)?;
    bridge.stage_record("conf-brec2", &options)?.exec()?;
    bridge.bind_dialog("d")?.unbind_dialog()?;
    bridge.remove(&channel)?;
    bridge.delete()
}

fn playbacks(recorder: &Arc<Recorder>) -> Result<(), Error> {
    let playback = Playbacks::new(recorder.clone()).at(NODE).get("conf-pb")?;
    playback.data()?;
    playback.bind_dialog("d")?;
    playback.pause()?;
    playback.unpause()?;
    playback.restart()?;
    playback.reverse()?;
    playback.forward()?;
    playback.stop()
}

fn recordings(recorder: &Arc<Recorder>) -> Result<(), Error> {
    let recordings = Recordings::new(recorder.clone());
    let live = recordings.live().at(NODE).get("conf-rec")?;
    live.data()?;
    live.bind_dialog("d")?;
    live.mute()?;
    live.unmute()?;
    live.pause()?;
    live.resume()?;
    live.stop()?;
    recordings.live().at(NODE).handle("conf-rec3").scrap()?;
    recordings.stored().list()?;
    recordings.stored().at(NODE).get("conf-rec")?;
    live.stored().data()?;
    let copy = live.stored().copy("conf-rec-copy")?;
    assert_eq!(copy.name(), "conf-rec-copy");
    copy.delete()
}

fn others(recorder: &Arc<Recorder>) -> Result<(), Error> {
    let applications = Applications::new(recorder.clone());
    applications.list()?;
    let application = applications.at(NODE).get("conf")?;
    application.data()?;
    application.subscribe_to("deviceState:Stasis:conf")?;
    application.unsubscribe_from("deviceState:Stasis:conf")?;

    let states = DeviceStates::new(recorder.clone());
    states.list()?;
    let state = states.at(NODE).get("Stasis:conf")?;
    state.update("BUSY")?;
    state.data()?;
    state.delete()?;

    let endpoints = Endpoints::new(recorder.clone());
    endpoints.list()?;
    endpoints.list_by_tech("PJSIP")?;
    endpoints.at(NODE).get("PJSIP/6001")?.data()?;

    let mailboxes = Mailboxes::new(recorder.clone());
    mailboxes.list()?;
    let mailbox = mailboxes.at(NODE).get("conf@default")?;
    mailbox.update(2, 3)?;
    mailbox.data()?;
    mailbox.delete()?;

    let sounds = Sounds::new(recorder.clone());
    sounds.list("en", "gsm")?;
    sounds.at(NODE).handle("hello-world").data()?;
    Ok(())
}

fn asterisk(recorder: &Arc<Recorder>) -> Result<(), Error> {
    let asterisk = Asterisk::new(recorder.clone());
    asterisk.info()?;
    let asterisk = asterisk.at(NODE);
    asterisk.variables().set("CONF_GV", "a b&c=ü")?;
    asterisk.variables().get("CONF_GV")?;

    let modules = asterisk.modules();
    modules.list()?;
    modules.get("res_ari.so")?.data()?;
    modules.handle("app_milliwatt.so").unload()?;
    modules.handle("app_milliwatt.so").load()?;
    modules.handle("res_musiconhold.so").reload()?;

    let logging = asterisk.logging();
    logging.list()?;
    logging.create("conf_log", "notice,warning")?;
    logging.get("conf_log")?.data()?;
    logging.handle("conf_log").rotate()?;
    logging.handle("conf_log").delete()?;

    let config = asterisk.config();
    config.object("res_pjsip", "endpoint", "6001").data()?;
    let auth = config.object("res_pjsip", "auth", "conf");
    auth.update(&[("auth_type", "userpass"), ("username", "conf")])?;
    auth.delete()
}

#[test]
fn every_kind_has_a_verb() {
    let asked: BTreeSet<String> = all().into_iter().map(|seen| seen.kind).collect();
    for kind in &kinds::KINDS {
        assert!(asked.contains(kind.name), "{} has none", kind.name);
    }
    // And those that are subscriptions.
    assert_eq!(asked.len(), kinds::KINDS.len() + 1);
}

#[test]
fn what_verbs_ask_can_be_done_and_is_permitted() {
    for seen in all() {
        if seen.class == "listen" {
            continue;
        }
        let request = Request::read(seen.body.to_string().as_bytes()).unwrap();
        let kind = kinds::of(&request).unwrap();
        assert_eq!(kind.name, seen.kind);
        let plan = call::plan(&request, kind, "conf").unwrap_or_else(|error| {
            panic!("{}: {error}", seen.body);
        });
        if kind.changes() {
            assert!(["command", "create"].contains(&seen.class), "{seen:?}");
        }
        // The proxy makes no ids: who repeats the request repeats them.
        if let Some(created) = plan.created {
            assert!(seen.body.to_string().contains(&created), "{}", seen.body);
        }
    }
}
