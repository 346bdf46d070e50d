//! What is published to the reply subject: `{"error", "data"?, "key"?, "keys"?}`.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::call::Plan;
use super::key::{Key, Place};
use super::kind::{Answer, Entity};

/// A response without `data` that is about to be published.
#[derive(Serialize)]
struct Response<'a> {
    error: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<&'a Key>,
    #[serde(skip_serializing_if = "<[Key]>::is_empty")]
    keys: &'a [Key],
}

const EMPTY: Response<'static> = Response {
    error: "",
    key: None,
    keys: &[],
};

impl Response<'_> {
    fn to_json(&self) -> Vec<u8> {
        // Strings and JSON have a JSON form.
        serde_json::to_vec(self).unwrap_or_default()
    }
}

/// What is said of a log channel that is not in Asterisk's list.
const NOT_FOUND: &str = "not found";

/// A response that tells an error.
pub fn error(text: &str) -> Vec<u8> {
    Response {
        error: text,
        ..EMPTY
    }
    .to_json()
}

/// The response to a request that succeeded; `reply` is the body that Asterisk returned for its
/// call. An error is the text for [`error`]: Asterisk's body was not what it should be, or what was
/// asked for is not in it.
pub fn success(plan: &Plan, place: &Place<'_>, reply: &[u8]) -> Result<Vec<u8>, String> {
    let key = || plan.key.clone().stamped(place);
    let response = match plan.kind.answer {
        Answer::Done => EMPTY.to_json(),
        Answer::Data => data(plan.kind.entity, &key(), reply)?,
        Answer::Key => {
            if plan.kind.entity == Entity::Logging && !plan.kind.changes() {
                log_channel(reply, &plan.key.id)?;
            }
            with_key(&key())
        }
        Answer::Keys { id, filtered } => {
            let filter = filtered.then_some(&plan.key);
            keys(plan.kind.entity, place, reply, id, filter)?
        }
        Answer::NoKeys => {
            items(reply)?;
            EMPTY.to_json()
        }
        Answer::Variable => variable(reply)?,
        Answer::Created => with_key(&created(plan).stamped(place)),
        Answer::Staged => {
            let mut key = created(plan);
            key.dialog.clone_from(&plan.key.dialog);
            with_key(&key.stamped(place))
        }
    };
    Ok(response)
}

fn with_key(key: &Key) -> Vec<u8> {
    Response {
        key: Some(key),
        ..EMPTY
    }
    .to_json()
}

fn created(plan: &Plan) -> Key {
    let kind = plan
        .kind
        .creates
        .map_or("", |creates| creates.entity.key_kind());
    Key::new(kind, plan.created.as_deref().unwrap_or_default())
}

fn unreadable(error: &serde_json::Error) -> String {
    format!("failed to decode response: {error}")
}

