//! What a worker does for a dialog: it carries a command out, or looks what there is on Asterisk.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Instant;

use serde::Deserialize;

use super::{Event, Intake};
use crate::ari::AriError;
use crate::ari::rest::Rest;
use crate::wire::call::RestCall;
use crate::wire::kind::Method;
use crate::wire::topic::problem;

/// The statuses of what does not come from Asterisk, as HTTP has them: a fault of ours, no answer that can
/// be read, nobody who has time, and no answer in time.
const INTERNAL: u16 = 500;
const BAD_GATEWAY: u16 = 502;
pub(super) const UNAVAILABLE: u16 = 503;
pub(super) const TIMEOUT: u16 = 504;

/// A command on its way to a worker. Whatever becomes of it, the host hears: at the latest when it is
/// dropped.
#[derive(Debug)]
pub struct Call {
    dialog: Arc<str>,
    number: u64,
    call: RestCall,
    intake: Option<Intake>,
}

/// A command that is done.
#[derive(Debug)]
pub struct Done {
    /// Its dialog.
    pub dialog: Arc<str>,
    /// Its number.
    pub number: u64,
    /// The status of the answer.
    pub status: u16,
    /// Its body.
    pub body: Vec<u8>,
}

impl Call {
    pub(super) fn new(dialog: &Arc<str>, number: u64, call: RestCall, intake: &Intake) -> Call {
        Call {
            dialog: Arc::clone(dialog),
            number,
            call,
            intake: Some(intake.clone()),
        }
    }

    /// Carries it out.
    pub fn run(mut self, rest: &Rest) {
        let (status, body) = match rest.exchange(&self.call) {
            Ok((status, body)) => (status.as_u16(), body),
            Err(error) => {
                let status = match error {
                    AriError::Timeout(_) => TIMEOUT,
                    _ => BAD_GATEWAY,
                };
                log::debug!(
                    "{:?} for the dialog {}: {error}",
                    self.call.method,
                    self.dialog
                );
                (status, problem(&error.to_string()).into_bytes())
            }
        };
        self.done(status, body);
    }

    /// Refuses it, for now.
    pub fn refuse(mut self, why: &str) {
        self.done(UNAVAILABLE, problem(why).into_bytes());
    }

    fn done(&mut self, status: u16, body: Vec<u8>) {
        if let Some(intake) = self.intake.take() {
            intake.tell(Event::Done(Done {
                dialog: Arc::clone(&self.dialog),
                number: self.number,
                status,
                body,
            }));
        }
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        self.done(
            INTERNAL,
            problem("internal error of the proxy; see its log").into_bytes(),
        );
    }
}

/// A look at what there is on Asterisk.
#[derive(Debug)]
pub struct Look {
    asked: Instant,
    intake: Intake,
}

/// What there is on Asterisk.
#[derive(Debug)]
pub struct Living {
    /// When it was to be looked.
    pub asked: Instant,
    /// The ids of all channels.
    pub channels: HashSet<String>,
    /// The ids of all bridges.
    pub bridges: HashSet<String>,
}

impl Look {
    pub(super) fn new(intake: &Intake) -> Look {
        Look {
            asked: Instant::now(),
            intake: intake.clone(),
        }
    }

    /// Looks. Where Asterisk does not answer, nothing is told.
    pub fn run(self, rest: &Rest) {
        let found = ids(rest, "/channels").and_then(|channels| {
            let bridges = ids(rest, "/bridges")?;
            Ok(Living {
                asked: self.asked,
                channels,
                bridges,
            })
        });
        match found {
            Ok(living) => self.intake.tell(Event::Living(living)),
            Err(error) => log::debug!("what there is on Asterisk is not known: {error}"),
        }
    }
}

fn ids(rest: &Rest, target: &str) -> Result<HashSet<String>, AriError> {
    #[derive(Deserialize)]
    struct Object {
        id: String,
    }
    let call = RestCall {
        method: Method::Get,
        target: target.to_owned(),
        body: None,
    };
    let objects: Vec<Object> = serde_json::from_slice(&rest.call(&call)?)
        .map_err(|error| AriError::Call(format!("the answer is unreadable: {error}")))?;
    Ok(objects.into_iter().map(|object| object.id).collect())
}
