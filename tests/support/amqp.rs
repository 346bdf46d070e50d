//! AMQP frames written by hand, for what no client library would send.

use std::io::{BufReader, Read, Write};
use std::net::TcpStream;

use super::nats::{BUS_PASSWORD, BUS_USER};
use super::wait::SOON;

/// The types of frames.
const METHOD: u8 = 1;
const HEADER: u8 = 2;
const BODY: u8 = 3;

/// The largest payload of a frame that every broker takes.
const PAYLOAD: usize = 100_000;

/// What a message claims to be.
#[derive(Default)]
pub(crate) struct RawProperties {
    /// A table, its length not included.
    pub(crate) headers: Option<Vec<u8>>,
    /// The correlation id.
    pub(crate) correlation_id: Option<Vec<u8>>,
    /// Where the answer goes.
    pub(crate) reply_to: Option<Vec<u8>>,
}

/// A connection with one channel.
pub(crate) struct RawPublisher {
    socket: BufReader<TcpStream>,
}

impl RawPublisher {
    /// Connects to a virtual host of the broker on `port`.
    pub(crate) fn connect(port: u16, vhost: &str) -> RawPublisher {
        let socket = TcpStream::connect(("127.0.0.1", port)).expect("the broker accepts");
        socket.set_read_timeout(Some(SOON)).expect("a timeout");
        let mut publisher = RawPublisher {
            socket: BufReader::new(socket),
        };
        publisher.write(b"AMQP\x00\x00\x09\x01");
        publisher.wait_method(10, 10);
        // connection.start-ok: no properties of the client, who it is, where it comes from.
        let login = format!("\0{BUS_USER}\0{BUS_PASSWORD}");
        let start = [
            long(b""),
            short(b"PLAIN"),
            long(login.as_bytes()),
            short(b"en_US"),
        ];
        publisher.method(0, 10, 11, &start.concat());
        let tune = publisher.wait_method(10, 30);
        // connection.tune-ok: as the broker wishes, but without heartbeats.
        let wishes = tune.get(..6).expect("channels and size of frames");
        publisher.method(0, 10, 31, &[wishes, &[0, 0]].concat());
        publisher.method(0, 10, 40, &[short(vhost.as_bytes()), vec![0, 0]].concat());
        publisher.wait_method(10, 41);
        publisher.method(1, 20, 10, &[0]);
        publisher.wait_method(20, 11);
        publisher
    }

    /// Publishes a message.
    pub(crate) fn publish(
        &mut self,
        exchange: &str,
        key: &[u8],
        properties: &RawProperties,
        body: &[u8],
    ) {
        let place = [vec![0, 0], short(exchange.as_bytes()), short(key), vec![0]];
        self.method(1, 60, 40, &place.concat());
        let mut flags: u16 = 0;
        let mut values = Vec::new();
        if let Some(headers) = &properties.headers {
            flags |= 1 << 13;
            values.extend(long(headers));
        }
        if let Some(id) = &properties.correlation_id {
            flags |= 1 << 10;
            values.extend(short(id));
        }
        if let Some(reply) = &properties.reply_to {
            flags |= 1 << 9;
            values.extend(short(reply));
        }
        let mut header = vec![0, 60, 0, 0];
        header.extend((body.len() as u64).to_be_bytes());
        header.extend(flags.to_be_bytes());
        header.extend(values);
        self.frame(HEADER, 1, &header);
        for part in body.chunks(PAYLOAD) {
            self.frame(BODY, 1, part);
        }
    }

    /// Waits until the broker has handled what was published.
    pub(crate) fn flush(&mut self) {
        // channel.flow: it is answered after all that came before.
        self.method(1, 20, 20, &[1]);
        self.wait_method(20, 21);
    }

    /// The connection with its channel, for others to speak on.
    pub(crate) fn into_socket(self) -> BufReader<TcpStream> {
        self.socket
    }

    fn method(&mut self, channel: u16, class: u16, method: u16, arguments: &[u8]) {
        let payload = [&class.to_be_bytes()[..], &method.to_be_bytes(), arguments].concat();
        self.frame(METHOD, channel, &payload);
    }

    fn frame(&mut self, kind: u8, channel: u16, payload: &[u8]) {
        let mut frame = vec![kind];
        frame.extend(channel.to_be_bytes());
        frame.extend((payload.len() as u32).to_be_bytes());
        frame.extend(payload);
        frame.push(0xce);
        self.write(&frame);
    }

    fn write(&mut self, bytes: &[u8]) {
        self.socket.get_mut().write_all(bytes).expect("written");
    }

    /// The arguments of the next method, which must be this one.
    fn wait_method(&mut self, class: u16, method: u16) -> Vec<u8> {
        loop {
            let mut head = [0; 7];
            self.socket.read_exact(&mut head).expect("a frame");
            let [kind, _, _, size @ ..] = head;
            let mut payload = vec![0; u32::from_be_bytes(size) as usize + 1];
            self.socket.read_exact(&mut payload).expect("a payload");
            if kind != METHOD {
                continue;
            }
            let wanted = [class.to_be_bytes(), method.to_be_bytes()].concat();
            let (name, arguments) = payload.split_at(4);
            assert_eq!(
                name,
                wanted,
                "the broker says {}",
                String::from_utf8_lossy(arguments)
            );
            return arguments.to_vec();
        }
    }
}

/// A short string.
pub(crate) fn short(text: &[u8]) -> Vec<u8> {
    let length = u8::try_from(text.len()).expect("at most 255 bytes");
    [&[length], text].concat()
}

/// A long string, or a table of these bytes.
pub(crate) fn long(text: &[u8]) -> Vec<u8> {
    [&(text.len() as u32).to_be_bytes()[..], text].concat()
}

/// A table in a table in a table, `depth` times.
pub(crate) fn nested_table(depth: usize) -> Vec<u8> {
    let mut table = Vec::new();
    for left in (0..depth).rev() {
        // Of each: name, type, length. Written from the outside in; all that is within counts.
        table.extend(b"\x01tF");
        table.extend((left as u32 * 7).to_be_bytes());
    }
    table
}
