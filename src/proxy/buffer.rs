//! The buffer of events between ingest and publisher: bounded in number and bytes, the oldest
//! dropped first, so that ingest never waits for the bus.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use crossbeam_channel::{Receiver, Sender, unbounded};
use tungstenite::Bytes;

use super::standing::Origin;

/// An event on its way.
#[derive(Debug)]
pub struct Event {
    /// Its bytes, as received.
    pub frame: Bytes,
    /// Where it comes from.
    pub origin: Arc<Origin>,
    /// When it was received.
    pub received: Instant,
}

/// The buffer. The channel itself has no bound, as one with a bound would take its memory at once;
/// the bound is kept by [`Buffer::push`].
#[derive(Debug)]
pub struct Buffer {
    sender: Sender<Event>,
    receiver: Receiver<Event>,
    bytes: AtomicUsize,
    most: usize,
    most_bytes: usize,
}

impl Buffer {
    /// A buffer of at most `most` events and `most_bytes` bytes.
    pub fn new(most: usize, most_bytes: usize) -> Buffer {
        let (sender, receiver) = unbounded();
        Buffer {
            sender,
            receiver,
            bytes: AtomicUsize::new(0),
            most,
            most_bytes,
        }
    }

    /// Puts an event in; how many old ones had to go for it.
    pub fn push(&self, event: Event) -> usize {
        self.bytes.fetch_add(event.frame.len(), Ordering::AcqRel);
        // The buffer holds both ends: sending cannot fail.
        let _ = self.sender.send(event);
        let mut dropped = 0;
        while self.receiver.len() > self.most
            || self.bytes.load(Ordering::Acquire) > self.most_bytes
        {
            match self.receiver.try_recv() {
                Ok(oldest) => self.taken(&oldest),
                Err(_) => break,
            }
            dropped += 1;
        }
        dropped
    }

    /// Where events come out; each must be reported to [`Buffer::taken`].
    pub fn receiver(&self) -> &Receiver<Event> {
        &self.receiver
    }

    /// `event` was taken out.
    pub fn taken(&self, event: &Event) {
        self.bytes.fetch_sub(event.frame.len(), Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(bytes: &'static [u8]) -> Event {
        Event {
            frame: Bytes::from_static(bytes),
            origin: Arc::new(Origin {
                asterisk: "a".into(),
                event_subject: "s".into(),
            }),
            received: Instant::now(),
        }
    }

    #[test]
    fn the_oldest_go_by_number() {
        let buffer = Buffer::new(2, 1000);
        assert_eq!(buffer.push(event(b"1")), 0);
        assert_eq!(buffer.push(event(b"2")), 0);
        assert_eq!(buffer.push(event(b"3")), 1);
        let first = buffer.receiver().recv().unwrap();
        assert_eq!(&first.frame[..], b"2");
    }

    #[test]
    fn the_oldest_go_by_bytes() {
        let buffer = Buffer::new(100, 10);
        assert_eq!(buffer.push(event(b"12345")), 0);
        assert_eq!(buffer.push(event(b"12345")), 0);
        assert_eq!(buffer.push(event(b"123456")), 2);
        let first = buffer.receiver().recv().unwrap();
        assert_eq!(&first.frame[..], b"123456");
        buffer.taken(&first);
        assert_eq!(buffer.push(event(b"1234567890")), 0);
    }
}
