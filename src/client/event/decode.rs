//! Events read from what the bus delivers.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::{Map, Value};

use super::{Event, EventType};
use crate::wire::event::Touched;
use crate::wire::key::Key;

impl Event {
    /// Reads an event of Asterisk's, or a status of a proxy's. It never fails: [`Event::Other`] is what is not
    /// known here.
    pub fn decode(event: &[u8]) -> Event {
        #[derive(Deserialize)]
        struct Typed<'a> {
            #[serde(borrow, default, rename = "type")]
            named: Cow<'a, str>,
        }
        // Here once for all, not for each text in it.
        let Ok(event) = str::from_utf8(event) else {
            return Event::Other(String::from_utf8_lossy(event).into());
        };
        let read = match serde_json::from_str(event) {
            // Of all that is published, only a status has no type.
            Ok(Typed { named }) if named.is_empty() => {
                Some(serde_json::from_str(event).map(Event::Status))
            }
            Ok(Typed { named }) => Event::read(&named, event),
            Err(_) => None,
        };
        match read {
            Some(Ok(event)) => event,
            _ => Event::Other(serde_json::from_str(event).unwrap_or_else(|_| event.into())),
        }
    }

    /// The entities that it is about, and those that its members name; without the channels that are in a
    /// bridge when something else happens to that.
    pub fn keys(&self) -> Vec<Key> {
        if matches!(self, Event::Status(_) | Event::Gap(_)) {
            return Vec::new();
        }
        // Which members name an entity is known in one place, and that reads bytes.
        let event = serde_json::to_vec(self).unwrap_or_default();
        let mut keys = Vec::new();
        for (entity, id) in Touched::named(&event).unwrap_or_default().entities {
            let key = Key {
                node: self.asterisk_id().to_owned(),
                dialog: self.dialog().to_owned(),
                app: self.application().to_owned(),
                ..Key::new(entity.key_kind(), &id)
            };
            if !keys.contains(&key) {
                keys.push(key);
            }
        }
        keys
    }
}

impl fmt::Display for EventType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The text that `event` has as its member `name`; empty where there is none.
pub(super) fn text_of<'a>(event: &'a Value, name: &str) -> &'a str {
    event.get(name).and_then(Value::as_str).unwrap_or_default()
}

/// Reads the members of an event that no field is for. Its type is not among them: the struct says it.
pub(super) fn rest<'de, D: Deserializer<'de>>(from: D) -> Result<Map<String, Value>, D::Error> {
    struct Rest;
    impl<'de> Visitor<'de> for Rest {
        type Value = Map<String, Value>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("members")
        }

        fn visit_map<M: MapAccess<'de>>(self, mut members: M) -> Result<Self::Value, M::Error> {
            let mut rest = Map::new();
            while let Some(name) = members.next_key::<String>()? {
                if name == "type" {
                    members.next_value::<IgnoredAny>()?;
                } else {
                    rest.insert(name, members.next_value()?);
                }
            }
            Ok(rest)
        }
    }
    from.deserialize_map(Rest)
}
