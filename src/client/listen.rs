//! New calls, each to one listener of a group.

use std::time::{Duration, Instant};

use crossbeam_channel::RecvTimeoutError;

use super::event::{Event, Gap, StasisStart};
use super::filter::Filter;
use super::local::{Item, Outlet};
use super::session::Session;
use super::{Channel, Error, EventType, Key};
use crate::bus::{Claim, Interest};

/// The group that the Go client names, over RabbitMQ a queue; here with the subjects of an application, of
/// which that one knows nothing.
const GROUP: &str = "ARIProxyStasisStartDistributorQueue";
/// Calls that may wait in a listener. Further ones are lost; RabbitMQ gives out no more than a thousand.
const WAITING: usize = 10_000;

/// A new call.
#[derive(Debug)]
pub struct Call {
    /// The channel that has entered the application.
    pub channel: Channel,
    /// What is known of it: its arguments, the caller.
    pub event: Box<StasisStart>,
}

/// Listens for new calls. Dropped, it ends.
///
/// Over RabbitMQ, calls that wait in it when it ends, or when the link is lost, go to other listeners of the
/// group: it gives out none of them any more. Over NATS they are lost when it ends, as is what comes while
/// 10 000 calls wait in it.
#[derive(Debug)]
pub struct Listener {
    session: Session,
    number: u64,
    outlet: Outlet,
}

impl Listener {
    pub(super) fn begin(session: &Session, group: Option<&str>) -> Result<Listener, Error> {
        let application = session.application();
        if application.is_empty() {
            return Err(Error::Setting(
                "who listens for calls does so for an application: set ARI_APPLICATION".to_owned(),
            ));
        }
        let connection = session.connection()?;
        let subject = format!("{}event.{application}", connection.core().settings.prefix);
        let own = || format!("{GROUP}-{subject}");
        let interest = Interest {
            group: Some(group.map_or_else(own, str::to_owned)),
            subject,
            below: true,
        };
        let filter = Filter::new(session.place(&Key::default()), &[EventType::StasisStart]);
        let (number, outlet) = session.add(&connection, interest, filter, WAITING)?;
        Ok(Listener {
            session: session.clone(),
            number,
            outlet,
        })
    }

    /// The next call within `limit`. [`Error::Timeout`] says that there is none, [`Error::Closed`] that
    /// there will be none.
    pub fn recv_timeout(&self, limit: Duration) -> Result<Call, Error> {
        let Some(deadline) = Instant::now().checked_add(limit) else {
            return self.wait().ok_or(Error::Closed);
        };
        loop {
            match self.outlet.recv_deadline(deadline) {
                Ok(item) => {
                    if let Some(call) = self.call(item) {
                        return Ok(call);
                    }
                }
                Err(RecvTimeoutError::Timeout) => return Err(Error::Timeout(limit)),
                Err(RecvTimeoutError::Disconnected) => return Err(Error::Closed),
            }
        }
    }

    fn wait(&self) -> Option<Call> {
        loop {
            let item = self.outlet.recv()?;
            if let Some(call) = self.call(item) {
                return Some(call);
            }
        }
    }

    /// The next call, if there is one.
    pub fn try_recv(&self) -> Option<Call> {
        loop {
            let item = self.outlet.try_recv()?;
            if let Some(call) = self.call(item) {
                return Some(call);
            }
        }
    }

    /// The call that there is. Of gaps a listener has little to tell: which calls went elsewhere, or to
    /// nobody, it does not know.
    fn call(&self, item: Item) -> Option<Call> {
        if let Item::Gap(Gap {
            lost: Some(lost), ..
        }) = &item
        {
            log::warn!("client: {lost} calls are lost: they were not taken as fast as they came");
        }
        let Item::Call(body, claim) = item else {
            return None;
        };
        // From now on it is ours, or has been another's since the link was lost.
        if !claim.is_none_or(Claim::take) {
            return None;
        }
        match Event::decode(&body) {
            Event::StasisStart(event) => Some(Call {
                channel: Channel::new(&self.session, &event),
                event,
            }),
            other => {
                log::warn!("client: a call is passed over, as it cannot be read: {other:?}");
                None
            }
        }
    }
}

/// The next call; waits for it. None once the client, or its connection, is closed.
impl Iterator for Listener {
    type Item = Call;

    fn next(&mut self) -> Option<Call> {
        self.wait()
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.session.release(self.number);
    }
}
