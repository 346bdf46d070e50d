//! The text of `--help`, from the table of keys.

use super::keys::{self, Fallback, Key, Kind};

/// The width of the text in columns.
const WIDTH: usize = 100;
/// Where the right column begins.
const RIGHT: usize = 36;

/// The help, without a final line end.
pub(super) fn help() -> String {
    let mut lines = vec!["Usage: ari-proxy [FLAGS]".to_owned(), String::new()];
    lines.extend(wrap(
        "Connects the ARI of one Asterisk to a message bus (NATS or RabbitMQ), speaking the \
         protocol of CyCoreSystems' ari-proxy, of go-ari-proxy, or both. A flag overrides the environment, the environment overrides the \
         file, the file overrides the defaults. Empty environment variables count as not set.",
        WIDTH,
    ));
    for (section, title) in keys::SECTIONS {
        lines.push(String::new());
        lines.push(format!("{title}:"));
        for key in keys::of_section(section) {
            lines.extend(of_key(key, ""));
        }
    }
    lines.push(String::new());
    lines.push("General:".to_owned());
    for key in keys::of_section("") {
        lines.extend(of_key(key, "-v, "));
    }
    for (left, right) in [
        (
            "--config PATH",
            "the configuration file, YAML or JSON with keys as above, dots being levels (default: \
             $HOME/.ari-proxy.yaml, then /etc/ari-proxy/ari-proxy.yaml), or a config.json of \
             go-ari-proxy, as which -config is accepted too (default, where nothing names an \
             application: ./config.json)",
        ),
        ("-V, --version", "print the version and exit"),
        ("-h, --help", "print this text and exit"),
    ] {
        lines.extend(entry(left, right));
    }
    lines.push(String::new());
    lines.extend(wrap(
        "DURATION is a number with ms, s, m or h, or a bare number of seconds. SIZE is a number of \
         bytes, or one with KiB, MiB or GiB. NAME is without white space, comma, * and >. \
         --verbose=false is accepted as well. A configuration that cannot be used ends the process \
         with status 2.",
        WIDTH,
    ));
    lines.join("\n")
}

/// What is said of `key` here and in the reference file: what it is for, its environment variable,
/// bounds and default. No line is broken within brackets, so that they can be searched for.
pub(super) fn explanation(key: &Key) -> String {
    let bounds = match key.kind {
        Kind::Count { least, most } => format!(" [{least} to {most}]"),
        Kind::Bytes { least, most } => format!(" [{least} to {most} bytes]"),
        _ => String::new(),
    };
    let default = match key.fallback {
        Fallback::Required => "required".to_owned(),
        Fallback::Nothing => "default: none".to_owned(),
        Fallback::Text(text) => format!("default: {text}"),
    };
    format!(
        "{} [env {}]{bounds} [{default}]",
        key.help,
        key.environment()
    )
}

/// Breaks `text` between words into lines of at most `width` characters; what stands in brackets is
/// one word.
pub(super) fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    let mut inside = false;
    let words = text.split(|c: char| {
        inside = (inside || c == '[') && c != ']';
        c == ' ' && !inside
    });
    for word in words.filter(|word| !word.is_empty()) {
        match lines.last_mut() {
            Some(line) if line.chars().count() + 1 + word.chars().count() <= width => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

fn of_key(key: &Key, short: &str) -> Vec<String> {
    let left = format!("{short}--{} {}", key.name, key.kind.placeholder());
    entry(left.trim_end(), &explanation(key))
}

fn entry(left: &str, right: &str) -> Vec<String> {
    let mut lines = Vec::new();
    let mut left = format!("  {left}");
    if left.len() + 2 > RIGHT {
        lines.push(std::mem::take(&mut left));
    }
    for line in wrap(right, WIDTH - RIGHT) {
        lines.push(format!("{left:RIGHT$}{line}"));
        left.clear();
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_with_environment_name_and_default() {
        let help = help();
        let words = help.split_whitespace().collect::<Vec<_>>().join(" ");
        for key in keys::TABLE {
            assert!(help.contains(&format!("--{}", key.name)), "{}", key.name);
            assert!(words.contains(&explanation(key)), "{}", key.name);
            assert!(help.contains(&format!("[env {}]", key.environment())));
        }
        for flag in keys::FLAGS_ONLY {
            assert!(help.contains(&format!("--{flag}")), "{flag}");
        }
        for short in ["-v, --verbose", "-V, --version", "-h, --help"] {
            assert!(help.contains(short), "{short}");
        }
        assert!(words.contains("[env ARI_HTTP_URL] [default: http://localhost:8088/ari]"));
    }

    #[test]
    fn no_line_is_too_long() {
        for line in help().lines() {
            assert!(line.len() <= WIDTH && line == line.trim_end(), "{line:?}");
        }
    }

    #[test]
    fn wrapping() {
        assert_eq!(wrap("a bb  ccc", 4), ["a bb", "ccc"]);
        assert_eq!(wrap("a [b c] d", 6), ["a", "[b c]", "d"]);
        assert_eq!(wrap("toolong a", 4), ["toolong", "a"]);
        assert!(wrap(" ", 4).is_empty());
        assert_eq!(
            entry("--quite-a-long-flag-with-a PLACEHOLDER", "x"),
            [
                "  --quite-a-long-flag-with-a PLACEHOLDER".to_owned(),
                format!("{}x", " ".repeat(RIGHT)),
            ]
        );
    }
}
