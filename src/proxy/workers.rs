//! The worker pool: each worker takes a request, or a command of a dialog, makes its blocking REST calls,
//! and answers.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::answers::Answers;
use super::counters::Counters;
use super::dialogs::Dialogs;
use super::queue::{Queue, Work};
use super::standing::Standing;
use super::subscriptions::DOWN;
use crate::ari::AriError;
use crate::ari::rest::Rest;
use crate::bus::{Delivery, Receipt, Reply};
use crate::occasionally::Occasionally;
use crate::wire::call::{self, Plan, RestCall};
use crate::wire::kind::Entity;
use crate::wire::request::Request;
use crate::wire::subject::Class;
use crate::wire::{kinds, response};

/// What a client is told when its request waited too long.
const EXPIRED: &str = "request waited too long for a worker: proxy is overloaded";

/// What a client is told when the proxy ends before Asterisk has answered.
const STOPPING: &str = "proxy is stopping; whether the request was carried out is not known";

/// What a client is told when its request was given to a proxy before, maybe to this one.
const REDELIVERED: &str = "request was redelivered: the proxy that had it has not confirmed it, \
     whether it was carried out is not known; it is not carried out again";

/// What requests in hand are owed, by worker. Whoever takes one answers it.
#[derive(Debug, Default)]
pub struct InHand(Mutex<Vec<Option<Owed>>>);

/// What a request is owed.
#[derive(Debug)]
struct Owed {
    reply: Option<Reply>,
    /// Dropped when it is answered.
    _receipt: Option<Receipt>,
}

impl InHand {
    fn begin(&self, worker: usize, owed: Owed) {
        let mut all = self.lock();
        if all.len() <= worker {
            all.resize_with(worker + 1, || None);
        }
        if let Some(place) = all.get_mut(worker) {
            *place = Some(owed);
        }
    }

    fn take(&self, worker: usize) -> Option<Owed> {
        self.lock().get_mut(worker)?.take()
    }

    /// Whether the answer to `reply` is on its way: a link that is lost has the bus deliver again
    /// what is still in hand.
    fn is_owed(&self, reply: &Reply) -> bool {
        let owed = |owed: &Owed| owed.reply.as_ref() == Some(reply);
        reply.correlation.is_some() && self.lock().iter().flatten().any(owed)
    }

