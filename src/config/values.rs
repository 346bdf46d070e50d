//! The values of the configuration, taken key by key from the settings.

use super::error::ConfigError;
use super::settings::Settings;
use super::{
    Ari, Bus, Config, Events, Http, OnReplaced, Protocol, StaleCreates, Topics, Workers, keys,
};

/// Takes every key, in the order of the table.
pub(super) fn take(mut from: Settings) -> Result<Config, ConfigError> {
    let mut applications = from.names(&keys::APPLICATION)?;
    let further = applications.split_off(1);
    let mut ari = Ari {
        // There is one: a list of names has one at least.
        application: applications.pop().unwrap_or_default(),
        username: from.account(&keys::USERNAME)?,
        password: from.secret(&keys::PASSWORD)?,
        http_url: without_final_slash(from.url(&keys::HTTP_URL, ["http", "https"])?),
        websocket_url: from.url(&keys::WEBSOCKET_URL, ["ws", "wss"])?,
        origin: from.optional_header(&keys::ORIGIN)?,
        api_key: false,
        asterisk_id: from.optional_name(&keys::ASTERISK_ID)?,
        on_replaced: from.choice(&keys::ON_REPLACED, on_replaced)?,
        replaced_pause: from.duration(&keys::REPLACED_PAUSE)?,
        snapshot: from.flag(&keys::SNAPSHOT)?,
    };
    let bus = Bus {
        servers: from.servers(&keys::BUS_URL)?,
        protocol: from.choice(&keys::PROTOCOL, protocol)?,
        prefix: from.prefix(&keys::PREFIX)?,
        stale_creates: from.choice(&keys::STALE_CREATES, stale_creates)?,
    };
    ari.api_key = !bus.protocol.serves_subjects();
    let workers = Workers {
        // Of all applications together: Asterisk takes about 100 connections (asterisk-facts.md).
        count: (from.count(&keys::WORKERS)? / (1 + further.len())).max(1),
        queue: from.count(&keys::QUEUE)?,
        max_wait: from.duration(&keys::MAX_WAIT)?,
    };
    let http = Http {
        connect_timeout: from.duration(&keys::CONNECT_TIMEOUT)?,
        response_timeout: from.duration(&keys::RESPONSE_TIMEOUT)?,
    };
    let events = Events {
        max_count: from.count(&keys::EVENTS_COUNT)?,
        max_bytes: from.bytes(&keys::EVENTS_BYTES)?,
        max_age: from.duration(&keys::EVENTS_AGE)?,
        headers: from.flag(&keys::EVENTS_HEADERS)?,
    };
    let dialogs_max = from.count(&keys::DIALOGS)?;
    let topics = Topics {
        server_id: from.optional_line(&keys::TOPICS_SERVER_ID)?,
        queue: from.optional_name(&keys::TOPICS_QUEUE)?,
        max_wait: from.duration(&keys::TOPICS_MAX_WAIT)?,
        most: from.count(&keys::TOPICS_MAX)?,
        held: from.count(&keys::TOPICS_HELD)?,
    };
    let log_level = from.log_level(&keys::LOG_LEVEL, &keys::VERBOSE)?;
    Ok(Config {
        ari,
        bus,
        workers,
        http,
        events,
        dialogs_max,
        topics,
        log_level,
        record: from.into_record(),
        further,
    })
}

/// Paths are appended to the URL, each with its own slash.
fn without_final_slash(url: String) -> String {
    url.trim_end_matches('/').to_owned()
}

fn on_replaced(word: &str) -> Option<OnReplaced> {
    match word {
        "reconnect" => Some(OnReplaced::Reconnect),
        "exit" => Some(OnReplaced::Exit),
        _ => None,
    }
}

fn protocol(word: &str) -> Option<Protocol> {
    match word {
        "ari-proxy" => Some(Protocol::AriProxy),
        "go-ari-proxy" => Some(Protocol::GoAriProxy),
        "both" => Some(Protocol::Both),
        _ => None,
    }
}

