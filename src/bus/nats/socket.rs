//! The socket of a NATS connection of ours, over TLS where that is spoken. One thread reads while
//! another writes; TLS is a state between bytes and bytes, locked for the time of a computation.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::Mutex;
use std::time::Duration;

use rustls::ClientConnection;
use rustls::pki_types::ServerName;

use super::lock;
use crate::trust;

/// How much is read at once, in bytes: whole records of TLS.
const PIECE: usize = 16 * 1024;

/// A connected socket.
pub(super) struct Socket {
    tcp: TcpStream,
    tls: Option<Mutex<ClientConnection>>,
}

impl Socket {
    /// Without TLS.
    pub(super) fn plain(tcp: TcpStream) -> Socket {
        Socket { tcp, tls: None }
    }

    /// Speaks TLS from now on, with a peer that can show that it is `host`. Nothing else is to be
    /// written before both [agree](Socket::agrees).
    pub(super) fn encrypt(self, host: &str) -> io::Result<Socket> {
        let name = ServerName::try_from(host.to_owned()).map_err(io::Error::other)?;
        let client = trust::client().map_err(io::Error::other)?;
        let tls = ClientConnection::new(client, name).map_err(io::Error::other)?;
        Ok(Socket {
            tcp: self.tcp,
            tls: Some(Mutex::new(tls)),
        })
    }

    /// Says what TLS has to say; whether both sides agree on it by now. If not, more is to be read.
    pub(super) fn agrees(&self) -> io::Result<bool> {
        self.write(&[])?;
        let tls = self.tls.as_ref();
        Ok(tls.is_none_or(|tls| !lock(tls).is_handshaking()))
    }

    /// Writes all of `bytes`. To be called by one thread at a time.
    pub(super) fn write(&self, bytes: &[u8]) -> io::Result<()> {
        let Some(tls) = &self.tls else {
            return (&self.tcp).write_all(bytes);
        };
        let mut rest = bytes;
        let mut records = Vec::new();
        loop {
            let mut session = lock(tls);
            let accepted = session.writer().write(rest)?;
            rest = rest.get(accepted..).unwrap_or_default();
            while session.wants_write() {
                session.write_tls(&mut records)?;
            }
            drop(session);
            (&self.tcp).write_all(&records)?;
            records.clear();
            if rest.is_empty() {
                return Ok(());
            }
        }
    }

    /// Reads what there is to the end of `into`; whether the peer may say more. To be called by one
    /// thread at a time. Nothing read is not the end: over TLS not all that comes is for us.
    pub(super) fn read(&self, into: &mut Vec<u8>) -> io::Result<bool> {
        let mut piece = [0; PIECE];
        let read = loop {
            match (&self.tcp).read(&mut piece) {
                // A process that was stopped goes on.
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                read => break read?,
            }
        };
        let mut bytes = piece.get(..read).unwrap_or_default();
        let Some(tls) = &self.tls else {
            into.extend_from_slice(bytes);
            return Ok(read > 0);
        };
        let mut session = lock(tls);
        while !bytes.is_empty() {
            if session.read_tls(&mut bytes)? == 0 {
                // It has taken leave, and what it says then is not TLS.
                return Ok(false);
            }
            let state = session.process_new_packets().map_err(io::Error::other)?;
            let start = into.len();
            into.resize(start + state.plaintext_bytes_to_read(), 0);
            session
                .reader()
                .read_exact(into.get_mut(start..).unwrap_or_default())?;
        }
        Ok(read > 0)
    }

    /// Whether TLS is spoken.
    #[cfg(feature = "server")]
    pub(super) fn is_encrypted(&self) -> bool {
        self.tls.is_some()
    }

    /// The TCP connection below.
    pub(super) fn tcp(&self) -> &TcpStream {
        &self.tcp
    }

