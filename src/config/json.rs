//! Configuration files in JSON: with the same tree as those in YAML, or those of go-ari-proxy.

use super::error::ConfigError;
use super::file::{Node, Tree, below};
use super::go_ari_proxy;
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;
use std::fmt;

/// The members of an object in their order: a map would hide that one is set twice, and a parsed
/// value would lose how a number is written.
struct Members(Vec<Member>);

impl<'de> Deserialize<'de> for Members {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Collect;
        impl<'de> Visitor<'de> for Collect {
            type Value = Members;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(Collect)
    }
}

/// A member of an object: its name, and its value as it is written.
pub(super) type Member = (String, Box<RawValue>);

/// Puts everything that the JSON `text`, an object, sets into `tree`.
pub(super) fn read(text: &str, tree: &mut Tree) -> Result<(), ConfigError> {
    let members = object(text, tree)?;
    if go_ari_proxy::is_its(&members) {
        return go_ari_proxy::read(&members, tree);
    }
    put(members, "", tree)
}

/// Whether the JSON `text` is an object with the members of go-ari-proxy's file.
pub(super) fn is_go_ari_proxys(text: &str) -> bool {
    serde_json::from_str(text).is_ok_and(|Members(members)| go_ari_proxy::is_its(&members))
}

/// Puts the members of the object that stands at `section`. It goes no deeper than the keys do,
/// because the tree refuses a map anywhere else.
fn put(members: Vec<Member>, section: &str, tree: &mut Tree) -> Result<(), ConfigError> {
    for (name, value) in members {
        let place = below(section, &name);
        let node = node(&value, tree)?;
        let is_map = node == Node::Map;
        tree.put(&place, node, None)?;
        if is_map {
            put(object(value.get(), tree)?, &place, tree)?;
        }
    }
    Ok(())
}

/// The members of the object `text`.
pub(super) fn object(text: &str, tree: &Tree) -> Result<Vec<Member>, ConfigError> {
    let Members(members) = parse(text, tree)?;
    Ok(members)
}

/// The elements of the list `text`.
pub(super) fn list(text: &str, tree: &Tree) -> Result<Vec<Box<RawValue>>, ConfigError> {
    parse(text, tree)
}

/// What `value` is.
pub(super) fn node(value: &RawValue, tree: &Tree) -> Result<Node, ConfigError> {
    let value = value.get();
    Ok(match value.as_bytes().first() {
        Some(b'{') => Node::Map,
        Some(b'[') => Node::List,
        Some(b'"') => Node::Text(parse(value, tree)?),
        _ if value == "null" => Node::Null,
        _ => Node::Text(value.to_owned()),
    })
}

fn parse<T: for<'a> Deserialize<'a>>(text: &str, tree: &Tree) -> Result<T, ConfigError> {
    // The error's own text may quote the file.
    serde_json::from_str(text).map_err(|error| {
        tree.error(format!(
            "is not valid JSON at line {} column {}",
            error.line(),
            error.column()
        ))
    })
}

#[cfg(test)]
mod tests {
    use super::super::file::tests::parsed;

    #[test]
    fn scalars_are_taken_as_written() {
        for (written, text) in [
            ("123", "123"),
            ("1.10", "1.10"),
            ("12345678901234567890123", "12345678901234567890123"),
            ("true", "true"),
            ("\"a\\u00fc\\\"\"", "aü\""),
            ("\"\"", ""),
        ] {
            assert_eq!(
                parsed(&format!("{{ \"ari\" : {{ \"password\" : {written} }} }}")),
                Ok(vec![format!("ari.password={text}")]),
                "{written}"
            );
        }
        assert_eq!(parsed("{\"ari\": {\"password\": null}}"), Ok(vec![]));
    }

    #[test]
    fn what_is_refused() {
        for text in [
            "{",
            "{\"ari\": hunter2}",
            "{\"ari\": {\"password\": 0123}}",
            "{\"ari\": {\"password\": \"hunter2}}",
            "{\"ari\": {\"password\": \"\\ud800\"}}",
            "{} {}",
            "{ari: {password: hunter2}}",
        ] {
            let error = parsed(text).unwrap_err();
            assert!(
                error.starts_with("file x: is not valid JSON at line 1 column "),
                "{error}"
            );
        }
        let deep = format!(
            "{{\"ari\": {}1{}}}",
            "{\"a\": ".repeat(100_000),
            "}".repeat(100_000)
        );
        let error = parsed(&deep).unwrap_err();
        assert!(error.starts_with("ari.a: unknown key"), "{error}");
    }
}
