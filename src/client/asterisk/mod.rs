//! Asterisk itself: what it is, its variables, modules, logs and configuration.

mod config;
mod logging;
mod modules;
mod variables;

pub use config::{Config, ConfigObject};
pub use logging::{LogChannel, Logging};
pub use modules::{Module, Modules};
pub use variables::Variables;

use super::Error;
use super::asker::Asker;
use super::data::AsteriskData;
use super::handle::Handle;
use crate::wire::key::Key;
use crate::wire::kind::Entity;

/// An Asterisk of the application: the one of a given [id](Asterisk::at), else whichever answers first. What
/// changes something without an id changes it at all of them.
#[derive(Debug, Clone)]
pub struct Asterisk {
    place: Handle,
}

impl Asterisk {
    pub(super) fn new(asker: impl Into<Asker>) -> Asterisk {
        Asterisk {
            place: Handle::new(asker, &Key::default()),
        }
    }

    /// The one with the id `node`.
    #[must_use]
    pub fn at(&self, node: &str) -> Asterisk {
        Asterisk {
            place: self.place.with_key(self.place.key().clone().at(node)),
        }
    }

    /// What it is: build, system, configuration, status.
    pub fn info(&self) -> Result<AsteriskData, Error> {
        self.place.data("AsteriskInfo", Entity::Asterisk)
    }

    /// Its global variables.
    pub fn variables(&self) -> Variables {
        Variables::of(self.place.clone())
    }

    /// Its modules.
    pub fn modules(&self) -> Modules {
        Modules::of(self.place.clone())
    }

    /// Its log channels.
    pub fn logging(&self) -> Logging {
        Logging::of(self.place.clone())
    }

    /// Its dynamic configuration.
    pub fn config(&self) -> Config {
        Config::of(self.place.clone())
    }
}
