//! The recorded requests of every kind, replayed, and variants of them.

use serde_json::{Map, Value, json};

use crate::support::bus::{BusKind, on_each_bus};
use crate::support::cases::{
    Case, Exchange, LEVELS, answer_case, answer_in_order, calls_difference, response_difference,
    subject,
};
use crate::support::rig::Rig;
use crate::support::server::Reply;

on_each_bus!(
    all_recorded_cases_are_answered_as_recorded,
    every_kind_works_on_every_level,
    the_classes_restrict_nothing_but_changes_on_reads,
    defect_23_kinds_that_change_something_are_refused_on_reading_classes,
    a_missing_key_or_id_is_named,
    a_missing_payload_is_named,
    defect_11_an_id_never_leaves_its_segment,
    defect_11_ids_that_are_steps_in_a_path_are_refused,
    odd_values_arrive_as_they_are,
    missing_ids_are_generated,
    errors_begin_as_a_go_client_knows_them_and_go_on_with_asterisks_words,
    an_unknown_kind_is_not_implemented,
);

/// Ids that would reach somewhere else, were they put into a path as they are.
const ODD_IDS: [&str; 14] = [
    "../bridges/b1",
    "a b",
    "a/b",
    "a%2fb",
    "a?b=c",
    "a#b",
    "ü",
    "x;2",
    ";2",
    "a+b",
    "..%2f..",
    "/",
    "a\r\nX-Injected: 1",
    "...",
];

/// Text that must arrive as a parameter as it is.
const ODD_VALUE: &str = "a b&c=ü#?%2f+;/\"\\$,\r\n";

/// A panic that tells all that went wrong at once.
fn report(failures: &[String]) {
    assert!(failures.is_empty(), "{}", failures.join("\n\n"));
}

/// The answer that is right for `case`, the recorded one but where that is wrong.
fn right_answer(case: &Case) -> Value {
    assert_eq!(
        case.peer_defect,
        ["SoundList", "AsteriskLoggingGet", "AsteriskLoggingData"].contains(&case.name.as_str())
    );
    let key = |kind: &str, id: &str| json!({"kind": kind, "id": id, "node": "02:42:ac:11:00:02", "app": "conf"});
    match case.name.as_str() {
        "SoundList" => {
            let recorded = Case::all();
            let sounds = recorded.iter().find(|other| other.name == case.name);
            let listed = sounds.expect("recorded").http[0].reply.json();
            let ids = listed.as_array().expect("a list").iter();
            let keys: Vec<_> = ids
                .map(|sound| key("sound", sound["id"].as_str().expect("an id")))
                .collect();
            json!({"error": "", "keys": keys})
        }
        "AsteriskLoggingGet" => json!({"error": "", "key": key("logging", "conf_log")}),
        "AsteriskLoggingData" => {
            let log = json!({"channel": "/var/log/asterisk/conf_log", "type": "File"});
            json!({"error": "", "data": {"log": log}})
        }
        _ => case.response.clone(),
    }
}

/// Sends the request of `case` on `subject` and compares with the recording.
fn replay(rig: &Rig, case: &Case, subject: &str, failures: &mut Vec<String>) {
    answer_case(&rig.asterisk, case);
    let response = rig.bus.ask(subject, &case.request);
    let differences = [
        calls_difference(&rig.asterisk, case),
        response_difference(&right_answer(case), &response),
    ];
    for difference in differences.into_iter().flatten() {
        failures.push(format!("{} on {subject}:\n{difference}", case.name));
    }
}

fn all_recorded_cases_are_answered_as_recorded(on: BusKind) {
    let rig = Rig::start(on);
    let cases = Case::all();
    assert_eq!(cases.len(), 112);
    let mut failures = Vec::new();
    for case in &cases {
        replay(&rig, case, &case.subject(), &mut failures);
    }
    report(&failures);
}

