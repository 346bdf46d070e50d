//! Log channels of Asterisk.

use serde_json::json;

use crate::client::Error;
use crate::client::data::LogData;
use crate::client::handle::{Handle, handle};
use crate::wire::kind::Entity;

/// A log channel. Its id is the name it was made with; listed, the path of its file.
#[derive(Debug, Clone)]
pub struct LogChannel {
    handle: Handle,
}

handle!(LogChannel);

impl From<Handle> for LogChannel {
    fn from(handle: Handle) -> LogChannel {
        LogChannel { handle }
    }
}

impl LogChannel {
    /// What Asterisk knows of it.
    pub fn data(&self) -> Result<LogData, Error> {
        self.handle.data("AsteriskLoggingData", Entity::Logging)
    }

    /// Puts its file aside and begins a new one.
    pub fn rotate(&self) -> Result<(), Error> {
        self.handle.command("AsteriskLoggingRotate")
    }

    /// Deletes it.
    pub fn delete(&self) -> Result<(), Error> {
        self.handle.command("AsteriskLoggingDelete")
    }
}

/// The log channels of an Asterisk.
#[derive(Debug, Clone)]
pub struct Logging {
    place: Handle,
}

impl Logging {
    pub(super) fn of(place: Handle) -> Logging {
        Logging { place }
    }

    /// The log channel `name`. Nobody is asked whether it is there.
    pub fn handle(&self, name: &str) -> LogChannel {
        self.place.other(Entity::Logging, name).into()
    }

    /// The log channel `name`, and where it is. A Go proxy finds it by the path of its file only, here and for
    /// its data.
    pub fn get(&self, name: &str) -> Result<LogChannel, Error> {
        let handle = self.place.other(Entity::Logging, name);
        Ok(handle.get("AsteriskLoggingGet")?.into())
    }

    /// All.
    pub fn list(&self) -> Result<Vec<LogChannel>, Error> {
        self.place.list("AsteriskLoggingList")
    }

    /// A new one of these levels, with commas between, as in `notice,warning`; at one Asterisk, whichever that
    /// is if it is not said.
    pub fn create(&self, name: &str, levels: &str) -> Result<LogChannel, Error> {
        let handle = self.place.other(Entity::Logging, name);
        let answer = handle.create_with(
            "AsteriskLoggingCreate",
            "asterisk_logging_channel",
            json!({ "config": levels }),
        )?;
        Ok(handle.found(answer).into())
    }
}
