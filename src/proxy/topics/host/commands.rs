//! Commands of applications, and the objects that they bring into their dialogs.

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::value::RawValue;

use super::Host;
use crate::bus::link::LARGEST_REQUEST;
use crate::proxy::queue::{Job, Work};
use crate::proxy::topics::ANSWER_BY;
use crate::proxy::topics::call::{Call, Done, TIMEOUT, UNAVAILABLE};
use crate::proxy::topics::dialog::Pending;
use crate::proxy::topics::objects::Object;
use crate::wire::command::{self, BadCommand, Command};
use crate::wire::kind::Entity;
use crate::wire::topic;

/// The statuses of commands that are not carried out, as HTTP has them.
const BAD: u16 = 400;
const TOO_LARGE: u16 = 413;
/// How long an application waits for a response. What would come later must not come.
const PATIENCE: Duration = Duration::from_secs(5);
/// From this status on, nothing was done.
const FAILED: u16 = 400;
/// Below that, from this one on, it may have been, but for [`UNAVAILABLE`].
const UNKNOWN: u16 = 500;

/// A command that a worker has.
#[derive(Debug)]
pub(super) struct UnderWay {
    /// When it came.
    came: Instant,
    /// Whether it is answered: it takes too long.
    answered: bool,
    unique_id: Box<RawValue>,
    /// What belongs to the dialog because of it.
    claimed: Vec<Object>,
    /// What its answer describes.
    describes: Option<Entity>,
    /// What of that kind has ended meanwhile: its answer describes what is no more.
    over: Vec<String>,
    /// Whether events may wait for it.
    creates: bool,
}

#[cfg(test)]
impl UnderWay {
    /// As if it had come so much earlier.
    pub(super) fn age(&mut self, by: Duration) {
        self.came = self.came.checked_sub(by).unwrap_or(self.came);
    }
}

impl Host {
    /// A message came on the command topic of `dialog`.
    pub(super) fn command(&mut self, id: &str, body: &[u8], redelivered: bool) {
        let now = Instant::now();
        let Some((id, _)) = self.dialogs.get_key_value(id) else {
            return;
        };
        let id = Arc::clone(id);
        let Some(dialog) = self.dialogs.get_mut(&id) else {
            return;
        };
        if !dialog.is_shown() {
            dialog.greet(now, now + self.settings.max_wait);
            self.advance(&id);
        }
        if topic::is_greeting(body) {
            return;
        }
        let Some(dialog) = self.dialogs.get_mut(&id) else {
            return;
        };
        if dialog.remember(body, &self.hasher) && redelivered {
            self.counters.requests_redelivered.add();
            return;
        }
        self.counters.commands.add();
        let pending = if body.len() > LARGEST_REQUEST {
            let why = format!("the command is larger than {LARGEST_REQUEST} bytes");
            let unique_id = command::nameless();
            Pending::Bad(TOO_LARGE, BadCommand { unique_id, why })
        } else {
            match Command::read(body) {
                Ok(command) => Pending::Call(Box::new(command)),
                Err(bad) => Pending::Bad(BAD, bad),
            }
        };
        match dialog.push(pending, now, self.pending.take(body.len())) {
            Ok(()) => {
                self.carry_out_next(&id);
                self.look_for_late(&id);
            }
            Err(refused) => {
                self.counters.commands_refused.add();
                let why =
                    topic::problem("too many commands wait for their turn, or the dialog is over");
                self.respond(&id, refused.unique_id(), now, UNAVAILABLE, &why);
            }
        }
    }

    /// Answers the commands that take too long: their application would not wait any more.
    pub(super) fn look_for_late(&mut self, id: &Arc<str>) {
        let Some(dialog) = self.dialogs.get_mut(id) else {
            return;
        };
        let now = Instant::now();
        if dialog.look.is_some_and(|look| now < look) {
            return;
        }
        let mut late = Vec::new();
        let number = dialog.busy;
        let under_way = number.and_then(|number| self.under_way.get_mut(&number));
        let (mut first, mut given_up) = (None, None);
        if let Some(under_way) = under_way.filter(|under_way| !under_way.answered) {
            if under_way.came + ANSWER_BY <= now {
                under_way.answered = true;
                given_up = number.filter(|_| under_way.creates);
                let why = "Asterisk took too long to answer; what it does is not known";
                late.push((under_way.unique_id.clone(), under_way.came, TIMEOUT, why));
            } else {
                first = Some(under_way.came);
            }
        }
        while let Some((came, _, _)) = dialog.commands.front()
            && *came + ANSWER_BY <= now
            && let Some((came, pending, _)) = dialog.commands.pop_front()
        {
            let why = "the command waited too long for its turn, and is not carried out";
            late.push((pending.unique_id().to_owned(), came, UNAVAILABLE, why));
        }
        let first = first.or(dialog.commands.front().map(|(came, _, _)| *came));
        dialog.look = first.map(|came| came + ANSWER_BY);
        if let Some(look) = dialog.look {
            self.alarms.insert((look, Arc::clone(id)));
        }
        for (unique_id, came, status, why) in late {
            self.counters.commands_late.add();
            self.respond(id, &unique_id, came, status, &topic::problem(why));
        }
        if let Some(number) = given_up {
            // New calls must not wait for longer than an application does.
            self.release(number);
        }
    }

    /// Command `number` has made what it makes, or is not waited for any more: nor do events wait for it.
    fn release(&mut self, number: u64) {
        for (waiting, over) in self.parked.end(number) {
            match over || self.is_known(waiting.frame()) {
                true => self.arrived(&waiting.into_frame(), false),
                false => self.parked.keep(waiting),
            }
        }
    }

