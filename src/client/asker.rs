//! Through what handles ask and hear: the session of their client; in tests what writes down.

#[cfg(test)]
use std::sync::Arc;
use std::time::Duration;

use serde::de::DeserializeOwned;

use super::session::Session;
#[cfg(test)]
use super::tests::recorder::Recorder;
use super::{Error, Event, EventType, Request, Subscription};
use crate::wire::key::Key;

/// Who asks for a handle.
#[derive(Debug, Clone)]
pub(super) enum Asker {
    /// The session of its client.
    Session(Session),
    /// What writes down in tests.
    #[cfg(test)]
    Recorder(Arc<Recorder>),
}

impl Asker {
    pub(super) fn place(&self, key: &Key) -> Key {
        match self {
            Asker::Session(session) => session.place(key),
            #[cfg(test)]
            Asker::Recorder(recorder) => recorder.place(key),
        }
    }

    pub(super) fn get(&self, request: &Request) -> Result<Key, Error> {
        match self {
            Asker::Session(session) => session.get(request),
            #[cfg(test)]
            Asker::Recorder(recorder) => recorder.key("get", request),
        }
    }

    pub(super) fn data<T: DeserializeOwned>(
        &self,
        request: &Request,
        member: &str,
    ) -> Result<T, Error> {
        match self {
            Asker::Session(session) => session.data(request, member),
            #[cfg(test)]
            Asker::Recorder(recorder) => recorder.data(request, member),
        }
    }

    pub(super) fn list(&self, request: &Request) -> Result<Vec<Key>, Error> {
        match self {
            Asker::Session(session) => session.list(request),
            #[cfg(test)]
            Asker::Recorder(recorder) => recorder.list(request),
        }
    }

    pub(super) fn command(&self, request: &Request) -> Result<(), Error> {
        match self {
            Asker::Session(session) => session.command(request),
            #[cfg(test)]
            Asker::Recorder(recorder) => recorder.key("command", request).map(|_| ()),
        }
    }

    pub(super) fn create(&self, request: &Request) -> Result<Key, Error> {
        match self {
            Asker::Session(session) => session.create(request),
            #[cfg(test)]
            Asker::Recorder(recorder) => recorder.key("create", request),
        }
    }

    /// Events for an application.
    pub(super) fn subscribe(&self, key: &Key, types: &[EventType]) -> Result<Subscription, Error> {
        match self {
            Asker::Session(session) => session.hear(key, types),
            #[cfg(test)]
            Asker::Recorder(_) => Err(Error::Closed),
        }
    }

    /// Events for a handle itself.
    pub(super) fn listen(&self, key: &Key, types: &[EventType]) -> Result<Ears, Error> {
        match self {
            Asker::Session(session) => session.hear(key, types).map(Ears::Subscription),
            #[cfg(test)]
            Asker::Recorder(recorder) => Ok(Ears::Recorder(recorder.listen(key, types))),
        }
    }
}

impl From<Session> for Asker {
    fn from(session: Session) -> Asker {
        Asker::Session(session)
    }
}

#[cfg(test)]
impl From<Arc<Recorder>> for Asker {
    fn from(recorder: Arc<Recorder>) -> Asker {
        Asker::Recorder(recorder)
    }
}

/// What a handle hears events through.
#[derive(Debug)]
pub(super) enum Ears {
    /// A subscription.
    Subscription(Subscription),
    /// What a test says.
    #[cfg(test)]
    Recorder(crossbeam_channel::Receiver<Event>),
}

impl Ears {
    /// The next event within `limit`: [`Error::Timeout`] if there is none.
    pub(super) fn recv_timeout(&self, limit: Duration) -> Result<Event, Error> {
        match self {
            Ears::Subscription(subscription) => subscription.recv_timeout(limit),
            #[cfg(test)]
            Ears::Recorder(events) => {
                use crossbeam_channel::RecvTimeoutError::Timeout;
                events.recv_timeout(limit).map_err(|error| match error {
                    Timeout => Error::Timeout(limit),
                    _ => Error::Closed,
                })
            }
        }
    }
}
