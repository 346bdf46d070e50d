//! The connection that events, statuses, announcements and answers leave on, or that an application's
//! access is; an [`Ear`] hears what comes. It is a socket of ours: the crate sends nothing at once without
//! waiting for the server's answer, which costs more than all else that is done for an event, and
//! cannot shut its socket (crates.md).
//!
//! What is handed over is collected, and written by whoever flushes, without a thread between. While
//! one writes, others leave what they have to it. What the server has taken is asked for with a PING
//! every [`PIECE`] bytes, and when there has been no answer for [`LINGER`].
//!
//! What the topics of dialogs need goes among it, so that a subscription is there before what is published
//! after it. Who hands that over waits for nothing, and leaves the writing to a thread for it, [`topics`].
//!
//! [`topics`]: super::topics

mod ear;
#[cfg(feature = "server")]
mod listening;
mod taken;

use std::collections::VecDeque;
use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, bounded};

pub(super) use self::ear::Ear;
#[cfg(feature = "server")]
pub(super) use self::listening::ROOM;
use super::lock;
use super::protocol::{self, PING};
use super::said::Lines;
use super::socket::Socket;
use crate::bus::BusError;

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

/// The connection, and who hears what comes on it.
pub(super) struct Outgoing<E: Ear> {
    socket: Socket,
    out: Mutex<Out<E::Mark>>,
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
    /// The number of the subscription that was made last.
    sids: AtomicU64,
    /// Who hears what comes.
    ear: Mutex<Option<Arc<E>>>,
}

/// What is on its way out.
struct Out<M> {
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
    /// The PINGs that are not answered yet.
    pings: VecDeque<Ping<M>>,
    /// When one was answered, or a message came, last.
    heard: Option<Instant>,
    /// How much was handed over before the last PING.
    asked: u64,
    /// Whether all was taken, so that the reader sleeps: what follows must come with a PING.
    resting: bool,
    /// The server's last complaint.
    why: Option<(String, Instant)>,
}

/// A PING that is not answered yet.
struct Ping<M> {
    /// How much was handed over before it.
    handed: u64,
    /// When it was.
    when: Instant,
    /// What the answer is about, beside that.
    mark: Option<M>,
}

impl<M> Default for Out<M> {
    fn default() -> Out<M> {
        Out {
            waiting: Vec::new(),
            spare: Vec::new(),
            writing: false,
            tired: false,
            successors: 0,
            pings: VecDeque::new(),
            heard: None,
            asked: 0,
            resting: false,
            why: None,
        }
    }
}

impl<M> Out<M> {
    fn is_silent(&self) -> bool {
        let first = self.pings.front();
        // A slow link takes long for what is between two PINGs: it is not silent.
        first.is_some_and(|ping| self.heard.max(Some(ping.when)).is_some_and(is_long_ago))
    }
}

fn is_long_ago(when: Instant) -> bool {
    when.elapsed() > SILENCE
}

impl<E: Ear> Outgoing<E> {
    /// Publishes on `socket`, on which the server said `lines` since it let us in.
    pub(super) fn start(socket: Socket, lines: Lines) -> io::Result<Arc<Outgoing<E>>> {
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
            sids: AtomicU64::new(0),
            ear: Mutex::default(),
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
        self.put_by(|out| protocol::put(out, subject, headers, body))
    }

    /// The same with what `put` puts.
    pub(super) fn put_by(&self, put: impl FnOnce(&mut Vec<u8>)) -> Result<u64, BusError> {
        let mut out = lock(&self.out);
        loop {
            if self.has_ended() {
                return Err(BusError::Lost);
            }
            let handed = self.all_handed();
            if handed - self.all_taken() < WINDOW {
                return Ok(self.append(&mut out, put));
            }
            out = if out.waiting.is_empty() || out.writing {
                self.sleep(out)
            } else {
                self.write(out);
                lock(&self.out)
            };
        }
    }

    /// Puts what `put` puts after all that was handed over; how much that is then.
    fn append(&self, out: &mut Out<E::Mark>, put: impl FnOnce(&mut Vec<u8>)) -> u64 {
        let before = out.waiting.len();
        put(&mut out.waiting);
        let handed = self.all_handed() + (out.waiting.len() - before) as u64;
        self.handed.store(handed, Ordering::Release);
        handed
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
    fn write<'a>(&'a self, mut out: MutexGuard<'a, Out<E::Mark>>) {
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
    fn ask(&self, out: &mut Out<E::Mark>) {
        self.ask_of(out, None);
    }

    /// The same, where the answer is about `mark`, too.
    fn ask_of(&self, out: &mut Out<E::Mark>, mark: Option<E::Mark>) {
        out.waiting.extend_from_slice(PING);
        out.asked = self.all_handed();
        out.pings.push_back(Ping {
            handed: out.asked,
            when: Instant::now(),
            mark,
        });
        out.resting = false;
    }

    fn sleep<'a>(&self, out: MutexGuard<'a, Out<E::Mark>>) -> MutexGuard<'a, Out<E::Mark>> {
        let woken = self.progress.wait_timeout(out, LINGER);
        woken.unwrap_or_else(PoisonError::into_inner).0
    }

    /// Waits until the server has taken more, at most for `limit`.
    #[cfg(feature = "server")]
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
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bus::nats::protocol::PONG;
    use crate::bus::nats::said::{Message, Refusal};
    use std::io::{BufRead, BufReader, Read, Write};
    use std::net::{TcpListener, TcpStream};

    /// Who hears nothing.
    pub(super) struct Deaf;

    impl Ear for Deaf {
        type Mark = ();
        fn message(self: &Arc<Self>, _: &Outgoing<Self>, _: Message) {}
        fn refused(self: &Arc<Self>, _: &Outgoing<Self>, _: &Refusal<'_>, _: &str) {}
        fn answered((): ()) {}
    }

    pub(super) fn connected() -> (Arc<Outgoing<Deaf>>, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let tcp = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let server = listener.accept().unwrap().0;
        let outgoing = Outgoing::start(Socket::plain(tcp), Lines::of_messages(0)).unwrap();
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
}
