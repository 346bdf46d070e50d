//! The frames of what is published and acknowledged, as the crate makes them.

use super::frames::{END, HEAD, TAIL};
use crate::bus::Mark;
use crate::bus::link::{EPOCH_HEADER, SEQ_HEADER};

/// How long an event or announcement is kept for those who are not there, in milliseconds: as long
/// as in the event queues of the Go client.
pub(super) const EVENT_EXPIRATION: &str = "30000";
/// How long an event or answer is kept in a queue of a dialog, in milliseconds: the queue goes sooner.
#[cfg(feature = "server")]
pub(super) const DIALOG_EXPIRATION: &str = "600000";
/// How long an answer is kept in a queue, in milliseconds.
#[cfg(feature = "server")]
pub(super) const ANSWER_EXPIRATION: &str = "60000";
/// AMQP's largest text, in bytes.
pub(super) const LONGEST_TEXT: usize = 255;

/// What a frame takes besides its payload, in bytes.
const AROUND: usize = HEAD + TAIL;
/// The kinds of frames.
pub(super) const METHOD: u8 = 1;
pub(super) const HEADER: u8 = 2;
pub(super) const BODY: u8 = 3;
/// The protocol's class and methods.
const BASIC: u16 = 60;
const PUBLISH: u16 = 40;
const ACK: u16 = 80;
/// The flags of properties.
const CONTENT_TYPE: u16 = 1 << 15;
const HEADERS: u16 = 1 << 13;
const DELIVERY_MODE: u16 = 1 << 12;
const CORRELATION_ID: u16 = 1 << 10;
const REPLY_TO: u16 = 1 << 9;
const EXPIRATION: u16 = 1 << 8;
const MESSAGE_ID: u16 = 1 << 7;
/// The delivery mode of what does not survive a broker.
const TRANSIENT: u8 = 1;

/// A message to be published.
pub(super) struct Message<'a> {
    pub(super) exchange: &'a str,
    pub(super) key: &'a str,
    /// Whether it comes back where nobody is there for it.
    pub(super) mandatory: bool,
    pub(super) mark: Option<&'a Mark>,
    pub(super) correlation: Option<&'a str>,
    /// Where the answer goes.
    pub(super) reply: Option<&'a str>,
    pub(super) expiration: &'a str,
    /// What it is known by if it comes back.
    pub(super) id: Option<u64>,
    pub(super) body: &'a [u8],
}

impl Message<'_> {
    /// Appends its frames, none of which is larger than `largest` bytes.
    pub(super) fn put(&self, channel: u16, largest: usize, frames: &mut Vec<u8>) {
        // What there is besides the body and the texts is less.
        frames.reserve(self.body.len() + self.key.len() + 256);
        put_frame(frames, METHOD, channel, |frames| {
            frames.extend(BASIC.to_be_bytes());
            frames.extend(PUBLISH.to_be_bytes());
            frames.extend([0, 0]);
            put_text(frames, self.exchange);
            put_text(frames, self.key);
            frames.push(u8::from(self.mandatory));
        });
        put_frame(frames, HEADER, channel, |frames| self.put_header(frames));
        let most = largest.saturating_sub(AROUND).max(1);
        for part in self.body.chunks(most) {
            put_frame(frames, BODY, channel, |frames| {
                frames.extend_from_slice(part);
            });
        }
    }

    fn put_header(&self, frames: &mut Vec<u8>) {
        let mut flags = CONTENT_TYPE | DELIVERY_MODE | EXPIRATION;
        if self.mark.is_some() {
            flags |= HEADERS;
        }
        if self.correlation.is_some() {
            flags |= CORRELATION_ID;
        }
        if self.reply.is_some() {
            flags |= REPLY_TO;
        }
        if self.id.is_some() {
            flags |= MESSAGE_ID;
        }
        frames.extend(BASIC.to_be_bytes());
        frames.extend([0, 0]);
        frames.extend((self.body.len() as u64).to_be_bytes());
        frames.extend(flags.to_be_bytes());
        put_text(frames, "application/json");
        if let Some(mark) = self.mark {
            put_sized(frames, |frames| {
                put_text(frames, EPOCH_HEADER);
                frames.push(b'S');
                put_sized(frames, |frames| {
                    frames.extend_from_slice(mark.epoch.as_bytes());
                });
                put_text(frames, SEQ_HEADER);
                frames.push(b'l');
                frames.extend(mark.seq.to_be_bytes());
            });
        }
        frames.push(TRANSIENT);
        if let Some(correlation) = self.correlation {
            put_text(frames, correlation);
        }
        if let Some(reply) = self.reply {
            put_text(frames, reply);
        }
        put_text(frames, self.expiration);
        if let Some(id) = self.id {
            put_text(frames, &id.to_string());
        }
    }
}

