//! Global variables.

use serde_json::json;

use crate::client::Error;
use crate::client::handle::Handle;
use crate::wire::kind::Entity;

/// The global variables of an Asterisk.
#[derive(Debug, Clone)]
pub struct Variables {
    place: Handle,
}

impl Variables {
    pub(super) fn of(place: Handle) -> Variables {
        Variables { place }
    }

    /// The value of `name`; empty if it is not set, which Asterisk does not tell apart.
    pub fn get(&self, name: &str) -> Result<String, Error> {
        self.place
            .other(Entity::Variable, name)
            .variable_by_key("AsteriskVariableGet")
    }

    /// Sets `name`. An empty `value` removes it.
    pub fn set(&self, name: &str, value: &str) -> Result<(), Error> {
        self.place.other(Entity::Variable, name).command_with(
            "AsteriskVariableSet",
            "asterisk_variable_set",
            json!({ "value": value }),
        )
    }
}