    /// Answers what is in hand that the proxy stops; how many requests that were.
    pub fn abandon(&self, answers: &Answers) -> usize {
        let all = std::mem::take(&mut *self.lock());
        let mut abandoned = 0;
        for owed in all.into_iter().flatten() {
            answers.error(owed.reply.as_ref(), STOPPING);
            abandoned += 1;
        }
        abandoned
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Option<Owed>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a worker needs. Clones work side by side.
#[derive(Clone)]
pub struct Worker {
    /// Which of the workers it is.
    pub number: usize,
    /// What the workers are at.
    pub in_hand: Arc<InHand>,
    /// Where requests wait.
    pub queue: Arc<Queue>,
    /// Asterisk.
    pub rest: Rest,
    /// Where the proxy stands.
    pub standing: Arc<Standing>,
    /// Where dialogs are bound.
    pub dialogs: Arc<Dialogs>,
    /// How answers leave.
    pub answers: Answers,
    /// What is counted.
    pub counters: Arc<Counters>,
    /// Lets evicted bindings be told of now and then.
    pub full: Arc<Occasionally>,
}

impl Worker {
    /// Serves requests until the queue is closed and empty.
    pub fn run(mut self) {
        self.rest = self.rest.alone();
        while let Some(job) = self.queue.pop() {
            // A fault of ours in one request must not take a worker from the others.
            let served = catch_unwind(AssertUnwindSafe(|| self.work(job.work)));
            if served.is_err() {
                self.counters.requests_failed.add();
                let text = "internal error of the proxy; see its log";
                if let Some(owed) = self.in_hand.take(self.number) {
                    self.answers.error(owed.reply.as_ref(), text);
                }
            }
        }
    }

    fn work(&self, work: Work) {
        match work {
            Work::Request(class, delivery) => self.answer(class, delivery),
            Work::Call(call) if !self.standing.is_up() => call.refuse(DOWN),
            Work::Call(call) => call.run(&self.rest),
            Work::Look(look) => look.run(&self.rest),
        }
    }

    fn answer(&self, class: Class, mut delivery: Delivery) {
        let reply = delivery.reply.as_ref();
        let answerable = reply.is_some();
        if delivery.redelivered && reply.is_some_and(|reply| self.in_hand.is_owed(reply)) {
            self.counters.requests_redelivered.add();
            return;
        }
        let owed = Owed {
            reply: delivery.reply.take(),
            _receipt: delivery.receipt.take(),
        };
        self.in_hand.begin(self.number, owed);
        let served = self.serve(class, &delivery, answerable);
        // None where the proxy ends and has answered.
        let owed = self.in_hand.take(self.number);
        let reply = owed.as_ref().and_then(|owed| owed.reply.as_ref());
        match served {
            Ok(body) => {
                self.counters.requests_done.add();
                self.answers.send(reply, &body);
            }
            Err(text) => {
                self.counters.requests_failed.add();
                self.answers.error(reply, &text);
            }
        }
    }

    /// Answers requests that waited too long, until the queue is closed and empty.
    pub fn expire(self) {
        while let Some(job) = self.queue.expired() {
            match job.work {
                Work::Request(_, delivery) => {
                    self.counters.requests_expired.add();
                    self.answers.error(delivery.reply.as_ref(), EXPIRED);
                }
                Work::Call(call) => call.refuse(EXPIRED),
                // There is another time.
                Work::Look(_) => {}
            }
        }
    }

    fn serve(
        &self,
        class: Class,
        delivery: &Delivery,
        answerable: bool,
    ) -> Result<Vec<u8>, String> {
        let request = Request::read(&delivery.body).map_err(|error| {
            if !answerable {
                self.counters.requests_unanswerable.add();
            }
            error.to_string()
        })?;
        let kind = kinds::of(&request).ok_or("Not implemented")?;
        if class.reads_only() && kind.changes() {
            return Err(format!(
                "{} is not permitted on {}: it changes something; send it on command or create",
                kind.name, class
            ));
        }
        if delivery.redelivered && kind.changes() {
            self.counters.requests_redelivered.add();
            return Err(REDELIVERED.to_owned());
        }
        let origin = self
            .standing
            .origin()
            .filter(|_| self.standing.is_up())
            .ok_or(DOWN)?;
        let plan = call::plan(&request, kind, self.standing.application())
            .map_err(|error| error.to_string())?;
        log::debug!("{} on {}", kind.name, class);
        let reply = self.call(&plan)?;
        response::success(&plan, &self.standing.place(&origin), &reply)
    }

    /// Binds the dialog and makes the calls; the body of the last answer. A dialog is bound before
    /// the call, so that no event of it is missed.
    fn call(&self, plan: &Plan) -> Result<Vec<u8>, String> {
        let dialog = &plan.key.dialog;
        let (bound, evicted) = self.dialogs.bind(dialog, &plan.bindings);
        for _ in 0..evicted {
            self.counters.bindings_evicted.add();
        }
        if evicted > 0 && self.full.now() {
            log::warn!(
                "dialogs: more bindings than dialogs.max allows, or too many of one entity: the \
                 oldest go ({} so far)",
                self.counters.bindings_evicted.get()
            );
        }
        self.calls(plan).map_err(|failure| {
            let in_vain: Vec<_> = bound
                .into_iter()
                .filter(|bound| in_vain(&failure.error, plan, bound))
                .collect();
            self.dialogs.unbind(dialog, &in_vain);
            failure.text
        })
    }

    fn calls(&self, plan: &Plan) -> Result<Vec<u8>, Failure> {
        if let Some(check) = &plan.check {
            self.rest
                .call(check)
                .map_err(|error| self.failed(check, &plan.check_failure(), error))?;
        }
        match &plan.call {
            Some(call) => self
                .rest
                .call(call)
                .map_err(|error| self.failed(call, &plan.failure, error)),
            None => Ok(Vec::new()),
        }
    }

    fn failed(&self, call: &RestCall, prefix: &str, error: AriError) -> Failure {
        log::debug!("{:?} {}: {error}", call.method, call.target);
        let text = match error {
            AriError::Call(_) if !self.standing.is_up() => DOWN.to_owned(),
            _ => format!("{prefix}{error}"),
        };
        Failure { text, error }
    }
}

/// A failed call: what the client is told, and what happened.
struct Failure {
    text: String,
    error: AriError,
}

/// Whether a binding made for a call that failed binds to nothing. Asterisk may have carried out a
/// call whose answer did not come; one that it refused has created nothing, and where it found
/// nothing there is nothing.
fn in_vain(error: &AriError, plan: &Plan, (entity, id): &(Entity, String)) -> bool {
    let created = plan
        .kind
        .creates
        .is_some_and(|creates| creates.entity == *entity)
        && plan.created.as_ref() == Some(id);
    match error {
        AriError::Status { status: 404, .. } => true,
        AriError::Status { .. } => created,
        _ => false,
    }
}
