//! The receipts of an inbox, and what of its messages the broker is told to forget.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crossbeam_channel::{Receiver, Sender, bounded};

use super::message::put_ack;
use super::writer::Writer;
use crate::bus::link::Returned;

/// How many receipts come back, at most, until the broker is told.
const MANY: usize = 64;

/// The receipts of the messages of one channel.
#[derive(Debug)]
pub(super) struct Receipts {
    writer: Arc<Writer>,
    channel: u16,
    book: Mutex<Book>,
    /// Told that all are back, while somebody waits for that.
    all: (Sender<()>, Receiver<()>),
}

#[derive(Debug, Default)]
struct Book {
    /// How many receipts are out.
    out: usize,
    /// The numbers of those that are back and of which the broker is not told.
    back: Vec<u64>,
    /// The highest number of a message that is dealt with: numbers are given without gaps, from 1.
    highest: u64,
    /// The numbers up to that of messages that are not: no more than the broker has on their way.
    missing: BTreeSet<u64>,
    /// Whether the thread of the inbox is up and tells the broker, sooner than somebody else would.
    attended: bool,
    /// Whether the channel is at its end: a word more on it would end the connection.
    closed: bool,
}

impl Receipts {
    /// Those of `channel`, whose frames leave through `writer`.
    pub(super) fn new(writer: &Arc<Writer>, channel: u16) -> Receipts {
        let book = Book {
            attended: true,
            ..Book::default()
        };
        Receipts {
            writer: Arc::clone(writer),
            channel,
            book: Mutex::new(book),
            all: bounded(1),
        }
    }

    /// One is given out.
    pub(super) fn give(&self) {
        self.lock().out += 1;
    }

    /// How many are out.
    pub(super) fn out(&self) -> usize {
        self.lock().out
    }

    /// Hears when all are back that are out now.
    pub(super) fn all_back(&self) -> &Receiver<()> {
        &self.all.1
    }

    /// The thread of the inbox looks after it.
    pub(super) fn attend(&self) {
        self.lock().attended = true;
    }

    /// It tells the broker what there is to tell.
    pub(super) fn tell(&self) {
        self.tell_and(|_| {});
    }

    /// It does so the last time before it waits for something.
    pub(super) fn leave(&self) {
        self.tell_and(|book| book.attended = false);
    }

    /// It does so the last time.
    pub(super) fn close(&self) {
        self.tell_and(|book| book.closed = true);
    }

    fn tell_and(&self, then: impl FnOnce(&mut Book)) {
        let mut book = self.lock();
        let any = self.put(&mut book);
        then(&mut book);
        drop(book);
        if any {
            self.writer.flush();
        }
    }

    /// Hands what the broker is to forget to the writer; whether there is anything.
    fn put(&self, book: &mut Book) -> bool {
        let numbers = book.settle();
        if numbers.is_empty() || book.closed {
            return false;
        }
        self.writer.put(self.channel, |frames, _| {
            for (number, all) in &numbers {
                put_ack(self.channel, *number, *all, frames);
            }
        });
        true
    }

    fn lock(&self) -> MutexGuard<'_, Book> {
        // A book is whole after every statement that could panic.
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Returned for Receipts {
    fn take_back(&self, number: u64) {
        let mut book = self.lock();
        book.out -= 1;
        book.back.push(number);
        if book.out == 0 {
            // If there is no room, it is told already.
            let _ = self.all.0.try_send(());
        }
        let any = (!book.attended || book.back.len() >= MANY) && self.put(&mut book);
        drop(book);
        if any {
            self.writer.flush();
        }
    }
}

impl Book {
    /// What the broker is to be told: numbers, and whether each is for all up to it.
    fn settle(&mut self) -> Vec<(u64, bool)> {
        for number in &self.back {
            if *number > self.highest {
                self.missing.extend(self.highest + 1..*number);
                self.highest = *number;
            } else {
                self.missing.remove(number);
            }
        }
        // Up to here all are dealt with.
        let dealt = self.missing.first().map_or(self.highest, |first| first - 1);
        let (below, mut above): (Vec<u64>, Vec<u64>) =
            self.back.drain(..).partition(|number| *number <= dealt);
        let last = below.iter().max().map(|last| (*last, below.len() > 1));
        above.sort_unstable();
        let above = above.into_iter().map(|number| (number, false));
        last.into_iter().chain(above).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;
    use std::net::{TcpListener, TcpStream};

    #[test]
    fn what_comes_back_in_any_order() {
        let mut book = Book::default();
        let mut settle = |back: &[u64]| {
            book.back.extend(back);
            book.settle()
        };
        assert_eq!(settle(&[]), []);
        assert_eq!(settle(&[1]), [(1, false)]);
        assert_eq!(settle(&[3, 2]), [(3, true)]);
        // The fourth is still out.
        assert_eq!(settle(&[7, 5]), [(5, false), (7, false)]);
        // The fifth is told already, so the fourth is alone.
        assert_eq!(settle(&[4]), [(4, false)]);
        // The seventh too: the last of which the broker knows is named.
        assert_eq!(settle(&[9, 6]), [(6, false), (9, false)]);
        assert_eq!(settle(&[10, 8]), [(10, true)]);
        // One that takes its time costs no memory for those after it.
        (12..1000).for_each(|number| assert_eq!(settle(&[number]), [(number, false)]));
        assert_eq!(book.missing, BTreeSet::from([11]));
    }

    #[test]
    fn who_tells_the_broker() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let socket = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        socket.set_nonblocking(true).unwrap();
        let (mut broker, _) = listener.accept().unwrap();
        let writer = Arc::new(Writer::new(socket, None).unwrap());
        let receipts = Receipts::new(&writer, 1);
        let mut expect = |acks: &[(u64, bool)]| {
            let mut expected = Vec::new();
            for (number, all) in acks {
                put_ack(1, *number, *all, &mut expected);
            }
            let mut told = vec![0; expected.len()];
            broker.read_exact(&mut told).unwrap();
            assert_eq!(told, expected);
        };
        (0..5).for_each(|_| receipts.give());
        // The inbox does, when it has time.
        receipts.take_back(1);
        receipts.take_back(2);
        receipts.leave();
        expect(&[(2, true)]);
        // Nobody is there: at once.
        receipts.take_back(4);
        receipts.take_back(3);
        expect(&[(4, false), (3, false)]);
        assert_eq!(receipts.out(), 1);
        assert!(receipts.all_back().is_empty());
        // What comes after the end is for nobody.
        receipts.close();
        receipts.take_back(5);
        assert_eq!((receipts.out(), receipts.all_back().len()), (0, 1));
        drop((receipts, writer));
        assert_eq!(broker.read(&mut [0]).unwrap(), 0);
    }
}
