//! Which dialogs are bound to which entities. Workers bind before they call Asterisk, so that no
//! event of the call comes too early; the publisher looks up and drops what has ended.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::wire::kind::Entity;

/// Most dialogs bound to one entity; every event of it is published for each. Beyond, its oldest
/// goes.
const MOST_OF_ONE: usize = 1024;

/// The bindings of one proxy, bounded in number: at the bound the oldest goes.
#[derive(Debug)]
pub struct Dialogs {
    table: Mutex<Table>,
    /// The number of bindings, so that a proxy without any pays nothing per event.
    count: AtomicUsize,
    most: usize,
}

#[derive(Debug, Default)]
struct Table {
    entities: HashMap<Entity, HashMap<Arc<str>, Vec<Binding>>>,
    /// Bindings by age; those that were dropped meanwhile are skipped.
    ages: VecDeque<(Entity, Arc<str>, u64)>,
    serial: u64,
    count: usize,
}

#[derive(Debug)]
struct Binding {
    dialog: Arc<str>,
    serial: u64,
}

impl Dialogs {
    /// No bindings, and at most `most`.
    pub fn new(most: usize) -> Dialogs {
        Dialogs {
            table: Mutex::default(),
            count: AtomicUsize::new(0),
            most,
        }
    }

    /// Binds `dialog` to the entities; those that it was not bound to before, and how many other
    /// bindings were dropped for them.
    pub fn bind<'a>(
        &self,
        dialog: &str,
        entities: &'a [(Entity, String)],
    ) -> (Vec<&'a (Entity, String)>, usize) {
        if entities.is_empty() {
            return (Vec::new(), 0);
        }
        let dialog: Arc<str> = dialog.into();
        let mut table = self.lock();
        let mut made = Vec::new();
        let mut evicted = 0;
        for entity in entities {
            if table.bind(&dialog, entity.0, &entity.1) {
                made.push(entity);
                evicted += usize::from(table.evict_of(entity.0, &entity.1));
            }
            while table.count > self.most && table.evict() {
                evicted += 1;
            }
        }
        self.store_count(&table);
        (made, evicted)
    }

    /// Takes the bindings of `dialog` to `entities` back.
    pub fn unbind(&self, dialog: &str, entities: &[&(Entity, String)]) {
        if entities.is_empty() {
            return;
        }
        let mut table = self.lock();
        for (entity, id) in entities {
            table.retain(*entity, id, |binding| &*binding.dialog != dialog);
        }
        self.store_count(&table);
    }

    /// Drops every binding to an entity that has ended.
    pub fn end(&self, entity: Entity, id: &str) {
        let mut table = self.lock();
        table.retain(entity, id, |_| false);
        self.store_count(&table);
    }

    /// Drops all bindings: Asterisk was restarted, nothing of it exists any more.
    pub fn clear(&self) {
        let mut table = self.lock();
        *table = Table::default();
        self.store_count(&table);
    }

    /// Whether there is no binding at all.
    pub fn is_empty(&self) -> bool {
        self.count.load(Ordering::Acquire) == 0
    }

    /// The number of bindings.
    pub fn len(&self) -> usize {
        self.count.load(Ordering::Acquire)
    }

    /// The dialogs bound to any of `entities`, each once (known defect 22).
    pub fn of<'a>(&self, entities: impl Iterator<Item = (Entity, &'a str)>) -> Vec<Arc<str>> {
        let table = self.lock();
        let mut seen: HashSet<&str> = HashSet::new();
        let mut dialogs = Vec::new();
        for (entity, id) in entities {
            for binding in table.bindings(entity, id) {
                if seen.insert(&binding.dialog) {
                    dialogs.push(Arc::clone(&binding.dialog));
                }
            }
        }
        dialogs
    }

    fn lock(&self) -> MutexGuard<'_, Table> {
        // The table is whole after every statement; nothing in here panics half-way.
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn store_count(&self, table: &Table) {
        self.count.store(table.count, Ordering::Release);
    }
}

impl Table {
    fn bindings(&self, entity: Entity, id: &str) -> &[Binding] {
        self.entities
            .get(&entity)
            .and_then(|ids| ids.get(id))
            .map_or(&[], Vec::as_slice)
    }

    /// Whether the binding is new.
    fn bind(&mut self, dialog: &Arc<str>, entity: Entity, id: &str) -> bool {
        if self
            .bindings(entity, id)
            .iter()
            .any(|there| there.dialog == *dialog)
        {
            return false;
        }
        self.serial += 1;
        let id: Arc<str> = id.into();
        let binding = Binding {
            dialog: Arc::clone(dialog),
            serial: self.serial,
        };
        let ids = self.entities.entry(entity).or_default();
        ids.entry(Arc::clone(&id)).or_default().push(binding);
        self.ages.push_back((entity, id, self.serial));
        self.count += 1;
        self.forget_dropped();
        true
    }

