//! The topics of dialogs, as go-ari-proxy has them (wire-protocol.md, part B): their names, and what is
//! published on them. What comes on them is in [`command`](super::command).

use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;

/// What an application sends on the command topic to be there: it is no command.
const DUMMY: &[u8] = b"DUMMY";
/// What the name of a dialog's topic of events begins with; the dialog follows.
pub const EVENTS: &str = "events_";
/// The same for commands.
pub const COMMANDS: &str = "commands_";
/// The same for responses.
pub const RESPONSES: &str = "responses_";

/// Where the events of `dialog` go.
pub fn events(dialog: &str) -> String {
    format!("{EVENTS}{dialog}")
}

/// Where its commands come from.
pub fn commands(dialog: &str) -> String {
    format!("{COMMANDS}{dialog}")
}

/// Where the responses to them go.
pub fn responses(dialog: &str) -> String {
    format!("{RESPONSES}{dialog}")
}

/// A name for a dialog, made of `random`: a UUID.
pub fn new_dialog(random: [u64; 2]) -> String {
    let [high, low] = random;
    // Version 4, variant 1, as RFC 9562 has them.
    let (high, low) = (high & !0xf000 | 0x4000, low & !(0b11 << 62) | (0b10 << 62));
    format!(
        "{:08x}-{:04x}-{:04x}-{:04x}-{:012x}",
        high >> 32,
        high >> 16 & 0xffff,
        high & 0xffff,
        low >> 48,
        low & 0xffff_ffff_ffff
    )
}

/// Whether `message` only says that an application is there.
pub fn is_greeting(message: &[u8]) -> bool {
    message.trim_ascii() == DUMMY || message.trim_ascii() == b"\"DUMMY\""
}

/// What tells an application of a call.
pub fn app_start(application: &str, dialog: &str, server: &str) -> Vec<u8> {
    #[derive(Serialize)]
    struct AppStart<'a> {
        application: &'a str,
        dialog_id: &'a str,
        server_id: &'a str,
    }
    json(&AppStart {
        application,
        dialog_id: dialog,
        server_id: server,
    })
}

/// An event as an application gets it: as text in an envelope.
pub fn envelope(server: &str, timestamp: &str, kind: &str, event: &str) -> Vec<u8> {
    #[derive(Serialize)]
    struct Envelope<'a> {
        server_id: &'a str,
        timestamp: &'a str,
        r#type: &'a str,
        ari_body: &'a str,
    }
    json(&Envelope {
        server_id: server,
        timestamp,
        r#type: kind,
        ari_body: event,
    })
}

/// The response to the command that its application knows by `unique_id`, which is echoed.
pub fn response(unique_id: &RawValue, status: u16, body: &str) -> Vec<u8> {
    #[derive(Serialize)]
    struct Response<'a> {
        unique_id: &'a RawValue,
        status_code: u16,
        response_body: &'a str,
    }
    json(&Response {
        unique_id,
        status_code: status,
        response_body: body,
    })
}

/// What stands for a `response` that the bus does not take, for this reason.
pub fn instead_of(response: &[u8], status: u16, why: &str) -> Option<Vec<u8>> {
    #[derive(Deserialize)]
    struct Response {
        unique_id: Box<RawValue>,
    }
    let Response { unique_id } = serde_json::from_slice(response).ok()?;
    Some(self::response(&unique_id, status, &problem(why)))
}

/// The body of a response that does not come from Asterisk, with its words for what is wrong.
pub fn problem(message: &str) -> String {
    Value::from_iter([("message", message)]).to_string()
}

fn json(message: &impl Serialize) -> Vec<u8> {
    // Text and numbers can always be written.
    serde_json::to_vec(message).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(bytes: Vec<u8>) -> String {
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn names() {
        assert_eq!(events("d"), "events_d");
        assert_eq!(commands("d"), "commands_d");
        assert_eq!(responses("d"), "responses_d");
        assert_eq!(
            new_dialog([0x0123_4567_89ab_cdef, 0xffff_ffff_ffff_ffff]),
            "01234567-89ab-4def-bfff-ffffffffffff"
        );
        assert_eq!(new_dialog([0, 0]), "00000000-0000-4000-8000-000000000000");
    }

    #[test]
    fn messages_as_the_older_program_writes_them() {
        assert_eq!(
            text(app_start("a", "d", "s")),
            r#"{"application":"a","dialog_id":"d","server_id":"s"}"#
        );
        assert_eq!(
            text(envelope(
                "s",
                "t",
                "Dial",
                "{\"type\":\"Dial\",\"ü\":\"\\u0000\"}"
            )),
            r#"{"server_id":"s","timestamp":"t","type":"Dial","ari_body":"{\"type\":\"Dial\",\"ü\":\"\\u0000\"}"}"#
        );
        let id = RawValue::from_string("\"1\"".into()).unwrap();
        let large = response(&id, 200, &"x".repeat(1000));
        assert_eq!(
            instead_of(&large, 502, "large"),
            Some(response(&id, 502, &problem("large")))
        );
        assert_eq!(instead_of(b"", 502, "large"), None);
        assert_eq!(
            text(response(&id, 404, &problem("no \"such\" thing"))),
            r#"{"unique_id":"1","status_code":404,"response_body":"{\"message\":\"no \\\"such\\\" thing\"}"}"#
        );
    }

    #[test]
    fn greetings() {
        for greeting in ["DUMMY", "DUMMY\n", " \"DUMMY\" "] {
            assert!(is_greeting(greeting.as_bytes()), "{greeting}");
        }
        for other in ["", "dummy", "DUMMY DUMMY", "{}"] {
            assert!(!is_greeting(other.as_bytes()), "{other}");
        }
    }
}
