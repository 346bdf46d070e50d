//! What a server says on a connection of ours: lines and messages, put together from what is read, without
//! I/O (docs.nats.io, "Client Protocol").
//!
//! A message comes from anybody who may publish: whatever it says, only what a server does not say ends
//! a connection. No more of it is kept than is of use, however large it says that it is.

use serde::Deserialize;

/// The longest line taken of a server, in bytes: its INFO names every server of a cluster, and what
/// comes before a message says where answers go, in 4 KiB unless a server was told to take more.
const LONGEST: usize = 64 * 1024;
/// What messages may hold where the server does not say, in bytes.
const LARGEST_BODY: usize = 1024 * 1024;
/// The largest message that there can be, in bytes: servers count them in 32 bits.
const LARGEST: usize = i32::MAX as usize;
/// How the headers begin of what a server sends to where answers go, if nobody listens.
const NOBODY: &[u8] = b"NATS/1.0 503";

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

/// Something that a server says.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Said {
    /// Its INFO, as JSON.
    Info(String),
    /// It asks whether we live.
    Ping,
    /// It has taken what was before a PING.
    Pong,
    /// What it minds.
    Error(String),
    /// A message for a subscription of ours.
    Message(Message),
    /// What asks for nothing.
    Other,
}

/// A message for a subscription.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Message {
    /// Where it was sent to.
    pub(super) subject: Vec<u8>,
    /// The number of the subscription.
    pub(super) sid: u64,
    /// Whether it says that nobody listens where something was sent that this answers.
    pub(super) nobody: bool,
    /// Its body, without the headers; a byte more than is taken whole of one that is longer.
    pub(super) body: Vec<u8>,
}

/// What a server does not let us do.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Refusal<'a> {
    /// Publish on this subject.
    Publish(&'a str),
    /// Subscribe to it.
    Subscribe {
        /// The subject.
        subject: &'a str,
        /// The group, if it was to be as a member of one and the server says so.
        group: Option<&'a str>,
        /// The number of a subscription that there was so far.
        sid: Option<u64>,
    },
}

impl Refusal<'_> {
    /// What it is, if that is what a server minds.
    pub(super) fn of(why: &str) -> Option<Refusal<'_>> {
        let what = why.strip_prefix("Permissions Violation for ")?;
        let (verb, rest) = what.split_once(" to \"")?;
        let (subject, rest) = rest.split_once('"')?;
        let quoted = |before: &str, after: &str| rest.strip_prefix(before)?.strip_suffix(after);
        match verb {
            "Publish" => Some(Refusal::Publish(subject)),
            "Subscription" => Some(Refusal::Subscribe {
                subject,
                group: quoted(" using queue \"", "\""),
                sid: quoted(" (sid \"", "\")").and_then(|sid| sid.parse().ok()),
            }),
            _ => None,
        }
    }
}

/// What was read is not what a NATS server says.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct NotNats;

/// Lines and messages, put together from what is read.
#[derive(Debug)]
pub(super) struct Lines {
    /// How much of a message's body is kept, in bytes: enough to see that it is too large.
    kept: usize,
    bytes: Vec<u8>,
    /// Where what was not given out yet begins.
    start: usize,
    /// A message that is not all there yet.
    coming: Option<Coming>,
}

impl Lines {
    /// With messages of up to `largest` bytes taken whole.
    pub(super) fn of_messages(largest: usize) -> Lines {
        Lines {
            kept: largest.saturating_add(1),
            bytes: Vec::new(),
            start: 0,
            coming: None,
        }
    }

    /// Nothing of what was read so far counts.
    pub(super) fn forget(&mut self) {
        self.bytes.clear();
        self.start = 0;
        self.coming = None;
    }

    /// Where to put what is read.
    pub(super) fn end(&mut self) -> &mut Vec<u8> {
        self.bytes.drain(..self.start);
        self.start = 0;
        &mut self.bytes
    }

    /// Whether what comes next belongs to a message.
    pub(super) fn is_message(&self) -> bool {
        self.coming.is_some()
    }

    /// Takes out what is said next, if it is whole.
    pub(super) fn next(&mut self) -> Result<Option<Said>, NotNats> {
        let mut rest = self.bytes.get(self.start..).unwrap_or_default();
        if self.coming.is_none() {
            let Some(end) = rest.iter().position(|byte| *byte == b'\n') else {
                return if rest.len() > LONGEST {
                    Err(NotNats)
                } else {
                    Ok(None)
                };
            };
            let (line, after) = rest.split_at(end + 1);
            self.start += line.len();
            let line = line.trim_ascii_end();
            match Coming::announced_by(line, self.kept)? {
                None => return Ok(Some(said(line))),
                coming => self.coming = coming,
            }
            rest = after;
        }
        let Some(mut coming) = self.coming.take() else {
            return Ok(None);
        };
        let taken = coming.take(rest);
        self.start += taken;
        let after = rest.get(taken..).unwrap_or_default();
        if !coming.is_whole() || after == b"\r" || after.is_empty() {
            self.coming = Some(coming);
            return Ok(None);
        }
        if !after.starts_with(b"\r\n") {
            return Err(NotNats);
        }
        self.start += 2;
        Ok(Some(Said::Message(coming.message)))
    }
}

