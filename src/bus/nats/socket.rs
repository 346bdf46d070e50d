//! The socket of a NATS connection of ours, over TLS where that is spoken. One thread reads while
//! another writes; TLS is a state between bytes and bytes, locked for the time of a computation.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::Mutex;
use std::time::Duration;

use rustls::ClientConnection;
use rustls::pki_types::ServerName;

use super::connection::lock;
use crate::trust;

/// How much is read at once, in bytes: whole records of TLS.
const PIECE: usize = 4 * 1024;

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

    /// Speaks TLS from now on, with a peer that can show that it is `host`.
    pub(super) fn encrypt(self, host: &str) -> io::Result<Socket> {
        let name = ServerName::try_from(host.to_owned()).map_err(io::Error::other)?;
        let client = trust::client().map_err(io::Error::other)?;
        let mut tls = ClientConnection::new(client, name).map_err(io::Error::other)?;
        let mut tcp = self.tcp;
        while tls.is_handshaking() {
            tls.complete_io(&mut tcp)?;
        }
        Ok(Socket {
            tcp,
            tls: Some(Mutex::new(tls)),
        })
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
        let read = (&self.tcp).read(&mut piece)?;
        let mut bytes = piece.get(..read).unwrap_or_default();
        let Some(tls) = &self.tls else {
            into.extend_from_slice(bytes);
            return Ok(read > 0);
        };
        let mut session = lock(tls);
        while !bytes.is_empty() {
            session.read_tls(&mut bytes)?;
            let state = session.process_new_packets().map_err(io::Error::other)?;
            let start = into.len();
            into.resize(start + state.plaintext_bytes_to_read(), 0);
            session
                .reader()
                .read_exact(into.get_mut(start..).unwrap_or_default())?;
        }
        Ok(read > 0)
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
