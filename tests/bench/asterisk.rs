//! An Asterisk stand-in that does little more than read and write: it knows who it is, has any
//! channel, carries out any command, and sends the events it is given.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use tungstenite::handshake::derive_accept_key;

use super::client::Outlet;

/// Its entity id.
pub(crate) const ENTITY_ID: &str = "02:42:ac:11:00:02";

/// What every answer of an Asterisk begins with, after the status.
const HEADER: &str = "Server: Asterisk\r\nDate: Sat, 21 Nov 2026 06:31:58 GMT\r\n\
                      Cache-Control: no-cache, no-store\r\nContent-type: application/json\r\n";
/// What `/asterisk/info` says.
const INFO: &str = r#"{"build":{"os":"Linux","kernel":"unknown","machine":"unknown","options":"OPTIONAL_API, TEST_FRAMEWORK","date":"2026-07-20 21:35:32 UTC","user":"nobody"},"system":{"version":"22.10.1","entity_id":"02:42:ac:11:00:02"},"config":{"name":"live","default_language":"en","setid":{"user":"","group":""}},"status":{"startup_time":"2026-11-21T06:31:57.471+0000","last_reload_time":"2026-11-21T06:31:57.471+0000"}}"#;
/// What every channel looks like, as recorded.
const CHANNEL: &str = r#"{"id":"live-2","name":"Local/100@stasis-00000000;2","state":"Up","protocol_id":"","caller":{"name":"Test \"Q\"","number":"100"},"connected":{"name":"Test \"Q\"","number":"100"},"accountcode":"","dialplan":{"context":"stasis","exten":"100","priority":3,"app_name":"Stasis","app_data":"test,arg1,arg2"},"creationtime":"2026-11-21T06:31:59.084+0000","language":"en"}"#;
/// Bytes of frames that are written at once.
const CHUNK: usize = 32 * 1024;

/// The stand-in: a thread per connection.
pub(crate) struct Asterisk {
    port: u16,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    /// Open websockets, with what they asked for.
    websockets: Mutex<Vec<(String, Socket)>>,
    changed: Condvar,
}

type Socket = Arc<Mutex<TcpStream>>;

impl Asterisk {
    /// Starts one.
    pub(crate) fn start() -> Asterisk {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
        let port = listener.local_addr().expect("its address").port();
        let shared = Arc::new(Shared::default());
        let accepting = Arc::clone(&shared);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let shared = Arc::clone(&accepting);
                // A connection that breaks is the proxy's to notice.
                std::thread::spawn(move || Connection::new(stream).serve(&shared));
            }
        });
        Asterisk { port, shared }
    }

    /// Its API's URL.
    pub(crate) fn http_url(&self) -> String {
        format!("http://127.0.0.1:{}/ari", self.port)
    }

    /// Its events' URL.
    pub(crate) fn websocket_url(&self) -> String {
        format!("ws://127.0.0.1:{}/ari/events", self.port)
    }

    /// The websocket of `application`, once there is one.
    pub(crate) fn websocket(&self, application: &str, limit: Duration) -> Option<Websocket> {
        let deadline = Instant::now() + limit;
        let name = format!("app={application}");
        let mut websockets = self.shared.websockets.lock().unwrap();
        loop {
            let mut asked = websockets.iter();
            let wanted = asked.find(|(query, _)| query.split('&').any(|pair| pair == name));
            if let Some((_, socket)) = wanted {
                return Some(Websocket {
                    socket: Arc::clone(socket),
                    frames: Vec::with_capacity(2 * CHUNK),
                    broken: false,
                });
            }
            let left = deadline.checked_duration_since(Instant::now())?;
            websockets = self
                .shared
                .changed
                .wait_timeout(websockets, left)
                .unwrap()
                .0;
        }
    }
}

/// An open websocket, to send events by.
pub(crate) struct Websocket {
    socket: Socket,
    frames: Vec<u8>,
    /// What is sent from then on is lost.
    broken: bool,
}

impl Outlet for Websocket {
    fn put(&mut self, event: &[u8]) {
        self.frames.push(0x81);
        match u16::try_from(event.len()).expect("events of less than 64 KiB") {
            length @ 0..=125 => self.frames.push(length.to_be_bytes()[1]),
            length => {
                self.frames.push(126);
                self.frames.extend_from_slice(&length.to_be_bytes());
            }
        }
        self.frames.extend_from_slice(event);
        if self.frames.len() >= CHUNK {
            self.flush();
        }
    }

    fn flush(&mut self) {
        if !self.broken
            && let Err(error) = self.socket.lock().unwrap().write_all(&self.frames)
        {
            self.broken = true;
            eprintln!("the proxy has ended its websocket: {error}");
        }
        self.frames.clear();
    }
}

