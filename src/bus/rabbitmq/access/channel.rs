//! A channel of an access. What the broker is asked there is answered in its order, so it is known what
//! it refuses when it closes the channel.

use std::collections::VecDeque;

use crossbeam_channel::{Receiver, Sender, bounded};

use super::super::writer::Writer;
use super::methods::{Call, Refusal};
use crate::bus::BusError;

/// What becomes of what is asked.
pub(super) type Outcome = Result<(), BusError>;

/// How a channel stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Shut,
    Open,
    Closing,
}

/// Something that the broker is asked.
#[derive(Debug)]
struct Asked {
    frames: Vec<u8>,
    refusal: Refusal,
    /// Who waits for the outcome, if somebody does.
    tell: Option<Sender<Outcome>>,
}

/// A channel.
#[derive(Debug)]
pub(super) struct Channel {
    number: u16,
    state: State,
    /// What the broker was asked and has not answered.
    asked: VecDeque<Asked>,
}

impl Channel {
    /// The channel of this number. It is opened when it is of use.
    pub(super) fn new(number: u16) -> Channel {
        Channel {
            number,
            state: State::Shut,
            asked: VecDeque::new(),
        }
    }

    /// Asks the broker; what becomes of it is told.
    pub(super) fn ask(&mut self, call: &Call<'_>, writer: &Writer) -> Receiver<Outcome> {
        let (tell, outcome) = bounded(1);
        self.put(call, Some(tell), writer);
        outcome
    }

    /// Asks the broker for what nobody waits for.
    pub(super) fn order(&mut self, call: &Call<'_>, writer: &Writer) {
        self.put(call, None, writer);
    }

    /// Says something that is not answered.
    pub(super) fn say<T>(
        &mut self,
        writer: &Writer,
        append: impl FnOnce(u16, &mut Vec<u8>, usize) -> T,
    ) -> Option<T> {
        self.open(writer);
        let number = self.number;
        (self.state == State::Open)
            .then(|| writer.put(number, |frames, largest| append(number, frames, largest)))
    }

    /// The broker has done what it was asked first.
    pub(super) fn done(&mut self) {
        if let Some(asked) = self.asked.pop_front() {
            asked.tell(Ok(()));
        }
    }

    /// The broker closes it, in its words: for what it was asked first, where there is something. Whatever
    /// comes after that it has not read, and is asked again. Nothing was asked: its words.
    pub(super) fn closes(&mut self, why: String, writer: &Writer) -> Option<String> {
        let number = self.number;
        writer.put(number, |frames, _| Call::CloseOk.put(number, frames));
        if self.state == State::Closing {
            // What we have asked at the same time, it answers all the same.
            return None;
        }
        self.state = State::Shut;
        let Some(refused) = self.asked.pop_front() else {
            return Some(why);
        };
        let Asked { refusal, tell, .. } = refused;
        let error = refusal.error(why);
        match tell {
            // Whoever does not wait any more has been told something else.
            Some(tell) => drop(tell.try_send(Err(error))),
            None => log::info!("bus: {error}"),
        }
        if !self.asked.is_empty() {
            self.open(writer);
            for asked in &self.asked {
                writer.put(number, |frames, _| frames.extend_from_slice(&asked.frames));
            }
        }
        None
    }

    /// It is of no use any more. The broker says when it is closed.
    pub(super) fn close(&mut self, writer: &Writer) {
        if self.state == State::Open {
            self.state = State::Closing;
            self.asked.clear();
            let number = self.number;
            writer.put(number, |frames, _| Call::Close.put(number, frames));
        }
    }

    /// Whether it is open, and not about to be closed.
    pub(super) fn is_open(&self) -> bool {
        self.state == State::Open
    }

    /// Whether it is closed, and not used again.
    pub(super) fn is_shut(&self) -> bool {
        self.state == State::Shut
    }

    fn put(&mut self, call: &Call<'_>, tell: Option<Sender<Outcome>>, writer: &Writer) {
        let mut frames = Vec::new();
        call.put(self.number, &mut frames);
        if self
            .say(writer, |_, all, _| all.extend_from_slice(&frames))
            .is_some()
        {
            let refusal = call.refusal();
            self.asked.push_back(Asked {
                frames,
                refusal,
                tell,
            });
        }
    }

    fn open(&mut self, writer: &Writer) {
        if self.state == State::Shut {
            self.state = State::Open;
            let number = self.number;
            // What follows is read after it, whatever becomes of it.
            writer.put(number, |frames, _| Call::Open.put(number, frames));
        }
    }
}

impl Asked {
    fn tell(self, outcome: Outcome) {
        if let Some(tell) = self.tell {
            // Whoever does not wait any more has been told something else.
            drop(tell.try_send(outcome));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::methods::{Acknowledged, Kind};
    use super::*;
    use std::io::Read;
    use std::net::{TcpListener, TcpStream};

    /// A writer, and the broker that it writes to.
    fn writer() -> (Writer, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let socket = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        socket.set_nonblocking(true).unwrap();
        let (broker, _) = listener.accept().unwrap();
        (Writer::new(socket, None).unwrap(), broker)
    }

    fn expect(writer: &Writer, broker: &mut TcpStream, calls: &[Call<'_>]) {
        writer.flush();
        let mut expected = Vec::new();
        for call in calls {
            call.put(5, &mut expected);
        }
        let mut told = vec![0; expected.len()];
        broker.read_exact(&mut told).unwrap();
        assert_eq!(told, expected, "{calls:?}");
    }

    const QUEUES: [Call<'_>; 3] = [
        Call::Queue("a", Kind::Shared),
        Call::Queue("b", Kind::Shared),
        Call::Queue("c", Kind::Shared),
    ];

    #[test]
    fn what_is_refused_is_told_and_the_rest_is_asked_again() {
        let (writer, mut broker) = writer();
        let mut channel = Channel::new(5);
        let [a, b, c] = QUEUES.map(|call| channel.ask(&call, &writer));
        expect(&writer, &mut broker, &[Call::Open]);
        expect(&writer, &mut broker, &QUEUES);
        channel.done();
        assert_eq!(a.try_recv(), Ok(Ok(())));
        assert_eq!(channel.closes("no".into(), &writer), None);
        assert!(matches!(b.try_recv(), Ok(Err(BusError::Declined { .. }))));
        let [_, _, last] = QUEUES;
        expect(&writer, &mut broker, &[Call::CloseOk, Call::Open, last]);
        assert!(c.is_empty() && !channel.is_shut());
        channel.done();
        assert_eq!(c.try_recv(), Ok(Ok(())));
        // Nothing was asked.
        let why = channel.closes("words".into(), &writer);
        assert_eq!(why.as_deref(), Some("words"));
        assert!(channel.is_shut());
        expect(&writer, &mut broker, &[Call::CloseOk]);
    }

    #[test]
    fn a_channel_that_is_left() {
        let (writer, mut broker) = writer();
        let mut channel = Channel::new(5);
        channel.close(&writer);
        let read = Call::Read("q", Acknowledged(true));
        let outcome = channel.ask(&read, &writer);
        channel.close(&writer);
        channel.close(&writer);
        assert!(outcome.try_recv().is_err(), "nobody is told");
        assert!(channel.say(&writer, |_, _, _| ()).is_none());
        // Both at the same time.
        assert_eq!(channel.closes("no".into(), &writer), None);
        assert!(!channel.is_shut());
        let all = [Call::Open, read, Call::Close, Call::CloseOk];
        expect(&writer, &mut broker, &all);
    }
}
