//! The `config.json` of go-ari-proxy: another tree, whose members are put where ours are. It is told
//! from our own by its member `stasis_url`.

use super::error::ConfigError;
use super::file::Tree;
use super::json::Member;
use super::keys::{self, Fallback, Key};
use super::members::{Found, Object, invalid, is_called};

use super::source::Source;
use crate::address::{BusKind, servers, url};

/// The member that no file of ours has, and without which go-ari-proxy could not work.
const MARK: &str = "stasis_url";

/// The members that are texts, and what they are here.
const TEXTS: [(&str, &Key); 6] = [
    ("origin", &keys::ORIGIN),
    ("server_id", &keys::TOPICS_SERVER_ID),
    ("websocket_url", &keys::WEBSOCKET_URL),
    (MARK, &keys::HTTP_URL),
    ("ws_user", &keys::USERNAME),
    ("ws_password", &keys::PASSWORD),
];
const APPLICATIONS: &str = "applications";
const BUS: &str = "message_bus";
const BUS_CONFIG: &str = "bus_config";
const BUS_URL: &str = "url";
const BUS_QUEUE: &str = "queue";

/// Whether these are the members of go-ari-proxy's file.
pub(super) fn is_its(members: &[Member]) -> bool {
    members.iter().any(|(name, _)| is_called(name, MARK))
}

/// Puts everything that `members` set into `tree`. To Go's decoder a member that is not there is an
/// empty one, and so it is here: errors name it.
pub(super) fn read(members: &[Member], tree: &mut Tree) -> Result<(), ConfigError> {
    let file = tree.source(None);
    tree.layer()
        .set(&keys::PROTOCOL, "go-ari-proxy".to_owned(), file);
    let mut top = Object::new(members, "");
    for (name, key) in TEXTS {
        let text = top.text(name, tree)?;
        put(key, text, tree);
    }
    let applications = top.texts(APPLICATIONS, tree)?;
    put(&keys::APPLICATION, applications, tree);

    let named = top.text(BUS, tree)?;
    let bus = bus_called(&named.value).map_err(|problem| invalid(&named.place, problem, tree))?;
    let inside = top.members(BUS_CONFIG, tree)?;
    let mut inside_bus = Object::new(&inside.value, &inside.place);
    let url = inside_bus.text(BUS_URL, tree)?;
    let url = match url.value.is_empty() {
        true => Found {
            value: own_server(bus).to_owned(),
            ..named
        },
        false => {
            fits(bus, &url.value).map_err(|problem| invalid(&url.place, problem, tree))?;
            url
        }
    };
    put(&keys::BUS_URL, url, tree);
    if bus == BusKind::Nats {
        let queue = inside_bus.text(BUS_QUEUE, tree)?;
        put(&keys::TOPICS_QUEUE, queue, tree);
    }

    let ignored = [top.unread(), inside_bus.unread()].concat();
    if !ignored.is_empty() {
        let path = tree.path().display();
        let line = format!(
            "file {path}: ignored, as by go-ari-proxy: {}",
            ignored.join(", ")
        );
        tree.layer().remark(line);
    }
    Ok(())
}

/// The bus that go-ari-proxy calls so.
fn bus_called(name: &str) -> Result<BusKind, String> {
    match name.to_ascii_uppercase().as_str() {
        "NATS" => Ok(BusKind::Nats),
        "RABBITMQ" => Ok(BusKind::RabbitMq),
        "NSQ" => Err(
            "NSQ is not supported, as by go-ari-proxy's last version: its topics are only \
             eventually consistent, which dialogs in real time cannot use; use NATS or RABBITMQ"
                .to_owned(),
        ),
        "OSLO" => Err(
            "OSLO is not supported, and was never implemented by go-ari-proxy either; use NATS or \
             RABBITMQ"
                .to_owned(),
        ),
        "" => Err("is required: NATS or RABBITMQ".to_owned()),
        // It may be the bus' URL.
        _ => Err(format!(
            "{:?} is neither NATS nor RABBITMQ",
            url::redact(name)
        )),
    }
}

/// The server that is meant where none is named.
fn own_server(bus: BusKind) -> &'static str {
    match bus {
        BusKind::Nats => "nats://localhost:4222",
        BusKind::RabbitMq => "amqp://localhost:5672",
    }
}

/// Refuses a `url` that is not one of `bus`.
fn fits(bus: BusKind, url: &str) -> Result<(), String> {
    let servers = servers(url)?;
    if servers.iter().all(|server| server.bus == bus) {
        return Ok(());
    }
    let needed = match bus {
        BusKind::Nats => "a nats:// or tls:// URL, as message_bus NATS needs one",
        BusKind::RabbitMq => "an amqp:// or amqps:// URL, as message_bus RABBITMQ needs one",
    };
    Err(format!("{:?} is not {needed}", url::redact(url)))
}

