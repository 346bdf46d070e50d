//! A connection for ureq that needs few calls of the system: what ureq's own sets anew for every call
//! is set once, it is looked at for its end once between two calls instead of twice, and its buffers
//! are as large as what Asterisk says.

use std::io::{self, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use ureq::Error;
use ureq::unversioned::transport::{
    Buffers, ConnectionDetails, Connector, LazyBuffers, NextTimeout, Transport,
};

/// The step of time limits of the socket: a limit that is as long as the one before, but for the
/// moment that went by, needs no telling.
const STEP: Duration = Duration::from_millis(10);
/// How long each of several addresses is tried at least.
const SHORTEST: Duration = Duration::from_millis(10);

/// Connects.
#[derive(Debug)]
pub(super) struct Tcp;

impl Connector for Tcp {
    type Out = Connection;

    fn connect(
        &self,
        details: &ConnectionDetails<'_>,
        _: Option<()>,
    ) -> Result<Option<Connection>, Error> {
        let deadline = details
            .timeout
            .not_zero()
            .and_then(|limit| Instant::now().checked_add(*limit));
        let mut others = details.addrs.len();
        let mut failure = Error::HostNotFound;
        for address in &details.addrs {
            others -= 1;
            let tried = match deadline {
                None => TcpStream::connect(address),
                Some(deadline) => {
                    let left = deadline.saturating_duration_since(Instant::now());
                    // Half of the time for the first of several, and so on.
                    let share = if others == 0 { left } else { left / 2 };
                    TcpStream::connect_timeout(address, share.max(SHORTEST))
                }
            };
            match tried.map_err(|error| told(error, details.timeout)) {
                Ok(stream) => {
                    stream.set_nodelay(true)?;
                    return Ok(Some(Connection::new(stream, details)));
                }
                Err(error) => failure = error,
            }
        }
        Err(failure)
    }
}

/// A connection.
#[derive(Debug)]
pub(super) struct Connection {
    stream: TcpStream,
    buffers: LazyBuffers,
    /// The limits that the socket has.
    writing: Option<Duration>,
    reading: Option<Duration>,
    /// Whether something was just read from it: it is open.
    just_read: bool,
}

impl Connection {
    fn new(stream: TcpStream, details: &ConnectionDetails<'_>) -> Connection {
        let config = details.config;
        Connection {
            stream,
            buffers: LazyBuffers::new(config.input_buffer_size(), config.output_buffer_size()),
            writing: None,
            reading: None,
            just_read: false,
        }
    }

    /// Whether the other side has neither ended it nor sent what was not asked for.
    fn is_quiet(&self) -> io::Result<bool> {
        self.stream.set_nonblocking(true)?;
        let read = (&self.stream).read(&mut [0]);
        self.stream.set_nonblocking(false)?;
        Ok(read.is_err_and(|error| error.kind() == ErrorKind::WouldBlock))
    }
}

impl Transport for Connection {
    fn buffers(&mut self) -> &mut dyn Buffers {
        &mut self.buffers
    }

    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> Result<(), Error> {
        let limit = limit(timeout.for_write())?;
        if limit != self.writing {
            self.stream.set_write_timeout(limit)?;
            self.writing = limit;
        }
        let output = self.buffers.output().get(..amount).unwrap_or_default();
        let written = (&self.stream).write_all(output);
        written.map_err(|error| told(error, timeout))
    }

    fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, Error> {
        let limit = limit(timeout.for_read())?;
        if limit != self.reading {
            self.stream.set_read_timeout(limit)?;
            self.reading = limit;
        }
        let input = self.buffers.input_append_buf();
        let count = loop {
            match (&self.stream).read(input) {
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                read => break read.map_err(|error| told(error, timeout))?,
            }
        };
        self.buffers.input_appended(count);
        self.just_read = count > 0;
        Ok(count > 0)
    }

    /// ureq asks when it puts the connection back, right after the answer, and before the next call.
    fn is_open(&mut self) -> bool {
        std::mem::take(&mut self.just_read) || self.is_quiet().unwrap_or(false)
    }
}

/// The limit of the socket for `timeout`, which is told a little later for it; none where there is
/// none.
fn limit(timeout: NextTimeout) -> Result<Option<Duration>, Error> {
    if timeout.after.is_zero() {
        return Err(Error::Timeout(timeout.reason));
    }
    Ok(timeout.not_zero().map(|limit| {
        let steps = limit.as_nanos().div_ceil(STEP.as_nanos());
        STEP.saturating_mul(u32::try_from(steps).unwrap_or(u32::MAX))
    }))
}

/// What went wrong, where `timeout` may have passed.
fn told(error: io::Error, timeout: NextTimeout) -> Error {
    match error.kind() {
        ErrorKind::WouldBlock | ErrorKind::TimedOut => Error::Timeout(timeout.reason),
        _ => Error::Io(error),
    }
}
