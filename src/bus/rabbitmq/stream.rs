//! The socket that the crate is given: without Nagle's delay, which it does not switch off, over TLS
//! where that is wanted, and with [`Frames`] between.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use amiquip::IoStream;
use mio::{Evented, Poll, PollOpt, Ready, Token};
use rustls::ClientConnection;

use super::frames::Frames;

/// A connection to a broker.
pub(super) struct Stream {
    wire: Wire,
    frames: Frames,
    heard: Arc<Heard>,
}

/// When a broker was last heard of.
pub(super) struct Heard {
    opened: Instant,
    /// Milliseconds after `opened`.
    after: AtomicU64,
}

impl Heard {
    /// Just now.
    pub(super) fn new() -> Heard {
        Heard {
            opened: Instant::now(),
            after: AtomicU64::new(0),
        }
    }

    pub(super) fn last(&self) -> Instant {
        self.opened + Duration::from_millis(self.after.load(Ordering::Relaxed))
    }

    fn note(&self) {
        let after = self.opened.elapsed().as_millis() as u64;
        self.after.store(after, Ordering::Relaxed);
    }
}

/// What frames are read from.
struct Wire {
    socket: mio::net::TcpStream,
    tls: Option<Box<ClientConnection>>,
    /// Whether the first byte to be written next is encrypted already, see [`Wire::encrypt`].
    owed: bool,
}

impl Stream {
    /// A stream over `socket`, the TLS handshake done.
    pub(super) fn new(
        socket: TcpStream,
        tls: Option<ClientConnection>,
        heard: Arc<Heard>,
    ) -> io::Result<Stream> {
        // The crate waits for the socket itself.
        socket.set_nonblocking(true)?;
        Ok(Stream {
            wire: Wire {
                socket: mio::net::TcpStream::from_stream(socket)?,
                tls: tls.map(Box::new),
                owed: false,
            },
            frames: Frames::default(),
            heard,
        })
    }
}

impl IoStream for Stream {}

impl Read for Stream {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let read = self.frames.read(&mut self.wire, into);
        if read.is_ok() {
            self.heard.note();
        }
        read
    }
}

impl Write for Stream {
    fn write(&mut self, from: &[u8]) -> io::Result<usize> {
        match &mut self.wire.tls {
            Some(_) => self.wire.encrypt(from),
            None => self.wire.socket.write(from),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Read for Wire {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let Some(tls) = &mut self.tls else {
            return self.socket.read(into);
        };
        loop {
            match tls.reader().read(into) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                read => return read,
            }
            if tls.read_tls(&mut self.socket)? == 0 {
                return Ok(0);
            }
            tls.process_new_packets().map_err(io::Error::other)?;
        }
    }
}

impl Wire {
    /// Encrypts and writes. What is encrypted must also leave, but the crate comes back only for
    /// what is not accepted: when the socket is full, the last byte is said not to be, and is
    /// accepted when all has left.
    fn encrypt(&mut self, from: &[u8]) -> io::Result<usize> {
        if self.owed {
            if !self.send()? {
                return Err(io::ErrorKind::WouldBlock.into());
            }
            self.owed = false;
            return Ok(1);
        }
        let Some(tls) = &mut self.tls else {
            return Ok(0);
        };
        let accepted = tls.writer().write(from)?;
        if self.send()? {
            return Ok(accepted);
        }
        self.owed = accepted > 0;
        match accepted {
            0 | 1 => Err(io::ErrorKind::WouldBlock.into()),
            _ => Ok(accepted - 1),
        }
    }

    /// Sends what is encrypted; whether all of it has left.
    fn send(&mut self) -> io::Result<bool> {
        let Some(tls) = &mut self.tls else {
            return Ok(true);
        };
        while tls.wants_write() {
            match tls.write_tls(&mut self.socket) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
                Err(error) => return Err(error),
            }
        }
        Ok(true)
    }
}

impl Evented for Stream {
    fn register(&self, poll: &Poll, token: Token, on: Ready, how: PollOpt) -> io::Result<()> {
        self.wire.socket.register(poll, token, on, how)
    }

    fn reregister(&self, poll: &Poll, token: Token, on: Ready, how: PollOpt) -> io::Result<()> {
        self.wire.socket.reregister(poll, token, on, how)
    }

    fn deregister(&self, poll: &Poll) -> io::Result<()> {
        self.wire.socket.deregister(poll)
    }
}
