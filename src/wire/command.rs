//! Commands of go-ari-proxy's applications: REST calls in envelopes. Of a command is checked that it
//! stays within the API; and read what it brings into its dialog.

use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::Value;
use serde_json::value::RawValue;

use super::call::RestCall;
use super::kind::{Entity, Method};
use super::path::push_octet;

/// Longest URL taken, in bytes. Asterisk takes request lines of about 4 096 (asterisk-facts.md).
const LONGEST_URL: usize = 8 * 1024;

/// A command.
#[derive(Debug)]
pub struct Command {
    /// What its application knows it by.
    pub unique_id: Box<RawValue>,
    /// The call.
    pub call: RestCall,
    /// What it creates, by the ids that it gives.
    pub claims: Vec<(Entity, String)>,
    /// What its answer describes.
    pub describes: Option<Entity>,
    /// What it creates without saying its id.
    pub creates: Option<Entity>,
}

/// A command that cannot be carried out.
#[derive(Debug)]
pub struct BadCommand {
    /// What its application knows it by, as far as that can be read.
    pub unique_id: Box<RawValue>,
    /// What is wrong with it.
    pub why: String,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Members {
    unique_id: Option<Box<RawValue>>,
    url: Value,
    method: Value,
    body: Value,
}

impl Command {
    /// Reads `message`.
    pub fn read(message: &[u8]) -> Result<Command, BadCommand> {
        let bad = |why: &dyn std::fmt::Display| BadCommand {
            unique_id: nameless(),
            why: format!(
                "the command is no JSON object with a unique_id, url, method and body: {why}"
            ),
        };
        // A list of members would do for serde.
        if !message.trim_ascii_start().starts_with(b"{") {
            return Err(bad(&"it does not begin with a brace"));
        }
        let members: Members = serde_json::from_slice(message).map_err(|error| bad(&error))?;
        let unique_id = members.unique_id.clone().unwrap_or_else(nameless);
        read(&members, &unique_id).map_err(|why| BadCommand { unique_id, why })
    }
}

/// What stands for the id of a command that has none, as the older program has it.
pub fn nameless() -> Box<RawValue> {
    // An empty text is JSON.
    serde_json::value::to_raw_value("").unwrap_or_default()
}

fn read(members: &Members, unique_id: &RawValue) -> Result<Command, String> {
    // The older program minds the case as little.
    let method = members.method.as_str().map(str::to_ascii_uppercase);
    let method = match method.as_deref() {
        Some("GET") => Method::Get,
        Some("POST") => Method::Post,
        Some("PUT") => Method::Put,
        Some("DELETE") => Method::Delete,
        Some(other) => {
            return Err(format!(
                "the method {other:?} is not GET, POST, PUT or DELETE"
            ));
        }
        None => return Err("the method is missing, or no text".into()),
    };
    let url = members
        .url
        .as_str()
        .ok_or("the url is missing, or no text")?;
    let (path, query) = url
        .split_once('?')
        .map_or((url, None), |(path, query)| (path, Some(query)));
    if url.len() > LONGEST_URL {
        return Err(format!("the url is longer than {LONGEST_URL} bytes"));
    }
    let segments = segments(path)?;
    let mut target = String::with_capacity(url.len());
    push_plain(&mut target, path)?;
    if let Some(query) = query {
        target.push('?');
        push_plain(&mut target, query)?;
    }
    let body = match &members.body {
        Value::Null => None,
        Value::String(text) if text.trim().is_empty() => None,
        Value::String(text) => match serde_json::from_str::<IgnoredAny>(text) {
            Ok(_) => Some(text.clone()),
            Err(error) => return Err(format!("the body is not JSON: {error}")),
        },
        // As it may be meant.
        other => Some(other.to_string()),
    };
    let parameters = Parameters {
        query: query.unwrap_or_default(),
        body: body
            .as_deref()
            .and_then(|body| serde_json::from_str(body).ok())
            .unwrap_or_default(),
    };
    let (claims, describes, creates) = objects(method, &segments, &parameters);
    Ok(Command {
        unique_id: unique_id.to_owned(),
        call: RestCall {
            method,
            target,
            body: body.map(String::into_bytes),
        },
        claims,
        describes,
        creates,
    })
}

/// The segments of `path`, decoded; an error where it may lead out of the API.
fn segments(path: &str) -> Result<Vec<String>, String> {
    let inner = path
        .strip_prefix('/')
        .filter(|rest| !rest.is_empty() && !rest.starts_with('/'));
    let inner = inner.ok_or("the url must begin with a slash and a resource, as in /channels")?;
    let mut segments = Vec::new();
    for segment in inner.split('/') {
        let segment = decoded(segment)?;
        // A dot segment means the same percent-encoded, and for Asterisk a segment ends at NUL.
        let leads_out = segment
            .split(['/', '\\'])
            .any(|part| part == "." || part == "..");
        if leads_out || segment.contains('\0') {
            return Err(format!(
                "the url leaves the API: {segment:?} cannot be part of it"
            ));
        }
        segments.push(segment);
    }
    Ok(segments)
}

/// `text` without its percent-encoding.
fn decoded(text: &str) -> Result<String, String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let digit = |byte: Option<u8>| char::from(byte?).to_digit(16);
        match (digit(rest.next()), digit(rest.next())) {
            (Some(high), Some(low)) => bytes.push((high << 4 | low) as u8),
            _ => return Err("the url has a percent sign without two hexadecimal digits".into()),
        }
    }
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// Appends `text`, which may be encoded already, with what a URL cannot hold encoded.
fn push_plain(target: &mut String, text: &str) -> Result<(), String> {
    for byte in text.bytes() {
        if byte.is_ascii_control() {
            return Err("the url contains a control character".into());
        }
        if byte.is_ascii_graphic() && !b"#\"<>[\\]^`{|}".contains(&byte) {
            target.push(char::from(byte));
        } else {
            push_octet(target, byte);
        }
    }
    // Also of the query.
    decoded(text).map(|_| ())
}

