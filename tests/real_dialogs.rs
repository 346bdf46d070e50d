//! A call through a real Asterisk by go-ari-proxy's protocol, with an application written to it. Where
//! that Asterisk is, is said as in `real`.

use std::io::{Read, Write};
use std::net::TcpStream;

use serde_json::{Value, json};

use crate::real::{Place, place, unique};
use crate::support::application::{Application, Manner, QUEUE, Response};
use crate::support::bus::{BusKind, Server, on_each_bus};
use crate::support::proxy::ProxyBuilder;
use crate::support::server::basic;
use crate::support::wait::{SOON, wait_for};

on_each_bus!(a_call_from_app_start_to_stasis_end,);

/// Asks Asterisk itself, as nobody does who has a proxy: it is how a call comes from outside.
fn ask(place: &Place, method: &str, path: &str) {
    let (address, base) = place.rest.split_once('/').expect("a path");
    let authorization = basic(&place.user, &place.password);
    let mut stream = TcpStream::connect(address).expect("Asterisk");
    let request = format!(
        "{method} /{base}{path} HTTP/1.1\r\nHost: {address}\r\nAuthorization: {authorization}\r\n\
         Connection: close\r\nContent-Length: 0\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).expect("asked");
    let mut answer = String::new();
    let _ = stream.read_to_string(&mut answer);
    assert!(
        answer.starts_with("HTTP/1.1 2"),
        "{method} {path}: {answer}"
    );
}

/// A dialog, seen from its application.
struct Dialog<'a> {
    application: &'a Application,
    id: String,
}

impl Dialog<'_> {
    fn done(&self, method: &str, url: &str, body: &Value) -> Response {
        let body = match body {
            Value::Null => "{}".to_owned(),
            body => body.to_string(),
        };
        let response = self.application.call(&self.id, method, url, &body);
        assert!(
            (200..300).contains(&response.status_code),
            "{method} {url}: {response:?}"
        );
        response
    }

    fn wait(&self, kind: &str, matches: impl Fn(&Value) -> bool) -> Value {
        self.application.wait_event(&self.id, kind, matches)
    }

    fn wait_channel(&self, kind: &str, id: &str) -> Value {
        self.wait(kind, |event| event["channel"]["id"] == id)
    }
}

