//! Commands that are not carried out: each has an answer that says why, and Asterisk hears of none.

use serde_json::json;

use super::commands::call;
use crate::support::application::{Application, Response, command};
use crate::support::bus::{BusKind, on_each_bus};
use crate::support::dialog_rig::DialogRig;

on_each_bus!(
    methods_that_there_are_not,
    urls_that_leave_the_api,
    bodies_that_are_no_json,
    what_is_no_command,
    commands_that_are_too_large,
);

/// A call, its application and how many responses it had.
struct Refusing {
    rig: DialogRig,
    application: Application,
    dialog: String,
    responses: usize,
}

impl Refusing {
    fn start(on: BusKind) -> Refusing {
        let rig = DialogRig::start(on);
        let (application, dialog) = call(&rig, "1.1");
        rig.asterisk.script.forget();
        Refusing {
            rig,
            application,
            dialog,
            responses: 0,
        }
    }

    /// What comes of saying this.
    fn say(&mut self, said: &[u8]) -> Response {
        self.application.say(&self.dialog, said);
        self.responses += 1;
        let all = self
            .application
            .wait_responses(&self.dialog, self.responses);
        all.into_iter().next_back().expect("a response")
    }

    /// Says what must be refused.
    fn refused(&mut self, said: &[u8]) -> Response {
        let response = self.say(said);
        let text = String::from_utf8_lossy(&said[..said.len().min(200)]).into_owned();
        assert_eq!(response.status_code, 400, "{text}: {response:?}");
        assert!(
            !response.response_body.is_empty(),
            "{text} without a reason"
        );
        response
    }

    /// Nothing has reached Asterisk, and what is right is done still.
    fn end(mut self) {
        assert!(
            self.rig.asterisk.script.calls().is_empty(),
            "{:?}",
            self.rig.asterisk.script.calls()
        );
        let right = command("last", "POST", "/channels/1.1/answer", "");
        let response = self.say(right.as_bytes());
        assert_eq!(
            (response.unique_id.as_str(), response.status_code),
            ("last", 204)
        );
        assert_eq!(
            self.application.responses(&self.dialog).len(),
            self.responses
        );
        assert!(self.rig.proxy.is_running());
    }
}

fn methods_that_there_are_not(on: BusKind) {
    let mut refusing = Refusing::start(on);
    for method in [
        "",
        "FOO",
        "POST /ari/x",
        "CONNECT",
        "TRACE",
        "PO\r\nST",
        "ü",
    ] {
        let said = command("m", method, "/channels/1.1/answer", "");
        let response = refusing.refused(said.as_bytes());
        assert_eq!(response.unique_id, "m");
    }
    refusing.end();
}

fn urls_that_leave_the_api(on: BusKind) {
    let mut refusing = Refusing::start(on);
    let port = refusing.rig.asterisk.script.port();
    let absolute = format!("http://127.0.0.1:{port}/ari/channels/x");
    let at = format!("@127.0.0.1:{port}/x");
    let urls = [
        "http://evil/",
        &absolute,
        &at,
        "//evil/",
        "///evil/",
        "/../x",
        "/..",
        "/channels/../../x",
        "/channels/..",
        "/channels/./x/../../../y",
        "/channels/%2e%2e/x",
        "/channels/%2E./x",
        "/channels/.%2e/%2e%2e/x",
        "channels",
        "",
        "?x=y",
        ":8088/x",
        "/channels/x\r\nX: y",
        "/channels/x HTTP/1.1\r\n\r\nGET /",
        "/channels/x\n",
        "/channels/\u{0}",
        "/channels/x\t",
        "/channels/\u{7f}",
        "/channels/x?v=\r\n",
        "/channels/%",
        "/channels/%2",
        "/channels/%zz/x",
        "/channels/x?v=%g0",
    ];
    for url in urls {
        let response = refusing.refused(command("u", "GET", url, "{}").as_bytes());
        assert_eq!(response.unique_id, "u", "{url:?}");
    }
    refusing.end();
}

fn bodies_that_are_no_json(on: BusKind) {
    let mut refusing = Refusing::start(on);
    for body in ["hello", "{", "{}{}", "{\"a\":}", "{'a':1}", "\u{0}", "<x/>"] {
        let said = command("b", "POST", "/channels/1.1/answer", body);
        let response = refusing.refused(said.as_bytes());
        assert_eq!(response.unique_id, "b", "{body}");
    }
    refusing.end();
}

fn what_is_no_command(on: BusKind) {
    let mut refusing = Refusing::start(on);
    let deep = "[".repeat(50_000);
    for said in [
        &b"hello"[..],
        b"",
        b"[]",
        b"7",
        b"null",
        b"true",
        b"\"text\"",
        b"{",
        b"{}",
        b"{} {}",
        b"\xff\xfe",
        b"{\"unique_id\":\"\xff\",\"method\":\"GET\",\"url\":\"/channels\"}",
        br#"{"method":"POST","url":7,"body":""}"#,
        br#"{"method":["POST"],"url":"/channels/1.1/answer"}"#,
        deep.as_bytes(),
    ] {
        refusing.refused(said);
    }
    // A body that is an object and not the text of one is no body of this protocol; it may be taken
    // for what it means.
    let said = json!({"unique_id": "o", "method": "POST", "url": "/x/y", "body": {"a": 1}});
    let response = refusing.say(said.to_string().as_bytes());
    assert!([400, 404].contains(&response.status_code), "{response:?}");
    refusing.rig.asterisk.script.forget();
    refusing.end();
}

fn commands_that_are_too_large(on: BusKind) {
    let mut refusing = Refusing::start(on);
    for size in [70_000, 200_000, 900_000] {
        let body = json!({"x": "x".repeat(size)}).to_string();
        let said = command("l", "POST", "/channels/1.1/answer", &body);
        let response = refusing.say(said.as_bytes());
        assert!([400, 413].contains(&response.status_code), "{response:?}");
        assert!(!response.response_body.is_empty());
    }
    // One that is just not is carried out.
    let body = json!({"x": "x".repeat(40_000)}).to_string();
    let said = command("s", "POST", "/channels/1.1/answer", &body);
    assert_eq!(refusing.say(said.as_bytes()).status_code, 204);
    let calls = refusing.rig.asterisk.calls("/answer");
    assert_eq!(calls.len(), 1);
    assert_eq!(calls[0].body, body.as_bytes());
    refusing.rig.asterisk.script.forget();
    refusing.end();
}
