//! Modules of Asterisk.

use crate::client::Error;
use crate::client::data::ModuleData;
use crate::client::handle::{Handle, handle};
use crate::wire::kind::Entity;

/// A module. Its id is its name, as in `res_ari.so`.
#[derive(Debug, Clone)]
pub struct Module {
    handle: Handle,
}

handle!(Module);

impl From<Handle> for Module {
    fn from(handle: Handle) -> Module {
        Module { handle }
    }
}

impl Module {
    /// What Asterisk knows of it.
    pub fn data(&self) -> Result<ModuleData, Error> {
        self.handle.data("AsteriskModuleData", Entity::Module)
    }

    /// Loads it.
    pub fn load(&self) -> Result<(), Error> {
        self.handle.command("AsteriskModuleLoad")
    }

    /// Unloads it.
    pub fn unload(&self) -> Result<(), Error> {
        self.handle.command("AsteriskModuleUnload")
    }

    /// Has it read its configuration again.
    pub fn reload(&self) -> Result<(), Error> {
        self.handle.command("AsteriskModuleReload")
    }
}

/// The modules of an Asterisk.
#[derive(Debug, Clone)]
pub struct Modules {
    place: Handle,
}

impl Modules {
    pub(super) fn of(place: Handle) -> Modules {
        Modules { place }
    }

    /// The module `name`. Nobody is asked whether it is there.
    pub fn handle(&self, name: &str) -> Module {
        self.place.other(Entity::Module, name).into()
    }

    /// The module `name`, and where it is.
    pub fn get(&self, name: &str) -> Result<Module, Error> {
        let handle = self.place.other(Entity::Module, name);
        Ok(handle.get("AsteriskModuleGet")?.into())
    }

    /// All.
    pub fn list(&self) -> Result<Vec<Module>, Error> {
        self.place.list("AsteriskModuleList")
    }
}
