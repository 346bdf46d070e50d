//! Keys as applications make them: what, and where.

use crate::wire::key::Key;
use crate::wire::kind::Entity;

impl Key {
    /// The key of the channel `id`, wherever it is.
    pub fn channel(id: &str) -> Key {
        Key::of(Entity::Channel, id)
    }

    /// The key of the bridge `id`, wherever it is.
    pub fn bridge(id: &str) -> Key {
        Key::of(Entity::Bridge, id)
    }

    /// The key of the playback `id`, wherever it is.
    pub fn playback(id: &str) -> Key {
        Key::of(Entity::Playback, id)
    }

    /// The key of the recording in progress `name`, wherever it is.
    pub fn live_recording(name: &str) -> Key {
        Key::of(Entity::LiveRecording, name)
    }

    /// The key of the finished recording `name`, wherever it is.
    pub fn stored_recording(name: &str) -> Key {
        Key::of(Entity::StoredRecording, name)
    }

    /// The key of the endpoint `resource` of the technology `tech`: `PJSIP` and `100`.
    pub fn endpoint(tech: &str, resource: &str) -> Key {
        Key::of(Entity::Endpoint, &format!("{tech}/{resource}"))
    }

    /// The key of the device `name`, as in `Stasis:door`.
    pub fn device_state(name: &str) -> Key {
        Key::of(Entity::DeviceState, name)
    }

    /// The key of the mailbox `name`, as in `100@default`.
    pub fn mailbox(name: &str) -> Key {
        Key::of(Entity::Mailbox, name)
    }

    /// The key of the sound `id`.
    pub fn sound(id: &str) -> Key {
        Key::of(Entity::Sound, id)
    }

    /// The key of the ARI application `name`.
    pub fn application(name: &str) -> Key {
        Key::of(Entity::Application, name)
    }

    /// The key of what `dialog` is bound to, whatever that is: for subscriptions.
    pub fn dialog(dialog: &str) -> Key {
        Key::default().in_dialog(dialog)
    }

    /// The same at the Asterisk with the id `node`.
    #[must_use]
    pub fn at(mut self, node: &str) -> Key {
        node.clone_into(&mut self.node);
        self
    }

    /// The same in the ARI application `app`.
    #[must_use]
    pub fn in_app(mut self, app: &str) -> Key {
        app.clone_into(&mut self.app);
        self
    }

    /// The same in `dialog`: requests with it bind the dialog to what they are about.
    #[must_use]
    pub fn in_dialog(mut self, dialog: &str) -> Key {
        dialog.clone_into(&mut self.dialog);
        self
    }

    /// The key of the `entity` with this `id`.
    pub(super) fn of(entity: Entity, id: &str) -> Key {
        Key::new(entity.key_kind(), id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_and_where() {
        let key = Key::channel("c").at("00:01").in_app("a").in_dialog("d");
        assert_eq!(
            serde_json::to_string(&key).unwrap(),
            r#"{"kind":"channel","id":"c","node":"00:01","dialog":"d","app":"a"}"#
        );
        assert_eq!(Key::endpoint("PJSIP", "100").id, "PJSIP/100");
        assert_eq!(Key::dialog("d").kind, "");
    }
}