/// A connection and what was read of it.
struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl Connection {
    fn new(stream: TcpStream) -> Connection {
        Connection {
            stream,
            buffer: Vec::with_capacity(8 * 1024),
        }
    }

    fn serve(mut self, shared: &Shared) -> io::Result<()> {
        self.stream.set_nodelay(true)?;
        loop {
            let length = loop {
                let end = self.buffer.windows(4).position(|end| end == b"\r\n\r\n");
                if let Some(end) = end {
                    break end + 4;
                }
                self.read()?;
            };
            let head = String::from_utf8_lossy(&self.buffer[..length]).into_owned();
            self.buffer.drain(..length);
            let request = Request::read(&head);
            if let Some(key) = request.websocket_key {
                return self.serve_websocket(&request, key, shared);
            }
            self.take(request.body)?;
            self.stream.write_all(request.answer().as_bytes())?;
        }
    }

    /// Reads more into the buffer.
    fn read(&mut self) -> io::Result<()> {
        let mut bytes = [0; 4096];
        match self.stream.read(&mut bytes)? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            count => {
                self.buffer.extend_from_slice(&bytes[..count]);
                Ok(())
            }
        }
    }

    /// Takes the next `count` bytes.
    fn take(&mut self, count: usize) -> io::Result<Vec<u8>> {
        while self.buffer.len() < count {
            self.read()?;
        }
        Ok(self.buffer.drain(..count).collect())
    }

    fn serve_websocket(mut self, request: &Request, key: &str, shared: &Shared) -> io::Result<()> {
        let accept = derive_accept_key(key.as_bytes());
        let answer = format!(
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Accept: {accept}\r\n\r\n"
        );
        self.stream.write_all(answer.as_bytes())?;
        let socket: Socket = Arc::new(Mutex::new(self.stream.try_clone()?));
        let entry = (request.query.to_owned(), Arc::clone(&socket));
        shared.websockets.lock().unwrap().push(entry);
        shared.changed.notify_all();
        let ended = self.answer_pings(&socket);
        let mut websockets = shared.websockets.lock().unwrap();
        websockets.retain(|(_, other)| !Arc::ptr_eq(other, &socket));
        let _ = self.stream.shutdown(Shutdown::Both);
        ended
    }

    fn answer_pings(&mut self, socket: &Socket) -> io::Result<()> {
        loop {
            let head = self.take(2)?;
            let length = match head[1] & 0x7f {
                126 => {
                    let length = self.take(2)?;
                    usize::from(u16::from_be_bytes([length[0], length[1]]))
                }
                127 => return Err(io::ErrorKind::InvalidData.into()),
                length => usize::from(length),
            };
            let mask = self.take(4)?;
            let mut body = self.take(length)?;
            for (byte, mask) in body.iter_mut().zip(mask.iter().cycle()) {
                *byte ^= mask;
            }
            match head[0] & 0x0f {
                // A close frame.
                8 => return Ok(()),
                // A ping; its body is short.
                9 => {
                    let pong = [&[0x8a, head[1] & 0x7f], body.as_slice()].concat();
                    socket.lock().unwrap().write_all(&pong)?;
                }
                _ => {}
            }
        }
    }
}

/// The little of a request that matters.
struct Request<'a> {
    method: &'a str,
    path: &'a str,
    query: &'a str,
    body: usize,
    websocket_key: Option<&'a str>,
}

impl<'a> Request<'a> {
    fn read(head: &'a str) -> Request<'a> {
        let mut lines = head.lines();
        let mut words = lines.next().unwrap_or_default().split(' ');
        let method = words.next().unwrap_or_default();
        let target = words.next().unwrap_or_default();
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let mut request = Request {
            method,
            path,
            query,
            body: 0,
            websocket_key: None,
        };
        for (name, value) in lines.filter_map(|line| line.split_once(':')) {
            if name.eq_ignore_ascii_case("content-length") {
                request.body = value.trim().parse().expect("a length");
            } else if name.eq_ignore_ascii_case("sec-websocket-key") {
                request.websocket_key = Some(value.trim());
            } else if name.eq_ignore_ascii_case("transfer-encoding") {
                panic!("the stand-in does not take bodies in chunks");
            }
        }
        request
    }

    fn answer(&self) -> String {
        let (status, body) = match (self.method, self.path) {
            ("GET", "/ari/asterisk/info") => ("200 OK", INFO),
            ("GET", path) if path.starts_with("/ari/channels/") => ("200 OK", CHANNEL),
            ("GET", _) => ("404 Not Found", r#"{"message":"Resource not found"}"#),
            _ => ("204 No Content", ""),
        };
        let length = body.len();
        format!("HTTP/1.1 {status}\r\n{HEADER}Content-Length: {length}\r\n\r\n{body}")
    }
}
