//! What becomes of dialogs when an application, the bus or Asterisk goes away in the middle of calls.

use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, bounded};
use serde_json::{Value, json};

use crate::support::application::Manner;
use crate::support::bus::{BusKind, on_each_bus};
use crate::support::dialog_rig::DialogRig;
use crate::support::relay::Relay;
use crate::support::server::Reply;
use crate::support::wait::{SOON, wait_until};

on_each_bus!(
    an_application_that_dies_takes_nothing_with_it,
    an_application_that_comes_back_goes_on,
    a_bus_that_is_killed_and_comes_back,
    a_link_that_is_cut_executes_nothing_twice,
    a_websocket_that_is_cut_ends_no_dialog,
    a_call_that_ended_while_the_websocket_was_gone,
    an_asterisk_that_is_killed_ends_its_dialogs,
    an_asterisk_that_is_killed_while_a_call_is_new,
    a_bus_that_is_away_when_a_call_comes,
);

/// How long the proxy may take to notice and to be back.
const LATER: Duration = Duration::from_secs(40);

fn of(id: &'static str) -> impl Fn(&Value) -> bool {
    move |event| event["channel"]["id"] == id
}

fn an_application_that_dies_takes_nothing_with_it(on: BusKind) {
    let rig = DialogRig::start(on);
    let dying = rig.application(Manner::Library);
    rig.asterisk.begin("1.1");
    let first = dying.wait_dialog(1);
    dying.wait_events(&first, 1);
    let living = {
        // Nobody else is there for the second call.
        dying.kill();
        rig.application(Manner::Library)
    };
    // Whoever is told by RabbitMQ of what the dead one did not acknowledge has it twice.
    let before = living.dialogs().len();
    let begin = rig.asterisk.begin("2.1");
    let second = living.wait_dialog(before + 1);
    assert_eq!(living.wait_events(&second, 1), [begin]);
    for n in 0..100 {
        rig.asterisk
            .push_channel("ChannelVarset", "1.1", &json!({ "n": n }));
    }
    let event = rig
        .asterisk
        .push_channel("ChannelVarset", "2.1", &json!({"n": 1}));
    assert_eq!(living.wait_events(&second, 2)[1], event);
    let response = living.call(&second, "POST", "/channels/2.1/answer", "");
    assert_eq!(response.status_code, 204);
    let topic = format!("commands_{first}");
    assert!(rig.topics().contains(&topic), "the channel is there still");
    rig.asterisk.end("1.1");
    rig.wait_no_topics(&first);
    let event = rig
        .asterisk
        .push_channel("ChannelVarset", "2.1", &json!({"n": 2}));
    assert_eq!(living.wait_events(&second, 3)[2], event);
    let response = living.call(&second, "POST", "/channels/2.1/answer", "");
    assert_eq!(response.status_code, 204);
    let end = rig.asterisk.end("2.1");
    assert_eq!(living.wait_events(&second, 4)[3], end);
    rig.wait_no_topics("");
}

fn an_application_that_comes_back_goes_on(on: BusKind) {
    let rig = DialogRig::start(on);
    let first = rig.application(Manner::Library);
    rig.asterisk.begin("1.1");
    let dialog = first.wait_dialog(1);
    first.wait_events(&dialog, 1);
    first.kill();
    let second = rig.application(Manner::ByHand);
    second.listen(&dialog);
    second.show(&dialog);
    let event = rig
        .asterisk
        .push_channel("ChannelVarset", "1.1", &json!({"n": 1}));
    second.wait_event(&dialog, "ChannelVarset", |_| true);
    assert_eq!(second.events(&dialog).last(), Some(&event));
    let response = second.call(&dialog, "POST", "/channels/1.1/answer", "");
    assert_eq!(response.status_code, 204);
    rig.asterisk.end("1.1");
    second.wait_event(&dialog, "StasisEnd", |_| true);
    rig.wait_no_topics("");
}

/// A rig whose Asterisk takes its time with `answer`: until what is returned second is dropped. Tells
/// with what is returned first that it has the request.
fn slow(rig: &DialogRig) -> (Receiver<()>, Sender<()>) {
    let (here, is_here) = bounded(10);
    let (gate, opened) = bounded::<()>(0);
    rig.asterisk.on(move |_, request| {
        if !request.path.ends_with("/answer") {
            return None;
        }
        let _ = here.try_send(());
        let _ = opened.recv_timeout(LATER);
        Some(Reply::done())
    });
    (is_here, gate)
}

