//! What is wrong with the configuration, in one line that names the key and its source.

use super::keys;
use super::source::Source;
use std::fmt;
use std::path::PathBuf;

/// Why the process cannot start with what it was given. `Display` is one line, without secrets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ConfigError {
    /// A required key that nobody set.
    Missing {
        /// The key.
        key: &'static str,
    },
    /// A key whose value cannot be used.
    Invalid {
        /// The key.
        key: String,
        /// What is wrong, with the value where it is no secret.
        problem: String,
        /// Who set it.
        source: Source,
    },
    /// A key that does not exist.
    Unknown {
        /// The name as it was given, cut where it stops looking like a name.
        name: String,
        /// The key that was probably meant.
        nearest: Option<&'static str>,
        /// Who set it.
        source: Source,
    },
    /// An argument that is no flag. Its text is not kept: it may be a misplaced password.
    Argument {
        /// Its place on the command line, from 1.
        position: usize,
        /// What is wrong with it.
        problem: &'static str,
        /// The flag that was probably meant.
        nearest: Option<&'static str>,
    },
    /// A file that cannot be read or is not understood as a whole.
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ConfigError::Missing { key } => write!(
                f,
                "{key}: is required and not set (by flag --{key}, environment {} or a file)",
                keys::environment_name(key)
            ),
            ConfigError::Invalid {
                key,
                problem,
                source,
            } => write!(f, "{key}: {problem} (from {source})"),
            ConfigError::Unknown {
                name,
                nearest,
                source,
            } => {
                write!(f, "{name}: unknown key")?;
                if let Some(nearest) = nearest {
                    write!(f, ", did you mean {nearest}?")?;
                }
                write!(f, " (from {source})")
            }
            ConfigError::Argument {
                position,
                problem,
                nearest,
            } => {
                write!(f, "argument {position}: {problem}")?;
                match nearest {
                    Some(nearest) => write!(f, ", did you mean --{nearest}?"),
                    None => f.write_str(" (see --help)"),
                }
            }
            ConfigError::File { path, problem } => write!(f, "file {}: {problem}", path.display()),
        }
    }
}

impl std::error::Error for ConfigError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_with_key_and_source() {
        let missing = ConfigError::Missing {
            key: "ari.password",
        };
        assert_eq!(
            missing.to_string(),
            "ari.password: is required and not set (by flag --ari.password, environment \
             ARI_PASSWORD or a file)"
        );
        let invalid = ConfigError::Invalid {
            key: "ari.http_url".into(),
            problem: "\"htp://x\" is not an http:// or https:// URL".into(),
            source: Source::Environment("ARI_HTTP_URL".into()),
        };
        assert_eq!(
            invalid.to_string(),
            "ari.http_url: \"htp://x\" is not an http:// or https:// URL (from environment \
             ARI_HTTP_URL)"
        );
        let unknown = |nearest| ConfigError::Unknown {
            name: "ari.htp_url".into(),
            nearest,
            source: Source::Flag("--ari.htp_url".into()),
        };
        assert_eq!(
            unknown(Some("ari.http_url")).to_string(),
            "ari.htp_url: unknown key, did you mean ari.http_url? (from flag --ari.htp_url)"
        );
        assert_eq!(
            unknown(None).to_string(),
            "ari.htp_url: unknown key (from flag --ari.htp_url)"
        );
        let argument = |nearest| ConfigError::Argument {
            position: 2,
            problem: "is not a flag",
            nearest,
        };
        assert_eq!(
            argument(Some("verbose")).to_string(),
            "argument 2: is not a flag, did you mean --verbose?"
        );
        assert_eq!(
            argument(None).to_string(),
            "argument 2: is not a flag (see --help)"
        );
        let file = ConfigError::File {
            path: PathBuf::from("/x"),
            problem: "cannot be read".into(),
        };
        assert_eq!(file.to_string(), "file /x: cannot be read");
    }
}