fn every_kind_works_on_every_level(on: BusKind) {
    let rig = Rig::start(on);
    let mut failures = Vec::new();
    for case in Case::all() {
        for level in LEVELS.iter().filter(|level| **level != case.level) {
            replay(&rig, &case, &subject(&case.class, level), &mut failures);
        }
    }
    report(&failures);
}

fn the_classes_restrict_nothing_but_changes_on_reads(on: BusKind) {
    let rig = Rig::start(on);
    let mut failures = Vec::new();
    for case in Case::all() {
        let classes: &[&str] = match case.changes() {
            true => &["command", "create"],
            false => &["get", "data", "command", "create"],
        };
        for class in classes.iter().filter(|class| **class != case.class) {
            replay(&rig, &case, &subject(class, "node"), &mut failures);
        }
    }
    report(&failures);
}

fn defect_23_kinds_that_change_something_are_refused_on_reading_classes(on: BusKind) {
    let rig = Rig::start(on);
    rig.asterisk.on(|_| Some(Reply::done()));
    let mut failures = Vec::new();
    for case in Case::all().iter().filter(|case| case.changes()) {
        for (class, level) in [("get", "node"), ("data", "node"), ("get", "all")] {
            rig.asterisk.forget();
            let response = rig.bus.ask(&subject(class, level), &case.request);
            let calls = rig.asterisk.calls();
            if response["error"].as_str().is_none_or(str::is_empty) || !calls.is_empty() {
                failures.push(format!("{} on {class}: {response} {calls:?}", case.name));
            }
        }
    }
    report(&failures);
}

fn a_missing_key_or_id_is_named(on: BusKind) {
    let rig = Rig::start(on);
    let mut failures = Vec::new();
    for case in Case::all().iter().filter(|case| case.needs_id()) {
        let keys = [
            None,
            Some(Value::Null),
            Some(json!({})),
            Some(json!({"kind": "channel", "node": "02:42:ac:11:00:02", "app": "conf"})),
            Some(json!({"id": ""})),
        ];
        for key in keys {
            let mut request = case.request.clone();
            let members = request.as_object_mut().expect("an object");
            members.remove("key");
            members.extend(key.map(|key| ("key".to_owned(), key)));
            refused(&rig, case, &request, &["key", "unnamed"], &mut failures);
        }
    }
    report(&failures);
}

fn a_missing_payload_is_named(on: BusKind) {
    let rig = Rig::start(on);
    let mut failures = Vec::new();
    let mut kinds = 0;
    for case in &Case::all() {
        let Some(payload) = case.payload() else {
            continue;
        };
        kinds += 1;
        for value in [
            None,
            Some(Value::Null),
            Some(json!("text")),
            Some(json!([])),
        ] {
            let mut request = case.request.clone();
            let members = request.as_object_mut().expect("an object");
            members.remove(payload);
            members.extend(value.map(|value| (payload.to_owned(), value)));
            refused(&rig, case, &request, &[payload], &mut failures);
        }
    }
    assert!(kinds > 40, "{kinds}");
    report(&failures);
}

/// Sends a request that must be answered with an error with one of `names` in it, and change nothing.
fn refused(rig: &Rig, case: &Case, request: &Value, names: &[&str], failures: &mut Vec<String>) {
    answer_in_order(&rig.asterisk, &case.http);
    let response = rig.bus.ask(&case.subject(), request);
    let error = response["error"].as_str().unwrap_or_default();
    let changed = rig.asterisk.calls().iter().any(|call| call.method != "GET");
    if changed || !names.iter().any(|name| error.contains(name)) {
        failures.push(format!(
            "{request}\nanswered {response}, changed: {changed}"
        ));
    }
}