/// Has `key` set by what was found. Nothing is what a key that is not needed has anyway.
fn put(key: &'static Key, found: Found<String>, tree: &mut Tree) {
    if found.value.is_empty() && key.fallback == Fallback::Nothing {
        return;
    }
    let source = Source::Member {
        path: tree.path().to_owned(),
        member: found.place,
    };
    tree.layer().set(key, found.value, source);
}

#[cfg(test)]
mod tests {
    use super::super::file::tests::{Scratch, parsed};
    use super::super::load::tests::from_file;
    use serde_json::{Value, json};

    /// A file of go-ari-proxy with these members instead of its own; null takes one away.
    fn file(changes: &[(&str, Value)]) -> String {
        let mut file = json!({
            "origin": "http://localhost/", "server_id": "pbx 1", "applications": ["a", "b.c"],
            "websocket_url": "ws://h:8088/ari/events", "stasis_url": "http://h:8088/ari",
            "ws_user": "u", "ws_password": "secret", "message_bus": "NATS",
            "bus_config": {"url": "nats://n", "queue": "q"},
        });
        for (name, value) in changes {
            file[*name] = value.clone();
        }
        file.to_string()
    }

    #[test]
    fn members_become_keys() {
        let whole = [
            "ari.application=a,b.c",
            "ari.username=u",
            "ari.password=secret",
            "ari.http_url=http://h:8088/ari",
            "ari.websocket_url=ws://h:8088/ari/events",
            "ari.origin=http://localhost/",
            "messagebus.url=nats://n",
            "messagebus.protocol=go-ari-proxy",
            "topics.server_id=pbx 1",
            "topics.queue=q",
        ];
        assert_eq!(parsed(&file(&[])).unwrap(), whole);
        let shouted = file(&[("bus_config", Value::Null)])
            .replace("stasis_url", "StasiS_URL")
            .replace(
                "\"bus_config\":null",
                "\"BUS_config\":{\"URL\":\"nats://n\",\"Queue\":\"q\"}",
            );
        assert_eq!(parsed(&shouted).unwrap(), whole);
    }

    #[test]
    fn buses() {
        for (bus, config, url) in [
            ("NATS", Value::Null, "nats://localhost:4222"),
            ("nats", json!({}), "nats://localhost:4222"),
            ("NATS", json!({"url": ""}), "nats://localhost:4222"),
            ("NATS", json!({"url": null}), "nats://localhost:4222"),
            ("Nats", json!({"url": "h:4"}), "h:4"),
            ("NATS", json!({"url": "tls://h,h2:5"}), "tls://h,h2:5"),
            ("RABBITMQ", json!({"url": ""}), "amqp://localhost:5672"),
            (
                "RabbitMQ",
                json!({"url": "amqps://u:p@h/v"}),
                "amqps://u:p@h/v",
            ),
        ] {
            let set = parsed(&file(&[
                ("message_bus", json!(bus)),
                ("bus_config", config),
            ]))
            .unwrap();
            assert!(set.contains(&format!("messagebus.url={url}")), "{set:?}");
        }
    }

    #[test]
    fn what_is_refused_and_where() {
        let url = |url: &str| json!({"url": url});
        for (member, value, said) in [
            (
                "message_bus",
                json!("NSQ"),
                "message_bus: NSQ is not supported, as by",
            ),
            (
                "message_bus",
                json!("nsq"),
                "message_bus: NSQ is not supported, as by",
            ),
            (
                "message_bus",
                json!("OSLO"),
                "message_bus: OSLO is not supported, and was never implemented by go-ari-proxy \
                 either; use NATS or RABBITMQ (from file x)",
            ),
            (
                "message_bus",
                json!("KAFKA"),
                "message_bus: \"KAFKA\" is neither NATS nor RABBITMQ (from file x)",
            ),
            (
                "message_bus",
                json!("amqp://u:secret@h"),
                "message_bus: \"amqp://***@h\" is neither NATS nor RABBITMQ (from file x)",
            ),
            (
                "message_bus",
                Value::Null,
                "message_bus: is required: NATS or RABBITMQ (from file x)",
            ),
            (
                "bus_config",
                url("amqp://u:secret@h"),
                "bus_config.url: \"amqp://***@h\" is not a nats:// or tls:// URL, as message_bus \
                 NATS needs one (from file x)",
            ),
            (
                "bus_config",
                url("http://u:secret@h"),
                "bus_config.url: \"http://***@h\" is not a nats://, tls://, amqp:// or amqps:// URL",
            ),
        ] {
            let error = parsed(&file(&[(member, value)])).unwrap_err();
            assert!(error.starts_with(said), "{member}: {error}");
            assert!(!error.contains("secret"), "{error}");
        }
        let rabbit = file(&[
            ("message_bus", json!("RABBITMQ")),
            ("bus_config", url("h:5672")),
        ]);
        let said = "bus_config.url: \"h:5672\" is not an amqp:// or amqps:// URL, as message_bus \
                    RABBITMQ needs one (from file x)";
        assert_eq!(parsed(&rabbit), Err(said.to_owned()));
    }

