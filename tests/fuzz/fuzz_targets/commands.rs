//! Commands of go-ari-proxy's applications: whatever is sent, it is refused with words that can be
//! answered, or a call that stays in the API, on one line.
#![no_main]

use ari_proxy::wire::command::Command;
use ari_proxy::wire::topic;
use libfuzzer_sys::fuzz_target;
use serde_json::Value;

fuzz_target!(|input: &[u8]| {
    let _ = topic::is_greeting(input);
    let (id, body) = match Command::read(input) {
        Ok(command) => {
            let target = command.call.target;
            assert!(
                target.bytes().all(|byte| byte.is_ascii_graphic()),
                "{target}"
            );
            assert!(!target.contains('#'), "{target}");
            let (path, _) = target.split_once('?').unwrap_or((&target, ""));
            for segment in path.split('/') {
                let plain = segment.to_ascii_lowercase().replace("%2e", ".");
                assert!(plain != "." && plain != "..", "{target}");
            }
            (command.unique_id, String::new())
        }
        Err(bad) => {
            assert!(!bad.why.is_empty());
            (bad.unique_id, topic::problem(&bad.why))
        }
    };
    let response = topic::response(&id, 400, &body);
    let response: Value = serde_json::from_slice(&response).expect("a response");
    assert_eq!(response["response_body"], body.as_str());
});
