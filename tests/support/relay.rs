//! A TCP relay between the proxy and one of its peers, for faults of the network between them.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use crossbeam_channel::bounded;

use super::ports::free_port;
use super::server::lock;

/// A relay on a loopback port.
pub(crate) struct Relay {
    port: u16,
    shared: Arc<Shared>,
}

struct Shared {
    target: u16,
    /// How long all that passes takes, each way.
    delay: Duration,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    stalled: bool,
    refusing: bool,
    closed: bool,
    /// How many bytes more may pass to those who connected, if that is bounded.
    left: Option<usize>,
    connections: Vec<Connection>,
    accepted: usize,
}

/// A connection through the relay.
struct Connection {
    /// The how manieth it is.
    number: usize,
    near: TcpStream,
    far: Option<TcpStream>,
    stalled: bool,
}

impl Connection {
    fn cut(&self) {
        for stream in [Some(&self.near), self.far.as_ref()].into_iter().flatten() {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }

    /// Whether its target sees it come from this port.
    fn comes_from(&self, port: u16) -> bool {
        let far = self.far.as_ref().and_then(|far| far.local_addr().ok());
        far.is_some_and(|address| address.port() == port)
    }
}

impl Relay {
    /// Starts one to the loopback port `target`.
    pub(crate) fn start(target: u16) -> Relay {
        Relay::slow(target, Duration::ZERO)
    }

    /// Starts one to the loopback port `target` that is `delay` away from both ends.
    pub(crate) fn slow(target: u16, delay: Duration) -> Relay {
        let port = free_port();
        let listener = TcpListener::bind(("127.0.0.1", port)).expect("a free port");
        let shared = Arc::new(Shared {
            target,
            delay,
            state: Mutex::default(),
            changed: Condvar::new(),
        });
        let acceptor = Arc::clone(&shared);
        std::thread::spawn(move || accept(&listener, &acceptor));
        Relay { port, shared }
    }

    /// Its port.
    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// Passes nothing on: connections stay and are accepted, and all is silent.
    pub(crate) fn stall(&self) {
        lock(&self.shared.state).stalled = true;
    }

    /// Passes nothing on over the connections that there are; new ones are as they should be.
    pub(crate) fn stall_present(&self) {
        for connection in &mut self.state().connections {
            connection.stalled = true;
        }
    }

    /// Passes nothing on over the connection that the target sees come from `port`.
    pub(crate) fn stall_one(&self, port: u16) {
        self.one(port, |connection| connection.stalled = true);
    }

    /// Ends the connection that the target sees come from `port`.
    pub(crate) fn cut_one(&self, port: u16) {
        self.one(port, |connection| connection.cut());
    }

    fn one(&self, port: u16, work: impl FnOnce(&mut Connection)) {
        let mut state = self.state();
        let mut connections = state.connections.iter_mut();
        work(
            connections
                .find(|connection| connection.comes_from(port))
                .expect("a connection of the relay"),
        );
    }

    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.shared.state)
    }

    /// Passes on again what came meanwhile, and accepts connections that were refused.
    pub(crate) fn resume(&self) {
        let mut state = lock(&self.shared.state);
        state.stalled = false;
        state.refusing = false;
        for connection in &mut state.connections {
            connection.stalled = false;
        }
        self.shared.changed.notify_all();
    }

    /// Ends every connection.
    pub(crate) fn cut(&self) {
        self.shared.cut();
    }

    /// Ends every connection when so many bytes more have passed to those who connected.
    pub(crate) fn cut_after(&self, bytes: usize) {
        self.state().left = Some(bytes);
    }

    /// Ends every connection and every one that comes, until [`Relay::resume`].
    pub(crate) fn refuse(&self) {
        lock(&self.shared.state).refusing = true;
        self.cut();
    }

    /// How many connections have come so far.
    pub(crate) fn accepted(&self) -> usize {
        lock(&self.shared.state).accepted
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        lock(&self.shared.state).closed = true;
        self.resume();
        self.cut();
        // Wakes the acceptor.
        drop(TcpStream::connect(("127.0.0.1", self.port)));
    }
}

