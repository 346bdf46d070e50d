//! Calls through a real Asterisk: the one that `ARI_PROXY_TEST_ASTERISK` names, as
//! `http://user:password@host:port/ari`. Its dialplan must hand `Local/<application>@app` to the
//! application. Without the variable these tests say so and do nothing.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::bus::{Bus, BusKind, Messages, Server, on_each_bus};
use crate::support::proxy::{ProxyBuilder, ProxyProcess};
use crate::support::relay::Relay;
use crate::support::server::basic;
use crate::support::wait::{SOON, wait_for};
use crate::support::websocket::EventSocket;

on_each_bus!(
    a_call_and_its_events_as_another_websocket_sees_them,
    a_dialog_gets_the_events_of_its_call,
    errors_of_the_real_asterisk_begin_as_recorded,
    what_is_still_there_after_a_lost_websocket_is_told,
);

/// Where the real Asterisk is.
pub(crate) struct Place {
    pub(crate) user: String,
    pub(crate) password: String,
    /// Host, port and path.
    pub(crate) rest: String,
}

pub(crate) fn place() -> Option<Place> {
    let Ok(url) = std::env::var("ARI_PROXY_TEST_ASTERISK") else {
        println!("not run: ARI_PROXY_TEST_ASTERISK names no Asterisk");
        return None;
    };
    let rest = url.strip_prefix("http://").expect("an http URL");
    let (login, rest) = rest.split_once('@').expect("user and password");
    let (user, password) = login.split_once(':').expect("user and password");
    Some(Place {
        user: user.to_owned(),
        password: password.to_owned(),
        rest: rest.trim_end_matches('/').to_owned(),
    })
}

/// A name that no other test and no other run uses at the same time.
pub(crate) fn unique(what: &str) -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    format!("{what}{}x{number}", std::process::id())
}

impl Place {
    pub(crate) fn websocket_url(&self) -> String {
        format!("ws://{}/events", self.rest)
    }

    /// Another application's websocket, which gets all events of the system.
    fn observer(&self) -> EventSocket {
        let query = format!("app={}&subscribeAll=true", unique("observer"));
        let authorization = basic(&self.user, &self.password);
        EventSocket::connect(&self.websocket_url(), &query, &authorization)
    }
}

/// A proxy between the real Asterisk and a bus.
struct Call {
    application: String,
    bus: Bus,
    events: Messages,
    seen: Vec<Value>,
    proxy: ProxyProcess,
    _server: Server,
}

impl Call {
    fn start(on: BusKind, place: &Place) -> Call {
        Call::with(on, place, |proxy| proxy)
    }

    fn with(
        on: BusKind,
        place: &Place,
        configure: impl FnOnce(ProxyBuilder) -> ProxyBuilder,
    ) -> Call {
        let server = Server::start(on);
        let bus = Bus::connect(&server.url());
        let announcements = bus.subscribe("ari.announce");
        let application = unique("app");
        let builder = ProxyBuilder::bare()
            .env("ARI_APPLICATION", &application)
            .env("ARI_USERNAME", &place.user)
            .env("ARI_PASSWORD", &place.password)
            .env("ARI_HTTP_URL", format!("http://{}", place.rest))
            .env("ARI_WEBSOCKET_URL", place.websocket_url())
            .env("MESSAGEBUS_URL", server.url());
        let proxy = configure(builder).spawn();
        announcements.expect("at start");
        Call {
            events: bus.subscribe(&format!("ari.event.{application}.>")),
            application,
            bus,
            seen: Vec::new(),
            proxy,
            _server: server,
        }
    }

    fn ask(&self, class: &str, request: &Value) -> Value {
        self.bus
            .ask(&format!("ari.{class}.{}", self.application), request)
    }

    /// Makes a request that must succeed.
    fn done(&self, class: &str, kind: &str, key: &Value, payload: &[(&str, Value)]) -> Value {
        let mut request = json!({"kind": kind, "key": key});
        for (member, value) in payload {
            request[*member] = value.clone();
        }
        let answer = self.ask(class, &request);
        assert_eq!(answer["error"], "", "{request}");
        answer
    }

    /// Waits for an event of this type whose `entity` is what it should be.
    fn wait(&mut self, kind: &str, matches: impl Fn(&Value) -> bool) -> Value {
        let matches = |event: &Value| event["type"] == kind && matches(event);
        if let Some(seen) = self.seen.iter().find(|event| matches(event)) {
            return seen.clone();
        }
        loop {
            let event = self.events.next(SOON).unwrap_or_else(|| {
                let seen: Vec<_> = self
                    .seen
                    .iter()
                    .map(|e| (&e["type"], subject_of(e)))
                    .collect();
                panic!("no {kind} among {seen:?}")
            });
            let event = event.json();
            self.seen.push(event.clone());
            if matches(&event) {
                return event;
            }
        }
    }

