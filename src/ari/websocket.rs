//! The websocket of one application: connect, read frames, ping, notice a dead peer.

use std::io;
use std::time::{Duration, Instant};

use tungstenite::client::client_with_config;
use tungstenite::handshake::HandshakeError;
use tungstenite::handshake::client::generate_key;
use tungstenite::http::{Request, Uri};
use tungstenite::protocol::WebSocketConfig;
use tungstenite::{Bytes, Error, Message, WebSocket};

pub use super::socket::Cutter;
use super::socket::Socket;
use super::{AriError, Credentials};
use crate::config::Ari;
use crate::wire::path::push_query;

/// A frame as received. Clones share its bytes.
pub type Frame = Bytes;

/// How often Asterisk is pinged; it never pings by itself (asterisk-facts.md).
const PING_EVERY: Duration = Duration::from_secs(3);
/// Silence after which Asterisk counts as dead.
const SILENCE: Duration = Duration::from_secs(9);
/// How long each step of connecting may take.
const CONNECT: Duration = Duration::from_secs(5);
/// How long a read waits before the clock is looked at: a little more than it takes until a ping is due,
/// so that one is when nothing has come; three of them are silence.
const LOOK: Duration = Duration::from_millis(3050);
/// How much is read at once. tungstenite writes zeros to what it reads into, each time, so that more
/// costs those who send little.
const READ: usize = 32 * 1024;
/// Largest event taken; 30 kB is the largest seen.
const LARGEST: usize = 16 * 1024 * 1024;

/// A connected websocket.
pub struct Websocket {
    socket: WebSocket<Socket>,
    heard: Instant,
    /// When the last read ended: the clock is looked at once for a frame.
    looked: Instant,
    pinged: Instant,
}

impl Websocket {
    /// Connects for the application of `ari`.
    pub fn connect(ari: &Ari) -> Result<Websocket, AriError> {
        let request = request(ari)?;
        let stream = Socket::connect(request.uri(), CONNECT)?;
        let config = WebSocketConfig::default()
            .read_buffer_size(READ)
            .max_message_size(Some(LARGEST))
            .max_frame_size(Some(LARGEST));
        let (socket, _) =
            client_with_config(request, stream, Some(config)).map_err(|error| match error {
                HandshakeError::Failure(error) => broken(&error),
                // That is how a timeout shows up.
                HandshakeError::Interrupted(_) => AriError::NoHandshake,
            })?;
        let now = Instant::now();
        let mut websocket = Websocket {
            socket,
            heard: now,
            looked: now,
            pinged: now,
        };
        websocket.look_every(LOOK)?;
        Ok(websocket)
    }

    /// Has the clock be looked at every `wait`, where that is shorter than the time between two pings.
    pub fn look_every(&mut self, wait: Duration) -> Result<(), AriError> {
        self.socket
            .get_ref()
            .tcp()
            // None would be for ever.
            .set_read_timeout(Some(wait.clamp(Duration::from_millis(1), LOOK)))
            .map_err(|error| AriError::Broken(error.to_string()))
    }

    /// Begins to count silence: reading begins now.
    pub fn begin(&mut self) {
        self.heard = Instant::now();
        self.looked = self.heard;
    }

    /// When the last frame came.
    pub fn heard(&self) -> Instant {
        self.heard
    }

    /// What ends the websocket from another thread.
    pub fn cutter(&self) -> Result<Cutter, AriError> {
        Cutter::of(self.socket.get_ref()).map_err(|error| AriError::Broken(error.to_string()))
    }

    /// The next frame; none when there was none for a while, so that the caller can look at what
    /// else there is to do.
    pub fn read(&mut self) -> Result<Option<Frame>, AriError> {
        self.socket.get_mut().read_until(self.looked + SILENCE);
        let message = match self.socket.read() {
            Ok(message) => Some(message),
            Err(Error::Io(error))
                if matches!(
                    error.kind(),
                    io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut
                ) =>
            {
                None
            }
            Err(error) => return Err(broken(&error)),
        };
        let now = Instant::now();
        self.looked = now;
        if message.is_some() {
            self.heard = now;
        } else if now.duration_since(self.heard) > SILENCE {
            return Err(AriError::Silent);
        }
        if now.duration_since(self.pinged) >= PING_EVERY {
            self.pinged = now;
            self.socket
                .send(Message::Ping(Bytes::new()))
                .map_err(|error| broken(&error))?;
        }
        match message {
            Some(Message::Text(text)) => Ok(Some(text.into())),
            Some(Message::Binary(bytes)) => Ok(Some(bytes)),
            Some(Message::Close(_)) => Err(AriError::Broken("Asterisk closed it".into())),
            _ => Ok(None),
        }
    }
}

/// What asks for the websocket. The credentials go into a header, and where go-ari-proxy is stood in
/// for into the URL too: it must not be printed.
fn request(ari: &Ari) -> Result<Request<()>, AriError> {
    // What these errors print is not the URL.
    let bad = |error: &dyn std::fmt::Display| {
        AriError::Url(format!("ari.websocket_url cannot be used: {error}"))
    };
    let mut query = String::new();
    push_query(&mut query, "app", &ari.application);
    if ari.api_key {
        let pair = format!("{}:{}", ari.username, ari.password.expose());
        push_query(&mut query, "api_key", &pair);
    }
    let url: Uri = format!("{}?{query}", ari.websocket_url)
        .parse()
        .map_err(|error: tungstenite::http::uri::InvalidUri| bad(&error))?;
    let host = url.authority().map_or("", |authority| authority.as_str());
    let credentials = Credentials::basic(&ari.username, ari.password.expose());
    let mut request = Request::builder()
        .header("Host", host)
        .header("Connection", "Upgrade")
        .header("Upgrade", "websocket")
        .header("Sec-WebSocket-Version", "13")
        .header("Sec-WebSocket-Key", generate_key())
        .header("Authorization", credentials.header());
    if let Some(origin) = &ari.origin {
        request = request.header("Origin", origin);
    }
    request.uri(url).body(()).map_err(|error| bad(&error))
}

