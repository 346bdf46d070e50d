//! What we say on a NATS connection of ours: lines and bodies, without I/O (docs.nats.io,
//! "Client Protocol").

use serde_json::json;

use crate::address::BusServer;
use crate::bus::BusError;
#[cfg(feature = "server")]
use crate::bus::Mark;
#[cfg(feature = "server")]
use crate::bus::link::{EPOCH_HEADER, SEQ_HEADER};
use crate::wire::id::random_64;
use crate::wire::subject::publishable;

/// Asks for a PONG, which says that all before it is taken.
pub(super) const PING: &[u8] = b"PING\r\n";
/// Answers the server's PING.
pub(super) const PONG: &[u8] = b"PONG\r\n";
/// The longest subject or group, in bytes: a server ends a connection over a line of more than 4 KiB.
pub(super) const LONGEST: usize = 1_000;

/// Whether `text` fits into a line of the protocol, as a subject or a group.
pub(super) fn check(text: &str) -> Result<(), BusError> {
    match text.len() <= LONGEST && publishable(text) {
        true => Ok(()),
        false => Err(BusError::Subject(text.to_owned())),
    }
}

/// An inbox that nobody else has: how the subjects begin where answers go, a token for each follows.
pub(super) fn inbox() -> String {
    format!("_INBOX.{:016x}{:016x}.", random_64(), random_64())
}

/// How we introduce ourselves under `name`, over TLS or not, to a server that takes headers or does not.
pub(super) fn connect(server: &BusServer, name: &str, tls: bool, headers: bool) -> String {
    let mut connect = json!({
        "verbose": false,
        "pedantic": false,
        "tls_required": tls,
        "name": name,
        "lang": "rust",
        "version": env!("CARGO_PKG_VERSION"),
        "protocol": 1,
        "echo": false,
        "headers": true,
        // It is told with headers that nobody listens: a server without them lets nobody in who asks.
        "no_responders": headers,
    });
    match (&server.username, &server.password) {
        (Some(user), Some(password)) => {
            connect["user"] = user.as_str().into();
            connect["pass"] = password.expose().into();
        }
        (Some(token), None) => connect["auth_token"] = token.as_str().into(),
        _ => {}
    }
    format!("CONNECT {connect}\r\n")
}

/// Puts a message at the end of `out`; the subject is one that can be published to, the headers may be
/// empty.
pub(super) fn put(out: &mut Vec<u8>, subject: &str, headers: &str, body: &[u8]) {
    out.reserve(subject.len() + headers.len() + body.len() + AROUND);
    out.extend_from_slice(if headers.is_empty() {
        b"PUB "
    } else {
        b"HPUB "
    });
    out.extend_from_slice(subject.as_bytes());
    if !headers.is_empty() {
        put_size(out, headers.len());
    }
    put_size(out, headers.len() + body.len());
    out.extend_from_slice(b"\r\n");
    out.extend_from_slice(headers.as_bytes());
    out.extend_from_slice(body);
    out.extend_from_slice(b"\r\n");
}

/// Puts a space and `size` in decimal; by hand, as it is done for every event.
fn put_size(out: &mut Vec<u8>, size: usize) {
    let mut digits = [b' '; 21];
    let mut rest = size;
    let mut start = digits.len();
    for place in digits.iter_mut().rev() {
        *place = b'0' + (rest % 10) as u8;
        rest /= 10;
        start -= 1;
        if rest == 0 {
            break;
        }
    }
    out.push(b' ');
    out.extend_from_slice(digits.get(start..).unwrap_or_default());
}

/// Puts a message whose answers go to `reply`.
pub(super) fn put_request(out: &mut Vec<u8>, subject: &str, reply: &str, body: &[u8]) {
    out.reserve(subject.len() + reply.len() + body.len() + AROUND);
    for word in ["PUB ", subject, " ", reply] {
        out.extend_from_slice(word.as_bytes());
    }
    put_size(out, body.len());
    out.extend_from_slice(b"\r\n");
    out.extend_from_slice(body);
    out.extend_from_slice(b"\r\n");
}

