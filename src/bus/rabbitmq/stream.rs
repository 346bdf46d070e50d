//! The socket that the crate is given: without Nagle's delay, which it does not switch off, over TLS
//! where that is wanted, with [`Frames`] between on the way in, and the [`Writer`] on the way out.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
#[cfg(feature = "server")]
use std::time::Duration;
use std::time::Instant;

use amiquip::IoStream;
use mio::{Evented, Poll, PollOpt, Ready, Token};

use super::frames::Frames;
use super::payloads::Notice;
use super::softening::Ours;
use super::writer::Writer;

/// How much is read at a time of what is encrypted.
const CHUNK: usize = 16 * 1024;

/// Hears what a broker says that is not for the crate, on the thread of that: it must not wait.
pub(super) trait Listener: Send {
    /// The channels that are not the crate's.
    fn ours(&self) -> Arc<Ours> {
        Arc::default()
    }

    /// What the broker says on the connection of `writer`.
    fn hear(&mut self, notice: Notice, writer: &Writer);

    /// What came together is heard.
    fn pause(&mut self, _: &Writer) {}
}

/// A connection to a broker.
pub(super) struct Stream {
    wire: Wire,
    frames: Frames,
    writer: Arc<Writer>,
    heard: Arc<Heard>,
    listener: Box<dyn Listener>,
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

    #[cfg(feature = "server")]
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
    writer: Arc<Writer>,
    /// What is encrypted, and what of it is not read.
    encrypted: Option<(Vec<u8>, Range<usize>)>,
}

impl Stream {
    /// A stream over `socket`, which does not block, and the `writer` that writes to it.
    pub(super) fn new(
        socket: TcpStream,
        writer: &Arc<Writer>,
        heard: Arc<Heard>,
        listener: Box<dyn Listener>,
    ) -> io::Result<Stream> {
        Ok(Stream {
            wire: Wire {
                socket: mio::net::TcpStream::from_stream(socket)?,
                writer: Arc::clone(writer),
                encrypted: writer.is_encrypted().then(|| (vec![0; CHUNK], 0..0)),
            },
            frames: Frames::new(listener.ours()),
            writer: Arc::clone(writer),
            heard,
            listener,
        })
    }
}

impl IoStream for Stream {}

impl Read for Stream {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        self.writer.resume()?;
        let (writer, listener) = (&self.writer, &mut self.listener);
        let mut tell = |notice| match notice {
            Notice::Limits { largest, .. } => {
                writer.limit(largest);
                listener.hear(notice, writer);
            }
            Notice::Opened(channel) => writer.open(channel),
            Notice::Closed(channel) => writer.close(channel),
            other => listener.hear(other, writer),
        };
        let read = self.frames.read(&mut self.wire, into, &mut tell);
        self.listener.pause(&self.writer);
        if read.is_ok() {
            self.heard.note();
        }
        read
    }
}

impl Write for Stream {
    fn write(&mut self, from: &[u8]) -> io::Result<usize> {
        self.writer.put_all(from);
        self.writer.flush();
        Ok(from.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        self.writer.end();
    }
}

impl Read for Wire {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let Some((bytes, left)) = &mut self.encrypted else {
            return self.socket.read(into);
        };
        loop {
            let mut rest = bytes.get(left.clone()).unwrap_or_default();
            let read = self.writer.decrypt(&mut rest, into);
            left.start = left.end - rest.len();
            match read {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                read => return read,
            }
            *left = 0..self.socket.read(bytes)?;
            if left.end == 0 {
                return Ok(0);
            }
        }
    }
}

impl Evented for Stream {
    fn register(&self, poll: &Poll, token: Token, on: Ready, how: PollOpt) -> io::Result<()> {
        self.writer.register(poll, token)?;
        self.wire.socket.register(poll, token, on, how)
    }

    fn reregister(&self, poll: &Poll, token: Token, on: Ready, how: PollOpt) -> io::Result<()> {
        self.wire.socket.reregister(poll, token, on, how)
    }

    fn deregister(&self, poll: &Poll) -> io::Result<()> {
        self.wire.socket.deregister(poll)
    }
}
