//! The methods of an access: what it asks a broker, and what the broker says.

use super::super::fields::Fields;
use super::super::message::{METHOD, put_frame, put_sized, put_text};
use crate::bus::BusError;

/// What stands for whoever asks, at the broker: RabbitMQ's direct reply-to.
pub(super) const DIRECT_REPLY: &str = "amq.rabbitmq.reply-to";
/// How long a message waits in a queue, and a queue for a reader, in milliseconds.
const WAITS: u32 = 30_000;

/// The flags of declarations,
const DURABLE: u8 = 1 << 1;
const EXCLUSIVE: u8 = 1 << 2;
const AUTO_DELETE: u8 = 1 << 3;
/// and of a reader whose messages are not acknowledged.
const NO_ACK: u8 = 1 << 1;

/// What kind of queue it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// That of one access for events. It goes with it.
    Own,
    /// That of one access for announcements, as the Go client declares it.
    Announcements,
    /// That of a group, likewise.
    Shared,
}

impl Kind {
    /// How it is declared, in words.
    fn words(self) -> &'static str {
        match self {
            Kind::Own => "exclusive, auto-delete, with x-message-ttl 30000",
            Kind::Announcements => {
                "durable, not exclusive, not auto-delete, with x-expires 30000 and no other arguments"
            }
            Kind::Shared => {
                "durable, not exclusive, not auto-delete, with x-message-ttl 30000 and no other arguments"
            }
        }
    }
}

/// What a broker is asked.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Call<'a> {
    /// To open the channel.
    Open,
    /// To close it.
    Close,
    /// It is known that the broker has closed it.
    CloseOk,
    /// To declare an exchange.
    Exchange(&'a str, Fanout),
    /// To declare a queue.
    Queue(&'a str, Kind),
    /// To put into a queue what comes to an exchange under a key.
    Bind(Binding<'a>),
    /// Not to do so any more.
    Unbind(Binding<'a>),
    /// How many messages may be on their way without being acknowledged.
    Window(u16),
    /// To send what is in a queue.
    Read(&'a str, Acknowledged),
}

/// Whether an exchange gives a message to all queues, whatever its key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Fanout(pub(super) bool);

/// Whether the broker keeps a message until it is acknowledged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Acknowledged(pub(super) bool);

/// What leads into a queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Binding<'a> {
    pub(super) queue: &'a str,
    pub(super) exchange: &'a str,
    pub(super) key: &'a str,
}

impl Call<'_> {
    /// Appends it as a frame for `channel`.
    pub(super) fn put(&self, channel: u16, frames: &mut Vec<u8>) {
        put_frame(frames, METHOD, channel, |frames| {
            let (class, number): (u16, u16) = match self {
                Call::Open => (20, 10),
                Call::Close => (20, 40),
                Call::CloseOk => (20, 41),
                Call::Exchange(..) => (40, 10),
                Call::Queue(..) => (50, 10),
                Call::Bind(_) => (50, 20),
                Call::Unbind(_) => (50, 50),
                Call::Window(_) => (60, 10),
                Call::Read(..) => (60, 20),
            };
            frames.extend(class.to_be_bytes());
            frames.extend(number.to_be_bytes());
            self.put_arguments(frames);
        });
    }

    fn put_arguments(&self, frames: &mut Vec<u8>) {
        match self {
            Call::Open => frames.push(0),
            // Success, without a text, and no method is to blame.
            Call::Close => frames.extend([0, 200, 0, 0, 0, 0, 0]),
            Call::CloseOk => {}
            Call::Exchange(name, Fanout(fanout)) => {
                frames.extend([0; 2]);
                put_text(frames, name);
                put_text(frames, if *fanout { "fanout" } else { "topic" });
                frames.push(DURABLE);
                put_sized(frames, |_| {});
            }
            Call::Queue(name, kind) => {
                frames.extend([0; 2]);
                put_text(frames, name);
                let (flags, argument) = match kind {
                    Kind::Own => (EXCLUSIVE | AUTO_DELETE, "x-message-ttl"),
                    Kind::Announcements => (DURABLE, "x-expires"),
                    Kind::Shared => (DURABLE, "x-message-ttl"),
                };
                frames.push(flags);
                put_sized(frames, |frames| {
                    put_text(frames, argument);
                    frames.push(b'I');
                    frames.extend(WAITS.to_be_bytes());
                });
            }
            Call::Bind(binding) | Call::Unbind(binding) => {
                frames.extend([0; 2]);
                put_text(frames, binding.queue);
                put_text(frames, binding.exchange);
                put_text(frames, binding.key);
                if matches!(self, Call::Bind(_)) {
                    // It is answered.
                    frames.push(0);
                }
                put_sized(frames, |_| {});
            }
            Call::Window(count) => {
                frames.extend([0; 4]);
                frames.extend(count.to_be_bytes());
                frames.push(0);
            }
            Call::Read(queue, Acknowledged(acknowledged)) => {
                frames.extend([0; 2]);
                put_text(frames, queue);
                // The broker makes up a name for the reader.
                put_text(frames, "");
                frames.push(if *acknowledged { 0 } else { NO_ACK });
                put_sized(frames, |_| {});
            }
        }
    }

    /// The error of a broker that refuses it, but for its words.
    pub(super) fn refusal(&self) -> Refusal {
        let (what, ours) = match self {
            Call::Exchange(name, Fanout(true)) => (
                format!("the exchange {name}"),
                Some("as a durable fanout exchange"),
            ),
            Call::Exchange(name, Fanout(false)) => (
                format!("the exchange {name}"),
                Some("as a durable topic exchange"),
            ),
            Call::Queue(name, kind) => (format!("the queue {name}"), Some(kind.words())),
            Call::Bind(binding) => (binding.words("bind", "to"), None),
            Call::Unbind(binding) => (binding.words("unbind", "from"), None),
            Call::Read(queue, _) => (format!("read {queue}"), None),
            Call::Window(_) => ("bound what it sends".to_owned(), None),
            Call::Open | Call::Close | Call::CloseOk => ("use a channel".to_owned(), None),
        };
        Refusal { what, ours }
    }
}

impl Binding<'_> {
    fn words(&self, verb: &str, to: &str) -> String {
        let Binding {
            queue,
            exchange,
            key,
        } = self;
        format!("{verb} {queue} {to} {exchange} for {key}")
    }
}

/// What a refusal is about.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    what: String,
    ours: Option<&'static str>,
}

