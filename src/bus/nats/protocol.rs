//! What is said on a NATS connection that publishes: lines and bodies, without I/O (docs.nats.io,
//! "Client Protocol").

use serde::Deserialize;
use serde_json::json;

use crate::bus::Mark;
use crate::bus::link::{EPOCH_HEADER, SEQ_HEADER};
use crate::config::BusServer;

/// Asks for a PONG, which says that all before it is taken.
pub(super) const PING: &[u8] = b"PING\r\n";
/// Answers the server's PING.
pub(super) const PONG: &[u8] = b"PONG\r\n";
/// The longest line taken of a server, in bytes: its INFO names every server of a cluster.
const LONGEST: usize = 64 * 1024;
/// What messages may hold where the server does not say, in bytes.
const LARGEST_BODY: usize = 1024 * 1024;

/// What a server says of itself first.
#[derive(Debug, Deserialize)]
pub(super) struct Info {
    /// The largest body that it takes, headers included, in bytes.
    #[serde(default = "largest_body")]
    pub(super) max_payload: usize,
    /// Whether it takes headers.
    #[serde(default)]
    pub(super) headers: bool,
    /// Whether it talks on over TLS only.
    #[serde(default)]
    pub(super) tls_required: bool,
}

fn largest_body() -> usize {
    LARGEST_BODY
}

/// A line of a server.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Said<'a> {
    /// Its INFO, as JSON.
    Info(&'a str),
    /// It asks whether we live.
    Ping,
    /// It has taken what was before a PING.
    Pong,
    /// What it minds.
    Error(&'a str),
    /// What asks for nothing.
    Other(&'a str),
}

impl Said<'_> {
    /// What `line` says.
    pub(super) fn of(line: &str) -> Said<'_> {
        let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
        match word {
            _ if word.eq_ignore_ascii_case("INFO") => Said::Info(rest),
            _ if word.eq_ignore_ascii_case("PING") => Said::Ping,
            _ if word.eq_ignore_ascii_case("PONG") => Said::Pong,
            "-ERR" => Said::Error(rest.trim().trim_matches('\'')),
            _ => Said::Other(line),
        }
    }
}

/// Lines, put together from what is read.
#[derive(Debug, Default)]
pub(super) struct Lines {
    bytes: Vec<u8>,
}

impl Lines {
    /// Where to put what is read.
    pub(super) fn end(&mut self) -> &mut Vec<u8> {
        &mut self.bytes
    }

    /// Takes out the next line, if it is whole.
    pub(super) fn next(&mut self) -> Option<String> {
        let end = self.bytes.iter().position(|byte| *byte == b'\n')?;
        let rest = self.bytes.split_off(end + 1);
        let line = std::mem::replace(&mut self.bytes, rest);
        Some(String::from_utf8_lossy(&line).trim_end().to_owned())
    }

    /// Whether what is read is no line any more.
    pub(super) fn is_too_long(&self) -> bool {
        self.bytes.len() > LONGEST
    }
}

/// How we introduce ourselves under `name`.
pub(super) fn connect(server: &BusServer, name: &str, tls: bool) -> String {
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

/// What surrounds a message at most, in bytes.
const AROUND: usize = 64;

/// The headers that carry `mark`.
pub(super) fn headers(mark: &Mark) -> String {
    let Mark { epoch, seq } = mark;
    format!("NATS/1.0\r\n{EPOCH_HEADER}: {epoch}\r\n{SEQ_HEADER}: {seq}\r\n\r\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(mark: Option<&Mark>) -> String {
        let mut out = Vec::new();
        let headers = mark.map(headers).unwrap_or_default();
        put(&mut out, "ari.event.a.b", &headers, b"body");
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn messages() {
        assert_eq!(message(None), "PUB ari.event.a.b 4\r\nbody\r\n");
        let mark = Mark {
            epoch: "e".into(),
            seq: 7,
        };
        assert_eq!(
            message(Some(&mark)),
            "HPUB ari.event.a.b 38 42\r\nNATS/1.0\r\nAri-Epoch: e\r\nAri-Seq: 7\r\n\r\nbody\r\n"
        );
        assert_eq!(headers(&mark).len(), 38);
        for size in [0, 9, 10, 1_048_576, usize::MAX] {
            let mut out = Vec::new();
            put_size(&mut out, size);
            assert_eq!(out, format!(" {size}").into_bytes());
        }
    }

    #[test]
    fn what_a_server_says() {
        assert_eq!(Said::of("PING"), Said::Ping);
        assert_eq!(Said::of("PONG"), Said::Pong);
        assert_eq!(
            Said::of("-ERR 'Authorization Violation'"),
            Said::Error("Authorization Violation")
        );
        assert_eq!(Said::of("+OK"), Said::Other("+OK"));
        let Said::Info(info) = Said::of(r#"INFO {"max_payload":5,"tls_required":true} "#) else {
            panic!("an INFO");
        };
        let info: Info = serde_json::from_str(info).unwrap();
        assert_eq!((info.max_payload, info.headers), (5, false));
        assert!(info.tls_required);
    }

    #[test]
    fn lines_come_in_pieces() {
        let mut lines = Lines::default();
        lines.end().extend_from_slice(b"PO");
        assert_eq!(lines.next(), None);
        lines.end().extend_from_slice(b"NG\r\nPING\r\n+");
        assert_eq!(lines.next().as_deref(), Some("PONG"));
        assert_eq!(lines.next().as_deref(), Some("PING"));
        assert_eq!(lines.next(), None);
        assert!(!lines.is_too_long());
        lines.end().resize(LONGEST + 1, b'x');
        assert!(lines.is_too_long());
    }

    #[test]
    fn credentials() {
        let mut server = BusServer {
            bus: crate::config::BusKind::Nats,
            tls: false,
            host: "h".into(),
            port: 1,
            vhost: String::new(),
            username: None,
            password: None,
        };
        assert!(!connect(&server, "n", false).contains("auth_token"));
        server.username = Some("t\"oken".into());
        assert!(connect(&server, "n", false).contains(r#""auth_token":"t\"oken""#));
    }
}
