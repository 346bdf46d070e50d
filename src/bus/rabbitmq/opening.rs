//! How connections to a broker are opened: an address, a socket with deadlines, TLS, the crate.

use std::io;
use std::net::{Shutdown, SocketAddr, TcpStream, ToSocketAddrs};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use amiquip::{Auth, Connection, ConnectionOptions, ConnectionTuning, Error};
use rustls::ClientConnection;
use rustls::pki_types::ServerName;

use super::stream::{Heard, Listener, Stream};
use super::writer::Writer;
use crate::address::BusServer;
use crate::bus::BusError;
use crate::trust;

/// How long one address may take to accept.
const ADDRESS: Duration = Duration::from_secs(1);
/// How long all of a name's addresses together may, and each step of the TLS handshake.
const CONNECT: Duration = Duration::from_secs(3);
/// How long a broker may be silent until the connection is open. One that refuses a password is
/// silent for three seconds before it hangs up.
const OPEN: Duration = Duration::from_secs(4);
/// Seconds between heartbeats. A peer that is silent for two of them is dead.
pub(super) const HEARTBEAT: u16 = 4;

/// An open connection.
pub(super) struct Opened {
    pub(super) connection: Connection,
    pub(super) cutter: Cutter,
    pub(super) address: SocketAddr,
    #[cfg(feature = "server")]
    pub(super) heard: Arc<Heard>,
    pub(super) writer: Arc<Writer>,
}

/// Ends a connection at once: whoever waits in the crate gets an error.
pub(super) struct Cutter(TcpStream);

impl Cutter {
    pub(super) fn cut(&self) {
        // It may be down already.
        let _ = self.0.shutdown(Shutdown::Both);
    }
}

/// Opens a connection to `server`, shown there under `name`; to this address of it, if one is given.
/// What the broker says that is not for the crate is for `listener`.
pub(super) fn open(
    server: &BusServer,
    name: &str,
    address: Option<SocketAddr>,
    listener: Box<dyn Listener>,
) -> Result<Opened, BusError> {
    let began = Instant::now();
    let unreachable = |error: io::Error| BusError::Unreachable(format!("{server}: {error}"));
    let (socket, address) = match address {
        Some(address) => connect([address].into_iter()),
        None => (server.host.as_str(), server.port)
            .to_socket_addrs()
            .and_then(connect),
    }
    .map_err(unreachable)?;
    let cutter = Cutter(socket.try_clone().map_err(unreachable)?);
    let (socket, tls) = match server.tls {
        true => encrypt(socket, &server.host)
            .map(|(socket, tls)| (socket, Some(tls)))
            .map_err(unreachable)?,
        false => (socket, None),
    };
    let heard = Arc::new(Heard::new());
    // The crate waits for the socket itself.
    socket.set_nonblocking(true).map_err(unreachable)?;
    let writer = socket
        .try_clone()
        .and_then(|socket| Writer::new(socket, tls))
        .map_err(unreachable)?;
    let writer = Arc::new(writer);
    let stream = Stream::new(socket, &writer, Arc::clone(&heard), listener);
    let stream = stream.map_err(unreachable)?;
    let auth = match (&server.username, &server.password) {
        (Some(username), Some(password)) => Auth::Plain {
            username: username.clone(),
            password: password.expose().to_owned(),
        },
        // The user that every broker begins with.
        _ => Auth::default(),
    };
    let options = ConnectionOptions::default()
        .auth(auth)
        .virtual_host(server.vhost.as_str())
        .heartbeat(HEARTBEAT)
        .connection_timeout(Some(OPEN))
        .information(Some(name.to_owned()));
    // Of what waits there are no messages: they do not go through the crate.
    let tuning = ConnectionTuning::default();
    // A thread that the crate has for its heartbeats is called as the one that opens.
    let opened = thread::scope(|scope| {
        let open = || Connection::insecure_open_stream(stream, options, tuning);
        thread::Builder::new()
            .name("amiquip-timer".into())
            .spawn_scoped(scope, open)
            .map(|opening| opening.join().unwrap_or(Err(Error::IoThreadPanic)))
    });
    match opened.map_err(|error| BusError::Unreachable(format!("no thread: {error}")))? {
        Ok(connection) => Ok(Opened {
            connection,
            cutter,
            address,
            #[cfg(feature = "server")]
            heard,
            writer,
        }),
        // To the crate, everything that ends a login is a wrong password.
        Err(Error::InvalidCredentials) if began.elapsed() >= OPEN => {
            Err(refusal(server, &Error::ConnectionTimeout))
        }
        Err(error) => Err(refusal(server, &error)),
    }
}