impl Refusal {
    /// The error, in the broker's words.
    pub(super) fn error(self, why: String) -> BusError {
        let Refusal { what, ours } = self;
        match ours.map(str::to_owned) {
            Some(ours) => BusError::Declined { what, ours, why },
            None => BusError::Denied { what, why },
        }
    }
}

/// What a broker says.
#[derive(Debug, PartialEq)]
pub(super) enum Said {
    /// The channel is closed, as we asked.
    Closed,
    /// The broker closes it, in its words.
    Closes(String),
    /// It has done what was asked.
    Done,
    /// It sends no more of a queue that is gone.
    Left,
    /// A message follows.
    Delivers(Deliver),
    /// A message follows that comes back, since nobody is there for it.
    Returns,
}

/// What comes before a message.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Deliver {
    /// Its number on the channel.
    pub(super) number: u64,
    /// The subject that it was published at.
    pub(super) key: String,
}

impl Said {
    /// What a method says, if it is of interest.
    pub(super) fn parse(payload: &[u8]) -> Option<Said> {
        let mut fields = Fields(payload);
        Some(match (fields.short()?, fields.short()?) {
            (20, 41) => Said::Closed,
            (20, 40) => {
                fields.short()?;
                Said::Closes(fields.text()?)
            }
            // Of an exchange, a queue, a binding, the end of one, a window, a reader.
            (40 | 50, 11) | (50, 21 | 51) | (60, 11 | 21) => Said::Done,
            (60, 30) => Said::Left,
            (60, 50) => Said::Returns,
            (60, 60) => {
                fields.text()?;
                let number = u64::from_be_bytes(fields.take(8)?.try_into().ok()?);
                fields.take(1)?;
                fields.text()?;
                let key = fields.text()?;
                Said::Delivers(Deliver { number, key })
            }
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
        expect(Call::Window(256), b"\0\x3c\0\x0a\0\0\0\0\x01\0\0");
        expect(
            Call::Exchange("e", Fanout(false)),
            b"\0\x28\0\x0a\0\0\x01e\x05topic\x02\0\0\0\0",
        );
        expect(
            Call::Exchange("e", Fanout(true)),
            b"\0\x28\0\x0a\0\0\x01e\x06fanout\x02\0\0\0\0",
        );
        expect(
            Call::Queue("q", Kind::Own),
            b"\0\x32\0\x0a\0\0\x01q\x0c\0\0\0\x13\x0dx-message-ttlI\0\0\x75\x30",
        );
        expect(
            Call::Queue("q", Kind::Announcements),
            b"\0\x32\0\x0a\0\0\x01q\x02\0\0\0\x0f\x09x-expiresI\0\0\x75\x30",
        );
        expect(
            Call::Queue("q", Kind::Shared),
            b"\0\x32\0\x0a\0\0\x01q\x02\0\0\0\x13\x0dx-message-ttlI\0\0\x75\x30",
        );
        let binding = Binding {
            queue: "q",
            exchange: "e",
            key: "k",
        };
        expect(
            Call::Bind(binding),
            b"\0\x32\0\x14\0\0\x01q\x01e\x01k\0\0\0\0\0",
        );
        expect(
            Call::Unbind(binding),
            b"\0\x32\0\x32\0\0\x01q\x01e\x01k\0\0\0\0",
        );
        expect(
            Call::Read("q", Acknowledged(true)),
            b"\0\x3c\0\x14\0\0\x01q\0\0\0\0\0\0",
        );
        expect(
            Call::Read("q", Acknowledged(false)),
            b"\0\x3c\0\x14\0\0\x01q\0\x02\0\0\0\0",
        );
    }

    #[test]
    fn what_a_broker_says() {
        let expect = |payload: &[u8], said: Said| {
            for end in 0..payload.len() {
                // What is cut says nothing, unless it ends in what is of no interest.
                let cut = Said::parse(&payload[..end]);
                assert!(cut.is_none() || cut.as_ref() == Some(&said), "{cut:?}");
            }
            assert_eq!(Said::parse(payload), Some(said));
        };
        expect(b"\0\x14\0\x29", Said::Closed);
        expect(
            b"\0\x14\0\x28\x01\x96\x02a\xff\0\x32\0\x0a",
            Said::Closes("a\u{fffd}".into()),
        );
        for done in [(40, 11), (50, 11), (50, 21), (50, 51), (60, 11), (60, 21)] {
            expect(&[0, done.0, 0, done.1], Said::Done);
        }
        expect(b"\0\x3c\0\x1e\x01q\x01", Said::Left);
        expect(b"\0\x3c\0\x32\x01\x38\0\0\0", Said::Returns);
        expect(
            b"\0\x3c\0\x3c\x01q\0\0\0\0\0\0\x01\x02\x01\x01e\x01k",
            Said::Delivers(Deliver {
                number: 258,
                key: "k".into(),
            }),
        );
        for nonsense in [
            &b""[..],
            b"\0\x3c",
            b"\0\x14\0\x0b\0\0\0\0",
            b"\xff\xff\xff\xff",
        ] {
            assert_eq!(Said::parse(nonsense), None, "{nonsense:?}");
        }
    }

    #[test]
    fn refusals_say_what_is_refused() {
        let error = |call: Call<'_>| call.refusal().error("no".into()).to_string();
        let queue = error(Call::Queue("q", Kind::Shared));
        assert!(
            queue.contains("the queue q, which we declare durable"),
            "{queue}"
        );
        let read = error(Call::Read("q", Acknowledged(true)));
        assert!(read.contains("does not let us read q: no"), "{read}");
    }
}
