//! A simulated Asterisk as a program, for `packaging/quickstart`: channels, playbacks and bridges
//! that exist only here, with the events that the real one sends of them.
//!
//! `simulated-asterisk [--port 8088] [--user ari] [--password secret]`

// A stand-in may end with a message where its surroundings are not as they should be.
#![allow(clippy::expect_used)]

#[path = "server.rs"]
#[allow(dead_code, reason = "the tests use the rest")]
mod server;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};
use server::{Reply, Request, Server, lock};

const ENTITY_ID: &str = "00:00:5e:00:53:01";

fn main() {
    let mut options = BTreeMap::from([
        ("--port".to_owned(), "8088".to_owned()),
        ("--user".to_owned(), "ari".to_owned()),
        ("--password".to_owned(), "secret".to_owned()),
    ]);
    let mut arguments = std::env::args().skip(1);
    while let Some(name) = arguments.next() {
        match (options.get_mut(&name), arguments.next()) {
            (Some(option), Some(value)) => *option = value,
            _ => {
                eprintln!("usage: simulated-asterisk [--port N] [--user NAME] [--password TEXT]");
                std::process::exit(2);
            }
        }
    }
    let port = options["--port"].parse().expect("--port takes a number");
    let exchange = Arc::new(Exchange::default());
    let answer = {
        let exchange = Arc::clone(&exchange);
        Box::new(move |request: &Request| exchange.answer(request))
    };
    let server = Server::start(port, &options["--user"], &options["--password"], answer);
    println!("simulated Asterisk: http://127.0.0.1:{port}/ari");
    let _ = exchange.server.set(server);
    loop {
        std::thread::park();
    }
}

/// What there is, and who hears of it.
#[derive(Default)]
struct Exchange {
    server: OnceLock<Server>,
    channels: Mutex<BTreeMap<String, Value>>,
    bridges: Mutex<BTreeMap<String, Value>>,
    playbacks: Mutex<BTreeMap<String, Value>>,
    recordings: Mutex<BTreeMap<String, Value>>,
    made: Mutex<u64>,
}

impl Exchange {
    fn answer(self: &Arc<Self>, request: &Request) -> Reply {
        let segments = request.segments();
        let path: Vec<&str> = segments.iter().skip(1).map(String::as_str).collect();
        match (request.method.as_str(), path.as_slice()) {
            ("GET", ["asterisk", "info"]) => Reply::ok(&json!({
                "build": {"os": "simulated"},
                "system": {"version": "simulated", "entity_id": ENTITY_ID},
                "config": {"name": "simulated", "default_language": "en"},
                "status": {"startup_time": now(), "last_reload_time": now()},
            })),
            ("GET", ["asterisk", "ping"]) => {
                Reply::ok(&json!({"ping": "pong", "timestamp": now(), "asterisk_id": ENTITY_ID}))
            }
            ("GET", ["channels"]) => list(&self.channels),
            ("POST", ["channels"]) => self.originate(request),
            (method, ["channels", id, rest @ ..]) => {
                let Some(channel) = lock(&self.channels).get(*id).cloned() else {
                    return Reply::not_found("Channel not found");
                };
                self.channel(method, &channel, rest, request)
            }
            ("GET", ["playbacks", id]) => one(&self.playbacks, id),
            ("GET", ["recordings", "live", name]) => one(&self.recordings, name),
            (method, ["recordings", "stored", name]) => self.stored(method, name),
            ("GET", ["bridges"]) => list(&self.bridges),
            ("POST", ["bridges"]) => self.create_bridge(None, request),
            ("POST", ["bridges", id]) => self.create_bridge(Some(id), request),
            (method, ["bridges", id, rest @ ..]) => {
                let Some(bridge) = lock(&self.bridges).get(*id).cloned() else {
                    return Reply::not_found("Bridge not found");
                };
                self.bridge(method, bridge, rest, request)
            }
            _ => Reply::not_found("Resource not found"),
        }
    }

    fn originate(&self, request: &Request) -> Reply {
        let parameters = request.parameters();
        let text = |name: &str| parameters.get(name).and_then(Value::as_str);
        let (Some(endpoint), Some(application)) = (text("endpoint"), text("app")) else {
            let message = json!({"message": "Endpoint and app are needed"});
            return Reply::new(400, "Bad Request", &message);
        };
        let number = self.next();
        let id = text("channelId").map_or_else(|| format!("sim-{number}"), str::to_owned);
        let arguments: Vec<&str> = text("appArgs").map_or(vec![], |all| all.split(',').collect());
        let mut channel = json!({
            "id": id, "name": format!("{endpoint}-{number:08x}"), "state": "Down",
            "protocol_id": "", "caller": {"name": "", "number": ""},
            "connected": {"name": "", "number": ""}, "accountcode": "",
            "dialplan": {"context": "default", "exten": "s", "priority": 1,
                "app_name": "Stasis", "app_data": application},
            "creationtime": now(), "language": "en",
        });
        self.emit("ChannelCreated", application, json!({ "channel": channel }));
        channel["state"] = json!("Up");
        lock(&self.channels).insert(id, channel.clone());
        self.emit(
            "ChannelStateChange",
            application,
            json!({ "channel": channel }),
        );
        let start = json!({"channel": channel, "args": arguments});
        self.emit("StasisStart", application, start);
        Reply::ok(&channel)
    }

