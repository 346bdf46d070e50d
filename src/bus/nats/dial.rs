//! How a NATS connection of ours begins: TCP, the server's INFO, TLS, who we are.

use std::io;
use std::net::{TcpStream, ToSocketAddrs};
use std::time::{Duration, Instant};

use super::protocol::{self, PING, PONG};
use super::said::{Info, Lines, NotNats, Said};
use super::socket::Socket;
use crate::address::BusServer;
use crate::bus::BusError;

/// How long a server may take to accept, and how long for all that it says then.
const GREETING: Duration = Duration::from_secs(2);

/// A connection to a server that has let us in.
pub(super) struct Dialled {
    pub(super) socket: Socket,
    pub(super) info: Info,
    /// What it said since.
    pub(super) lines: Lines,
}

/// Connects to `server` as `name`, its addresses in turn. Messages of up to `largest` bytes are taken whole.
pub(super) fn dial(server: &BusServer, name: &str, largest: usize) -> Result<Dialled, BusError> {
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
        let talk = Talk {
            server,
            lines: Lines::of_messages(largest),
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

fn no_server() -> io::Error {
    io::Error::other("it is not a NATS server")
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
    fn begin(mut self, tcp: TcpStream, name: &str) -> Result<Dialled, Failure> {
        tcp.set_nodelay(true)?;
        tcp.set_write_timeout(Some(GREETING))?;
        let socket = Socket::plain(tcp);
        let Said::Info(info) = self.next(&socket)? else {
            return Err(no_server().into());
        };
        let info: Info = serde_json::from_str(&info)
            .map_err(|error| io::Error::other(format!("its INFO cannot be read: {error}")))?;
        let tls = self.server.tls || info.tls_required;
        let socket = match tls {
            true => self
                .encrypt(socket)
                .map_err(|error| match is_timeout(&error) {
                    true => Failure::Io(error),
                    false => Failure::Refused(error.to_string()),
                })?,
            false => socket,
        };
        let connect = protocol::connect(self.server, name, tls, info.headers);
        socket.write(&[connect.as_bytes(), PING].concat())?;
        loop {
            match self.next(&socket)? {
                Said::Pong => break,
                Said::Ping => socket.write(PONG)?,
                Said::Error(why) => return Err(Failure::Refused(why)),
                Said::Info(_) | Said::Message(_) | Said::Other => {}
            }
        }
        // From now on a write waits as long as the link lives.
        socket.tcp().set_write_timeout(None)?;
        Ok(Dialled {
            socket,
            info,
            lines: self.lines,
        })
    }

    /// Has TLS be spoken on `socket`.
    fn encrypt(&mut self, socket: Socket) -> io::Result<Socket> {
        // What came before TLS anybody may have said.
        self.lines.forget();
        let socket = socket.encrypt(&self.server.host)?;
        while !socket.agrees()? {
            self.read(&socket).inspect_err(|_| {
                // What is wrong with it the server may log.
                let _ = socket.agrees();
            })?;
        }
        Ok(socket)
    }

    /// What it says next, before the deadline.
    fn next(&mut self, socket: &Socket) -> io::Result<Said> {
        loop {
            if let Some(said) = self.lines.next().map_err(|NotNats| no_server())? {
                return Ok(said);
            }
            self.read(socket)?;
        }
    }

    /// Reads what there is, before the deadline.
    fn read(&mut self, socket: &Socket) -> io::Result<()> {
        let left = self.deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(io::ErrorKind::TimedOut.into());
        }
        socket.set_read_timeout(left)?;
        match socket.read(self.lines.end())? {
            true => Ok(()),
            false => Err(io::Error::other("it ended the connection")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::address::BusKind;
    use std::io::{Read, Write};
    use std::net::TcpListener;
    use std::thread;

    fn server(listener: &TcpListener) -> BusServer {
        BusServer {
            bus: BusKind::Nats,
            tls: false,
            host: "127.0.0.1".into(),
            port: listener.local_addr().unwrap().port(),
            vhost: String::new(),
            username: None,
            password: None,
        }
    }

    /// What comes of a server that says `words` and no more.
    fn dialled(words: &'static [u8]) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let server = server(&listener);
        let (over, ended) = crossbeam_channel::bounded::<()>(0);
        let other = thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            stream.write_all(words).unwrap();
            let _ = ended.recv();
        });
        let outcome = dial(&server, "n", 1).err().unwrap().to_string();
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
    fn a_server_that_says_a_byte_at_a_time() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let server = server(&listener);
        let dripping = thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            stream.set_nodelay(true).unwrap();
            stream
                .write_all(b"INFO {\"tls_required\":true}\r\n")
                .unwrap();
            // It speaks once TLS is spoken to it.
            stream.read_exact(&mut [0]).unwrap();
            // A record of TLS that is long enough not to end.
            let begin = [22, 3, 3, 0x40, 0, 2, 0, 0x20];
            let mut drops = begin.into_iter().chain(std::iter::repeat(0));
            while stream.write_all(&[drops.next().unwrap()]).is_ok() {
                // Its pace.
                thread::sleep(Duration::from_millis(20));
            }
        });
        let outcome = dial(&server, "n", 1).err().unwrap().to_string();
        assert!(outcome.contains("is it stuck?"), "{outcome}");
        dripping.join().unwrap();
    }

    #[test]
    fn a_server_that_stops_in_the_middle() {
        assert!(dialled(b"INFO {}\r\n").contains("is it stuck?"));
    }
}
