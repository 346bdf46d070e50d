//! What a broker sends, on its way to the crate: made harmless for it ([`super::payloads`]), bodies cut at
//! a length.
//!
//! Confirms and messages that come back go straight to whoever waits for them: by way of the crate, each
//! would wake a thread. So does all that comes on channels of ours, of which the crate knows nothing. For
//! those that come together it gets a heartbeat, so that it knows that the broker lives.

use std::io::{self, Read};
use std::sync::Arc;

use super::payloads::Notice;
use super::softening::{Channels, Ours};

/// Largest frame a broker may send. RabbitMQ's default is 128 KiB.
const LARGEST_FRAME: usize = 16 * 1024 * 1024;
/// How much is read at a time.
const CHUNK: usize = 16 * 1024;
/// Type, channel and size come before a frame's payload,
pub(super) const HEAD: usize = 7;
/// and this after it.
pub(super) const TAIL: usize = 1;
pub(super) const END: u8 = 0xce;
pub(super) const HEARTBEAT: [u8; HEAD + TAIL] = [8, 0, 0, 0, 0, 0, 0, END];

/// Frames on their way from the broker to the crate.
#[derive(Default)]
pub(super) struct Frames {
    bytes: Vec<u8>,
    /// How many bytes are handed on.
    given: usize,
    /// Up to where there is what is harmless.
    checked: usize,
    /// From where on there is what was not looked at,
    next: usize,
    /// and up to where.
    filled: usize,
    channels: Channels,
}

impl Frames {
    /// Those of a connection on which the crate knows nothing of these channels.
    pub(super) fn new(ours: Arc<Ours>) -> Frames {
        Frames {
            channels: Channels::new(ours),
            ..Frames::default()
        }
    }

    /// Reads what the broker sends next, as [`Read::read`]. What is of interest besides is told to
    /// `tell`.
    pub(super) fn read(
        &mut self,
        broker: &mut impl Read,
        into: &mut [u8],
        tell: &mut dyn FnMut(Notice),
    ) -> io::Result<usize> {
        while self.given == self.checked {
            if self.read_chunk(broker)? == 0 {
                return Ok(0);
            }
            self.check(tell)?;
        }
        let ready = self.bytes.get(self.given..self.checked).unwrap_or_default();
        let count = ready.len().min(into.len());
        let (from, to) = (ready.split_at(count).0, into.split_at_mut(count).0);
        to.copy_from_slice(from);
        self.given += count;
        Ok(count)
    }

    /// Reads more, where all that was harmless is handed on.
    fn read_chunk(&mut self, broker: &mut impl Read) -> io::Result<usize> {
        self.bytes.copy_within(self.next..self.filled, 0);
        self.filled -= self.next;
        (self.given, self.checked, self.next) = (0, 0, 0);
        if self.bytes.len() < self.filled + CHUNK {
            self.bytes.resize(self.filled + CHUNK, 0);
        }
        let read = broker.read(self.bytes.get_mut(self.filled..).unwrap_or_default())?;
        self.filled += read;
        Ok(read)
    }

    /// Makes every whole frame harmless.
    fn check(&mut self, tell: &mut dyn FnMut(Notice)) -> io::Result<()> {
        let mut alive = false;
        while let Some(size) = self.next_size()? {
            let start = self.next;
            let end = start + HEAD + size + TAIL;
            let Some(frame) = self.bytes.get_mut(start..end) else {
                return Ok(());
            };
            if end > self.filled {
                return Ok(());
            }
            let kept = match self.channels.soften(frame, tell) {
                Some(kept) => kept,
                None if std::mem::replace(&mut alive, true) => 0,
                None => {
                    frame
                        .split_at_mut(HEARTBEAT.len())
                        .0
                        .copy_from_slice(&HEARTBEAT);
                    HEARTBEAT.len()
                }
            };
            if kept > 0
                && let Some(last) = frame.get_mut(kept - TAIL)
            {
                // What is left of it has its own end.
                *last = END;
            }
            if start != self.checked {
                self.bytes.copy_within(start..start + kept, self.checked);
            }
            self.checked += kept;
            self.next = end;
        }
        Ok(())
    }

