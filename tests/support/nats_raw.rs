//! A client and a server of NATS that say what they like.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

use super::nats::{BUS_PASSWORD, BUS_USER};
use super::server::lock;
use super::wait::SOON;

/// What a server whose monitor is on this port tells there.
pub(crate) fn monitor(port: u16, what: &str) -> Value {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).expect("the monitor");
    stream
        .write_all(format!("GET {what} HTTP/1.0\r\n\r\n").as_bytes())
        .expect("asked");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("answered");
    let (_, body) = answer.split_once("\r\n\r\n").expect("a body");
    serde_json::from_str(body).expect("JSON")
}

/// The number and the port of every connection of this name, as a server whose monitor is on this port
/// sees it.
pub(crate) fn connections(port: u16, name: &str) -> Vec<(u64, u16)> {
    let told = monitor(port, "/connz");
    let all = told["connections"].as_array().cloned().unwrap_or_default();
    all.iter()
        .filter(|connection| connection["name"] == name)
        .filter_map(|connection| {
            let port = u16::try_from(connection["port"].as_u64()?).ok()?;
            Some((connection["cid"].as_u64()?, port))
        })
        .collect()
}

/// A client that says what it likes.
pub(crate) struct RawNats {
    socket: BufReader<TcpStream>,
}

impl RawNats {
    /// Connects to the server on `port`.
    pub(crate) fn connect(port: u16) -> RawNats {
        let socket = TcpStream::connect(("127.0.0.1", port)).expect("the server accepts");
        socket.set_read_timeout(Some(SOON)).expect("a timeout");
        let mut nats = RawNats {
            socket: BufReader::new(socket),
        };
        let options = format!(
            r#"CONNECT {{"verbose":false,"pedantic":false,"headers":true,"user":"{BUS_USER}","pass":"{BUS_PASSWORD}"}}"#
        );
        nats.write(format!("{options}\r\n").as_bytes());
        nats.flush();
        nats
    }

    /// The connection, for others to speak on.
    pub(crate) fn into_socket(self) -> BufReader<TcpStream> {
        self.socket
    }

    /// Says it, and waits until the server has dealt with it.
    pub(crate) fn say(&mut self, bytes: &[u8]) {
        self.write(bytes);
        self.flush();
    }

    /// Listens to `subject`.
    pub(crate) fn subscribe(&mut self, subject: &str) {
        self.write(format!("SUB {subject} 1\r\n").as_bytes());
        self.flush();
    }

    /// Publishes, with headers if any are given, the blank line that ends them not included.
    pub(crate) fn publish(&mut self, subject: &str, reply: &str, headers: &str, body: &[u8]) {
        let size = body.len();
        let head = match headers {
            "" => format!("PUB {subject} {reply} {size}\r\n"),
            _ => {
                let headers = format!("NATS/1.0\r\n{headers}\r\n");
                let (own, all) = (headers.len(), headers.len() + size);
                format!("HPUB {subject} {reply} {own} {all}\r\n{headers}")
            }
        };
        self.write(&[head.as_bytes(), body, b"\r\n"].concat());
    }

    /// Waits until the server has handled what was written; it must not have complained.
    pub(crate) fn flush(&mut self) {
        self.write(b"PING\r\n");
        while self.line() != "PONG" {}
    }

    /// The next message: its subject and its body.
    pub(crate) fn message(&mut self) -> (String, Vec<u8>) {
        loop {
            let line = self.line();
            if let Some(rest) = line.strip_prefix("MSG ") {
                let words: Vec<&str> = rest.split(' ').collect();
                let size: Option<usize> = words.last().and_then(|size| size.parse().ok());
                let mut body = vec![0; size.expect("a size") + 2];
                self.socket.read_exact(&mut body).expect("a body");
                body.truncate(body.len() - 2);
                return (words[0].to_owned(), body);
            }
        }
    }

