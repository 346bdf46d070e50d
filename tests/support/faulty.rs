//! The HTTP side of an Asterisk that fails in ways that the scripted one cannot: it writes what a
//! test tells it to, byte by byte if need be, and ends connections at any point.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::asterisk::ENTITY_ID;
use super::ports::free_port;
use super::server::lock;

/// A request as far as it matters here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Call {
    /// Method and target.
    pub(crate) line: String,
    /// Whether its connection has served another before.
    pub(crate) reused: bool,
}

/// What is done with a request.
#[derive(Debug, Clone)]
pub(crate) enum Act {
    /// It is answered `200 OK`, and the connection stays.
    Answer,
    /// The connection ends after these bytes.
    Say(Vec<u8>),
    /// The connection is reset, the request not even read.
    Reset,
    /// These bytes first, then one at a time with a pause between them, for as long as they are read.
    Trickle(Vec<u8>, Duration),
    /// These bytes first, then as many more as are read.
    Flood(Vec<u8>),
}

type Script = dyn Fn(&Call) -> Act + Send + Sync;

/// A server on a loopback port; what there is to say of Asterisk itself it always says.
pub(crate) struct FaultyHttp {
    port: u16,
    shared: Arc<Shared>,
}

struct Shared {
    script: Mutex<Arc<Script>>,
    calls: Mutex<Vec<Call>>,
    closed: AtomicBool,
}

impl FaultyHttp {
    /// Starts one that answers everything.
    pub(crate) fn start() -> FaultyHttp {
        let port = free_port();
        let listener = TcpListener::bind(("127.0.0.1", port)).expect("a free port");
        let shared = Arc::new(Shared {
            script: Mutex::new(Arc::new(|_| Act::Answer)),
            calls: Mutex::default(),
            closed: AtomicBool::new(false),
        });
        let acceptor = Arc::clone(&shared);
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                if acceptor.closed.load(Ordering::SeqCst) {
                    return;
                }
                let shared = Arc::clone(&acceptor);
                std::thread::spawn(move || shared.serve(&stream));
            }
        });
        FaultyHttp { port, shared }
    }

    /// What `ari.http_url` must be to reach it.
    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}/ari", self.port)
    }

    /// Has `script` say what is done with requests.
    pub(crate) fn on(&self, script: impl Fn(&Call) -> Act + Send + Sync + 'static) {
        *lock(&self.shared.script) = Arc::new(script);
    }

    /// The requests since this was last asked, but for those for Asterisk's information.
    pub(crate) fn calls(&self) -> Vec<Call> {
        std::mem::take(&mut lock(&self.shared.calls))
    }
}

impl Drop for FaultyHttp {
    fn drop(&mut self) {
        self.shared.closed.store(true, Ordering::SeqCst);
        // Wakes the acceptor.
        drop(TcpStream::connect(("127.0.0.1", self.port)));
    }
}

impl Shared {
    fn serve(&self, stream: &TcpStream) {
        let _ = stream.set_nodelay(true);
        let mut first = [0; 4096];
        let mut reader = BufReader::new(stream);
        let mut reused = false;
        // Looked at before it is read: what is not read resets the connection when it is closed.
        while let Ok(count @ 1..) = peek(&reader, stream, &mut first) {
            let text = String::from_utf8_lossy(&first[..count]).into_owned();
            let line = text.lines().next().unwrap_or_default();
            let line = line.trim_end_matches(" HTTP/1.1").to_owned();
            let info = line.ends_with("/asterisk/info");
            let call = Call { line, reused };
            let act = match info {
                true => Act::Answer,
                false => {
                    lock(&self.calls).push(call.clone());
                    let script = Arc::clone(&lock(&self.script));
                    script(&call)
                }
            };
            if matches!(act, Act::Reset) || read_request(&mut reader).is_none() {
                return;
            }
            let mut writer = stream;
            let written = match act {
                Act::Reset => return,
                Act::Answer => writer.write_all(&answer(info)),
                Act::Say(bytes) => {
                    let _ = writer.write_all(&bytes);
                    return;
                }
                Act::Trickle(bytes, pause) => {
                    let mut written = writer.write_all(&bytes);
                    while written.is_ok() && !self.closed.load(Ordering::SeqCst) {
                        std::thread::sleep(pause);
                        written = writer.write_all(b"x");
                    }
                    return;
                }
                Act::Flood(bytes) => {
                    let more = vec![b'x'; 64 * 1024];
                    let mut written = writer.write_all(&bytes);
                    while written.is_ok() {
                        written = writer.write_all(&more);
                    }
                    return;
                }
            };
            if written.is_err() {
                return;
            }
            reused = true;
        }
    }
}

fn peek(
    reader: &BufReader<&TcpStream>,
    stream: &TcpStream,
    into: &mut [u8],
) -> std::io::Result<usize> {
    assert!(reader.buffer().is_empty(), "one request at a time");
    stream.peek(into)
}

/// Reads a request as a whole.
fn read_request(reader: &mut impl BufRead) -> Option<()> {
    let mut length = 0;
    loop {
        let mut line = String::new();
        reader
            .read_line(&mut line)
            .ok()
            .filter(|count| *count > 0)?;
        if line.trim_end().is_empty() {
            break;
        }
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().ok()?;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()
}

fn answer(info: bool) -> Vec<u8> {
    let body = match info {
        true => {
            format!(r#"{{"system":{{"entity_id":"{ENTITY_ID}"}},"status":{{"startup_time":"1"}}}}"#)
        }
        false => r#"{"id":"a"}"#.to_owned(),
    };
    let length = body.len();
    format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n{body}").into_bytes()
}