fn broken(error: &Error) -> AriError {
    match error {
        Error::Http(response) => AriError::Refused(response.status().as_u16()),
        Error::Io(error) => match error.get_ref().and_then(|inner| inner.downcast_ref()) {
            Some(rustls::Error::InvalidCertificate(why)) => AriError::Untrusted(why.to_string()),
            _ => AriError::Broken(error.to_string()),
        },
        // None of them prints the URL or a header that was sent.
        other => AriError::Broken(other.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{OnReplaced, Secret};
    use std::io::{Read, Write};
    use std::net::TcpListener;

    /// A password that is the same in a URL, so that it is found wherever it comes up.
    const PASSWORD: &str = "hunter2";

    fn ari(url: &str) -> Ari {
        Ari {
            application: "a b&c".to_owned(),
            username: "us er".to_owned(),
            password: Secret::new(PASSWORD),
            http_url: String::new(),
            websocket_url: url.to_owned(),
            origin: None,
            api_key: true,
            asterisk_id: None,
            on_replaced: OnReplaced::Exit,
            replaced_pause: Duration::ZERO,
            snapshot: false,
        }
    }

    fn header<'a>(request: &'a Request<()>, name: &str) -> Option<&'a str> {
        request.headers().get(name)?.to_str().ok()
    }

    #[test]
    fn what_is_sent() {
        let mut ari = ari("ws://h:8088/ari/events");
        let request = request(&ari).unwrap();
        let target = "/ari/events?app=a%20b%26c&api_key=us%20er:hunter2";
        assert_eq!(request.uri().path_and_query().unwrap(), target);
        assert_eq!(header(&request, "Host"), Some("h:8088"));
        let basic = "Basic dXMgZXI6aHVudGVyMg==";
        assert_eq!(header(&request, "Authorization"), Some(basic));
        assert_eq!(header(&request, "Origin"), None);

        ari.password = Secret::new("a:+&=%#ü");
        ari.origin = Some("http://localhost/".to_owned());
        let request = super::request(&ari).unwrap();
        let query = "app=a%20b%26c&api_key=us%20er:a:%2B%26%3D%25%23%C3%BC";
        assert_eq!(request.uri().query(), Some(query));
        assert_eq!(header(&request, "Origin"), Some("http://localhost/"));

        ari.api_key = false;
        let request = super::request(&ari).unwrap();
        assert_eq!(request.uri().query(), Some("app=a%20b%26c"));
    }

    #[test]
    fn urls_that_cannot_be_used_are_not_printed() {
        let mut long = ari("ws://h");
        long.password = Secret::new(PASSWORD.repeat(10_000));
        let mut odd = ari("ws://h");
        odd.origin = Some("a\r\nb".to_owned());
        for ari in [ari("ws://h\\"), ari("ws://:"), ari("no"), long, odd] {
            let error = Websocket::connect(&ari).err().unwrap();
            assert!(!format!("{error} {error:?}").contains(PASSWORD), "{error}");
        }
    }

    /// Servers that say the request back to who sent it, in every way that tungstenite refuses.
    #[test]
    fn no_answer_has_the_request_printed() {
        let accepted =
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade";
        for answer in [
            "".to_owned(),
            "{request}".to_owned(),
            "HTTP/1.0 200 OK\r\n\r\n{request}".to_owned(),
            "HTTP/1.1 200 {target}\r\n\r\n{request}".to_owned(),
            "HTTP/1.1 302 Found\r\nLocation: {target}\r\n\r\n".to_owned(),
            "HTTP/1.1 401 {target}\r\n{target}: x\r\n\r\n".to_owned(),
            "HTTP/1.1 400 Bad Request\r\nX: {target}\r\n\r\n{request}".to_owned(),
            "HTTP/1.1 101 {target}\r\nUpgrade: {target}\r\n\r\n".to_owned(),
            format!("{accepted}\r\nSec-WebSocket-Accept: {{target}}\r\n\r\n"),
            format!("{accepted}\r\nSec-WebSocket-Protocol: {{target}}\r\n\r\n"),
            format!("{accepted}\r\nX: \u{0}{{target}}\r\n\r\n"),
        ] {
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            let url = format!("ws://{}/ari/events", listener.local_addr().unwrap());
            let server = std::thread::spawn(move || {
                let (mut stream, _) = listener.accept().unwrap();
                let mut request = Vec::new();
                let mut byte = [0];
                while !request.ends_with(b"\r\n\r\n") && stream.read(&mut byte).unwrap() == 1 {
                    request.push(byte[0]);
                }
                let request = String::from_utf8(request).unwrap();
                let target = request.split(' ').nth(1).unwrap().to_owned();
                let answer = answer.replace("{request}", &request);
                let answer = answer.replace("{target}", &target);
                stream.write_all(answer.as_bytes()).unwrap();
                request
            });
            let error = Websocket::connect(&ari(&url)).err().unwrap();
            let request = server.join().unwrap();
            assert!(request.contains(PASSWORD), "{request}");
            let said = format!("{error} {error:?}");
            assert!(
                !said.contains(PASSWORD) && !said.contains("aHVudGVyMg"),
                "{said}"
            );
        }
    }
}
