//! Percent encoding in the bus' URLs.

use std::fmt::Write;

/// Undoes percent encoding. The message says `what` the text is, and does not show it.
pub(super) fn decode(text: &str, what: &str) -> Result<String, String> {
    let Some(bytes) = octets(text.as_bytes()) else {
        return Err(format!(
            "has a % in its {what} that is not followed by two digits (a % is written %25)"
        ));
    };
    match String::from_utf8(bytes) {
        Ok(text) if !text.contains(char::is_control) => Ok(text),
        _ => Err(format!("has something in its {what} that is not text")),
    }
}

fn octets(mut rest: &[u8]) -> Option<Vec<u8>> {
    let mut octets = Vec::with_capacity(rest.len());
    while let [octet, after @ ..] = rest {
        rest = after;
        if *octet != b'%' {
            octets.push(*octet);
            continue;
        }
        let [high, low, after @ ..] = rest else {
            return None;
        };
        let digit = |b: u8| char::from(b).to_digit(16);
        octets.push(u8::try_from(digit(*high)? * 16 + digit(*low)?).ok()?);
        rest = after;
    }
    Some(octets)
}

/// `text` as a part of a URL that nothing in it ends early.
pub(super) fn encode(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for octet in text.bytes() {
        if octet.is_ascii_alphanumeric() || matches!(octet, b'-' | b'.' | b'_' | b'~') {
            encoded.push(char::from(octet));
        } else {
            // Writing to a String cannot fail.
            let _ = write!(encoded, "%{octet:02X}");
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_and_back() {
        for (text, encoded) in [
            ("", ""),
            ("a-b._~Z9", "a-b._~Z9"),
            ("/", "%2F"),
            ("a b@c:d,e%", "a%20b%40c%3Ad%2Ce%25"),
            ("ü", "%C3%BC"),
        ] {
            assert_eq!(encode(text), encoded);
            assert_eq!(decode(encoded, "vhost").as_deref(), Ok(text));
        }
        assert_eq!(decode("%c3%bC+ ü", "vhost").as_deref(), Ok("ü+ ü"));
    }

    #[test]
    fn what_is_refused() {
        for (bad, said) in [
            ("%", "has a % in its vhost that is not followed by two"),
            ("a%2", "has a % in its vhost that is not followed by two"),
            ("%+1", "has a % in its vhost that is not followed by two"),
            ("%ff", "has something in its vhost that is not text"),
            ("%00", "has something in its vhost that is not text"),
        ] {
            let error = decode(bad, "vhost").unwrap_err();
            assert!(error.starts_with(said), "{bad}: {error}");
        }
    }
}
