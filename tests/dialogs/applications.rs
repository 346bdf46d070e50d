//! How an application comes to a call: it is told of it, shows itself, and gets what happened.

use std::time::Duration;

use serde_json::{Value, json};

use crate::support::application::{Application, Manner};
use crate::support::bus::{BusKind, on_each_bus};
use crate::support::dialog_rig::{DialogRig, SERVER_ID, of_channel};
use crate::support::rig::APPLICATION;
use crate::support::wait::{SOON, wait_until};

on_each_bus!(
    a_call_from_its_beginning_to_its_end,
    each_call_goes_to_one_of_three_instances,
    events_wait_for_dummy,
    events_wait_for_any_command,
    what_shows_itself_otherwise_is_not_executed,
    dummy_is_neither_executed_nor_answered,
    who_listens_some_time_after_dummy_loses_nothing,
    who_comes_some_time_after_the_call_is_told_of_it,
    a_caller_who_hangs_up_early_is_told_of_all_the_same,
    who_was_told_and_never_comes_loses_the_dialog,
    a_call_of_which_nobody_was_told_is_told_to_nobody_later,
    more_events_than_are_held_end_well,
);

fn a_call_from_its_beginning_to_its_end(on: BusKind) {
    let rig = DialogRig::start(on);
    let application = rig.application(Manner::Library);
    let mut sent = vec![rig.asterisk.begin("1.1")];
    let dialog = application.wait_dialog(1);
    let start = application.starts().swap_remove(0);
    assert_eq!(start["application"], APPLICATION);
    assert_eq!(start["server_id"], SERVER_ID);
    let members = start.as_object().map(serde_json::Map::len);
    assert_eq!(members, Some(3), "{start}");
    assert_uuid(&dialog);
    // Letters of all sorts, and what JSON may write in more than one way.
    sent.push(rig.asterisk.push(concat!(
        r#"{ "type":"ChannelVarset", "n" : 1.50, "value":"a\/b \"ü\" \u00e9 \uD83D\uDE00 "#,
        "ünïcödé 電話 \u{1f600} \u{2028}",
        r#" \\ \t\n\u0000", "channel":{"id":"1.1"},"x":[1 , 2],"application":"conf" }"#,
    )));
    for n in 0..50 {
        let more = json!({"variable": "n", "value": n.to_string()});
        sent.push(rig.asterisk.push_channel("ChannelVarset", "1.1", &more));
    }
    sent.push(rig.asterisk.end("1.1"));
    assert_eq!(application.wait_events(&dialog, sent.len()), sent);
    for (envelope, event) in application.envelopes(&dialog).iter().zip(&sent) {
        let event: Value = serde_json::from_str(event).expect("an event");
        assert_eq!(envelope["server_id"], SERVER_ID);
        assert_eq!(envelope["type"], event["type"]);
        assert_timestamp(&envelope["timestamp"]);
        let members = envelope.as_object().map(serde_json::Map::len);
        assert_eq!(members, Some(4), "{envelope}");
    }
    rig.wait_no_topics("");
    assert_eq!(application.starts().len(), 1);
    assert_eq!(application.complaints(), [""; 0]);
    // What it consumes stays for as long as it does.
    drop(application);
    wait_until("nothing is left", SOON * 2, || rig.topics().is_empty());
}

fn assert_uuid(text: &str) {
    let parts: Vec<usize> = text.split('-').map(str::len).collect();
    assert_eq!(parts, [8, 4, 4, 4, 12], "{text}");
    let hex = |letter: char| letter == '-' || letter.is_ascii_hexdigit();
    assert!(text.chars().all(hex), "{text}");
}

/// A time as RFC 3339 has it, of this hour.
fn assert_timestamp(time: &Value) {
    let text = time.as_str().unwrap_or_default();
    let shape: String = text
        .chars()
        .map(|letter| if letter.is_ascii_digit() { '0' } else { letter })
        .collect();
    assert!(shape.starts_with("0000-00-00T00:00:00"), "{text}");
    let rest = shape["0000-00-00T00:00:00".len()..].trim_start_matches(['.', '0']);
    assert!(
        ["Z", "+00:00", "-00:00", "+", "-"].contains(&rest) || rest.ends_with(":00"),
        "{text}"
    );
}

