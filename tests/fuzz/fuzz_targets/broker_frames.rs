//! What a RabbitMQ broker sends, made harmless. Whatever bytes come, it does not matter in which
//! pieces; and a message of which the publisher made up every text, header and length is one that the
//! crate understands, whole, and followed by the next. On channels of ours nothing reaches the crate: what
//! comes there is taken apart by us, and what of it is kept is bounded.
#![no_main]
#![allow(
    dead_code,
    reason = "of the room of RabbitMQ, only what it hears is used"
)]

use std::io::{self, Read};
use std::sync::Arc;

use amq_protocol::frame::{AMQPFrame, parse_frame};
use libfuzzer_sys::fuzz_target;

// The filter is private to the room of RabbitMQ. What it knows of that room is around it here.
#[path = "../../../src/bus/rabbitmq/contents.rs"]
mod contents;
#[path = "../../../src/bus/rabbitmq/fields.rs"]
mod fields;
#[path = "../../../src/bus/rabbitmq/frames.rs"]
mod frames;
#[path = "../../../src/bus/rabbitmq/message.rs"]
mod message;
#[path = "../../../src/bus/rabbitmq/methods.rs"]
mod methods;
#[path = "../../../src/bus/rabbitmq/payloads.rs"]
mod payloads;
#[path = "../../../src/bus/rabbitmq/reply.rs"]
mod reply;
#[path = "../../../src/bus/rabbitmq/softening.rs"]
mod softening;

mod opening {
    pub(super) const HEARTBEAT: u16 = 4;
}

mod bus {
    pub(super) use ari_proxy::bus::Mark;
    pub(super) mod link {
        pub(crate) use ari_proxy::bus::link::{EPOCH_HEADER, LARGEST_REQUEST, SEQ_HEADER};
    }
}

/// Most of a body that is handed on.
const LONGEST_BODY: u64 = bus::link::LARGEST_REQUEST as u64 + 1;

fuzz_target!(|input: &[u8]| {
    let mut input = Input(input);
    let piece = 1 + usize::from(input.byte());
    match input.byte() % 3 {
        0 => any_bytes(input.0, piece),
        1 => messages(&mut input, piece),
        _ => ours(input.0, piece),
    }
});

/// A broker that sends in pieces of at most this size.
struct Pieces<'a>(&'a [u8], usize);

impl Read for Pieces<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let most = self.1.min(into.len());
        self.0.read(&mut into[..most])
    }
}

/// What is left of `stream` when it comes in pieces of `piece` bytes, and whether it is refused in
/// the end.
fn filtered(stream: &[u8], piece: usize) -> (Vec<u8>, bool) {
    let (mut broker, mut frames) = (Pieces(stream, piece), frames::Frames::default());
    let (mut output, mut into) = (Vec::new(), [0; 5000]);
    loop {
        match frames.read(&mut broker, &mut into, &mut |_| {}) {
            Ok(0) => return (output, false),
            Ok(count) => output.extend_from_slice(&into[..count]),
            Err(_) => return (output, true),
        }
    }
}

fn any_bytes(stream: &[u8], piece: usize) {
    let (output, refused) = filtered(stream, piece);
    assert!(output.len() <= stream.len());
    let (at_once, refused_at_once) = filtered(stream, usize::MAX);
    assert_eq!(refused, refused_at_once);
    // Of what comes before it is refused, more may have been handed on in smaller pieces.
    assert!(output == at_once || refused && output.starts_with(&at_once));
}

/// What comes on channels of ours, and what is made of it.
fn ours(stream: &[u8], piece: usize) {
    let ours = Arc::<softening::Ours>::default();
    let (mut broker, mut frames) = (
        Pieces(stream, piece),
        frames::Frames::new(Arc::clone(&ours)),
    );
    ours.set([0x0101, 0x0001]);
    let (mut contents, mut into) = (contents::Contents::new(LONGEST_BODY as usize), [0; 5000]);
    let mut tell = |notice: payloads::Notice| {
        let payloads::Notice::Ours {
            channel,
            kind,
            payload,
        } = notice
        else {
            return;
        };
        assert!([0x0101, 0x0001].contains(&channel));
        let arrived = match kind {
            message::METHOD => {
                if let Some(methods::Said::Delivers(deliver)) = methods::Said::parse(&payload) {
                    contents.begin(deliver);
                }
                None
            }
            message::HEADER => contents.header(&payload),
            message::BODY => contents.body(payload),
            _ => None,
        };
        if let Some((_, body)) = arrived {
            assert!(body.len() as u64 <= LONGEST_BODY);
        }
    };
    while let Ok(1..) = frames.read(&mut broker, &mut into, &mut tell) {}
}

