//! Frames that come on the channels of a connection, made into what the broker says and messages.

use std::collections::HashMap;

use super::super::contents::Contents;
use super::super::message::{BODY, HEADER, METHOD};
use super::super::payloads::{Notice, correlation};
use super::methods::{Deliver, Said};
use crate::bus::access::LARGEST;

/// What has come.
#[derive(Debug, PartialEq)]
pub(super) enum Piece {
    /// The broker says something that is not followed by a message.
    Said(Said),
    /// A message.
    Message(Letter),
    /// A message of ours comes back.
    Returned(Letter),
}

/// A message.
#[derive(Debug, PartialEq)]
pub(super) struct Letter {
    /// Its number and subject; not of one that comes back.
    pub(super) deliver: Deliver,
    /// Its correlation id, where that is a number.
    pub(super) correlation: Option<u64>,
    /// Its body.
    pub(super) body: Vec<u8>,
}

impl Letter {
    /// Whether there is more of it than is taken.
    pub(super) fn is_too_large(&self) -> bool {
        self.body.len() > LARGEST
    }
}

/// What is coming on each channel.
#[derive(Default)]
pub(super) struct Mail {
    channels: HashMap<u16, Coming>,
}

struct Coming {
    contents: Contents<Deliver>,
    returns: bool,
    correlation: Option<u64>,
}

impl Mail {
    /// What `notice` makes whole, and on which channel.
    pub(super) fn take(&mut self, notice: Notice) -> Option<(u16, Piece)> {
        let Notice::Ours {
            channel,
            kind,
            mut payload,
        } = notice
        else {
            return None;
        };
        if kind == METHOD {
            let said = Said::parse(&payload)?;
            return self.hear(channel, said).map(|said| (channel, said));
        }
        let coming = self.channels.get_mut(&channel)?;
        let (deliver, body) = match kind {
            HEADER => {
                coming.correlation = correlation(&mut payload);
                coming.contents.header(&payload)
            }
            BODY => coming.contents.body(payload),
            _ => None,
        }?;
        let letter = Letter {
            deliver,
            correlation: coming.correlation,
            body,
        };
        let piece = match coming.returns {
            true => Piece::Returned(letter),
            false => Piece::Message(letter),
        };
        Some((channel, piece))
    }

    fn hear(&mut self, channel: u16, said: Said) -> Option<Piece> {
        let (deliver, returns) = match said {
            Said::Delivers(deliver) => (deliver, false),
            Said::Returns => (Deliver::default(), true),
            said => {
                if matches!(said, Said::Closed | Said::Closes(_))
                    && let Some(coming) = self.channels.get_mut(&channel)
                {
                    // What was coming there does not any more.
                    coming.contents.reset();
                }
                return Some(Piece::Said(said));
            }
        };
        let coming = self.channels.entry(channel).or_insert_with(|| Coming {
            // A little more tells that it is too much.
            contents: Contents::new(LARGEST + 1),
            returns,
            correlation: None,
        });
        coming.contents.begin(deliver);
        (coming.returns, coming.correlation) = (returns, None);
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn notice(channel: u16, kind: u8, payload: &[u8]) -> Notice {
        Notice::Ours {
            channel,
            kind,
            payload: payload.to_vec(),
        }
    }

    const DELIVERS: &[u8] = b"\0\x3c\0\x3c\x01q\0\0\0\0\0\0\0\x07\0\x01e\x01k";
    /// Of one byte, with the correlation id 42.
    const HEAD: &[u8] = b"\0\x3c\0\0\0\0\0\0\0\0\0\x01\x04\0\x0242";

    fn letter(number: u64, key: &str) -> Letter {
        Letter {
            deliver: Deliver {
                number,
                key: key.into(),
            },
            correlation: Some(42),
            body: b"a".to_vec(),
        }
    }

    #[test]
    fn messages_of_two_channels_at_a_time() {
        let mut mail = Mail::default();
        assert_eq!(mail.take(notice(3, METHOD, DELIVERS)), None);
        assert_eq!(
            mail.take(notice(4, METHOD, b"\0\x3c\0\x32\x01\x38\0\0\0")),
            None
        );
        assert_eq!(mail.take(notice(3, HEADER, HEAD)), None);
        assert_eq!(mail.take(notice(4, HEADER, HEAD)), None);
        let back = mail.take(notice(4, BODY, b"a"));
        assert_eq!(back, Some((4, Piece::Returned(letter(0, "")))));
        let message = mail.take(notice(3, BODY, b"a"));
        assert_eq!(message, Some((3, Piece::Message(letter(7, "k")))));
        let done = mail.take(notice(3, METHOD, b"\0\x3c\0\x0b"));
        assert_eq!(done, Some((3, Piece::Said(Said::Done))));
    }

    #[test]
    fn what_does_not_come_whole_is_nothing() {
        let mut mail = Mail::default();
        assert_eq!(mail.take(notice(3, BODY, b"a")), None);
        mail.take(notice(3, METHOD, DELIVERS));
        mail.take(notice(3, HEADER, HEAD));
        let closed = mail.take(notice(3, METHOD, b"\0\x14\0\x29"));
        assert_eq!(closed, Some((3, Piece::Said(Said::Closed))));
        assert_eq!(mail.take(notice(3, BODY, b"a")), None);
        assert_eq!(mail.take(Notice::Closed(3)), None);
        for length in 0..HEAD.len() {
            mail.take(notice(3, METHOD, DELIVERS));
            let piece = mail.take(notice(3, HEADER, &HEAD[..length]));
            assert_eq!(piece, None, "{length}");
        }
    }
}
