//! The key of an entity: kind, id, Asterisk, dialog and application.

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};

use super::request::{BadRequest, member, text};

/// A key as it travels; every member is optional and left out when empty.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Key {
    /// What the key names: `channel`, `bridge`, ….
    #[serde(
        skip_serializing_if = "String::is_empty",
        deserialize_with = "nullable"
    )]
    pub kind: String,
    /// The entity's id at its Asterisk.
    #[serde(
        skip_serializing_if = "String::is_empty",
        deserialize_with = "nullable"
    )]
    pub id: String,
    /// The Asterisk id.
    #[serde(
        skip_serializing_if = "String::is_empty",
        deserialize_with = "nullable"
    )]
    pub node: String,
    /// The dialog that the sender wants events of this entity for.
    #[serde(
        skip_serializing_if = "String::is_empty",
        deserialize_with = "nullable"
    )]
    pub dialog: String,
    /// The ARI application.
    #[serde(
        skip_serializing_if = "String::is_empty",
        deserialize_with = "nullable"
    )]
    pub app: String,
}

impl Key {
    /// A key of `kind` and `id`, without a place.
    pub fn new(kind: &str, id: &str) -> Key {
        Key {
            kind: kind.to_owned(),
            id: id.to_owned(),
            ..Key::default()
        }
    }

    /// Reads a key from the object `from`; a member that is null counts as absent.
    pub(super) fn read(from: &Map<String, Value>) -> Result<Key, BadRequest> {
        let read = |name: &str| -> Result<String, BadRequest> {
            match member(from, name) {
                None => Ok(String::new()),
                Some(Value::String(value)) => Ok(value.clone()),
                Some(value) => text(value, &format!("key.{name}")).map(str::to_owned),
            }
        };
        Ok(Key {
            kind: read("kind")?,
            id: read("id")?,
            node: read("node")?,
            dialog: read("dialog")?,
            app: read("app")?,
        })
    }

    /// The key with this proxy's place in it, as every response carries it.
    pub fn stamped(mut self, place: &Place<'_>) -> Key {
        self.node = place.asterisk.to_owned();
        self.app = place.application.to_owned();
        self
    }

    /// Whether the two keys can mean the same entity: members that are empty on either side match
    /// anything. It is how the Go program filters the lists it is given a key for.
    pub fn matches(&self, other: &Key) -> bool {
        let same = |a: &str, b: &str| a.is_empty() || b.is_empty() || a == b;
        same(&self.kind, &other.kind)
            && same(&self.id, &other.id)
            && same(&self.node, &other.node)
            && same(&self.dialog, &other.dialog)
            && same(&self.app, &other.app)
    }
}

/// Text; a member that is null counts as absent.
fn nullable<'de, D: Deserializer<'de>>(from: D) -> Result<String, D::Error> {
    Ok(Option::deserialize(from)?.unwrap_or_default())
}

/// Where a proxy stands: its Asterisk and its application.
#[derive(Debug, Clone, Copy)]
pub struct Place<'a> {
    /// The Asterisk id.
    pub asterisk: &'a str,
    /// The ARI application.
    pub application: &'a str,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn empty_members_are_left_out() {
        let key = Key::new("channel", "c1");
        assert_eq!(
            serde_json::to_string(&key).unwrap(),
            r#"{"kind":"channel","id":"c1"}"#
        );
    }

    #[test]
    fn null_is_absent() {
        let key: Key =
            serde_json::from_str(r#"{"kind":"channel","id":"c1","node":null,"more":1}"#).unwrap();
        assert_eq!(key, Key::new("channel", "c1"));
    }

    #[test]
    fn empty_members_match_anything() {
        let any = Key::default();
        let one = Key::new("sound", "x");
        assert!(any.matches(&one) && one.matches(&any));
        assert!(!Key::new("sound", "y").matches(&one));
        assert!(!Key::new("channel", "").matches(&one));
    }
}
