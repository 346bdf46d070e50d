//! How dialogs end: they are listened to no more, and their queues are removed in time.

use std::sync::Arc;
use std::time::Instant;

use super::{Dialogs, Stage, check};
use crate::bus::rabbitmq::channel::{QUEUES, Question, Queue};
use crate::bus::rabbitmq::methods::Call;
use crate::bus::rabbitmq::removals::Step;
use crate::bus::rabbitmq::writer::Writer;

/// How many may be so that more is asked about what is removed: what dialogs that begin need does not wait
/// behind those that have ended.
const FEW: usize = 32;

impl Dialogs {
    /// Listens to `dialog` no more; its queues go when what was handed over, up to `last`, is fetched.
    pub(in super::super) fn close(&mut self, dialog: &str, last: u64, writer: &Writer) {
        if check(dialog).is_err() {
            // It was never open.
            return;
        }
        self.forget(dialog, writer);
        let step = self.removals.close(dialog, last, Instant::now());
        self.remove(step, writer);
    }

    /// The dialogs whose queues are not all removed.
    pub(in super::super) fn unfinished(&self) -> Vec<Arc<str>> {
        let steps = self.steps.iter().map(Step::dialog);
        let removals = self.removals.unfinished().chain(steps);
        let mut all: Vec<_> = removals.chain(self.declaring.deletes()).cloned().collect();
        all.sort_unstable();
        all.dedup();
        all
    }

    pub(super) fn count(&mut self, dialog: &str, messages: u32, consumers: u32, writer: &Writer) {
        let now = Instant::now();
        let step = self.removals.count(dialog, messages, consumers, now);
        self.remove(step, writer);
    }

    pub(super) fn remove(&mut self, steps: impl IntoIterator<Item = Step>, writer: &Writer) {
        self.steps.extend(steps);
        self.go_on_removing(writer);
    }

    pub(super) fn go_on_removing(&mut self, writer: &Writer) {
        while self.declaring.open_questions() < FEW
            && let Some(step) = self.steps.pop_front()
        {
            // One that is open again keeps what it has.
            if self.open.contains_key(step.dialog()) {
                continue;
            }
            match step {
                Step::Look(dialog) => {
                    for queue in [Queue::Events, Queue::Responses] {
                        let question = Question::Count(Arc::clone(&dialog), queue);
                        self.declaring.ask(question, writer);
                    }
                }
                Step::RemoveCommands(dialog) => {
                    let question = Question::Delete(dialog, Queue::Commands);
                    self.declaring.ask(question, writer);
                }
                Step::Remove(dialog) => {
                    for queue in QUEUES {
                        let question = Question::Delete(Arc::clone(&dialog), queue);
                        self.declaring.ask(question, writer);
                    }
                }
            }
        }
    }

    /// Listens to `dialog` no more.
    pub(super) fn forget(&mut self, dialog: &str, writer: &Writer) {
        let Some(state) = self.open.remove(dialog) else {
            return;
        };
        let is_it = |question: &Question| matches!(question, Question::Declare(name, _) | Question::Read(name) if **name == *dialog);
        if state.stage != Stage::Listening {
            // What is asked for already is answered in vain.
            self.declaring.retain(|question| !is_it(question));
            self.reading.retain(|question| !is_it(question));
        }
        if matches!(state.stage, Stage::Asked | Stage::Listening) {
            let queue = Queue::Commands.of(dialog);
            self.reading.say(writer, |channel, frames| {
                Call::Leave(&queue).put(channel, frames);
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bus::rabbitmq::channel::tests::writer;
    use std::io::Read;

    #[test]
    fn dialogs_that_begin_do_not_wait_for_those_that_ended() {
        let (writer, mut broker) = writer();
        let mut dialogs = Dialogs::new([1, 2]);
        assert!(dialogs.begin(&writer));
        for number in 0..1_000 {
            dialogs.close(&format!("old{number}"), 0, &writer);
        }
        dialogs.looked -= super::super::BETWEEN;
        dialogs.attend(0, &writer);
        dialogs.open("new", &writer).unwrap();
        assert_eq!(dialogs.unfinished().len(), 1_000);
        writer.put_all(b"end");
        writer.flush();
        let mut sent = Vec::new();
        while !sent.ends_with(b"end") {
            let mut byte = [0];
            broker.read_exact(&mut byte).unwrap();
            sent.extend(byte);
        }
        let sent = String::from_utf8_lossy(&sent);
        assert!(sent.contains("events_new"), "it is asked at once");
        assert!(sent.matches("events_old").count() <= FEW);
    }
}
