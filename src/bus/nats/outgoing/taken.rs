//! The reader of the connection: hears what the server has taken and what comes for those who listen,
//! and asks the server now and then.

use std::io;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::{Ear, IDLE, LINGER, Outgoing, WINDOW};
use crate::bus::nats::dial::is_timeout;
use crate::bus::nats::lock;
use crate::bus::nats::protocol::PONG;
use crate::bus::nats::said::{Lines, NotNats, Said};
use crate::occasionally::Occasionally;

impl<E: Ear> Outgoing<E> {
    /// The reader: hears what the server has taken, and asks it now and then. Ends with the connection.
    pub(super) fn read(&self, mut lines: Lines) -> io::Result<()> {
        let occasionally = Occasionally::new();
        let mut limit = Duration::ZERO;
        while !self.has_ended() {
            while let Some(said) = lines.next().map_err(|NotNats| not_nats())? {
                self.hear(said, &occasionally);
            }
            let patience = self.patience();
            if limit != patience {
                self.socket.set_read_timeout(patience)?;
                limit = patience;
            }
            match self.socket.read(lines.end()) {
                // What answers a PING may be behind all that others send us.
                Ok(true) if lines.is_message() => lock(&self.out).heard = Some(Instant::now()),
                Ok(true) => {}
                Ok(false) => return Err(io::Error::other("the server ended the connection")),
                Err(error) if is_timeout(&error) => self.look(limit == IDLE)?,
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// How long to wait for what the server says.
    fn patience(&self) -> Duration {
        let out = lock(&self.out);
        if out.resting { IDLE } else { LINGER }
    }

    /// Nothing was heard for a while: asks the server if there is reason to.
    fn look(&self, idle: bool) -> io::Result<()> {
        let mut out = lock(&self.out);
        if out.is_silent() {
            out.why = Some(("it does not answer".to_owned(), Instant::now()));
            return Err(io::Error::other("the server does not answer"));
        }
        if !out.pings.is_empty() {
            return Ok(());
        }
        if idle || !self.has_taken(self.all_handed()) {
            self.ask(&mut out);
            self.write(out);
        } else {
            out.resting = true;
        }
        Ok(())
    }

    fn hear(&self, said: Said, occasionally: &Occasionally) {
        match said {
            Said::Pong => {
                let mut out = lock(&self.out);
                let Some(ping) = out.pings.pop_front() else {
                    return;
                };
                out.heard = Some(Instant::now());
                self.taken.fetch_max(ping.handed, Ordering::AcqRel);
                self.progress.notify_all();
                drop(out);
                if let Some(mark) = ping.mark
                    && !self.has_ended()
                {
                    E::answered(mark);
                }
            }
            Said::Ping => {
                let mut out = lock(&self.out);
                // Who asks on and on and reads nothing is not answered without end.
                if out.waiting.len() < WINDOW as usize {
                    out.waiting.extend_from_slice(PONG);
                }
                self.write(out);
            }
            Said::Message(message) => {
                lock(&self.out).heard = Some(Instant::now());
                self.deliver(message);
            }
            // A refused permission comes with every message: said now and then.
            Said::Error(why) => {
                if !self.has_ended() && occasionally.now() {
                    log::warn!("bus: {why}");
                } else {
                    log::debug!("bus: {why}");
                }
                self.note_refusal(&why);
                lock(&self.out).why = Some((why, Instant::now()));
            }
            Said::Info(_) | Said::Other => {}
        }
    }
}

fn not_nats() -> io::Error {
    io::Error::other("the server says what is not NATS")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bus::nats::outgoing::tests::connected;
    use crate::bus::nats::protocol::PING;
    use std::io::Write;
    use std::thread;

    #[test]
    fn a_server_that_asks_on_and_on_and_reads_nothing() {
        let (outgoing, mut server) = connected();
        // Some thread writes, without an end.
        lock(&outgoing.out).writing = true;
        let pings = PING.repeat(WINDOW as usize / PONG.len());
        for _ in 0..4 {
            server.write_all(&pings).unwrap();
        }
        server.write_all(b"-ERR 'over'\r\n").unwrap();
        while outgoing.why().is_none() && !outgoing.has_ended() {
            thread::yield_now();
        }
        let waiting = lock(&outgoing.out).waiting.len();
        outgoing.end();
        assert!(waiting < 2 * WINDOW as usize, "{waiting}");
    }
}