/// Appends the acknowledgement of message `number`, or of all up to it.
pub(super) fn put_ack(channel: u16, number: u64, all: bool, frames: &mut Vec<u8>) {
    put_frame(frames, METHOD, channel, |frames| {
        frames.extend(BASIC.to_be_bytes());
        frames.extend(ACK.to_be_bytes());
        frames.extend(number.to_be_bytes());
        frames.push(u8::from(all));
    });
}

pub(super) fn put_frame(
    frames: &mut Vec<u8>,
    kind: u8,
    channel: u16,
    payload: impl FnOnce(&mut Vec<u8>),
) {
    frames.push(kind);
    frames.extend(channel.to_be_bytes());
    put_sized(frames, payload);
    frames.push(END);
}

/// Appends what `content` appends, its length before it.
pub(super) fn put_sized(frames: &mut Vec<u8>, content: impl FnOnce(&mut Vec<u8>)) {
    let at = frames.len();
    frames.extend([0; 4]);
    let from = frames.len();
    content(frames);
    let size = (frames.len() - from) as u32;
    if let Some(place) = frames.get_mut(at..from) {
        place.copy_from_slice(&size.to_be_bytes());
    }
}

/// Appends a short text. Those that come from outside came as such, or are checked.
pub(super) fn put_text(frames: &mut Vec<u8>, text: &str) {
    let bytes = text.as_bytes();
    let bytes = bytes.get(..LONGEST_TEXT).unwrap_or(bytes);
    frames.push(bytes.len() as u8);
    frames.extend_from_slice(bytes);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frames(message: &Message<'_>, largest: usize) -> Vec<u8> {
        let mut frames = Vec::new();
        message.put(1, largest, &mut frames);
        frames
    }

    #[test]
    fn an_event() {
        let mark = Mark {
            epoch: "e".into(),
            seq: 258,
        };
        let event = Message {
            exchange: "ari.event",
            key: "k",
            mandatory: false,
            mark: Some(&mark),
            correlation: None,
            reply: None,
            expiration: EVENT_EXPIRATION,
            id: None,
            body: b"{}",
        };
        let mut expected =
            Vec::from(*b"\x01\0\x01\0\0\0\x13\0\x3c\0\x28\0\0\x09ari.event\x01k\0\xce");
        expected.extend(b"\x02\0\x01\0\0\0\x4b\0\x3c\0\0\0\0\0\0\0\0\0\x02\xb1\0");
        expected.extend(b"\x10application/json");
        expected.extend(b"\0\0\0\x21\x09Ari-EpochS\0\0\0\x01e\x07Ari-Seql\0\0\0\0\0\0\x01\x02");
        expected.extend(b"\x01\x0530000\xce");
        expected.extend(b"\x03\0\x01\0\0\0\x02{}\xce");
        assert_eq!(frames(&event, usize::MAX), expected);
    }

    #[test]
    fn an_answer_in_pieces() {
        let answer = Message {
            exchange: "",
            key: "queue",
            mandatory: true,
            mark: None,
            correlation: Some("c1"),
            reply: Some("r"),
            expiration: "60000",
            id: Some(7),
            body: b"abcde",
        };
        let mut expected = Vec::from(*b"\x01\0\x01\0\0\0\x0e\0\x3c\0\x28\0\0\0\x05queue\x01\xce");
        expected.extend(b"\x02\0\x01\0\0\0\x2d\0\x3c\0\0\0\0\0\0\0\0\0\x05\x97\x80");
        expected.extend(b"\x10application/json\x01\x02c1\x01r\x0560000\x017\xce");
        expected.extend(b"\x03\0\x01\0\0\0\x03abc\xce\x03\0\x01\0\0\0\x02de\xce");
        assert_eq!(frames(&answer, 11), expected);
    }

    #[test]
    fn an_acknowledgement() {
        let mut frames = Vec::new();
        put_ack(3, 258, true, &mut frames);
        assert_eq!(
            frames,
            b"\x01\0\x03\0\0\0\x0d\0\x3c\0\x50\0\0\0\0\0\0\x01\x02\x01\xce"
        );
    }
}