fn accept(listener: &TcpListener, shared: &Arc<Shared>) {
    for near in listener.incoming().map_while(Result::ok) {
        let shared = Arc::clone(shared);
        let mut state = lock(&shared.state);
        if state.closed {
            return;
        }
        state.accepted += 1;
        if state.refusing {
            continue;
        }
        let number = state.accepted;
        let Ok(stream) = near.try_clone() else {
            continue;
        };
        state.connections.push(Connection {
            number,
            near: stream,
            far: None,
            stalled: false,
        });
        drop(state);
        std::thread::spawn(move || {
            relay(&near, number, &shared);
            let mut state = lock(&shared.state);
            state.connections.retain(|other| other.number != number);
        });
    }
}

fn relay(near: &TcpStream, number: usize, shared: &Arc<Shared>) {
    shared.pass(number);
    let Ok(far) = TcpStream::connect(("127.0.0.1", shared.target)) else {
        let _ = near.shutdown(Shutdown::Both);
        return;
    };
    let mut state = lock(&shared.state);
    match state.connections.iter_mut().find(|it| it.number == number) {
        Some(connection) => connection.far = far.try_clone().ok(),
        // It was cut meanwhile.
        None => return,
    }
    drop(state);
    let _ = near.set_nodelay(true);
    let _ = far.set_nodelay(true);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            copy(
                near,
                &far,
                Way {
                    number,
                    back: false,
                },
                shared,
            )
        });
        copy(&far, near, Way { number, back: true }, shared);
    });
}

/// One of the two ways of a connection.
#[derive(Clone, Copy)]
struct Way {
    number: usize,
    /// Whether it leads to who connected.
    back: bool,
}

fn copy(mut from: &TcpStream, to: &TcpStream, way: Way, shared: &Shared) {
    std::thread::scope(|scope| {
        let (late, due) = bounded::<(Instant, Vec<u8>)>(1024);
        if !shared.delay.is_zero() {
            scope.spawn(move || {
                for (when, bytes) in due {
                    std::thread::sleep(when.saturating_duration_since(Instant::now()));
                    if !shared.write(to, &bytes, way) {
                        let _ = to.shutdown(Shutdown::Both);
                    }
                }
            });
        }
        let mut buffer = vec![0; 64 * 1024];
        while let Ok(count @ 1..) = from.read(&mut buffer) {
            let bytes = &buffer[..count];
            let passed = match shared.delay.is_zero() {
                true => shared.write(to, bytes, way),
                false => late
                    .send((Instant::now() + shared.delay, bytes.to_vec()))
                    .is_ok(),
            };
            if !passed {
                break;
            }
        }
    });
    // The end of a connection is not passed on either.
    shared.pass(way.number);
    let _ = from.shutdown(Shutdown::Both);
    let _ = to.shutdown(Shutdown::Both);
}

impl Shared {
    fn cut(&self) {
        for connection in lock(&self.state).connections.drain(..) {
            connection.cut();
        }
    }

    /// Writes bytes, or those that may still pass; whether there may be more.
    fn write(&self, mut to: &TcpStream, bytes: &[u8], way: Way) -> bool {
        self.pass(way.number);
        let mut state = lock(&self.state);
        let left = state.left.as_mut().filter(|_| way.back);
        let count = left
            .as_ref()
            .map_or(bytes.len(), |left| bytes.len().min(**left));
        let mut ends = false;
        if let Some(left) = left {
            *left -= count;
            ends = *left == 0;
        }
        if ends {
            state.left = None;
        }
        drop(state);
        let written = to.write_all(&bytes[..count]).is_ok();
        if ends {
            self.cut();
        }
        written && !ends
    }

    /// Waits while the relay is stalled, or the connection of this number.
    fn pass(&self, number: usize) {
        let mut state = lock(&self.state);
        while state.stalled
            || state
                .connections
                .iter()
                .any(|connection| connection.number == number && connection.stalled)
        {
            state = match self.changed.wait(state) {
                Ok(state) => state,
                Err(poisoned) => poisoned.into_inner(),
            };
        }
    }
}
