//! What a client's handles share with it: how they ask and subscribe.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Instant;

use serde::de::DeserializeOwned;
use serde_json::value::RawValue;
use std::collections::HashMap;

use super::asking::{Response, ask, ask_all};
use super::core::Core;
use super::filter::Filter;
use super::local::{self, Outlet};
use super::{Connection, Error, EventType, Request, Subscription};
use crate::bus::{BusError, Interest};
use crate::wire::key::Key;
use crate::wire::subject::{Class, publishable};

/// A client, as its handles hold it. When the client is closed, they get [`Error::Closed`].
#[derive(Debug, Clone)]
pub(crate) struct Session(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    application: String,
    dialog: String,
    closed: AtomicBool,
    /// None once it is closed.
    connection: Mutex<Option<Connection>>,
    subscribers: Mutex<HashSet<u64>>,
    derived: Mutex<Vec<Weak<Inner>>>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Session {
    /// A client of `application` on `connection`, that works in `dialog` where it is not empty.
    pub(super) fn begin(
        connection: &Connection,
        application: &str,
        dialog: &str,
    ) -> Result<Session, Error> {
        for (what, name) in [("application", application), ("dialog", dialog)] {
            if !name.is_empty() && !publishable(name) {
                return Err(Error::Setting(format!(
                    "the {what} {name:?} cannot be part of a subject: it has white space or an empty token"
                )));
            }
        }
        Ok(Session(Arc::new(Inner {
            application: application.to_owned(),
            dialog: dialog.to_owned(),
            closed: AtomicBool::new(false),
            connection: Mutex::new(Some(connection.clone())),
            subscribers: Mutex::default(),
            derived: Mutex::default(),
        })))
    }

    /// Another client on the same connection, that closes with this one.
    pub(super) fn derive(&self, dialog: &str) -> Result<Session, Error> {
        let derived = Session::begin(&self.connection()?, &self.0.application, dialog)?;
        let mut all = lock(&self.0.derived);
        if self.0.closed.load(Ordering::Acquire) {
            return Err(Error::Closed);
        }
        all.retain(|other| other.strong_count() > 0);
        all.push(Arc::downgrade(&derived.0));
        drop(all);
        Ok(derived)
    }

    /// Ends its subscriptions and those derived from it.
    pub(super) fn close(&self) {
        self.0.close();
    }

    pub(super) fn connection(&self) -> Result<Connection, Error> {
        lock(&self.0.connection).clone().ok_or(Error::Closed)
    }

    pub(super) fn application(&self) -> &str {
        &self.0.application
    }

    /// `key` with the client's application and dialog where it has none.
    pub(crate) fn place(&self, key: &Key) -> Key {
        let mut key = key.clone();
        for (member, own) in [
            (&mut key.app, &self.0.application),
            (&mut key.dialog, &self.0.dialog),
        ] {
            if member.is_empty() {
                member.clone_from(own);
            }
        }
        key
    }

    fn placed(&self, request: &Request) -> Request {
        let mut request = request.clone();
        request.key = self.place(&request.key);
        request
    }

    fn ask(&self, class: Class, request: &Request) -> Result<Response, Error> {
        let connection = self.connection()?;
        ask(connection.core(), class, &self.placed(request))
    }

    fn key_of(&self, class: Class, request: &Request) -> Result<Key, Error> {
        let missing = || Error::Unreadable("it has no key".to_owned());
        self.ask(class, request)?.key.ok_or_else(missing)
    }

    /// Asks for a key, on `get`: one proxy where the key says which, else all, and the first that has it
    /// answers.
    pub(crate) fn get(&self, request: &Request) -> Result<Key, Error> {
        self.key_of(Class::Get, request)
    }

    /// Asks for an entity, the member `member` of the response's `data`, on `data`.
    pub(crate) fn data<T: DeserializeOwned>(
        &self,
        request: &Request,
        member: &str,
    ) -> Result<T, Error> {
        let unreadable = |error: serde_json::Error| Error::Unreadable(error.to_string());
        let data = self.ask(Class::Data, request)?.data;
        let data = data.as_deref().map_or("{}", RawValue::get);
        let mut members: HashMap<String, &RawValue> =
            serde_json::from_str(data).map_err(unreadable)?;
        let missing = || Error::Unreadable(format!("its data has no member {member}"));
        match members.remove(member) {
            Some(entity) => serde_json::from_str(entity.get()).map_err(unreadable),
            // A variable that is empty is not there.
            None => serde_json::from_str("null").map_err(|_| missing()),
        }
    }

    /// Asks all proxies that the key may mean for keys, on `get`. Those that answered in time with keys
    /// are enough; if none did, it is the best error.
    pub(crate) fn list(&self, request: &Request) -> Result<Vec<Key>, Error> {
        let connection = self.connection()?;
        let (mut keys, mut good, mut best) = (Vec::new(), false, None::<Error>);
        for answer in ask_all(connection.core(), Class::Get, &self.placed(request))? {
            match answer {
                Ok(response) => {
                    good = true;
                    keys.extend(response.keys.unwrap_or_default());
                }
                Err(error) => {
                    if best.as_ref().is_none_or(|best| best.rank() < error.rank()) {
                        best = Some(error);
                    }
                }
            }
        }
        match best {
            Some(error) if !good => Err(error),
            _ => Ok(keys),
        }
    }

    /// Has something done, on `command`.
    pub(crate) fn command(&self, request: &Request) -> Result<(), Error> {
        self.ask(Class::Command, request).map(drop)
    }

    /// Has something made, on `create`; its key.
    pub(crate) fn create(&self, request: &Request) -> Result<Key, Error> {
        self.key_of(Class::Create, request)
    }

    /// Events of the types `types`, of all where there are none, that are about `key`.
    pub(crate) fn subscribe(&self, key: &Key, types: &[EventType]) -> Result<Subscription, Error> {
        self.hear(&self.place(key), types)
    }

    /// The same of just what `key` names: outside of the client's dialog where it has none.
    pub(crate) fn hear(&self, key: &Key, types: &[EventType]) -> Result<Subscription, Error> {
        let connection = self.connection()?;
        let settings = &connection.core().settings;
        let filter = Filter::new(key.clone(), types);
        let interest = filter.interest(&settings.prefix);
        let most = settings.buffer;
        let (number, outlet) = self.add(&connection, interest, filter, most)?;
        Ok(Subscription::new(self, number, outlet))
    }

    /// A subscriber to `interest`, whose queue takes `most`; it is there when this returns, unless there is
    /// no link to the bus: then it is when there is one.
    pub(super) fn add(
        &self,
        connection: &Connection,
        interest: Interest,
        filter: Filter,
        most: usize,
    ) -> Result<(u64, Outlet), Error> {
        if !publishable(&interest.subject) {
            return Err(BusError::Subject(interest.subject).into());
        }
        let core = connection.core();
        let (inlet, outlet) = local::queue(most);
        let number = core.router.add(interest, filter, inlet)?;
        lock(&self.0.subscribers).insert(number);
        let settled = match self.0.closed.load(Ordering::Acquire) {
            // Whoever closes it may not have seen this one.
            true => Err(Error::Closed),
            false => settle(core, number),
        };
        if let Err(error) = settled {
            self.0.release_on(connection, number);
            return Err(error);
        }
        Ok((number, outlet))
    }

    /// Ends the subscriber of this number.
    pub(super) fn release(&self, number: u64) {
        self.0.release(number);
    }
}

/// Has the bus know of the subscriber `number`.
fn settle(core: &Core, number: u64) -> Result<(), Error> {
    let Some((access, link)) = core.access_now() else {
        return Ok(());
    };
    if let Some(due) = core.router.due(number, link) {
        // What fails because the link is lost is done on the next.
        return match core.subscribe(&*access, link, &due) {
            Err(error) if !access.is_lost() => Err(error.into()),
            _ => Ok(()),
        };
    }
    let deadline = Instant::now() + core.settings.connect_timeout;
    Ok(core.router.wait(number, link, deadline)?)
}

impl Inner {
    fn close(&self) {
        if self.closed.swap(true, Ordering::AcqRel) {
            return;
        }
        let derived = std::mem::take(&mut *lock(&self.derived));
        for other in derived.iter().filter_map(Weak::upgrade) {
            other.close();
        }
        let numbers: Vec<u64> = lock(&self.subscribers).iter().copied().collect();
        for number in numbers {
            self.release(number);
        }
        // The last one closes it: not under the lock.
        let connection = lock(&self.connection).take();
        drop(connection);
    }

    fn release(&self, number: u64) {
        // Without one, all have ended.
        let connection = lock(&self.connection).clone();
        if let Some(connection) = connection {
            self.release_on(&connection, number);
        }
    }

    fn release_on(&self, connection: &Connection, number: u64) {
        lock(&self.subscribers).remove(&number);
        connection.core().router.remove(number);
        connection.core().leave();
    }
}
