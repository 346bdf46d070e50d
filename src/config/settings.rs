//! The sources together: of each key the strongest one's text, checked, and a record of both.

use super::error::ConfigError;
use super::keys::{self, Fallback, Key};
use super::layer::Layer;
use super::source::Source;
use super::{text, units};
use crate::address::{BusServer, Secret, servers, url};
use log::LevelFilter;
use std::time::Duration;

/// The layers of keys, and what has been taken from them so far.
pub(super) struct Settings {
    /// From the strongest to the weakest.
    layers: [Layer; 3],
    record: Vec<String>,
}

/// A checked value, the key that set it (it may be the older name) and where.
struct Checked<T> {
    value: T,
    key: &'static Key,
    source: Source,
}

impl Settings {
    /// Combines the sources.
    pub(super) fn new(flags: Layer, environment: Layer, file: Layer) -> Settings {
        Settings {
            layers: [flags, environment, file],
            record: Vec::new(),
        }
    }

    /// One line for each key taken: its value, `***` for a secret, and its source; then what the
    /// sources say that is no key.
    pub(super) fn into_record(self) -> Vec<String> {
        let mut record = self.record;
        record.extend(self.layers.into_iter().filter_map(Layer::into_remark));
        record
    }

    /// A name for subjects that is not needed: the empty text unsets what weaker sources set.
    pub(super) fn optional_name(
        &mut self,
        key: &'static Key,
    ) -> Result<Option<String>, ConfigError> {
        self.optional(key, text::name, str::to_owned)
    }

    /// Names for subjects, at least one.
    pub(super) fn names(&mut self, key: &'static Key) -> Result<Vec<String>, ConfigError> {
        self.take(key, text::names, |names| names.join(","))
    }

    /// A line of text that is not needed.
    pub(super) fn optional_line(
        &mut self,
        key: &'static Key,
    ) -> Result<Option<String>, ConfigError> {
        self.optional(key, text::line, str::to_owned)
    }

    /// The value of an HTTP header that is not needed; it may be a URL.
    pub(super) fn optional_header(
        &mut self,
        key: &'static Key,
    ) -> Result<Option<String>, ConfigError> {
        self.optional(key, text::header, url::redact)
    }

    /// The beginning of subjects.
    pub(super) fn prefix(&mut self, key: &'static Key) -> Result<String, ConfigError> {
        self.take(key, text::prefix, String::clone)
    }

    /// The name of an account.
    pub(super) fn account(&mut self, key: &'static Key) -> Result<String, ConfigError> {
        self.take(key, text::account, String::clone)
    }

    /// A secret.
    pub(super) fn secret(&mut self, key: &'static Key) -> Result<Secret, ConfigError> {
        let check = |text: &str| text::secret(text).map(Secret::new);
        self.take(key, check, Secret::to_string)
    }

    /// A URL of Asterisk with one of `schemes`.
    pub(super) fn url(
        &mut self,
        key: &'static Key,
        schemes: [&str; 2],
    ) -> Result<String, ConfigError> {
        self.take(key, |text| url::asterisk(text, schemes), String::clone)
    }

    /// The bus' servers.
    pub(super) fn servers(&mut self, key: &'static Key) -> Result<Vec<BusServer>, ConfigError> {
        self.take(key, servers, |servers| {
            let shown: Vec<_> = servers.iter().map(BusServer::to_string).collect();
            shown.join(",")
        })
    }

    /// A whole number.
    pub(super) fn count(&mut self, key: &'static Key) -> Result<usize, ConfigError> {
        let check = |text: &str| units::count(text, key.kind.bounds());
        self.take(key, check, usize::to_string)
    }

    /// A size in bytes.
    pub(super) fn bytes(&mut self, key: &'static Key) -> Result<usize, ConfigError> {
        let check = |text: &str| units::bytes(text, key.kind.bounds());
        self.take(key, check, usize::to_string)
    }

