//! Whether what is read and written again is the same.

use serde_json::Value;

/// Where `written` does not say what `original` did; none where it does. What `original` leaves out may be
/// written as the default, and its defaults may be left out.
pub(in crate::client) fn difference(original: &Value, written: &Value) -> Option<String> {
    let differ = || Some(format!("{original} is written as {written}"));
    match (original, written) {
        (Value::Object(original), Value::Object(written)) => {
            let names = original.keys().chain(written.keys());
            names
                .filter_map(|name| match (original.get(name), written.get(name)) {
                    (Some(original), Some(written)) => difference(original, written),
                    (Some(one), None) | (None, Some(one)) if is_blank(one) => None,
                    _ => differ(),
                })
                .next()
        }
        (Value::Array(original), Value::Array(written)) if original.len() == written.len() => {
            let pairs = original.iter().zip(written);
            pairs
                .filter_map(|(original, written)| difference(original, written))
                .next()
        }
        _ if original == written || original.is_null() && is_blank(written) => None,
        _ => differ(),
    }
}

/// What the original proxy makes of a moment that is not there.
const NO_MOMENT: [&str; 2] = [
    "0001-01-01T00:00:00.000+0000",
    "1970-01-01T00:00:00.000+0000",
];

fn is_blank(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Bool(value) => !value,
        Value::Number(number) => number.as_f64() == Some(0.0),
        Value::String(text) => text.is_empty() || NO_MOMENT.contains(&text.as_str()),
        Value::Array(list) => list.is_empty(),
        Value::Object(members) => members.values().all(is_blank),
    }
}

/// The lines of a file of recordings.
pub(in crate::client) fn recorded(file: &str) -> Vec<String> {
    let path = format!("{}/tests/data/{file}", env!("CARGO_MANIFEST_DIR"));
    let lines = std::fs::read_to_string(path).unwrap();
    lines.lines().map(str::to_owned).collect()
}
