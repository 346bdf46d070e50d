//! States of devices. Applications can change those whose names begin with `Stasis:`.

use serde_json::json;

use super::data::DeviceStateData;
use super::handle::{Handle, collection, handle};
use super::payload::DeviceStateValue;
use super::{Error, EventType, Subscription};
use crate::wire::kind::Entity;

/// The state of a device. Its id is the name of the device, as in `Stasis:door`. Where its key names no
/// Asterisk, it is changed at all of them.
#[derive(Debug, Clone)]
pub struct DeviceState {
    handle: Handle,
}

handle!(DeviceState);

impl From<Handle> for DeviceState {
    fn from(handle: Handle) -> DeviceState {
        DeviceState { handle }
    }
}

impl DeviceState {
    /// What Asterisk knows of it.
    pub fn data(&self) -> Result<DeviceStateData, Error> {
        self.handle.data("DeviceStateData", Entity::DeviceState)
    }

    /// Changes it, as in `update("BUSY")`; makes it where it is none yet.
    pub fn update(&self, state: impl Into<DeviceStateValue>) -> Result<(), Error> {
        let state = state.into();
        self.handle.command_with(
            "DeviceStateUpdate",
            "device_state_update",
            json!({ "state": state }),
        )
    }

    /// Deletes it.
    pub fn delete(&self) -> Result<(), Error> {
        self.handle.command("DeviceStateDelete")
    }

    /// Events about it, of these types; of all where there are none. The application has to be subscribed to
    /// it: [`Application::subscribe_to`](super::Application::subscribe_to).
    pub fn subscribe(&self, types: &[EventType]) -> Result<Subscription, Error> {
        self.handle.subscribe(types, None)
    }
}

/// The states of devices at all Asterisks of the application, or at [one](DeviceStates::at).
#[derive(Debug, Clone)]
pub struct DeviceStates {
    place: Handle,
}

collection!(DeviceStates, DeviceState, Entity::DeviceState);

impl DeviceStates {
    /// The state of the device `name`, and where it is.
    pub fn get(&self, name: &str) -> Result<DeviceState, Error> {
        let handle = self.place.other(Entity::DeviceState, name);
        Ok(handle.get("DeviceStateGet")?.into())
    }

    /// All those that applications made.
    pub fn list(&self) -> Result<Vec<DeviceState>, Error> {
        self.place.list("DeviceStateList")
    }
}