    fn wait_channel(&mut self, kind: &str, id: &str) -> Value {
        self.wait(kind, |event| event["channel"]["id"] == id)
    }

    /// Originates a call whose both halves come into the application.
    fn originate(&mut self, dialog: &str) -> [String; 2] {
        let halves = [unique("one"), unique("two")];
        let request = json!({"originate_request": {
            "endpoint": format!("Local/{}@app", self.application), "app": self.application,
            "callerId": "\"Test\" <100>", "timeout": 30,
            "channelId": halves[0], "otherChannelId": halves[1], "variables": {"TESTED": "yes"},
        }});
        let key = match dialog {
            "" => Value::Null,
            dialog => json!({ "dialog": dialog }),
        };
        let answer = self.done(
            "create",
            "ChannelOriginate",
            &key,
            &[("channel_originate", request)],
        );
        assert_eq!(answer["key"]["id"], halves[0]);
        for half in &halves {
            self.wait_channel("StasisStart", half);
        }
        halves
    }

    fn hang_up(&mut self, id: &str) {
        let reason = ("channel_hangup", json!({"reason": "normal"}));
        self.done("command", "ChannelHangup", &channel(id), &[reason]);
    }

    /// Ends the proxy the polite way.
    fn end(mut self) {
        self.proxy.signal("TERM");
        assert_eq!(self.proxy.wait_exit(SOON), Some(0));
    }
}

/// What `observer` sees of `channels` until all of them are destroyed.
fn observed(observer: &mut EventSocket, channels: &[String]) -> Vec<Value> {
    let mut observed: Vec<Value> = Vec::new();
    let mut left = channels.len();
    let start = Instant::now();
    while left > 0 {
        let event = observer.next(SOON).expect("the observer's events");
        let event: Value = serde_json::from_str(&event).expect("JSON");
        if channels.iter().any(|id| *id == subject_of(&event)) {
            left -= usize::from(event["type"] == "ChannelDestroyed");
            observed.push(event);
        }
        assert!(start.elapsed() < SOON, "{left} channels are not destroyed");
    }
    observed
}

fn channel(id: &str) -> Value {
    json!({"kind": "channel", "id": id})
}

fn bridge(id: &str) -> Value {
    json!({"kind": "bridge", "id": id})
}

/// The channel that an event is of, itself or by what is played to it or recorded of it.
fn subject_of(event: &Value) -> String {
    let target = |of: &Value| {
        let uri = of["target_uri"].as_str()?.strip_prefix("channel:")?;
        Some(uri.to_owned())
    };
    let own = event["channel"]["id"].as_str().map(str::to_owned);
    own.or_else(|| event["peer"]["id"].as_str().map(str::to_owned))
        .or_else(|| target(&event["playback"]))
        .or_else(|| target(&event["recording"]))
        .unwrap_or_default()
}

/// Events that Asterisk sends to one application, whoever is subscribed to all.
const ADDRESSED: [&str; 3] = ["StasisStart", "StasisEnd", "ChannelUserevent"];

/// What the events of a channel are known by, without those that only its application gets.
fn of_channel(events: &[Value], id: &str) -> Vec<(String, String)> {
    let text = |event: &Value, name: &str| event[name].as_str().unwrap_or_default().to_owned();
    events
        .iter()
        .filter(|event| subject_of(event) == id)
        .filter(|event| {
            ADDRESSED
                .iter()
                .all(|addressed| event["type"] != *addressed)
        })
        .map(|event| (text(event, "type"), text(event, "timestamp")))
        .collect()
}

