//! An event that is being published: on its own subject, then for every dialog that it touches. A
//! link may break between them.

use std::sync::Arc;

use super::buffer::Event;
use super::dialogs::Dialogs;
use crate::wire::event::Touched;
use crate::wire::kind::Entity;

/// The event.
pub struct Outgoing {
    /// Itself.
    pub event: Event,
    /// Whether events were lost before it.
    pub after_gap: bool,
    /// Whether it is published on the event subject.
    pub published: bool,
    /// Its number, once it has one: the bus may have refused it.
    pub seq: Option<u64>,
    /// What is left to publish for dialogs, last first.
    pub dialogs: Vec<Arc<str>>,
    ended: Option<(Entity, String)>,
}

impl Outgoing {
    /// An event of which nothing is published.
    pub fn new(event: Event, after_gap: bool) -> Outgoing {
        Outgoing {
            event,
            after_gap,
            published: false,
            seq: None,
            dialogs: Vec::new(),
            ended: None,
        }
    }

    /// Finds its dialogs and what it ends. Events are only parsed if there are any.
    pub fn look_up(&mut self, dialogs: &Dialogs) {
        if dialogs.is_empty() {
            return;
        }
        let Some(touched) = Touched::read(&self.event.frame) else {
            return;
        };
        let entities = touched
            .entities
            .iter()
            .map(|(entity, id)| (*entity, id.as_ref()));
        self.dialogs = dialogs.of(entities);
        self.ended = touched.ends().map(|(entity, id)| (*entity, id.to_string()));
    }

    /// Drops the bindings of what it ended, now that it was published.
    pub fn end(&mut self, dialogs: &Dialogs) {
        if let Some((entity, id)) = self.ended.take() {
            dialogs.end(entity, &id);
        }
    }
}