/// A response with `member` in its `data`, of the JSON that the parts of `value` make. What Asterisk
/// said is copied once.
fn with_data(member: &str, value: &[&str]) -> Vec<u8> {
    let before = [r#"{"error":"","data":{""#, member, "\":"];
    let parts = [&before[..], value, &["}}"]].concat();
    parts.concat().into_bytes()
}

fn data(entity: Entity, key: &Key, reply: &[u8]) -> Result<Vec<u8>, String> {
    let member = entity.data_member();
    let object = match entity {
        Entity::Config => return Ok(with_data(member, &[&config(key, reply)?])),
        Entity::Logging => log_channel(reply, &key.id)?,
        _ => parse(reply)?,
    };
    let key = serde_json::to_string(key).map_err(|error| unreadable(&error))?;
    Ok(with_data(member, &with_member_key(&key, object)?))
}

fn parse<'a, T: Deserialize<'a>>(reply: &'a [u8]) -> Result<T, String> {
    serde_json::from_slice(reply).map_err(|error| unreadable(&error))
}

/// Asterisk's own object with the member `key` put first, in parts.
fn with_member_key<'a>(key: &'a str, object: &'a RawValue) -> Result<[&'a str; 4], String> {
    let members = object
        .get()
        .strip_prefix('{')
        .ok_or("failed to decode response: not a JSON object")?
        .trim_start();
    let comma = if members == "}" { "" } else { "," };
    Ok([r#"{"key":"#, key, comma, members])
}

/// A dynamic configuration object in the shape of the Go program.
fn config(key: &Key, reply: &[u8]) -> Result<String, String> {
    #[derive(Serialize)]
    #[serde(rename_all = "PascalCase")]
    struct Config<'a> {
        #[serde(rename = "key")]
        key: &'a Key,
        class: &'a str,
        r#type: &'a str,
        name: &'a str,
        fields: &'a RawValue,
    }
    let mut parts = key.id.splitn(3, '/');
    let mut part = || parts.next().unwrap_or_default();
    let config = Config {
        key,
        class: part(),
        r#type: part(),
        name: part(),
        fields: parse(reply)?,
    };
    serde_json::to_string(&config).map_err(|error| unreadable(&error))
}

/// What is read of the items of lists.
#[derive(Deserialize)]
struct Item<'a> {
    #[serde(borrow)]
    id: Option<Cow<'a, str>>,
    #[serde(borrow)]
    name: Option<Cow<'a, str>>,
    #[serde(borrow)]
    channel: Option<Cow<'a, str>>,
    #[serde(borrow)]
    technology: Option<Cow<'a, str>>,
    #[serde(borrow)]
    resource: Option<Cow<'a, str>>,
}

fn items(reply: &[u8]) -> Result<Vec<Item<'_>>, String> {
    parse(reply)
}

fn keys(
    entity: Entity,
    place: &Place<'_>,
    reply: &[u8],
    id: &str,
    filter: Option<&Key>,
) -> Result<Vec<u8>, String> {
    let mut keys = Vec::new();
    for item in items(reply)? {
        let id = match id {
            "name" => item.name.unwrap_or_default().into_owned(),
            "channel" => item.channel.unwrap_or_default().into_owned(),
            "technology/resource" => format!(
                "{}/{}",
                item.technology.unwrap_or_default(),
                item.resource.unwrap_or_default()
            ),
            _ => item.id.unwrap_or_default().into_owned(),
        };
        let key = Key::new(entity.key_kind(), &id).stamped(place);
        if filter.is_none_or(|filter| filter.matches(&key)) {
            keys.push(key);
        }
    }
    Ok(Response {
        keys: &keys,
        ..EMPTY
    }
    .to_json())
}

fn variable(reply: &[u8]) -> Result<Vec<u8>, String> {
    #[derive(Deserialize)]
    struct Variable<'a> {
        #[serde(borrow, default)]
        value: Cow<'a, str>,
    }
    let value = parse::<Variable<'_>>(reply)?.value;
    if value.is_empty() {
        // What the Go program makes of an empty variable.
        return Ok(br#"{"error":"","data":{}}"#.to_vec());
    }
    let value = serde_json::to_string(&value).map_err(|error| unreadable(&error))?;
    Ok(with_data("variable", &[&value]))
}

/// The log channel `id` in Asterisk's list. Log channels are listed by full path but made, rotated
/// and deleted by short name: either finds one (known defect 13).
fn log_channel<'a>(reply: &'a [u8], id: &str) -> Result<&'a RawValue, String> {
    #[derive(Deserialize)]
    struct Named<'a> {
        #[serde(borrow, default)]
        channel: Cow<'a, str>,
    }
    let listed: Vec<&RawValue> = parse(reply)?;
    let mut by_short_name = None;
    for raw in listed {
        let named: Named<'_> = parse(raw.get().as_bytes())?;
        if named.channel == id {
            return Ok(raw);
        }
        let is_short = named
            .channel
            .strip_suffix(id)
            .is_some_and(|directory| directory.ends_with('/'));
        if is_short && by_short_name.is_none() {
            by_short_name = Some(raw);
        }
    }
    by_short_name.ok_or_else(|| NOT_FOUND.to_owned())
}

#[cfg(test)]
mod tests {
    use super::super::call::plan;
    use super::super::kinds;
    use super::super::request::Request;
    use super::*;
    use serde_json::{Value, json};