fn a_bus_that_is_killed_and_comes_back(on: BusKind) {
    let mut rig = DialogRig::own(on, |proxy, _| proxy);
    let application = rig.application(Manner::Library);
    rig.asterisk.begin("1.1");
    let dialog = application.wait_dialog(1);
    application.wait_events(&dialog, 1);
    let (is_here, gate) = slow(&rig);
    application.send(&dialog, "POST", "/channels/1.1/answer", "");
    is_here
        .recv_timeout(SOON)
        .expect("the command is at Asterisk");
    rig.server.kill();
    drop(application);
    drop(gate);
    rig.server.restart();
    let again = rig.application(Manner::ByHand);
    again.listen(&dialog);
    // What came of the first command may be lost with the bus; those after it are done.
    wait_until("commands are served again", LATER, || {
        let command = again.send(&dialog, "POST", "/channels/1.1/ring", "");
        let start = std::time::Instant::now();
        while start.elapsed() < Duration::from_millis(500) {
            let responses = again.responses(&dialog);
            if responses
                .iter()
                .any(|response| response.unique_id == command)
            {
                return true;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        false
    });
    let mut sent = Vec::new();
    for n in 0..20 {
        let event = rig
            .asterisk
            .push_channel("ChannelVarset", "1.1", &json!({ "n": n }));
        sent.push(event);
    }
    sent.push(rig.asterisk.end("1.1"));
    again.wait_event(&dialog, "StasisEnd", |_| true);
    let mut events = again.events(&dialog);
    assert_eq!(events.split_off(events.len() - sent.len()), sent);
    assert_eq!(rig.asterisk.calls("/answer").len(), 1, "executed once");
    assert_eq!(
        again.starts(),
        Vec::<Value>::new(),
        "the call is told of once"
    );
    rig.wait_no_topics("");
    // And so is the next call.
    drop(again);
    rig.wait_no_instance();
    let library = rig.application(Manner::Library);
    rig.asterisk.begin("2.1");
    let dialog = library.wait_dialog(1);
    library.wait_events(&dialog, 1);
    rig.asterisk.end("2.1");
    rig.wait_no_topics("");
}

fn a_link_that_is_cut_executes_nothing_twice(on: BusKind) {
    let mut relay = None;
    let rig = DialogRig::own(on, |proxy, server| {
        let between = Relay::start(server.port());
        let url = server.url_by(between.port());
        relay = Some(between);
        proxy.env("MESSAGEBUS_URL", url)
    });
    let relay = relay.expect("a relay");
    let application = rig.application(Manner::Library);
    let mut sent = vec![rig.asterisk.begin("1.1")];
    let dialog = application.wait_dialog(1);
    application.wait_events(&dialog, 1);
    let (is_here, gate) = slow(&rig);
    let slow = application.send(&dialog, "POST", "/channels/1.1/answer", "");
    is_here
        .recv_timeout(SOON)
        .expect("the command is at Asterisk");
    relay.cut();
    // What happens meanwhile waits for the next link.
    for n in 0..20 {
        let event = rig
            .asterisk
            .push_channel("ChannelVarset", "1.1", &json!({ "n": n }));
        sent.push(event);
    }
    wait_until("a new link", LATER, || {
        let lines = rig.proxy.lines();
        let connected = lines
            .iter()
            .filter(|line| line.contains("bus: connected to"));
        connected.count() >= 2
    });
    drop(gate);
    assert_eq!(application.response(&dialog, &slow).status_code, 204);
    sent.push(
        rig.asterisk
            .push_channel("ChannelVarset", "1.1", &json!({"n": "last"})),
    );
    application.wait_event(&dialog, "ChannelVarset", |event| event["n"] == "last");
    let mut events = application.events(&dialog);
    match on {
        // What was on its way is lost with the link; nothing comes twice or out of order.
        BusKind::Nats => sent.retain(|event| events.contains(event)),
        // It may send some again of which it had not said that it has them.
        BusKind::RabbitMq => events.dedup(),
    }
    assert_eq!(events, sent);
    let response = application.call(&dialog, "POST", "/channels/1.1/ring", "");
    assert_eq!(response.status_code, 204);
    assert_eq!(rig.asterisk.calls("/answer").len(), 1, "executed once");
    assert_eq!(application.starts().len(), 1);
    let end = rig.asterisk.end("1.1");
    application.wait_event(&dialog, "StasisEnd", |_| true);
    assert_eq!(application.events(&dialog).last(), Some(&end));
    rig.wait_no_topics("");
}

fn a_websocket_that_is_cut_ends_no_dialog(on: BusKind) {
    let rig = DialogRig::start(on);
    let application = rig.application(Manner::Library);
    let begin = rig.asterisk.begin("1.1");
    let dialog = application.wait_dialog(1);
    assert_eq!(application.wait_events(&dialog, 1), [begin]);
    for _ in 0..3 {
        let before = rig.asterisk.script.websocket_requests().len();
        rig.asterisk.script.drop_websockets();
        wait_until("a new websocket", SOON, || {
            rig.asterisk.script.websocket_requests().len() > before
        });
        let before = application.events(&dialog).len();
        let event = rig
            .asterisk
            .push_channel("ChannelVarset", "1.1", &json!({ "n": before }));
        assert_eq!(
            application.wait_events(&dialog, before + 1).last(),
            Some(&event)
        );
        let response = application.call(&dialog, "POST", "/channels/1.1/ring", "");
        assert_eq!(response.status_code, 204);
    }
    assert_eq!(application.starts().len(), 1);
    let end = rig.asterisk.end("1.1");
    assert_eq!(application.wait_events(&dialog, 5).last(), Some(&end));
    rig.wait_no_topics("");
}

fn a_call_that_ended_while_the_websocket_was_gone(on: BusKind) {
    let rig = DialogRig::start(on);
    let application = rig.application(Manner::Library);
    rig.asterisk.begin("1.1");
    rig.asterisk.begin("2.1");
    let [gone, stays] = [application.wait_dialog(1), application.wait_dialog(2)];
    application.wait_events(&stays, 1);
    rig.asterisk.forget_channel("1.1");
    rig.asterisk.script.drop_websockets();
    application.wait_event(&gone, "StasisEnd", of("1.1"));
    rig.wait_no_topics(&gone);
    let event = rig
        .asterisk
        .push_channel("ChannelVarset", "2.1", &json!({}));
    assert_eq!(application.wait_events(&stays, 2)[1], event);
    assert_eq!(application.events(&gone).len(), 2);
}

fn an_asterisk_that_is_killed_ends_its_dialogs(on: BusKind) {
    let rig = DialogRig::start(on);
    let application = rig.application(Manner::Library);
    for id in ["1.1", "2.1"] {
        rig.asterisk.begin(id);
    }
    let dialogs = [application.wait_dialog(1), application.wait_dialog(2)];
    for dialog in &dialogs {
        application.wait_events(dialog, 1);
    }
    rig.asterisk.die();
    rig.asterisk.rise();
    for dialog in &dialogs {
        let end = application.wait_event(dialog, "StasisEnd", |_| true);
        let begin: Value = serde_json::from_str(&application.events(dialog)[0]).expect("JSON");
        assert_eq!(end["channel"]["id"], begin["channel"]["id"]);
        assert_eq!(end["application"], begin["application"]);
        assert_eq!(application.events(dialog).len(), 2);
    }
    rig.wait_no_topics("");
    // It is there for the next one.
    wait_until("a websocket", SOON, || rig.asterisk.script.websockets() > 0);
    let begin = rig.asterisk.begin("1.1");
    let dialog = application.wait_dialog(3);
    assert_eq!(application.wait_events(&dialog, 1), [begin]);
    let response = application.call(&dialog, "POST", "/channels/1.1/answer", "");
    assert_eq!(response.status_code, 204);
}

fn an_asterisk_that_is_killed_while_a_call_is_new(on: BusKind) {
    let rig = DialogRig::start(on);
    let application = rig.application(Manner::ByHand);
    let begin = rig.asterisk.begin("1.1");
    let dialog = application.wait_dialog(1);
    rig.asterisk.die();
    application.listen(&dialog);
    application.show(&dialog);
    assert_eq!(application.wait_events(&dialog, 1), [begin]);
    rig.asterisk.rise();
    application.wait_event(&dialog, "StasisEnd", of("1.1"));
    rig.wait_no_topics("");
}

fn a_bus_that_is_away_when_a_call_comes(on: BusKind) {
    let mut relay = None;
    let rig = DialogRig::own(on, |proxy, server| {
        let between = Relay::start(server.port());
        let url = server.url_by(between.port());
        relay = Some(between);
        proxy.env("MESSAGEBUS_URL", url)
    });
    let relay = relay.expect("a relay");
    let application = rig.application(Manner::Library);
    relay.refuse();
    rig.proxy.wait_log("lost");
    let mut sent = vec![rig.asterisk.begin("1.1")];
    sent.push(
        rig.asterisk
            .push_channel("ChannelVarset", "1.1", &json!({})),
    );
    relay.resume();
    wait_until("it is told of the call", LATER, || {
        !application.dialogs().is_empty()
    });
    let dialog = application.wait_dialog(1);
    assert_eq!(application.wait_events(&dialog, 2), sent);
    let response = application.call(&dialog, "POST", "/channels/1.1/answer", "");
    assert_eq!(response.status_code, 204);
    rig.asterisk.end("1.1");
    rig.wait_no_topics("");
    let starts = application.starts();
    assert_eq!(starts.len(), 1, "{starts:?}");
}
