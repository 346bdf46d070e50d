//! The connection that events, statuses, announcements and answers leave on: a socket of ours. The
//! crate sends nothing at once without waiting for the server's answer, which costs more than all else
//! that is done for an event, and cannot shut its socket (crates.md).
//!
//! What is handed over is collected, and written by whoever flushes, without a thread between. While
//! one writes, others leave what they have to it. What the server has taken is asked for with a PING
//! every [`PIECE`] bytes, and when there has been no answer for [`LINGER`].

use std::collections::VecDeque;
use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, bounded};

use super::connection::lock;
use super::dial::is_timeout;
use super::protocol::{self, Lines, PING, PONG, Said};
use super::socket::Socket;
use crate::bus::BusError;
use crate::logging::Occasionally;

/// What may be on its way, in bytes: what a server that stops answering may take with it. Enough
/// for 10 000 events a second over a link that delays 200 ms.
const WINDOW: u64 = 1024 * 1024;
/// After how many bytes the server is asked what it has taken.
const PIECE: u64 = WINDOW / 8;
/// How long it may not be known what the server has taken of the last messages.
const LINGER: Duration = Duration::from_millis(50);
/// How long nothing may be heard of a server before it is asked whether it lives.
const IDLE: Duration = Duration::from_secs(2);
/// How long a server may take to answer.
const SILENCE: Duration = Duration::from_secs(5);
/// How many times a thread writes what others hand over meanwhile, before another that has something
/// to write does it instead.
const ROUNDS: u32 = 4;
/// How large a buffer stays, in bytes.
const KEPT: usize = 64 * 1024;
/// How long before the end the server's words say why.
const WHY: Duration = Duration::from_secs(1);

/// The connection.
pub(super) struct Outgoing {
    socket: Socket,
    out: Mutex<Out>,
    /// Another thread may write, or the server has taken more.
    progress: Condvar,
    /// Dropped when it ends.
    alive: Mutex<Option<Sender<()>>>,
    gone: Receiver<()>,
    ended: AtomicBool,
    /// Bytes handed over.
    handed: AtomicU64,
    /// Bytes that the server has taken.
    taken: AtomicU64,
}

/// What is on its way out.
#[derive(Default)]
struct Out {
    /// What nobody has begun to write.
    waiting: Vec<u8>,
    /// An empty buffer, to be used again.
    spare: Vec<u8>,
    /// Whether a thread is writing.
    writing: bool,
    /// Whether it has done so for others for long.
    tired: bool,
    /// How many threads wait to do it instead.
    successors: usize,
    /// How much was handed over before each PING that is not answered yet, and when it was put.
    pings: VecDeque<(u64, Instant)>,
    /// When one was answered last.
    heard: Option<Instant>,
    /// How much was handed over before the last PING.
    asked: u64,
    /// Whether all was taken, so that the reader sleeps: what follows must come with a PING.
    resting: bool,
    /// The server's last complaint.
    why: Option<(String, Instant)>,
}

impl Out {
    fn is_silent(&self) -> bool {
        let first = self.pings.front();
        // A slow link takes long for what is between two PINGs: it is not silent.
        first.is_some_and(|(_, when)| self.heard.max(Some(*when)).is_some_and(is_long_ago))
    }
}

fn is_long_ago(when: Instant) -> bool {
    when.elapsed() > SILENCE
}

impl Outgoing {
    /// Publishes on `socket`, on which the server said `lines` since it let us in.
    pub(super) fn start(socket: Socket, lines: Lines) -> io::Result<Arc<Outgoing>> {
        let (alive, gone) = bounded(0);
        let outgoing = Arc::new(Outgoing {
            socket,
            out: Mutex::default(),
            progress: Condvar::new(),
            alive: Mutex::new(Some(alive)),
            gone,
            ended: AtomicBool::new(false),
            handed: AtomicU64::new(0),
            taken: AtomicU64::new(0),
        });
        let reader = Arc::clone(&outgoing);
        thread::Builder::new()
            .name("bus-taken".into())
            .spawn(move || {
                if let Err(error) = reader.read(lines) {
                    log::debug!("bus: {error}");
                }
                reader.end();
            })?;
        Ok(outgoing)
    }

    pub(super) fn has_ended(&self) -> bool {
        self.ended.load(Ordering::Acquire)
    }

    /// Disconnected when it has ended.
    pub(super) fn gone(&self) -> &Receiver<()> {
        &self.gone
    }

    /// The server's words shortly before the end.
    pub(super) fn why(&self) -> Option<String> {
        let out = lock(&self.out);
        let recent = out.why.as_ref().filter(|(_, when)| when.elapsed() < WHY);
        recent.map(|(why, _)| why.clone())
    }