/// Puts the beginning of the subscription of number `sid`, as a member of `group` if there is one.
pub(super) fn put_sub(out: &mut Vec<u8>, subject: &str, group: Option<&str>, sid: u64) {
    out.extend_from_slice(
        match group {
            Some(group) => format!("SUB {subject} {group} {sid}\r\n"),
            None => format!("SUB {subject} {sid}\r\n"),
        }
        .as_bytes(),
    );
}

/// Puts its end.
pub(super) fn put_unsub(out: &mut Vec<u8>, sid: u64) {
    out.extend_from_slice(format!("UNSUB {sid}\r\n").as_bytes());
}

/// What surrounds a message at most, in bytes.
const AROUND: usize = 64;

/// The headers that carry `mark`.
#[cfg(feature = "server")]
pub(super) fn headers(mark: &Mark) -> String {
    let Mark { epoch, seq } = mark;
    format!("NATS/1.0\r\n{EPOCH_HEADER}: {epoch}\r\n{SEQ_HEADER}: {seq}\r\n\r\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(headers: &str) -> String {
        let mut out = Vec::new();
        put(&mut out, "ari.event.a.b", headers, b"body");
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn messages() {
        assert_eq!(message(""), "PUB ari.event.a.b 4\r\nbody\r\n");
        assert_eq!(
            message("NATS/1.0\r\n\r\n"),
            "HPUB ari.event.a.b 12 16\r\nNATS/1.0\r\n\r\nbody\r\n"
        );
        for size in [0, 9, 10, 1_048_576, usize::MAX] {
            let mut out = Vec::new();
            put_size(&mut out, size);
            assert_eq!(out, format!(" {size}").into_bytes());
        }
    }

    #[cfg(feature = "server")]
    #[test]
    fn marks() {
        let mark = Mark {
            epoch: "e".into(),
            seq: 7,
        };
        let headers = headers(&mark);
        assert_eq!(headers.len(), 38);
        assert_eq!(
            message(&headers),
            "HPUB ari.event.a.b 38 42\r\nNATS/1.0\r\nAri-Epoch: e\r\nAri-Seq: 7\r\n\r\nbody\r\n"
        );
    }

    #[test]
    fn names_that_fit_and_inboxes() {
        let inbox = inbox();
        assert_eq!(check(&format!("{inbox}7")), Ok(()));
        assert_ne!(inbox, super::inbox());
        assert_eq!(check(&"s".repeat(LONGEST)), Ok(()));
        for bad in ["", "a b", "a\r\n", "a.*", &"s".repeat(LONGEST + 1)] {
            assert_eq!(check(bad), Err(BusError::Subject(bad.to_owned())));
        }
    }

    #[test]
    fn subscriptions_and_requests() {
        let mut out = Vec::new();
        put_sub(&mut out, "commands_d", Some("group"), 12);
        put_sub(&mut out, "_INBOX.x.*", None, 1);
        put_request(&mut out, "app", "_INBOX.x.3", b"body");
        put_unsub(&mut out, 12);
        assert_eq!(
            String::from_utf8(out).unwrap(),
            "SUB commands_d group 12\r\nSUB _INBOX.x.* 1\r\n\
             PUB app _INBOX.x.3 4\r\nbody\r\nUNSUB 12\r\n"
        );
    }

    #[test]
    fn credentials() {
        let mut server = BusServer {
            bus: crate::address::BusKind::Nats,
            tls: false,
            host: "h".into(),
            port: 1,
            vhost: String::new(),
            username: None,
            password: None,
        };
        assert!(!connect(&server, "n", false, true).contains("auth_token"));
        server.username = Some("t\"oken".into());
        let connect = connect(&server, "n", false, false);
        assert!(connect.contains(r#""auth_token":"t\"oken""#));
        assert!(connect.contains(r#""no_responders":false"#));
    }
}
