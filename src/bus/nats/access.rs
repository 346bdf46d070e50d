//! The access of an application to one server: a socket of ours that questions leave on and all that is
//! heard comes on.
//!
//! Every answer comes on one subscription to all subjects below an inbox; the number of the question is the
//! rest of the subject. There also a server says at once that nobody listens where a question went, unless
//! it takes no headers.
//!
//! Who subscribes waits until the server has dealt with it, as a refusal comes before that. Who unsubscribes
//! does not wait: the thread `bus-ends` writes.

mod subscriptions;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender};

use self::subscriptions::{Purpose, Subscriptions};
use super::dial::dial;
use super::outgoing::Outgoing;
use super::protocol::{self, check};
use crate::address::BusServer;
use crate::bus::access::LARGEST;
use crate::bus::{Access, BusError, Connected, HearAccess, Interest, Question};

/// How long a server may take to deal with a subscription.
const HEARING: Duration = Duration::from_secs(5);

/// An access to one server.
pub struct NatsAccess {
    outgoing: Arc<Outgoing<Subscriptions>>,
    subscriptions: Arc<Subscriptions>,
    /// Where answers go: the number of the question follows.
    inbox: String,
    /// The largest message that the server takes, in bytes.
    largest: usize,
    server: String,
    /// Has the ends of subscriptions written; the thread that does it ends when this is dropped.
    kick: Sender<()>,
}

impl NatsAccess {
    /// Connects to `server`, shown there under `name`.
    pub fn connect(
        server: &BusServer,
        name: &str,
        hear: &HearAccess,
    ) -> Result<Arc<dyn Access>, BusError> {
        let dialled = dial(server, name, LARGEST)?;
        let outgoing = Outgoing::start(dialled.socket, dialled.lines)
            .map_err(|error| BusError::Unreachable(format!("no thread: {error}")))?;
        let largest = dialled.info.max_payload;
        let access = NatsAccess::start(outgoing, largest, server.to_string(), hear)?;
        Ok(Arc::new(access))
    }

    /// On a connection to a server that takes messages of up to `largest` bytes.
    fn start(
        outgoing: Arc<Outgoing<Subscriptions>>,
        largest: usize,
        server: String,
        hear: &HearAccess,
    ) -> Result<NatsAccess, BusError> {
        let inbox = protocol::inbox();
        let kick = outgoing
            .start_writing("bus-ends")
            .inspect_err(|_| outgoing.end())?;
        let access = NatsAccess {
            subscriptions: Arc::new(Subscriptions::new(&inbox, hear)),
            outgoing,
            inbox,
            largest,
            server,
            kick,
        };
        access.outgoing.listen(&access.subscriptions);
        let answers = format!("{}*", access.inbox);
        access.begin(Purpose::Answers, &answers, None)?;
        Ok(access)
    }

    /// Subscribes, and waits until the server has dealt with it.
    fn begin(&self, purpose: Purpose, subject: &str, group: Option<&str>) -> Result<(), BusError> {
        let sid = self.outgoing.next_sid();
        let handed = self.subscriptions.add(sid, purpose, subject, group, || {
            self.outgoing
                .say(|out| protocol::put_sub(out, subject, group, sid))
        });
        if handed.is_ok() && self.outgoing.settle(HEARING) {
            return match self.subscriptions.refusal_of(sid) {
                None => Ok(()),
                Some(why) => Err(BusError::Denied {
                    what: format!("subscribe to {subject}"),
                    why,
                }),
            };
        }
        self.end(sid);
        if self.is_lost() {
            Err(BusError::Lost)
        } else {
            Err(BusError::Hangs(self.server.clone()))
        }
    }

    /// Has the subscription of the number `sid` end. What the server sends before it has is heard.
    fn end(&self, sid: u64) {
        let end = self.subscriptions.end(sid);
        // A connection that is lost has no subscriptions. There may be as many ends as beginnings.
        let _ = self
            .outgoing
            .ask_about(end, u64::MAX, |out| protocol::put_unsub(out, sid));
        // One that waits there is as good.
        let _ = self.kick.try_send(());
    }

    fn check_size(&self, body: &[u8]) -> Result<(), BusError> {
        match body.len() <= self.largest {
            true => Ok(()),
            false => Err(BusError::TooLarge {
                size: body.len(),
                limit: self.largest,
            }),
        }
    }
}

impl Access for NatsAccess {
    fn ask(&self, question: Question<'_>) -> Result<(), BusError> {
        let Question {
            number,
            subject,
            body,
        } = question;
        check(subject)?;
        self.check_size(body)?;
        let reply = format!("{}{number}", self.inbox);
        self.outgoing
            .put_by(|out| protocol::put_request(out, subject, &reply, body))?;
        self.outgoing.flush();
        Ok(())
    }

    fn forget(&self, _: u64, _: bool) {
        // An answer says which question it is for: nothing is kept.
    }

    fn ping(&self, subject: &str) -> Result<(), BusError> {
        check(subject)?;
        self.outgoing.put(subject, "", b"{}")?;
        self.outgoing.flush();
        Ok(())
    }

    fn attend(&self, subject: &str) -> Result<(), BusError> {
        check(subject)?;
        self.begin(Purpose::Announcements, subject, None)
    }

    fn subscribe(&self, number: u64, interest: &Interest) -> Result<(), BusError> {
        let Interest {
            subject,
            below,
            group,
        } = interest;
        check(subject)?;
        let group = group.as_deref();
        group.map_or(Ok(()), check)?;
        let purpose = Purpose::Events(number);
        match below {
            true => self.begin(purpose, &format!("{subject}.>"), group),
            false => self.begin(purpose, subject, group),
        }
    }

    fn unsubscribe(&self, number: u64) {
        if let Some(sid) = self.subscriptions.sid_of(number) {
            self.end(sid);
        }
    }
}

impl Connected for NatsAccess {
    fn check(&self) {
        if self.outgoing.is_silent() {
            log::warn!("bus: {self} does not answer");
            self.outgoing.end();
        }
    }

    fn lost(&self) -> &Receiver<()> {
        self.outgoing.gone()
    }

    fn is_lost(&self) -> bool {
        self.outgoing.has_ended()
    }

    fn why(&self) -> Option<String> {
        self.outgoing.why()
    }

    fn peer(&self) -> String {
        self.server.clone()
    }

    fn close(&self) {
        self.outgoing.end();
    }
}

impl fmt::Display for NatsAccess {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.server)
    }
}

impl Drop for NatsAccess {
    fn drop(&mut self) {
        self.close();
    }
}

#[cfg(test)]
mod tests;
