//! The bridges at the Asterisks of an application.

use super::handle::{Handle, collection};
use super::payload::BridgeCreate;
use super::{Bridge, Error, Staged};
use crate::wire::kind::Entity;

/// The bridges at all Asterisks of the application, or at [one](Bridges::at).
#[derive(Debug, Clone)]
pub struct Bridges {
    place: Handle,
}

collection!(Bridges, Bridge, Entity::Bridge);

impl Bridges {
    /// The bridge `id`, and where it is.
    pub fn get(&self, id: &str) -> Result<Bridge, Error> {
        let found = self.place.other(Entity::Bridge, id).get("BridgeGet")?;
        Ok(found.into())
    }

    /// All.
    pub fn list(&self) -> Result<Vec<Bridge>, Error> {
        self.place.list("BridgeList")
    }

    /// A new one. Channels can be in it that are at the same Asterisk: [`at`](Bridges::at) says which.
    pub fn create(&self, bridge: &BridgeCreate) -> Result<Bridge, Error> {
        Bridge::create_at(&self.place, bridge)
    }

    /// [`create`](Bridges::create), later; at which Asterisk is settled now.
    pub fn stage_create(&self, bridge: &BridgeCreate) -> Result<Staged<Bridge>, Error> {
        Bridge::stage_at(&self.place, bridge)
    }
}
