//! The methods of the channels of ours: what we ask a broker, and what it says.

use super::fields::Fields;
use super::message::{METHOD, put_frame, put_sized, put_text};

/// The flags of a declaration: the queue survives the broker, and has no other trait.
const DURABLE: u8 = 1 << 1;
/// The flag of a method that is not answered.
const NO_WAIT: u8 = 1;

/// What a broker is asked.
#[derive(Debug, PartialEq)]
pub(super) enum Call<'a> {
    /// To open the channel.
    Open,
    /// To close it.
    Close,
    /// It is known that the broker has closed it.
    CloseOk,
    /// How many messages every reader that comes has in hand, at most.
    Window(u16),
    /// To declare a queue as go-ari-library does: durable, without arguments.
    Declare(&'a str),
    /// To delete a queue, with all that is in it; maybe only if nobody consumes it.
    Delete(&'a str, IfUnused),
    /// To send what is in this queue, under the name of it.
    Read(&'a str),
    /// Not to do so any more. There is no answer.
    Leave(&'a str),
}

/// Whether a queue that somebody consumes stays.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct IfUnused(pub(super) bool);

impl Call<'_> {
    /// Class and number.
    pub(super) fn method(&self) -> (u16, u16) {
        match self {
            Call::Open => (20, 10),
            Call::Close => (20, 40),
            Call::CloseOk => (20, 41),
            Call::Window(_) => (60, 10),
            Call::Declare(_) => (50, 10),
            Call::Delete(..) => (50, 40),
            Call::Read(_) => (60, 20),
            Call::Leave(_) => (60, 30),
        }
    }

    /// Appends it as a frame for `channel`.
    pub(super) fn put(&self, channel: u16, frames: &mut Vec<u8>) {
        put_frame(frames, METHOD, channel, |frames| {
            let (class, number) = self.method();
            frames.extend(class.to_be_bytes());
            frames.extend(number.to_be_bytes());
            match self {
                Call::Open => frames.push(0),
                // Success, without a text, and no method is to blame.
                Call::Close => frames.extend([0, 200, 0, 0, 0, 0, 0]),
                Call::CloseOk => {}
                Call::Window(count) => {
                    frames.extend([0; 4]);
                    frames.extend(count.to_be_bytes());
                    frames.push(0);
                }
                Call::Declare(queue) => {
                    frames.extend([0; 2]);
                    put_text(frames, queue);
                    frames.push(DURABLE);
                    put_sized(frames, |_| {});
                }
                Call::Delete(queue, IfUnused(unused)) => {
                    frames.extend([0; 2]);
                    put_text(frames, queue);
                    frames.push(u8::from(*unused));
                }
                Call::Read(queue) => {
                    frames.extend([0; 2]);
                    put_text(frames, queue);
                    put_text(frames, queue);
                    frames.push(0);
                    put_sized(frames, |_| {});
                }
                Call::Leave(queue) => {
                    put_text(frames, queue);
                    frames.push(NO_WAIT);
                }
            }
        });
    }
}

/// What a broker says.
#[derive(Debug, PartialEq)]
pub(super) enum Said {
    /// The channel is open.
    Opened,
    /// It is closed, as we asked.
    Closed,
    /// The broker closes it.
    Closes {
        /// Its code for why.
        code: u16,
        /// Its words.
        why: String,
        /// Class and number of the method that is to blame.
        method: (u16, u16),
    },
    /// A queue is declared.
    Declared {
        /// How many messages wait in it.
        messages: u32,
        /// How many consume it.
        consumers: u32,
    },
    /// It has done what was asked.
    Done,
    /// It sends no more under this name.
    Left(String),
    /// A message follows.
    Delivers(Deliver),
}

/// What comes before a message.
#[derive(Debug, PartialEq)]
pub(super) struct Deliver {
    /// The name that its queue is read under.
    pub(super) reader: String,
    /// Its number.
    pub(super) number: u64,
    /// Whether it was sent to somebody before.
    pub(super) redelivered: bool,
}

impl Said {
    /// What a method says, if it is of interest.
    pub(super) fn parse(payload: &[u8]) -> Option<Said> {
        let mut fields = Fields(payload);
        let method = (fields.short()?, fields.short()?);
        Some(match method {
            (20, 11) => Said::Opened,
            (20, 41) => Said::Closed,
            (20, 40) => Said::Closes {
                code: fields.short()?,
                why: fields.text()?,
                method: (fields.short()?, fields.short()?),
            },
            (50, 11) => {
                fields.text()?;
                let mut long =
                    || Some(u32::from(fields.short()?) << 16 | u32::from(fields.short()?));
                Said::Declared {
                    messages: long()?,
                    consumers: long()?,
                }
            }
            // Of a window, of a deletion, of a reader.
            (60, 11) | (50, 41) | (60, 21) => Said::Done,
            (60, 30) => Said::Left(fields.text()?),
            (60, 60) => Said::Delivers(Deliver {
                reader: fields.text()?,
                number: u64::from_be_bytes(fields.take(8)?.try_into().ok()?),
                redelivered: fields.take(1)? != [0],
            }),
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_broker_is_asked() {
        let expect = |call: Call<'_>, payload: &[u8]| {
            let mut frames = Vec::new();
            call.put(258, &mut frames);
            let mut expected = vec![1, 1, 2, 0, 0, 0, payload.len() as u8];
            expected.extend(payload);
            expected.push(0xce);
            assert_eq!(frames, expected, "{call:?}");
        };
        expect(Call::Open, b"\0\x14\0\x0a\0");
        expect(Call::Close, b"\0\x14\0\x28\0\xc8\0\0\0\0\0");
        expect(Call::CloseOk, b"\0\x14\0\x29");
        expect(Call::Window(16), b"\0\x3c\0\x0a\0\0\0\0\0\x10\0");
        expect(Call::Declare("q"), b"\0\x32\0\x0a\0\0\x01q\x02\0\0\0\0");
        expect(
            Call::Delete("q", IfUnused(false)),
            b"\0\x32\0\x28\0\0\x01q\0",
        );
        expect(
            Call::Delete("q", IfUnused(true)),
            b"\0\x32\0\x28\0\0\x01q\x01",
        );
        expect(Call::Read("q"), b"\0\x3c\0\x14\0\0\x01q\x01q\0\0\0\0\0");
        expect(Call::Leave("q"), b"\0\x3c\0\x1e\x01q\x01");
    }

    #[test]
    fn what_a_broker_says() {
        let expect = |payload: &[u8], said: Said| {
            for end in 4..payload.len() {
                // What is cut says nothing, unless it ends in what is of no interest.
                let cut = Said::parse(&payload[..end]);
                assert!(cut.is_none() || cut.as_ref() == Some(&said), "{cut:?}");
            }
            assert_eq!(Said::parse(payload), Some(said));
        };
        expect(b"\0\x14\0\x0b\0\0\0\0", Said::Opened);
        expect(b"\0\x14\0\x29", Said::Closed);
        expect(
            b"\0\x14\0\x28\x01\x96\x02a\xff\0\x32\0\x0a",
            Said::Closes {
                code: 406,
                why: "a\u{fffd}".into(),
                method: (50, 10),
            },
        );
        expect(
            b"\0\x32\0\x0b\x01q\0\x01\0\x02\0\0\0\x03",
            Said::Declared {
                messages: 65_538,
                consumers: 3,
            },
        );
        expect(b"\0\x32\0\x29\0\0\0\x01", Said::Done);
        expect(b"\0\x3c\0\x1e\x01q\x01", Said::Left("q".into()));
        expect(
            b"\0\x3c\0\x3c\x01q\0\0\0\0\0\0\x01\x02\x01\0\x01k",
            Said::Delivers(Deliver {
                reader: "q".into(),
                number: 258,
                redelivered: true,
            }),
        );
    }

    #[test]
    fn what_is_of_no_interest() {
        for nonsense in [
            &b""[..],
            b"\0",
            b"\0\x3c\0",
            b"\0\x3c\0\x50",
            b"\xff\xff\xff\xff",
        ] {
            assert_eq!(Said::parse(nonsense), None, "{nonsense:?}");
        }
    }
}
