//! How to connect, from a program or from the environment.

use std::env;
use std::time::Duration;

use super::{Client, Connection, Error};
use crate::address::{BusServer, servers};
use crate::wire::subject::publishable;

/// Where the bus is unless something says otherwise.
const URL: &str = "nats://localhost:4222";

/// The longest that anything is waited for; so far ahead every clock goes.
const LONGEST: Duration = Duration::from_secs(24 * 3600);

/// What a connection does, checked.
#[derive(Debug, Clone)]
pub(super) struct Settings {
    pub(super) servers: Vec<BusServer>,
    pub(super) name: String,
    pub(super) prefix: String,
    pub(super) timeout: Duration,
    pub(super) retries: u32,
    pub(super) connect_timeout: Duration,
    pub(super) cluster_age: Duration,
    pub(super) buffer: usize,
}

/// Puts together how to connect. What is not set comes from the environment, or has a default.
#[derive(Debug, Clone)]
#[must_use]
pub struct Builder {
    application: Option<String>,
    url: Option<String>,
    settings: Settings,
}

impl Default for Builder {
    fn default() -> Builder {
        Builder {
            application: None,
            url: None,
            settings: Settings {
                servers: Vec::new(),
                name: concat!("ari-proxy client ", env!("CARGO_PKG_VERSION")).to_owned(),
                prefix: "ari.".to_owned(),
                timeout: Duration::from_millis(500),
                retries: 0,
                connect_timeout: Duration::from_secs(10),
                cluster_age: Duration::from_secs(300),
                buffer: 1_000,
            },
        }
    }
}

impl Builder {
    /// The ARI application; else `ARI_APPLICATION`. Without any, requests go to the proxies of all.
    pub fn application(mut self, name: &str) -> Builder {
        self.application = Some(name.to_owned());
        self
    }

    /// The bus, as `nats://`, `tls://`, `amqp://` or `amqps://` with user and password, several servers
    /// with commas between; else `MESSAGEBUS_URL`, else `NATS_URI`, else `nats://localhost:4222`.
    pub fn url(mut self, url: &str) -> Builder {
        self.url = Some(url.to_owned());
        self
    }

    /// What the bus shows this connection under.
    pub fn name(mut self, name: &str) -> Builder {
        self.settings.name = name.to_owned();
        self
    }

    /// What every subject begins with, usually with a final dot: `ari.`.
    pub fn prefix(mut self, prefix: &str) -> Builder {
        self.settings.prefix = prefix.to_owned();
        self
    }

    /// How long an answer may take: 500 ms. At most a day.
    pub fn request_timeout(mut self, timeout: Duration) -> Builder {
        self.settings.timeout = timeout.min(LONGEST);
        self
    }

    /// How often a request is repeated that nobody answered in time: never. One that changes something
    /// may then be carried out twice, as the first may only be late: a sound is played again, digits are
    /// sent again. A channel, a bridge or a recording is not made twice: Asterisk refuses an id that is in
    /// use.
    pub fn retries(mut self, times: u32) -> Builder {
        self.settings.retries = times;
        self
    }

    /// How long the bus may take to be there at the start: 10 s, at most a day. Later it is waited for, for
    /// ever.
    pub fn connect_timeout(mut self, timeout: Duration) -> Builder {
        self.settings.connect_timeout = timeout.min(LONGEST);
        self
    }

    /// How long a proxy that announces itself no more is still expected to answer: 5 min. One that does
    /// not answer a ping is not, whatever its age.
    pub fn cluster_age(mut self, age: Duration) -> Builder {
        self.settings.cluster_age = age;
        self
    }

    /// How many events may wait in each subscription: 1 000; of large ones no more than 64 MiB. What comes
    /// when it is full is dropped, and a [`Gap`](super::Gap) in its place says how many events were.
    pub fn event_buffer(mut self, events: usize) -> Builder {
        self.settings.buffer = events.max(1);
        self
    }

    /// Connects, with a connection for this client and those derived from it.
    pub fn connect(self) -> Result<Client, Error> {
        let application = self.application_or_environment();
        let connection = self.open()?;
        connection.client(&application)
    }

    /// Connects, for any number of clients.
    pub fn open(self) -> Result<Connection, Error> {
        Connection::start(self.checked(variable)?)
    }

    fn application_or_environment(&self) -> String {
        let own = self.application.clone();
        own.or_else(|| variable("ARI_APPLICATION"))
            .unwrap_or_default()
    }

    pub(super) fn checked(
        self,
        variable: impl Fn(&str) -> Option<String>,
    ) -> Result<Settings, Error> {
        let (source, url) = match self.url {
            Some(url) => ("the URL of the bus", url),
            None => ["MESSAGEBUS_URL", "NATS_URI"]
                .into_iter()
                .find_map(|name| Some((name, variable(name)?)))
                .unwrap_or(("the default", URL.to_owned())),
        };
        let mut settings = self.settings;
        settings.timeout = settings.timeout.min(LONGEST);
        settings.connect_timeout = settings.connect_timeout.min(LONGEST);
        settings.servers =
            servers(&url).map_err(|what| Error::Setting(format!("{source}: {what}")))?;
        let prefix = settings
            .prefix
            .strip_suffix('.')
            .unwrap_or(&settings.prefix);
        if !settings.prefix.is_empty() && !publishable(prefix) {
            return Err(Error::Setting(format!(
                "the prefix {:?} cannot begin a subject",
                settings.prefix
            )));
        }
        Ok(settings)
    }
}

/// A variable of the environment; an empty one counts as none.
fn variable(name: &str) -> Option<String> {
    env::var(name).ok().filter(|value| !value.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn server(builder: Builder, environment: &[(&str, &str)]) -> Result<String, String> {
        let variable = |name: &str| {
            let found = environment.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| (*value).to_owned())
        };
        let settings = builder
            .checked(variable)
            .map_err(|error| error.to_string())?;
        Ok(settings.servers[0].to_string())
    }

    #[test]
    fn the_program_goes_before_the_environment() {
        let both = [("NATS_URI", "nats://old"), ("MESSAGEBUS_URL", "amqp://new")];
        for (environment, url) in [
            (&both[..], "amqp://new:5672"),
            (&both[..1], "nats://old:4222"),
            (&[], "nats://localhost:4222"),
        ] {
            assert_eq!(server(Builder::default(), environment).unwrap(), url);
        }
        let own = Builder::default().url("nats://own:1");
        assert_eq!(server(own, &both).unwrap(), "nats://own:1");
    }

    #[test]
    fn what_cannot_be_used_is_told_without_its_password() {
        let wrong = Builder::default().url("http://u:hunter2@h");
        let error = server(wrong, &[]).unwrap_err();
        assert!(
            error.contains("http://") && !error.contains("hunter2"),
            "{error}"
        );
        assert!(server(Builder::default().prefix("a b."), &[]).is_err());
        assert!(server(Builder::default().prefix(""), &[]).is_ok());
    }
}
