//! A channel of ours: the crate has opened it and knows nothing of it from then on. What the broker is
//! asked there is answered in its order, so it is known what it refuses when it closes the channel.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

use super::declarations::{GROUP_QUEUE, not_allowed};
use super::methods::{Call, IfUnused};
use super::writer::Writer;
use crate::bus::BusError;
use crate::wire::topic;

/// How many questions are on their way at a time. Those behind one that is refused are asked again.
const AT_A_TIME: usize = 256;

/// A queue of a dialog.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Queue {
    Events,
    Responses,
    Commands,
}

/// Those of a dialog, in the order that they are declared in: what the application sends is read when it
/// can be answered.
pub(super) const QUEUES: [Queue; 3] = [Queue::Events, Queue::Responses, Queue::Commands];

impl Queue {
    /// What its name begins with.
    pub(super) fn prefix(self) -> &'static str {
        match self {
            Queue::Events => topic::EVENTS,
            Queue::Responses => topic::RESPONSES,
            Queue::Commands => topic::COMMANDS,
        }
    }

    /// Its name.
    pub(super) fn of(self, dialog: &str) -> String {
        format!("{}{dialog}", self.prefix())
    }
}

/// What the broker is asked, and answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Question {
    /// How many messages a reader has in hand.
    Window(u16),
    /// To declare a queue of a dialog.
    Declare(Arc<str>, Queue),
    /// To tell what waits in a queue of a dialog that is closed, by declaring it: to ask for one that is
    /// gone would be refused.
    Count(Arc<str>, Queue),
    /// To declare a queue that something is offered on.
    Offer(String),
    /// To delete a queue of a dialog.
    Delete(Arc<str>, Queue),
    /// To send the commands of a dialog.
    Read(Arc<str>),
}

impl Question {
    /// The error of a broker that refuses it, in its words.
    pub(super) fn refused(&self, why: String) -> BusError {
        let declined = |queue: String, why| BusError::Declined {
            what: format!("the queue {queue}"),
            ours: GROUP_QUEUE.to_owned(),
            why,
        };
        match self {
            Question::Declare(dialog, queue) | Question::Count(dialog, queue) => {
                declined(queue.of(dialog), why)
            }
            Question::Offer(queue) => declined(queue.clone(), why),
            Question::Delete(dialog, queue) => {
                not_allowed(&format!("delete {}", queue.of(dialog)), why)
            }
            Question::Read(dialog) => {
                not_allowed(&format!("read {}", Queue::Commands.of(dialog)), why)
            }
            Question::Window(_) => not_allowed("bound what it sends", why),
        }
    }

    fn put(&self, channel: u16, frames: &mut Vec<u8>) -> (u16, u16) {
        let name;
        let call = match self {
            Question::Window(count) => Call::Window(*count),
            Question::Offer(queue) => Call::Declare(queue),
            Question::Declare(dialog, queue) | Question::Count(dialog, queue) => {
                name = queue.of(dialog);
                Call::Declare(&name)
            }
            Question::Delete(dialog, queue) => {
                name = queue.of(dialog);
                // Who consumes the others may lose his connection with them (go-ari-library does).
                Call::Delete(&name, IfUnused(*queue != Queue::Commands))
            }
            Question::Read(dialog) => {
                name = Queue::Commands.of(dialog);
                // Whatever went before: the broker ends the connection over a name that is in use, and
                // ignores one that is not.
                Call::Leave(&name).put(channel, frames);
                Call::Read(&name)
            }
        };
        call.put(channel, frames);
        call.method()
    }
}

/// How a channel stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// It is closed, and opened at this time.
    Shut(Option<Instant>),
    Opening,
    Open,
    Closing,
}

/// A channel.
#[derive(Debug)]
pub(super) struct Channel {
    number: u16,
    state: State,
    /// Whether it is of use.
    wanted: bool,
    /// What is to be asked,
    questions: VecDeque<Question>,
    /// and how much of it, from the first, is on its way: class and number of each.
    asked: VecDeque<(u16, u16)>,
}

impl Channel {
    /// The channel of this number, which is open.
    pub(super) fn new(number: u16) -> Channel {
        Channel {
            number,
            state: State::Open,
            wanted: false,
            questions: VecDeque::new(),
            asked: VecDeque::new(),
        }
    }