fn each_call_goes_to_one_of_three_instances(on: BusKind) {
    const CALLS: usize = 60;
    let rig = DialogRig::start(on);
    let instances = [(); 3].map(|()| rig.application(Manner::Library));
    for call in 0..CALLS {
        rig.asterisk.begin(&format!("{call}.1"));
    }
    let told = || {
        instances
            .iter()
            .map(|one| one.starts().len())
            .sum::<usize>()
    };
    wait_until("all are told of", SOON, || told() >= CALLS);
    for instance in &instances {
        for dialog in instance.dialogs() {
            instance.wait_events(&dialog, 1);
        }
        assert!(
            !instance.dialogs().is_empty(),
            "one of three has none of {CALLS}"
        );
    }
    for call in 0..CALLS {
        rig.asterisk.end(&format!("{call}.1"));
    }
    rig.wait_no_topics("");
    assert_eq!(told(), CALLS);
    let mut all: Vec<String> = instances.iter().flat_map(Application::dialogs).collect();
    all.sort();
    all.dedup();
    assert_eq!(all.len(), CALLS, "each is a dialog of its own");
}

/// An instance that was told of a call and listens to it, and has not shown itself.
fn silent(rig: &DialogRig, id: &str) -> (Application, String, Vec<String>) {
    let application = rig.application(Manner::ByHand);
    let begin = rig.asterisk.begin(id);
    let dialog = application.wait_dialog(1);
    application.listen(&dialog);
    (application, dialog, vec![begin])
}

/// Two more events, which the proxy has dealt with and the application has not got.
fn two_more(rig: &DialogRig, application: &Application, dialog: &str, id: &str) -> Vec<String> {
    let more = [1, 2].map(|n| {
        rig.asterisk
            .push_channel("ChannelVarset", id, &json!({"n": n}))
    });
    rig.settle(application);
    assert_eq!(application.events(dialog), [""; 0]);
    more.into()
}

fn events_wait_for_dummy(on: BusKind) {
    let rig = DialogRig::start(on);
    let (application, dialog, mut sent) = silent(&rig, "1.1");
    sent.extend(two_more(&rig, &application, &dialog, "1.1"));
    application.show(&dialog);
    sent.push(
        rig.asterisk
            .push_channel("ChannelVarset", "1.1", &json!({"n": 3})),
    );
    assert_eq!(application.wait_events(&dialog, 4), sent);
    sent.push(rig.asterisk.end("1.1"));
    assert_eq!(application.wait_events(&dialog, 5), sent);
    rig.wait_no_topics(&dialog);
}

fn events_wait_for_any_command(on: BusKind) {
    let rig = DialogRig::start(on);
    let (application, dialog, mut sent) = silent(&rig, "1.1");
    sent.extend(two_more(&rig, &application, &dialog, "1.1"));
    let response = application.call(&dialog, "POST", "/channels/1.1/answer", "");
    assert_eq!(response.status_code, 204);
    assert_eq!(application.wait_events(&dialog, 3), sent);
    assert_eq!(rig.asterisk.calls("/answer").len(), 1);
}

fn what_shows_itself_otherwise_is_not_executed(on: BusKind) {
    for said in ["\"DUMMY\"", "DUMMY\n", "DUMMY\r\n", " DUMMY", "{}", ""] {
        let rig = DialogRig::start(on);
        let (application, dialog, sent) = silent(&rig, "1.1");
        application.say(&dialog, said.as_bytes());
        assert_eq!(application.wait_events(&dialog, 1), sent, "{said:?}");
        let response = application.call(&dialog, "POST", "/channels/1.1/answer", "");
        assert_eq!(response.status_code, 204, "{said:?}");
        assert_eq!(rig.asterisk.changes().len(), 1, "{said:?}");
        let mut responses = application.responses(&dialog);
        responses.pop();
        assert!(
            responses.len() <= 1 && responses.iter().all(|one| one.status_code == 400),
            "{said:?}: {responses:?}"
        );
    }
}

fn dummy_is_neither_executed_nor_answered(on: BusKind) {
    let rig = DialogRig::start(on);
    let application = rig.application(Manner::Library);
    let begin = rig.asterisk.begin("1.1");
    let dialog = application.wait_dialog(1);
    // A second one, as an application that is restarted says it, and a third in the middle.
    application.show(&dialog);
    assert_eq!(application.wait_events(&dialog, 1), [begin]);
    let first = application.call(&dialog, "POST", "/channels/1.1/ring", "");
    application.show(&dialog);
    let second = application.call(&dialog, "POST", "/channels/1.1/answer", "");
    assert_eq!(application.responses(&dialog), [first, second]);
    assert_eq!(rig.asterisk.changes().len(), 2);
    assert_eq!(application.wait_events(&dialog, 1).len(), 1, "none again");
}

