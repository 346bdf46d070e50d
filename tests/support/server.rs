//! A small HTTP/1.1 and websocket server that speaks like Asterisk's REST interface: keep-alive,
//! Basic authorization, events to websockets by application. A thread per connection.

#[path = "newest.rs"]
mod newest;

use std::collections::{BTreeMap, HashMap};
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use serde_json::{Map, Value, json};
use tungstenite::handshake::derive_accept_key;
use tungstenite::protocol::{Role, WebSocket};

/// A request as it came.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    /// The method.
    pub(crate) method: String,
    /// Path and query as they were sent.
    pub(crate) target: String,
    /// The path as it was sent.
    pub(crate) path: String,
    /// The parameters of the query, decoded.
    pub(crate) query: BTreeMap<String, String>,
    /// The headers, their names in lower case.
    pub(crate) headers: BTreeMap<String, String>,
    /// The body.
    pub(crate) body: Vec<u8>,
}

impl Request {
    /// The body as JSON, null where there is none.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or(Value::Null)
    }

    /// The segments of the path, each decoded.
    pub(crate) fn segments(&self) -> Vec<String> {
        self.path.split('/').skip(1).map(decode).collect()
    }

    /// The path, decoded.
    pub(crate) fn decoded_path(&self) -> String {
        decode(&self.path)
    }

    /// Query and JSON body as one, as they are to Asterisk.
    pub(crate) fn parameters(&self) -> Map<String, Value> {
        let mut all: Map<String, Value> = self
            .query
            .iter()
            .map(|(name, value)| (name.clone(), json!(value)))
            .collect();
        if let Value::Object(body) = self.json() {
            all.extend(body);
        }
        all
    }
}

/// What a request is answered with.
#[derive(Debug, Clone)]
pub(crate) struct Reply {
    status: u16,
    reason: String,
    body: Vec<u8>,
}

impl Reply {
    /// A reply with a body of JSON; none where `body` is null.
    pub(crate) fn new(status: u16, reason: &str, body: &Value) -> Reply {
        Reply {
            status,
            reason: reason.to_owned(),
            body: match body {
                Value::Null => Vec::new(),
                body => body.to_string().into_bytes(),
            },
        }
    }

    /// `200 OK` with `body`.
    pub(crate) fn ok(body: &Value) -> Reply {
        Reply::new(200, "OK", body)
    }

    /// `204 No Content`.
    pub(crate) fn done() -> Reply {
        Reply::new(204, "No Content", &Value::Null)
    }

    /// `404 Not Found` with Asterisk's way of telling why.
    pub(crate) fn not_found(message: &str) -> Reply {
        Reply::new(404, "Not Found", &json!({ "message": message }))
    }

    /// The body as JSON.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or(Value::Null)
    }

    fn bytes(&self) -> Vec<u8> {
        let mut bytes = format!(
            "HTTP/1.1 {} {}\r\nServer: Asterisk\r\nContent-type: application/json\r\n\
             Content-Length: {}\r\n\r\n",
            self.status,
            self.reason,
            self.body.len()
        )
        .into_bytes();
        bytes.extend_from_slice(&self.body);
        bytes
    }
}

/// What answers the requests; it may take its time.
pub(crate) type Answer = dyn Fn(&Request) -> Reply + Send + Sync;

/// A server on a loopback port.
pub(crate) struct Server {
    port: u16,
    shared: Arc<Shared>,
    acceptor: Mutex<Option<JoinHandle<()>>>,
}

struct Shared {
    authorization: String,
    api_key: String,
    answer: Box<Answer>,
    up: AtomicBool,
    next_id: AtomicU64,
    connections: Mutex<HashMap<u64, TcpStream>>,
    websockets: Mutex<Vec<Arc<Socket>>>,
    upgrades: Mutex<Vec<Request>>,
    open: AtomicUsize,
    most_open: AtomicUsize,
}

/// A websocket and the applications it serves.
struct Socket {
    id: u64,
    applications: Vec<String>,
    all: bool,
    writer: Mutex<TcpStream>,
}

impl Server {
    /// Starts a server on `port` that asks for these credentials.
    pub(crate) fn start(port: u16, user: &str, password: &str, answer: Box<Answer>) -> Server {
        let server = Server {
            port,
            shared: Arc::new(Shared {
                authorization: basic(user, password),
                api_key: format!("{user}:{password}"),
                answer,
                up: AtomicBool::new(false),
                next_id: AtomicU64::new(0),
                connections: Mutex::default(),
                websockets: Mutex::default(),
                upgrades: Mutex::default(),
                open: AtomicUsize::new(0),
                most_open: AtomicUsize::new(0),
            }),
            acceptor: Mutex::default(),
        };
        server.up();
        server
    }

