//! Commands that are carried out: what reaches Asterisk of them, and what comes back.

use std::sync::{Arc, Mutex};

use crossbeam_channel::bounded;
use serde_json::json;

use crate::support::application::{Application, Manner, command};
use crate::support::bus::{BusKind, on_each_bus};
use crate::support::dialog_rig::DialogRig;
use crate::support::server::{Reply, lock};
use crate::support::wait::{SOON, wait_until};

on_each_bus!(
    what_reaches_asterisk,
    what_comes_back,
    urls_are_encoded_where_they_must_be,
    unique_ids_come_back_as_they_were,
    commands_of_a_dialog_are_done_in_order,
    a_stalled_command_holds_up_no_other_dialog,
    commands_while_asterisk_is_away_are_answered,
);

/// A call with an application that listens.
pub(super) fn call(rig: &DialogRig, id: &str) -> (Application, String) {
    let application = rig.application(Manner::Library);
    rig.asterisk.begin(id);
    let dialog = application.wait_dialog(1);
    application.wait_events(&dialog, 1);
    (application, dialog)
}

fn what_reaches_asterisk(on: BusKind) {
    let rig = DialogRig::start(on);
    rig.asterisk
        .on(|_, request| request.path.contains("/t/").then(Reply::done));
    let (application, dialog) = call(&rig, "1.1");
    let body = r#"{ "variables" : {"ü":"\u00e9 電"}, "n":1.50 }"#;
    for method in ["GET", "POST", "PUT", "DELETE"] {
        for (url, body) in [
            ("/channels/t/x", "{}"),
            ("/channels/t/x", ""),
            ("/channels/t/x", body),
            ("/channels/t/x?endpoint=PJSIP%2F100&app=conf", body),
            ("/channels/t/x?a=1&a=2&b", "{}"),
            ("/channels/t/x?", ""),
        ] {
            rig.asterisk.script.forget();
            let response = application.call(&dialog, method, url, body);
            assert_eq!(response.status_code, 204, "{method} {url} {body}");
            assert_eq!(response.response_body, "");
            let calls = rig.asterisk.calls("/t/");
            assert_eq!(calls.len(), 1, "{method} {url}");
            assert_eq!(calls[0].method, method);
            let target = format!("/ari{url}");
            assert_eq!(
                calls[0].target.trim_end_matches('?'),
                target.trim_end_matches('?')
            );
            assert_eq!(calls[0].body, body.as_bytes(), "{method} {url}");
            if !body.is_empty() {
                let kind = calls[0].headers.get("content-type");
                let kind = kind.map_or("", |kind| kind.as_str());
                assert!(kind.starts_with("application/json"), "{method}: {kind}");
            }
        }
    }
}

fn what_comes_back(on: BusKind) {
    let rig = DialogRig::start(on);
    let said = json!({"message": "ü 電 \"quoted\" \u{1f600} \\ / \u{2028}", "n": 1.5});
    let text = said.to_string();
    let replies = [
        (200, "OK", said.clone()),
        (201, "Created", said.clone()),
        (204, "No Content", json!(null)),
        (400, "Bad Request", said.clone()),
        (404, "Not Found", said.clone()),
        (409, "Conflict", said.clone()),
        (500, "Internal Server Error", said.clone()),
        (503, "Service Unavailable", json!(null)),
    ];
    let known = replies.clone();
    rig.asterisk.on(move |_, request| {
        let wanted = request.path.strip_prefix("/ari/reply/")?;
        let found = known
            .iter()
            .find(|(status, ..)| status.to_string() == wanted);
        found.map(|(status, reason, body)| Reply::new(*status, reason, body))
    });
    let (application, dialog) = call(&rig, "1.1");
    for (status, _, body) in &replies {
        let response = application.call(&dialog, "POST", &format!("/reply/{status}"), "{}");
        assert_eq!(response.status_code, *status);
        let expected = if body.is_null() { "" } else { &text };
        assert_eq!(response.response_body, expected, "{status}");
    }
    let response = application.call(&dialog, "GET", "/channels/none", "{}");
    assert_eq!(response.status_code, 404);
    assert_eq!(
        response.response_body,
        r#"{"message":"Resource not found"}"#
    );
    // A large one comes whole.
    rig.asterisk
        .on(|_, _| Some(Reply::ok(&json!({"id": "large", "x": "x".repeat(300_000)}))));
    let response = application.call(&dialog, "GET", "/channels/large", "{}");
    assert_eq!(response.status_code, 200);
    assert!(response.response_body.len() > 300_000);
}

