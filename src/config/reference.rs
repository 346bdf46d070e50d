//! The reference configuration file, from the table of keys.

use super::help::{explanation, wrap};
use super::keys::{self, Fallback, Key};

/// The width of the file in columns.
const WIDTH: usize = 80;

/// A configuration file in YAML that names and explains every key and sets none: each is commented
/// out with its default.
pub fn reference_yaml() -> String {
    let mut lines = vec![
        "# Configuration of ari-proxy. Every key is commented out and shows its default."
            .to_owned(),
        "# Flags and the environment override this file; see ari-proxy --help.".to_owned(),
    ];
    for (section, title) in keys::SECTIONS {
        lines.push(String::new());
        lines.push(format!("# {title}"));
        lines.push(format!("{section}:"));
        for key in keys::of_section(section) {
            lines.extend(of_key(key, "  "));
        }
    }
    lines.push(String::new());
    for key in keys::of_section("") {
        lines.extend(of_key(key, ""));
    }
    lines.push(String::new());
    lines.join("\n")
}

fn of_key(key: &Key, indent: &str) -> Vec<String> {
    let comment = wrap(&explanation(key), WIDTH - indent.len() - 2);
    let name = key.name.rsplit('.').next().unwrap_or(key.name);
    let value = match key.fallback {
        Fallback::Text(text) => format!(" {text}"),
        Fallback::Required | Fallback::Nothing => String::new(),
    };
    comment
        .into_iter()
        .map(|line| format!("{indent}# {line}"))
        .chain([format!("{indent}#{name}:{value}")])
        .collect()
}

#[cfg(test)]
mod tests {
    use super::super::file::tests::parsed;
    use super::*;

    #[test]
    fn sets_nothing_as_it_is() {
        assert_eq!(parsed(&reference_yaml()), Ok(vec![]));
    }

    #[test]
    fn sets_every_default_without_its_comment_signs() {
        let yaml: Vec<String> = reference_yaml()
            .lines()
            .map(|line| match line.trim_start().strip_prefix('#') {
                Some(rest) if !rest.starts_with(' ') => line.replacen('#', "", 1),
                _ => line.to_owned(),
            })
            .collect();
        let defaults: Vec<String> = keys::TABLE
            .iter()
            .filter_map(|key| match key.fallback {
                Fallback::Text(text) => Some(format!("{}={text}", key.name)),
                Fallback::Required | Fallback::Nothing => None,
            })
            .collect();
        assert_eq!(parsed(&yaml.join("\n")), Ok(defaults));
        assert_eq!(
            yaml.iter()
                .filter(|line| line.trim_start().starts_with("application:"))
                .count(),
            1
        );
    }

    #[test]
    fn no_line_is_too_long() {
        assert!(reference_yaml().lines().all(|line| line.len() <= WIDTH));
    }
}