    /// The size of the payload of the first frame that is not checked.
    fn next_size(&self) -> io::Result<Option<usize>> {
        let left = self.bytes.get(self.next..self.filled).unwrap_or_default();
        let Some([_, _, _, size @ ..]) = left.get(..HEAD) else {
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

#[cfg(test)]
mod tests {
    use super::super::opening;
    use super::super::payloads::LONGEST_BODY;
    use super::*;
    use amiquip::{Confirm, ConfirmPayload};

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
            match frames.read(&mut broker, &mut into, &mut |_| {}).unwrap() {
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
    }

    #[test]
    fn a_broker_without_heartbeats_gets_ours() {
        let tune = |heartbeat: u8| frame(1, &[0, 10, 0, 30, 8, 0, 0, 2, 0, 0, 0, heartbeat]);
        assert_eq!(pass(&tune(0), 50), tune(opening::HEARTBEAT as u8));
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
        assert!(
            Frames::default()
                .read(&mut &huge[..], &mut into, &mut |_| {})
                .is_err()
        );
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

    #[test]
    fn confirms_are_told_and_become_a_heartbeat() {
        let confirm = |number: u8, tag: u8, how: u8| {
            frame(1, &[0, 60, 0, number, 0, 0, 0, 0, 0, 0, 1, tag, how])
        };
        let mut stream = frame(3, b"before");
        stream.extend(confirm(80, 1, 0));
        stream.extend(confirm(80, 3, 1));
        stream.extend(frame(3, b"between"));
        stream.extend(confirm(120, 4, 2));
        stream.extend(frame(3, b"after"));
        let mut expected = frame(3, b"before");
        expected.extend(HEARTBEAT);
        expected.extend(frame(3, b"between"));
        expected.extend(frame(3, b"after"));
        let (passed, told) = hear(&mut Frames::default(), &stream);
        assert_eq!(passed, expected);
        let payload = |tag: u64, multiple| ConfirmPayload {
            delivery_tag: 256 + tag,
            multiple,
        };
        let confirms = [
            Confirm::Ack(payload(1, false)),
            Confirm::Ack(payload(3, true)),
            Confirm::Nack(payload(4, false)),
        ];
        assert_eq!(told, confirms.map(Notice::Confirm));
    }

    /// What comes out of `stream`, and what is told.
    fn hear(frames: &mut Frames, mut stream: &[u8]) -> (Vec<u8>, Vec<Notice>) {
        let (mut into, mut told) = ([0; 1000], Vec::new());
        let read = frames.read(&mut stream, &mut into, &mut |what| told.push(what));
        (into[..read.unwrap()].to_vec(), told)
    }

    #[test]
    fn what_comes_back_is_told_and_becomes_a_heartbeat() {
        let back = frame(1, b"\0\x3c\0\x32\x01\x38\x01\xff\0\x01\xff");
        let mut stream = back.clone();
        // Content type and message id.
        stream.extend(content(3, 1 << 15 | 1 << 7, b"\x02ct\x0242"));
        stream.extend(frame(3, b"ab"));
        stream.extend(frame(3, b"c"));
        stream.extend(frame(3, b"passes"));
        stream.extend(&back);
        stream.extend(content(0, 1 << 7, b"\x02no"));
        stream.extend(content(0, 0, b""));
        let (passed, told) = hear(&mut Frames::default(), &stream);
        let expected = [&HEARTBEAT[..], &frame(3, b"passes"), &content(0, 0, b"")];
        assert_eq!(passed, expected.concat());
        assert_eq!(told, [Notice::Returned(Some(42)), Notice::Returned(None)]);
    }

    #[test]
    #[cfg(feature = "server")]
    fn what_comes_on_channels_of_ours_is_not_for_the_crate() {
        let ours = Arc::<Ours>::default();
        let mut frames = Frames::new(Arc::clone(&ours));
        let close = frame(1, &[0, 20, 0, 40, 1, 0x94, 0, 0, 0, 0, 0]);
        assert_eq!(
            hear(&mut frames, &close),
            (close.clone(), vec![Notice::Closed(1)])
        );
        ours.set([7, 1]);
        let (passed, told) = hear(&mut frames, &[&close[..], &frame(3, b"body")].concat());
        assert_eq!(passed, HEARTBEAT);
        let notice = |kind, payload: &[u8]| Notice::Ours {
            channel: 1,
            kind,
            payload: payload.to_vec(),
        };
        let inner = &close[HEAD..close.len() - TAIL];
        assert_eq!(told, [notice(1, inner), notice(3, b"body")]);
        // It comes in pieces, wherever they end.
        let stream = [&close[..], &frame(3, b"body"), &frame(8, b"")].concat();
        for cut in 1..stream.len() {
            let (mut pieces, mut into) = (stream[..cut].chain(&stream[cut..]), [0; 1000]);
            let mut told = Vec::new();
            while let Ok(1..) = frames.read(&mut pieces, &mut into, &mut |what| told.push(what)) {}
            let heartbeat = notice(8, b"");
            assert_eq!(
                told,
                [notice(1, inner), notice(3, b"body"), heartbeat],
                "{cut}"
            );
        }
    }

    #[test]
    fn what_is_of_interest_besides_is_told() {
        let mut stream = frame(1, &[0, 10, 0, 30, 8, 0, 0, 2, 0, 0, 0, 60]);
        stream.extend(frame(1, &[0, 10, 0, 30, 0, 0, 0, 0, 0, 0, 0, 60]));
        stream.extend(frame(1, &[0, 20, 0, 40, 1, 0x94, 0, 0, 0, 0, 0]));
        stream.extend(frame(1, &[0, 20, 0, 11, 0, 0, 0, 0]));
        let (passed, told) = hear(&mut Frames::default(), &stream);
        assert_eq!(passed, stream);
        let expected = [
            Notice::Limits {
                largest: Some(128 * 1024),
                channels: 2048,
            },
            Notice::Limits {
                largest: None,
                channels: u16::MAX,
            },
            Notice::Closed(1),
            Notice::Opened(1),
        ];
        assert_eq!(told, expected);
    }
}
