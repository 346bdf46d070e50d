//! The client of NATS: a socket that its thread reads and writes itself. A client that flushes with a
//! round trip and reads in a thread of its own would be measured with the proxy.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use super::client::{Answer, Client, Conversation, Topic};

/// How often listeners look whether to stop.
const LOOK: Duration = Duration::from_millis(20);
/// Bytes read at once, at most.
const CHUNK: usize = 256 * 1024;
/// Where answers go, before the number of the request.
const INBOX: &str = "_INBOX.bench";

/// The client.
pub(crate) struct NatsClient {
    port: u16,
}

impl NatsClient {
    /// A client of the server on `port` of this machine.
    pub(crate) fn new(port: u16) -> NatsClient {
        NatsClient { port }
    }

    /// Whether there is a server on `port`.
    pub(crate) fn serves(port: u16) -> bool {
        Wire::open(port).is_ok()
    }

    fn connect(&self) -> Wire {
        Wire::open(self.port).expect("a connection to NATS")
    }
}

impl Client for NatsClient {
    fn listen(
        &self,
        topic: &Topic,
        stop: &AtomicBool,
        ready: &mut dyn FnMut(),
        take: &mut dyn FnMut(&[u8]),
    ) {
        let mut wire = self.connect();
        let subject = match topic {
            Topic::Events(application) => format!("ari.event.{application}.>"),
            Topic::Announcements => "ari.announce".to_owned(),
        };
        wire.subscribe(&subject);
        ready();
        while !stop.load(Ordering::Relaxed) {
            if let Some(message) = wire.next(LOOK) {
                take(&wire.read[message.body]);
            }
        }
    }

    fn pinger(&self) -> Box<dyn FnMut()> {
        let mut wire = self.connect();
        Box::new(move || {
            wire.publish("ari.ping", "", b"{}");
            wire.flush();
        })
    }

    fn converse(&self, subject: &str, talk: &mut dyn FnMut(&mut dyn Conversation)) {
        let mut wire = self.connect();
        // Of this conversation alone.
        let inbox = format!("{INBOX}.{}", wire.local_port());
        wire.subscribe(&format!("{inbox}.*"));
        talk(&mut NatsConversation {
            wire,
            subject,
            inbox,
        });
    }
}

/// Requests with an inbox whose last token is the number of the request.
struct NatsConversation<'a> {
    wire: Wire,
    subject: &'a str,
    inbox: String,
}

impl Conversation for NatsConversation<'_> {
    fn send(&mut self, number: u64, body: &[u8]) {
        let reply = format!("{}.{number}", self.inbox);
        self.wire.publish(self.subject, &reply, body);
    }

    fn flush(&mut self) {
        self.wire.flush();
    }

    /// Nothing to do: every answer says what it is for.
    fn forget(&mut self) {}

    fn next(&mut self, limit: Duration) -> Option<Answer> {
        let message = self.wire.next(limit)?;
        let subject = std::str::from_utf8(&self.wire.read[message.subject]).ok()?;
        let number = subject.rsplit('.').next()?.parse().ok()?;
        Some(Answer::read(number, &self.wire.read[message.body]))
    }
}

/// A connection.
struct Wire {
    stream: TcpStream,
    /// What was read, and of it what was not looked at yet.
    read: Vec<u8>,
    unseen: Range<usize>,
    /// What is to be written.
    waiting: Vec<u8>,
}

/// Where in what was read a message is.
struct Message {
    subject: Range<usize>,
    body: Range<usize>,
}

