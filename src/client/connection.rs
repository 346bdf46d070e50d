//! The connection to the bus, which clients share. It is made again whenever it is lost.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, bounded};

use super::cluster::Member;
use super::core::Core;
use super::session::Session;
use super::settings::{Builder, Settings};
use super::{Client, Error};
use crate::bus::supervisor::{self, Connect};
use crate::bus::{Access, HearAccess};

/// How long the end of a connection is waited for. One that takes longer ends by itself.
const END: Duration = Duration::from_secs(2);

/// A connection to the bus, for any number of clients. Clones are the same connection; it is closed with
/// the last of them and of its clients, or by [`Connection::close`].
#[derive(Clone)]
pub struct Connection(Arc<Handle>);

struct Handle {
    core: Arc<Core>,
    /// Dropped to stop the thread,
    stop: Mutex<Option<Sender<()>>>,
    /// which is then disconnected here.
    stopped: Receiver<()>,
}

impl Connection {
    /// Puts together how to connect.
    pub fn builder() -> Builder {
        Builder::default()
    }

    /// Connects as the environment says.
    pub fn open() -> Result<Connection, Error> {
        Builder::default().open()
    }

    pub(super) fn start(settings: Settings) -> Result<Connection, Error> {
        let name = settings.name.clone();
        Connection::start_by(settings, |hear| supervisor::accesses(&name, hear))
    }

    /// The same, where links are made by what `connect` makes of who hears.
    pub(super) fn start_by(
        settings: Settings,
        connect: impl FnOnce(&HearAccess) -> Connect<dyn Access>,
    ) -> Result<Connection, Error> {
        let core = Arc::new(Core::new(settings));
        let hearing = Arc::downgrade(&core);
        let hear: HearAccess = Arc::new(move |heard| {
            if let Some(core) = hearing.upgrade() {
                core.hear(heard);
            }
        });
        let connect = connect(&hear);
        let (stop, stopping) = bounded(0);
        let (end, stopped) = bounded::<()>(0);
        let of_link = Arc::clone(&core);
        let link = move || {
            let _end = end;
            let servers = of_link.settings.servers.clone();
            supervisor::run(&servers, &connect, &stopping, |change| {
                of_link.change(change)
            });
            of_link.end();
        };
        thread::Builder::new()
            .name("client-link".into())
            .spawn(link)
            .map_err(|error| Error::Setting(format!("no thread: {error}")))?;
        let limit = core.settings.connect_timeout;
        // Dropped, it ends what has begun.
        let connection = Connection(Arc::new(Handle {
            core,
            stop: Mutex::new(Some(stop)),
            stopped,
        }));
        connection.0.core.wait_for_the_first(limit)?;
        Ok(connection)
    }

    /// A client of `application`; of all of them if that is empty.
    pub fn client(&self, application: &str) -> Result<Client, Error> {
        Session::begin(self, application, "").map(Client::new)
    }

    /// The proxies that have announced themselves, in the order of their Asterisk ids.
    pub fn cluster(&self) -> Vec<Member> {
        self.core().cluster.members(std::time::Instant::now())
    }

    /// Whether there is a link to the bus at the moment.
    pub fn is_up(&self) -> bool {
        self.core().access_now().is_some()
    }

    /// Closes it, for all clients.
    pub fn close(&self) {
        self.0.close();
    }

    pub(super) fn core(&self) -> &Arc<Core> {
        &self.0.core
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Connection({:?})", self.0.core.settings.servers)
    }
}

impl Handle {
    fn close(&self) {
        let stop = self
            .stop
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        if stop.is_some() {
            drop(stop);
            // Nothing is sent: it ends, or the time is over.
            let _ = self.stopped.recv_timeout(END);
        }
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.close();
    }
}