/// What a failed opening means.
fn refusal(server: &BusServer, error: &Error) -> BusError {
    let refused = |why: &str| BusError::Refused {
        server: server.to_string(),
        why: why.to_owned(),
    };
    match error {
        Error::InvalidCredentials => {
            refused("it hangs up at the login, are user and password right?")
        }
        Error::ServerClosedConnection { message, .. } => refused(message),
        Error::ConnectionTimeout => {
            BusError::Unreachable(format!("{server}: it does not answer, is it stuck?"))
        }
        Error::UnexpectedSocketClose
        | Error::IoErrorReadingSocket { .. }
        | Error::IoErrorWritingSocket { .. } => {
            BusError::Unreachable(format!("{server}: it closes the connection"))
        }
        Error::MalformedFrame => BusError::Unreachable(format!("{server}: it is not RabbitMQ")),
        other => BusError::Unreachable(format!("{server}: {other}")),
    }
}

/// A socket to the first of `addresses` that accepts.
fn connect(addresses: impl Iterator<Item = SocketAddr>) -> io::Result<(TcpStream, SocketAddr)> {
    let deadline = Instant::now() + CONNECT;
    let mut last = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    for address in addresses {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            break;
        }
        match TcpStream::connect_timeout(&address, left.min(ADDRESS)) {
            Ok(socket) => {
                socket.set_nodelay(true)?;
                return Ok((socket, address));
            }
            Err(error) => last = error,
        }
    }
    Err(last)
}

/// Makes the TLS handshake.
fn encrypt(mut socket: TcpStream, host: &str) -> io::Result<(TcpStream, ClientConnection)> {
    socket.set_read_timeout(Some(CONNECT))?;
    socket.set_write_timeout(Some(CONNECT))?;
    let name = ServerName::try_from(host.to_owned()).map_err(io::Error::other)?;
    let mut tls = trust::client()
        .and_then(|client| ClientConnection::new(client, name))
        .map_err(io::Error::other)?;
    while tls.is_handshaking() {
        tls.complete_io(&mut socket)?;
    }
    Ok((socket, tls))
}

#[cfg(test)]
mod tests {
    use super::super::payloads::Notice;
    use super::*;
    use crate::address::BusKind;
    use std::net::TcpListener;

    fn server(port: u16) -> BusServer {
        BusServer {
            bus: BusKind::RabbitMq,
            tls: false,
            host: "127.0.0.1".into(),
            port,
            vhost: "/".into(),
            username: None,
            password: None,
        }
    }

    struct Nobody;

    impl Listener for Nobody {
        fn hear(&mut self, _: Notice, _: &Writer) {}
    }

    /// The error of opening a connection to something that does `this` with it.
    fn error_of(this: impl FnOnce(TcpStream) + Send + 'static) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let peer = thread::spawn(move || this(listener.accept().unwrap().0));
        let error = open(&server(port), "test", None, Box::new(Nobody))
            .err()
            .unwrap()
            .to_string();
        peer.join().unwrap();
        assert!(
            error.contains(&format!("amqp://127.0.0.1:{port}")),
            "{error}"
        );
        error
    }

    #[test]
    fn peers_that_are_no_brokers() {
        use std::io::{Read, Write};
        let closes = error_of(drop);
        assert!(closes.contains("closes the connection"), "{closes}");
        let other = error_of(|mut socket| {
            socket
                .write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n")
                .unwrap();
            let _ = socket.read_to_end(&mut Vec::new());
        });
        assert!(other.contains("127.0.0.1"), "{other}");
    }

    #[test]
    fn nobody_there() {
        let port = TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap()
            .port();
        let error = open(&server(port), "test", None, Box::new(Nobody))
            .err()
            .unwrap();
        assert!(matches!(error, BusError::Unreachable(_)), "{error}");
    }
}
