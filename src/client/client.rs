//! A client: one user of a connection, with subscriptions of its own.

use super::cluster::Member;
use super::session::Session;
use super::settings::Builder;
use super::{Connection, Error, EventType, Key, Listener, Request, Subscription};

/// A client of one application. Closed or dropped, it ends its subscriptions and the clients derived from
/// it, and its handles answer [`Error::Closed`]; the connection stays for the others that share it.
#[derive(Debug)]
pub struct Client {
    pub(super) session: Session,
}

impl Client {
    pub(super) fn new(session: Session) -> Client {
        Client { session }
    }

    /// Puts together how to connect.
    pub fn builder() -> Builder {
        Builder::default()
    }

    /// Connects as the environment says: `ARI_APPLICATION`, and `MESSAGEBUS_URL` or `NATS_URI`.
    pub fn connect() -> Result<Client, Error> {
        Builder::default().connect()
    }

    /// Another client on the same connection. It is closed with this one, or alone before.
    pub fn derive(&self) -> Result<Client, Error> {
        self.session.derive("").map(Client::new)
    }

    /// The same, whose requests bind what they are about to `dialog`, so that the subscriptions of its
    /// handles are to the events of this dialog only, wherever they come from.
    pub fn derive_in_dialog(&self, dialog: &str) -> Result<Client, Error> {
        self.session.derive(dialog).map(Client::new)
    }

    /// Its application; empty if it is of all.
    pub fn application(&self) -> &str {
        self.session.application()
    }

    /// The connection that it uses.
    pub fn connection(&self) -> Result<Connection, Error> {
        self.session.connection()
    }

    /// The proxies that have announced themselves, in the order of their Asterisk ids; none if the client
    /// is closed.
    pub fn cluster(&self) -> Vec<Member> {
        self.connection()
            .map(|connection| connection.cluster())
            .unwrap_or_default()
    }

    /// Events of the types `types`, of all types if there are none, that are about what `key` names: an
    /// entity if it has an id, a dialog if it has one, else an application at an Asterisk, at all, or all.
    pub fn subscribe(&self, key: &Key, types: &[EventType]) -> Result<Subscription, Error> {
        self.session.subscribe(key, types)
    }

    /// New calls. Each reaches one of all who listen for this application. Over RabbitMQ those that nobody
    /// listens for wait 30 s for somebody who does: a call may be over when it is taken out.
    pub fn listen(&self) -> Result<Listener, Error> {
        Listener::begin(&self.session, None)
    }

    /// New calls; each reaches one of all who listen for this application in `group`, and one in every
    /// other group. On RabbitMQ the group is a queue of this name: those of two applications must differ.
    pub fn listen_in(&self, group: &str) -> Result<Listener, Error> {
        Listener::begin(&self.session, Some(group))
    }

    /// Has `request` done that there is no method for: on `command`.
    pub fn command(&self, request: &Request) -> Result<(), Error> {
        self.session.command(request)
    }

    /// Closes it.
    pub fn close(self) {}
}

impl Drop for Client {
    fn drop(&mut self) {
        self.session.close();
    }
}
