//! What writes down what handles ask, and answers it.

use std::sync::{Arc, Mutex};

use crossbeam_channel::{Receiver, Sender, unbounded};
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::client::{Error, Event, EventType, Request};
use crate::wire::key::Key;

/// The Asterisk that answers.
pub(in crate::client) const NODE: &str = "02:42:ac:11:00:02";

/// A session that writes down, of the application `conf`.
#[derive(Debug, Default)]
pub(in crate::client) struct Recorder {
    seen: Mutex<Vec<Seen>>,
    /// The kind of requests that fail, and how.
    refuse: Mutex<Option<(&'static str, Error)>>,
    /// Where the events go that handles listen to.
    ears: Mutex<Vec<Sender<Event>>>,
}

/// The rows of `tests/data/requests.jsonl`.
pub(in crate::client) fn recorded() -> impl Iterator<Item = Value> {
    include_str!("../../../tests/data/requests.jsonl")
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
}

/// What came.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::client) struct Seen {
    /// The class of a request, `list` for one on `get` that all answer, `listen` for a subscription.
    pub(in crate::client) class: &'static str,
    pub(in crate::client) kind: String,
    /// As it travels; the key of a subscription.
    pub(in crate::client) body: Value,
}

impl Recorder {
    pub(in crate::client) fn new() -> Arc<Recorder> {
        Arc::new(Recorder::default())
    }

    /// Has requests of this kind fail, and no others.
    pub(in crate::client) fn refuse(&self, kind: &'static str, error: Error) {
        *self.refuse.lock().unwrap() = Some((kind, error));
    }

    /// What came since the last time.
    pub(in crate::client) fn take(&self) -> Vec<Seen> {
        std::mem::take(&mut self.seen.lock().unwrap())
    }

    /// Says `event` to who listens.
    pub(in crate::client) fn say(&self, event: &Event) {
        for ears in self.ears.lock().unwrap().iter() {
            // Who listens no more hears nothing.
            let _ = ears.send(event.clone());
        }
    }

    /// Ends all that is listened to.
    pub(in crate::client) fn close(&self) {
        self.ears.lock().unwrap().clear();
    }

    pub(in crate::client) fn place(&self, key: &Key) -> Key {
        let mut key = key.clone();
        if key.app.is_empty() {
            key.app = "conf".into();
        }
        key
    }

    pub(in crate::client) fn key(
        &self,
        class: &'static str,
        request: &Request,
    ) -> Result<Key, Error> {
        self.note(class, request)?;
        Ok(Key {
            dialog: String::new(),
            node: NODE.into(),
            ..request.key.clone()
        })
    }

    pub(in crate::client) fn list(&self, request: &Request) -> Result<Vec<Key>, Error> {
        self.note("list", request)?;
        Ok(vec![Key::new("", "listed").at(NODE).in_app("conf")])
    }

    pub(in crate::client) fn data<T: DeserializeOwned>(
        &self,
        request: &Request,
        member: &str,
    ) -> Result<T, Error> {
        self.note("data", request)?;
        let row = recorded().find(|row| row["request"]["kind"] == request.kind.as_str());
        let row = row.unwrap();
        let data = match &row["response"]["data"][member] {
            // The Go program finds no log channel: the first that Asterisk has will do.
            Value::Null => &row["http"][0]["reply"][0],
            data => data,
        };
        serde_json::from_value(data.clone()).map_err(|error| Error::Unreadable(error.to_string()))
    }

    pub(in crate::client) fn listen(&self, key: &Key, types: &[EventType]) -> Receiver<Event> {
        let (sender, receiver) = unbounded();
        self.ears.lock().unwrap().push(sender);
        assert!(!types.is_empty());
        self.seen.lock().unwrap().push(Seen {
            class: "listen",
            kind: String::new(),
            body: serde_json::to_value(key).unwrap(),
        });
        receiver
    }

    fn note(&self, class: &'static str, request: &Request) -> Result<(), Error> {
        let body = serde_json::from_slice(&request.to_json().unwrap()).unwrap();
        self.seen.lock().unwrap().push(Seen {
            class,
            kind: request.kind.clone(),
            body,
        });
        match &*self.refuse.lock().unwrap() {
            Some((kind, error)) if *kind == request.kind => Err(error.clone()),
            _ => Ok(()),
        }
    }
}