/// What a line says that no message follows.
fn said(line: &[u8]) -> Said {
    let end = line.iter().position(|byte| *byte == b' ');
    let (word, rest) = line.split_at(end.unwrap_or(line.len()));
    let rest = || String::from_utf8_lossy(rest.trim_ascii());
    match word {
        _ if word.eq_ignore_ascii_case(b"PONG") => Said::Pong,
        _ if word.eq_ignore_ascii_case(b"PING") => Said::Ping,
        _ if word.eq_ignore_ascii_case(b"INFO") => Said::Info(rest().into_owned()),
        b"-ERR" => Said::Error(rest().trim_matches('\'').to_owned()),
        _ => Said::Other,
    }
}

/// A message while it comes.
#[derive(Debug)]
struct Coming {
    message: Message,
    /// How much of its body is kept, in bytes.
    kept: usize,
    /// How its headers begin.
    head: Vec<u8>,
    /// How many bytes of the headers are still to come, and of the body.
    headers: usize,
    body: usize,
}

impl Coming {
    /// The message that follows `line`, if one does: `MSG subject sid [reply] size`, or
    /// `HMSG subject sid [reply] size-of-headers size-of-all`.
    fn announced_by(line: &[u8], kept: usize) -> Result<Option<Coming>, NotNats> {
        let blank = |byte: &u8| matches!(byte, b' ' | b'\t');
        let mut words = line.split(blank).filter(|word| !word.is_empty());
        let with_headers = match words.next() {
            Some(word) if word.eq_ignore_ascii_case(b"MSG") => false,
            Some(word) if word.eq_ignore_ascii_case(b"HMSG") => true,
            _ => return Ok(None),
        };
        let subject = words.next().ok_or(NotNats)?;
        let sid = words.next().and_then(number).ok_or(NotNats)?;
        let all = words.next_back().and_then(size).ok_or(NotNats)?;
        let headers = match with_headers {
            true => words.next_back().and_then(size).ok_or(NotNats)?,
            false => 0,
        };
        let body = all.checked_sub(headers).ok_or(NotNats)?;
        // The reply subject is for nobody here; more than that there is not.
        if words.nth(1).is_some() {
            return Err(NotNats);
        }
        Ok(Some(Coming {
            message: Message {
                subject: subject.to_vec(),
                sid,
                nobody: false,
                body: Vec::with_capacity(body.min(kept)),
            },
            kept,
            head: Vec::new(),
            headers,
            body,
        }))
    }

    /// Takes what is its own off the beginning of `bytes`; how many that are.
    fn take(&mut self, bytes: &[u8]) -> usize {
        let (headers, rest) = bytes.split_at(self.headers.min(bytes.len()));
        let (body, _) = rest.split_at(self.body.min(rest.len()));
        self.headers -= headers.len();
        self.body -= body.len();
        keep(&mut self.head, headers, NOBODY.len());
        keep(&mut self.message.body, body, self.kept);
        self.message.nobody = self.head == NOBODY;
        headers.len() + body.len()
    }

    fn is_whole(&self) -> bool {
        self.headers == 0 && self.body == 0
    }
}

/// Puts `bytes` at the end of `kept`, as far as it holds no more than `limit` then.
fn keep(kept: &mut Vec<u8>, bytes: &[u8], limit: usize) {
    let room = limit.saturating_sub(kept.len());
    kept.extend_from_slice(bytes.get(..room).unwrap_or(bytes));
}

fn number(word: &[u8]) -> Option<u64> {
    std::str::from_utf8(word).ok()?.parse().ok()
}

