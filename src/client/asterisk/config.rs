//! Dynamic configuration of Asterisk.

use serde::Serialize;
use serde_json::json;

use crate::client::Error;
use crate::client::data::ConfigData;
use crate::client::handle::{Handle, handle};
use crate::wire::kind::Entity;

/// An object of the dynamic configuration. Its id is `class/type/name`, as in `res_pjsip/endpoint/100`.
#[derive(Debug, Clone)]
pub struct ConfigObject {
    handle: Handle,
}

handle!(ConfigObject);

impl From<Handle> for ConfigObject {
    fn from(handle: Handle) -> ConfigObject {
        ConfigObject { handle }
    }
}

impl ConfigObject {
    /// Its fields.
    pub fn data(&self) -> Result<ConfigData, Error> {
        self.handle.data("AsteriskConfigData", Entity::Config)
    }

    /// Sets these fields, attribute and value; makes the object where it is none yet.
    pub fn update(&self, fields: &[(&str, &str)]) -> Result<(), Error> {
        #[derive(Serialize)]
        struct Field<'a> {
            attribute: &'a str,
            value: &'a str,
        }
        let tuples: Vec<Field<'_>> = fields
            .iter()
            .map(|&(attribute, value)| Field { attribute, value })
            .collect();
        self.handle.command_with(
            "AsteriskConfigUpdate",
            "asterisk_config",
            json!({ "tuples": tuples }),
        )
    }

    /// Deletes it.
    pub fn delete(&self) -> Result<(), Error> {
        self.handle.command("AsteriskConfigDelete")
    }
}

/// The dynamic configuration of an Asterisk.
#[derive(Debug, Clone)]
pub struct Config {
    place: Handle,
}

impl Config {
    pub(super) fn of(place: Handle) -> Config {
        Config { place }
    }

    /// The object `name` of this class and type, as in `object("res_pjsip", "endpoint", "100")`. Nobody is
    /// asked whether it is there.
    pub fn object(&self, class: &str, r#type: &str, name: &str) -> ConfigObject {
        let id = format!("{class}/{type}/{name}");
        self.place.other(Entity::Config, &id).into()
    }
}