fn urls_are_encoded_where_they_must_be(on: BusKind) {
    let rig = DialogRig::start(on);
    rig.asterisk
        .on(|_, request| request.path.contains("/t/").then(Reply::done));
    let (application, dialog) = call(&rig, "1.1");
    for (url, expected) in [
        ("/channels/t/a b", "/channels/t/a%20b"),
        ("/channels/t/ü", "/channels/t/%C3%BC"),
        ("/channels/t/電/x", "/channels/t/%E9%9B%BB/x"),
        ("/channels/t/SIP%2F100", "/channels/t/SIP%2F100"),
        ("/channels/t/a%20b", "/channels/t/a%20b"),
        ("/channels/t/a\"<>b", "/channels/t/a%22%3C%3Eb"),
        (
            "/channels/t/x?name=a b&v=ü",
            "/channels/t/x?name=a%20b&v=%C3%BC",
        ),
        ("/channels/t/x?v=%2F..%2F", "/channels/t/x?v=%2F..%2F"),
        ("/channels/t/x?v=a/../b", "/channels/t/x?v=a/../b"),
        ("/channels/t/...", "/channels/t/..."),
    ] {
        rig.asterisk.script.forget();
        let response = application.call(&dialog, "POST", url, "");
        assert_eq!(
            response.status_code, 204,
            "{url}: {}",
            response.response_body
        );
        let calls = rig.asterisk.calls("/t/");
        assert_eq!(calls.len(), 1, "{url}");
        assert_eq!(calls[0].target, format!("/ari{expected}"), "{url}");
    }
    // Where a name may be written in more than one way, it arrives all the same.
    rig.asterisk.script.forget();
    let url = "/channels/t/x?variable=CALLERID(num)&value=a+b%2B";
    assert_eq!(application.call(&dialog, "POST", url, "").status_code, 204);
    let query = &rig.asterisk.calls("/t/")[0].query;
    assert_eq!(query["variable"], "CALLERID(num)");
    assert_eq!(query["value"], "a b+");
    // Nothing is cut off unsaid.
    rig.asterisk.script.forget();
    let response = application.call(&dialog, "POST", "/channels/t/x#y", "");
    match response.status_code {
        204 => assert_eq!(rig.asterisk.calls("/t/")[0].target, "/ari/channels/t/x%23y"),
        status => assert_eq!(status, 400),
    }
}

fn unique_ids_come_back_as_they_were(on: BusKind) {
    let rig = DialogRig::start(on);
    let (application, dialog) = call(&rig, "1.1");
    let long = "u".repeat(1_000);
    let ids = ["", "a", "", "ü \"q\" \\ \n\u{0}", "a", &long];
    for (count, id) in ids.iter().enumerate() {
        let command = command(id, "POST", "/channels/1.1/answer", "");
        application.say(&dialog, command.as_bytes());
        let last = application.wait_responses(&dialog, count + 1).pop();
        let last = last.expect("a response");
        assert_eq!((last.unique_id.as_str(), last.status_code), (*id, 204));
    }
    // Members may be missing where they are empty, and there may be others.
    let said = r#"{"method":"POST","url":"/channels/1.1/ring","more":{"x":[1]}}"#;
    application.say(&dialog, said.as_bytes());
    let all = application.wait_responses(&dialog, ids.len() + 1);
    let last = all.last().expect("a response");
    assert_eq!((last.unique_id.as_str(), last.status_code), ("", 204));
}