    fn line(&mut self) -> String {
        let mut line = Vec::new();
        let count = self.socket.read_until(b'\n', &mut line).expect("a line");
        assert!(count > 0, "the server ended the connection");
        let line = String::from_utf8_lossy(&line).trim_end().to_owned();
        assert!(!line.starts_with("-ERR"), "{line}");
        line
    }

    fn write(&mut self, bytes: &[u8]) {
        self.socket.get_mut().write_all(bytes).expect("written");
    }
}

/// A message that the crate cannot read, of each sort.
pub(crate) fn poisons() -> [(&'static str, Vec<u8>); 6] {
    let with_header = |header: &[u8]| {
        let sizes = format!("HPUB ari.get {} {}\r\n", header.len(), header.len() + 2);
        [sizes.as_bytes(), header, b"{}\r\n"].concat()
    };
    let long = "r".repeat(4_084);
    [
        (
            "a reply subject that is not UTF-8",
            b"PUB ari.get \xff\xfe 2\r\n{}\r\n".to_vec(),
        ),
        (
            "a reply subject with a space beyond ASCII",
            "PUB ari.get a\u{a0}b 2\r\n{}\r\n".as_bytes().to_vec(),
        ),
        (
            "a reply subject that is too long",
            format!("PUB ari.get {long} 2\r\n{{}}\r\n").into_bytes(),
        ),
        ("a header that is none", with_header(b"NONE\r\nx\r\n\r\n")),
        (
            "a header line that is none",
            with_header(b"NATS/1.0\r\nnothing\r\n\r\n"),
        ),
        (
            "a header that is not UTF-8",
            with_header(b"NATS/1.0\r\nX: \xff\r\n\r\n"),
        ),
    ]
}

/// What a server that a test plays heard on a connection.
#[derive(Default)]
pub(crate) struct Heard {
    /// Line by line, without bodies.
    pub(crate) lines: Vec<String>,
    /// To speak on.
    pub(crate) stream: Option<TcpStream>,
}

impl Heard {
    /// Whether a line of it begins so.
    pub(crate) fn has(&self, word: &str) -> bool {
        self.lines.iter().any(|line| line.starts_with(word))
    }
}

/// A NATS server that takes everything and delivers nothing, what it heard on each connection.
pub(crate) fn play_a_server() -> (u16, Arc<Mutex<Vec<Heard>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("its address").port();
    let all: Arc<Mutex<Vec<Heard>>> = Arc::default();
    let heard = Arc::clone(&all);
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let mut connections = lock(&heard);
            let number = connections.len();
            connections.push(Heard {
                stream: stream.try_clone().ok(),
                ..Heard::default()
            });
            drop(connections);
            let heard = Arc::clone(&heard);
            std::thread::spawn(move || talk(stream, number, &heard));
        }
    });
    (port, all)
}

fn talk(mut stream: TcpStream, number: usize, heard: &Mutex<Vec<Heard>>) {
    let info = json!({"server_id": "S", "version": "2.9.10", "proto": 1, "headers": true,
        "host": "127.0.0.1", "port": 4222, "max_payload": 1 << 20, "client_id": 1, "go": "go"});
    let _ = stream.write_all(format!("INFO {info}\r\n").as_bytes());
    let mut lines = BufReader::new(stream.try_clone().expect("a clone"));
    let mut line = String::new();
    while matches!(lines.read_line(&mut line), Ok(1..)) {
        let heard_line = line.trim_end().to_owned();
        line.clear();
        if heard_line.starts_with("PUB") {
            let size = heard_line.rsplit(' ').next().expect("a size");
            let mut body = vec![0; size.parse::<usize>().expect("a size") + 2];
            let _ = lines.read_exact(&mut body);
        } else if heard_line == "PING" {
            let _ = stream.write_all(b"PONG\r\n");
        } else if heard_line.starts_with("BYE") {
            // As a server ends what does not speak its language.
            let _ = stream.shutdown(Shutdown::Both);
        }
        lock(heard)[number].lines.push(heard_line);
    }
}