    /// How many bytes were handed over so far.
    pub(super) fn all_handed(&self) -> u64 {
        self.handed.load(Ordering::Acquire)
    }

    /// How many of them the server has taken.
    pub(super) fn all_taken(&self) -> u64 {
        self.taken.load(Ordering::Acquire)
    }

    pub(super) fn has_taken(&self, bytes: u64) -> bool {
        self.all_taken() >= bytes
    }

    /// Hands a message over, for the next flush; when the server has taken as many bytes as are
    /// returned, it has taken this one. Waits while too much is on its way.
    pub(super) fn put(&self, subject: &str, headers: &str, body: &[u8]) -> Result<u64, BusError> {
        let mut out = lock(&self.out);
        loop {
            if self.has_ended() {
                return Err(BusError::Lost);
            }
            let handed = self.all_handed();
            if handed - self.all_taken() < WINDOW {
                let before = out.waiting.len();
                protocol::put(&mut out.waiting, subject, headers, body);
                let handed = handed + (out.waiting.len() - before) as u64;
                self.handed.store(handed, Ordering::Release);
                return Ok(handed);
            }
            out = if out.waiting.is_empty() || out.writing {
                self.sleep(out)
            } else {
                self.write(out);
                lock(&self.out)
            };
        }
    }

    /// Writes what was handed over, or leaves it to the thread that is writing.
    pub(super) fn flush(&self) {
        let mut out = lock(&self.out);
        while out.writing && out.tired && !self.has_ended() {
            out.successors += 1;
            out = self.sleep(out);
            out.successors -= 1;
        }
        self.write(out);
    }

