//! A request to proxies: kind, key, payload.

use serde::Serialize;
use serde_json::{Map, Value};

use super::Error;
use crate::wire::key::Key;

/// A request. Those of all kinds that there are have methods; this is for the kinds of tomorrow.
#[derive(Debug, Clone)]
pub struct Request {
    pub(super) kind: String,
    pub(super) key: Key,
    pub(super) payload: Option<(&'static str, Value)>,
}

impl Request {
    /// The request of this `kind` about what `key` names, without a payload.
    pub fn new(kind: &str, key: &Key) -> Request {
        Request {
            kind: kind.to_owned(),
            key: key.clone(),
            payload: None,
        }
    }

    /// The same with the payload `value` as the member `name` (wire-protocol.md, "Request").
    pub fn with(mut self, name: &'static str, value: impl Serialize) -> Request {
        // What has no JSON form has no members: the proxy says which is missing.
        let value = serde_json::to_value(value).unwrap_or_default();
        self.payload = Some((name, value));
        self
    }

    /// As it travels.
    pub(super) fn to_json(&self) -> Result<Vec<u8>, Error> {
        let unreadable = |error: serde_json::Error| Error::Setting(error.to_string());
        let mut members = Map::new();
        members.insert("kind".into(), self.kind.as_str().into());
        let key = serde_json::to_value(&self.key).map_err(unreadable)?;
        members.insert("key".into(), key);
        if let Some((name, value)) = &self.payload {
            members.insert((*name).into(), value.clone());
        }
        serde_json::to_vec(&members).map_err(unreadable)
    }
}
