//! What a broker sends, made harmless for the crate, which ends the connection over bytes that are
//! not UTF-8 and field types it does not know, and the process over tables nested deep enough. The
//! broker would deliver such a message again and again, so whoever may publish could keep us away.
//!
//! Payloads are changed in place: text that is not UTF-8 gets `?` for what is not ASCII, headers (which
//! nobody here reads) become one field of the same length, a heartbeat of none becomes ours.

use std::collections::HashMap;
use std::ops::Range;

use amiquip::{Confirm, ConfirmPayload};

use super::opening::HEARTBEAT;
use crate::bus::link::LARGEST_REQUEST;

/// Most of a body that is handed on, in bytes: enough to tell that it is too large.
pub(super) const LONGEST_BODY: u64 = LARGEST_REQUEST as u64 + 1;

/// The flag of a message id among the properties.
const MESSAGE_ID: u8 = 7;
/// That of a correlation id.
#[cfg(feature = "client")]
const CORRELATION_ID: u8 = 10;

/// What is left of a body.
pub(super) struct Body {
    /// Bytes to be handed on.
    pub(super) give: u64,
    /// All that is to come.
    pub(super) come: u64,
}

/// What is of interest to others than the crate.
#[derive(Debug, PartialEq)]
pub(super) enum Notice {
    /// What the broker says of messages that it was given.
    Confirm(Confirm),
    /// What it allows.
    Limits {
        /// The largest frame that it takes, in bytes, if not any.
        largest: Option<usize>,
        /// The highest number of a channel.
        channels: u16,
    },
    /// It has opened a channel.
    Opened(u16),
    /// It has closed one.
    Closed(u16),
    /// A message came back, which nobody is there for: its message id, where that is a number.
    Returned(Option<u64>),
    /// A frame that came on a channel which is not the crate's.
    Ours {
        /// The channel.
        channel: u16,
        /// The type of the frame.
        kind: u8,
        /// Its payload.
        payload: Vec<u8>,
    },
}

/// A method on `channel`: class and number, then its arguments. What is of interest in it.
pub(super) fn method(payload: &mut [u8], channel: u16) -> Option<Notice> {
    let &[_, class, _, number] = payload.get(..4)? else {
        return None;
    };
    let mut fields = Fields { payload, at: 4 };
    match (class, number) {
        // basic.ack and basic.nack: number, whether for all up to it.
        (60, how @ (80 | 120)) if fields.payload.len() > 4 + 8 => {
            let number = fields.number(8) as u64;
            let payload = ConfirmPayload {
                delivery_tag: number,
                multiple: fields.number(1) & 1 == 1,
            };
            return Some(Notice::Confirm(match how {
                80 => Confirm::Ack(payload),
                _ => Confirm::Nack(payload),
            }));
        }
        // connection.tune: channels, size of frames, heartbeat. The crate takes the smaller of both
        // sides' heartbeats, and the broker's 0 means none.
        (10, 30) => {
            let channels = fields.number(2) as u16;
            let largest = fields.number(4);
            let range = fields.skip(2);
            if let Some(heartbeat @ [0, 0]) = fields.payload.get_mut(range) {
                heartbeat.copy_from_slice(&HEARTBEAT.to_be_bytes());
            }
            return Some(Notice::Limits {
                largest: (largest > 0).then_some(largest),
                // Of none, the broker says 0.
                channels: match channels {
                    0 => u16::MAX,
                    channels => channels,
                },
            });
        }
        // channel.open-ok.
        (20, 11) => return Some(Notice::Opened(channel)),
        // connection.close and channel.close: code, text. A text that is too long is cut by the
        // broker, in the middle of a character too.
        (10, 50) | (20, 40) => {
            fields.at += 2;
            fields.text();
            return (class == 20).then_some(Notice::Closed(channel));
        }
        // connection.blocked: reason.
        (10, 60) => {
            fields.text();
        }
        // basic.deliver: consumer tag, delivery tag, redelivered, exchange, routing key.
        (60, 60) => {
            fields.text();
            fields.at += 8 + 1;
            fields.text();
            fields.text();
        }
        _ => {}
    }
    None
}

/// Whether a method says that a message comes back, basic.return.
pub(super) fn is_return(method: &[u8]) -> bool {
    method.starts_with(&[0, 60, 0, 50])
}

/// The content header of a message that came back: its message id where that is a number, and the size
/// of the body that follows.
pub(super) fn returned(payload: &mut [u8]) -> (Option<u64>, u64) {
    let mut fields = Fields { payload, at: 4 };
    let size = fields.number(8) as u64;
    let flags = fields.number(2);
    let mut id = None;
    fields.properties(flags as u16, |bit, text| {
        if bit == MESSAGE_ID {
            id = std::str::from_utf8(text)
                .ok()
                .and_then(|id| id.parse().ok());
        }
    });
    (id, size)
}

/// The correlation id in a content header, where that is a number.
#[cfg(feature = "client")]
pub(super) fn correlation(payload: &mut [u8]) -> Option<u64> {
    let mut fields = Fields { payload, at: 12 };
    let flags = fields.number(2);
    let mut number = None;
    fields.properties(flags as u16, |bit, text| {
        if bit == CORRELATION_ID {
            number = std::str::from_utf8(text)
                .ok()
                .and_then(|text| text.parse().ok());
        }
    });
    number
}

/// A content header: class, weight, size of the body, flags, properties.
pub(super) fn header(payload: &mut [u8], channel: u16, long: &mut HashMap<u16, Body>) {
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
    fields.properties(flags, |_, _| {});
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

    /// The properties that `flags` say are there; each text is shown to `see`.
    fn properties(&mut self, flags: u16, mut see: impl FnMut(u8, &[u8])) {
        // From the highest flag: content type and encoding, headers, delivery mode, priority,
        // correlation id, reply to, expiration, message id, timestamp, type, user, application, cluster.
        for bit in (2..16).rev().filter(|bit| flags & 1 << bit != 0) {
            match bit {
                13 => self.table(),
                12 | 11 => self.at += 1,
                6 => self.at += 8,
                bit => {
                    let range = self.text();
                    see(bit, self.payload.get(range).unwrap_or_default());
                }
            }
        }
    }

    /// A short string, made UTF-8; where it is.
    fn text(&mut self) -> Range<usize> {
        let length = self.number(1);
        let range = self.skip(length);
        let Some(text) = self.payload.get_mut(range.clone()) else {
            return range;
        };
        if std::str::from_utf8(text).is_err() {
            for byte in text.iter_mut().filter(|byte| !byte.is_ascii()) {
                *byte = b'?';
            }
        }
        range
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
