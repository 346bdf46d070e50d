//! What handles and collections are made of: a key, and through what is asked about it.

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::asker::{Asker, Ears};
use super::{Error, EventType, Request, Subscription};
use crate::wire::key::Key;
use crate::wire::kind::Entity;

/// The inside of a handle.
#[derive(Debug, Clone)]
pub(super) struct Handle {
    asker: Asker,
    key: Key,
}

impl Handle {
    /// Of what `key` names, in the client's application and dialog where it names none.
    pub(super) fn new(asker: impl Into<Asker>, key: &Key) -> Handle {
        let asker = asker.into();
        let key = asker.place(key);
        Handle { asker, key }
    }

    pub(super) fn key(&self) -> &Key {
        &self.key
    }

    /// The `entity` with this `id` at the same place and in the same dialog.
    pub(super) fn other(&self, entity: Entity, id: &str) -> Handle {
        self.with_key(Key {
            kind: entity.key_kind().to_owned(),
            id: id.to_owned(),
            ..self.key.clone()
        })
    }

    /// What `key` names, at the same place and in the same dialog where it does not say.
    pub(super) fn named(&self, key: &Key) -> Handle {
        let mut key = key.clone();
        for (member, own) in [
            (&mut key.node, &self.key.node),
            (&mut key.dialog, &self.key.dialog),
            (&mut key.app, &self.key.app),
        ] {
            if member.is_empty() {
                member.clone_from(own);
            }
        }
        self.with_key(key)
    }

    /// The same at the place that `answer` names. Its dialog stays: not every answer has it.
    pub(super) fn found(&self, answer: Key) -> Handle {
        let mut key = self.key.clone();
        if !answer.node.is_empty() {
            key.node = answer.node;
        }
        if !answer.app.is_empty() {
            key.app = answer.app;
        }
        self.with_key(key)
    }

    /// The same at the place where it is, which a request of this `kind` asks for if it is not known: only
    /// there can something be made from it, and a request to make something reaches one proxy of all.
    pub(super) fn located(&self, kind: &str) -> Result<Handle, Error> {
        // Without an application the id of an Asterisk is no part of a subject.
        if self.key.node.is_empty() || self.key.app.is_empty() {
            self.get(kind)
        } else {
            Ok(self.clone())
        }
    }

    pub(super) fn with_key(&self, key: Key) -> Handle {
        Handle {
            asker: self.asker.clone(),
            key,
        }
    }

    fn request(&self, kind: &str) -> Request {
        Request::new(kind, &self.key)
    }

    pub(super) fn get(&self, kind: &str) -> Result<Handle, Error> {
        let answer = self.asker.get(&self.request(kind))?;
        Ok(self.found(answer))
    }

    pub(super) fn get_with(
        &self,
        kind: &str,
        member: &'static str,
        payload: impl Serialize,
    ) -> Result<Key, Error> {
        self.asker.get(&self.request(kind).with(member, payload))
    }

    pub(super) fn data<T: DeserializeOwned>(&self, kind: &str, entity: Entity) -> Result<T, Error> {
        self.asker.data(&self.request(kind), entity.data_member())
    }

    /// The value of a variable. One that is empty is not in the answer.
    pub(super) fn variable(&self, request: &Request) -> Result<String, Error> {
        let value: Option<String> = self.asker.data(request, Entity::Variable.data_member())?;
        Ok(value.unwrap_or_default())
    }

    pub(super) fn variable_by_key(&self, kind: &str) -> Result<String, Error> {
        self.variable(&self.request(kind))
    }

    pub(super) fn variable_with(
        &self,
        kind: &str,
        member: &'static str,
        payload: impl Serialize,
    ) -> Result<String, Error> {
        self.variable(&self.request(kind).with(member, payload))
    }

    pub(super) fn list<T: From<Handle>>(&self, kind: &str) -> Result<Vec<T>, Error> {
        self.listed(&self.request(kind))
    }

    pub(super) fn list_with<T: From<Handle>>(
        &self,
        kind: &str,
        member: &'static str,
        payload: impl Serialize,
    ) -> Result<Vec<T>, Error> {
        self.listed(&self.request(kind).with(member, payload))
    }

