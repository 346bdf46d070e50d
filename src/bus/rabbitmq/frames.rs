//! What a broker sends, made harmless for the crate, which ends the connection over bytes that are
//! not UTF-8 and field types it does not know, and the process over tables nested deep enough. The
//! broker would deliver such a message again and again, so whoever may publish could keep us away.
//!
//! Frames are changed in place: text that is not UTF-8 gets `?` for what is not ASCII, headers (which
//! nobody here reads) become one field of the same length, bodies are cut at a length, a heartbeat of
//! none becomes ours.

use std::collections::HashMap;
use std::io::{self, Read};
use std::ops::Range;

use super::opening::HEARTBEAT;
use crate::bus::link::LARGEST_REQUEST;

/// Most of a body that is handed on, in bytes: enough to tell that it is too large.
const LONGEST_BODY: u64 = LARGEST_REQUEST as u64 + 1;
/// Largest frame a broker may send. RabbitMQ's default is 128 KiB.
const LARGEST_FRAME: usize = 16 * 1024 * 1024;
/// How much is read at a time.
const CHUNK: usize = 16 * 1024;
/// Type, channel and size come before a frame's payload,
const HEAD: usize = 7;
/// and this after it.
const TAIL: usize = 1;
const END: u8 = 0xce;

/// Frames on their way from the broker to the crate.
#[derive(Default)]
pub(super) struct Frames {
    bytes: Vec<u8>,
    /// How many bytes are handed on.
    given: usize,
    /// How many bytes are harmless.
    checked: usize,
    /// By channel, what is left of the body that is too long.
    long: HashMap<u16, Body>,
}

/// What is left of a body.
struct Body {
    /// Bytes to be handed on.
    give: u64,
    /// All that is to come.
    come: u64,
}

impl Frames {
    /// Reads what the broker sends next, as [`Read::read`].
    pub(super) fn read(&mut self, broker: &mut impl Read, into: &mut [u8]) -> io::Result<usize> {
        while self.given == self.checked {
            if self.read_chunk(broker)? == 0 {
                return Ok(0);
            }
            self.check()?;
        }
        let ready = self.bytes.get(self.given..self.checked).unwrap_or_default();
        let count = ready.len().min(into.len());
        let (from, to) = (ready.split_at(count).0, into.split_at_mut(count).0);
        to.copy_from_slice(from);
        self.given += count;
        Ok(count)
    }

    fn read_chunk(&mut self, broker: &mut impl Read) -> io::Result<usize> {
        self.bytes.drain(..self.given);
        self.checked -= self.given;
        self.given = 0;
        let before = self.bytes.len();
        self.bytes.resize(before + CHUNK, 0);
        let read = broker.read(self.bytes.get_mut(before..).unwrap_or_default());
        self.bytes
            .truncate(before + read.as_ref().copied().unwrap_or(0));
        read
    }

    /// Makes every whole frame harmless.
    fn check(&mut self) -> io::Result<()> {
        while let Some(size) = self.next_size()? {
            let start = self.checked;
            let end = start + HEAD + size + TAIL;
            let Some(frame) = self.bytes.get_mut(start..end) else {
                return Ok(());
            };
            let kept = soften(frame, &mut self.long);
            if kept < frame.len() {
                // What is left of it has its own end.
                let cut = start + kept;
                self.bytes.drain(cut..end);
                if kept > 0
                    && let Some(last) = self.bytes.get_mut(cut - TAIL)
                {
                    *last = END;
                }
            }
            self.checked = start + kept;
        }
        Ok(())
    }

    /// The size of the payload of the first frame that is not checked.
    fn next_size(&self) -> io::Result<Option<usize>> {
        let Some([_, _, _, size @ ..]) = self.bytes.get(self.checked..self.checked + HEAD) else {
            return Ok(None);
        };
        let size = size
            .iter()
            .fold(0, |size, byte| size << 8 | usize::from(*byte));
        if size > LARGEST_FRAME {
            return Err(io::ErrorKind::InvalidData.into());
        }
        Ok(Some(size))
    }
}

