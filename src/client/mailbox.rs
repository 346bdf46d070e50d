//! Mailboxes: how many messages wait for somebody.

use serde_json::json;

use super::Error;
use super::data::MailboxData;
use super::handle::{Handle, collection, handle};
use crate::wire::kind::Entity;

/// A mailbox. Its id is its name, as in `100@default`. Where its key names no Asterisk, it is changed at all
/// of them.
#[derive(Debug, Clone)]
pub struct Mailbox {
    handle: Handle,
}

handle!(Mailbox);

impl From<Handle> for Mailbox {
    fn from(handle: Handle) -> Mailbox {
        Mailbox { handle }
    }
}

impl Mailbox {
    /// What Asterisk knows of it.
    pub fn data(&self) -> Result<MailboxData, Error> {
        self.handle.data("MailboxData", Entity::Mailbox)
    }

    /// Says how many messages there are, read and unread; makes it where it is none yet.
    pub fn update(&self, old_messages: u32, new_messages: u32) -> Result<(), Error> {
        self.handle.command_with(
            "MailboxUpdate",
            "mailbox_update",
            json!({ "new": new_messages, "old": old_messages }),
        )
    }

    /// Deletes it.
    pub fn delete(&self) -> Result<(), Error> {
        self.handle.command("MailboxDelete")
    }
}

/// The mailboxes at all Asterisks of the application, or at [one](Mailboxes::at).
#[derive(Debug, Clone)]
pub struct Mailboxes {
    place: Handle,
}

collection!(Mailboxes, Mailbox, Entity::Mailbox);

impl Mailboxes {
    /// The mailbox `name`, and where it is.
    pub fn get(&self, name: &str) -> Result<Mailbox, Error> {
        let found = self.place.other(Entity::Mailbox, name).get("MailboxGet")?;
        Ok(found.into())
    }

    /// All that a proxy names: those of version 5, and this one in their likeness, name none.
    pub fn list(&self) -> Result<Vec<Mailbox>, Error> {
        self.place.list("MailboxList")
    }
}