    pub(super) fn number(&self) -> u16 {
        self.number
    }

    pub(super) fn is_open(&self) -> bool {
        self.state == State::Open
    }

    /// How many questions have no answer.
    pub(super) fn open_questions(&self) -> usize {
        self.questions.len()
    }

    /// The dialogs of which a queue is still to be deleted.
    pub(super) fn deletes(&self) -> impl Iterator<Item = &Arc<str>> {
        self.questions.iter().filter_map(|question| match question {
            Question::Delete(dialog, _) => Some(dialog),
            _ => None,
        })
    }

    /// It is of use from now on; whether it is open.
    pub(super) fn want(&mut self, writer: &Writer) -> bool {
        self.wanted = true;
        self.step(Instant::now(), writer);
        self.is_open()
    }

    /// It is of no use any more: what the broker has sent on it and was not acknowledged is for others.
    pub(super) fn leave(&mut self, writer: &Writer) {
        self.wanted = false;
        self.forget();
        self.step(Instant::now(), writer);
    }

    /// Asks the broker as soon as may be.
    pub(super) fn ask(&mut self, question: Question, writer: &Writer) {
        self.questions.push_back(question);
        self.go_on(writer);
    }

    /// Says something that has no answer, if the channel is open.
    pub(super) fn say(&self, writer: &Writer, append: impl FnOnce(u16, &mut Vec<u8>)) {
        if self.is_open() {
            writer.put(self.number, |frames, _| append(self.number, frames));
        }
    }

    /// The broker has answered: what.
    pub(super) fn answered(&mut self, writer: &Writer) -> Option<Question> {
        if !self.is_open() {
            return None;
        }
        self.asked.pop_front()?;
        let question = self.questions.pop_front();
        self.go_on(writer);
        question
    }

    /// The broker has opened it. What was not answered before is asked again.
    pub(super) fn opened(&mut self, writer: &Writer) {
        if self.state == State::Opening {
            self.state = State::Open;
            self.step(Instant::now(), writer);
            self.go_on(writer);
        }
    }

    /// The broker has closed it, as it was asked to.
    pub(super) fn closed(&mut self, writer: &Writer) {
        if self.state == State::Closing {
            self.state = State::Shut(None);
            self.step(Instant::now(), writer);
        }
    }

    /// The broker closes it: what it refuses, if that is known. It is opened again by
    /// [`Channel::open_again`].
    pub(super) fn closes(&mut self, method: (u16, u16), writer: &Writer) -> Option<Question> {
        writer.put(self.number, |frames, _| {
            Call::CloseOk.put(self.number, frames);
        });
        let refused = self.asked.front() == Some(&method);
        self.asked.clear();
        self.state = State::Shut(None);
        refused.then(|| self.questions.pop_front()).flatten()
    }

    /// Opens it when it is time.
    pub(super) fn open_again(&mut self, due: Instant, writer: &Writer) {
        if matches!(self.state, State::Shut(_)) {
            self.state = State::Shut(Some(due));
            self.step(Instant::now(), writer);
        }
    }

    /// Looks whether it is time.
    pub(super) fn attend(&mut self, now: Instant, writer: &Writer) {
        self.step(now, writer);
    }

    /// Nothing of what was to be asked is.
    pub(super) fn forget(&mut self) {
        // What is on its way is answered all the same, unless the channel closes.
        self.questions.truncate(self.asked.len());
    }

    /// Those of the questions that are not on their way and for which `keep` does not hold are not asked.
    pub(super) fn retain(&mut self, mut keep: impl FnMut(&Question) -> bool) {
        let asked = self.asked.len();
        let mut at = 0;
        self.questions.retain(|question| {
            at += 1;
            at <= asked || keep(question)
        });
    }

    fn step(&mut self, now: Instant, writer: &Writer) {
        let call = match (self.state, self.wanted) {
            (State::Shut(due), true) if due.is_none_or(|due| due <= now) => {
                self.state = State::Opening;
                Call::Open
            }
            (State::Open, false) => {
                self.state = State::Closing;
                self.asked.clear();
                self.questions.clear();
                Call::Close
            }
            _ => return,
        };
        writer.put(self.number, |frames, _| call.put(self.number, frames));
    }

