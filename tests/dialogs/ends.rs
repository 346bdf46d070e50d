//! How a dialog ends: with its channel or the last of what it has, once, and with nothing left of it.

use std::time::Duration;

use serde_json::{Value, json};

use super::commands::call;
use crate::support::application::Manner;
use crate::support::bus::{BusKind, Server, on_each_bus};
use crate::support::dialog_rig::{DialogRig, of_channel, of_entity};
use crate::support::server::Reply;
use crate::support::wait::{SOON, wait_until};

on_each_bus!(
    with_the_stasis_end_of_its_channel,
    not_with_that_of_another,
    with_the_last_of_what_it_has,
    queues_stay_until_the_last_event_is_taken,
    commands_on_their_way_are_answered_before_the_end,
    commands_after_the_end_are_not_executed,
    a_channel_that_comes_back_is_another_dialog,
    the_proxy_stopped_leaves_the_bus_as_it_should,
);

fn with_the_stasis_end_of_its_channel(on: BusKind) {
    let rig = DialogRig::start(on);
    rig.asterisk.on(|_, request| {
        let made = request.method == "POST" && request.path == "/ari/bridges/b1";
        made.then(|| Reply::ok(&json!({"id": "b1"})))
    });
    let (application, dialog) = call(&rig, "1.1");
    // There is a bridge still, which is nobody's then.
    assert_eq!(
        application
            .call(&dialog, "POST", "/bridges/b1", "")
            .status_code,
        200
    );
    let end = rig.asterisk.end("1.1");
    application.wait_event(&dialog, "StasisEnd", |_| true);
    for event in [
        of_entity("BridgeDestroyed", "bridge", &json!({"id": "b1"})),
        of_channel("ChannelVarset", "1.1", &json!({})),
        of_channel("StasisEnd", "1.1", &json!({"again": true})),
    ] {
        rig.asterisk.push(event);
    }
    rig.settle(&application);
    rig.wait_no_topics("");
    assert_eq!(application.events(&dialog).last(), Some(&end));
    assert_eq!(application.complaints(), [""; 0]);
}

fn not_with_that_of_another(on: BusKind) {
    let rig = DialogRig::start(on);
    rig.asterisk.on(|asterisk, request| {
        let id = request.path.strip_prefix("/ari/channels/c")?;
        let id = format!("c{id}");
        if request.method != "POST" || id.contains('/') {
            return None;
        }
        asterisk.add_channel(&id);
        Some(Reply::ok(&json!({"id": id, "name": "PJSIP/x"})))
    });
    let (application, dialog) = call(&rig, "1.1");
    for id in ["c1", "c2"] {
        let url = format!("/channels/{id}");
        assert_eq!(application.call(&dialog, "POST", &url, "").status_code, 200);
    }
    rig.asterisk.begin("c1");
    rig.asterisk.end("c1");
    // This one never came into the application.
    rig.asterisk.forget_channel("c2");
    rig.asterisk
        .push_channel("ChannelDestroyed", "c2", &json!({"cause": 17}));
    let gone = |id: &'static str| move |event: &Value| event["channel"]["id"] == id;
    application.wait_event(&dialog, "ChannelDestroyed", gone("c1"));
    application.wait_event(&dialog, "ChannelDestroyed", gone("c2"));
    let response = application.call(&dialog, "POST", "/channels/1.1/answer", "");
    assert_eq!(response.status_code, 204);
    let more = rig
        .asterisk
        .push_channel("ChannelVarset", "1.1", &json!({}));
    wait_until("its events go on", SOON, || {
        application.events(&dialog).last() == Some(&more)
    });
    assert_eq!(application.dialogs().len(), 1);
    rig.asterisk.end("1.1");
    rig.wait_no_topics("");
}

fn with_the_last_of_what_it_has(on: BusKind) {
    let rig = DialogRig::start(on);
    rig.asterisk.on(|_, request| {
        let made = request.method == "POST" && request.path == "/ari/bridges/b1";
        made.then(|| Reply::ok(&json!({"id": "b1"})))
    });
    let (application, dialog) = call(&rig, "1.1");
    assert_eq!(
        application
            .call(&dialog, "POST", "/bridges/b1", "")
            .status_code,
        200
    );
    // A channel may be gone without a StasisEnd, as one that was moved to another application.
    rig.asterisk.forget_channel("1.1");
    rig.asterisk
        .push_channel("ChannelDestroyed", "1.1", &json!({"cause": 16}));
    application.wait_event(&dialog, "ChannelDestroyed", |_| true);
    let bridge = |kind: &str| of_entity(kind, "bridge", &json!({"id": "b1"}));
    rig.asterisk.push(bridge("BridgeVideoSourceChanged"));
    application.wait_event(&dialog, "BridgeVideoSourceChanged", |_| true);
    let last = rig.asterisk.push(bridge("BridgeDestroyed"));
    application.wait_event(&dialog, "BridgeDestroyed", |_| true);
    rig.asterisk.push(bridge("BridgeCreated"));
    rig.settle(&application);
    rig.wait_no_topics("");
    assert_eq!(application.events(&dialog).last(), Some(&last));
}

