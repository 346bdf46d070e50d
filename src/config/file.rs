//! Configuration files: finding and reading them, and what may stand where in their tree.

use super::error::ConfigError;
use super::keys;
use super::layer::Layer;
use super::nearest::{nearest, shown};
use super::source::Source;
use super::{json, yaml};
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

/// The largest file read, in bytes: a configuration is smaller, and `/dev/zero` is not one.
const LARGEST: u64 = 1 << 20;

/// What the file at `path` sets. It must exist.
pub(super) fn read(path: &Path) -> Result<Layer, ConfigError> {
    match text(path) {
        Ok(text) => parse(path, &text),
        Err(error) => Err(unreadable(path, &error)),
    }
}

/// What the first of `paths` that exists sets; none if none does.
pub(super) fn read_first(paths: &[PathBuf]) -> Result<Option<Layer>, ConfigError> {
    for path in paths {
        match text(path) {
            Ok(text) => return parse(path, &text).map(Some),
            // Accounts of services often have a home such as /dev/null.
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
                ) => {}
            Err(error) => return Err(unreadable_default(path, &error)),
        }
    }
    Ok(None)
}

/// What the file at `path` sets if it is one of go-ari-proxy. What else is there belongs to somebody
/// else: many programs call a file `config.json`.
pub(super) fn read_go_ari_proxys(path: &Path) -> Result<Option<Layer>, ConfigError> {
    match text(path) {
        Ok(text) if json::is_go_ari_proxys(without_mark(&text)) => parse(path, &text).map(Some),
        _ => Ok(None),
    }
}

/// The same of a file that nobody named.
fn unreadable_default(path: &Path, error: &io::Error) -> ConfigError {
    ConfigError::File {
        path: path.to_owned(),
        problem: format!(
            "cannot be read: {error} (it is looked for where no file is named: set HOME, or name a \
             file with --config, /dev/null for none)"
        ),
    }
}

fn unreadable(path: &Path, error: &io::Error) -> ConfigError {
    ConfigError::File {
        path: path.to_owned(),
        problem: format!("cannot be read: {error}"),
    }
}

fn text(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    let read = File::open(path)?
        .take(LARGEST + 1)
        .read_to_string(&mut text)?;
    if read as u64 > LARGEST {
        return Err(io::Error::other("it is larger than 1 MiB"));
    }
    Ok(text)
}

/// JSON is told from YAML by its first character, not by the name of the file.
fn parse(path: &Path, text: &str) -> Result<Layer, ConfigError> {
    let text = without_mark(text);
    let mut tree = Tree {
        path: path.to_owned(),
        layer: Layer::default(),
    };
    if text.trim_start().starts_with('{') {
        json::read(text, &mut tree)?;
    } else {
        yaml::read(text, &mut tree)?;
    }
    Ok(tree.layer)
}

/// Without the mark that some editors write before a text.
fn without_mark(text: &str) -> &str {
    text.strip_prefix('\u{feff}').unwrap_or(text)
}

/// What stands at a place of the tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Node {
    /// A text, a number or a boolean, as it is written.
    Text(String),
    /// A key without a value.
    Null,
    /// A list.
    List,
    /// A map; the reader descends into it if it may stand there.
    Map,
}

/// The keys of a file while it is read.
pub(super) struct Tree {
    path: PathBuf,
    layer: Layer,
}

impl Tree {
    /// Puts what stands at `place`, the names of maps and key joined by dots, on `line` from 1.
    pub(super) fn put(
        &mut self,
        place: &str,
        node: Node,
        line: Option<usize>,
    ) -> Result<(), ConfigError> {
        let source = self.source(line);
        // The peer's library does not mind the case either.
        let name = place.to_ascii_lowercase();
        let invalid = |problem: &str, source| {
            Err(ConfigError::Invalid {
                key: name.clone(),
                problem: problem.to_owned(),
                source,
            })
        };
        let Some(key) = keys::find(&name) else {
            return match node {
                Node::Map | Node::Null if keys::is_section(&name) => Ok(()),
                Node::Text(_) | Node::List if keys::is_section(&name) => {
                    invalid("is a section and cannot have a value of its own", source)
                }
                _ => Err(ConfigError::Unknown {
                    name: shown(place),
                    nearest: nearest(&name),
                    source,
                }),
            };
        };
        match node {
            Node::Text(text) => {
                if self.layer.set(key, text, source.clone()) {
                    return invalid("is set twice", source);
                }
                Ok(())
            }
            Node::Null => Ok(()),
            Node::List => invalid("must have a single value, not a list", source),
            Node::Map => invalid("must have a single value, not a map", source),
        }
    }

    /// The file, as it was opened.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// The file, and the line from 1 where that is known.
    pub(super) fn source(&self, line: Option<usize>) -> Source {
        Source::File {
            path: self.path.clone(),
            line,
        }
    }

    /// The keys that it sets.
    pub(super) fn layer(&mut self) -> &mut Layer {
        &mut self.layer
    }

    /// An error about the file as a whole.
    pub(super) fn error(&self, problem: impl Into<String>) -> ConfigError {
        ConfigError::File {
            path: self.path.clone(),
            problem: problem.into(),
        }
    }
}

