//! Bytes of an event read for the entities that it touches. Every JSON object is read, whatever its
//! members are; what is read is what a reader of the whole event finds.
#![no_main]

use ari_proxy::wire::event::{Touched, replaces_application};
use ari_proxy::wire::kind::Entity;
use libfuzzer_sys::fuzz_target;
use serde_json::Value;
use support::text;

const APPLICATION: &str = "test";
const REPLACED: &str = "ApplicationReplaced";

fuzz_target!(|event: &[u8]| {
    let whole: Option<Value> = serde_json::from_slice(event).ok();
    let touched = Touched::read(event);
    if let Some(whole) = &whole {
        assert_eq!(touched.is_some(), whole.is_object());
    }
    check_replaced(event, touched.as_ref());
    let Some(touched) = touched else {
        return;
    };
    assert!(touched.entities.iter().all(|(_, id)| !id.is_empty()));
    check_ends(&touched);
    if let Some(whole) = &whole {
        check_members(whole, &touched);
    }
});

fn check_replaced(event: &[u8], touched: Option<&Touched<'_>>) {
    let says = touched
        .is_some_and(|touched| touched.kind == REPLACED && touched.application == APPLICATION);
    let replaces = replaces_application(event, APPLICATION);
    // Asterisk does not write letters as escapes, so that form is not looked for.
    let as_is = event
        .windows(REPLACED.len())
        .any(|part| part == REPLACED.as_bytes());
    assert_eq!(replaces, says && as_is);
}

fn check_ends(touched: &Touched<'_>) {
    let entity = match touched.kind.as_ref() {
        "ChannelDestroyed" => Entity::Channel,
        "BridgeDestroyed" => Entity::Bridge,
        "PlaybackFinished" => Entity::Playback,
        "RecordingFinished" | "RecordingFailed" => Entity::LiveRecording,
        _ => return assert_eq!(touched.ends(), None),
    };
    let first = touched
        .entities
        .iter()
        .find(|(touched, _)| *touched == entity);
    assert_eq!(touched.ends(), first);
}

/// Of a member that is there twice both count, and the whole has the last: it has no more.
fn check_members(whole: &Value, touched: &Touched<'_>) {
    assert_eq!(touched.kind, text(whole, "type"));
    assert_eq!(touched.application, text(whole, "application"));
    for (member, id, entity) in [
        ("channel", "id", Entity::Channel),
        ("caller", "id", Entity::Channel),
        ("peer", "id", Entity::Channel),
        ("replace_channel", "id", Entity::Channel),
        ("bridge", "id", Entity::Bridge),
        ("destination_threeway_bridge", "id", Entity::Bridge),
        ("playback", "id", Entity::Playback),
        ("recording", "name", Entity::LiveRecording),
        ("device_state", "name", Entity::DeviceState),
    ] {
        let id = whole.get(member).map_or("", |object| text(object, id));
        assert!(id.is_empty() || touches(touched, entity, id), "{member}");
    }
    if let Some(endpoint) = whole.get("endpoint") {
        let part = |name| endpoint.get(name).and_then(Value::as_str);
        if let (Some(technology), Some(resource)) = (part("technology"), part("resource")) {
            let id = format!("{technology}/{resource}");
            // The Go program writes one without a name where there is none.
            assert!(id == "/" || touches(touched, Entity::Endpoint, &id));
        }
    }
}

fn touches(touched: &Touched<'_>, entity: Entity, id: &str) -> bool {
    touched
        .entities
        .iter()
        .any(|(e, i)| *e == entity && i == id)
}