    /// Listens again, after [`Server::down`].
    pub(crate) fn up(&self) {
        let start = Instant::now();
        let listener = loop {
            match TcpListener::bind(("127.0.0.1", self.port)) {
                Ok(listener) => break listener,
                Err(error) => assert!(
                    start.elapsed() < Duration::from_secs(10),
                    "cannot listen on port {}: {error}",
                    self.port
                ),
            }
            std::thread::sleep(Duration::from_millis(5));
        };
        self.shared.up.store(true, Ordering::SeqCst);
        let shared = Arc::clone(&self.shared);
        *lock(&self.acceptor) = Some(std::thread::spawn(move || accept(&listener, &shared)));
    }

    /// Refuses connections and cuts those there are.
    pub(crate) fn down(&self) {
        if !self.shared.up.swap(false, Ordering::SeqCst) {
            return;
        }
        // Wakes the acceptor, which closes the listener.
        drop(TcpStream::connect(("127.0.0.1", self.port)));
        if let Some(acceptor) = lock(&self.acceptor).take() {
            let _ = acceptor.join();
        }
        for stream in lock(&self.shared.connections).values() {
            let _ = stream.shutdown(Shutdown::Both);
        }
        lock(&self.shared.websockets).clear();
    }

    /// The port.
    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// Sends a text to the websockets of `application`, or to all of them.
    pub(crate) fn push(&self, application: Option<&str>, text: &[u8]) {
        let frame = text_frame(text);
        let sockets: Vec<_> = lock(&self.shared.websockets)
            .iter()
            .filter(|socket| {
                socket.all || application.is_none_or(|a| socket.applications.iter().any(|b| a == b))
            })
            .cloned()
            .collect();
        for socket in sockets {
            // A websocket that is gone is noticed by its reader.
            let _ = lock(&socket.writer).write_all(&frame);
        }
    }

    /// How many websockets are open.
    pub(crate) fn websockets(&self) -> usize {
        lock(&self.shared.websockets).len()
    }

    /// Closes every connection but the websockets.
    pub(crate) fn close_http(&self) {
        let websockets: Vec<u64> = lock(&self.shared.websockets).iter().map(|s| s.id).collect();
        for (id, stream) in lock(&self.shared.connections).iter() {
            if !websockets.contains(id) {
                let _ = stream.shutdown(Shutdown::Both);
            }
        }
    }

    /// Ends every websocket without a close frame.
    pub(crate) fn drop_websockets(&self) {
        for socket in lock(&self.shared.websockets).drain(..) {
            let _ = lock(&socket.writer).shutdown(Shutdown::Both);
        }
    }

    /// The requests that became websockets.
    pub(crate) fn upgrades(&self) -> Vec<Request> {
        lock(&self.shared.upgrades).clone()
    }

    /// How many connections are open, websockets included.
    pub(crate) fn open(&self) -> usize {
        self.shared.open.load(Ordering::SeqCst)
    }

    /// The most connections that were ever open at once.
    pub(crate) fn most_open(&self) -> usize {
        self.shared.most_open.load(Ordering::SeqCst)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.down();
    }
}

/// Locks, whatever happened to the thread that held it before.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn accept(listener: &TcpListener, shared: &Arc<Shared>) {
    for stream in listener.incoming() {
        if !shared.up.load(Ordering::SeqCst) {
            return;
        }
        let Ok(stream) = stream else { continue };
        let shared = Arc::clone(shared);
        let id = shared.next_id.fetch_add(1, Ordering::Relaxed);
        let Ok(copy) = stream.try_clone() else {
            continue;
        };
        lock(&shared.connections).insert(id, copy);
        let open = shared.open.fetch_add(1, Ordering::SeqCst) + 1;
        shared.most_open.fetch_max(open, Ordering::SeqCst);
        std::thread::spawn(move || {
            let _ = serve(id, &stream, &shared);
            let _ = stream.shutdown(Shutdown::Both);
            lock(&shared.websockets).retain(|socket| socket.id != id);
            lock(&shared.connections).remove(&id);
            shared.open.fetch_sub(1, Ordering::SeqCst);
        });
    }
}

fn serve(id: u64, stream: &TcpStream, shared: &Shared) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut writer = stream.try_clone()?;
    while let Some(request) = read_request(&mut reader)? {
        let wants_websocket = request
            .headers
            .get("upgrade")
            .is_some_and(|value| value.eq_ignore_ascii_case("websocket"));
        let known = request.headers.get("authorization") == Some(&shared.authorization)
            || request.query.get("api_key") == Some(&shared.api_key);
        if !known {
            let body = json!({"message": "Authentication required"});
            writer.write_all(&Reply::new(401, "Unauthorized", &body).bytes())?;
        } else if wants_websocket && request.path == "/ari/events" {
            return serve_websocket(id, request, stream, shared);
        } else {
            writer.write_all(&(shared.answer)(&request).bytes())?;
        }
    }
    Ok(())
}