    fn channel(
        self: &Arc<Self>,
        method: &str,
        channel: &Value,
        rest: &[&str],
        request: &Request,
    ) -> Reply {
        let application = application_of(channel);
        match (method, rest) {
            ("GET", []) => Reply::ok(channel),
            ("DELETE", []) => {
                lock(&self.channels).remove(channel["id"].as_str().unwrap_or_default());
                let hangup = json!({"channel": channel, "cause": 16});
                self.emit("ChannelHangupRequest", &application, hangup);
                self.leave_bridges(channel);
                self.emit("StasisEnd", &application, json!({ "channel": channel }));
                let destroyed = json!(
                    {"channel": channel, "cause": 16, "cause_txt": "Normal Clearing"});
                self.emit("ChannelDestroyed", &application, destroyed);
                Reply::done()
            }
            ("POST", ["record"]) => self.record(channel, request),
            ("POST", ["play", id @ ..]) => self.play(id.first().copied(), channel, request),
            ("POST", ["answer" | "ring" | "hold" | "dtmf" | "mute" | "silence" | "moh"])
            | ("DELETE", ["ring" | "hold" | "mute" | "silence" | "moh"]) => Reply::done(),
            _ => Reply::not_found("Resource not found"),
        }
    }

    fn play(self: &Arc<Self>, id: Option<&str>, channel: &Value, request: &Request) -> Reply {
        let number = self.next();
        let application = application_of(channel);
        let mut playback = json!({
            "id": id.map_or_else(|| format!("sim-{number}"), str::to_owned),
            "media_uri": request.parameters().get("media"),
            "target_uri": format!("channel:{}", channel["id"].as_str().unwrap_or_default()),
            "language": "en", "state": "playing",
        });
        let reply = Reply::new(201, "Created", &playback);
        let id = playback["id"].as_str().unwrap_or_default().to_owned();
        lock(&self.playbacks).insert(id.clone(), playback.clone());
        self.emit(
            "PlaybackStarted",
            &application,
            json!({ "playback": playback }),
        );
        let exchange = Arc::clone(self);
        std::thread::spawn(move || {
            // So long is the sound.
            std::thread::sleep(Duration::from_millis(200));
            playback["state"] = json!("done");
            lock(&exchange.playbacks).remove(&id);
            exchange.emit(
                "PlaybackFinished",
                &application,
                json!({ "playback": playback }),
            );
        });
        reply
    }

    fn record(self: &Arc<Self>, channel: &Value, request: &Request) -> Reply {
        let application = application_of(channel);
        let parameters = request.parameters();
        let name = parameters.get("name").and_then(Value::as_str);
        let name = name.unwrap_or_default().to_owned();
        let mut recording = json!({
            "name": name, "format": parameters.get("format"), "state": "recording",
            "target_uri": format!("channel:{}", channel["id"].as_str().unwrap_or_default()),
        });
        let reply = Reply::new(201, "Created", &recording);
        lock(&self.recordings).insert(name.clone(), recording.clone());
        let event = json!({ "recording": recording });
        self.emit("RecordingStarted", &application, event);
        let exchange = Arc::clone(self);
        std::thread::spawn(move || {
            // So long does the caller speak.
            std::thread::sleep(Duration::from_millis(200));
            recording["state"] = json!("done");
            lock(&exchange.recordings).insert(name, recording.clone());
            let event = json!({ "recording": recording });
            exchange.emit("RecordingFinished", &application, event);
        });
        reply
    }

    fn stored(&self, method: &str, name: &str) -> Reply {
        let mut recordings = lock(&self.recordings);
        let done = recordings.get(name).is_some_and(|it| it["state"] == "done");
        let found = match method {
            _ if !done => None,
            "DELETE" => recordings.remove(name).map(|_| Reply::done()),
            _ => recordings
                .get(name)
                .map(|it| Reply::ok(&json!({"name": name, "format": it["format"]}))),
        };
        found.unwrap_or_else(|| Reply::not_found("Recording not found"))
    }

