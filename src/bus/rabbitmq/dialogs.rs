//! The dialogs of a link and their queues: what of them is declared, read and removed.
//!
//! Queues are declared and deleted on one channel and read on another: what a broker refuses closes the
//! channel, and those who are read do not notice when a queue of another dialog is refused.

mod ending;

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::channel::{Channel, QUEUES, Question, Queue};
use super::message::put_ack;
use super::methods::{Deliver, Said};
use super::removals::{Removals, Step};
use super::topology::check_key;
use super::writer::Writer;
use crate::backoff::Backoff;
use crate::bus::{BusError, Heard};
use crate::occasionally::Occasionally;

/// How many commands of a dialog are on their way to us.
const WINDOW: u16 = 16;
/// How many questions may be without an answer before no dialog more is opened.
const MOST: usize = 60_000;
/// How long it is, at least, from one look after what is removed to the next.
const BETWEEN: Duration = Duration::from_millis(100);
/// How long a queue that was deleted is left to whoever did it.
const PAUSE: Duration = Duration::from_secs(1);
/// How often in a row a queue may be gone, or out of reach, until that is a refusal.
const TRIES: u8 = 3;
/// The broker's code for a queue that is not there.
const NOT_FOUND: u16 = 404;

/// The dialogs of a link.
pub(super) struct Dialogs {
    declaring: Channel,
    reading: Channel,
    /// Whether somebody uses them.
    used: bool,
    open: HashMap<Arc<str>, Dialog>,
    /// Those whose queues were gone, and when they are declared again; by time.
    again: VecDeque<(Instant, Arc<str>)>,
    removals: Removals,
    /// What is to be done for those, when there is time.
    steps: VecDeque<Step>,
    /// When those were looked after.
    looked: Instant,
    /// Of a channel that the broker closes though nothing can be blamed, or nothing was of use.
    backoff: Backoff,
    /// Whether anything was, since the channel for reading is open.
    of_use: bool,
    /// The last message that is dealt with and not acknowledged.
    dealt: Option<u64>,
    /// What is to be told, when no lock is held.
    heard: Vec<Heard>,
    refusals: Occasionally,
}

#[derive(Debug, Default)]
struct Dialog {
    stage: Stage,
    /// How often in a row its queues were not there.
    failures: u8,
    /// Whether it was listened to.
    known: bool,
}

/// How far a dialog is.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// Its queues are being declared.
    #[default]
    Declaring,
    /// They are, and there is no channel to read on.
    Declared,
    /// The broker is asked to send what comes.
    Asked,
    /// It does.
    Listening,
    /// Its queues are declared again soon.
    Again,
}

impl Dialogs {
    /// None, on these channels.
    pub(super) fn new([declaring, reading]: [u16; 2]) -> Dialogs {
        Dialogs {
            declaring: Channel::new(declaring),
            reading: Channel::new(reading),
            used: false,
            open: HashMap::new(),
            again: VecDeque::new(),
            removals: Removals::default(),
            steps: VecDeque::new(),
            looked: Instant::now(),
            backoff: Backoff::new(),
            of_use: false,
            dealt: None,
            heard: Vec::new(),
            refusals: Occasionally::new(),
        }
    }

    /// Somebody uses them from now on; not if somebody does.
    pub(super) fn begin(&mut self, writer: &Writer) -> bool {
        if std::mem::replace(&mut self.used, true) {
            return false;
        }
        self.declaring.want(writer);
        if self.reading.want(writer) {
            self.read_all(writer);
        }
        true
    }

    /// Nobody does any more.
    pub(super) fn end(&mut self, writer: &Writer) {
        self.used = false;
        self.declaring.leave(writer);
        self.reading.leave(writer);
        self.open.clear();
        self.again.clear();
        self.removals = Removals::default();
        self.steps.clear();
        self.dealt = None;
        self.heard.clear();
    }

    /// Declares the queues of `dialog`, and listens; whether it does by now.
    pub(super) fn open(&mut self, dialog: &str, writer: &Writer) -> Result<bool, BusError> {
        if let Some(state) = self.open.get(dialog) {
            return Ok(state.stage == Stage::Listening);
        }
        check(dialog)?;
        if self.declaring.open_questions() >= MOST {
            return Err(BusError::Busy);
        }
        self.removals.reopen(dialog);
        let dialog = Arc::<str>::from(dialog);
        self.open.insert(Arc::clone(&dialog), Dialog::default());
        self.declare(&dialog, writer);
        Ok(false)
    }

