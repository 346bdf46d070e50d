//! How a request is asked: of one proxy, of all and the first that can answers, or of all.

use std::time::{Duration, Instant};

use crossbeam_channel::RecvTimeoutError;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::Error;
use super::core::Core;
use super::questions::Said;
use super::request::Request;
use crate::bus::{BusError, Question};
use crate::wire::key::Key;
use crate::wire::kind::Need;
use crate::wire::kinds;
use crate::wire::subject::{Class, publishable};

/// How long nobody must listen before it is tried again: a proxy that was away comes back.
const NOBODY: Duration = Duration::from_millis(50);

/// A response (wire-protocol.md).
#[derive(Debug, Default, Deserialize)]
pub(super) struct Response {
    #[serde(default)]
    error: Option<String>,
    /// The entity.
    #[serde(default)]
    pub(super) data: Option<Box<RawValue>>,
    /// The key.
    #[serde(default)]
    pub(super) key: Option<Key>,
    /// The keys.
    #[serde(default)]
    pub(super) keys: Option<Vec<Key>>,
}

impl Response {
    /// Reads one; an error is that in it.
    fn read(body: &[u8]) -> Result<Response, Error> {
        // A list would do for serde.
        if !body.trim_ascii_start().starts_with(b"{") {
            return Err(Error::Unreadable("it is not a JSON object".to_owned()));
        }
        let response: Response =
            serde_json::from_slice(body).map_err(|error| Error::Unreadable(error.to_string()))?;
        match response.error.as_deref() {
            None | Some("") => Ok(response),
            Some(text) => Err(Error::told(text)),
        }
    }
}

/// Whose answers are wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wanted {
    /// The first.
    First,
    /// The first that is no error, or the best error of all that are there.
    Good,
    /// Those of all that are there.
    All,
}

/// What is asked.
struct Asked<'a> {
    core: &'a Core,
    subject: String,
    body: Vec<u8>,
    key: &'a Key,
    wanted: Wanted,
    /// Whether it may be asked again when the link is lost: it changes nothing.
    reads: bool,
}

/// Asks `request` of one, or of the first that can answer.
pub(super) fn ask(core: &Core, class: Class, request: &Request) -> Result<Response, Error> {
    let key = &request.key;
    let wanted = match class {
        // One of the group gets it.
        Class::Create => Wanted::First,
        _ if !key.app.is_empty() && !key.node.is_empty() => Wanted::First,
        _ => Wanted::Good,
    };
    let mut answers = Asked::new(core, class, request, wanted)?.ask()?;
    answers
        .pop()
        .unwrap_or(Err(Error::Timeout(core.settings.timeout)))
}

/// Asks `request` of all; those who answered in time.
pub(super) fn ask_all(
    core: &Core,
    class: Class,
    request: &Request,
) -> Result<Vec<Result<Response, Error>>, Error> {
    Asked::new(core, class, request, Wanted::All)?.ask()
}

