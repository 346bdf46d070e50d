//! Where a value came from, as error messages and the description of the configuration name it.

use std::fmt;
use std::path::PathBuf;

/// The origin of a value. Later variants override earlier ones.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// Nobody set the key.
    Default,
    /// A configuration file.
    File {
        /// The file, as it was opened.
        path: PathBuf,
        /// The line of the key, from 1; not known for JSON.
        line: Option<usize>,
    },
    /// A member of a file that has other names than ours.
    Member {
        /// The file, as it was opened.
        path: PathBuf,
        /// The member's name, as it is written there or should be.
        member: String,
    },
    /// An environment variable, by its name.
    Environment(String),
    /// A flag of the command line, by its name with the dashes.
    Flag(String),
}

impl Source {
    /// The precedence: the higher number wins.
    pub(super) fn rank(&self) -> u8 {
        match self {
            Source::Default => 0,
            Source::File { .. } | Source::Member { .. } => 1,
            Source::Environment(_) => 2,
            Source::Flag(_) => 3,
        }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Source::Default => f.write_str("default"),
            Source::File {
                path,
                line: Some(line),
            } => write!(f, "file {} line {line}", path.display()),
            Source::File { path, line: None } => write!(f, "file {}", path.display()),
            Source::Member { path, member } => write!(f, "file {} member {member}", path.display()),
            Source::Environment(name) => write!(f, "environment {name}"),
            Source::Flag(name) => write!(f, "flag {name}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn named_for_people_and_ordered_by_precedence() {
        let file = |line| Source::File {
            path: PathBuf::from("/etc/x.yaml"),
            line,
        };
        let sources = [
            (Source::Default, "default"),
            (file(Some(3)), "file /etc/x.yaml line 3"),
            (
                Source::Member {
                    path: PathBuf::from("/etc/config.json"),
                    member: "stasis_url".to_owned(),
                },
                "file /etc/config.json member stasis_url",
            ),
            (
                Source::Environment("ARI_USERNAME".into()),
                "environment ARI_USERNAME",
            ),
            (Source::Flag("--ari.username".into()), "flag --ari.username"),
        ];
        assert!(sources.iter().map(|(s, _)| s.rank()).is_sorted());
        for (source, text) in sources {
            assert_eq!(source.to_string(), text);
        }
        assert_eq!(file(None).to_string(), "file /etc/x.yaml");
    }
}
