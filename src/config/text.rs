//! What the keys that hold plain text must look like: they end in subjects and HTTP headers, where
//! some characters would mean something else.

/// The longest name in bytes, so that subjects stay far below NATS' limit of 4096.
const LONGEST_NAME: usize = 256;

/// One or more tokens of a subject: no white space or control character, which would end the
/// subject early, no wildcard, and no comma, which separates applications in ARI.
pub(super) fn name(text: &str) -> Result<String, String> {
    tokens(text)?;
    if text.contains(',') {
        return Err(format!("{text:?} contains a comma"));
    }
    if text.split('.').any(str::is_empty) {
        return Err(format!(
            "{text:?} begins or ends with a dot, or has two in a row"
        ));
    }
    Ok(text.to_owned())
}

/// The most names in a list: each is served by threads of its own.
const MOST_NAMES: usize = 256;

/// Names with commas between them, each once.
pub(super) fn names(text: &str) -> Result<Vec<String>, String> {
    let mut names: Vec<String> = Vec::new();
    for part in text.split(',') {
        if part.is_empty() && text.len() > part.len() {
            return Err("has a comma without a name before or after it".to_owned());
        }
        let name = name(part)?;
        if names.contains(&name) {
            return Err(format!("{name:?} is in it twice"));
        }
        if names.len() == MOST_NAMES {
            return Err(format!("has more than {MOST_NAMES} names"));
        }
        names.push(name);
    }
    Ok(names)
}

/// The beginning of a subject, to which the rest is simply appended.
pub(super) fn prefix(text: &str) -> Result<String, String> {
    tokens(text)?;
    if text.starts_with('.') || text.contains("..") {
        return Err(format!("{text:?} begins with a dot or has two in a row"));
    }
    Ok(text.to_owned())
}

/// What names and prefixes have in common.
fn tokens(text: &str) -> Result<(), String> {
    if text.is_empty() {
        return Err("must not be empty".to_owned());
    }
    if text.len() > LONGEST_NAME {
        return Err(format!("is longer than {LONGEST_NAME} bytes"));
    }
    if text.contains(|c: char| c.is_whitespace() || c.is_control()) {
        return Err(format!(
            "{text:?} contains white space or a control character"
        ));
    }
    if text.contains(['*', '>']) || text.split('.').any(|token| token == "#") {
        return Err(format!(
            "{text:?} contains a wildcard of subjects, *, > or #"
        ));
    }
    Ok(())
}

/// Any text without control characters, as it is to be shown in one line.
pub(super) fn line(text: &str) -> Result<String, String> {
    if text.contains(char::is_control) {
        return Err("contains a control character, such as a line's end".to_owned());
    }
    Ok(text.to_owned())
}

/// The value of an HTTP header. The message does not contain the text.
pub(super) fn header(text: &str) -> Result<String, String> {
    if !text.bytes().all(|b| b == b' ' || b.is_ascii_graphic()) {
        return Err("contains a character that an HTTP header cannot".to_owned());
    }
    Ok(text.to_owned())
}

/// The name of an account: HTTP's Basic scheme ends it at the first colon.
pub(super) fn account(text: &str) -> Result<String, String> {
    secret(text)?;
    if text.contains(':') {
        return Err("it contains a colon; does a password follow?".to_owned());
    }
    Ok(text.to_owned())
}

/// Any text but none, without control characters. The message does not contain the text.
pub(super) fn secret(text: &str) -> Result<String, String> {
    if text.is_empty() {
        return Err("must not be empty".to_owned());
    }
    line(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn single_names() {
        for good in ["test", "00:01:02:03:04:05", "a.b", "Ünï-code_1"] {
            assert_eq!(name(good).as_deref(), Ok(good));
        }
        for bad in [
            "", " ", "#", "a.#", "a b", "a\tb", "a\u{a0}b", "a\0", "*", "a>", "a,b", ".a", "a.",
            "a..b",
        ] {
            assert!(name(bad).is_err(), "{bad:?}");
        }
        assert!(name(&"a".repeat(256)).is_ok() && name(&"a".repeat(257)).is_err());
    }

    #[test]
    fn lists_of_names() {
        for (good, list) in [("a", &["a"][..]), ("b.c,a", &["b.c", "a"])] {
            assert_eq!(names(good).unwrap(), list);
        }
        for (bad, said) in [
            ("", "must not be empty"),
            (",", "has a comma without"),
            ("a,", "has a comma without"),
            (",a", "has a comma without"),
            ("a,,b", "has a comma without"),
            ("a, b", "\" b\" contains white space"),
            ("a,b*", "\"b*\" contains a wildcard"),
            ("a,b,a", "\"a\" is in it twice"),
        ] {
            let error = names(bad).unwrap_err();
            assert!(error.starts_with(said), "{bad:?}: {error}");
        }
        let many = |count: usize| (0..count).map(|n| n.to_string()).collect::<Vec<_>>();
        assert_eq!(names(&many(256).join(",")), Ok(many(256)));
        assert!(names(&many(257).join(",")).is_err());
    }

    #[test]
    fn lines_and_headers() {
        for good in ["", "http://h:1", "a b"] {
            assert_eq!(line(good).as_deref(), Ok(good));
            assert_eq!(header(good).as_deref(), Ok(good));
        }
        assert_eq!(line("ü").as_deref(), Ok("ü"));
        assert!(line("a\n").is_err());
        for bad in ["ü", "a\r\nX: y", "a\tb", "\u{7f}"] {
            assert!(header(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn prefixes() {
        for good in ["ari.", "ari", "a.b.", "a,b."] {
            assert_eq!(prefix(good).as_deref(), Ok(good));
        }
        for bad in ["", ".", ".a", "a..", "a b.", "a\n", "*.", ">"] {
            assert!(prefix(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn accounts_and_secrets() {
        assert_eq!(account("asterisk user").as_deref(), Ok("asterisk user"));
        for bad in ["", "a:b", "a\r\n"] {
            assert!(account(bad).is_err(), "{bad:?}");
        }
        assert_eq!(secret(" p:w ").as_deref(), Ok(" p:w "));
        for bad in ["", "hunter2\n"] {
            assert!(!secret(bad).unwrap_err().contains("hunter2"));
        }
    }
}