impl Wire {
    fn open(port: u16) -> io::Result<Wire> {
        let stream = TcpStream::connect(("127.0.0.1", port))?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(Duration::from_secs(5)))?;
        let mut wire = Wire {
            stream,
            read: vec![0; 2 * CHUNK],
            unseen: 0..0,
            waiting: b"CONNECT {\"verbose\":false,\"pedantic\":false}\r\n".to_vec(),
        };
        wire.round_trip()?;
        wire.stream.set_read_timeout(Some(LOOK))?;
        Ok(wire)
    }

    fn local_port(&self) -> u16 {
        self.stream.local_addr().expect("its address").port()
    }

    /// Waits until the server has done all that was asked of it.
    fn round_trip(&mut self) -> io::Result<()> {
        self.waiting.extend_from_slice(b"PING\r\n");
        self.stream.write_all(&self.waiting)?;
        self.waiting.clear();
        let deadline = Instant::now() + Duration::from_secs(5);
        loop {
            match self.line() {
                Some(line) if self.read[line.clone()].starts_with(b"PONG") => return Ok(()),
                Some(_) => {}
                None if Instant::now() > deadline => return Err(io::ErrorKind::TimedOut.into()),
                None => self.fill()?,
            }
        }
    }

    /// Subscribes; the server knows of it afterwards.
    fn subscribe(&mut self, subject: &str) {
        self.waiting
            .extend_from_slice(format!("SUB {subject} 1\r\n").as_bytes());
        self.round_trip().expect("subscribed");
    }

    /// Hands a message over.
    fn publish(&mut self, subject: &str, reply: &str, body: &[u8]) {
        write!(self.waiting, "PUB {subject} {reply} {}\r\n", body.len()).expect("vectors take all");
        self.waiting.extend_from_slice(body);
        self.waiting.extend_from_slice(b"\r\n");
    }

    /// Writes what was handed over.
    fn flush(&mut self) {
        self.stream.write_all(&self.waiting).expect("written");
        self.waiting.clear();
    }

    /// The next message, if one comes within `limit`; of none, what was read already.
    fn next(&mut self, limit: Duration) -> Option<Message> {
        // The clock is only looked at when nothing came.
        let mut deadline = None;
        loop {
            if let Some(message) = self.message() {
                return Some(message);
            }
            let now = Instant::now();
            if now >= *deadline.get_or_insert(now + limit) {
                return None;
            }
            self.fill().expect("NATS has ended a connection");
        }
    }

    /// The next message of what was read.
    fn message(&mut self) -> Option<Message> {
        loop {
            let begin = self.unseen.start;
            let line = self.line()?;
            let text = &self.read[line.clone()];
            if text.starts_with(b"MSG ") {
                let length = text.rsplit(|byte| *byte == b' ').next().and_then(decimal);
                let length = length.expect("a length");
                let subject = text[4..].iter().position(|byte| *byte == b' ');
                let subject = line.start + 4..line.start + 4 + subject.expect("a subject");
                let body = self.unseen.start..self.unseen.start + length;
                if body.end + 2 > self.unseen.end {
                    self.unseen.start = begin;
                    return None;
                }
                self.unseen.start = body.end + 2;
                return Some(Message { subject, body });
            }
            if text.starts_with(b"PING") {
                self.stream.write_all(b"PONG\r\n").expect("written");
            } else if text.starts_with(b"-ERR") {
                panic!("NATS says {}", String::from_utf8_lossy(text));
            }
        }
    }

    /// The next line of what was read, without its end.
    fn line(&mut self) -> Option<Range<usize>> {
        let unseen = &self.read[self.unseen.clone()];
        let length = unseen.iter().position(|byte| *byte == b'\n')?;
        let line = self.unseen.start..self.unseen.start + length.saturating_sub(1);
        self.unseen.start += length + 1;
        Some(line)
    }

    /// Reads more, if something comes within a moment.
    fn fill(&mut self) -> io::Result<()> {
        if self.unseen.start > 0 {
            self.read.copy_within(self.unseen.clone(), 0);
            self.unseen = 0..self.unseen.len();
        }
        if self.unseen.end == self.read.len() {
            self.read.resize(2 * self.read.len(), 0);
        }
        match self.stream.read(&mut self.read[self.unseen.end..]) {
            Ok(0) => Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(count) => {
                self.unseen.end += count;
                Ok(())
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(()),
            Err(error) => Err(error),
        }
    }
}

fn decimal(digits: &[u8]) -> Option<usize> {
    std::str::from_utf8(digits).ok()?.parse().ok()
}