/// The parameters of a call: Asterisk takes them from query or body.
struct Parameters<'a> {
    query: &'a str,
    body: Value,
}

impl Parameters<'_> {
    fn get(&self, name: &str) -> Option<String> {
        let of_query = self.query.split('&').find_map(|parameter| {
            let (key, value) = parameter.split_once('=')?;
            (key == name).then(|| decoded(&value.replace('+', " ")).ok())?
        });
        let of_body = || self.body.get(name)?.as_str().map(str::to_owned);
        of_query.or_else(of_body).filter(|value| !value.is_empty())
    }
}

type Objects = (Vec<(Entity, String)>, Option<Entity>, Option<Entity>);

/// What a call creates with the ids that it gives, what its answer describes, and what it creates without
/// giving it an id.
fn objects(method: Method, segments: &[String], parameters: &Parameters<'_>) -> Objects {
    let segments: Vec<&str> = segments.iter().map(String::as_str).collect();
    if method == Method::Get {
        let describes = match segments[..] {
            ["channels", _] => Some(Entity::Channel),
            ["bridges", _] => Some(Entity::Bridge),
            ["playbacks", _] => Some(Entity::Playback),
            ["recordings", "live", _] => Some(Entity::LiveRecording),
            _ => None,
        };
        return (Vec::new(), describes, None);
    }
    let parameter = |name| parameters.get(name);
    let (entity, id) = match segments[..] {
        _ if method != Method::Post => return Objects::default(),
        ["channels"] | ["channels", "create" | "externalMedia"] => {
            (Entity::Channel, parameter("channelId"))
        }
        ["channels", id] => (Entity::Channel, Some(id.to_owned())),
        ["channels", _, "snoop"] => (Entity::Channel, parameter("snoopId")),
        ["channels", _, "snoop", id] => (Entity::Channel, Some(id.to_owned())),
        ["bridges"] => (Entity::Bridge, parameter("bridgeId")),
        ["bridges", id] => (Entity::Bridge, Some(id.to_owned())),
        ["channels" | "bridges", _, "play"] => (Entity::Playback, parameter("playbackId")),
        ["channels" | "bridges", _, "play", id] => (Entity::Playback, Some(id.to_owned())),
        ["channels" | "bridges", _, "record"] => (Entity::LiveRecording, parameter("name")),
        _ => return Objects::default(),
    };
    let creates = id.is_none().then_some(entity);
    let mut claims: Vec<_> = id.map(|id| (entity, id)).into_iter().collect();
    if entity == Entity::Channel {
        // The other half of a Local channel.
        claims.extend(parameter("otherChannelId").map(|id| (entity, id)));
    }
    (claims, Some(entity), creates)
}

