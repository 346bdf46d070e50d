//! A TCP relay between the proxy and one of its peers, for faults of the network between them.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex};

use super::ports::free_port;
use super::server::lock;

/// A relay on a loopback port.
pub(crate) struct Relay {
    port: u16,
    shared: Arc<Shared>,
}

struct Shared {
    target: u16,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    stalled: bool,
    refusing: bool,
    closed: bool,
    streams: Vec<TcpStream>,
    accepted: usize,
}

impl Relay {
    /// Starts one to the loopback port `target`.
    pub(crate) fn start(target: u16) -> Relay {
        let port = free_port();
        let listener = TcpListener::bind(("127.0.0.1", port)).expect("a free port");
        let shared = Arc::new(Shared {
            target,
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

    /// Passes on again what came meanwhile, and accepts connections that were refused.
    pub(crate) fn resume(&self) {
        let mut state = lock(&self.shared.state);
        state.stalled = false;
        state.refusing = false;
        self.shared.changed.notify_all();
    }

    /// Ends every connection.
    pub(crate) fn cut(&self) {
        for stream in lock(&self.shared.state).streams.drain(..) {
            let _ = stream.shutdown(Shutdown::Both);
        }
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
        state.streams.extend(near.try_clone());
        drop(state);
        std::thread::spawn(move || relay(&near, &shared));
    }
}

fn relay(near: &TcpStream, shared: &Arc<Shared>) {
    shared.pass();
    let Ok(far) = TcpStream::connect(("127.0.0.1", shared.target)) else {
        let _ = near.shutdown(Shutdown::Both);
        return;
    };
    lock(&shared.state).streams.extend(far.try_clone());
    let _ = near.set_nodelay(true);
    let _ = far.set_nodelay(true);
    std::thread::scope(|scope| {
        scope.spawn(|| copy(near, &far, shared));
        copy(&far, near, shared);
    });
}

fn copy(mut from: &TcpStream, mut to: &TcpStream, shared: &Shared) {
    let mut buffer = vec![0; 64 * 1024];
    while let Ok(count @ 1..) = from.read(&mut buffer) {
        shared.pass();
        if to.write_all(&buffer[..count]).is_err() {
            break;
        }
    }
    let _ = from.shutdown(Shutdown::Both);
    let _ = to.shutdown(Shutdown::Both);
}

impl Shared {
    /// Waits while the relay is stalled.
    fn pass(&self) {
        let mut state = lock(&self.state);
        while state.stalled {
            state = match self.changed.wait(state) {
                Ok(state) => state,
                Err(poisoned) => poisoned.into_inner(),
            };
        }
    }
}