fn a_call_from_app_start_to_stasis_end(on: BusKind) {
    let Some(place) = place() else { return };
    let server = Server::start(on);
    let name = unique("app");
    let proxy = ProxyBuilder::bare()
        .env("ARI_APPLICATION", &name)
        .env("ARI_USERNAME", &place.user)
        .env("ARI_PASSWORD", &place.password)
        .env("ARI_HTTP_URL", format!("http://{}", place.rest))
        .env("ARI_WEBSOCKET_URL", place.websocket_url())
        .env("MESSAGEBUS_URL", server.url())
        .env("MESSAGEBUS_PROTOCOL", "go-ari-proxy")
        .env("TOPICS_QUEUE", QUEUE);
    let mut proxy = proxy.spawn();
    proxy.wait_log("bus: connected to");
    let application = Application::named(&server.url(), &name, Manner::Library);
    // From here on Asterisk knows the application.
    proxy.wait_log("connected for application");

    // The caller's half is an application's channel too: it is the telephone.
    let [phone, call] = [unique("phone"), unique("call")];
    ask(
        &place,
        "POST",
        &format!(
            "/channels?endpoint=Local/{name}@app&app={name}&channelId={phone}&otherChannelId={call}\
             &callerId=100&timeout=30"
        ),
    );
    let dialog_of = |channel: &str| {
        wait_for(&format!("the dialog of {channel}"), SOON, || {
            let dialogs = application.dialogs();
            let found = dialogs.into_iter().find(|dialog| {
                let first = application.events(dialog).first().cloned();
                let first = first.and_then(|event| serde_json::from_str::<Value>(&event).ok());
                first.is_some_and(|event| {
                    event["type"] == "StasisStart" && event["channel"]["id"] == channel
                })
            });
            found.map(|id| Dialog {
                application: &application,
                id,
            })
        })
    };
    let (telephone, dialog) = (dialog_of(&phone), dialog_of(&call));
    assert_ne!(telephone.id, dialog.id);

    dialog.done("POST", &format!("/channels/{call}/answer"), &Value::Null);
    let said = dialog.done("GET", &format!("/channels/{call}"), &Value::Null);
    let said: Value = serde_json::from_str(&said.response_body).expect("JSON");
    assert_eq!((&said["id"], &said["state"]), (&json!(call), &json!("Up")));

    // An id of Asterisk's own: what is played joins by the response.
    let url = format!("/channels/{call}/play?media=sound:hello-world");
    let played = dialog.done("POST", &url, &Value::Null);
    let played: Value = serde_json::from_str(&played.response_body).expect("JSON");
    for kind in ["PlaybackStarted", "PlaybackFinished"] {
        dialog.wait(kind, |event| event["playback"]["id"] == played["id"]);
    }

    // What the telephone dials, the call hears.
    telephone.done(
        "POST",
        &format!("/channels/{phone}/dtmf"),
        &json!({"dtmf": "5"}),
    );
    let heard = dialog.wait_channel("ChannelDtmfReceived", &call);
    assert_eq!(heard["digit"], "5");

    let recording = unique("recording");
    let record = json!({"name": recording, "format": "wav", "ifExists": "overwrite"});
    dialog.done("POST", &format!("/channels/{call}/record"), &record);
    let named = |event: &Value| event["recording"]["name"] == *recording;
    dialog.wait("RecordingStarted", named);
    dialog.done(
        "POST",
        &format!("/recordings/live/{recording}/stop"),
        &Value::Null,
    );
    dialog.wait("RecordingFinished", named);
    dialog.done(
        "DELETE",
        &format!("/recordings/stored/{recording}"),
        &Value::Null,
    );

    // A second channel of an id of the application's own: no call of its own.
    let second = unique("second");
    let originate = json!({"endpoint": "Local/100@echo", "app": name, "timeout": 30});
    dialog.done("POST", &format!("/channels/{second}"), &originate);
    dialog.wait_channel("StasisStart", &second);
    let room = unique("room");
    dialog.done(
        "POST",
        &format!("/bridges/{room}"),
        &json!({"type": "mixing"}),
    );
    for id in [&call, &second] {
        dialog.done(
            "POST",
            &format!("/bridges/{room}/addChannel?channel={id}"),
            &Value::Null,
        );
        dialog.wait_channel("ChannelEnteredBridge", id);
    }
    let said = dialog.done("GET", &format!("/bridges/{room}"), &Value::Null);
    let said: Value = serde_json::from_str(&said.response_body).expect("JSON");
    assert_eq!(said["channels"].as_array().map(Vec::len), Some(2));
    dialog.done("DELETE", &format!("/channels/{second}"), &Value::Null);
    dialog.wait_channel("StasisEnd", &second);
    dialog.done("DELETE", &format!("/bridges/{room}"), &Value::Null);
    dialog.wait("BridgeDestroyed", |event| event["bridge"]["id"] == *room);

    dialog.done("DELETE", &format!("/channels/{call}"), &Value::Null);
    dialog.wait_channel("StasisEnd", &call);
    // The other half of a Local channel goes with it.
    telephone.wait_channel("StasisEnd", &phone);
    for dialog in [&telephone, &dialog] {
        let last = application.events(&dialog.id).pop().expect("an event");
        let last: Value = serde_json::from_str(&last).expect("JSON");
        assert_eq!(last["type"], "StasisEnd");
    }
    assert_eq!(application.dialogs().len(), 2);
    assert_eq!(application.complaints(), [""; 0]);
    proxy.signal("TERM");
    assert_eq!(proxy.wait_exit(SOON), Some(0));
}