/// The id of what `answer` describes, a member of its dialog from then on.
pub fn described(entity: Entity, answer: &[u8]) -> Option<String> {
    #[derive(Deserialize)]
    struct Answer {
        id: Option<String>,
        name: Option<String>,
    }
    let answer: Answer = serde_json::from_slice(answer).ok()?;
    let id = match entity {
        Entity::LiveRecording => answer.name,
        _ => answer.id,
    };
    id.filter(|id| !id.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn command(method: &str, url: &str, body: &str) -> Result<Command, BadCommand> {
        let message = json!({"unique_id": "7", "url": url, "method": method, "body": body});
        Command::read(message.to_string().as_bytes())
    }

    fn why(method: &str, url: &str, body: &str) -> String {
        let bad = command(method, url, body).unwrap_err();
        assert_eq!(bad.unique_id.get(), "\"7\"");
        bad.why
    }

    #[test]
    fn calls() {
        let call = command("GET", "/asterisk/variable?a=b%20c", "{\"variable\":\"x\"}");
        let call = call.unwrap().call;
        assert_eq!(call.method, Method::Get);
        assert_eq!(call.target, "/asterisk/variable?a=b%20c");
        assert_eq!(call.body.unwrap(), b"{\"variable\":\"x\"}");
        for (url, target) in [
            ("/recordings/stored/a b", "/recordings/stored/a%20b"),
            ("/recordings/stored/a%2Fb", "/recordings/stored/a%2Fb"),
            ("/endpoints/PJSIP/1#", "/endpoints/PJSIP/1%23"),
            (
                "/channels/ü?x=[\"{}\"]",
                "/channels/%C3%BC?x=%5B%22%7B%7D%22%5D",
            ),
            ("/channels/a..b/...", "/channels/a..b/..."),
            ("/channels//answer", "/channels//answer"),
            ("/channels/1?x=/../?y", "/channels/1?x=/../?y"),
        ] {
            assert_eq!(command("POST", url, "").unwrap().call.target, target);
        }
    }

    #[test]
    fn urls_that_leave_the_api() {
        let long = "/x".repeat(LONGEST_URL);
        let long_query = format!("/x?{}", "x".repeat(LONGEST_URL));
        for url in [
            "",
            "/",
            "channels",
            "//evil/",
            "http://evil/",
            "@evil/",
            "/../x",
            "/..",
            "/channels/..",
            "/channels/../../x",
            "/channels/%2e%2E/x",
            "/channels/..%2fx",
            "/channels/a%2f..",
            "/channels/.%5c..%5cx",
            "/channels/%00",
            "/channels/a\r\nX: y",
            "/channels/%4",
            "/a?b=%zz",
            "/a?b=\n",
            "/channels/./x",
            &long,
            &long_query,
        ] {
            let why = why("POST", url, "");
            assert!(why.starts_with("the url"), "{url}: {why}");
        }
    }

    #[test]
    fn what_is_no_command() {
        assert!(why("PATCH", "/channels", "").contains("method"));
        assert!(command("get", "/channels", "").is_ok());
        assert!(why("GET", "/channels", "{").contains("body"));
        for message in [
            "",
            "x",
            "[]",
            "7",
            "null",
            "\"x\"",
            "{}",
            "{\"url\":7}",
            "[\"u\",\"/channels\",\"GET\",\"{}\"]",
            "\u{0}",
        ] {
            let bad = Command::read(message.as_bytes()).unwrap_err();
            assert_eq!(bad.unique_id.get(), "\"\"", "{message}");
        }
        assert!(Command::read(b"\xff").is_err());
    }

    #[test]
    fn ids_are_echoed_as_they_are() {
        for id in ["\"\"", "12345678901234567890123", "{\"a\":1}"] {
            let message = format!("{{\"unique_id\":{id},\"url\":\"/x\",\"method\":\"GET\"}}");
            let command = Command::read(message.as_bytes()).unwrap();
            assert_eq!(command.unique_id.get(), id);
            assert_eq!(command.call.body, None);
        }
    }

    #[test]
    fn what_joins_the_dialog() {
        use Entity::{Bridge, Channel, LiveRecording, Playback};
        let claim = |entity, id: &str| (entity, id.to_owned());
        for (url, body, claims, describes, creates) in [
            ("/channels", "{}", vec![], Some(Channel), Some(Channel)),
            (
                "/channels?channelId=a+b%2B",
                "",
                vec![claim(Channel, "a b+")],
                Some(Channel),
                None,
            ),
            (
                "/channels/create",
                "{\"channelId\":\"c\",\"otherChannelId\":\"d\"}",
                vec![claim(Channel, "c"), claim(Channel, "d")],
                Some(Channel),
                None,
            ),
            (
                "/channels/c",
                "{}",
                vec![claim(Channel, "c")],
                Some(Channel),
                None,
            ),
            (
                "/channels/c/snoop/s",
                "",
                vec![claim(Channel, "s")],
                Some(Channel),
                None,
            ),
            (
                "/channels/c/snoop",
                "",
                vec![],
                Some(Channel),
                Some(Channel),
            ),
            ("/bridges", "", vec![], Some(Bridge), Some(Bridge)),
            (
                "/bridges/b%2f",
                "",
                vec![claim(Bridge, "b/")],
                Some(Bridge),
                None,
            ),
            (
                "/bridges/b/play",
                "",
                vec![],
                Some(Playback),
                Some(Playback),
            ),
            (
                "/channels/c/play/p",
                "",
                vec![claim(Playback, "p")],
                Some(Playback),
                None,
            ),
            (
                "/channels/c/record",
                "{\"name\":\"r\"}",
                vec![claim(LiveRecording, "r")],
                Some(LiveRecording),
                None,
            ),
            ("/channels/c/answer", "", vec![], None, None),
            ("/applications/a/subscription", "", vec![], None, None),
        ] {
            let command = command("POST", url, body).unwrap();
            assert_eq!(
                (command.claims, command.describes, command.creates),
                (claims, describes, creates),
                "{url}"
            );
        }
        let read = command("GET", "/bridges/b", "{}").unwrap();
        assert_eq!((read.claims.len(), read.describes), (0, Some(Bridge)));
        let ended = command("DELETE", "/bridges/b", "{}").unwrap();
        assert_eq!((ended.claims.len(), ended.describes), (0, None));
    }

    #[test]
    fn what_answers_describe() {
        let id = |entity, answer: &str| described(entity, answer.as_bytes());
        assert_eq!(
            id(Entity::Channel, r#"{"id":"c","name":"n"}"#).unwrap(),
            "c"
        );
        assert_eq!(id(Entity::LiveRecording, r#"{"name":"n"}"#).unwrap(), "n");
        for other in ["", "[]", "{}", "{\"id\":7}", "{\"id\":\"\"}"] {
            assert_eq!(id(Entity::Channel, other), None);
        }
    }
}