    fn create_bridge(&self, id: Option<&str>, request: &Request) -> Reply {
        let number = self.next();
        let parameters = request.parameters();
        let text = |name: &str| parameters.get(name).and_then(Value::as_str);
        let id = id.or_else(|| text("bridgeId"));
        let id = id.map_or_else(|| format!("sim-{number}"), str::to_owned);
        let bridge = json!({
            "id": id, "technology": "simple_bridge", "bridge_type": "mixing",
            "bridge_class": "stasis", "creator": "Stasis", "name": text("name").unwrap_or_default(),
            "channels": [], "creationtime": now(), "video_mode": "none",
        });
        lock(&self.bridges).insert(id, bridge.clone());
        Reply::ok(&bridge)
    }

    /// Takes `channel` out of the bridges that it is in.
    fn leave_bridges(&self, channel: &Value) {
        let mut left = Vec::new();
        for bridge in lock(&self.bridges).values_mut() {
            if let Some(inside) = bridge["channels"].as_array_mut()
                && inside.contains(&channel["id"])
            {
                inside.retain(|other| *other != channel["id"]);
                left.push(bridge.clone());
            }
        }
        for bridge in left {
            let event = json!({"bridge": bridge, "channel": channel});
            self.emit("ChannelLeftBridge", &application_of(channel), event);
        }
    }

    fn bridge(
        self: &Arc<Self>,
        method: &str,
        mut bridge: Value,
        rest: &[&str],
        request: &Request,
    ) -> Reply {
        let id = bridge["id"].as_str().unwrap_or_default().to_owned();
        let parameters = request.parameters();
        let channel = parameters.get("channel").and_then(Value::as_str);
        match (method, rest) {
            ("GET", []) => Reply::ok(&bridge),
            ("DELETE", []) => {
                lock(&self.bridges).remove(&id);
                Reply::done()
            }
            ("POST", ["addChannel" | "removeChannel"]) => {
                let found = channel.and_then(|id| lock(&self.channels).get(id).cloned());
                let Some(found) = found else {
                    let message = json!({"message": "Channel not found"});
                    return Reply::new(400, "Bad Request", &message);
                };
                let mut inside = bridge["channels"].as_array().cloned().unwrap_or_default();
                inside.retain(|other| *other != found["id"]);
                let kind = match rest {
                    ["addChannel"] => {
                        inside.push(found["id"].clone());
                        "ChannelEnteredBridge"
                    }
                    _ => "ChannelLeftBridge",
                };
                bridge["channels"] = json!(inside);
                lock(&self.bridges).insert(id, bridge.clone());
                let event = json!({"bridge": bridge, "channel": found});
                self.emit(kind, &application_of(&found), event);
                Reply::done()
            }
            _ => Reply::not_found("Resource not found"),
        }
    }

    fn emit(&self, kind: &str, application: &str, mut event: Value) {
        event["type"] = json!(kind);
        event["timestamp"] = json!(now());
        event["application"] = json!(application);
        event["asterisk_id"] = json!(ENTITY_ID);
        if let Some(server) = self.server.get() {
            server.push(Some(application), event.to_string().as_bytes());
        }
    }

    fn next(&self) -> u64 {
        let mut made = lock(&self.made);
        *made += 1;
        *made
    }
}

fn application_of(channel: &Value) -> String {
    let name = channel["dialplan"]["app_data"].as_str();
    name.unwrap_or_default().to_owned()
}

fn one(all: &Mutex<BTreeMap<String, Value>>, id: &str) -> Reply {
    let found = lock(all)
        .get(id)
        .filter(|it| it["state"] != "done")
        .cloned();
    found.map_or_else(|| Reply::not_found("Not found"), |it| Reply::ok(&it))
}

fn list(all: &Mutex<BTreeMap<String, Value>>) -> Reply {
    Reply::ok(&lock(all).values().cloned().collect())
}

/// The time the way Asterisk writes it.
fn now() -> String {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    let seconds = since.as_secs();
    // Days since 0000-03-01 to a date, in years that begin in March.
    let days = seconds / 86_400 + 719_468;
    let (era, day) = (days / 146_097, days % 146_097);
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day_of_year = day - (365 * year + year / 4 - year / 100);
    let march_month = (5 * day_of_year + 2) / 153;
    let month = if march_month < 10 {
        march_month + 3
    } else {
        march_month - 9
    };
    format!(
        "{:04}-{month:02}-{:02}T{:02}:{:02}:{:02}.{:03}+0000",
        era * 400 + year + u64::from(month <= 2),
        day_of_year - (153 * march_month + 2) / 5 + 1,
        seconds / 3_600 % 24,
        seconds / 60 % 60,
        seconds % 60,
        since.subsec_millis(),
    )
}
