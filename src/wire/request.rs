//! A request as it came from the bus: `{"kind", "key", <payload member>}`, read the way Go reads it.

use std::fmt;

use serde_json::{Map, Value};

use super::key::Key;

/// What is wrong with a request, in words for the one who sent it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadRequest(pub String);

impl fmt::Display for BadRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for BadRequest {}

/// A decoded request. Nothing is known yet of its kind.
#[derive(Debug, Clone, PartialEq)]
pub struct Request {
    /// The request kind, e.g. `ChannelAnswer`; empty where the request has none.
    pub kind: String,
    /// The key; one without members where the request has none (or null).
    pub key: Key,
    members: Map<String, Value>,
}

impl Request {
    /// Reads the body of a message. Whatever is wrong with it is told in the error, never a panic
    /// (known defects 1 and 2).
    pub fn read(body: &[u8]) -> Result<Request, BadRequest> {
        let members = match serde_json::from_slice(body) {
            Ok(Value::Object(members)) => members,
            // Go decodes null into an empty request.
            Ok(Value::Null) => Map::new(),
            Ok(_) => return Err(BadRequest("bad request: not a JSON object".into())),
            Err(error) => return Err(BadRequest(format!("bad request: {error}"))),
        };
        let kind = match member(&members, "kind") {
            None => String::new(),
            Some(value) => text(value, "kind")?.to_owned(),
        };
        let key = match member(&members, "key") {
            None => Key::default(),
            Some(Value::Object(key)) => Key::read(key)?,
            Some(_) => return Err(BadRequest("bad request: key must be an object".into())),
        };
        Ok(Request { kind, key, members })
    }

    /// The payload member `name`, which must be an object where it is there.
    pub fn payload(&self, name: &str) -> Result<Option<&Map<String, Value>>, BadRequest> {
        match member(&self.members, name) {
            None => Ok(None),
            Some(Value::Object(payload)) => Ok(Some(payload)),
            Some(_) => Err(BadRequest(format!("bad request: {name} must be an object"))),
        }
    }
}

/// The member `name`: an exact match first, else one that differs in case only, as Go's decoder
/// does. Null counts as absent, as it leaves a Go field untouched.
pub(super) fn member<'a>(from: &'a Map<String, Value>, name: &str) -> Option<&'a Value> {
    from.get(name)
        .or_else(|| {
            from.iter()
                .find(|(key, _)| key.eq_ignore_ascii_case(name))
                .map(|(_, value)| value)
        })
        .filter(|value| !value.is_null())
}

/// The text of `value`, or an error that says which member must be text.
pub(super) fn text<'a>(value: &'a Value, name: &str) -> Result<&'a str, BadRequest> {
    value
        .as_str()
        .ok_or_else(|| BadRequest(format!("bad request: {name} must be a string")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_kind_key_and_payload() {
        let request =
            Request::read(br#"{"Kind":"X","key":{"id":"1","ID":"2"},"p":{"a":1}}"#).unwrap();
        assert_eq!(request.kind, "X");
        assert_eq!(request.key.id, "1", "the exact name wins");
        assert!(request.payload("P").unwrap().is_some());
        assert!(request.payload("q").unwrap().is_none());
    }

    #[test]
    fn null_is_absent() {
        let request = Request::read(br#"{"kind":"X","key":null,"p":null}"#).unwrap();
        assert_eq!(request.key, Key::default());
        assert!(request.payload("p").unwrap().is_none());
    }

    #[test]
    fn defect_2_what_is_wrong_is_said() {
        for (body, says) in [
            (&b"hello"[..], "expected value"),
            (b"", "EOF"),
            (b"[1]", "not a JSON object"),
            (br#"{"kind":1}"#, "kind must be a string"),
            (br#"{"kind":"X","key":"k"}"#, "key must be an object"),
            (br#"{"kind":"X","key":{"id":7}}"#, "key.id must be a string"),
            (b"{\"kind\":\"\xff\"}", "invalid unicode"),
        ] {
            let error = Request::read(body).unwrap_err().to_string();
            assert!(error.contains(says), "{error}");
        }
        let deep = "[".repeat(100_000);
        assert!(Request::read(deep.as_bytes()).is_err());
    }
}