    /// An object of `dialogs` has ended. Commands under way may be about to describe it.
    pub(super) fn note_end(&mut self, dialogs: &[Arc<str>], entity: Entity, id: &str) {
        for dialog in dialogs {
            let busy = self.dialogs.get(dialog).and_then(|dialog| dialog.busy);
            let under_way = busy.and_then(|number| self.under_way.get_mut(&number));
            if let Some(under_way) = under_way.filter(|it| it.describes == Some(entity)) {
                under_way.over.push(id.to_owned());
            }
        }
    }

    /// Answers what a dialog has asked for, as the proxy ends.
    pub(super) fn leave_commands(&mut self, id: &Arc<str>) {
        let Some(dialog) = self.dialogs.get_mut(id) else {
            return;
        };
        let busy = dialog
            .busy
            .and_then(|number| self.under_way.remove(&number));
        let busy = busy.filter(|under_way| !under_way.answered);
        let mut left: Vec<_> = busy.map(|it| (it.came, it.unique_id)).into_iter().collect();
        let waiting = dialog.commands.drain(..);
        left.extend(waiting.map(|(came, pending, _)| (came, pending.unique_id().to_owned())));
        let why = topic::problem("the proxy ends");
        for (came, unique_id) in left {
            self.respond(id, &unique_id, came, UNAVAILABLE, &why);
        }
    }

    /// Has the next command carried out, if none is under way.
    fn carry_out_next(&mut self, id: &Arc<str>) {
        while let Some(dialog) = self.dialogs.get_mut(id)
            && dialog.busy.is_none()
            && let Some((came, next, _)) = dialog.commands.pop_front()
        {
            match next {
                Pending::Call(command) => {
                    self.number += 1;
                    dialog.busy = Some(self.number);
                    let ended = dialog.ended.is_some();
                    self.carry_out(id, self.number, *command, came, ended);
                }
                Pending::Bad(status, bad) => {
                    self.counters.commands_refused.add();
                    log::debug!("dialog {id}: a command is refused: {}", bad.why);
                    self.respond(id, &bad.unique_id, came, status, &topic::problem(&bad.why));
                }
            }
        }
    }

    /// Has a worker carry out a command that `came` then, as `number`.
    fn carry_out(
        &mut self,
        id: &Arc<str>,
        number: u64,
        command: Command,
        came: Instant,
        ended: bool,
    ) {
        // Before the call, so that no event of it is missed. After the end nobody waits for any.
        let claims = command.claims.into_iter().filter(|_| !ended);
        let claimed = claims
            .filter(|object| self.objects.join(id, object.clone()))
            .collect();
        let creates = command.creates.filter(|_| !ended);
        if let Some(entity) = creates {
            self.parked.begin(number, entity);
        }
        let under_way = UnderWay {
            came,
            answered: false,
            unique_id: command.unique_id,
            claimed,
            describes: command.describes.filter(|_| !ended),
            over: Vec::new(),
            creates: creates.is_some(),
        };
        self.under_way.insert(number, under_way);
        let call = Call::new(id, number, command.call, &self.intake);
        let refused = self.queue.push(Job::new(Work::Call(call)));
        if let Err(Job {
            work: Work::Call(call),
            ..
        }) = refused
        {
            call.refuse("the proxy is overloaded, or stopping");
        }
    }

    /// A command is done, or could not be.
    pub(super) fn done(&mut self, done: Done) {
        let Some(under_way) = self.under_way.remove(&done.number) else {
            return;
        };
        let id = &done.dialog;
        let lives = self
            .dialogs
            .get(id)
            .is_some_and(|dialog| dialog.ended.is_none());
        let described = match under_way.describes {
            Some(entity) if lives && done.status < 300 => {
                command::described(entity, &done.body).map(|object| (entity, object))
            }
            _ => None,
        };
        let described = described.filter(|(_, object)| !under_way.over.contains(object));
        if let Some((entity, object)) = &described {
            self.objects.join(id, (*entity, object.clone()));
            self.objects.see(*entity, object, Instant::now());
        }
        let refused = (FAILED..UNKNOWN).contains(&done.status) || done.status == UNAVAILABLE;
        let mut has_nothing = false;
        for (entity, object) in &under_way.claimed {
            if refused {
                has_nothing |= self.objects.leave(id, &(*entity, object.clone()));
            } else if done.status >= UNKNOWN {
                // It may have been made: it is looked for.
                self.objects.see(*entity, object, Instant::now());
            }
        }
        if has_nothing && lives {
            self.end(id);
        }
        if let Some(dialog) = self.dialogs.get_mut(id) {
            dialog.busy = None;
            dialog.rest(Instant::now());
            if !under_way.answered {
                let body = String::from_utf8_lossy(&done.body);
                let (unique_id, came) = (&under_way.unique_id, under_way.came);
                self.respond(id, unique_id, came, done.status, &body);
            }
        }
        if under_way.creates || described.is_some() {
            // Before anything that comes later.
            self.release(done.number);
        }
        self.carry_out_next(id);
        self.advance(id);
    }

    /// Responds to a command that `came` then.
    fn respond(&self, id: &str, unique_id: &RawValue, came: Instant, status: u16, body: &str) {
        let subject: Arc<str> = topic::responses(id).into();
        let body = topic::response(unique_id, status, body);
        self.say(&subject, body, Some(came + PATIENCE));
    }
}