    fn listed<T: From<Handle>>(&self, request: &Request) -> Result<Vec<T>, Error> {
        let keys = self.asker.list(request)?;
        Ok(keys.iter().map(|key| T::from(self.named(key))).collect())
    }

    pub(super) fn command(&self, kind: &str) -> Result<(), Error> {
        self.asker.command(&self.request(kind))
    }

    pub(super) fn command_with(
        &self,
        kind: &str,
        member: &'static str,
        payload: impl Serialize,
    ) -> Result<(), Error> {
        let request = self.request(kind).with(member, payload);
        self.asker.command(&request)
    }

    pub(super) fn create_with(
        &self,
        kind: &str,
        member: &'static str,
        payload: impl Serialize,
    ) -> Result<Key, Error> {
        let request = self.request(kind).with(member, payload);
        self.asker.create(&request)
    }

    /// Events of these types about it. A dialog hears only of what it is bound to, by a request of the kind
    /// `bind`: what has no such kind is heard of as without a dialog.
    pub(super) fn subscribe(
        &self,
        types: &[EventType],
        bind: Option<&str>,
    ) -> Result<Subscription, Error> {
        match bind {
            Some(kind) if !self.key.dialog.is_empty() => {
                let subscription = self.asker.subscribe(&self.key, types)?;
                self.command(kind)?;
                Ok(subscription)
            }
            _ => self.asker.subscribe(&self.outside_of_dialogs(), types),
        }
    }

    /// The events that tell the handle itself of its end. They are heard outside of the dialog: there not
    /// every proxy tells of the end of a recording.
    pub(super) fn listen(&self, types: &[EventType]) -> Result<Ears, Error> {
        self.asker.listen(&self.outside_of_dialogs(), types)
    }

    fn outside_of_dialogs(&self) -> Key {
        self.key.clone().in_dialog("")
    }

    /// The same in `dialog`, which a request of this `kind` binds to it.
    pub(super) fn bound(&self, kind: &str, dialog: &str) -> Result<Handle, Error> {
        let bound = self.with_key(self.key.clone().in_dialog(dialog));
        bound.command(kind)?;
        Ok(bound)
    }
}

/// Makes the struct `$name` with a field `handle` a handle.
macro_rules! handle {
    ($name:ident) => {
        impl $name {
            /// Its id; with its Asterisk, it names it.
            pub fn id(&self) -> &str {
                &self.handle.key().id
            }

            /// Its key. The Asterisk is in it as soon as an answer has told which it is.
            pub fn key(&self) -> &$crate::wire::key::Key {
                self.handle.key()
            }
        }
    };
}

/// Makes the struct `$name` with a field `place` a collection of `$handle`, which is a handle.
macro_rules! collection {
    ($name:ident, $handle:ident, $entity:expr) => {
        impl $name {
            pub(in crate::client) fn new(asker: impl Into<$crate::client::asker::Asker>) -> $name {
                let place = $crate::wire::key::Key::default();
                let place = $crate::client::handle::Handle::new(asker, &place);
                $name { place }
            }

            /// The same at the Asterisk with the id `node` alone, instead of at all.
            #[must_use]
            pub fn at(&self, node: &str) -> $name {
                let key = self.place.key().clone().at(node);
                $name {
                    place: self.place.with_key(key),
                }
            }

            /// The same in `dialog`: what is asked through it binds the dialog to what that is about.
            #[must_use]
            pub fn in_dialog(&self, dialog: &str) -> $name {
                let key = self.place.key().clone().in_dialog(dialog);
                $name {
                    place: self.place.with_key(key),
                }
            }

            /// The one called `id`. Nobody is asked: neither whether it is there nor where.
            pub fn handle(&self, id: &str) -> $handle {
                $handle::from(self.place.other($entity, id))
            }

            /// The one that `key` names, as events and lists have it. Nobody is asked.
            pub fn of(&self, key: &$crate::wire::key::Key) -> $handle {
                $handle::from(self.place.named(key))
            }
        }
    };
}

pub(super) use {collection, handle};