impl<'a> Asked<'a> {
    fn new(
        core: &'a Core,
        class: Class,
        request: &'a Request,
        wanted: Wanted,
    ) -> Result<Asked<'a>, Error> {
        let key = &request.key;
        let kind = kinds::find(&request.kind);
        // The Go program takes some without for something new.
        if key.id.is_empty() && kind.is_some_and(|kind| kind.need == Need::Id) {
            return Err(Error::Setting(format!(
                "{} without the id of what it is about",
                request.kind
            )));
        }
        let mut subject = format!("{}{class}", core.settings.prefix);
        // As the Go client has it: without an application, the id of an Asterisk says nothing.
        for part in [&key.app, &key.node] {
            if part.is_empty() {
                break;
            }
            if !publishable(part) {
                return Err(Error::Bus(BusError::Subject(part.clone())));
            }
            subject.push('.');
            subject.push_str(part);
        }
        Ok(Asked {
            core,
            subject,
            body: request.to_json()?,
            key,
            wanted,
            reads: class.reads_only(),
        })
    }

    /// Asks, as often as may be.
    fn ask(&self) -> Result<Vec<Result<Response, Error>>, Error> {
        let settings = &self.core.settings;
        let mut tries = 0;
        loop {
            match self.attempt(Instant::now() + settings.timeout) {
                Err(Error::Timeout(_)) if tries < settings.retries => tries += 1,
                outcome => return outcome,
            }
        }
    }

    fn attempt(&self, deadline: Instant) -> Result<Vec<Result<Response, Error>>, Error> {
        let mut answers = Vec::new();
        loop {
            let (access, _) = self.core.access(deadline)?;
            let open = self.core.questions.begin()?;
            let question = Question {
                number: open.number,
                subject: &self.subject,
                body: &self.body,
            };
            match access.ask(question) {
                Ok(()) => {}
                // It was not sent.
                Err(error @ (BusError::Lost | BusError::Busy)) => {
                    pause(deadline, error.into())?;
                    continue;
                }
                Err(error) => return Err(error.into()),
            }
            let outcome = self.hear(&open.said, deadline, &mut answers);
            access.forget(open.number, matches!(outcome, Ok(Heard::Complete)));
            match outcome? {
                Heard::Complete => return Ok(answers),
                Heard::Nobody => pause(deadline, Error::NoProxy(self.subject.clone()))?,
                Heard::Lost if self.reads => answers.clear(),
                Heard::Lost => return Err(Error::Bus(BusError::Lost)),
                Heard::Enough => return Ok(answers),
            }
        }
    }

    /// Hears what is said until that is enough, or `deadline`.
    fn hear(
        &self,
        said: &crossbeam_channel::Receiver<Said>,
        deadline: Instant,
        answers: &mut Vec<Result<Response, Error>>,
    ) -> Result<Heard, Error> {
        let mut best: Option<Error> = None;
        let mut count = 0;
        loop {
            // What waits is given out after the deadline too: who never ceases to answer would have us hear him
            // for ever.
            let heard = if count > 0 && Instant::now() >= deadline {
                Err(RecvTimeoutError::Timeout)
            } else {
                said.recv_deadline(deadline)
            };
            match heard {
                Ok(Said::Answer(body)) => {
                    count += 1;
                    let response = Response::read(&body);
                    let all_there = self.expected().is_some_and(|expected| count >= expected);
                    match (self.wanted, response) {
                        (Wanted::First, response) => {
                            answers.push(response);
                            return Ok(Heard::Complete);
                        }
                        (Wanted::Good, Ok(response)) => {
                            answers.push(Ok(response));
                            return Ok(if all_there {
                                Heard::Complete
                            } else {
                                Heard::Enough
                            });
                        }
                        (Wanted::Good, Err(error)) => {
                            if best.as_ref().is_none_or(|best| best.rank() < error.rank()) {
                                best = Some(error);
                            }
                            if all_there {
                                answers.extend(best.map(Err));
                                return Ok(Heard::Complete);
                            }
                        }
                        (Wanted::All, response) => {
                            answers.push(response);
                            if all_there {
                                return Ok(Heard::Complete);
                            }
                        }
                    }
                }
                Ok(Said::Nobody) => return Ok(Heard::Nobody),
                Ok(Said::Lost) => return Ok(Heard::Lost),
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {
                    if self.expected().is_some_and(|expected| count < expected) {
                        self.core.doubt();
                    }
                    answers.extend(best.map(Err));
                    if count == 0 {
                        return Err(Error::Timeout(self.core.settings.timeout));
                    }
                    return Ok(Heard::Enough);
                }
            }
        }
    }

    /// How many answers there will be, where that is known.
    fn expected(&self) -> Option<usize> {
        match self.wanted {
            Wanted::First => Some(1),
            Wanted::Good | Wanted::All => {
                // Without an application it goes to all.
                let node = if self.key.app.is_empty() {
                    ""
                } else {
                    &self.key.node
                };
                self.core
                    .cluster
                    .expected(node, &self.key.app, Instant::now())
            }
        }
    }
}

/// How hearing ended.
enum Heard {
    /// All have answered: nothing can follow.
    Complete,
    /// There is enough.
    Enough,
    Nobody,
    Lost,
}

/// Waits a little before it is tried again; where there is no time for that, it stays at `failure`.
fn pause(deadline: Instant, failure: Error) -> Result<(), Error> {
    if deadline.saturating_duration_since(Instant::now()) <= NOBODY {
        return Err(failure);
    }
    std::thread::sleep(NOBODY);
    Ok(())
}