/// The parts of a recorded request that become a segment of a path: the last part of the key's id,
/// and the members of the payload.
fn places(case: &Case) -> Vec<(Vec<&'static str>, String)> {
    let candidates: [&[&str]; 6] = [
        &["key", "id"],
        &["channel_play", "playback_id"],
        &["bridge_play", "playback_id"],
        &["channel_snoop", "snoop_id"],
        &["bridge_video_source", "channel"],
        &["channel_user_event", "UserEvent", "eventname"],
    ];
    let mut places: Vec<(Vec<&'static str>, String)> = Vec::new();
    for path in candidates
        .iter()
        .chain(&[&["endpoint_list_by_tech", "tech"][..]])
    {
        let pointer = format!("/{}", path.join("/"));
        let text = case.request.pointer(&pointer).and_then(Value::as_str);
        let Some(last) = text.and_then(|text| text.rsplit('/').next()) else {
            continue;
        };
        let in_a_path = |call: &Exchange| call.path.split('/').any(|segment| segment == last);
        if !last.is_empty() && case.http.iter().any(in_a_path) {
            places.push((path.to_vec(), last.to_owned()));
        }
    }
    places
}

/// The request of `case` with `last`, the last part of the text at `path`, replaced by `odd`.
fn with_odd(case: &Case, path: &[&str], last: &str, odd: &str) -> Value {
    let mut request = case.request.clone();
    let pointer = format!("/{}", path.join("/"));
    let text = request.pointer_mut(&pointer).expect("found before");
    let old = text.as_str().expect("text").to_owned();
    let kept = old.strip_suffix(last).expect("its last part");
    *text = json!(format!("{kept}{odd}"));
    request
}

fn defect_11_an_id_never_leaves_its_segment(on: BusKind) {
    let rig = Rig::start(on);
    let mut failures = Vec::new();
    let mut kinds = 0;
    for case in Case::all() {
        let places = places(&case);
        kinds += usize::from(!places.is_empty());
        for (path, last) in &places {
            for odd in ODD_IDS {
                let request = with_odd(&case, path, last, odd);
                answer_in_order(&rig.asterisk, &case.http);
                let response = rig.bus.ask(&case.subject(), &request);
                let calls = rig.asterisk.calls();
                let got: Vec<_> = calls.iter().map(|call| call.segments()).collect();
                let expected: Vec<Vec<String>> = case
                    .http
                    .iter()
                    .map(|call| {
                        let segments = call.path.split('/').skip(1);
                        let replace = |s: &str| if s == last { odd } else { s }.to_owned();
                        segments.map(replace).collect()
                    })
                    .collect();
                if got != expected
                    || calls
                        .iter()
                        .any(|call| call.headers.contains_key("x-injected"))
                {
                    failures.push(format!(
                        "{}: {path:?} {odd:?}\nexpected {expected:?}\n     got {got:?}\n{response}",
                        case.name
                    ));
                }
            }
        }
    }
    assert!(kinds > 60, "{kinds}");
    report(&failures);
}

fn defect_11_ids_that_are_steps_in_a_path_are_refused(on: BusKind) {
    let rig = Rig::start(on);
    let mut failures = Vec::new();
    for case in Case::all() {
        for (path, last) in places(&case) {
            for odd in [".", ".."] {
                let request = with_odd(&case, &path, &last, odd);
                answer_in_order(&rig.asterisk, &case.http);
                let response = rig.bus.ask(&case.subject(), &request);
                let calls = rig.asterisk.calls();
                let refused = response["error"].as_str().is_some_and(|e| !e.is_empty());
                if !refused || !calls.is_empty() {
                    failures.push(format!("{}: {odd}: {response} {calls:?}", case.name));
                }
            }
        }
    }
    report(&failures);
}

fn odd_values_arrive_as_they_are(on: BusKind) {
    let rig = Rig::start(on);
    let key = json!({"kind": "channel", "id": "c"});
    let request = |kind: &str, payload: &str, value: Value| {
        let mut request = Map::new();
        request.insert("kind".into(), kind.into());
        request.insert("key".into(), key.clone());
        request.insert(payload.into(), value);
        Value::Object(request)
    };
    let odd = ODD_VALUE;
    let variable = json!({"kind": "AsteriskVariableGet", "key": {"id": odd}});
    let cases = [
        ("variable", variable),
        (
            "variable",
            request(
                "ChannelVariableGet",
                "channel_variable",
                json!({"name": odd}),
            ),
        ),
        (
            "value",
            request(
                "ChannelVariableSet",
                "channel_variable",
                json!({"name": "n", "value": odd}),
            ),
        ),
        (
            "reason",
            request("ChannelHangup", "channel_hangup", json!({"reason": odd})),
        ),
        (
            "direction",
            request("ChannelUnmute", "channel_mute", json!({"direction": odd})),
        ),
        (
            "eventSource",
            request(
                "ApplicationUnsubscribe",
                "application_subscribe",
                json!({"event_source": odd}),
            ),
        ),
        (
            "lang",
            request("SoundList", "sound_list", json!({"filters": {"lang": odd}})),
        ),
        (
            "media",
            request(
                "ChannelPlay",
                "channel_play",
                json!({"playback_id": "p", "media_uri": odd}),
            ),
        ),
        (
            "channel",
            request(
                "BridgeAddChannel",
                "bridge_add_channel",
                json!({"channel": odd}),
            ),
        ),
        (
            "dtmf",
            request("ChannelSendDTMF", "channel_send_dtmf", json!({"dtmf": odd})),
        ),
    ];
    rig.asterisk.on(|_| Some(Reply::ok(&json!({}))));
    for (parameter, request) in cases {
        rig.asterisk.forget();
        rig.ask("command", &request);
        let calls = rig.asterisk.calls();
        let last = calls.last().unwrap_or_else(|| panic!("{request}: no call"));
        assert_eq!(
            last.parameters().get(parameter),
            Some(&json!(odd)),
            "{request}"
        );
    }
}

fn missing_ids_are_generated(on: BusKind) {
    let rig = Rig::start(on);
    let cases = [
        (
            "ChannelOriginate",
            json!({"channel_originate":
            {"originate_request": {"endpoint": "Local/1", "app": "conf"}}}),
            "channel",
            "ch",
        ),
        (
            "ChannelCreate",
            json!({"channel_create":
            {"channel_create_request": {"endpoint": "Local/1", "app": "conf"}}}),
            "channel",
            "ch",
        ),
        (
            "ChannelExternalMedia",
            json!({"channel_external_media":
            {"options": {"external_host": "h:1", "format": "ulaw"}}}),
            "channel",
            "ch",
        ),
        (
            "ChannelPlay",
            json!({"channel_play": {"media_uri": "sound:x"}}),
            "playback",
            "pb",
        ),
        (
            "BridgePlay",
            json!({"bridge_play": {"media_uri": "sound:x"}}),
            "playback",
            "pb",
        ),
        (
            "ChannelSnoop",
            json!({"channel_snoop": {"options": {"spy": "in"}}}),
            "channel",
            "sn",
        ),
        (
            "ChannelRecord",
            json!({"channel_record": {"options": {"Format": "wav"}}}),
            "liverecording",
            "rc",
        ),
        (
            "BridgeRecord",
            json!({"bridge_record": {"options": {"Format": "wav"}}}),
            "liverecording",
            "rc",
        ),
        (
            "BridgeCreate",
            json!({"bridge_create": {"type": "mixing"}}),
            "bridge",
            "br",
        ),
    ];
    rig.asterisk.on(|_| Some(Reply::ok(&json!({}))));
    for (kind, mut request, key_kind, suffix) in cases {
        rig.asterisk.forget();
        request["kind"] = json!(kind);
        if ["Play", "Snoop", "Record"]
            .iter()
            .any(|end| kind.ends_with(end))
        {
            request["key"] = json!({"id": "there"});
        }
        let response = rig.ask("create", &request);
        assert_eq!(response["error"], "", "{kind}");
        if kind != "BridgeCreate" {
            // That answers with the key it was given, and it was given none.
            assert_eq!(response["key"]["kind"], key_kind, "{kind}");
        }
        let id = response["key"]["id"].as_str().unwrap_or_default();
        let (ulid, got) = id.split_at_checked(26).expect("a ULID");
        assert_eq!(got, format!("-{suffix}"), "{kind}: {id}");
        let crockford = |c: char| c.is_ascii_alphanumeric() && !"ilouILOU".contains(c);
        assert!(ulid.chars().all(crockford), "{kind}: {id}");
        let calls = rig.asterisk.calls();
        let told = calls.last().is_some_and(|call| {
            let in_path = call.segments().iter().any(|segment| segment == id);
            in_path || call.parameters().values().any(|value| value == id)
        });
        assert!(told, "{kind}: Asterisk was not told {id}: {calls:?}");
    }
}

fn errors_begin_as_a_go_client_knows_them_and_go_on_with_asterisks_words(on: BusKind) {
    let rig = Rig::start(on);
    let message = json!({"message": "Variable was not found"});
    let replies = [
        (404, "Variable Not Found", message),
        (400, "Invalid Reason", json!({"message": "why not"})),
        (500, "Internal Error", json!({"error": "Allocation failed"})),
        (409, "Conflict", Value::Null),
    ];
    for (status, reason, body) in replies {
        let reply = Reply::new(status, reason, &body);
        rig.asterisk.on(move |_| Some(reply.clone()));
        let key = json!({"kind": "channel", "id": "c"});
        let response = rig.ask("command", &json!({"kind": "ChannelAnswer", "key": key}));
        let error = response["error"].as_str().unwrap_or_default();
        let start = format!("Non-2XX response: {status} {reason}");
        assert!(error.starts_with(&start), "{error}");
        for word in body.as_object().iter().flat_map(|body| body.values()) {
            assert!(error.contains(word.as_str().unwrap_or("?")), "{error}");
        }
        let response = rig.ask("data", &json!({"kind": "ChannelData", "key": key}));
        let error = response["error"].as_str().unwrap_or_default();
        let start = format!("failed to get data: Error getting data for channel 'c': {start}");
        assert!(error.starts_with(&start), "{error}");
    }
}

fn an_unknown_kind_is_not_implemented(on: BusKind) {
    let rig = Rig::start(on);
    for class in ["get", "data", "command", "create"] {
        let response = rig.ask(class, &json!({"kind": "ChannelFly", "key": {"id": "c"}}));
        let error = response["error"].as_str().unwrap_or_default();
        assert!(error.starts_with("Not implemented"), "{class}: {response}");
    }
    assert!(rig.asterisk.calls().is_empty());
}

#[test]
fn requests_without_a_body_say_so() {
    let rig = Rig::start(BusKind::Nats);
    rig.asterisk.on(|_| Some(Reply::done()));
    for kind in ["ChannelAnswer", "ChannelStopRing", "AsteriskLoggingRotate"] {
        rig.asterisk.forget();
        rig.ask("command", &json!({"kind": kind, "key": {"id": "c"}}));
        let headers = rig.asterisk.calls()[0].headers.clone();
        assert!(
            !headers.contains_key("transfer-encoding"),
            "{kind}: {headers:?}"
        );
        assert!(
            headers
                .get("content-length")
                .is_none_or(|length| length == "0"),
            "{kind}"
        );
    }
}

#[test]
fn member_names_match_in_any_case_as_in_go() {
    let rig = Rig::start(BusKind::Nats);
    rig.asterisk.on(|_| Some(Reply::ok(&json!({}))));
    let request = json!({"Kind": "ChannelRecord", "KEY": {"ID": "c"}, "Channel_Record":
        {"NAME": "r", "options": {"format": "wav", "maxduration": 2_000_000_000, "beep": true}}});
    let response = rig.ask("create", &request);
    assert_eq!(response["error"], "", "{response}");
    let parameters = rig.asterisk.calls()[0].parameters();
    assert_eq!(parameters["name"], "r");
    assert_eq!(parameters["format"], "wav");
    assert_eq!(parameters["maxDurationSeconds"], 2);
    assert_eq!(parameters["beep"], true);
}