fn commands_of_a_dialog_are_done_in_order(on: BusKind) {
    const MANY: usize = 200;
    let rig = DialogRig::start(on);
    let at_once = Arc::new(Mutex::new((0, 0)));
    let counted = Arc::clone(&at_once);
    rig.asterisk.on(move |_, request| {
        let number: usize = request.path.strip_prefix("/ari/t/")?.parse().ok()?;
        {
            let mut at_once = lock(&counted);
            at_once.0 += 1;
            at_once.1 = at_once.1.max(at_once.0);
        }
        // Some take longer than those after them.
        if number.is_multiple_of(10) {
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
        lock(&counted).0 -= 1;
        Some(Reply::ok(&json!({ "n": number })))
    });
    let (application, dialog) = call(&rig, "1.1");
    for number in 0..MANY {
        application.send(&dialog, "POST", &format!("/t/{number}"), "");
    }
    let responses = application.wait_responses(&dialog, MANY);
    for (number, response) in responses.iter().enumerate() {
        assert_eq!(response.response_body, json!({ "n": number }).to_string());
    }
    let calls = rig.asterisk.calls("/ari/t/");
    for (number, call) in calls.iter().enumerate() {
        assert_eq!(call.path, format!("/ari/t/{number}"));
    }
    assert_eq!(calls.len(), MANY);
    assert_eq!(lock(&at_once).1, 1, "at once");
}

fn a_stalled_command_holds_up_no_other_dialog(on: BusKind) {
    let rig = DialogRig::start(on);
    let (gate, opened) = bounded::<()>(0);
    rig.asterisk.on(move |_, request| {
        if request.path == "/ari/channels/1.1/answer" {
            let _ = opened.recv_timeout(SOON);
        }
        None
    });
    let application = rig.application(Manner::Library);
    rig.asterisk.begin("1.1");
    let slow = application.wait_dialog(1);
    rig.asterisk.begin("2.1");
    let quick = application.wait_dialog(2);
    let first = application.send(&slow, "POST", "/channels/1.1/answer", "");
    let second = application.send(&slow, "POST", "/channels/1.1/ring", "");
    wait_until("the first is at Asterisk", SOON, || {
        !rig.asterisk.calls("/channels/1.1/answer").is_empty()
    });
    for _ in 0..20 {
        let response = application.call(&quick, "POST", "/channels/2.1/ring", "");
        assert_eq!(response.status_code, 204);
    }
    // Its own events do not wait for it either.
    rig.asterisk
        .push_channel("ChannelVarset", "1.1", &json!({}));
    application.wait_event(&slow, "ChannelVarset", |_| true);
    assert!(rig.asterisk.calls("/channels/1.1/ring").is_empty());
    assert_eq!(application.responses(&slow), []);
    drop(gate);
    assert_eq!(application.response(&slow, &first).status_code, 204);
    assert_eq!(application.response(&slow, &second).status_code, 204);
    let order: Vec<String> = application
        .responses(&slow)
        .into_iter()
        .map(|r| r.unique_id)
        .collect();
    assert_eq!(order, [first, second]);
}

fn commands_while_asterisk_is_away_are_answered(on: BusKind) {
    let rig = DialogRig::start(on);
    let (application, dialog) = call(&rig, "1.1");
    // Its requests alone: what it says of itself stays as it was.
    rig.asterisk.script.stop();
    for n in 1..=3 {
        application.send(&dialog, "POST", "/channels/1.1/answer", "");
        let response = application.wait_responses(&dialog, n).pop().expect("one");
        assert!((500..600).contains(&response.status_code), "{response:?}");
        assert!(!response.response_body.is_empty());
    }
    rig.asterisk.script.restart();
    wait_until("Asterisk is found again", SOON, || {
        let response = application.call(&dialog, "POST", "/channels/1.1/answer", "");
        response.status_code == 204
    });
}
