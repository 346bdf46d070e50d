//! Bytes of an event as an application reads them: there is always one, of the type that it says, and
//! what is read of it is read again from what is written.
#![no_main]

use ari_proxy::client::{Event, EventType};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let event = Event::decode(bytes);
    let _ = (event.keys(), event.channel(), event.timestamp(), event.dialog());
    if matches!(event, Event::Other(_)) {
        return;
    }
    assert!(!matches!(event.event_type(), EventType::Other(_)));
    let written = serde_json::to_vec(&event).expect("JSON");
    assert_eq!(Event::decode(&written), event);
});
