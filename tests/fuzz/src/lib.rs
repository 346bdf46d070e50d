//! What the fuzz targets have in common: how an input is divided, and what counts as right.

use serde_json::Value;
use serde_json::value::RawValue;

pub mod configuration;

/// The input up to its first line end, and what comes after it. Seeds stay readable so: what is
/// short comes first, what is long has the rest.
pub fn first_line(input: &[u8]) -> (&[u8], &[u8]) {
    match input.iter().position(|byte| *byte == b'\n') {
        Some(at) => (&input[..at], &input[at + 1..]),
        None => (input, b""),
    }
}

/// `json` as it is written, where it is valid JSON in UTF-8. Its values are not read: texts of half
/// a surrogate pair and numbers that fit no type are passed on as they are.
pub fn written(json: &[u8]) -> Option<&RawValue> {
    serde_json::from_slice(json).ok()
}

/// The members of the object `json`, as they are written.
pub fn members(json: &RawValue) -> Vec<(String, &RawValue)> {
    let members: std::collections::BTreeMap<String, &RawValue> =
        serde_json::from_str(json.get()).expect("an object");
    members.into_iter().collect()
}

/// The text of the member `name` of `object`; empty where there is none.
pub fn text<'a>(object: &'a Value, name: &str) -> &'a str {
    object.get(name).and_then(Value::as_str).unwrap_or_default()
}

/// What `text`, a part of a URL, means: percent-encoding undone. None where it is wrong, or where
/// `text` has a character that ends or divides a part.
pub fn decoded(text: &str) -> Option<Vec<u8>> {
    let mut rest = text.as_bytes();
    let mut decoded = Vec::with_capacity(rest.len());
    while let [byte, after @ ..] = rest {
        rest = after;
        match byte {
            b'%' => {
                let digits = std::str::from_utf8(rest.get(..2)?).ok()?;
                if !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
                    return None;
                }
                decoded.push(u8::from_str_radix(digits, 16).ok()?);
                rest = &rest[2..];
            }
            b'/' | b'?' | b'#' | b'+' | b'\\' => return None,
            byte if byte.is_ascii_graphic() => decoded.push(*byte),
            _ => return None,
        }
    }
    Some(decoded)
}
