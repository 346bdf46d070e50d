//! The command line.

use super::error::ConfigError;
use super::keys::{self, Key, Kind};
use super::layer::Layer;
use super::nearest::{nearest, shown};
use super::source::Source;
use super::units;
use std::ffi::OsString;
use std::path::PathBuf;

/// What the command line says.
pub(super) enum CommandLine {
    /// Run with these keys, and this file instead of the default ones.
    Run(Layer, Option<PathBuf>),
    /// Print the help.
    Help,
    /// Print the version.
    Version,
}

/// What a flag is.
enum Flag {
    Key(&'static Key),
    Config,
    Help,
    Version,
}

/// Reads the arguments, without the program's name. Of a flag given twice the last counts; the
/// first `--help` or `--version` ends the reading.
pub(super) fn read(arguments: impl Iterator<Item = OsString>) -> Result<CommandLine, ConfigError> {
    let mut layer = Layer::default();
    let mut config = None;
    let mut arguments = (1..).zip(arguments.map(OsString::into_string)).peekable();
    while let Some((position, argument)) = arguments.next() {
        let refused = |problem, nearest| ConfigError::Argument {
            position,
            problem,
            nearest,
        };
        let argument = argument.map_err(|_| refused("is not UTF-8 text", None))?;
        let (name, value) = match argument.split_once('=') {
            Some((name, value)) => (name, Some(value.to_owned())),
            None => (argument.as_str(), None),
        };
        if !name.starts_with('-') || name.len() < 2 || name == "--" {
            return Err(refused("is not a flag", nearest(name)));
        }
        let Some(flag) = find(name) else {
            return Err(match name.strip_prefix("--") {
                Some(long) => ConfigError::Unknown {
                    name: shown(long),
                    nearest: nearest(long),
                    source: Source::Flag(format!("--{}", shown(long))),
                },
                // What follows a single dash may be a value without a space before it.
                None => refused("is not a known flag", nearest(name.trim_start_matches('-'))),
            });
        };
        let invalid = |problem: String| ConfigError::Invalid {
            key: long_name(&flag).to_owned(),
            problem,
            source: Source::Flag(name.to_owned()),
        };
        let value = match (value, &flag) {
            (Some(value), _) => value,
            (None, Flag::Help | Flag::Version) => "true".to_owned(),
            (None, Flag::Key(key)) if key.kind == Kind::Flag => "true".to_owned(),
            (None, Flag::Key(_) | Flag::Config) => {
                // A known flag in the value's place is a forgotten value, as when a shell's
                // variable is empty.
                let next = arguments.next_if(|(_, next)| {
                    next.as_ref()
                        .is_ok_and(|next| find(next.split('=').next().unwrap_or(next)).is_none())
                });
                match next {
                    Some((_, Ok(value))) => value,
                    _ => return Err(invalid("needs a value".to_owned())),
                }
            }
        };
        match flag {
            Flag::Key(key) => {
                layer.set(key, value, Source::Flag(name.to_owned()));
            }
            Flag::Config if value.is_empty() => {
                return Err(invalid("must not be empty".to_owned()));
            }
            Flag::Config => config = Some(PathBuf::from(value)),
            Flag::Help if units::flag(&value).map_err(invalid)? => return Ok(CommandLine::Help),
            Flag::Version if units::flag(&value).map_err(invalid)? => {
                return Ok(CommandLine::Version);
            }
            Flag::Help | Flag::Version => {}
        }
    }
    Ok(CommandLine::Run(layer, config))
}

/// The flag written as `name`, with its dashes.
fn find(name: &str) -> Option<Flag> {
    match name {
        "-h" | "--help" => Some(Flag::Help),
        "-V" | "--version" => Some(Flag::Version),
        "-v" => Some(Flag::Key(&keys::VERBOSE)),
        // With one dash it is go-ari-proxy's.
        "--config" | "-config" => Some(Flag::Config),
        _ => name.strip_prefix("--").and_then(keys::find).map(Flag::Key),
    }
}

fn long_name(flag: &Flag) -> &'static str {
    match flag {
        Flag::Key(key) => key.name,
        Flag::Config => "config",
        Flag::Help => "help",
        Flag::Version => "version",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn from(arguments: &[&str]) -> Result<CommandLine, String> {
        read(arguments.iter().map(OsString::from)).map_err(|error| error.to_string())
    }

    /// `key=text from source` of all that is set, and the file.
    fn set(arguments: &[&str]) -> Result<Vec<String>, String> {
        let CommandLine::Run(layer, config) = from(arguments)? else {
            return Err("not to run".to_owned());
        };
        let keys = keys::TABLE.iter().filter_map(|key| {
            let given = layer.get(key)?;
            Some(format!("{}={} {}", key.name, given.text, given.source))
        });
        Ok(keys
            .chain(config.map(|path| path.display().to_string()))
            .collect())
    }

    #[test]
    fn both_ways_of_writing_values() {
        assert_eq!(
            set(&[
                "--ari.username",
                "u",
                "--ari.password=a=b",
                "--config",
                "/x",
                "-v"
            ]),
            Ok(vec![
                "ari.username=u flag --ari.username".to_owned(),
                "ari.password=a=b flag --ari.password".to_owned(),
                "verbose=true flag -v".to_owned(),
                "/x".to_owned(),
            ])
        );
        assert_eq!(
            set(&["--ari.username", "a", "--ari.username=", "--verbose=false"]),
            Ok(vec![
                "ari.username= flag --ari.username".to_owned(),
                "verbose=false flag --verbose".to_owned(),
            ])
        );
        for arguments in [&["-config", "/x"][..], &["-config=/x"]] {
            assert_eq!(set(arguments), Ok(vec!["/x".to_owned()]));
        }
        assert_eq!(
            set(&["--ari.password", "-x", "--ari.username", "--odd"]),
            Ok(vec![
                "ari.username=--odd flag --ari.username".to_owned(),
                "ari.password=-x flag --ari.password".to_owned(),
            ])
        );
    }

    #[test]
    fn help_and_version() {
        for help in ["-h", "--help", "--help=true"] {
            assert!(matches!(
                from(&["-v", help, "--junk"]),
                Ok(CommandLine::Help)
            ));
        }
        for version in ["-V", "--version"] {
            assert!(matches!(from(&[version]), Ok(CommandLine::Version)));
        }
        assert_eq!(set(&["--help=false", "--version=0"]), Ok(vec![]));
    }

    #[test]
    fn what_is_refused_without_showing_values() {
        for (arguments, said) in [
            (
                &["--ari.htp_url=x"][..],
                "ari.htp_url: unknown key, did you mean ari.http_url? (from flag --ari.htp_url)",
            ),
            (
                &["--confg", "x"],
                "confg: unknown key, did you mean config? (from flag --confg)",
            ),
            (
                &["--ari.password:secret"],
                "ari.password...: unknown key (from flag --ari.password...)",
            ),
            (
                &["-psecret"],
                "argument 1: is not a known flag (see --help)",
            ),
            (
                &["-v", "-verbose"],
                "argument 2: is not a known flag, did you mean --verbose?",
            ),
            (
                &["--ari.password=", "secret"],
                "argument 2: is not a flag (see --help)",
            ),
            (
                &["ari.usrname=x"],
                "argument 1: is not a flag, did you mean --ari.username?",
            ),
            (&["--", "secret"], "argument 1: is not a flag (see --help)"),
            (&["-"], "argument 1: is not a flag (see --help)"),
            (&[""], "argument 1: is not a flag (see --help)"),
            (
                &["--ari.password"],
                "ari.password: needs a value (from flag --ari.password)",
            ),
            (
                &["--ari.username", "--ari.password=secret"],
                "ari.username: needs a value (from flag --ari.username)",
            ),
            (
                &["--ari.username", "--help"],
                "ari.username: needs a value (from flag --ari.username)",
            ),
            (
                &["--config="],
                "config: must not be empty (from flag --config)",
            ),
            (&["-config"], "config: needs a value (from flag -config)"),
            (
                &["--help=maybe"],
                "help: \"maybe\" is neither true nor false (from flag --help)",
            ),
        ] {
            assert_eq!(set(arguments), Err(said.to_owned()), "{arguments:?}");
        }
    }

    #[cfg(unix)]
    #[test]
    fn arguments_must_be_text() {
        use std::os::unix::ffi::OsStringExt;
        let bad = || OsString::from_vec(b"--ari.username=\xff".to_vec());
        let error = read([OsString::from("-v"), bad()].into_iter())
            .err()
            .unwrap();
        assert_eq!(
            error.to_string(),
            "argument 2: is not UTF-8 text (see --help)"
        );
        let error = read([OsString::from("--ari.username"), bad()].into_iter())
            .err()
            .unwrap();
        assert!(error.to_string().starts_with("ari.username: needs a value"));
    }
}
