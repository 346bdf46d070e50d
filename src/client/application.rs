//! ARI applications, and what they are told of.

use serde_json::json;

use super::Error;
use super::data::ApplicationData;
use super::handle::{Handle, collection, handle};
use crate::wire::kind::Entity;

/// An ARI application. Its id is its name.
#[derive(Debug, Clone)]
pub struct Application {
    handle: Handle,
}

handle!(Application);

impl From<Handle> for Application {
    fn from(handle: Handle) -> Application {
        Application { handle }
    }
}

impl Application {
    /// What Asterisk knows of it.
    pub fn data(&self) -> Result<ApplicationData, Error> {
        self.handle.data("ApplicationData", Entity::Application)
    }

    /// Has Asterisk tell it of `event_source`: `channel:ID`, `bridge:ID`, `endpoint:PJSIP/100`,
    /// `deviceState:Stasis:door`.
    pub fn subscribe_to(&self, event_source: &str) -> Result<(), Error> {
        self.handle.command_with(
            "ApplicationSubscribe",
            "application_subscribe",
            json!({ "event_source": event_source }),
        )
    }

    /// Ends [`subscribe_to`](Application::subscribe_to).
    pub fn unsubscribe_from(&self, event_source: &str) -> Result<(), Error> {
        self.handle.command_with(
            "ApplicationUnsubscribe",
            "application_subscribe",
            json!({ "event_source": event_source }),
        )
    }
}

/// The ARI applications at all Asterisks, or at [one](Applications::at).
#[derive(Debug, Clone)]
pub struct Applications {
    place: Handle,
}

collection!(Applications, Application, Entity::Application);

impl Applications {
    /// The application `name`, and where it is.
    pub fn get(&self, name: &str) -> Result<Application, Error> {
        let handle = self.place.other(Entity::Application, name);
        Ok(handle.get("ApplicationGet")?.into())
    }

    /// All.
    pub fn list(&self) -> Result<Vec<Application>, Error> {
        self.place.list("ApplicationList")
    }
}