    fn retain(&mut self, entity: Entity, id: &str, keep: impl Fn(&Binding) -> bool) {
        let Some(ids) = self.entities.get_mut(&entity) else {
            return;
        };
        let Some(bindings) = ids.get_mut(id) else {
            return;
        };
        let before = bindings.len();
        bindings.retain(keep);
        self.count -= before - bindings.len();
        if bindings.is_empty() {
            ids.remove(id);
        }
    }

    /// Drops the oldest binding of an entity that has too many; whether it had.
    fn evict_of(&mut self, entity: Entity, id: &str) -> bool {
        let bindings = self.bindings(entity, id);
        let oldest = bindings.first().map(|binding| binding.serial);
        match oldest {
            Some(oldest) if bindings.len() > MOST_OF_ONE => {
                self.retain(entity, id, |binding| binding.serial != oldest);
                true
            }
            _ => false,
        }
    }

    /// Drops the oldest binding; whether there was one.
    fn evict(&mut self) -> bool {
        while let Some((entity, id, serial)) = self.ages.pop_front() {
            let before = self.count;
            self.retain(entity, &id, |binding| binding.serial != serial);
            if self.count < before {
                return true;
            }
        }
        false
    }

    /// Keeps the list of ages in proportion to what is bound.
    fn forget_dropped(&mut self) {
        if self.ages.len() < 2 * self.count + 1024 {
            return;
        }
        let ages = std::mem::take(&mut self.ages);
        self.ages = ages
            .into_iter()
            .filter(|(entity, id, serial)| {
                self.bindings(*entity, id)
                    .iter()
                    .any(|binding| binding.serial == *serial)
            })
            .collect();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn channel(id: &str) -> (Entity, String) {
        (Entity::Channel, id.to_owned())
    }

    fn of(dialogs: &Dialogs, entities: &[(Entity, &str)]) -> Vec<String> {
        let found = dialogs.of(entities.iter().copied());
        found.iter().map(|dialog| dialog.to_string()).collect()
    }

    #[test]
    fn defect_22_a_dialog_is_found_once() {
        let dialogs = Dialogs::new(10);
        dialogs.bind("d", &[channel("c"), (Entity::Bridge, "b".into())]);
        dialogs.bind("e", &[channel("c")]);
        let entities = [(Entity::Bridge, "b"), (Entity::Channel, "c")];
        assert_eq!(of(&dialogs, &entities), ["d", "e"]);
        assert_eq!(
            of(&dialogs, &[(Entity::Playback, "c")]),
            Vec::<String>::new()
        );
    }

    #[test]
    fn defect_9_what_has_ended_is_dropped() {
        let dialogs = Dialogs::new(10);
        dialogs.bind("d", &[channel("c")]);
        assert_eq!(dialogs.len(), 1);
        dialogs.end(Entity::Channel, "c");
        assert!(dialogs.is_empty());
        dialogs.end(Entity::Channel, "c");
        assert!(dialogs.is_empty());
    }

    #[test]
    fn only_new_bindings_are_taken_back() {
        let dialogs = Dialogs::new(10);
        let entities = [channel("a"), channel("b")];
        dialogs.bind("d", &entities[..1]);
        let (made, _) = dialogs.bind("d", &entities);
        assert_eq!(made, [&entities[1]]);
        dialogs.unbind("d", &made);
        assert_eq!(dialogs.len(), 1);
        assert_eq!(of(&dialogs, &[(Entity::Channel, "a")]), ["d"]);
    }

    #[test]
    fn the_oldest_goes_at_the_bound() {
        let dialogs = Dialogs::new(3);
        for id in ["a", "b", "c"] {
            dialogs.bind("d", &[channel(id)]);
        }
        dialogs.end(Entity::Channel, "a");
        let (_, evicted) = dialogs.bind("d", &[channel("e"), channel("f")]);
        assert_eq!(evicted, 1);
        assert_eq!(dialogs.len(), 3);
        assert!(of(&dialogs, &[(Entity::Channel, "b")]).is_empty());
    }

    #[test]
    fn one_entity_has_a_bound_of_its_own() {
        let dialogs = Dialogs::new(100_000);
        for dialog in 0..MOST_OF_ONE + 10 {
            dialogs.bind(&format!("d{dialog}"), &[channel("c")]);
        }
        assert_eq!(dialogs.len(), MOST_OF_ONE);
        let bound = of(&dialogs, &[(Entity::Channel, "c")]);
        assert_eq!(bound.first().map(String::as_str), Some("d10"));
    }

    #[test]
    fn memory_follows_what_is_bound() {
        let dialogs = Dialogs::new(1000);
        for call in 0..100_000 {
            let id = format!("c{call}");
            dialogs.bind("d", &[channel(&id)]);
            dialogs.end(Entity::Channel, &id);
        }
        let table = dialogs.lock();
        assert!(table.ages.len() <= 1100);
        assert!(table.entities.values().all(HashMap::is_empty));
    }
}
