//! An application of go-ari-proxy's protocol, as small as can be: it is told of calls, has their events
//! and makes REST calls, and keeps all that it was sent in the order in which it came.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde::Deserialize;
use serde_json::{Value, json};

use super::application_wire::{Mouth, Wire};
use super::rig::APPLICATION;
use super::server::lock;
use super::wait::{SOON, wait_for, wait_until};

/// What every application of the tests shares its topics by, on NATS.
pub(crate) const QUEUE: &str = "testers";

/// What an application does with a call by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Manner {
    /// What the original library does: `DUMMY` on the command topic, and only then it listens.
    Library,
    /// The same, and it answers the channel when it hears of it.
    Answering,
    /// Nothing: the test says what.
    ByHand,
}

/// A message, and where it came.
#[derive(Debug, Clone)]
pub(crate) struct Came {
    pub(crate) topic: String,
    pub(crate) data: Vec<u8>,
}

impl Came {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.data).unwrap_or_else(|error| {
            let text = String::from_utf8_lossy(&self.data);
            panic!("{error}: {text} on {}", self.topic)
        })
    }
}

/// What came of a command.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(crate) struct Response {
    pub(crate) unique_id: String,
    pub(crate) status_code: u16,
    pub(crate) response_body: String,
}

/// An instance of an application.
pub(crate) struct Application {
    wire: Wire,
    name: String,
    manner: Manner,
    came: Arc<Mutex<Vec<Came>>>,
    next: AtomicU64,
}

impl Application {
    /// Starts an instance at the server at `url`.
    pub(crate) fn start(url: &str, manner: Manner) -> Application {
        Application::named(url, APPLICATION, manner)
    }

    /// Starts an instance of the application of this name.
    pub(crate) fn named(url: &str, name: &str, manner: Manner) -> Application {
        let came: Arc<Mutex<Vec<Came>>> = Arc::default();
        let take = {
            let (came, name) = (Arc::clone(&came), name.to_owned());
            move |mouth: &Mouth, topic: &str, data: Vec<u8>| {
                lock(&came).push(Came {
                    topic: topic.to_owned(),
                    data: data.clone(),
                });
                react(mouth, manner, &name, topic, &data);
            }
        };
        let application = Application {
            wire: Wire::connect(url, QUEUE, Box::new(take)),
            name: name.to_owned(),
            manner,
            came,
            next: AtomicU64::new(0),
        };
        application.wire.mouth().listen(name);
        application.wire.mouth().flush();
        application
    }

    /// What it does by itself.
    pub(crate) fn manner(&self) -> Manner {
        self.manner
    }

    /// Says on the command topic that it is there.
    pub(crate) fn show(&self, dialog: &str) {
        self.say(dialog, b"DUMMY");
    }

    /// Listens to the events and the responses of a dialog.
    pub(crate) fn listen(&self, dialog: &str) {
        listen(self.wire.mouth(), dialog);
        self.wire.mouth().flush();
    }

    /// Says anything on the command topic; the server has it when this returns.
    pub(crate) fn say(&self, dialog: &str, body: &[u8]) {
        self.wire.mouth().send(&format!("commands_{dialog}"), body);
        self.wire.mouth().flush();
    }

    /// Sends a command; its unique id.
    pub(crate) fn send(&self, dialog: &str, method: &str, url: &str, body: &str) -> String {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let unique = format!("{}-{number}", self.name);
        let command = command(&unique, method, url, body);
        self.say(dialog, command.as_bytes());
        unique
    }

    /// Sends a command and waits for what comes of it.
    pub(crate) fn call(&self, dialog: &str, method: &str, url: &str, body: &str) -> Response {
        let unique = self.send(dialog, method, url, body);
        self.response(dialog, &unique)
    }

    /// Waits for the response to the command of this unique id.
    pub(crate) fn response(&self, dialog: &str, unique: &str) -> Response {
        wait_for(&format!("the response to {unique}"), SOON, || {
            let all = self.responses(dialog);
            all.into_iter()
                .find(|response| response.unique_id == unique)
        })
    }

    /// The responses that came, in order.
    pub(crate) fn responses(&self, dialog: &str) -> Vec<Response> {
        let came = self.on(&format!("responses_{dialog}"));
        let parse = |came: &Came| serde_json::from_value(came.json()).expect("a response");
        came.iter().map(parse).collect()
    }

    /// Waits until as many responses came.
    pub(crate) fn wait_responses(&self, dialog: &str, count: usize) -> Vec<Response> {
        wait_until(&format!("{count} responses"), SOON, || {
            self.count(&format!("responses_{dialog}")) >= count
        });
        self.responses(dialog)
    }

    /// What it was told of calls, in order.
    pub(crate) fn starts(&self) -> Vec<Value> {
        self.on(&self.name).iter().map(Came::json).collect()
    }

