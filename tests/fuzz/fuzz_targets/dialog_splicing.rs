//! The member `dialog` added to an event. The first line of an input is the dialog's name, the rest
//! is the event. An object gets the member and keeps all others as they are written.
#![no_main]

use ari_proxy::wire::event::{Touched, with_dialog};
use libfuzzer_sys::fuzz_target;
use serde_json::Value;
use support::{first_line, members, written};

fuzz_target!(|input: &[u8]| {
    let (dialog, event) = first_line(input);
    let dialog = String::from_utf8_lossy(dialog);
    let spliced = with_dialog(event, &dialog);
    // Only what was read is ever spliced: this is what the publisher does.
    if let Some(before) = Touched::read(event) {
        let spliced = spliced.as_deref().expect("an object");
        assert_eq!(Touched::read(spliced), Some(before));
    }
    if let Ok(Value::Object(mut whole)) = serde_json::from_slice(event) {
        let spliced = spliced.as_deref().expect("an object");
        let after: Value = serde_json::from_slice(spliced).expect("still an object");
        whole.insert("dialog".into(), Value::from(dialog.as_ref()));
        assert_eq!(after, Value::Object(whole));
    }
    if let (Some(before), Some(spliced)) = (written(event), &spliced)
        && before.get().starts_with('{')
    {
        // Names that are no text, half a surrogate pair, are in no map of members.
        if serde_json::from_slice::<Value>(event).is_ok() {
            let after = members(written(spliced).expect("still JSON"));
            for (name, value) in members(before).iter().filter(|(name, _)| name != "dialog") {
                let kept = after
                    .iter()
                    .find(|(n, _)| n == name)
                    .expect("a kept member");
                assert_eq!(kept.1.get(), value.get());
            }
        }
        let open = before
            .get()
            .strip_suffix('}')
            .expect("the end of an object");
        assert!(spliced.starts_with(open.as_bytes()));
    }
    if let Some(spliced) = spliced {
        // Six bytes for a control character, two quotes, and `,"dialog":}`.
        assert!(spliced.len() <= event.len() + 6 * dialog.len() + 13);
    }
});
