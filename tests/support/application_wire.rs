//! The connection of an application that speaks go-ari-proxy's protocol, written by hand: it says what
//! the original library says, topic by topic, and takes all topics in the one order in which they come.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use super::amqp::{RawPublisher, long, short};
use super::nats_raw::RawNats;
use super::server::lock;
use super::wait::{SOON, wait_until};

/// What takes a message: on which topic it came, and what it is.
pub(crate) type Take = Box<dyn Fn(&Mouth, &str, Vec<u8>) + Send>;

/// What speaks on a connection.
pub(crate) struct Mouth {
    bus: Kind,
    queue: String,
    socket: Mutex<TcpStream>,
    next: AtomicU64,
    /// How many signs of life the server gave.
    signs: AtomicU64,
    /// What the server complained of.
    complaints: Mutex<Vec<String>>,
    /// The topics whose queues are declared to be sent to: once each, as the original does.
    declared: Mutex<BTreeSet<String>>,
}

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Nats,
    RabbitMq,
}

/// A connection. Dropped, it is cut.
pub(crate) struct Wire {
    mouth: Arc<Mouth>,
    reader: Option<JoinHandle<()>>,
}

impl Wire {
    /// Connects to the server at `url`; on NATS it shares topics with all that have this `queue`.
    pub(crate) fn connect(url: &str, queue: &str, take: Take) -> Wire {
        let place = url.split_once('@').expect("credentials").1;
        let (address, vhost) = place.split_once('/').unwrap_or((place, ""));
        let port = address
            .rsplit(':')
            .next()
            .and_then(|port| port.parse().ok());
        let port = port.expect("a port");
        let (bus, socket) = match url.starts_with("amqp") {
            true => {
                let vhost = if vhost == "%2f" { "/" } else { vhost };
                (
                    Kind::RabbitMq,
                    RawPublisher::connect(port, vhost).into_socket(),
                )
            }
            false => (Kind::Nats, RawNats::connect(port).into_socket()),
        };
        if bus == Kind::RabbitMq {
            let open = method(OTHERS, 20, 10, &[0]);
            socket.get_ref().write_all(&open).expect("written");
        }
        // It may be silent for as long as it likes.
        socket.get_ref().set_read_timeout(None).expect("no timeout");
        let mouth = Arc::new(Mouth {
            bus,
            queue: queue.to_owned(),
            socket: Mutex::new(socket.get_ref().try_clone().expect("a clone")),
            next: AtomicU64::new(10),
            signs: AtomicU64::new(0),
            complaints: Mutex::default(),
            declared: Mutex::default(),
        });
        let ear = Arc::clone(&mouth);
        let reader = std::thread::spawn(move || match bus {
            Kind::Nats => _ = read_nats(socket, &ear, &take),
            Kind::RabbitMq => _ = read_rabbitmq(socket, &ear, &take),
        });
        Wire {
            mouth,
            reader: Some(reader),
        }
    }

    /// What speaks on it.
    pub(crate) fn mouth(&self) -> &Mouth {
        &self.mouth
    }

    /// What the server complained of, if anything.
    pub(crate) fn complaints(&self) -> Vec<String> {
        lock(&self.mouth.complaints).clone()
    }

    /// Ends it without a goodbye.
    pub(crate) fn cut(&self) {
        let _ = lock(&self.mouth.socket).shutdown(Shutdown::Both);
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        self.cut();
        if let Some(reader) = self.reader.take() {
            let _ = reader.join();
        }
    }
}

impl Mouth {
    /// Listens on a topic.
    pub(crate) fn listen(&self, topic: &str) {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        match self.bus {
            Kind::Nats => {
                let queue = &self.queue;
                self.write(format!("SUB {topic} {queue} {number}\r\n").as_bytes());
            }
            Kind::RabbitMq => {
                let channel = match topic.contains('_') {
                    true => OTHERS,
                    false => CALLS,
                };
                let topic = short(topic.as_bytes());
                let tag = short(format!("ctag-{number}").as_bytes());
                // Without the listener's own messages, with acknowledgement, without an answer.
                let consume = [&[0, 0], &topic[..], &tag, &[0b1001], &long(b"")].concat();
                self.write(&[declare(channel, &topic), method(channel, 60, 20, &consume)].concat());
            }
        }
    }

    /// Publishes on a topic.
    pub(crate) fn send(&self, topic: &str, body: &[u8]) {
        match self.bus {
            Kind::Nats => {
                let head = format!("PUB {topic} {}\r\n", body.len());
                self.write(&[head.as_bytes(), body, b"\r\n"].concat());
            }
            Kind::RabbitMq => {
                let mut all = Vec::new();
                let new = lock(&self.declared).insert(topic.to_owned());
                let topic = short(topic.as_bytes());
                if new {
                    all.extend(declare(OTHERS, &topic));
                }
                let publish = [&[0, 0, 0], &topic[..], &[0]].concat();
                all.extend(method(OTHERS, 60, 40, &publish));
                let mut header = vec![0, 60, 0, 0];
                header.extend((body.len() as u64).to_be_bytes());
                // Content type, an empty table of headers, transient.
                header.extend(0b1011_0000_0000_0000_u16.to_be_bytes());
                header.extend([short(b"application/json"), long(b""), vec![1]].concat());
                all.extend(frame(OTHERS, HEADER, &header));
                for part in body.chunks(100_000) {
                    all.extend(frame(OTHERS, BODY, part));
                }
                self.write(&all);
            }
        }
    }

