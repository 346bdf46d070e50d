//! Endpoints: what can be called.

use serde_json::json;

use super::data::EndpointData;
use super::handle::{Handle, collection, handle};
use super::{Error, EventType, Subscription};
use crate::wire::kind::Entity;

/// What can be called. Its id is `technology/resource`, as in `PJSIP/100`.
#[derive(Debug, Clone)]
pub struct Endpoint {
    handle: Handle,
}

handle!(Endpoint);

impl From<Handle> for Endpoint {
    fn from(handle: Handle) -> Endpoint {
        Endpoint { handle }
    }
}

impl Endpoint {
    /// What Asterisk knows of it.
    pub fn data(&self) -> Result<EndpointData, Error> {
        self.handle.data("EndpointData", Entity::Endpoint)
    }

    /// Events about it, of these types; of all where there are none. The application has to be subscribed to
    /// it: [`Application::subscribe_to`](super::Application::subscribe_to).
    pub fn subscribe(&self, types: &[EventType]) -> Result<Subscription, Error> {
        self.handle.subscribe(types, None)
    }
}

/// The endpoints of all Asterisks of the application, or of [one](Endpoints::at).
#[derive(Debug, Clone)]
pub struct Endpoints {
    place: Handle,
}

collection!(Endpoints, Endpoint, Entity::Endpoint);

impl Endpoints {
    /// The endpoint `id`, as in `PJSIP/100`, and where it is.
    pub fn get(&self, id: &str) -> Result<Endpoint, Error> {
        let found = self.place.other(Entity::Endpoint, id).get("EndpointGet")?;
        Ok(found.into())
    }

    /// All.
    pub fn list(&self) -> Result<Vec<Endpoint>, Error> {
        self.place.list("EndpointList")
    }

    /// Those of the technology `tech`, as in `PJSIP`.
    pub fn list_by_tech(&self, tech: &str) -> Result<Vec<Endpoint>, Error> {
        self.place.list_with(
            "EndpointListByTech",
            "endpoint_list_by_tech",
            json!({ "tech": tech }),
        )
    }
}