fn who_listens_some_time_after_dummy_loses_nothing(on: BusKind) {
    let rig = DialogRig::start(on);
    let application = rig.application(Manner::ByHand);
    let mut sent = vec![rig.asterisk.begin("1.1")];
    let dialog = application.wait_dialog(1);
    application.show(&dialog);
    sent.extend(two_more(&rig, &application, &dialog, "1.1"));
    // Even after the end.
    sent.push(rig.asterisk.end("1.1"));
    rig.settle(&application);
    application.listen(&dialog);
    assert_eq!(application.wait_events(&dialog, sent.len()), sent);
    rig.wait_no_topics(&dialog);
    assert_eq!(application.complaints(), [""; 0]);
}

fn who_comes_some_time_after_the_call_is_told_of_it(on: BusKind) {
    let rig = DialogRig::start(on);
    let sent = rig.asterisk.begin("1.1");
    rig.wait_offered();
    let application = rig.application(Manner::Library);
    let dialog = application.wait_dialog(1);
    assert_eq!(application.wait_events(&dialog, 1), [sent]);
    let response = application.call(&dialog, "POST", "/channels/1.1/answer", "");
    assert_eq!(response.status_code, 204);
    assert_eq!(application.starts().len(), 1);
}

fn a_caller_who_hangs_up_early_is_told_of_all_the_same(on: BusKind) {
    let rig = DialogRig::start(on);
    let (application, dialog, mut sent) = silent(&rig, "1.1");
    sent.push(rig.asterisk.end("1.1"));
    rig.settle(&application);
    application.show(&dialog);
    assert_eq!(application.wait_events(&dialog, 2), sent);
    rig.wait_no_topics(&dialog);
    assert_eq!(
        application.wait_events(&dialog, 2),
        sent,
        "and nothing after it"
    );
}

fn who_was_told_and_never_comes_loses_the_dialog(on: BusKind) {
    let rig = DialogRig::with(on, |proxy| proxy.env("TOPICS_MAX_WAIT", "1s"));
    let application = rig.application(Manner::ByHand);
    rig.asterisk.begin("1.1");
    let dialog = application.wait_dialog(1);
    rig.wait_no_topics(&dialog);
    application.listen(&dialog);
    application.send(&dialog, "POST", "/channels/1.1/answer", "");
    // Another call is served, and nothing came of that.
    rig.asterisk.begin("2.1");
    let second = application.wait_dialog(2);
    application.listen(&second);
    application.show(&second);
    let response = application.call(&second, "POST", "/channels/2.1/answer", "");
    assert_eq!(response.status_code, 204);
    assert_eq!(rig.asterisk.changes().len(), 1);
    assert_eq!(application.events(&dialog), [""; 0]);
    assert_eq!(application.responses(&dialog), []);
    rig.proxy
        .wait_log("topics.max_wait for the call of channel 1.1");
}

fn a_call_of_which_nobody_was_told_is_told_to_nobody_later(on: BusKind) {
    let rig = DialogRig::with(on, |proxy| proxy.env("TOPICS_MAX_WAIT", "1s"));
    rig.asterisk.begin("1.1");
    wait_until("its topics", SOON, || !rig.topics().is_empty());
    rig.wait_no_topics("");
    let application = rig.application(Manner::Library);
    let second = rig.asterisk.begin("2.1");
    let dialog = application.wait_dialog(1);
    assert_eq!(application.wait_events(&dialog, 1), [second]);
    rig.settle(&application);
    assert_eq!(
        application.starts().len(),
        2,
        "the first call is told of late"
    );
}

/// What is held has its bound, and the application hears what there is all the same: the beginning.
fn more_events_than_are_held_end_well(on: BusKind) {
    const MANY: usize = 20_000;
    let rig = DialogRig::start(on);
    let (application, dialog, sent) = silent(&rig, "1.1");
    let before = rig.proxy.rss_kib();
    for n in 0..MANY {
        let more = json!({"n": n, "filler": "x".repeat(1_000)});
        rig.asterisk.push(of_channel("ChannelVarset", "1.1", &more));
    }
    two_more(&rig, &application, &dialog, "1.1");
    // 20 000 of such events are 30 MiB.
    let grown = rig.proxy.rss_kib().saturating_sub(before);
    assert!(grown < 20 * 1024, "{grown} KiB more");
    application.show(&dialog);
    assert_eq!(application.wait_events(&dialog, 1)[0], sent[0]);
    let end = rig.asterisk.end("1.1");
    wait_until("the last event", SOON + Duration::from_secs(15), || {
        application.events(&dialog).last() == Some(&end)
    });
    rig.wait_no_topics(&dialog);
}