/// Makes a frame harmless; how much of it is left, its end included.
fn soften(frame: &mut [u8], long: &mut HashMap<u16, Body>) -> usize {
    let whole = frame.len();
    let Some((head, rest)) = frame.split_at_mut_checked(HEAD) else {
        return whole;
    };
    let Some((payload, _)) = rest.split_at_mut_checked(whole - HEAD - TAIL) else {
        return whole;
    };
    let [kind, high, low, size @ ..] = head else {
        return whole;
    };
    let channel = u16::from_be_bytes([*high, *low]);
    match *kind {
        1 => {
            method(payload);
            whole
        }
        2 => {
            header(payload, channel, long);
            whole
        }
        3 => {
            let Some(kept) = body(payload.len(), channel, long) else {
                return 0;
            };
            for (to, from) in size.iter_mut().zip((kept as u32).to_be_bytes()) {
                *to = from;
            }
            HEAD + kept + TAIL
        }
        _ => whole,
    }
}

/// How much of a body frame with `size` bytes is handed on, if it is at all.
fn body(size: usize, channel: u16, long: &mut HashMap<u16, Body>) -> Option<usize> {
    let Some(left) = long.get_mut(&channel) else {
        return Some(size);
    };
    let kept = left.give.min(size as u64);
    left.give -= kept;
    left.come = left.come.saturating_sub(size as u64);
    if left.come == 0 {
        long.remove(&channel);
    }
    (kept > 0).then_some(kept as usize)
}

/// A method: class and number, then its arguments.
fn method(payload: &mut [u8]) {
    let Some(&[_, class, _, number]) = payload.get(..4) else {
        return;
    };
    let mut fields = Fields { payload, at: 4 };
    match (class, number) {
        // connection.tune: channels, size of frames, heartbeat. The crate takes the smaller of both
        // sides' heartbeats, and the broker's 0 means none.
        (10, 30) => {
            fields.at += 2 + 4;
            let range = fields.skip(2);
            if let Some(heartbeat @ [0, 0]) = fields.payload.get_mut(range) {
                heartbeat.copy_from_slice(&HEARTBEAT.to_be_bytes());
            }
        }
        // connection.close and channel.close: code, text. A text that is too long is cut by the
        // broker, in the middle of a character too.
        (10, 50) | (20, 40) => {
            fields.at += 2;
            fields.text();
        }
        // connection.blocked: reason.
        (10, 60) => fields.text(),
        // basic.return: code, text, exchange, routing key.
        (60, 50) => {
            fields.at += 2;
            (0..3).for_each(|_| fields.text());
        }
        // basic.deliver: consumer tag, delivery tag, redelivered, exchange, routing key.
        (60, 60) => {
            fields.text();
            fields.at += 8 + 1;
            (0..2).for_each(|_| fields.text());
        }
        _ => {}
    }
}

/// A content header: class, weight, size of the body, flags, properties.
fn header(payload: &mut [u8], channel: u16, long: &mut HashMap<u16, Body>) {
    let Some([_, _, _, _, size @ .., high, low]) = payload.get_mut(..14) else {
        return;
    };
    let come = size
        .iter()
        .fold(0_u64, |all, byte| all << 8 | u64::from(*byte));
    // What a channel left unfinished when it was closed is not of this message.
    long.remove(&channel);
    if come > LONGEST_BODY {
        for (to, from) in size.iter_mut().zip(LONGEST_BODY.to_be_bytes()) {
            *to = from;
        }
        let give = LONGEST_BODY;
        long.insert(channel, Body { give, come });
    }
    let flags = u16::from_be_bytes([*high, *low]);
    let mut fields = Fields { payload, at: 14 };
    // From the highest flag: content type and encoding, headers, delivery mode, priority,
    // correlation id, reply to, expiration, message id, timestamp, type, user, application, cluster.
    for bit in (2..16).rev().filter(|bit| flags & 1 << bit != 0) {
        match bit {
            13 => fields.table(),
            12 | 11 => fields.at += 1,
            6 => fields.at += 8,
            _ => fields.text(),
        }
    }
}

/// The fields of a payload, one after the other.
struct Fields<'a> {
    payload: &'a mut [u8],
    at: usize,
}