fn a_call_and_its_events_as_another_websocket_sees_them(on: BusKind) {
    let Some(place) = place() else { return };
    let mut observer = place.observer();
    let mut call = Call::start(on, &place);
    let [a, a_other] = call.originate("");
    let [b, b_other] = call.originate("");

    call.done("command", "ChannelAnswer", &channel(&a), &[]);
    let data = call.done("data", "ChannelData", &channel(&a), &[]);
    assert_eq!(data["data"]["channel"]["state"], "Up");
    assert_eq!(data["data"]["channel"]["key"]["id"], *a);
    let variable = ("channel_variable", json!({"name": "TESTED"}));
    let got = call.done("data", "ChannelVariableGet", &channel(&a), &[variable]);
    assert_eq!(got["data"]["variable"], "yes");

    let playback = unique("playback");
    let play = json!({"playback_id": playback, "media_uri": "sound:hello-world"});
    call.done(
        "create",
        "ChannelPlay",
        &channel(&a),
        &[("channel_play", play)],
    );
    call.wait("PlaybackStarted", |event| {
        event["playback"]["id"] == playback
    });
    call.wait("PlaybackFinished", |event| {
        event["playback"]["id"] == playback
    });

    let recording = unique("recording");
    let options =
        json!({"Format": "wav", "Exists": "overwrite", "MaxDuration": 60_000_000_000_u64});
    let record = json!({"name": recording, "options": options});
    call.done(
        "create",
        "ChannelRecord",
        &channel(&b),
        &[("channel_record", record)],
    );
    call.wait("RecordingStarted", |event| {
        event["recording"]["name"] == recording
    });
    let live = json!({"kind": "liverecording", "id": recording});
    call.done("command", "RecordingLiveStop", &live, &[]);
    call.wait("RecordingFinished", |event| {
        event["recording"]["name"] == recording
    });
    let stored = json!({"kind": "storedrecording", "id": recording});
    let data = call.done("data", "RecordingStoredData", &stored, &[]);
    assert_eq!(data["data"]["stored_recording"]["name"], recording);
    call.done("command", "RecordingStoredDelete", &stored, &[]);

    let room = unique("bridge");
    let make = ("bridge_create", json!({"type": "mixing", "name": "room"}));
    call.done("create", "BridgeCreate", &bridge(&room), &[make]);
    for id in [&a, &b] {
        let add = ("bridge_add_channel", json!({ "channel": id }));
        call.done("command", "BridgeAddChannel", &bridge(&room), &[add]);
        call.wait_channel("ChannelEnteredBridge", id);
    }
    let data = call.done("data", "BridgeData", &bridge(&room), &[]);
    assert_eq!(
        data["data"]["bridge"]["channels"].as_array().map(Vec::len),
        Some(2)
    );

    let spy = unique("snoop");
    let snoop = json!({"snoop_id": spy, "options": {"spy": "both", "appArgs": "spying"}});
    call.done(
        "create",
        "ChannelSnoop",
        &channel(&a),
        &[("channel_snoop", snoop)],
    );
    call.wait_channel("StasisStart", &spy);

    let dtmf = ("channel_send_dtmf", json!({"dtmf": "5"}));
    call.done("command", "ChannelSendDTMF", &channel(&a), &[dtmf]);
    let received = call.wait("ChannelDtmfReceived", |_| true);
    assert_eq!(received["digit"], "5");

    let user_event = json!({"UserEvent": {"eventname": "Tested", "userevent": {"k": "v ü"}}});
    call.done(
        "command",
        "ChannelUserEvent",
        &channel(&a),
        &[("channel_user_event", user_event)],
    );
    let event = call.wait("ChannelUserevent", |event| event["eventname"] == "Tested");
    assert_eq!(event["userevent"]["k"], "v ü");

    for id in [&a, &b] {
        let remove = ("bridge_remove_channel", json!({ "channel": id }));
        call.done("command", "BridgeRemoveChannel", &bridge(&room), &[remove]);
        call.wait_channel("ChannelLeftBridge", id);
    }
    call.done("command", "BridgeDelete", &bridge(&room), &[]);
    call.hang_up(&spy);
    // Asterisk ends the application's subscription to a snoop channel when it leaves.
    call.wait_channel("StasisEnd", &spy);
    call.hang_up(&a);
    call.hang_up(&b);
    let channels = [a, a_other, b, b_other, spy];
    let (spy, calls) = channels.split_last().expect("five");
    for id in calls {
        call.wait_channel("ChannelDestroyed", id);
    }
    let observed = observed(&mut observer, &channels);
    for id in calls {
        let (ours, theirs) = (of_channel(&call.seen, id), of_channel(&observed, id));
        assert!(ours.len() > 3, "{id}: {ours:?}");
        assert_eq!(ours, since(&theirs, &ours[0]), "{id}");
    }
    let (ours, theirs) = (of_channel(&call.seen, spy), of_channel(&observed, spy));
    assert!(!ours.is_empty(), "{spy}");
    assert_eq!(ours, since(&theirs, &ours[0])[..ours.len()], "{spy}");
    call.end();
}