    /// Has `queue` declared, which something is offered on.
    pub(super) fn offer(&mut self, queue: &str, writer: &Writer) {
        // The next offer has it declared, if this one finds none.
        if self.declaring.open_questions() < MOST {
            let question = Question::Offer(queue.to_owned());
            self.declaring.ask(question, writer);
        }
    }

    /// Looks after what has its time, where the broker has taken what was handed over up to `taken`.
    pub(super) fn attend(&mut self, taken: u64, writer: &Writer) {
        let now = Instant::now();
        self.declaring.attend(now, writer);
        self.reading.attend(now, writer);
        while let Some((_, dialog)) = self.again.pop_front_if(|(time, _)| *time <= now) {
            if let Some(state) = self.open.get_mut(&dialog)
                && state.stage == Stage::Again
            {
                state.stage = Stage::Declaring;
                self.declare(&dialog, writer);
            }
        }
        // There may be many, and this comes often.
        if now.duration_since(self.looked) >= BETWEEN {
            self.looked = now;
            let open = &self.open;
            let due = self
                .removals
                .due(now, taken, |dialog| open.contains_key(dialog));
            self.remove(due, writer);
        }
    }

    /// What the broker says on a channel.
    pub(super) fn hear(&mut self, channel: u16, said: Said, writer: &Writer) {
        match self.reads(channel) {
            true => self.hear_of_reading(said, writer),
            false => self.hear_of_declaring(said, writer),
        }
    }

    /// Whether `channel` is the one that commands come on.
    pub(super) fn reads(&self, channel: u16) -> bool {
        channel == self.reading.number()
    }

    /// A command has come.
    pub(super) fn arrive(&mut self, deliver: Deliver, body: Vec<u8>) {
        if !self.reading.is_open() {
            return;
        }
        self.dealt = Some(deliver.number);
        let dialog = deliver.reader.strip_prefix(Queue::Commands.prefix());
        // What comes for one that is closed is for nobody.
        if let Some((dialog, _)) = dialog.and_then(|dialog| self.open.get_key_value(dialog)) {
            self.heard.push(Heard::Command {
                dialog: dialog.to_string(),
                body,
                redelivered: deliver.redelivered,
            });
        }
    }

    /// What is to be told.
    pub(super) fn heard(&mut self) -> Vec<Heard> {
        std::mem::take(&mut self.heard)
    }

    /// Has the broker forget what is dealt with: all that has come.
    pub(super) fn acknowledge(&mut self, writer: &Writer) {
        if let Some(last) = self.dealt.take() {
            self.reading.say(writer, |channel, frames| {
                put_ack(channel, last, true, frames)
            });
        }
    }

    fn hear_of_declaring(&mut self, said: Said, writer: &Writer) {
        self.declaring_said(said, writer);
        self.go_on_removing(writer);
    }

    fn declaring_said(&mut self, said: Said, writer: &Writer) {
        match said {
            Said::Opened => self.declaring.opened(writer),
            Said::Closed => self.declaring.closed(writer),
            Said::Closes { code, why, method } => {
                let refused = self.declaring.closes(method, writer);
                let wait = match refused {
                    Some(_) => Duration::ZERO,
                    None => self.backoff.wait(),
                };
                self.refuse(refused, code, why, writer);
                self.declaring.open_again(Instant::now() + wait, writer);
            }
            Said::Declared { .. } | Said::Done => {
                let question = self.declaring.answered(writer);
                match (question, said) {
                    (Some(Question::Declare(dialog, Queue::Commands)), _) => {
                        self.read(&dialog, Stage::Declaring, writer);
                    }
                    (
                        Some(Question::Count(dialog, _)),
                        Said::Declared {
                            messages,
                            consumers,
                        },
                    ) => self.count(&dialog, messages, consumers, writer),
                    _ => {}
                }
            }
            Said::Left(_) | Said::Delivers(_) => {}
        }
    }

    fn hear_of_reading(&mut self, said: Said, writer: &Writer) {
        match said {
            Said::Opened => {
                self.reading.opened(writer);
                self.read_all(writer);
            }
            Said::Closed => self.reading.closed(writer),
            Said::Closes { code, why, method } => {
                let refused = self.reading.closes(method, writer);
                self.reading.forget();
                self.dealt = None;
                let wait = match refused.is_some() && self.of_use {
                    true => Duration::ZERO,
                    false => self.backoff.wait(),
                };
                self.of_use = false;
                for dialog in self.open.values_mut() {
                    if matches!(dialog.stage, Stage::Asked | Stage::Listening) {
                        dialog.stage = Stage::Declared;
                    }
                }
                self.refuse(refused, code, why, writer);
                self.reading.open_again(Instant::now() + wait, writer);
            }
            Said::Done => {
                if let Some(Question::Read(dialog)) = self.reading.answered(writer) {
                    self.of_use = true;
                    self.backoff.reset();
                    if let Some(state) = self.open.get_mut(&dialog)
                        && state.stage == Stage::Asked
                    {
                        (state.stage, state.failures, state.known) = (Stage::Listening, 0, true);
                        self.heard.push(Heard::Listening(dialog.to_string()));
                    }
                }
            }
            Said::Left(reader) => {
                if let Some(dialog) = reader.strip_prefix(Queue::Commands.prefix()) {
                    self.again(dialog);
                }
            }
            Said::Declared { .. } | Said::Delivers(_) => {}
        }
    }

