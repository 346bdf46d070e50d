//! How a NATS connection is opened: the greeting of the server, the options of the crate.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use serde_json::json;

use super::connection::{Connection, RECONNECT, reads};
use crate::bus::places::Remains;
use crate::bus::{Loss, Terms};
use crate::config::BusServer;
use crate::logging::Occasionally;

/// How long a server may take to accept and to say its INFO.
const GREETING: Duration = Duration::from_secs(2);
/// Most that is read of what a server says, in bytes.
const LONGEST_TALK: u64 = 64 * 1024;

/// How the crate's words begin when more messages wait in a subscription than may: it drops the newest.
const TOO_MANY: &str = "slow consumer";
/// How long the crate's reading thread waits after that: long enough for a tenth of them to be taken.
const BREATH: Duration = Duration::from_millis(10);

/// The options of a connection that is let go as soon as it breaks.
pub(super) fn options(
    server: &BusServer,
    tls: bool,
    terms: &Terms,
    connection: &Arc<Connection>,
    remains: &Arc<Remains>,
) -> nats::Options {
    let options = match (&server.username, &server.password) {
        (Some(user), Some(password)) => nats::Options::with_user_pass(user, password.expose()),
        (Some(token), None) => nats::Options::with_token(token),
        _ => nats::Options::new(),
    };
    let occasionally = Occasionally::new();
    let too_many = Occasionally::new();
    let losses = Arc::clone(&terms.losses);
    let broken = Arc::downgrade(connection);
    let connecting = Arc::downgrade(connection);
    let speaking = Arc::downgrade(connection);
    let remains = Arc::downgrade(remains);
    let options = options
        .with_name(&terms.name)
        .max_reconnects(1)
        // A message for a connection that is broken must fail, not wait in the crate.
        .reconnect_buffer_size(0)
        .reconnect_delay_callback(move |_| {
            reads(&connecting, &remains);
            match connecting.upgrade() {
                Some(connection) if connection.has_ended() => RECONNECT,
                _ => Duration::ZERO,
            }
        })
        .disconnect_callback(move || {
            if let Some(connection) = broken.upgrade() {
                connection.broke();
            }
        })
        // A refused permission comes with every message: said now and then. What a server says to our
        // last word is as it should be.
        .error_callback(move |error| {
            if error.to_string().starts_with(TOO_MANY) {
                losses(Loss::Request);
                if too_many.now() {
                    log::warn!(
                        "bus: more requests come than can be refused; some are dropped unanswered"
                    );
                }
                // Who has more to send than is read waits; and so the loss is small.
                thread::sleep(BREATH);
                return;
            }
            let ended = speaking.upgrade().is_none_or(|it| it.has_ended());
            if !ended && occasionally.now() {
                log::warn!("bus: {error}");
            } else {
                log::debug!("bus: {error}");
            }
        });
    // Without a file of certificates the crate loads the system's, which takes milliseconds and can
    // fail; a plain link needs none.
    let nothing = Path::new("/dev/null");
    if !tls && nothing.exists() {
        return options.add_root_certificate(nothing);
    }
    options
}

/// The URL of `server` for the crate, without user and password.
pub(super) fn address(server: &BusServer, tls: bool) -> String {
    let scheme = if tls { "tls" } else { "nats" };
    let BusServer { host, port, .. } = server;
    if host.contains(':') {
        format!("{scheme}://[{host}]:{port}")
    } else {
        format!("{scheme}://{host}:{port}")
    }
}

/// What is learnt of a server before the crate connects to it.
pub(super) struct Greeting {
    /// Whether TLS is spoken with it.
    pub(super) tls: bool,
    /// Whether it is on this machine.
    pub(super) loopback: bool,
    /// Whether it takes headers.
    pub(super) headers: bool,
}

/// Reads a server's INFO and, without TLS, has it answer a PING; none where it is no NATS server.
fn talk(mut stream: TcpStream, server: &BusServer) -> io::Result<Option<Greeting>> {
    stream.set_read_timeout(Some(GREETING))?;
    stream.set_write_timeout(Some(GREETING))?;
    let mut lines = BufReader::new(stream.try_clone()?.take(LONGEST_TALK));
    let mut line = String::new();
    lines.read_line(&mut line)?;
    if !line.starts_with("INFO ") {
        return Ok(None);
    }
    let says = |what: &str| line.contains(&format!("\"{what}\":true"));
    let greeting = Greeting {
        tls: server.tls || says("tls_required"),
        loopback: stream.peer_addr()?.ip().is_loopback(),
        headers: says("headers"),
    };
    if greeting.tls {
        return Ok(Some(greeting));
    }
    let mut connect = json!({"verbose": false, "pedantic": false, "name": "ari-proxy greeting"});
    match (&server.username, &server.password) {
        (Some(user), Some(password)) => {
            connect["user"] = user.as_str().into();
            connect["pass"] = password.expose().into();
        }
        (Some(token), None) => connect["auth_token"] = token.as_str().into(),
        _ => {}
    }
    stream.write_all(format!("CONNECT {connect}\r\nPING\r\n").as_bytes())?;
    loop {
        line.clear();
        if lines.read_line(&mut line)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        // A refusal is told better by the crate, which meets it next.
        if line.starts_with("PONG") || line.starts_with("-ERR") {
            return Ok(Some(greeting));
        }
    }
}

/// Asks a server for its INFO and a PONG on a socket of ours, so that one that is stuck does not
/// hang the crate, which nothing frees.
pub(super) fn greet(server: &BusServer) -> io::Result<Greeting> {
    let mut last = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    for address in (server.host.as_str(), server.port).to_socket_addrs()? {
        match TcpStream::connect_timeout(&address, GREETING).and_then(|s| talk(s, server)) {
            Ok(Some(greeting)) => return Ok(greeting),
            Ok(None) => last = io::Error::other("it is not a NATS server"),
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut
                ) =>
            {
                last = io::Error::new(io::ErrorKind::TimedOut, "it does not answer, is it stuck?");
            }
            Err(error) => last = error,
        }
    }
    Err(last)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::BusKind;
    use std::thread;

    fn server(host: &str) -> BusServer {
        BusServer {
            bus: BusKind::Nats,
            tls: false,
            host: host.into(),
            port: 4222,
            vhost: String::new(),
            username: None,
            password: None,
        }
    }

    #[test]
    fn addresses() {
        assert_eq!(address(&server("nats"), false), "nats://nats:4222");
        assert_eq!(address(&server("::1"), true), "tls://[::1]:4222");
    }

    #[test]
    fn a_server_that_is_no_nats_server() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let other = thread::spawn(move || {
            use std::io::Write;
            let (mut stream, _) = listener.accept().unwrap();
            stream.write_all(b"SSH-2.0-x\r\n").unwrap();
        });
        let server = BusServer {
            port,
            ..server("127.0.0.1")
        };
        assert!(
            greet(&server)
                .err()
                .is_some_and(|error| error.to_string().contains("not a NATS"))
        );
        other.join().unwrap();
    }
}