    #[test]
    fn keys_that_cannot_be_used_are_named_by_their_members() {
        let scratch = Scratch::new();
        for (member, value, said, source) in [
            (
                "stasis_url",
                json!("h"),
                "ari.http_url: \"h\" is not an http://",
                "",
            ),
            (
                "websocket_url",
                Value::Null,
                "ari.websocket_url: \"\" is not a ws://",
                "",
            ),
            (
                "websocket_url",
                json!("ws://u:secret@h"),
                "ari.websocket_url: \"ws://***@h\" contains credentials",
                "",
            ),
            (
                "ws_user",
                json!("u:secret"),
                "ari.username: it contains a colon",
                "",
            ),
            (
                "ws_password",
                Value::Null,
                "ari.password: must not be empty",
                "",
            ),
            ("origin", json!("ü"), "ari.origin: contains a character", ""),
            (
                "server_id",
                json!("a\nb"),
                "topics.server_id: contains a control",
                "",
            ),
            (
                "applications",
                json!([]),
                "ari.application: must not be empty",
                "",
            ),
            (
                "applications",
                Value::Null,
                "ari.application: must not be empty",
                "",
            ),
            (
                "applications",
                json!(["a", ""]),
                "ari.application: has a comma without",
                "",
            ),
            (
                "applications",
                json!(["a", "a"]),
                "ari.application: \"a\" is in it twice",
                "",
            ),
            (
                "applications",
                json!(["a b"]),
                "ari.application: \"a b\" contains white",
                "",
            ),
            (
                "bus_config",
                json!({"Queue": "a b"}),
                "topics.queue: \"a b\" contains white space",
                "bus_config.Queue",
            ),
        ] {
            let path = scratch.file("config.json", file(&[(member, value)]));
            let error = from_file(&path, &[]).unwrap_err();
            assert!(error.starts_with(said), "{member}: {error}");
            let member = if source.is_empty() { member } else { source };
            let source = format!(" (from file {} member {member})", path.display());
            assert!(error.ends_with(&source), "{member}: {error}");
            assert!(
                !error.contains("secret") && !error.contains('\n'),
                "{error}"
            );
        }
    }

    #[test]
    fn flags_and_environment_go_before_it() {
        let scratch = Scratch::new();
        let path = scratch.file(
            "any.name",
            file(&[
                ("ws_password", Value::Null),
                ("applications", json!([])),
                ("origin", json!("")),
                ("debug:hunter2", json!("hunter3")),
                (
                    "bus_config",
                    json!({"url": "amqp://h", "queue": "q", "lookupd": 1}),
                ),
                ("message_bus", json!("RABBITMQ")),
            ]),
        );
        let variables = [
            ("ARI_PASSWORD", "secret"),
            ("ARI_APPLICATION", "mine"),
            ("MESSAGEBUS_PROTOCOL", "both"),
        ];
        let config = from_file(&path, &variables).unwrap();
        assert_eq!(config.ari.application, "mine");
        assert!(config.bus.protocol.serves_subjects() && config.bus.protocol.serves_topics());
        assert_eq!(config.topics.server_id.as_deref(), Some("pbx 1"));
        assert_eq!(config.topics.queue, None, "RabbitMQ has none");
        assert_eq!(config.ari.origin, None);
        let lines = config.describe();
        let file = path.display();
        for line in [
            "ari.origin = not set (from default)".to_owned(),
            format!("topics.server_id = pbx 1 (from file {file} member server_id)"),
            format!("messagebus.url = amqp://h:5672 (from file {file} member bus_config.url)"),
            "messagebus.protocol = both (from environment MESSAGEBUS_PROTOCOL)".to_owned(),
            format!(
                "file {file}: ignored, as by go-ari-proxy: debug..., bus_config.lookupd, \
                 bus_config.queue"
            ),
        ] {
            assert!(lines.contains(&line), "{line}: {lines:#?}");
        }
        let all = lines.concat();
        assert!(
            !all.contains("secret") && !all.contains("hunter"),
            "{lines:#?}"
        );
    }
}
