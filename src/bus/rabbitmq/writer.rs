//! What leaves on a connection: frames of the crate and of ours, one behind the other. To hand a message
//! to the crate is to wake its thread, three times at worst, so messages and acknowledgements do not go
//! that way: whoever has one writes it, and what others hand over meanwhile.

use std::io::{self, Write};
use std::net::TcpStream;
use std::os::fd::AsRawFd;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use mio::unix::EventedFd;
use mio::{Evented, Events, Poll, PollOpt, Ready, Token};
use rustls::ClientConnection;

use super::frames::HEARTBEAT;

/// Most of a buffer that is kept when it is empty, in bytes.
const KEPT: usize = 64 * 1024;

/// The way out of one connection.
#[derive(Debug)]
pub(super) struct Writer {
    socket: mio::net::TcpStream,
    way: Mutex<Way>,
    /// Readable when a socket that was full has room again. That wakes the crate's thread, which does
    /// not look at its own connection then unless it has something to send itself.
    room: Poll,
}

#[derive(Debug, Default)]
struct Way {
    /// Frames that nobody has begun to send, as they are.
    frames: Vec<u8>,
    /// What is being sent, as it goes out; with whoever sends it while somebody does.
    bytes: Vec<u8>,
    /// How much of it has left.
    sent: usize,
    /// Whether somebody sends.
    busy: bool,
    /// Whether room is waited for.
    full: bool,
    tls: Option<Box<ClientConnection>>,
    /// Channels that the broker has closed: it ends the connection over a frame on one of them.
    closed: Vec<u16>,
    /// The largest frame that the broker takes, in bytes.
    largest: Option<usize>,
    /// Whether nothing leaves any more. The crate's thread comes to know by itself.
    ended: bool,
}

impl Writer {
    /// The way out through `socket`, which does not block, the TLS handshake done.
    pub(super) fn new(socket: TcpStream, mut tls: Option<ClientConnection>) -> io::Result<Writer> {
        if let Some(tls) = &mut tls {
            // What is encrypted is taken out at once.
            tls.set_buffer_limit(None);
        }
        let writer = Writer {
            socket: mio::net::TcpStream::from_stream(socket)?,
            way: Mutex::new(Way {
                tls: tls.map(Box::new),
                ..Way::default()
            }),
            room: Poll::new()?,
        };
        let once = PollOpt::edge() | PollOpt::oneshot();
        writer
            .room
            .register(&writer.socket, Token(0), Ready::writable(), once)?;
        writer.forget_room()?;
        Ok(writer)
    }

    /// Has `append` append frames for `channel`, knowing the largest that may be. They are on their way
    /// after the next [`Writer::flush`], unless the channel or all is over.
    pub(super) fn put<T>(&self, channel: u16, append: impl FnOnce(&mut Vec<u8>, usize) -> T) -> T {
        let mut way = self.lock();
        let before = way.frames.len();
        let largest = way.largest.unwrap_or(usize::MAX);
        let result = append(&mut way.frames, largest);
        if way.ended || way.closed.contains(&channel) {
            way.frames.truncate(before);
        }
        result
    }

    /// Appends what the crate sends: whole frames.
    pub(super) fn put_all(&self, frames: &[u8]) {
        let mut way = self.lock();
        // A heartbeat behind what the socket does not take says nothing, and the crate makes one after
        // the other for as long as a broker that is short of memory does not read.
        let needless = *frames == HEARTBEAT && !way.bytes.is_empty();
        if !way.ended && !needless {
            way.frames.extend_from_slice(frames);
        }
    }

    /// Sends what there is. What the socket does not take, the crate's thread sends later.
    pub(super) fn flush(&self) {
        let mut way = self.lock();
        if way.busy {
            // Whoever sends looks again.
            return;
        }
        while let Some((mut bytes, from)) = way.next() {
            way.busy = true;
            drop(way);
            let (sent, result) = self.send(&bytes, from);
            way = self.lock();
            way.busy = false;
            if way.ended || result.is_err() {
                way.end();
                return;
            }
            if sent < bytes.len() {
                (way.bytes, way.sent) = (bytes, sent);
                self.wait_for_room(&mut way);
                return;
            }
            bytes.clear();
            bytes.shrink_to(KEPT);
            (way.bytes, way.sent) = (bytes, 0);
        }
    }

    /// Goes on with what the socket did not take, if there is any.
    pub(super) fn resume(&self) -> io::Result<()> {
        let mut way = self.lock();
        if std::mem::take(&mut way.full) {
            self.forget_room()?;
            drop(way);
            self.flush();
        }
        Ok(())
    }

    /// Whether TLS is spoken.
    pub(super) fn is_encrypted(&self) -> bool {
        self.lock().tls.is_some()
    }