/// The observer's events of a channel since `first`, when the application came to it.
fn since<'a>(theirs: &'a [(String, String)], first: &(String, String)) -> &'a [(String, String)] {
    let index = theirs.iter().position(|event| event == first);
    &theirs[index.unwrap_or_else(|| panic!("{first:?} not in {theirs:?}"))..]
}

fn a_dialog_gets_the_events_of_its_call(on: BusKind) {
    let Some(place) = place() else { return };
    let mut call = Call::start(on, &place);
    let dialog = unique("dialog");
    let dialog_events = call.bus.subscribe(&format!("ari.dialogevent.{dialog}"));
    let [a, a_other] = call.originate(&dialog);
    let [b, b_other] = call.originate("");
    call.hang_up(&a);
    call.hang_up(&b);
    for id in [&a, &a_other, &b, &b_other] {
        call.wait_channel("ChannelDestroyed", id);
    }
    let mut expected = call.seen.clone();
    expected.retain(|event| {
        let ids = [
            &event["channel"]["id"],
            &event["peer"]["id"],
            &event["caller"]["id"],
        ];
        ids.iter().any(|id| **id == *a || **id == *a_other)
    });
    for event in &mut expected {
        event["dialog"] = json!(dialog);
    }
    let got: Vec<Value> = dialog_events
        .take(expected.len())
        .iter()
        .map(|m| m.json())
        .collect();
    assert_eq!(got, expected);
    assert_eq!(dialog_events.next(Duration::from_millis(100)), None);
    call.end();
}

fn errors_of_the_real_asterisk_begin_as_recorded(on: BusKind) {
    let Some(place) = place() else { return };
    let call = Call::start(on, &place);
    let none = unique("none");
    let cases = [
        (
            "data",
            json!({"kind": "ChannelData", "key": channel(&none)}),
            format!(
                "failed to get data: Error getting data for channel '{none}': \
                Non-2XX response: 404 Not Found"
            ),
        ),
        (
            "command",
            json!({"kind": "ChannelAnswer", "key": channel(&none)}),
            "Non-2XX response: 404 Not Found".to_owned(),
        ),
        (
            "command",
            json!({"kind": "ChannelAnswer", "key": channel("../bridges/x")}),
            "Non-2XX response: 404 Not Found".to_owned(),
        ),
    ];
    for (class, request, start) in cases {
        let answer = call.ask(class, &request);
        let error = answer["error"].as_str().unwrap_or_default();
        assert!(error.starts_with(&start), "{request}: {error}");
    }
    call.end();
}

fn what_is_still_there_after_a_lost_websocket_is_told(on: BusKind) {
    let Some(place) = place() else { return };
    let host = place.rest.split('/').next().expect("host and port");
    let port = host
        .rsplit_once(':')
        .and_then(|(_, port)| port.parse().ok());
    let relay = Relay::start(port.expect("a port"));
    let websocket = format!("ws://127.0.0.1:{}/ari/events", relay.port());
    let mut call = Call::with(on, &place, |proxy| {
        proxy
            .env("ARI_WEBSOCKET_URL", websocket)
            .env("ARI_SNAPSHOT", "true")
    });
    let statuses = call.bus.subscribe("ari.status.>");
    let up = |there: &str| {
        wait_for(there, SOON, || {
            let status = statuses.next(SOON)?.json();
            (status["state"] == "up" && status["lost"].is_null()).then_some(status)
        })
    };
    let [a, other] = call.originate("");
    let id = unique("bridge");
    let create = json!({"type": "mixing", "name": id});
    let key = bridge(&id);
    call.done("create", "BridgeCreate", &key, &[("bridge_create", create)]);
    // A bridge is the application's once a channel of it is in there.
    call.done("command", "ChannelAnswer", &channel(&a), &[]);
    let add = ("bridge_add_channel", json!({ "channel": a }));
    call.done("command", "BridgeAddChannel", &key, &[add]);
    call.wait_channel("ChannelEnteredBridge", &a);
    relay.cut();
    let first = up("the new websocket");
    let channels = first["details"]["channels"].as_array().expect("channels");
    for half in [&a, &other] {
        assert!(channels.contains(&json!(half)), "{half}: {first}");
    }
    assert_eq!(first["details"]["bridges"], json!([id]), "{first}");
    call.hang_up(&a);
    call.wait_channel("ChannelDestroyed", &a);
    relay.cut();
    let second = up("another websocket");
    assert!(
        !second["details"].to_string().contains(&a),
        "{second} tells of a channel that is gone"
    );
    call.done("command", "BridgeDelete", &key, &[]);
    call.end();
}
