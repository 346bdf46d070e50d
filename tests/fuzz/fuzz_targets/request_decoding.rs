//! Bytes of a request made into REST calls, on every class. Whatever comes in is refused or planned,
//! and what is planned stays where its row of the table says: no id leaves its segment of the path.
#![no_main]

use ari_proxy::wire::call::{Plan, RestCall, plan};
use ari_proxy::wire::kind::{Entity, Method};
use ari_proxy::wire::kinds;
use ari_proxy::wire::request::Request;
use ari_proxy::wire::response;
use ari_proxy::wire::subject::{Class, Subjects, publishable};
use libfuzzer_sys::fuzz_target;
use serde_json::Value;
use support::decoded;

/// The longest id, as the README says.
const LONGEST_ID: usize = 1024;

fuzz_target!(|input: &[u8]| {
    let request = match Request::read(input) {
        Ok(request) => request,
        Err(error) => return check_refusal(&error.to_string()),
    };
    let Some(kind) = kinds::of(&request) else {
        return;
    };
    let plan = match plan(&request, kind, "app") {
        Ok(plan) => plan,
        Err(error) => return check_refusal(&error.to_string()),
    };
    for class in Class::ALL {
        // What the workers refuse.
        if class.reads_only() && kind.changes() {
            continue;
        }
        for call in plan.check.iter().chain(&plan.call) {
            assert!(!class.reads_only() || call.method == Method::Get);
        }
    }
    check_plan(&plan);
});

/// Every error can be answered.
fn check_refusal(error: &str) {
    let answer: Value = serde_json::from_slice(&response::error(error)).expect("a response");
    assert_eq!(answer["error"].as_str(), Some(error));
    assert!(!error.is_empty());
}

fn check_plan(plan: &Plan) {
    let kind = plan.kind;
    assert!(plan.key.id.len() <= LONGEST_ID);
    assert_eq!(plan.check.is_some(), kind.reads_first);
    assert_eq!(plan.call.is_some(), kind.call.is_some());
    if let Some(check) = &plan.check {
        assert_eq!(check.method, Method::Get);
        check_call(plan, check, kind.entity.path());
    }
    if let (Some(call), Some(row)) = (&plan.call, kind.call) {
        assert_eq!(call.method, row.method);
        check_call(plan, call, row.path);
    }
    assert_eq!(plan.created.is_some(), kind.creates.is_some());
    assert!(plan.created.as_ref().is_none_or(|id| !id.is_empty()));
    check_bindings(plan);
    let _ = plan.check_failure();
}

fn check_call(plan: &Plan, call: &RestCall, template: &str) {
    let (path, query) = match call.target.split_once('?') {
        Some((path, query)) => (path, Some(query)),
        None => (call.target.as_str(), None),
    };
    let mut segments = path.split('/');
    for wanted in template.split('/') {
        let name = wanted
            .strip_prefix('{')
            .and_then(|name| name.strip_suffix('}'));
        let Some(name) = name else {
            assert_eq!(segments.next(), Some(wanted), "{path}");
            continue;
        };
        let count = match (name, plan.kind.entity) {
            ("id", Entity::Endpoint) => 2,
            ("id", Entity::Config) => 3,
            _ => 1,
        };
        let mut parts = Vec::new();
        for _ in 0..count {
            let part = decoded(segments.next().expect("a segment")).expect("an encoded segment");
            assert!(!part.is_empty() && part != b"." && part != b"..", "{path}");
            parts.push(String::from_utf8(part).expect("text"));
        }
        if let Some(id) = id_of(plan, name) {
            assert_eq!(parts.join("/"), id, "{path}");
        }
    }
    assert_eq!(segments.next(), None, "{path}");

    match call.method {
        Method::Get | Method::Delete => assert!(call.body.is_none()),
        Method::Post | Method::Put => assert!(query.is_none()),
    }
    for pair in query.into_iter().flat_map(|query| query.split('&')) {
        let (name, value) = pair.split_once('=').expect("name and value");
        assert!(!name.is_empty() && !value.contains(['=', '&']), "{pair}");
        let value = decoded(value).expect("an encoded value");
        assert!(String::from_utf8(value).is_ok(), "{pair}");
        let filters = plan.kind.params.iter().any(|param| param.to.is_empty());
        assert!(filters || plan.kind.params.iter().any(|param| param.to == name));
    }
    if let Some(body) = &call.body {
        let body: Value = serde_json::from_slice(body).expect("a body in JSON");
        let body = body.as_object().expect("an object");
        for name in body.keys() {
            assert!(plan.kind.params.iter().any(|param| param.to == name));
        }
    }
}

/// What the placeholder `name` stands for, where the plan says so.
fn id_of<'a>(plan: &'a Plan, name: &str) -> Option<&'a str> {
    match plan.kind.creates {
        Some(creates) if creates.id_from == name => plan.created.as_deref(),
        _ if name == "id" => Some(&plan.key.id),
        _ => None,
    }
}

fn check_bindings(plan: &Plan) {
    let dialog = &plan.key.dialog;
    if dialog.is_empty() {
        assert!(plan.bindings.is_empty());
        return;
    }
    let subject = Subjects::new("ari.", "app").dialog_event(dialog);
    assert!(publishable(&subject) && subject.len() <= 255, "{subject}");
    for (index, (entity, id)) in plan.bindings.iter().enumerate() {
        assert!(entity.has_events());
        assert!(!id.is_empty() && id.len() <= LONGEST_ID);
        let same = |(e, i): &(Entity, String)| e == entity && i == id;
        assert!(!plan.bindings[..index].iter().any(same), "bound twice");
    }
}
