//! The members of a JSON object as Go's decoder finds them: without regard to the case of their names,
//! and each of one type.

use super::error::ConfigError;
use super::file::{Node, Tree, below};
use super::json::{self, Member};
use super::nearest::shown;
use serde_json::value::RawValue;

/// What stands at a place of the file, which is named as it is written there.
pub(super) struct Found<T> {
    /// The names of the objects and the member, joined by dots.
    pub(super) place: String,
    /// What stands there.
    pub(super) value: T,
}

/// The members of an object, and which of them were read.
pub(super) struct Object<'a> {
    section: &'a str,
    members: Vec<(&'a Member, bool)>,
}

impl<'a> Object<'a> {
    /// Those of the object at `section`, which is empty at the top.
    pub(super) fn new(members: &'a [Member], section: &'a str) -> Object<'a> {
        Object {
            section,
            members: members.iter().map(|member| (member, false)).collect(),
        }
    }

    /// The text called `name`; empty where there is none.
    pub(super) fn text(&mut self, name: &str, tree: &Tree) -> Result<Found<String>, ConfigError> {
        self.find(name, tree, |value| text_of(value, tree))
    }

    /// The texts of the list called `name`, with commas between them.
    pub(super) fn texts(&mut self, name: &str, tree: &Tree) -> Result<Found<String>, ConfigError> {
        self.find(name, tree, |value| {
            if json::node(value, tree)? != Node::List {
                return Ok(Err("must be a list of texts"));
            }
            let mut texts = Vec::new();
            for element in json::list(value.get(), tree)? {
                match text_of(&element, tree)? {
                    Ok(text) if text.contains(',') => return Ok(Err("has a text with a comma")),
                    Ok(text) => texts.push(text),
                    Err(_) => return Ok(Err("must be a list of texts")),
                }
            }
            Ok(Ok(texts.join(",")))
        })
    }

    /// The members of the object called `name`.
    pub(super) fn members(
        &mut self,
        name: &str,
        tree: &Tree,
    ) -> Result<Found<Vec<Member>>, ConfigError> {
        self.find(name, tree, |value| match json::node(value, tree)? {
            Node::Map => json::object(value.get(), tree).map(Ok),
            _ => Ok(Err("must be an object")),
        })
    }

    /// What `take` makes of the member called `name`, or the problem that it has with it.
    fn find<T: Default>(
        &mut self,
        name: &str,
        tree: &Tree,
        take: impl FnOnce(&RawValue) -> Result<Result<T, &'static str>, ConfigError>,
    ) -> Result<Found<T>, ConfigError> {
        let mut found: Option<&Member> = None;
        for (member, read) in &mut self.members {
            if is_called(&member.0, name) {
                *read = true;
                if found.replace(member).is_some() {
                    return Err(invalid(&below(self.section, name), "is set twice", tree));
                }
            }
        }
        let place = below(self.section, found.map_or(name, |(name, _)| name));
        let value = match found {
            Some((_, value)) if value.get() != "null" => {
                take(value)?.map_err(|problem| invalid(&place, problem, tree))?
            }
            _ => T::default(),
        };
        Ok(Found { place, value })
    }

    /// The places of the members that were not read, as far as they look like names.
    pub(super) fn unread(&self) -> Vec<String> {
        let unread = self.members.iter().filter(|(_, read)| !read);
        unread
            .map(|((name, _), _)| below(self.section, &shown(name)))
            .collect()
    }
}

/// The text that `value` is, or that it must be one.
fn text_of(value: &RawValue, tree: &Tree) -> Result<Result<String, &'static str>, ConfigError> {
    // Numbers are texts in our own files, not in Go's.
    Ok(match json::node(value, tree)? {
        Node::Text(text) if value.get().starts_with('"') => Ok(text),
        _ => Err("must be a text"),
    })
}

/// An error about what stands at `place`.
pub(super) fn invalid(place: &str, problem: impl Into<String>, tree: &Tree) -> ConfigError {
    ConfigError::Invalid {
        key: place.to_owned(),
        problem: problem.into(),
        source: tree.source(None),
    }
}

/// Whether the member `name` is the one called `known`: Go's decoder does not mind the case.
pub(super) fn is_called(name: &str, known: &str) -> bool {
    name.eq_ignore_ascii_case(known)
}

#[cfg(test)]
mod tests {
    use super::super::file::tests::parsed;

    #[test]
    fn types_and_members_set_twice() {
        for (member, said) in [
            (
                "\"ws_password\": [\"secret\"]",
                "ws_password: must be a text (from file x)",
            ),
            (
                "\"WS_password\": 12345",
                "WS_password: must be a text (from file x)",
            ),
            ("\"origin\": true", "origin: must be a text (from file x)"),
            (
                "\"server_id\": {}",
                "server_id: must be a text (from file x)",
            ),
            (
                "\"Stasis_url\": \"secret\"",
                "stasis_url: is set twice (from file x)",
            ),
            (
                "\"applications\": \"a\"",
                "applications: must be a list of texts (from file x)",
            ),
            (
                "\"applications\": {}",
                "applications: must be a list of texts (from file x)",
            ),
            (
                "\"applications\": [\"a\", 1]",
                "applications: must be a list of texts (from",
            ),
            (
                "\"applications\": [null]",
                "applications: must be a list of texts (from file x)",
            ),
            (
                "\"applications\": [\"a,b\"]",
                "applications: has a text with a comma (from",
            ),
            (
                "\"message_bus\": 1",
                "message_bus: must be a text (from file x)",
            ),
            (
                "\"message_bus\": \"NATS\", \"bus_config\": []",
                "bus_config: must be an object (from file x)",
            ),
            (
                "\"message_bus\": \"NATS\", \"bus_config\": \"secret\"",
                "bus_config: must be an object (from file x)",
            ),
            (
                "\"message_bus\": \"NATS\", \"Bus_Config\": {\"URL\": 1}",
                "Bus_Config.URL: must be a text (from file x)",
            ),
            (
                "\"message_bus\": \"NATS\", \"bus_config\": {\"queue\": {}}",
                "bus_config.queue: must be a text (from file x)",
            ),
            (
                "\"message_bus\": \"NATS\", \"bus_config\": {\"url\": \"\", \"URL\": null}",
                "bus_config.url: is set twice (from file x)",
            ),
            (
                "\"origin\": \"\\ud800\"",
                "file x: is not valid JSON at line 1 column",
            ),
        ] {
            let error = parsed(&format!("{{\"stasis_url\": \"http://h\", {member}}}")).unwrap_err();
            assert!(error.starts_with(said), "{member}: {error}");
            assert!(
                !error.contains("secret") && !error.contains("12345"),
                "{error}"
            );
        }
    }
}
