//! The bare loops over NATS.

use std::cell::Cell;
use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::rc::Rc;
use std::thread;

use super::{Asterisk, THREADS, read};

/// Runs them; this thread reads the events.
pub(super) fn run(asterisk: &Asterisk, url: &str) {
    let connection = nats::connect(url).expect("a connection to NATS");
    let unflushed = Rc::new(Cell::new(false));
    let mut websocket = asterisk.events(|socket| Flushing {
        socket,
        connection: connection.clone(),
        unflushed: Rc::clone(&unflushed),
    });
    for class in ["data", "command"] {
        let requests = connection.subscribe(&asterisk.subject(class));
        let requests = requests.expect("subscribed");
        for _ in 0..THREADS {
            let (connection, requests) = (connection.clone(), requests.clone());
            let asterisk = asterisk.clone();
            thread::spawn(move || answer(&asterisk, &connection, &requests));
        }
    }
    let announced = connection.publish("ari.announce", asterisk.announcement());
    announced.expect("published");
    connection.flush().expect("flushed");
    let subject = asterisk.subject("event");
    loop {
        let event = read(&mut websocket);
        connection.publish(&subject, &event).expect("published");
        unflushed.set(true);
    }
}

/// Answers requests. Answers are flushed when no more requests wait; a flush of the crate is a round
/// trip, so that many at a time would be slowed down by one each.
fn answer(asterisk: &Asterisk, connection: &nats::Connection, requests: &nats::Subscription) {
    while let Some(request) = requests.next() {
        let answer = asterisk.answer(&request.data);
        request.respond(answer).expect("answered");
        if requests.receiver().is_empty() {
            connection.flush().expect("flushed");
        }
    }
}

/// The websocket's socket: what was published is flushed before more is waited for. All that was there
/// is read by then, as tungstenite reads 128 KiB at once.
struct Flushing {
    socket: TcpStream,
    connection: nats::Connection,
    unflushed: Rc<Cell<bool>>,
}

impl Read for Flushing {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if self.unflushed.replace(false) {
            self.connection.flush()?;
        }
        self.socket.read(into)
    }
}

impl Write for Flushing {
    fn write(&mut self, from: &[u8]) -> io::Result<usize> {
        self.socket.write(from)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.socket.flush()
    }
}