    fn go_on(&mut self, writer: &Writer) {
        if !self.is_open() || !self.wanted {
            return;
        }
        let (questions, asked, number) = (&self.questions, &mut self.asked, self.number);
        writer.put(number, |frames, _| {
            let room = AT_A_TIME.saturating_sub(asked.len());
            for question in questions.iter().skip(asked.len()).take(room) {
                asked.push_back(question.put(number, frames));
            }
        });
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use std::io::Read;
    use std::net::{TcpListener, TcpStream};
    use std::time::Duration;

    const NUMBER: u16 = 3;

    /// A writer, and the broker that it writes to.
    pub(in super::super) fn writer() -> (Writer, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let socket = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        socket.set_nonblocking(true).unwrap();
        let (broker, _) = listener.accept().unwrap();
        (Writer::new(socket, None).unwrap(), broker)
    }

    /// What is sent next must be this, and nothing else.
    fn expect(writer: &Writer, broker: &mut TcpStream, calls: &[Call<'_>]) {
        let mut expected = Vec::new();
        calls
            .iter()
            .for_each(|call| call.put(NUMBER, &mut expected));
        // A frame of the crate's, to know the end by.
        writer.put_all(b"end");
        expected.extend(b"end");
        writer.flush();
        let mut sent = vec![0; expected.len()];
        broker.read_exact(&mut sent).unwrap();
        assert_eq!(sent, expected, "{calls:?}");
    }

    fn offer(queue: &str) -> Question {
        Question::Offer(queue.into())
    }

    #[test]
    fn what_is_refused_is_known_and_the_rest_is_asked_again() {
        let (writer, mut broker) = writer();
        let mut channel = Channel::new(NUMBER);
        assert!(channel.want(&writer));
        for queue in ["a", "b", "c"] {
            channel.ask(offer(queue), &writer);
        }
        let [a, b, c] = ["a", "b", "c"].map(Call::Declare);
        expect(&writer, &mut broker, &[a, b, c]);
        assert_eq!(channel.answered(&writer), Some(offer("a")));
        let now = Instant::now();
        assert_eq!(channel.closes((50, 10), &writer), Some(offer("b")));
        channel.open_again(now + Duration::from_secs(60), &writer);
        channel.ask(offer("d"), &writer);
        assert_eq!(channel.answered(&writer), None, "nothing is asked there");
        channel.attend(now, &writer);
        expect(&writer, &mut broker, &[Call::CloseOk]);
        channel.attend(now + Duration::from_secs(60), &writer);
        expect(&writer, &mut broker, &[Call::Open]);
        channel.opened(&writer);
        expect(&writer, &mut broker, &["c", "d"].map(Call::Declare));
        // Nobody knows why.
        assert_eq!(channel.closes((0, 0), &writer), None);
        channel.retain(|question| *question != offer("c"));
        channel.open_again(now, &writer);
        channel.opened(&writer);
        let again = [Call::CloseOk, Call::Open, Call::Declare("d")];
        expect(&writer, &mut broker, &again);
    }

    #[test]
    fn a_channel_that_is_left_is_there_again_for_the_next() {
        let (writer, mut broker) = writer();
        let mut channel = Channel::new(NUMBER);
        channel.want(&writer);
        channel.ask(offer("a"), &writer);
        channel.leave(&writer);
        channel.say(&writer, |_, frames| frames.push(0));
        expect(&writer, &mut broker, &[Call::Declare("a"), Call::Close]);
        assert!(!channel.want(&writer));
        // The answer comes all the same.
        assert_eq!(channel.answered(&writer), None);
        channel.closed(&writer);
        channel.opened(&writer);
        expect(&writer, &mut broker, &[Call::Open]);
        assert!(channel.is_open());
    }

    #[test]
    fn so_many_are_asked_at_a_time() {
        let (writer, mut broker) = writer();
        let mut channel = Channel::new(NUMBER);
        channel.want(&writer);
        for _ in 0..AT_A_TIME + 2 {
            channel.ask(offer("q"), &writer);
        }
        let many: Vec<_> = (0..AT_A_TIME).map(|_| Call::Declare("q")).collect();
        expect(&writer, &mut broker, &many);
        channel.answered(&writer);
        expect(&writer, &mut broker, &[Call::Declare("q")]);
        assert_eq!(channel.open_questions(), AT_A_TIME + 1);
    }
}