    /// The same, without ever waiting for that thread.
    fn write<'a>(&'a self, mut out: MutexGuard<'a, Out>) {
        if out.writing {
            return;
        }
        out.writing = true;
        let mut rounds = 0;
        while !out.waiting.is_empty() && !self.has_ended() {
            rounds += 1;
            out.tired = rounds > ROUNDS;
            if out.tired && out.successors > 0 {
                break;
            }
            if out.resting || self.all_handed() - out.asked >= PIECE {
                self.ask(&mut out);
            }
            let spare = std::mem::take(&mut out.spare);
            let mut bytes = std::mem::replace(&mut out.waiting, spare);
            drop(out);
            let written = self.socket.write(&bytes);
            bytes.clear();
            bytes.shrink_to(KEPT);
            out = lock(&self.out);
            out.spare = bytes;
            if let Err(error) = written {
                drop(out);
                log::debug!("bus: {error}");
                return self.end();
            }
        }
        out.writing = false;
        out.tired = false;
        if out.successors > 0 {
            self.progress.notify_all();
        }
    }

    /// Puts a PING after all that was handed over.
    fn ask(&self, out: &mut Out) {
        out.waiting.extend_from_slice(PING);
        out.asked = self.all_handed();
        out.pings.push_back((out.asked, Instant::now()));
        out.resting = false;
    }

    fn sleep<'a>(&self, out: MutexGuard<'a, Out>) -> MutexGuard<'a, Out> {
        let woken = self.progress.wait_timeout(out, LINGER);
        woken.unwrap_or_else(PoisonError::into_inner).0
    }

    /// Waits until the server has taken more, at most for `limit`.
    pub(super) fn wait(&self, limit: Duration) {
        let out = lock(&self.out);
        if !self.has_ended() {
            drop(self.progress.wait_timeout(out, limit));
        }
    }

    /// Waits until the server has taken all that was handed over, at most for `limit`; whether it has.
    pub(super) fn settle(&self, limit: Duration) -> bool {
        let deadline = Instant::now() + limit;
        let mut out = lock(&self.out);
        let handed = self.all_handed();
        self.ask(&mut out);
        self.write(out);
        out = lock(&self.out);
        while !self.has_taken(handed) {
            if Instant::now() >= deadline || self.has_ended() {
                return false;
            }
            out = self.sleep(out);
        }
        true
    }

    /// Whether the server has not answered for too long.
    pub(super) fn is_silent(&self) -> bool {
        lock(&self.out).is_silent()
    }

    /// Ends it. Whoever writes or reads is freed; what the socket holds still leaves.
    pub(super) fn end(&self) {
        self.ended.store(true, Ordering::Release);
        drop(lock(&self.alive).take());
        self.socket.shut();
        // Who has just seen that it has not ended sleeps now.
        drop(lock(&self.out));
        self.progress.notify_all();
    }

    /// The reader: hears what the server has taken, and asks it now and then. Ends with the connection.
    fn read(&self, mut lines: Lines) -> io::Result<()> {
        let occasionally = Occasionally::new();
        let mut limit = Duration::ZERO;
        while !self.has_ended() {
            while let Some(line) = lines.next() {
                self.hear(&line, &occasionally);
            }
            if lines.is_too_long() {
                return Err(io::Error::other("the server says what is not NATS"));
            }
            let patience = self.patience();
            if limit != patience {
                self.socket.set_read_timeout(patience)?;
                limit = patience;
            }
            match self.socket.read(lines.end()) {
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

    fn hear(&self, line: &str, occasionally: &Occasionally) {
        match Said::of(line) {
            Said::Pong => {
                let mut out = lock(&self.out);
                if let Some((taken, _)) = out.pings.pop_front() {
                    out.heard = Some(Instant::now());
                    self.taken.fetch_max(taken, Ordering::AcqRel);
                    self.progress.notify_all();
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
            // A refused permission comes with every message: said now and then.
            Said::Error(why) => {
                lock(&self.out).why = Some((why.to_owned(), Instant::now()));
                if !self.has_ended() && occasionally.now() {
                    log::warn!("bus: {why}");
                } else {
                    log::debug!("bus: {why}");
                }
            }
            Said::Info(_) | Said::Other(_) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{BufRead, BufReader, Read, Write};
    use std::net::{TcpListener, TcpStream};

    fn connected() -> (Arc<Outgoing>, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let tcp = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let server = listener.accept().unwrap().0;
        let outgoing = Outgoing::start(Socket::plain(tcp), Lines::default()).unwrap();
        (outgoing, server)
    }

    /// Takes what comes until it ends; how many messages that were. `received` is how many of their
    /// bytes there are when a PING is answered.
    fn serve(server: TcpStream, received: &AtomicU64) -> usize {
        let mut lines = BufReader::new(server.try_clone().unwrap());
        let (mut line, mut messages) = (String::new(), 0);
        while matches!(lines.read_line(&mut line), Ok(1..)) {
            if line == "PING\r\n" {
                if (&server).write_all(PONG).is_err() {
                    break;
                }
            } else {
                let size = line.trim_end().strip_prefix("PUB s ").unwrap();
                let mut body = vec![0; size.parse::<usize>().unwrap() + 2];
                lines.read_exact(&mut body).unwrap();
                assert!(body.ends_with(b"\r\n"), "after a body");
                received.fetch_add((line.len() + body.len()) as u64, Ordering::SeqCst);
                messages += 1;
            }
            line.clear();
        }
        messages
    }

    #[test]
    fn messages_of_many_threads_are_whole_and_taken_when_they_are() {
        const EACH: usize = 2_000;
        const THREADS: usize = 8;
        let (outgoing, server) = connected();
        let received = AtomicU64::new(0);
        thread::scope(|scope| {
            let serving = scope.spawn(|| serve(server, &received));
            let writers: Vec<_> = (0..THREADS)
                .map(|writer| {
                    let (outgoing, received) = (&outgoing, &received);
                    scope.spawn(move || {
                        for number in 0..EACH {
                            let body = vec![b'x'; (writer * 131 + number * 17) % 3_000];
                            outgoing.put("s", "", &body).unwrap();
                            if number % (writer + 1) == 0 {
                                outgoing.flush();
                            }
                            let taken = outgoing.all_taken();
                            assert!(taken <= received.load(Ordering::SeqCst));
                        }
                        outgoing.flush();
                    })
                })
                .collect();
            for writer in writers {
                writer.join().unwrap();
            }
            assert!(outgoing.settle(Duration::from_secs(20)));
            assert_eq!(outgoing.all_taken(), outgoing.all_handed());
            assert_eq!(outgoing.all_taken(), received.load(Ordering::SeqCst));
            outgoing.end();
            assert_eq!(serving.join().unwrap(), EACH * THREADS);
        });
    }

    #[test]
    fn who_settles_does_not_wait_for_who_writes() {
        let (outgoing, _server) = connected();
        outgoing.put("s", "", b"").unwrap();
        let mut out = lock(&outgoing.out);
        (out.writing, out.tired) = (true, true);
        drop(out);
        let (over, settled) = bounded(1);
        let settling = Arc::clone(&outgoing);
        let settling = thread::spawn(move || {
            let _ = over.send(settling.settle(Duration::from_millis(50)));
        });
        // Before the server counts as silent, which frees everybody.
        let settled = settled.recv_timeout(SILENCE / 2);
        outgoing.end();
        settling.join().unwrap();
        assert_eq!(settled, Ok(false));
    }

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
