//! Configuration files in YAML. The events of the parser are used rather than its documents, which
//! would have read the password `0123` as the number 123.

use super::error::ConfigError;
use super::file::{Node, Tree, below};
use yaml_rust2::parser::{Event, Parser};
use yaml_rust2::scanner::TScalarStyle;

/// A map that is being read: its place, and the key that waits for its value, with its line.
struct Map {
    place: String,
    key: Option<(String, usize)>,
}

/// Puts everything that the YAML `text` sets into `tree`.
pub(super) fn read(text: &str, tree: &mut Tree) -> Result<(), ConfigError> {
    let mut parser = Parser::new_from_str(text);
    let mut maps: Vec<Map> = Vec::new();
    let mut documents = 0;
    loop {
        let (event, mark) = parser.next_token().map_err(|error| {
            tree.error(format!(
                "is not valid YAML: {} at line {}",
                error.info(),
                error.marker().line()
            ))
        })?;
        let line = mark.line();
        let refuse = |tree: &Tree, what: &str| Err(tree.error(format!("line {line}: {what}")));
        if is_decorated(&event) {
            return refuse(tree, "anchors, aliases and tags are not supported");
        }
        let node = match event {
            Event::StreamEnd => return Ok(()),
            Event::DocumentStart if documents > 0 => {
                return refuse(tree, "a second document begins, only one is supported");
            }
            Event::DocumentStart => {
                documents += 1;
                continue;
            }
            Event::MappingEnd => {
                maps.pop();
                continue;
            }
            Event::Scalar(text, TScalarStyle::Plain, ..) if is_null(&text) => (Node::Null, text),
            Event::Scalar(text, ..) => (Node::Text(text.clone()), text),
            Event::MappingStart(..) => (Node::Map, String::new()),
            Event::SequenceStart(..) => (Node::List, String::new()),
            _ => continue,
        };
        match (maps.last_mut(), node) {
            (None, (Node::Null, _)) => {}
            (None, (Node::Map, _)) => maps.push(Map {
                place: String::new(),
                key: None,
            }),
            (None, _) => return refuse(tree, "the file must be a map of keys"),
            (Some(map), (node, text)) => match map.key.take() {
                Some((name, line)) => {
                    let place = below(&map.place, &name);
                    let is_map = node == Node::Map;
                    tree.put(&place, node, Some(line))?;
                    if is_map {
                        maps.push(Map { place, key: None });
                    }
                }
                None if matches!(node, Node::Map | Node::List) => {
                    return refuse(tree, "a key must be a text");
                }
                None => map.key = Some((text, line)),
            },
        }
    }
}

/// Whether the event has an anchor or tag or is an alias: what they mean depends on the reader, and
/// a configuration must not.
fn is_decorated(event: &Event) -> bool {
    match event {
        Event::Alias(_) => true,
        Event::Scalar(_, _, anchor, tag)
        | Event::SequenceStart(anchor, tag)
        | Event::MappingStart(anchor, tag) => *anchor != 0 || tag.is_some(),
        _ => false,
    }
}

/// Whether an unquoted scalar means that there is no value.
fn is_null(text: &str) -> bool {
    matches!(text, "" | "~" | "null" | "Null" | "NULL")
}

#[cfg(test)]
mod tests {
    use super::super::file::tests::parsed;

    #[test]
    fn scalars_are_taken_as_written() {
        for (written, text) in [
            ("0123", "0123"),
            ("1.10", "1.10"),
            ("0x1F", "0x1F"),
            ("yes", "yes"),
            ("a#b", "a#b"),
            ("a b # comment", "a b"),
            ("\"a\\tb # c\"", "a\tb # c"),
            ("'it''s'", "it's"),
            ("''", ""),
            ("\"null\"", "null"),
            ("|-\n    a b", "a b"),
        ] {
            assert_eq!(
                parsed(&format!("ari:\n  password: {written}\n")),
                Ok(vec![format!("ari.password={text}")]),
                "{written}"
            );
        }
    }

    #[test]
    fn nothing_is_set_by_nothing() {
        for text in [
            "",
            "\n",
            "# only\n",
            "---\n",
            "---\n...\n",
            "~",
            "ari:\n",
            "{}",
            "ari: {}",
            "ari:\n  password:\n",
            "ari:\n  password: ~\n",
            "ari: {password: null}",
        ] {
            assert_eq!(parsed(text), Ok(vec![]), "{text:?}");
        }
    }

    #[test]
    fn what_is_refused_and_where() {
        for (text, said) in [
            (
                "ari:\n  foo: x",
                "ari.foo: unknown key (from file x line 2)",
            ),
            (
                "password:hunter2",
                "file x: line 1: the file must be a map of keys",
            ),
            (
                "ari:\n  password:hunter2",
                "ari: is a section and cannot have a value of its own (from file x line 1)",
            ),
            ("a: 1\n", "a: unknown key (from file x line 1)"),
            (
                "---\nari:\n---\nari:\n",
                "file x: line 3: a second document begins, only one is supported",
            ),
            ("- ari\n", "file x: line 1: the file must be a map of keys"),
            ("? [a]\n: b\n", "file x: line 1: a key must be a text"),
            (
                "ari: &a\n",
                "file x: line 2: anchors, aliases and tags are not supported",
            ),
            (
                "ari: {username: !!str x}",
                "file x: line 1: anchors, aliases and tags are not supported",
            ),
        ] {
            assert_eq!(parsed(text), Err(said.to_owned()), "{text:?}");
        }
        for text in [
            "ari: {",
            "ari: \"hunter2",
            "ari: *x",
            "log.level: b: c",
            "%TAG x",
        ] {
            let error = parsed(text).unwrap_err();
            assert!(
                error.starts_with("file x: is not valid YAML: "),
                "{text:?}: {error}"
            );
            assert!(
                !error.contains("hunter2") && !error.contains('\n'),
                "{error}"
            );
        }
        // An unknown key is found before the depth below it matters.
        let error = parsed(&format!("ari: {}1", "{a: ".repeat(100_000))).unwrap_err();
        assert!(error.starts_with("ari.a: unknown key"), "{error}");
    }
}