    const PLACE: Place<'static> = Place {
        asterisk: "00:01",
        application: "app",
    };

    fn answer(request: &str, reply: &str) -> Result<Value, String> {
        let request = Request::read(request.as_bytes()).unwrap();
        let kind = kinds::find(&request.kind).unwrap();
        let plan = plan(&request, kind, "app").unwrap();
        success(&plan, &PLACE, reply.as_bytes())
            .map(|response| serde_json::from_slice(&response).unwrap())
    }

    #[test]
    fn error_is_always_there() {
        assert_eq!(error("x"), br#"{"error":"x"}"#);
        let done = answer(r#"{"kind":"ChannelAnswer","key":{"id":"c"}}"#, "").unwrap();
        assert_eq!(done, json!({"error": ""}));
    }

    #[test]
    fn an_entity_keeps_all_that_asterisk_says() {
        let reply = r#"{"id":"c","new_member":[1, 2.50]}"#;
        let got = answer(
            r#"{"kind":"ChannelData","key":{"id":"c","dialog":"d"}}"#,
            reply,
        );
        let key = json!({"id":"c","node":"00:01","dialog":"d","app":"app"});
        assert_eq!(
            got.unwrap(),
            json!({"error":"","data":{"channel":{"key":key,"id":"c","new_member":[1, 2.50]}}})
        );
        assert!(answer(r#"{"kind":"ChannelData","key":{"id":"c"}}"#, "[]").is_err());
        assert!(answer(r#"{"kind":"ChannelData","key":{"id":"c"}}"#, "<html>").is_err());
        let empty = answer(r#"{"kind":"ChannelData","key":{"id":"c"}}"#, "{ }").unwrap();
        assert!(empty["data"]["channel"]["key"].is_object());
    }

    #[test]
    fn keys_of_lists() {
        let got = answer(
            r#"{"kind":"EndpointList","key":null}"#,
            r#"[{"technology":"PJSIP","resource":"6001"}]"#,
        );
        let key = json!({"kind":"endpoint","id":"PJSIP/6001","node":"00:01","app":"app"});
        assert_eq!(got.unwrap(), json!({"error":"","keys":[key]}));
    }

    #[test]
    fn defect_13_sounds_have_ids_and_log_channels_short_names() {
        let got = answer(
            r#"{"kind":"SoundList","sound_list":{}}"#,
            r#"[{"id":"hello"}]"#,
        );
        assert_eq!(got.unwrap()["keys"][0]["id"], "hello");
        let logs = r#"[{"channel":"/var/log/asterisk/mine"},{"channel":"/var/log/asterisk/x"}]"#;
        for id in ["mine", "/var/log/asterisk/mine"] {
            let got = answer(
                &format!(r#"{{"kind":"AsteriskLoggingData","key":{{"id":"{id}"}}}}"#),
                logs,
            );
            assert_eq!(
                got.unwrap()["data"]["log"]["channel"],
                "/var/log/asterisk/mine"
            );
        }
        let got = answer(r#"{"kind":"AsteriskLoggingGet","key":{"id":"ine"}}"#, logs);
        assert_eq!(got.unwrap_err(), NOT_FOUND);
    }

    #[test]
    fn variables() {
        let request =
            r#"{"kind":"ChannelVariableGet","key":{"id":"c"},"channel_variable":{"name":"V"}}"#;
        let got = answer(request, r#"{"value":"x \u00fc\""}"#).unwrap();
        assert_eq!(got, json!({"error":"","data":{"variable":"x ü\""}}));
        let got = answer(request, r#"{"value":""}"#).unwrap();
        assert_eq!(got, json!({"error":"","data":{}}));
    }

    #[test]
    fn staged_recordings_keep_the_dialog() {
        let request = r#"{"kind":"ChannelStageRecord","key":{"kind":"channel","id":"c","dialog":"d"},
            "channel_record":{"name":"r"}}"#;
        let got = answer(request, "").unwrap();
        let key = json!({"kind":"liverecording","id":"r","node":"00:01","dialog":"d","app":"app"});
        assert_eq!(got, json!({"error":"","key":key}));
    }
}