fn size(word: &[u8]) -> Option<usize> {
    let size = usize::try_from(number(word)?).ok()?;
    (size <= LARGEST).then_some(size)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(subject: &[u8], sid: u64, body: &[u8]) -> Said {
        Said::Message(Message {
            subject: subject.to_vec(),
            sid,
            nobody: false,
            body: body.to_vec(),
        })
    }

    /// What is said by `bytes`, read in `pieces`.
    fn heard<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Result<Vec<Said>, NotNats> {
        let (mut lines, mut all) = (Lines::of_messages(LARGEST_BODY), Vec::new());
        for piece in pieces {
            lines.end().extend_from_slice(piece);
            while let Some(said) = lines.next()? {
                all.push(said);
            }
        }
        Ok(all)
    }

    #[test]
    fn what_a_server_says() {
        let said = heard([&b"PING\r\npong\r\n-ERR 'Authorization Violation'\r\n+OK\r\n\r\n"[..]]);
        assert_eq!(
            said.unwrap(),
            [
                Said::Ping,
                Said::Pong,
                Said::Error("Authorization Violation".into()),
                Said::Other,
                Said::Other,
            ]
        );
        let said = heard([&b"INFO {\"max_payload\":5,\"tls_required\":true} \r\n"[..]]);
        let Some(Said::Info(info)) = said.unwrap().pop() else {
            panic!("an INFO");
        };
        let info: Info = serde_json::from_str(&info).unwrap();
        assert_eq!((info.max_payload, info.headers), (5, false));
        assert!(info.tls_required);
    }

    #[test]
    fn whatever_comes_in_pieces_is_put_together() {
        let all: &[u8] = b"+OK\r\nMSG a.b 7 3\r\nMSG\r\nPING\r\nHMSG _INBOX.x.12 1 16 16\r\n\
            NATS/1.0 503\r\n\r\n\r\nMSG \xff\xfe 8 \xc2\xa0.r 0\r\n\r\n\
            HMSG h 9 to 12 16\r\nNATS/1.0\r\n\r\n\xff\r\n\0\r\nPONG\r\n";
        let expected = [
            Said::Other,
            message(b"a.b", 7, b"MSG"),
            Said::Ping,
            Said::Message(Message {
                subject: b"_INBOX.x.12".to_vec(),
                sid: 1,
                nobody: true,
                body: Vec::new(),
            }),
            message(b"\xff\xfe", 8, b""),
            message(b"h", 9, b"\xff\r\n\0"),
            Said::Pong,
        ];
        for cut in 0..=all.len() {
            let (one, other) = all.split_at(cut);
            assert_eq!(heard([one, other]).unwrap(), expected, "cut at {cut}");
        }
        assert_eq!(heard(all.chunks(1)).unwrap(), expected);
        assert_eq!(heard(all.chunks(5)).unwrap(), expected);
    }

    #[test]
    fn what_no_server_says() {
        for garbage in [
            &b"MSG a 1\r\n"[..],
            b"MSG a x 1\r\n",
            b"MSG a 1 r x\r\n",
            b"MSG a 1 -1\r\n",
            b"MSG a 1 r more 1\r\nx\r\n",
            b"MSG a 1 2147483648\r\n",
            b"MSG a 1 99999999999999999999999\r\n",
            b"HMSG a 1 5\r\n",
            b"HMSG a 1 6 5\r\n",
            b"HMSG a 1 r more 1 1\r\nx\r\n",
            b"MSG a 1 3\r\nbodyPING\r\n",
            b"MSG a 1 3\r\nbod\n",
            b"MSG a 1 3\r\nbod\rx",
        ] {
            let shown = String::from_utf8_lossy(garbage);
            assert_eq!(heard([garbage]), Err(NotNats), "{shown}");
            assert_eq!(heard(garbage.chunks(1)), Err(NotNats), "{shown}");
        }
        let long = vec![b'x'; LONGEST + 1];
        assert_eq!(heard(long.chunks(4096)), Err(NotNats));
        assert_eq!(heard(long[1..].chunks(4096)), Ok(Vec::new()));
    }

    #[test]
    fn of_what_is_too_large_little_is_kept() {
        const KEPT: usize = 64 * 1024 + 1;
        let mut lines = Lines::of_messages(KEPT - 1);
        let size = 40 * KEPT;
        let head = format!("HMSG commands_d 3 {size} {}\r\n", 2 * size);
        lines.end().extend_from_slice(head.as_bytes());
        let mut sent = 0;
        while sent < 2 * size {
            assert_eq!(lines.next(), Ok(None));
            assert_eq!(lines.bytes.len() - lines.start, 0);
            let piece = vec![b'x'; 4096.min(2 * size - sent)];
            lines.end().extend_from_slice(&piece);
            sent += piece.len();
        }
        lines.end().extend_from_slice(b"\r\nPING\r\n");
        let body = vec![b'x'; KEPT];
        assert_eq!(lines.next(), Ok(Some(message(b"commands_d", 3, &body))));
        assert_eq!(lines.next(), Ok(Some(Said::Ping)));
        assert!(lines.bytes.capacity() < 4 * LONGEST);
        // One that says that it is as large as any, and does not come.
        let head = format!("MSG a 1 {LARGEST}\r\n");
        lines.end().extend_from_slice(head.as_bytes());
        assert_eq!(lines.next(), Ok(None));
        let coming = lines.coming.as_ref().unwrap();
        assert!(coming.message.body.capacity() < 2 * KEPT);
    }

    #[test]
    fn what_is_refused() {
        assert_eq!(
            Refusal::of(r#"Permissions Violation for Publish to "a.b""#),
            Some(Refusal::Publish("a.b"))
        );
        for (rest, group, sid) in [
            ("", None, None),
            (r#" using queue "b""#, Some("b"), None),
            (r#" (sid "7")"#, None, Some(7)),
            (r#" (sid "x")"#, None, None),
        ] {
            let why = format!("Permissions Violation for Subscription to \"a.>\"{rest}");
            let subject = "a.>";
            let refusal = Refusal::Subscribe {
                subject,
                group,
                sid,
            };
            assert_eq!(Refusal::of(&why), Some(refusal));
        }
        for other in [
            "Permissions Violation for Publish to a",
            "Permissions Violation for Publish to \"a",
            "Permissions Violation for Breath to \"a\"",
            "Stale Connection",
        ] {
            assert_eq!(Refusal::of(other), None, "{other}");
        }
    }
}