    /// Decrypts as much of `bytes` as gives something, and reads it.
    pub(super) fn decrypt(&self, bytes: &mut &[u8], into: &mut [u8]) -> io::Result<usize> {
        use io::Read;
        let mut way = self.lock();
        let Some(tls) = &mut way.tls else {
            return bytes.read(into);
        };
        let read = loop {
            match tls.reader().read(into) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock && !bytes.is_empty() => {}
                read => break read,
            }
            tls.read_tls(bytes)?;
            tls.process_new_packets().map_err(io::Error::other)?;
        };
        // New keys, for one, are answered.
        let answers = tls.wants_write();
        drop(way);
        if answers {
            self.flush();
        }
        read
    }

    /// The largest frame that the broker takes, none where it says that any is.
    pub(super) fn limit(&self, largest: Option<usize>) {
        self.lock().largest = largest;
    }

    /// The broker has closed `channel`.
    pub(super) fn close(&self, channel: u16) {
        self.lock().closed.push(channel);
    }

    /// It has opened `channel`, maybe again.
    pub(super) fn open(&self, channel: u16) {
        self.lock().closed.retain(|closed| *closed != channel);
    }

    /// Nothing leaves any more.
    pub(super) fn end(&self) {
        self.lock().end();
    }

    /// Has `poll` know of room as of something to be read.
    pub(super) fn register(&self, poll: &Poll, token: Token) -> io::Result<()> {
        let room = self.room.as_raw_fd();
        EventedFd(&room).register(poll, token, Ready::readable(), PollOpt::edge())
    }

    /// Sends `bytes`, of which some have left before; how many have then.
    fn send(&self, bytes: &[u8], from: usize) -> (usize, io::Result<()>) {
        let mut sent = from;
        while let Some(left) = bytes.get(sent..).filter(|left| !left.is_empty()) {
            match (&self.socket).write(left) {
                Ok(count) => sent += count,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return (sent, Err(error)),
            }
        }
        (sent, Ok(()))
    }

    /// Has the crate's thread woken when there is room. If there is by now, that is at once. The lock is
    /// held for it, as for [`Writer::forget_room`]: room that is not forgotten when the next is waited
    /// for would be no news.
    fn wait_for_room(&self, way: &mut Way) {
        let once = PollOpt::edge() | PollOpt::oneshot();
        let asked = self
            .room
            .reregister(&self.socket, Token(0), Ready::writable(), once);
        way.full = asked.is_ok();
        if !way.full {
            // Nobody would come.
            way.end();
        }
    }

    /// Takes notice of room, so that the next is news.
    fn forget_room(&self) -> io::Result<()> {
        let mut events = Events::with_capacity(1);
        self.room
            .poll(&mut events, Some(Duration::ZERO))
            .map(|_| ())
    }

    fn lock(&self) -> MutexGuard<'_, Way> {
        // Nothing that is done with it panics half-way.
        self.way.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Way {
    /// What is to be sent next, and from where on.
    fn next(&mut self) -> Option<(Vec<u8>, usize)> {
        if self.bytes.is_empty() {
            match &mut self.tls {
                None => std::mem::swap(&mut self.bytes, &mut self.frames),
                Some(tls) => {
                    if encrypt(tls, &self.frames, &mut self.bytes).is_err() {
                        self.end();
                    }
                    self.frames.clear();
                    self.frames.shrink_to(KEPT);
                }
            }
        }
        (!self.bytes.is_empty()).then(|| (std::mem::take(&mut self.bytes), self.sent))
    }

    fn end(&mut self) {
        self.ended = true;
        (self.frames, self.bytes) = (Vec::new(), Vec::new());
    }
}

