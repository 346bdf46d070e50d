//! TCP or TLS to the websocket's host, every step with a deadline: tungstenite's own `connect` has
//! none, and its errors print the URL.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream, ToSocketAddrs};
use std::time::{Duration, Instant};

use rustls::pki_types::ServerName;
use rustls::{ClientConnection, StreamOwned};
use tungstenite::http::Uri;

use super::error::AriError;
use crate::trust;

/// A connected stream that must be read to some end within a time: each read has its own limit, but
/// a peer that sends a byte at a time keeps all of them.
pub(super) struct Socket {
    stream: Stream,
    deadline: Option<Instant>,
}

enum Stream {
    /// `ws://`
    Plain(TcpStream),
    /// `wss://`
    Tls(Box<StreamOwned<ClientConnection, TcpStream>>),
}

impl Socket {
    /// Connects to the host of `url`, trying its addresses in turn, each for `timeout`. The same
    /// timeout then bounds every read and write.
    pub(super) fn connect(url: &Uri, timeout: Duration) -> Result<Socket, AriError> {
        let tls = url.scheme_str() == Some("wss");
        let host = url.host().unwrap_or_default();
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let port = url.port_u16().unwrap_or(if tls { 443 } else { 80 });
        let failed = |error: io::Error| AriError::Connect {
            address: format!("{host}:{port}"),
            error,
        };
        let mut last = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
        for address in (host, port).to_socket_addrs().map_err(failed)? {
            match TcpStream::connect_timeout(&address, timeout) {
                Ok(stream) => {
                    stream
                        .set_nodelay(true)
                        .and_then(|()| stream.set_read_timeout(Some(timeout)))
                        .and_then(|()| stream.set_write_timeout(Some(timeout)))
                        .map_err(failed)?;
                    return if tls {
                        Socket::encrypt(stream, host)
                    } else {
                        Ok(Socket::new(Stream::Plain(stream)))
                    };
                }
                Err(error) => last = error,
            }
        }
        Err(failed(last))
    }

    fn encrypt(stream: TcpStream, host: &str) -> Result<Socket, AriError> {
        let name = ServerName::try_from(host.to_owned())
            .map_err(|error| AriError::Url(format!("'{host}' cannot be checked: {error}")))?;
        let session = trust::client()
            .and_then(|client| ClientConnection::new(client, name))
            .map_err(|error| AriError::Broken(error.to_string()))?;
        let tls = Box::new(StreamOwned::new(session, stream));
        Ok(Socket::new(Stream::Tls(tls)))
    }

    fn new(stream: Stream) -> Socket {
        Socket {
            stream,
            deadline: None,
        }
    }

    /// Reads fail after `deadline`, whatever comes.
    pub(super) fn read_until(&mut self, deadline: Instant) {
        self.deadline = Some(deadline);
    }

    /// The TCP connection below.
    pub(super) fn tcp(&self) -> &TcpStream {
        match &self.stream {
            Stream::Plain(tcp) => tcp,
            Stream::Tls(tls) => &tls.sock,
        }
    }
}

impl Read for Socket {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self
            .deadline
            .is_some_and(|deadline| Instant::now() > deadline)
        {
            return Err(io::Error::other("a frame does not end"));
        }
        loop {
            let read = match &mut self.stream {
                Stream::Plain(tcp) => tcp.read(buffer),
                Stream::Tls(tls) => tls.read(buffer),
            };
            match read {
                // A process that was stopped goes on.
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                read => return read,
            }
        }
    }
}

impl Write for Socket {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        match &mut self.stream {
            Stream::Plain(tcp) => tcp.write(buffer),
            Stream::Tls(tls) => tls.write(buffer),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match &mut self.stream {
            Stream::Plain(tcp) => tcp.flush(),
            Stream::Tls(tls) => tls.flush(),
        }
    }
}

/// Ends a socket from another thread, whatever that is waiting for.
#[derive(Debug)]
pub struct Cutter(TcpStream);

impl Cutter {
    pub(super) fn of(socket: &Socket) -> io::Result<Cutter> {
        socket.tcp().try_clone().map(Cutter)
    }

    /// Ends the socket.
    pub fn cut(&self) {
        // It may have ended by itself.
        let _ = self.0.shutdown(Shutdown::Both);
    }
}