fn messages(input: &mut Input<'_>, piece: usize) {
    let (mut stream, mut sizes) = (Vec::new(), Vec::new());
    while !input.0.is_empty() && stream.len() < 1 << 18 {
        sizes.push(message(input, &mut stream));
    }
    let (output, refused) = filtered(&stream, piece * 256);
    assert!(!refused);
    let mut rest = output.as_slice();
    for size in sizes {
        assert!(matches!(next(&mut rest), AMQPFrame::Method(..)));
        let AMQPFrame::Header(_, _, header) = next(&mut rest) else {
            panic!("no header");
        };
        assert_eq!(header.body_size, size.min(LONGEST_BODY));
        if let Some(address) = header.properties.reply_to() {
            let _ = reply::Address::of(address);
        }
        let mut left = header.body_size;
        while left > 0 {
            let AMQPFrame::Body(_, body) = next(&mut rest) else {
                panic!("no body");
            };
            left -= body.len() as u64;
        }
    }
    assert!(rest.is_empty());
}

fn next(rest: &mut &[u8]) -> AMQPFrame {
    let (after, frame) = parse_frame(rest).expect("a frame that the crate understands");
    *rest = after;
    frame
}

/// Puts a message into `stream`; the size of its body.
fn message(input: &mut Input<'_>, stream: &mut Vec<u8>) -> u64 {
    let channel = input.byte() % 2;
    // basic.deliver.
    let mut method = vec![0, 60, 0, 60, 2, b'c', b't', 0, 0, 0, 0, 0, 0, 0, 1, 0];
    input.text(&mut method);
    input.text(&mut method);
    frame(stream, 1, channel, &method);

    let size = match input.byte() {
        0 => LONGEST_BODY + u64::from(input.byte()) * 100,
        few => u64::from(few) - 1,
    };
    // The lowest two bits are no properties.
    let flags = u16::from_be_bytes([input.byte(), input.byte()]) & !3;
    let mut header = vec![0, 60, 0, 0];
    header.extend(size.to_be_bytes());
    header.extend(flags.to_be_bytes());
    for bit in (2..16).rev().filter(|bit| flags & 1 << bit != 0) {
        match bit {
            13 => input.table(&mut header),
            12 | 11 => header.push(input.byte()),
            6 => header.extend([0, 0, 0, 0, 0, 0, 0, input.byte()]),
            _ => input.text(&mut header),
        }
    }
    frame(stream, 2, channel, &header);

    let body = vec![b'b'; size as usize];
    let chunk = (1 + usize::from(input.byte())) * if size > 255 { 1000 } else { 1 };
    for part in body.chunks(chunk) {
        frame(stream, 3, channel, part);
    }
    size
}

fn frame(stream: &mut Vec<u8>, kind: u8, channel: u8, payload: &[u8]) {
    stream.extend([kind, 0, channel]);
    stream.extend((payload.len() as u32).to_be_bytes());
    stream.extend(payload);
    stream.push(0xce);
}

/// What is left of an input; zeros where there is nothing left.
struct Input<'a>(&'a [u8]);

impl<'a> Input<'a> {
    fn byte(&mut self) -> u8 {
        self.bytes(1).first().copied().unwrap_or(0)
    }

    fn bytes(&mut self, most: usize) -> &'a [u8] {
        let (bytes, rest) = self.0.split_at(most.min(self.0.len()));
        self.0 = rest;
        bytes
    }

    /// Adds a short string of any bytes.
    fn text(&mut self, to: &mut Vec<u8>) {
        let length = self.byte();
        let bytes = self.bytes(length.into());
        to.push(bytes.len() as u8);
        to.extend(bytes);
    }

    /// Adds a table of any bytes. No table has a length of one, which brokers look at.
    fn table(&mut self, to: &mut Vec<u8>) {
        let length = usize::from(self.byte()) * 2;
        let bytes = self.bytes(length);
        let length = if bytes.len() == 1 { 0 } else { bytes.len() };
        to.extend((length as u32).to_be_bytes());
        to.extend(&bytes[..length]);
    }
}
