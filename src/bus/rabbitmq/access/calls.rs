//! The calls that a listener has in hand: what it does not take, is another's.

use std::sync::{Arc, Mutex};

use super::super::lock;
use super::super::message::put_ack;
use super::super::writer::Writer;
use super::loss::Loss;
use crate::bus::access::Claims;

/// Where calls are taken.
#[derive(Debug)]
pub(super) struct Calls {
    writer: Arc<Writer>,
    channel: u16,
    /// Whether the channel is open: a word more on it would end the connection.
    open: Mutex<bool>,
    loss: Arc<Loss>,
}

impl Calls {
    /// Those that come on `channel`.
    pub(super) fn new(channel: u16, writer: &Arc<Writer>, loss: &Arc<Loss>) -> Arc<Calls> {
        Arc::new(Calls {
            writer: Arc::clone(writer),
            channel,
            open: Mutex::new(true),
            loss: Arc::clone(loss),
        })
    }

    /// Whether what comes is for us.
    pub(super) fn is_open(&self) -> bool {
        *lock(&self.open)
    }

    /// The channel is about to be closed: what is in hand is for others.
    pub(super) fn end(&self) {
        *lock(&self.open) = false;
    }
}

impl Claims for Calls {
    fn take(&self, number: u64) -> bool {
        let open = lock(&self.open);
        let ours = *open && !self.loss.is_lost();
        if ours {
            self.writer.put(self.channel, |frames, _| {
                put_ack(self.channel, number, false, frames);
            });
        }
        drop(open);
        // It leaves before the application has the call: of one that is killed, no other gets it again.
        self.writer.flush();
        ours
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bus::Claim;
    use std::io::Read;
    use std::net::{TcpListener, TcpStream};

    /// The calls of a channel, and the broker.
    fn calls() -> (Arc<Calls>, Arc<Loss>, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let socket = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        socket.set_nonblocking(true).unwrap();
        let (broker, _) = listener.accept().unwrap();
        let writer = Arc::new(Writer::new(socket, None).unwrap());
        let (loss, _) = Loss::new();
        (Calls::new(5, &writer, &loss), loss, broker)
    }

    fn expect_taken(broker: &mut TcpStream, numbers: &[u64]) {
        let (mut expected, mut told) = (Vec::new(), Vec::new());
        for number in numbers {
            put_ack(5, *number, false, &mut expected);
        }
        broker.read_to_end(&mut told).unwrap();
        assert_eq!(told, expected);
    }

    #[test]
    fn what_is_taken_is_acknowledged_while_the_channel_is_open() {
        let (calls, _, mut broker) = calls();
        let [one, two, three] = [1, 2, 3].map(|number| Claim::new(number, Arc::clone(&calls) as _));
        // What nobody has taken is another's, also where the rest is dropped before the end.
        drop(three);
        assert!(two.take());
        assert!(calls.is_open());
        calls.end();
        assert!(!calls.is_open());
        assert!(!one.take());
        drop(calls);
        expect_taken(&mut broker, &[2]);
    }

    #[test]
    fn what_came_before_the_access_was_lost_is_another_s() {
        let (calls, loss, mut broker) = calls();
        let claim = Claim::new(1, Arc::clone(&calls) as _);
        loss.lose();
        assert!(!claim.take());
        drop(calls);
        expect_taken(&mut broker, &[]);
    }
}