    /// How long a read may wait.
    pub(super) fn set_read_timeout(&self, limit: Duration) -> io::Result<()> {
        self.tcp.set_read_timeout(Some(limit))
    }

    /// Ends it, whoever reads or writes.
    pub(super) fn shut(&self) {
        // It may have ended by itself.
        let _ = self.tcp.shutdown(Shutdown::Both);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crossbeam_channel::bounded;
    use rustls::crypto::ring::default_provider;
    use rustls::pki_types::pem::PemObject;
    use rustls::pki_types::{CertificateDer, PrivateKeyDer};
    use rustls::{ClientConfig, RootCertStore, ServerConfig, ServerConnection};
    use std::net::TcpListener;
    use std::sync::Arc;
    use std::thread;

    fn file(name: &str) -> String {
        format!("{}/tests/data/tls/{name}", env!("CARGO_MANIFEST_DIR"))
    }

    fn client() -> ClientConnection {
        let mut roots = RootCertStore::empty();
        let authority = CertificateDer::from_pem_file(file("ca.pem")).unwrap();
        roots.add(authority).unwrap();
        let config = ClientConfig::builder_with_provider(Arc::new(default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        let name = ServerName::try_from("localhost").unwrap();
        ClientConnection::new(Arc::new(config), name).unwrap()
    }

    fn server() -> ServerConnection {
        let certificate = CertificateDer::from_pem_file(file("server.pem")).unwrap();
        let key = PrivateKeyDer::from_pem_file(file("server.key")).unwrap();
        let config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate], key)
            .unwrap();
        ServerConnection::new(Arc::new(config)).unwrap()
    }

    /// Both ends of a connection over TLS.
    fn agreed() -> (Socket, ServerConnection, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let tcp = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let mut other = listener.accept().unwrap().0;
        let serving = thread::spawn(move || {
            let mut session = server();
            while session.is_handshaking() {
                session.complete_io(&mut other).unwrap();
            }
            (session, other)
        });
        let socket = Socket {
            tcp,
            tls: Some(Mutex::new(client())),
        };
        let mut early = Vec::new();
        while !socket.agrees().unwrap() {
            assert!(socket.read(&mut early).unwrap());
        }
        assert!(early.is_empty());
        let (session, other) = serving.join().unwrap();
        (socket, session, other)
    }

    #[test]
    fn much_both_ways_and_new_keys() {
        let (socket, mut session, mut other) = agreed();
        let much = vec![b'x'; 1024 * 1024];
        thread::scope(|scope| {
            scope.spawn(|| {
                let mut stream = rustls::Stream::new(&mut session, &mut other);
                let mut came = vec![0; much.len()];
                stream.read_exact(&mut came).unwrap();
                assert!(came == much);
                stream.write_all(&came).unwrap();
                session.refresh_traffic_keys().unwrap();
                let mut stream = rustls::Stream::new(&mut session, &mut other);
                stream.write_all(b"new").unwrap();
                stream.read_exact(&mut [0; 3]).unwrap();
            });
            socket.write(&much).unwrap();
            let mut came = Vec::new();
            while came.len() < much.len() + 3 {
                assert!(socket.read(&mut came).unwrap());
            }
            assert!(came.ends_with(b"xnew"));
            socket.write(b"ans").unwrap();
        });
    }

    #[test]
    fn what_comes_after_leave_was_taken_is_the_end() {
        let (socket, mut session, mut other) = agreed();
        session.send_close_notify();
        session.complete_io(&mut other).unwrap();
        let (over, ended) = bounded(1);
        let reading = thread::spawn(move || {
            let mut came = Vec::new();
            while matches!(socket.read(&mut came), Ok(true)) {
                let _ = over.send(false);
            }
            let _ = over.send(true);
        });
        // What it said before, and that it leaves.
        while !ended.recv_timeout(Duration::from_secs(10)).unwrap() {
            let _ = other.write_all(b"more");
        }
        reading.join().unwrap();
    }
}