fn stale_creates(word: &str) -> Option<StaleCreates> {
    match word {
        "discard" => Some(StaleCreates::Discard),
        "run" => Some(StaleCreates::Run),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::super::Secret;
    use super::super::file::tests::Scratch;
    use super::super::load::tests::loaded;
    use super::*;
    use log::LevelFilter;
    use std::path::PathBuf;
    use std::time::Duration;

    #[test]
    fn defaults() {
        let config = loaded(&[], &[], None).unwrap();
        assert_eq!(
            config.ari,
            Ari {
                application: "test".to_owned(),
                username: "u".to_owned(),
                password: Secret::new("secret"),
                http_url: "http://localhost:8088/ari".to_owned(),
                websocket_url: "ws://localhost:8088/ari/events".to_owned(),
                origin: None,
                api_key: false,
                asterisk_id: None,
                on_replaced: OnReplaced::Reconnect,
                replaced_pause: Duration::from_secs(60),
                snapshot: false,
            }
        );
        assert_eq!(
            format!("{:?}", config.bus.servers),
            "[nats://localhost:4222]"
        );
        assert_eq!(config.bus.protocol, Protocol::AriProxy);
        assert_eq!(config.bus.prefix, "ari.");
        assert_eq!(config.bus.stale_creates, StaleCreates::Discard);
        assert_eq!(
            config.workers,
            Workers {
                count: 16,
                queue: 1024,
                max_wait: Duration::from_secs(2),
            }
        );
        assert_eq!(
            config.http,
            Http {
                connect_timeout: Duration::from_secs(2),
                response_timeout: Duration::from_secs(5),
            }
        );
        assert_eq!(
            config.events,
            Events {
                max_count: 65_536,
                max_bytes: 64 << 20,
                max_age: Duration::from_secs(30),
                headers: false,
            }
        );
        assert_eq!(config.dialogs_max, 100_000);
        assert_eq!(
            config.topics,
            Topics {
                server_id: None,
                queue: None,
                max_wait: Duration::from_secs(10),
                most: 20_000,
                held: 1024,
            }
        );
        assert_eq!(config.log_level, LevelFilter::Info);
        assert_eq!(config.further().count(), 0);
        assert!(!format!("{config:?}").contains("secret"));
    }

    #[test]
    fn verbose_gives_way_to_a_level_of_its_own_source_or_a_stronger_one() {
        let scratch = Scratch::new();
        let quiet = scratch.file("quiet", "log.level: error");
        let loud = scratch.file("loud", "verbose: true");
        let level = |args: &[&str], variables: &[(&str, &str)], file: Option<&PathBuf>| {
            loaded(args, variables, file.cloned()).unwrap().log_level
        };
        assert_eq!(
            level(&["-v"], &[("LOG_LEVEL", "warn")], Some(&quiet)),
            LevelFilter::Debug
        );
        assert_eq!(
            level(&["-v", "--log.level=trace"], &[], None),
            LevelFilter::Trace
        );
        assert_eq!(
            level(&[], &[("VERBOSE", "1")], Some(&quiet)),
            LevelFilter::Debug
        );
        assert_eq!(level(&[], &[], Some(&loud)), LevelFilter::Debug);
        assert_eq!(
            level(&[], &[("LOG_LEVEL", "WARN")], Some(&loud)),
            LevelFilter::Warn
        );
        assert_eq!(level(&["-v=false"], &[], Some(&loud)), LevelFilter::Info);
    }

    #[test]
    fn the_way_every_key_is_checked() {
        for (argument, said) in [
            (
                "--ari.application=a b",
                "ari.application: \"a b\" contains white space",
            ),
            (
                "--ari.application=",
                "ari.application: must not be empty (from flag --ari.application)",
            ),
            (
                "--ari.application=a,,b",
                "ari.application: has a comma without a name before or after it (from flag",
            ),
            (
                "--ari.origin=ü",
                "ari.origin: contains a character that an HTTP header cannot (from flag",
            ),
            ("--ari.username=a:b", "ari.username: it contains a colon"),
            (
                "--ari.password=",
                "ari.password: must not be empty (from flag --ari.password)",
            ),
            (
                "--ari.password=secret\n",
                "ari.password: contains a control character",
            ),
            (
                "--ari.http_url=htp://x",
                "ari.http_url: \"htp://x\" is not an http:// or https:// URL (from flag --ari.http_url)",
            ),
            (
                "--ari.websocket_url=http://x",
                "ari.websocket_url: \"http://x\" is not a ws:// or wss:// URL",
            ),
            (
                "--ari.websocket_url=ws://u:secret@x",
                "ari.websocket_url: \"ws://***@x\" contains credentials",
            ),
            (
                "--ari.asterisk_id=a*",
                "ari.asterisk_id: \"a*\" contains a wildcard",
            ),
            (
                "--ari.on_replaced=Exit",
                "ari.on_replaced: \"Exit\" is not reconnect or exit (from",
            ),
            (
                "--ari.replaced_pause=0",
                "ari.replaced_pause: \"0\" is not a duration",
            ),
            (
                "--messagebus.url=amqp://u:secret@x?verify=secret",
                "messagebus.url: \"amqp://***@x?***\" has the parameter verify, which",
            ),
            (
                "--messagebus.protocol=Both",
                "messagebus.protocol: \"Both\" is not ari-proxy or go-ari-proxy or both (from flag",
            ),
            (
                "--messagebus.stale_creates=keep",
                "messagebus.stale_creates: \"keep\" is not discard or run (from flag",
            ),
            (
                "--nats.url=nats://u:secret@x:y",
                "nats.url: \"nats://***@x:***\" has a port",
            ),
            (
                "--messagebus.prefix=",
                "messagebus.prefix: must not be empty",
            ),
            (
                "--workers.count=1025",
                "workers.count: \"1025\" is not a whole number from 1 to 1024",
            ),
            (
                "--workers.queue=0",
                "workers.queue: \"0\" is not a whole number from 1 to 1000000",
            ),
            (
                "--workers.max_wait=-1s",
                "workers.max_wait: \"-1s\" is not a duration",
            ),
            (
                "--http.connect_timeout=x",
                "http.connect_timeout: \"x\" is not a duration",
            ),
            (
                "--http.response_timeout=0s",
                "http.response_timeout: \"0s\" is not a duration",
            ),
            (
                "--events.max_count=1.5",
                "events.max_count: \"1.5\" is not a whole number",
            ),
            (
                "--events.max_bytes=64MB",
                "events.max_bytes: \"64MB\" is not a size from 1024",
            ),
            (
                "--events.max_age=1d",
                "events.max_age: \"1d\" is not a duration",
            ),
            (
                "--dialogs.max=-1",
                "dialogs.max: \"-1\" is not a whole number",
            ),
            (
                "--topics.server_id=a\tb",
                "topics.server_id: contains a control character",
            ),
            (
                "--topics.queue=a b",
                "topics.queue: \"a b\" contains white space",
            ),
            (
                "--topics.max_wait=never",
                "topics.max_wait: \"never\" is not a duration",
            ),
            (
                "--topics.max=1000001",
                "topics.max: \"1000001\" is not a whole number from 1 to 1000000",
            ),
            (
                "--topics.held=0",
                "topics.held: \"0\" is not a whole number from 1 to 1000000",
            ),
            ("--log.level=loud", "log.level: \"loud\" is not off, error,"),
            (
                "--verbose=maybe",
                "verbose: \"maybe\" is neither true nor false",
            ),
        ] {
            let error = loaded(&[argument], &[], None).unwrap_err();
            assert!(error.starts_with(said), "{error}");
            assert!(
                !error.contains("secret") && !error.contains('\n'),
                "{error}"
            );
        }
    }

    #[test]
    fn values_are_made_uniform() {
        let scratch = Scratch::new();
        let file = scratch.file("f", "ari.asterisk_id: 00:01\n");
        let config = loaded(&["--ari.http_url=HTTPS://h/ari//"], &[], Some(file.clone())).unwrap();
        assert_eq!(config.ari.http_url, "https://h/ari");
        assert_eq!(config.ari.asterisk_id.as_deref(), Some("00:01"));
        let config = loaded(
            &[
                "--ari.asterisk_id=",
                "--ari.on_replaced=exit",
                "--messagebus.stale_creates=run",
            ],
            &[],
            Some(file),
        )
        .unwrap();
        assert_eq!(config.ari.asterisk_id, None);
        assert_eq!(config.ari.on_replaced, OnReplaced::Exit);
        assert_eq!(config.bus.stale_creates, StaleCreates::Run);
    }

    #[test]
    fn one_configuration_for_each_application() {
        let config = loaded(&["--ari.application=b,a.c,a"], &[], None).unwrap();
        let further: Vec<_> = config.further().collect();
        let applications: Vec<_> = [&config]
            .into_iter()
            .chain(&further)
            .map(|config| config.ari.application.as_str())
            .collect();
        assert_eq!(applications, ["b", "a.c", "a"]);
        assert_eq!((config.workers.count, further[1].workers.count), (5, 5));
        let one_each = loaded(&["--ari.application=b,a", "--workers.count=1"], &[], None);
        assert_eq!(one_each.unwrap().workers.count, 1);
        assert!(further.iter().all(|config| config.further().count() == 0));
        assert!(
            further
                .iter()
                .all(|one| one.describe() == config.describe())
        );
        let line = "ari.application = b,a.c,a (from flag --ari.application)";
        assert!(config.describe().iter().any(|l| l == line));
    }

    #[test]
    fn what_the_protocols_serve() {
        for (word, subjects, topics) in [
            ("ari-proxy", true, false),
            ("go-ari-proxy", false, true),
            ("both", true, true),
        ] {
            let config = loaded(&[], &[("MESSAGEBUS_PROTOCOL", word)], None).unwrap();
            assert_eq!(config.bus.protocol.serves_subjects(), subjects, "{word}");
            assert_eq!(config.bus.protocol.serves_topics(), topics, "{word}");
            assert_eq!(config.ari.api_key, !subjects, "{word}");
            let line =
                format!("messagebus.protocol = {word} (from environment MESSAGEBUS_PROTOCOL)");
            assert!(config.describe().contains(&line));
        }
    }

    #[test]
    fn the_description_has_every_key_and_no_secret() {
        let config = loaded(
            &[
                "--nats.url=tls://t:secret@h,nats://secret@h2",
                "--ari.origin=http://u:secret@h:1/x",
                "-v",
            ],
            &[("HTTP_CONNECT_TIMEOUT", "0.5")],
            None,
        )
        .unwrap();
        let lines = config.describe();
        for line in [
            "ari.password = *** (from flag --ari.password)",
            "ari.origin = http://***@h:1/x (from flag --ari.origin)",
            "ari.asterisk_id = not set (from default)",
            "ari.on_replaced = reconnect (from default)",
            "messagebus.stale_creates = discard (from default)",
            "nats.url = tls://h:4222,nats://h2:4222 (from flag --nats.url)",
            "http.connect_timeout = 500ms (from environment HTTP_CONNECT_TIMEOUT)",
            "events.max_bytes = 67108864 (from default)",
            "verbose = true (from flag -v)",
            "log.level = debug (from flag -v)",
        ] {
            assert!(lines.iter().any(|l| l == line), "{line}: {lines:#?}");
        }
        // The older name stands in for the newer.
        assert_eq!(lines.len(), keys::TABLE.len() - 1);
        assert!(!lines.concat().contains("secret"));
        let rabbit = [("NATS_URL", "amqp://u:secret@h1,h2/a%20b?heartbeat=1")];
        let lines = loaded(&[], &rabbit, None).unwrap().describe();
        let line =
            "nats.url = amqp://h1:5672/a%20b,amqp://h2:5672/a%20b (from environment NATS_URL)";
        assert!(lines.iter().any(|l| l == line), "{lines:#?}");
        assert!(!lines.concat().contains("secret"));
    }
}