impl Fields<'_> {
    fn skip(&mut self, count: usize) -> Range<usize> {
        let from = self.at;
        self.at += count;
        from..self.at
    }

    fn number(&mut self, bytes: usize) -> usize {
        let range = self.skip(bytes);
        let digits = self.payload.get(range).unwrap_or_default();
        digits
            .iter()
            .fold(0, |all, byte| all << 8 | usize::from(*byte))
    }

    /// A short string, made UTF-8.
    fn text(&mut self) {
        let length = self.number(1);
        let range = self.skip(length);
        let Some(text) = self.payload.get_mut(range) else {
            return;
        };
        if std::str::from_utf8(text).is_err() {
            for byte in text.iter_mut().filter(|byte| !byte.is_ascii()) {
                *byte = b'?';
            }
        }
    }

    /// A table, made one void field: its name takes what there is of length. A longer one is a byte
    /// array without a name.
    fn table(&mut self) {
        let length = self.number(4);
        let range = self.skip(length);
        let Some(table) = self.payload.get_mut(range) else {
            return;
        };
        if let Ok(name) = u8::try_from(length.saturating_sub(2)) {
            table.fill(b'-');
            if let [first, .., last] = table {
                *first = name;
                *last = b'V';
            }
        } else if let [name, kind, size @ ..] = table {
            *name = 0;
            *kind = b'x';
            for (to, from) in size.iter_mut().zip((length as u32 - 6).to_be_bytes()) {
                *to = from;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(kind: u8, payload: &[u8]) -> Vec<u8> {
        let mut frame = vec![kind, 0, 1];
        frame.extend((payload.len() as u32).to_be_bytes());
        frame.extend(payload);
        frame.push(END);
        frame
    }

    /// A content header with these properties.
    fn content(size: u64, flags: u16, properties: &[u8]) -> Vec<u8> {
        let mut payload = vec![0, 60, 0, 0];
        payload.extend(size.to_be_bytes());
        payload.extend(flags.to_be_bytes());
        payload.extend(properties);
        frame(2, &payload)
    }

    /// What comes out when `input` comes in pieces of `piece` bytes.
    fn pass(input: &[u8], piece: usize) -> Vec<u8> {
        struct Pieces<'a>(&'a [u8], usize);
        impl Read for Pieces<'_> {
            fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
                let most = self.1.min(into.len());
                self.0.read(&mut into[..most])
            }
        }
        let mut broker = Pieces(input, piece);
        let (mut frames, mut output) = (Frames::default(), Vec::new());
        let mut into = [0; 1000];
        loop {
            match frames.read(&mut broker, &mut into).unwrap() {
                0 => return output,
                count => output.extend(&into[..count]),
            }
        }
    }

    #[test]
    fn what_is_harmless_passes_as_it_is() {
        let mut stream = frame(8, b"");
        stream.extend(frame(
            1,
            b"\0\x3c\0\x3c\x02ct\0\0\0\0\0\0\0\x07\0\x01e\x03a.\xc3",
        ));
        stream.extend(content(3, 1 << 15, b"\x02\xc3\xbc"));
        stream.extend(frame(3, b"abc"));
        stream.extend(frame(3, b""));
        let mut expected = stream.clone();
        let cut = expected.iter().position(|b| *b == 0xc3).unwrap();
        expected[cut] = b'?';
        for piece in [1, 2, 7, 100_000] {
            assert_eq!(pass(&stream, piece), expected, "{piece}");
        }
    }

    #[test]
    fn properties_that_are_not_utf_8() {
        // Content type, correlation id, reply to.
        let flags = 1 << 15 | 1 << 10 | 1 << 9;
        let sent = content(0, flags, b"\x01\xff\x03a\xfeb\x02ok");
        let came = content(0, flags, b"\x01?\x03a?b\x02ok");
        assert_eq!(pass(&sent, 9), came);
    }

    #[test]
    fn headers_become_one_field_of_their_length() {
        for length in (0..1000).filter(|length| *length != 1) {
            let mut properties = Vec::from((length as u32).to_be_bytes());
            properties.extend(vec![0xfe; length]);
            properties.extend(b"\x03cor");
            let flags = 1 << 13 | 1 << 10;
            let came = pass(&content(0, flags, &properties), 1000);
            let (rest, parsed) =
                amq_protocol_frame(&came).unwrap_or_else(|| panic!("{length} is not understood"));
            assert!(rest.is_empty(), "{length}");
            assert_eq!(parsed, "cor", "{length}");
        }
    }

    /// Walks a header frame with headers and correlation id as the crate does.
    fn amq_protocol_frame(bytes: &[u8]) -> Option<(Vec<u8>, String)> {
        let table = bytes.get(21..)?;
        let length = u32::from_be_bytes(table.get(..4)?.try_into().ok()?) as usize;
        let (mut fields, rest) = table.get(4..)?.split_at_checked(length)?;
        while let [name, more @ ..] = fields {
            let [kind, value @ ..] = more.get(usize::from(*name)..)? else {
                return None;
            };
            fields = match kind {
                b'V' => value,
                b'x' => {
                    let size = u32::from_be_bytes(value.get(..4)?.try_into().ok()?) as usize;
                    value.get(4 + size..)?
                }
                _ => return None,
            };
        }
        let [size, text @ ..] = rest else { return None };
        let (text, end) = text.split_at_checked(usize::from(*size))?;
        let end = end.strip_suffix(&[END])?;
        Some((end.to_vec(), String::from_utf8(text.to_vec()).ok()?))
    }

    #[test]
    fn texts_that_the_broker_cut() {
        for (class, number) in [(10, 50), (20, 40)] {
            let sent = [0, class, 0, number, 1, 0x96, 2, b'a', 0xc3, 0, 50, 0, 10];
            let came = [0, class, 0, number, 1, 0x96, 2, b'a', b'?', 0, 50, 0, 10];
            assert_eq!(pass(&frame(1, &sent), 50), frame(1, &came));
        }
        let sent = frame(1, b"\0\x0a\0\x3c\x02a\xff");
        assert_eq!(pass(&sent, 50), frame(1, b"\0\x0a\0\x3c\x02a?"));
        let sent = frame(1, b"\0\x3c\0\x32\x01\x38\x01\xff\x01e\x01\xff");
        assert_eq!(
            pass(&sent, 50),
            frame(1, b"\0\x3c\0\x32\x01\x38\x01?\x01e\x01?")
        );
    }

    #[test]
    fn a_broker_without_heartbeats_gets_ours() {
        let tune = |heartbeat: u8| frame(1, &[0, 10, 0, 30, 8, 0, 0, 2, 0, 0, 0, heartbeat]);
        assert_eq!(pass(&tune(0), 50), tune(HEARTBEAT as u8));
        assert_eq!(pass(&tune(60), 50), tune(60));
    }

    #[test]
    fn bodies_are_cut() {
        let long = LONGEST_BODY + 200_000;
        let mut stream = content(long, 0, b"");
        for chunk in vec![7; long as usize].chunks(60_000) {
            stream.extend(frame(3, chunk));
        }
        stream.extend(content(long, 0, b""));
        stream.extend(frame(3, b""));
        stream.extend(content(2, 0, b""));
        stream.extend(frame(3, b"ok"));
        let mut expected = content(LONGEST_BODY, 0, b"");
        expected.extend(frame(3, &vec![7; 60_000]));
        expected.extend(frame(3, &vec![7; LONGEST_BODY as usize - 60_000]));
        expected.extend(content(LONGEST_BODY, 0, b""));
        expected.extend(content(2, 0, b""));
        expected.extend(frame(3, b"ok"));
        for piece in [1000, 16_384] {
            assert!(pass(&stream, piece) == expected, "{piece}");
        }
    }

    #[test]
    fn nonsense_is_an_end_or_passes() {
        let mut huge = frame(3, b"");
        huge[3] = 0xff;
        let mut into = [0; 10];
        assert!(Frames::default().read(&mut &huge[..], &mut into).is_err());
        for short in 0..40 {
            let payload: Vec<u8> = [0, 60, 0, 60]
                .into_iter()
                .chain(vec![0xff; short])
                .collect();
            for kind in 0..5 {
                let sent = frame(kind, &payload);
                assert_eq!(pass(&sent, 100).len(), sent.len());
            }
        }
    }
}
