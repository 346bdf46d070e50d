//! Which objects of Asterisk belong to which dialogs. One may belong to several: who asks for another
//! dialog's bridge gets its events too.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use crate::wire::kind::Entity;

/// Most objects of one dialog. Beyond, its new ones do not belong to it.
const MOST: usize = 1024;

/// An object: what it is, and its id; a recording's is its name.
pub(super) type Object = (Entity, String);

/// The objects of all dialogs.
#[derive(Debug, Default)]
pub(super) struct Objects {
    owners: HashMap<Entity, HashMap<String, Owned>>,
    /// The same by dialog.
    owned: HashMap<Arc<str>, Vec<Object>>,
}

#[derive(Debug)]
struct Owned {
    dialogs: Vec<Arc<str>>,
    /// Since when it is known to be there; not before Asterisk has said so.
    seen: Option<Instant>,
    /// Whether it was looked for and not found.
    missed: bool,
}

impl Objects {
    /// Whether there are none.
    pub(super) fn is_empty(&self) -> bool {
        self.owned.is_empty()
    }

    /// Whether `object` belongs to a dialog.
    pub(super) fn is_owned(&self, entity: Entity, id: &str) -> bool {
        self.get(entity, id).is_some()
    }

    fn get(&self, entity: Entity, id: &str) -> Option<&Owned> {
        self.owners.get(&entity)?.get(id)
    }

    /// `object` belongs to `dialog` from now on; whether that is new.
    pub(super) fn join(&mut self, dialog: &Arc<str>, object: Object) -> bool {
        let owned = self.owned.entry(Arc::clone(dialog)).or_default();
        if owned.len() >= MOST || owned.contains(&object) {
            return false;
        }
        owned.push(object.clone());
        let (entity, id) = object;
        let ids = self.owners.entry(entity).or_default();
        let there = ids.entry(id).or_insert_with(|| Owned {
            dialogs: Vec::new(),
            seen: None,
            missed: false,
        });
        there.dialogs.push(Arc::clone(dialog));
        true
    }

    /// Asterisk has spoken of `id`: it is there.
    pub(super) fn see(&mut self, entity: Entity, id: &str, now: Instant) {
        let ids = self.owners.get_mut(&entity);
        if let Some(owned) = ids.and_then(|ids| ids.get_mut(id)) {
            owned.seen.get_or_insert(now);
            owned.missed = false;
        }
    }

    /// `object` does not belong to `dialog` any more; whether it has nothing left to live by.
    pub(super) fn leave(&mut self, dialog: &Arc<str>, object: &Object) -> bool {
        self.disown(dialog, object);
        let Some(owned) = self.owned.get_mut(dialog) else {
            return false;
        };
        owned.retain(|there| there != object);
        !owned.iter().any(|(entity, _)| lives(*entity))
    }

    fn disown(&mut self, dialog: &Arc<str>, (entity, id): &Object) {
        let Some(ids) = self.owners.get_mut(entity) else {
            return;
        };
        if let Some(owned) = ids.get_mut(id) {
            owned.dialogs.retain(|there| there != dialog);
            if owned.dialogs.is_empty() {
                ids.remove(id);
            }
        }
    }

    /// `object` is no more; the dialogs that live by it and by no other: they have no channel and no
    /// bridge left.
    pub(super) fn end(&mut self, entity: Entity, id: &str) -> Vec<Arc<str>> {
        let ended = self.owners.get_mut(&entity).and_then(|ids| ids.remove(id));
        let mut over = Vec::new();
        for dialog in ended.into_iter().flat_map(|ended| ended.dialogs) {
            if let Some(owned) = self.owned.get_mut(&dialog) {
                owned.retain(|there| there.0 != entity || there.1 != id);
                if !owned.iter().any(|(entity, _)| lives(*entity)) {
                    over.push(dialog);
                }
            }
        }
        over
    }

    /// `dialog` is over: nothing belongs to it.
    pub(super) fn forget(&mut self, dialog: &Arc<str>) {
        for object in self.owned.remove(dialog).unwrap_or_default() {
            self.disown(dialog, &object);
        }
    }

    /// The dialogs that `id` belongs to.
    pub(super) fn of(&self, entity: Entity, id: &str) -> &[Arc<str>] {
        self.get(entity, id)
            .map_or(&[], |owned| owned.dialogs.as_slice())
    }

