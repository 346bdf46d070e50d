//! How a NATS connection of ours begins: TCP, the server's INFO, TLS, who we are.

use std::io;
use std::net::{TcpStream, ToSocketAddrs};
use std::time::{Duration, Instant};

use super::protocol::{self, Info, Lines, PING, PONG, Said};
use super::socket::Socket;
use crate::bus::BusError;
use crate::config::BusServer;

/// How long a server may take to accept, and how long for all that it says then.
const GREETING: Duration = Duration::from_secs(2);

/// A connection to a server that has let us in.
pub(super) struct Dialled {
    pub(super) socket: Socket,
    pub(super) info: Info,
    pub(super) greeting: Greeting,
    /// What it said since.
    pub(super) lines: Lines,
}

/// What is learnt of a server before the crate connects to it.
#[derive(Clone, Copy)]
pub(super) struct Greeting {
    /// Whether TLS is spoken with it.
    pub(super) tls: bool,
}

/// Connects to `server` as `name`, its addresses in turn.
pub(super) fn dial(server: &BusServer, name: &str) -> Result<Dialled, BusError> {
    let unreachable =
        |why: &dyn std::fmt::Display| BusError::Unreachable(format!("{server}: {why}"));
    let addresses = (server.host.as_str(), server.port)
        .to_socket_addrs()
        .map_err(|error| unreachable(&error))?;
    let mut last = unreachable(&"the name has no address");
    for address in addresses {
        let tcp = match TcpStream::connect_timeout(&address, GREETING) {
            Ok(tcp) => tcp,
            Err(error) => {
                last = unreachable(&error);
                continue;
            }
        };
        let mut talk = Talk {
            server,
            lines: Lines::default(),
            deadline: Instant::now() + GREETING,
        };
        match talk.begin(tcp, name) {
            Ok(dialled) => return Ok(dialled),
            Err(Failure::Refused(why)) => {
                last = BusError::Refused {
                    server: server.to_string(),
                    why,
                };
            }
            Err(Failure::Io(error)) if is_timeout(&error) => {
                last = unreachable(&"it does not answer, is it stuck?");
            }
            Err(Failure::Io(error)) => last = unreachable(&error),
        }
    }
    Err(last)
}

pub(super) fn is_timeout(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut
    )
}

enum Failure {
    Io(io::Error),
    /// The server's words, or what is wrong with its certificate.
    Refused(String),
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Failure {
        Failure::Io(error)
    }
}

/// What is said until a server has let us in.
struct Talk<'a> {
    server: &'a BusServer,
    lines: Lines,
    deadline: Instant,
}

impl Talk<'_> {
    fn begin(&mut self, tcp: TcpStream, name: &str) -> Result<Dialled, Failure> {
        tcp.set_nodelay(true)?;
        tcp.set_write_timeout(Some(GREETING))?;
        let socket = Socket::plain(tcp);
        let line = self.line(&socket)?;
        let Said::Info(info) = Said::of(&line) else {
            return Err(io::Error::other("it is not a NATS server").into());
        };
        let info: Info = serde_json::from_str(info)
            .map_err(|error| io::Error::other(format!("its INFO cannot be read: {error}")))?;
        let tls = self.server.tls || info.tls_required;
        let socket = match tls {
            true => {
                self.patience(&socket)?;
                // What came before TLS anybody may have said.
                self.lines = Lines::default();
                socket
                    .encrypt(&self.server.host)
                    .map_err(|error| match is_timeout(&error) {
                        true => Failure::Io(error),
                        false => Failure::Refused(error.to_string()),
                    })?
            }
            false => socket,
        };
        let connect = protocol::connect(self.server, name, tls);
        socket.write(&[connect.as_bytes(), PING].concat())?;
        loop {
            let line = self.line(&socket)?;
            match Said::of(&line) {
                Said::Pong => break,
                Said::Ping => socket.write(PONG)?,
                Said::Error(why) => return Err(Failure::Refused(why.to_owned())),
                Said::Info(_) | Said::Other(_) => {}
            }
        }
        // From now on a write waits as long as the link lives.
        socket.tcp().set_write_timeout(None)?;
        Ok(Dialled {
            socket,
            info,
            greeting: Greeting { tls },
            lines: std::mem::take(&mut self.lines),
        })
    }

    /// The next line, before the deadline.
    fn line(&mut self, socket: &Socket) -> io::Result<String> {
        loop {
            if let Some(line) = self.lines.next() {
                return Ok(line);
            }
            if self.lines.is_too_long() {
                return Err(io::Error::other("it is not a NATS server"));
            }
            self.patience(socket)?;
            if !socket.read(self.lines.end())? {
                return Err(io::Error::other("it ended the connection"));
            }
        }
    }

    /// Has reads wait until the deadline.
    fn patience(&self, socket: &Socket) -> io::Result<()> {
        let left = self.deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(io::ErrorKind::TimedOut.into());
        }
        socket.set_read_timeout(left)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::BusKind;
    use std::io::Write;
    use std::net::TcpListener;
    use std::thread;

    /// What comes of a server that says `words` and no more.
    fn dialled(words: &'static [u8]) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let server = BusServer {
            bus: BusKind::Nats,
            tls: false,
            host: "127.0.0.1".into(),
            port: listener.local_addr().unwrap().port(),
            vhost: String::new(),
            username: None,
            password: None,
        };
        let (over, ended) = crossbeam_channel::bounded::<()>(0);
        let other = thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            stream.write_all(words).unwrap();
            let _ = ended.recv();
        });
        let outcome = dial(&server, "n").err().unwrap().to_string();
        drop(over);
        other.join().unwrap();
        outcome
    }

    #[test]
    fn a_server_that_is_no_nats_server() {
        assert!(dialled(b"SSH-2.0-x\r\n").contains("not a NATS"));
        assert!(dialled(b"INFO [\r\n").contains("INFO cannot be read"));
    }

    #[test]
    fn a_server_that_refuses() {
        let refused = dialled(b"INFO {}\r\n-ERR 'Authorization Violation'\r\n");
        assert!(
            refused.contains("refuses us: Authorization Violation"),
            "{refused}"
        );
    }

    #[test]
    fn a_server_that_stops_in_the_middle() {
        assert!(dialled(b"INFO {}\r\n").contains("is it stuck?"));
    }
}