    /// Waits until the server has dealt with all that was said.
    pub(crate) fn flush(&self) {
        let before = self.signs.load(Ordering::SeqCst);
        let signs = match self.bus {
            Kind::Nats => {
                self.write(b"PING\r\n");
                1
            }
            // channel.flow: it is answered after all that came before.
            Kind::RabbitMq => {
                let flows = [CALLS, OTHERS].map(|channel| method(channel, 20, 20, &[1]));
                self.write(&flows.concat());
                2
            }
        };
        wait_until("the server's sign of life", SOON, || {
            self.signs.load(Ordering::SeqCst) >= before + signs
        });
    }

    fn write(&self, bytes: &[u8]) {
        // A connection that is gone is noticed by its reader.
        let _ = lock(&self.socket).write_all(bytes);
    }

    fn complain(&self, what: impl Into<String>) {
        lock(&self.complaints).push(what.into());
    }
}

fn read_nats(mut socket: BufReader<TcpStream>, mouth: &Mouth, take: &Take) -> std::io::Result<()> {
    loop {
        let mut line = String::new();
        if socket.read_line(&mut line)? == 0 {
            return Ok(());
        }
        let words: Vec<&str> = line.split_whitespace().collect();
        match words.as_slice() {
            ["PING"] => mouth.write(b"PONG\r\n"),
            ["PONG"] => _ = mouth.signs.fetch_add(1, Ordering::SeqCst),
            [kind @ ("MSG" | "HMSG"), topic, .., size] => {
                let mut body = vec![0; size.parse::<usize>().unwrap_or(0) + 2];
                socket.read_exact(&mut body)?;
                body.truncate(body.len() - 2);
                if *kind == "HMSG" {
                    // The original's client knows of no headers.
                    let head = words[words.len() - 2].parse().unwrap_or(0);
                    body.drain(..head);
                }
                take(mouth, topic, body);
            }
            ["-ERR", ..] => mouth.complain(line.trim_end()),
            _ => {}
        }
    }
}

/// The channel of calls, on which nothing else is said: the broker passes over a listener whose channel
/// is slow.
const CALLS: u8 = 1;
/// That of all else.
const OTHERS: u8 = 2;

/// The types of frames.
const METHOD: u8 = 1;
const HEADER: u8 = 2;
const BODY: u8 = 3;

/// The queue of a topic, as whoever comes first declares it: durable, without an answer and without
/// arguments.
fn declare(channel: u8, topic: &[u8]) -> Vec<u8> {
    method(
        channel,
        50,
        10,
        &[&[0, 0], topic, &[0b1_0010], &long(b"")].concat(),
    )
}

fn method(channel: u8, class: u16, method: u16, arguments: &[u8]) -> Vec<u8> {
    let payload = [&class.to_be_bytes()[..], &method.to_be_bytes(), arguments].concat();
    frame(channel, METHOD, &payload)
}

fn frame(channel: u8, kind: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![kind, 0, channel];
    frame.extend((payload.len() as u32).to_be_bytes());
    frame.extend(payload);
    frame.push(0xce);
    frame
}

/// A message of which more comes: its number, its topic, its size, and what came of it.
type Coming = (u64, String, usize, Vec<u8>);

fn read_rabbitmq(
    mut socket: BufReader<TcpStream>,
    mouth: &Mouth,
    take: &Take,
) -> std::io::Result<()> {
    // What is coming on each channel.
    let mut all: [Option<Coming>; 3] = [const { None }; 3];
    loop {
        let mut head = [0; 7];
        socket.read_exact(&mut head)?;
        let [kind, _, channel, size @ ..] = head;
        let mut payload = vec![0; u32::from_be_bytes(size) as usize + 1];
        socket.read_exact(&mut payload)?;
        payload.pop();
        let coming = &mut all[usize::from(channel)];
        match (kind, payload.get(..4)) {
            (METHOD, Some([0, 60, 0, 60])) => {
                let (_tag, rest) = text(&payload[4..]);
                let (number, rest) = rest.split_at(8);
                let (_exchange, rest) = text(&rest[1..]);
                let (topic, _) = text(rest);
                let number = number.try_into().map_or(0, u64::from_be_bytes);
                *coming = Some((number, topic, 0, Vec::new()));
            }
            (METHOD, Some([0, 20, 0, 21])) => _ = mouth.signs.fetch_add(1, Ordering::SeqCst),
            // channel.close and connection.close
            (METHOD, Some([0, 20, 0, 40] | [0, 10, 0, 50])) => {
                let (why, _) = text(&payload[6..]);
                mouth.complain(why);
            }
            (HEADER, _) => {
                let size = payload.get(4..12).and_then(|size| size.try_into().ok());
                let size = size.map_or(0, u64::from_be_bytes) as usize;
                if let Some((_, _, whole, _)) = coming {
                    *whole = size;
                }
            }
            (BODY, _) => {
                if let Some((.., body)) = coming {
                    body.extend(payload);
                }
            }
            _ => {}
        }
        let is_whole = |coming: &mut Coming| coming.3.len() == coming.2;
        if kind == METHOD {
            continue;
        }
        if let Some((number, topic, _, body)) = coming.take_if(is_whole) {
            take(mouth, &topic, body);
            let arguments = [&number.to_be_bytes()[..], &[0]].concat();
            mouth.write(&method(channel, 60, 80, &arguments));
        }
    }
}

/// A short string, and what comes after it.
fn text(bytes: &[u8]) -> (String, &[u8]) {
    let (text, rest) = bytes[1..].split_at(usize::from(bytes[0]));
    (String::from_utf8_lossy(text).into_owned(), rest)
}