    /// The dialogs of which it was told, in order.
    pub(crate) fn dialogs(&self) -> Vec<String> {
        let starts = self.starts();
        let dialog = |start: &Value| start["dialog_id"].as_str().map(str::to_owned);
        starts
            .iter()
            .map(|start| dialog(start).unwrap_or_else(|| panic!("no dialog_id: {start}")))
            .collect()
    }

    /// Waits until it was told of so many calls; the dialog of the last of them.
    pub(crate) fn wait_dialog(&self, nth: usize) -> String {
        wait_until(&format!("AppStart {nth}"), SOON, || {
            self.count(&self.name) >= nth
        });
        self.dialogs().swap_remove(nth - 1)
    }

    /// The envelopes of the events of a dialog that came, in order.
    pub(crate) fn envelopes(&self, dialog: &str) -> Vec<Value> {
        let came = self.on(&format!("events_{dialog}"));
        came.iter().map(Came::json).collect()
    }

    /// The events of a dialog that came, as Asterisk sent them, in order.
    pub(crate) fn events(&self, dialog: &str) -> Vec<String> {
        let body = |envelope: &Value| envelope["ari_body"].as_str().map(str::to_owned);
        let envelopes = self.envelopes(dialog);
        envelopes
            .iter()
            .map(|envelope| body(envelope).unwrap_or_else(|| panic!("no ari_body: {envelope}")))
            .collect()
    }

    /// Waits until as many events of a dialog came; all that did.
    pub(crate) fn wait_events(&self, dialog: &str, count: usize) -> Vec<String> {
        let topic = format!("events_{dialog}");
        let start = Instant::now();
        while self.count(&topic) < count {
            assert!(
                start.elapsed() < SOON,
                "not {count} events: {:#?}",
                self.events(dialog)
            );
            std::thread::sleep(Duration::from_millis(2));
        }
        self.events(dialog)
    }

    /// Waits for an event of a dialog that is of this type and has what it should; the event.
    pub(crate) fn wait_event(
        &self,
        dialog: &str,
        kind: &str,
        matches: impl Fn(&Value) -> bool,
    ) -> Value {
        let start = Instant::now();
        loop {
            let events = self.events(dialog);
            let mut parsed = events.iter().filter_map(|e| serde_json::from_str(e).ok());
            let found = parsed.find(|event: &Value| event["type"] == kind && matches(event));
            match found {
                Some(event) => return event,
                None => assert!(start.elapsed() < SOON, "no {kind} among {events:#?}"),
            }
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    /// All that came, in order.
    pub(crate) fn came(&self) -> Vec<Came> {
        lock(&self.came).clone()
    }

    /// How much came on a topic.
    pub(crate) fn count(&self, topic: &str) -> usize {
        let came = lock(&self.came);
        came.iter().filter(|came| came.topic == topic).count()
    }

    /// How much came on the topics that begin so.
    pub(crate) fn count_from(&self, start: &str) -> usize {
        let came = lock(&self.came);
        let on = came.iter().filter(|came| came.topic.starts_with(start));
        on.count()
    }

    /// Cuts its connection: it does nothing any more.
    pub(crate) fn kill(&self) {
        self.wire.cut();
    }

    /// What the server complained of.
    pub(crate) fn complaints(&self) -> Vec<String> {
        self.wire.complaints()
    }

    fn on(&self, topic: &str) -> Vec<Came> {
        let came = lock(&self.came);
        let on = came.iter().filter(|came| came.topic == topic);
        on.cloned().collect()
    }
}

/// A command as it is on the bus.
pub(crate) fn command(unique: &str, method: &str, url: &str, body: &str) -> String {
    json!({"unique_id": unique, "url": url, "method": method, "body": body}).to_string()
}

fn listen(mouth: &Mouth, dialog: &str) {
    mouth.listen(&format!("events_{dialog}"));
    mouth.listen(&format!("responses_{dialog}"));
}

fn react(mouth: &Mouth, manner: Manner, name: &str, topic: &str, data: &[u8]) {
    if manner == Manner::ByHand {
        return;
    }
    let Ok(message) = serde_json::from_slice::<Value>(data) else {
        return;
    };
    if let Some(dialog) = topic.strip_prefix("events_") {
        if manner == Manner::Answering && message["type"] == "StasisStart" {
            let event = message["ari_body"].as_str().unwrap_or_default();
            let event: Value = serde_json::from_str(event).unwrap_or_default();
            let channel = event["channel"]["id"].as_str().unwrap_or_default();
            let answer = command("answer", "POST", &format!("/channels/{channel}/answer"), "");
            mouth.send(&format!("commands_{dialog}"), answer.as_bytes());
        }
    } else if topic == name && message["application"] == name {
        let dialog = message["dialog_id"].as_str().unwrap_or_default();
        mouth.send(&format!("commands_{dialog}"), b"DUMMY");
        listen(mouth, dialog);
    }
}