    /// Every object.
    pub(super) fn all(&self) -> Vec<Object> {
        let ids = self.owners.iter();
        ids.flat_map(|(entity, ids)| ids.keys().map(|id| (*entity, id.clone())))
            .collect()
    }

    /// Whether any channel or bridge that was there before `asked` was not found by whoever looked then,
    /// and those that were not found for the second time in turn.
    pub(super) fn missing(
        &mut self,
        asked: Instant,
        found: impl Fn(&Object) -> bool,
    ) -> (bool, Vec<Object>) {
        let (mut any, mut missing) = (false, Vec::new());
        for entity in [Entity::Bridge, Entity::Channel] {
            for (id, owned) in self.owners.get_mut(&entity).into_iter().flatten() {
                let object = (entity, id.clone());
                if owned.seen.is_none_or(|seen| seen >= asked) || found(&object) {
                    owned.missed = false;
                } else {
                    any = true;
                    if std::mem::replace(&mut owned.missed, true) {
                        missing.push(object);
                    }
                }
            }
        }
        (any, missing)
    }
}

/// Whether a dialog lives as long as it has such an object: playbacks and recordings do not outlive what
/// they are made on.
fn lives(entity: Entity) -> bool {
    matches!(entity, Entity::Channel | Entity::Bridge)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn channel(id: &str) -> Object {
        (Entity::Channel, id.to_owned())
    }

    #[test]
    fn a_dialog_lives_by_its_channels_and_bridges() {
        let mut objects = Objects::default();
        let dialog: Arc<str> = "d".into();
        assert!(objects.join(&dialog, channel("c")));
        assert!(!objects.join(&dialog, channel("c")));
        assert!(objects.join(&dialog, (Entity::Bridge, "b".into())));
        assert!(objects.join(&dialog, (Entity::Playback, "p".into())));
        assert_eq!(objects.of(Entity::Channel, "c"), [Arc::clone(&dialog)]);
        assert!(objects.end(Entity::Channel, "c").is_empty());
        assert!(objects.end(Entity::Channel, "c").is_empty());
        assert!(objects.is_owned(Entity::Playback, "p"));
        assert_eq!(objects.end(Entity::Bridge, "b"), [Arc::clone(&dialog)]);
        objects.forget(&dialog);
        assert!(objects.is_empty());
        assert!(!objects.is_owned(Entity::Playback, "p"));
    }

    #[test]
    fn an_object_of_two() {
        let mut objects = Objects::default();
        let (one, other): (Arc<str>, Arc<str>) = ("1".into(), "2".into());
        objects.join(&one, channel("c"));
        objects.join(&other, channel("c"));
        assert_eq!(objects.of(Entity::Channel, "c").len(), 2);
        assert!(objects.leave(&one, &channel("c")));
        assert_eq!(objects.of(Entity::Channel, "c"), [Arc::clone(&other)]);
        assert_eq!(objects.end(Entity::Channel, "c"), [other]);
    }

    #[test]
    fn what_is_missing_is_looked_for_twice() {
        let mut objects = Objects::default();
        let dialog: Arc<str> = "d".into();
        let now = Instant::now();
        for id in ["gone", "there", "new"] {
            objects.join(&dialog, channel(id));
        }
        let asked = Instant::now();
        let look = |objects: &mut Objects, asked| {
            let found = |object: &Object| *object == channel("there");
            objects.missing(asked, found).1
        };
        assert!(look(&mut objects, asked).is_empty(), "nothing is seen yet");
        assert!(look(&mut objects, asked).is_empty());
        objects.see(Entity::Channel, "gone", now);
        objects.see(Entity::Channel, "there", now);
        let asked = now + std::time::Duration::from_secs(1);
        objects.see(Entity::Channel, "new", asked);
        assert!(look(&mut objects, asked).is_empty(), "the first time");
        assert_eq!(look(&mut objects, asked), [channel("gone")]);
        objects.see(Entity::Channel, "gone", now);
        assert!(look(&mut objects, asked).is_empty(), "it was there again");
    }

    #[test]
    fn what_one_may_have_is_bounded() {
        let mut objects = Objects::default();
        let dialog: Arc<str> = "d".into();
        for number in 0..MOST {
            assert!(objects.join(&dialog, channel(&number.to_string())));
        }
        assert!(!objects.join(&dialog, channel("more")));
        assert!(!objects.is_owned(Entity::Channel, "more"));
    }
}