fn encrypt(tls: &mut ClientConnection, frames: &[u8], bytes: &mut Vec<u8>) -> io::Result<()> {
    tls.writer().write_all(frames)?;
    while tls.wants_write() {
        tls.write_tls(bytes)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;
    use std::net::TcpListener;
    use std::sync::Arc;
    use std::thread;

    /// A writer, and what it writes to.
    fn writer() -> (Writer, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let socket = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        socket.set_nonblocking(true).unwrap();
        let (peer, _) = listener.accept().unwrap();
        (Writer::new(socket, None).unwrap(), peer)
    }

    fn put(writer: &Writer, channel: u16, byte: u8, count: usize) {
        writer.put(channel, |frames, _| {
            frames.resize(frames.len() + count, byte)
        });
    }

    /// Goes on as the crate's thread does until nothing is left.
    fn send_the_rest(writer: &Writer, poll: &Poll) {
        let mut events = Events::with_capacity(4);
        while !writer.lock().bytes.is_empty() {
            poll.poll(&mut events, None).unwrap();
            assert!(events.iter().all(|event| event.readiness().is_readable()));
            writer.resume().unwrap();
        }
    }

    #[test]
    fn what_many_hand_over_leaves_whole() {
        let (writer, mut peer) = writer();
        thread::scope(|scope| {
            for byte in 0..4 {
                let writer = &writer;
                scope.spawn(move || {
                    for _ in 0..1000 {
                        put(writer, 1, byte, 100);
                        writer.flush();
                    }
                });
            }
            let mut frame = [0; 100];
            for _ in 0..4000 {
                peer.read_exact(&mut frame).unwrap();
                assert!(frame.iter().all(|byte| *byte == frame[0]));
            }
        });
    }

    #[test]
    fn what_a_full_socket_does_not_take_leaves_when_there_is_room() {
        const MUCH: usize = 64 * 1024 * 1024;
        let (writer, mut peer) = writer();
        let poll = Poll::new().unwrap();
        writer.register(&poll, Token(7)).unwrap();
        put(&writer, 1, 7, MUCH);
        writer.flush();
        let reader = thread::spawn(move || {
            let mut bytes = vec![0; MUCH + 1];
            peer.read_exact(&mut bytes).unwrap();
            bytes
        });
        put(&writer, 1, 8, 1);
        send_the_rest(&writer, &poll);
        let bytes = reader.join().unwrap();
        assert_eq!(bytes.iter().position(|byte| *byte == 8), Some(MUCH));
    }

    #[test]
    fn heartbeats_do_not_pile_up_behind_a_full_socket() {
        let (writer, _peer) = writer();
        put(&writer, 1, 7, 64 * 1024 * 1024);
        writer.flush();
        writer.put_all(&HEARTBEAT);
        assert!(writer.lock().frames.is_empty());
    }

    #[test]
    fn room_is_heard_of_where_others_were_sooner() {
        let (writer, _peer) = writer();
        let (poll, mut events) = (Poll::new().unwrap(), Events::with_capacity(4));
        writer.register(&poll, Token(7)).unwrap();
        for _ in 0..3 {
            // Two meet a full socket, and there is room when the second says so.
            writer.wait_for_room(&mut writer.lock());
            writer.resume().unwrap();
            writer.wait_for_room(&mut writer.lock());
            poll.poll(&mut events, None).unwrap();
            assert!(!events.is_empty());
            writer.resume().unwrap();
        }
    }

    #[test]
    fn what_many_hand_over_leaves_whole_over_tls() {
        use rustls::pki_types::pem::PemObject;
        use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
        use rustls::{ClientConfig, RootCertStore, ServerConfig, ServerConnection, Stream};
        let certificate = |file: &str| CertificateDer::from_pem_file(file).unwrap();
        let key = PrivateKeyDer::from_pem_file("tests/data/tls/server.key").unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let server = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate("tests/data/tls/server.pem")], key)
            .unwrap();
        let mut roots = RootCertStore::empty();
        roots.add(certificate("tests/data/tls/ca.pem")).unwrap();
        let client = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut socket = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (mut peer, _) = listener.accept().unwrap();
        let host = ServerName::try_from("localhost").unwrap();
        let mut tls = ClientConnection::new(Arc::new(client), host).unwrap();
        let reader = thread::spawn(move || {
            let mut tls = ServerConnection::new(Arc::new(server)).unwrap();
            let mut stream = Stream::new(&mut tls, &mut peer);
            let mut frame = [0; 50_000];
            for _ in 0..400 {
                stream.read_exact(&mut frame).unwrap();
                assert!(frame.iter().all(|byte| *byte == frame[0]));
            }
        });
        while tls.is_handshaking() {
            tls.complete_io(&mut socket).unwrap();
        }
        socket.set_nonblocking(true).unwrap();
        let writer = Writer::new(socket, Some(tls)).unwrap();
        let poll = Poll::new().unwrap();
        writer.register(&poll, Token(7)).unwrap();
        thread::scope(|scope| {
            for byte in 0..4 {
                let writer = &writer;
                scope.spawn(move || {
                    for _ in 0..100 {
                        put(writer, 1, byte, 50_000);
                        writer.flush();
                    }
                });
            }
        });
        send_the_rest(&writer, &poll);
        reader.join().unwrap();
    }

    #[test]
    fn nothing_leaves_on_a_channel_that_is_closed() {
        let (writer, mut peer) = writer();
        put(&writer, 1, 1, 1);
        writer.close(1);
        put(&writer, 1, 2, 1);
        put(&writer, 2, 3, 1);
        writer.open(1);
        put(&writer, 1, 4, 1);
        writer.flush();
        let mut bytes = [0; 3];
        peer.read_exact(&mut bytes).unwrap();
        assert_eq!(bytes, [1, 3, 4]);
    }

    #[test]
    fn a_peer_that_is_gone_is_an_end() {
        let (writer, peer) = writer();
        let writer = Arc::new(writer);
        drop(peer);
        while !writer.lock().ended {
            put(&writer, 1, 1, 1000);
            writer.flush();
            thread::yield_now();
        }
        put(&writer, 1, 1, 1000);
        assert!(writer.lock().frames.is_empty());
    }
}