    /// Asks for what there is to read on a channel that is new.
    fn read_all(&mut self, writer: &Writer) {
        self.reading.ask(Question::Window(WINDOW), writer);
        let ready = self.open.iter();
        let ready = ready.filter(|(_, dialog)| dialog.stage == Stage::Declared);
        // Those first that are known not to be refused.
        let (known, new): (Vec<_>, Vec<_>) = ready.partition(|(_, dialog)| dialog.known);
        let names = known
            .into_iter()
            .chain(new)
            .map(|(name, _)| Arc::clone(name));
        let names: Vec<Arc<str>> = names.collect();
        for dialog in names {
            self.read(&dialog, Stage::Declared, writer);
        }
    }

    /// Asks for the commands of `dialog`, if it has come as far as that.
    fn read(&mut self, dialog: &Arc<str>, stage: Stage, writer: &Writer) {
        if let Some(state) = self.open.get_mut(dialog)
            && state.stage == stage
        {
            state.stage = Stage::Declared;
            if self.reading.is_open() {
                state.stage = Stage::Asked;
                self.reading.ask(Question::Read(Arc::clone(dialog)), writer);
            }
        }
    }

    fn declare(&mut self, dialog: &Arc<str>, writer: &Writer) {
        for queue in QUEUES {
            let question = Question::Declare(Arc::clone(dialog), queue);
            self.declaring.ask(question, writer);
        }
    }

    /// The broker refuses this, and has closed the channel over it.
    fn refuse(&mut self, refused: Option<Question>, code: u16, why: String, writer: &Writer) {
        let Some(question) = refused else {
            self.complain(&format!("the broker closes a channel: {why}"));
            return;
        };
        let error = question.refused(why);
        match question {
            Question::Declare(dialog, _) | Question::Read(dialog) => {
                self.refuse_dialog(&dialog, code, &error, writer);
            }
            Question::Offer(queue) => {
                let dialog = queue.strip_prefix(Queue::Events.prefix());
                match dialog.filter(|dialog| self.open.contains_key(*dialog)) {
                    Some(dialog) => self.refuse_dialog(dialog, code, &error, writer),
                    None => self.complain(&error.to_string()),
                }
            }
            // One that is not as ours would be has nothing in it that was for anybody.
            Question::Count(dialog, _) => self.count(&dialog, 0, 0, writer),
            // Who does not let us has his reasons; one is that he consumes it since we looked.
            Question::Delete(dialog, _) => self.removals.wait_on(&dialog, Instant::now()),
            Question::Window(_) => self.complain(&error.to_string()),
        }
    }

    fn refuse_dialog(&mut self, dialog: &str, code: u16, error: &BusError, writer: &Writer) {
        let Some(state) = self.open.get_mut(dialog) else {
            return;
        };
        state.failures += 1;
        if code == NOT_FOUND && state.failures < TRIES {
            self.again(dialog);
            return;
        }
        self.forget(dialog, writer);
        self.heard.push(Heard::Refused {
            dialog: dialog.to_owned(),
            why: error.to_string(),
        });
    }

    /// Has the queues of `dialog` declared again soon.
    fn again(&mut self, dialog: &str) {
        let Some((dialog, _)) = self.open.get_key_value(dialog) else {
            return;
        };
        let dialog = Arc::clone(dialog);
        if let Some(state) = self.open.get_mut(&dialog)
            && state.stage != Stage::Again
        {
            state.stage = Stage::Again;
            self.again.push_back((Instant::now() + PAUSE, dialog));
        }
    }

    fn complain(&self, what: &str) {
        if self.refusals.now() {
            log::warn!("bus: {what}");
        }
    }
}

/// Checks that queues can be named after `dialog`.
fn check(dialog: &str) -> Result<(), BusError> {
    QUEUES
        .iter()
        .try_for_each(|queue| check_key(&queue.of(dialog)))
}