fn queues_stay_until_the_last_event_is_taken(on: BusKind) {
    if on == BusKind::Nats {
        // It keeps nothing for who is not there.
        return;
    }
    let rig = DialogRig::start(on);
    let application = rig.application(Manner::ByHand);
    let begin = rig.asterisk.begin("1.1");
    let dialog = application.wait_dialog(1);
    application.show(&dialog);
    application.send(&dialog, "POST", "/channels/1.1/answer", "");
    wait_until("the command is done", SOON, || {
        !rig.asterisk.calls("/answer").is_empty()
    });
    let end = rig.asterisk.end("1.1");
    rig.settle(&application);
    let events = format!("events_{dialog}");
    assert!(rig.topics().contains(&events), "{:?}", rig.topics());
    application.listen(&dialog);
    assert_eq!(application.wait_events(&dialog, 2), [begin, end]);
    assert_eq!(application.wait_responses(&dialog, 1)[0].status_code, 204);
    rig.wait_no_topics("");
    assert_eq!(application.complaints(), [""; 0]);
}

fn commands_on_their_way_are_answered_before_the_end(on: BusKind) {
    let rig = DialogRig::start(on);
    let (gate, opened) = crossbeam_channel::bounded::<()>(0);
    rig.asterisk.on(move |_, request| {
        if request.path != "/ari/channels/1.1" {
            return None;
        }
        let _ = opened.recv_timeout(SOON);
        Some(Reply::done())
    });
    let (application, dialog) = call(&rig, "1.1");
    // As an application hangs up: the channel is gone before the command has its answer.
    let last = application.send(&dialog, "DELETE", "/channels/1.1", "{}");
    wait_until("the command is at Asterisk", SOON, || {
        !rig.asterisk.calls("/ari/channels/1.1").is_empty()
    });
    rig.asterisk.end("1.1");
    application.wait_event(&dialog, "StasisEnd", |_| true);
    drop(gate);
    assert_eq!(application.response(&dialog, &last).status_code, 204);
    rig.wait_no_topics("");
}

fn commands_after_the_end_are_not_executed(on: BusKind) {
    let rig = DialogRig::start(on);
    let (application, dialog) = call(&rig, "1.1");
    rig.asterisk.end("1.1");
    rig.wait_no_topics(&dialog);
    application.send(&dialog, "POST", "/channels/1.1/answer", "");
    rig.settle(&application);
    assert!(rig.asterisk.changes().is_empty());
    assert_eq!(application.responses(&dialog), []);
}

fn a_channel_that_comes_back_is_another_dialog(on: BusKind) {
    let rig = DialogRig::start(on);
    let (application, first) = call(&rig, "1.1");
    // It leaves for the dialplan and comes again.
    rig.asterisk.push_channel("StasisEnd", "1.1", &json!({}));
    application.wait_event(&first, "StasisEnd", |_| true);
    let begin = rig.asterisk.begin("1.1");
    let second = application.wait_dialog(2);
    assert_ne!(first, second);
    assert_eq!(application.wait_events(&second, 1), [begin]);
    assert_eq!(application.events(&first).len(), 2);
    let response = application.call(&second, "POST", "/channels/1.1/answer", "");
    assert_eq!(response.status_code, 204);
    rig.wait_no_topics(&first);
    rig.asterisk.end("1.1");
    rig.wait_no_topics("");
}

/// It ends in time and with status 0; what the calls that are left are told by then is not said here.
fn the_proxy_stopped_leaves_the_bus_as_it_should(on: BusKind) {
    let mut rig = DialogRig::start(on);
    let (application, dialog) = call(&rig, "1.1");
    let event = rig
        .asterisk
        .push_channel("ChannelVarset", "1.1", &json!({}));
    assert_eq!(application.wait_events(&dialog, 2)[1], event);
    rig.proxy.signal("TERM");
    let status = rig.proxy.wait_exit(SOON + Duration::from_secs(15));
    assert_eq!(status, Some(0));
    match rig.server {
        Server::Nats(_) => rig.wait_no_topics(""),
        _ => println!("left: {:?}", rig.topics()),
    }
}
