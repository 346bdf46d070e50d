//! The configuration: flags over environment over file over defaults, checked before anything
//! starts, with errors that name the key and its source.
//!
//! The keys and everything derived from them are in `keys`; [`Config::from_process`] is the way in.

mod args;
mod error;
mod file;
mod go_ari_proxy;
mod help;
mod json;
mod keys;
mod layer;
mod load;
mod members;
mod nearest;
mod reference;
mod settings;
mod source;
mod text;
mod units;
mod values;
mod yaml;

pub use crate::address::{BusKind, BusServer, Secret};
pub use error::ConfigError;
pub use reference::reference_yaml;
pub use source::Source;

use log::LevelFilter;
use std::time::Duration;

/// What the command line asked for.
#[derive(Debug, Clone)]
#[expect(
    clippy::large_enum_variant,
    reason = "there is one per process, and it is taken apart at once"
)]
pub enum Invocation {
    /// To run.
    Run(Config),
    /// To print this help, which has no final line end.
    Help(String),
    /// To print this name and version, which has no final line end.
    Version(String),
}

/// Everything that can be configured, checked. `Debug` shows no secrets.
#[derive(Debug, Clone)]
pub struct Config {
    /// Asterisk.
    pub ari: Ari,
    /// The message bus.
    pub bus: Bus,
    /// The threads that carry requests to Asterisk.
    pub workers: Workers,
    /// HTTP to Asterisk.
    pub http: Http,
    /// The events kept while the bus is away.
    pub events: Events,
    /// The number of bindings to dialogs kept at once.
    pub dialogs_max: usize,
    /// The topics of dialogs.
    pub topics: Topics,
    /// The least severe messages logged.
    pub log_level: LevelFilter,
    /// What [`Config::describe`] says: it needs the sources, which nobody else does.
    record: Vec<String>,
    /// The applications after that of `ari`.
    further: Vec<String>,
}

impl Config {
    /// The same for each application after the first, which is that of this one.
    pub fn further(&self) -> impl Iterator<Item = Config> {
        self.further.iter().map(|application| {
            let mut config = self.clone();
            config.ari.application.clone_from(application);
            config.further.clear();
            config
        })
    }
}

/// How to reach Asterisk and what to be there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ari {
    /// The Stasis application, of several the first ([`Config::further`]); one or more tokens of a
    /// subject.
    pub application: String,
    /// The ARI user.
    pub username: String,
    /// The ARI user's password.
    pub password: Secret,
    /// The base URL of requests, `http` or `https`, without a final slash, query or credentials.
    pub http_url: String,
    /// The URL of the event socket, `ws` or `wss`, without query or credentials.
    pub websocket_url: String,
    /// The Origin of the event socket.
    pub origin: Option<String>,
    /// Whether the URL of the event socket has user and password in its query too, as go-ari-proxy
    /// has it: where nothing but its protocol is spoken.
    pub api_key: bool,
    /// The Asterisk id to use; `None` asks Asterisk.
    pub asterisk_id: Option<String>,
    /// What to do when another process takes the application over.
    pub on_replaced: OnReplaced,
    /// How long to wait then before reconnecting.
    pub replaced_pause: Duration,
    /// Whether the status subject is told which channels and bridges are in the application.
    pub snapshot: bool,
}

/// What to do when another process takes the application over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnReplaced {
    /// Wait, then take it back.
    Reconnect,
    /// End the process.
    Exit,
}

/// The message bus.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bus {
    /// Its servers, at least one, in the order to try them.
    pub servers: Vec<BusServer>,
    /// What applications are spoken to with.
    pub protocol: Protocol,
    /// What every subject begins with, usually with a final dot.
    pub prefix: String,
    /// What to do with requests that waited in RabbitMQ for a proxy to come.
    pub stale_creates: StaleCreates,
}

/// What applications are spoken to with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// The subjects of CyCoreSystems' ari-proxy.
    AriProxy,
    /// The topics of nvisibleinc's go-ari-proxy, one set for each dialog.
    GoAriProxy,
    /// Both at once.
    Both,
}

impl Protocol {
    /// Whether there are subjects for requests, events and announcements.
    pub fn serves_subjects(self) -> bool {
        self != Protocol::GoAriProxy
    }

    /// Whether there are topics of dialogs.
    pub fn serves_topics(self) -> bool {
        self != Protocol::AriProxy
    }
}

/// What to do with `create` requests that waited in RabbitMQ's shared queue while no proxy was
/// there. NATS keeps none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StaleCreates {
    /// Do not carry them out: who asked has given up, and a call would ring for nobody.
    Discard,
    /// Carry them out.
    Run,
}

/// The threads that carry requests to Asterisk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Workers {
    /// Their number.
    pub count: usize,
    /// The number of requests that may wait for one.
    pub queue: usize,
    /// How long a request may wait for one.
    pub max_wait: Duration,
}

/// HTTP to Asterisk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Http {
    /// How long connecting may take.
    pub connect_timeout: Duration,
    /// How long the answer to a request may take.
    pub response_timeout: Duration,
}

/// The events: what is sent with them, and the bounds of those kept while the bus is away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Events {
    /// Their number.
    pub max_count: usize,
    /// Their size together, in bytes.
    pub max_bytes: usize,
    /// Their age.
    pub max_age: Duration,
    /// Whether they are sent with their epoch and number.
    pub headers: bool,
}

/// The topics of dialogs, and their bounds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Topics {
    /// What this Asterisk is called in messages; `None` is its id.
    pub server_id: Option<String>,
    /// NATS' queue group of those who take commands.
    pub queue: Option<String>,
    /// How long an application may take to come.
    pub max_wait: Duration,
    /// The number of dialogs at once.
    pub most: usize,
    /// The number of events held for an application that has not come yet, of each dialog.
    pub held: usize,
}