/// The place of `name` below `section`, which is empty at the top.
pub(super) fn below(section: &str, name: &str) -> String {
    if section.is_empty() {
        name.to_owned()
    } else {
        format!("{section}.{name}")
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};

    /// A directory of its own for a test, removed with it.
    pub(in crate::config) struct Scratch(pub(in crate::config) PathBuf);

    impl Scratch {
        pub(in crate::config) fn new() -> Scratch {
            static COUNT: AtomicUsize = AtomicUsize::new(0);
            let name = format!(
                "ari-proxy-config-{}-{}",
                std::process::id(),
                COUNT.fetch_add(1, Ordering::Relaxed)
            );
            let path = std::env::temp_dir().join(name);
            std::fs::create_dir(&path).unwrap();
            Scratch(path)
        }

        pub(in crate::config) fn file(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
            let path = self.0.join(name);
            std::fs::write(&path, content).unwrap();
            path
        }
    }

    impl Drop for Scratch {
        fn drop(&mut self) {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }

    /// `key=text` of everything that a file with `text` sets, in the order of the table.
    pub(in crate::config) fn parsed(text: &str) -> Result<Vec<String>, String> {
        let layer = parse(Path::new("x"), text).map_err(|error| error.to_string())?;
        Ok(keys::TABLE
            .iter()
            .filter_map(|key| Some(format!("{}={}", key.name, layer.get(key)?.text)))
            .collect())
    }

    #[test]
    fn the_first_file_that_exists_counts() {
        let scratch = Scratch::new();
        let missing = scratch.0.join("missing");
        let first = scratch.file("first", "ari: {username: one}");
        let second = scratch.file("second", "ari: {username: two}");
        let username = |paths: &[PathBuf]| {
            let layer = read_first(paths).map_err(|error| error.to_string())?;
            let username = layer.as_ref().and_then(|layer| layer.get(&keys::USERNAME));
            Ok::<_, String>(username.map(|given| given.text.clone()))
        };
        assert_eq!(username(&[]), Ok(None));
        assert_eq!(username(std::slice::from_ref(&missing)), Ok(None));
        assert_eq!(username(&[first.join("no directory")]), Ok(None));
        assert_eq!(
            username(&[missing.clone(), second.clone(), first]),
            Ok(Some("two".to_owned()))
        );
        let directory = scratch.0.clone();
        assert!(
            username(&[directory, second])
                .unwrap_err()
                .contains("cannot be read")
        );
        let error = read(&missing).err().unwrap().to_string();
        assert!(error.starts_with(&format!("file {}: cannot be read", missing.display())));
    }

    #[test]
    fn files_that_are_no_text_or_too_large() {
        let scratch = Scratch::new();
        let binary = scratch.file("binary", b"ari: \xff");
        assert!(read(&binary).is_err());
        let large = scratch.file("large", " ".repeat(LARGEST as usize + 1));
        let error = read(&large).err().unwrap().to_string();
        assert!(
            error.ends_with("cannot be read: it is larger than 1 MiB"),
            "{error}"
        );
    }

    #[test]
    fn the_same_tree_in_both_formats() {
        let expected = Ok(vec![
            "ari.application=test".to_owned(),
            "ari.password=0123".to_owned(),
            "messagebus.url=nats://h".to_owned(),
            "workers.count=4".to_owned(),
            "verbose=true".to_owned(),
        ]);
        let yaml = "\u{feff}ari:\n  Application: test\n  password: 0123\nmessagebus.url: nats://h\n\
                    WORKERS: {count: 4}\nnats:\nverbose: true\n";
        let json = " \n{\"ari\": {\"application\": \"test\", \"PASSWORD\": \"0123\"},
                    \"messageBus.url\": \"nats://h\", \"workers\": {\"count\": 4}, \"nats\": null,
                    \"verbose\": true}";
        assert_eq!(parsed(yaml), expected);
        assert_eq!(parsed(json), expected);
    }

    #[test]
    fn places_that_are_refused() {
        for (yaml, json, said) in [
            (
                "ari: {htp_url: x}",
                "{\"ari\": {\"htp_url\": \"x\"}}",
                "ari.htp_url: unknown key, did you mean ari.http_url? (from file x",
            ),
            ("ari: [x]", "{\"ari\": [1]}", "ari: is a section and cannot"),
            ("ari: x", "{\"ari\": \"x\"}", "ari: is a section and cannot"),
            (
                "foo: {a: b}",
                "{\"foo\": {\"a\": 1}}",
                "foo: unknown key (from file x",
            ),
            ("foo: [a]", "{\"foo\": []}", "foo: unknown key (from file x"),
            ("foo:", "{\"foo\": null}", "foo: unknown key (from file x"),
            (
                "ari: {username: [x]}",
                "{\"ari\": {\"username\": [\"x\"]}}",
                "ari.username: must have a single value, not a list (from file x",
            ),
            (
                "ari: {username: {a: x}}",
                "{\"ari\": {\"username\": {\"a\": 1}}}",
                "ari.username: must have a single value, not a map (from file x",
            ),
            (
                "ari.username: x\nari: {Username: y}",
                "{\"ari.username\": \"x\", \"ari\": {\"Username\": \"y\"}}",
                "ari.username: is set twice (from file x",
            ),
        ] {
            for text in [format!("# YAML\n{yaml}"), json.to_owned()] {
                let error = parsed(&text).unwrap_err();
                assert!(error.starts_with(said), "{text}: {error}");
            }
        }
    }
}
