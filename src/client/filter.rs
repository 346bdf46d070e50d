//! Which events a subscription is about.

use crate::bus::Interest;
use crate::wire::event::Touched;
use crate::wire::key::Key;

use super::EventType;

/// What events must be like.
#[derive(Debug, Clone, Default)]
pub(super) struct Filter {
    key: Key,
    /// Their types; any if there are none.
    types: Vec<EventType>,
}

impl Filter {
    pub(super) fn new(key: Key, types: &[EventType]) -> Filter {
        Filter {
            key,
            types: types.to_vec(),
        }
    }

    /// The id of the entity that they must be about, if there is one.
    pub(super) fn id(&self) -> Option<&str> {
        Some(self.key.id.as_str()).filter(|id| !id.is_empty())
    }

    /// What is to be subscribed to on the bus, under `prefix`.
    pub(super) fn interest(&self, prefix: &str) -> Interest {
        let Key {
            node, dialog, app, ..
        } = &self.key;
        let (subject, below) = match (dialog.as_str(), app.as_str(), node.as_str()) {
            ("", "", _) => (format!("{prefix}event"), true),
            ("", app, "") => (format!("{prefix}event.{app}"), true),
            ("", app, node) => (format!("{prefix}event.{app}.{node}"), false),
            (dialog, _, _) => (format!("{prefix}dialogevent.{dialog}"), false),
        };
        Interest {
            subject,
            below,
            group: None,
        }
    }

    /// Whether it is about `event`, whose id is known to be the key's where that has one.
    pub(super) fn takes(&self, event: &Touched<'_>) -> bool {
        let kind = event.kind.as_ref();
        let typed = self.types.is_empty() || self.types.iter().any(|it| it.name() == kind);
        typed && self.is_of(event) && self.is_about(event)
    }

    /// Whether `event` is of the application that is meant: what is subscribed to below the subject of
    /// `a` is that of `a.b` too. A dialog is not bound to one.
    fn is_of(&self, event: &Touched<'_>) -> bool {
        let Key { app, dialog, .. } = &self.key;
        let its = event.application.as_ref();
        app.is_empty() || !dialog.is_empty() || its.is_empty() || its == app
    }

    fn is_about(&self, event: &Touched<'_>) -> bool {
        let Some(id) = self.id() else {
            return true;
        };
        event.entities.iter().any(|(entity, touched)| {
            touched == id && (self.key.kind.is_empty() || self.key.kind == entity.key_kind())
        })
    }

    /// Whether the state of the proxy of `application` at `asterisk` concerns it: of a dialog any may.
    pub(super) fn concerns(&self, asterisk: &str, application: &str) -> bool {
        let same = |ours: &str, its: &str| ours.is_empty() || ours == its;
        same(&self.key.app, application) && same(&self.key.node, asterisk)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EVENT: &[u8] = br#"{"type":"StasisStart","application":"a","channel":{"id":"c1"}}"#;

    fn key(kind: &str, id: &str, node: &str, dialog: &str, app: &str) -> Key {
        let [kind, id, node, dialog, app] = [kind, id, node, dialog, app].map(str::to_owned);
        Key {
            kind,
            id,
            node,
            dialog,
            app,
        }
    }

    #[test]
    fn interests() {
        for (node, dialog, app, subject, below) in [
            ("", "", "", "ari.event", true),
            ("n", "", "", "ari.event", true),
            ("", "", "a", "ari.event.a", true),
            ("n", "", "a", "ari.event.a.n", false),
            ("n", "d", "a", "ari.dialogevent.d", false),
        ] {
            let filter = Filter::new(key("", "", node, dialog, app), &[]);
            let interest = filter.interest("ari.");
            assert_eq!(
                (interest.subject.as_str(), interest.below),
                (subject, below)
            );
        }
    }

    #[test]
    fn events() {
        let event = Touched::read(EVENT).unwrap();
        let takes = |kind, id, types: &[EventType]| {
            Filter::new(key(kind, id, "", "", "a"), types).takes(&event)
        };
        assert!(takes("", "", &[]));
        assert!(takes("channel", "c1", &[EventType::StasisStart]));
        assert!(takes("", "c1", &[]));
        assert!(!takes("bridge", "c1", &[]));
        assert!(!takes("channel", "c2", &[]));
        assert!(!takes("channel", "c1", &[EventType::PlaybackFinished]));
        let other = br#"{"type":"StasisStart","application":"a.b","channel":{"id":"c1"}}"#;
        let other = Touched::read(other).unwrap();
        assert!(!Filter::new(key("", "", "", "", "a"), &[]).takes(&other));
        assert!(Filter::new(key("", "", "", "d", "a"), &[]).takes(&other));
    }
}