    /// A length of time.
    pub(super) fn duration(&mut self, key: &'static Key) -> Result<Duration, ConfigError> {
        self.take(key, units::duration, |duration| format!("{duration:?}"))
    }

    /// True or false.
    pub(super) fn flag(&mut self, key: &'static Key) -> Result<bool, ConfigError> {
        self.take(key, units::flag, bool::to_string)
    }

    /// One of the words that `parse` knows.
    pub(super) fn choice<T>(
        &mut self,
        key: &'static Key,
        parse: impl Fn(&str) -> Option<T>,
    ) -> Result<T, ConfigError> {
        let check = |text: &str| match parse(text) {
            Some(choice) => Ok((choice, text.to_owned())),
            None => Err(format!("{text:?} is not {}", key.kind.words().join(" or "))),
        };
        let (choice, _) = self.take(key, check, |(_, text)| text.clone())?;
        Ok(choice)
    }

    /// The log level: debug where `verbose` is set, unless the same or a stronger source sets the
    /// level itself.
    pub(super) fn log_level(
        &mut self,
        key: &'static Key,
        verbose: &'static Key,
    ) -> Result<LevelFilter, ConfigError> {
        let mut level = self.checked(key, |text| {
            let level = text.parse::<LevelFilter>();
            level.map_err(|_| format!("{text:?} is not off, error, warn, info, debug or trace"))
        })?;
        let verbose = self.checked(verbose, units::flag)?;
        self.note(verbose.key, &verbose.value.to_string(), &verbose.source);
        if verbose.value && verbose.source.rank() > level.source.rank() {
            level.value = LevelFilter::Debug;
            level.source = verbose.source;
        }
        let shown = level.value.as_str().to_ascii_lowercase();
        self.note(level.key, &shown, &level.source);
        Ok(level.value)
    }

    fn optional(
        &mut self,
        key: &'static Key,
        check: impl Fn(&str) -> Result<String, String>,
        show: impl Fn(&str) -> String,
    ) -> Result<Option<String>, ConfigError> {
        let check = |text: &str| match text {
            "" => Ok(None),
            _ => check(text).map(Some),
        };
        self.take(key, check, |text| match text {
            Some(text) => show(text),
            None => "not set".to_owned(),
        })
    }

    fn take<T>(
        &mut self,
        key: &'static Key,
        check: impl Fn(&str) -> Result<T, String>,
        show: impl Fn(&T) -> String,
    ) -> Result<T, ConfigError> {
        let checked = self.checked(key, check)?;
        self.note(checked.key, &show(&checked.value), &checked.source);
        Ok(checked.value)
    }

    fn note(&mut self, key: &Key, shown: &str, source: &Source) {
        self.record
            .push(format!("{} = {shown} (from {source})", key.name));
    }

    fn checked<T>(
        &self,
        key: &'static Key,
        check: impl Fn(&str) -> Result<T, String>,
    ) -> Result<Checked<T>, ConfigError> {
        let (key, text, source) = self.strongest(key)?;
        match check(text) {
            Ok(value) => Ok(Checked { value, key, source }),
            Err(problem) => Err(ConfigError::Invalid {
                key: key.name.to_owned(),
                problem,
                source,
            }),
        }
    }

    /// The text of the strongest source that sets `key` or, where it does not, its older name.
    fn strongest(&self, key: &'static Key) -> Result<(&'static Key, &str, Source), ConfigError> {
        let older = keys::older_name(key);
        for layer in &self.layers {
            for key in [Some(key), older].into_iter().flatten() {
                if let Some(given) = layer.get(key) {
                    return Ok((key, &given.text, given.source.clone()));
                }
            }
        }
        match key.fallback {
            Fallback::Required => Err(ConfigError::Missing { key: key.name }),
            Fallback::Nothing => Ok((key, "", Source::Default)),
            Fallback::Text(text) => Ok((key, text, Source::Default)),
        }
    }
}