fn read_request(reader: &mut impl BufRead) -> io::Result<Option<Request>> {
    let Some(line) = read_line(reader)? else {
        return Ok(None);
    };
    let mut words = line.split(' ');
    let method = words.next().unwrap_or_default().to_owned();
    let target = words.next().unwrap_or_default().to_owned();
    let mut headers = BTreeMap::new();
    while let Some(line) = read_line(reader)?.filter(|line| !line.is_empty()) {
        if let Some((name, value)) = line.split_once(':') {
            headers.insert(name.to_ascii_lowercase(), value.trim().to_owned());
        }
    }
    let body = if headers.contains_key("transfer-encoding") {
        read_chunks(reader)?
    } else {
        let length = headers.get("content-length");
        let length = length.and_then(|length| length.parse().ok());
        read_exactly(reader, length.unwrap_or(0))?
    };
    let (path, query) = target.split_once('?').unwrap_or((&target, ""));
    let query = query
        .split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
        .map(|(name, value)| (decode_form(name), decode_form(value)))
        .collect();
    Ok(Some(Request {
        method,
        path: path.to_owned(),
        query,
        headers,
        body,
        target,
    }))
}

fn read_exactly(reader: &mut impl BufRead, length: usize) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; length];
    reader.read_exact(&mut bytes)?;
    Ok(bytes)
}

fn read_chunks(reader: &mut impl BufRead) -> io::Result<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let size = read_line(reader)?.unwrap_or_default();
        let size = usize::from_str_radix(&size, 16).map_err(io::Error::other)?;
        body.extend(read_exactly(reader, size)?);
        // The line that ends a chunk, and after the last one the body.
        read_line(reader)?;
        if size == 0 {
            return Ok(body);
        }
    }
}

fn read_line(reader: &mut impl BufRead) -> io::Result<Option<String>> {
    let mut line = Vec::new();
    if reader.read_until(b'\n', &mut line)? == 0 {
        return Ok(None);
    }
    let line = String::from_utf8_lossy(line.trim_ascii_end()).into_owned();
    Ok(Some(line))
}

fn serve_websocket(
    id: u64,
    request: Request,
    stream: &TcpStream,
    shared: &Shared,
) -> io::Result<()> {
    let key = request.headers.get("sec-websocket-key");
    let accept = derive_accept_key(key.map_or("", |key| key.as_str()).as_bytes());
    let mut writer = stream.try_clone()?;
    let applications = request.query.get("app").map_or("", |app| app.as_str());
    let socket = Arc::new(Socket {
        id,
        applications: applications.split(',').map(str::to_owned).collect(),
        all: request
            .query
            .get("subscribeAll")
            .is_some_and(|all| all == "true"),
        writer: Mutex::new(stream.try_clone()?),
    });
    writer.write_all(
        format!(
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Accept: {accept}\r\n\r\n"
        )
        .as_bytes(),
    )?;
    lock(&shared.upgrades).push(request);
    lock(&shared.websockets).push(Arc::clone(&socket));
    let link = Link {
        stream,
        socket: &socket,
    };
    // Reading answers pings; what is read is of no interest.
    let mut websocket = WebSocket::from_raw_socket(link, Role::Server, None);
    while websocket.read().is_ok() {}
    Ok(())
}

/// A websocket's stream, each write of which is whole frames and goes out under the writer's lock.
struct Link<'a> {
    stream: &'a TcpStream,
    socket: &'a Socket,
}

impl Read for Link<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.stream.read(buffer)
    }
}

impl Write for Link<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        lock(&self.socket.writer).write_all(bytes)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn text_frame(text: &[u8]) -> Vec<u8> {
    let mut frame = vec![0x81];
    match text.len() {
        length @ 0..=125 => frame.push(length as u8),
        length @ 126..=0xffff => {
            frame.push(126);
            frame.extend_from_slice(&(length as u16).to_be_bytes());
        }
        length => {
            frame.push(127);
            frame.extend_from_slice(&(length as u64).to_be_bytes());
        }
    }
    frame.extend_from_slice(text);
    frame
}

fn decode_form(text: &str) -> String {
    decode(&text.replace('+', " "))
}

/// Undoes percent-encoding.
fn decode(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        let hex = after.get(..2).and_then(|hex| std::str::from_utf8(hex).ok());
        match hex.and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
            Some(byte) if first == b'%' => {
                bytes.push(byte);
                rest = &after[2..];
            }
            _ => {
                bytes.push(first);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// The `Authorization` header of a user.
pub(crate) fn basic(user: &str, password: &str) -> String {
    format!("Basic {}", base64(&format!("{user}:{password}")))
}

fn base64(text: &str) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut encoded = String::new();
    for chunk in text.as_bytes().chunks(3) {
        let byte = |index: usize| u32::from(chunk.get(index).copied().unwrap_or(0));
        let bits = (byte(0) << 16) | (byte(1) << 8) | byte(2);
        for digit in 0..4 {
            if digit <= chunk.len() {
                let index = (bits >> (18 - 6 * digit)) & 63;
                encoded.push(char::from(ALPHABET[index as usize]));
            } else {
                encoded.push('=');
            }
        }
    }
    encoded
}
