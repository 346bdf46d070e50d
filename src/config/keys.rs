//! The one table of configuration keys: flags, environment names, the file's tree, the help and the
//! reference file all derive from it.

/// What a key's text must look like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// One or more tokens of a subject.
    Name,
    /// Several names.
    Names,
    /// Text that says nothing to the proxy.
    Text,
    /// The beginning of a subject.
    Prefix,
    /// The name of an account, as HTTP's Basic scheme can carry it.
    Account,
    /// Text that is never shown.
    Secret,
    /// A URL of Asterisk.
    Url,
    /// The bus' servers: a list of URLs.
    Servers,
    /// A whole number within bounds.
    Count {
        /// The smallest accepted.
        least: usize,
        /// The largest accepted.
        most: usize,
    },
    /// A size in bytes within bounds.
    Bytes {
        /// The smallest accepted, in bytes.
        least: usize,
        /// The largest accepted, in bytes.
        most: usize,
    },
    /// A length of time.
    Duration,
    /// A log level.
    Level,
    /// True or false.
    Flag,
    /// One of some words.
    Choice(&'static [&'static str]),
}

impl Kind {
    /// What stands for the value in the help; empty for flags, which need none.
    pub(super) fn placeholder(self) -> String {
        match self {
            Kind::Name => "NAME".to_owned(),
            Kind::Names => "NAME,...".to_owned(),
            Kind::Text | Kind::Prefix | Kind::Account | Kind::Secret => "TEXT".to_owned(),
            Kind::Url | Kind::Servers => "URL".to_owned(),
            Kind::Count { .. } => "COUNT".to_owned(),
            Kind::Bytes { .. } => "SIZE".to_owned(),
            Kind::Duration => "DURATION".to_owned(),
            Kind::Level => "LEVEL".to_owned(),
            Kind::Flag => String::new(),
            Kind::Choice(words) => words.join("|"),
        }
    }

    /// The smallest and largest number accepted; everything for kinds that are not numbers.
    pub(super) fn bounds(self) -> (usize, usize) {
        match self {
            Kind::Count { least, most } | Kind::Bytes { least, most } => (least, most),
            _ => (usize::MIN, usize::MAX),
        }
    }

    /// The words to choose from; none for kinds that are no choice.
    pub(super) fn words(self) -> &'static [&'static str] {
        match self {
            Kind::Choice(words) => words,
            _ => &[],
        }
    }
}

/// What holds when nobody sets a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fallback {
    /// The process does not start.
    Required,
    /// The key has no value.
    Nothing,
    /// This text is taken as if it had been given.
    Text(&'static str),
}

/// One key.
#[derive(Debug)]
pub(super) struct Key {
    /// The name, which is also the flag without its dashes and the path in a file.
    pub(super) name: &'static str,
    /// What its text must look like.
    pub(super) kind: Kind,
    /// What holds when it is not set.
    pub(super) fallback: Fallback,
    /// What it is for, in one line.
    pub(super) help: &'static str,
}

impl Key {
    /// The environment variable that sets this key.
    pub(super) fn environment(&self) -> String {
        environment_name(self.name)
    }
}

/// The environment variable of the key called `name`: upper case, `_` for `.`.
pub(super) fn environment_name(name: &str) -> String {
    name.to_ascii_uppercase().replace('.', "_")
}

const KIB: usize = 1024;
const GIB: usize = 1024 * 1024 * KIB;

macro_rules! keys {
    ($($id:ident = $name:literal, $kind:expr, $fallback:expr, $help:literal;)*) => {
        $(pub(super) static $id: Key = Key {
            name: $name,
            kind: $kind,
            fallback: $fallback,
            help: $help,
        };)*
        /// Every key, in the order of the help.
        pub(super) static TABLE: &[&Key] = &[$(&$id),*];
    };
}

keys! {
    APPLICATION = "ari.application", Kind::Names, Fallback::Required,
        "Stasis application to serve, several with commas; part of every subject";
    USERNAME = "ari.username", Kind::Account, Fallback::Required,
        "ARI user, as in Asterisk's ari.conf";
    PASSWORD = "ari.password", Kind::Secret, Fallback::Required,
        "the ARI user's password; other users see command lines, so prefer the environment or a \
         file";
    HTTP_URL = "ari.http_url", Kind::Url, Fallback::Text("http://localhost:8088/ari"),
        "where Asterisk answers ARI requests";
    WEBSOCKET_URL = "ari.websocket_url", Kind::Url,
        Fallback::Text("ws://localhost:8088/ari/events"),
        "where Asterisk sends ARI events from";
    ORIGIN = "ari.origin", Kind::Text, Fallback::Nothing,
        "the header Origin of the websocket, as a browser would send it";
    ASTERISK_ID = "ari.asterisk_id", Kind::Name, Fallback::Nothing,
        "id of this Asterisk in subjects and answers; when not set, Asterisk is asked";
    ON_REPLACED = "ari.on_replaced", Kind::Choice(&["reconnect", "exit"]),
        Fallback::Text("reconnect"),
        "what to do when another process takes the application over";
    REPLACED_PAUSE = "ari.replaced_pause", Kind::Duration, Fallback::Text("60s"),
        "how long to leave the application to the other process before reconnecting";
    SNAPSHOT = "ari.snapshot", Kind::Flag, Fallback::Text("false"),
        "say on the status subject, with every connection to Asterisk, which channels and bridges \
         are in the application";
    BUS_URL = "messagebus.url", Kind::Servers, Fallback::Text("nats://localhost:4222"),
        "the bus: nats://[user:password@]host[:port], tls://..., \
         amqp://[user:password@]host[:port][/vhost] or amqps://..., several servers with commas; \
         in Kubernetes NATS_SERVICE_HOST and NATS_SERVICE_PORT_CLIENT count when neither this nor \
         nats.url is set by flag or environment";
    PROTOCOL = "messagebus.protocol", Kind::Choice(&["ari-proxy", "go-ari-proxy", "both"]),
        Fallback::Text("ari-proxy"),
        "what applications are spoken to with: the subjects of ari-proxy, the topics of \
         go-ari-proxy, or both at once";
    PREFIX = "messagebus.prefix", Kind::Prefix, Fallback::Text("ari."),
        "what every subject begins with, final dot included";
    STALE_CREATES = "messagebus.stale_creates", Kind::Choice(&["discard", "run"]),
        Fallback::Text("discard"),
        "RabbitMQ: what to do with create requests that waited in the shared queue while no proxy \
         was there";
    NATS_URL = "nats.url", Kind::Servers, Fallback::Nothing,
        "older name of messagebus.url";
    WORKERS = "workers.count", Kind::Count { least: 1, most: 1024 }, Fallback::Text("16"),
        "requests to Asterisk at the same time";
    QUEUE = "workers.queue", Kind::Count { least: 1, most: 1_000_000 }, Fallback::Text("1024"),
        "requests that may wait for a worker";
    MAX_WAIT = "workers.max_wait", Kind::Duration, Fallback::Text("2s"),
        "how long a request may wait for a worker";
    CONNECT_TIMEOUT = "http.connect_timeout", Kind::Duration, Fallback::Text("2s"),
        "how long connecting to Asterisk may take";
    RESPONSE_TIMEOUT = "http.response_timeout", Kind::Duration, Fallback::Text("5s"),
        "how long Asterisk may take to answer a request";
    EVENTS_COUNT = "events.max_count", Kind::Count { least: 1, most: 10_000_000 },
        Fallback::Text("65536"),
        "events kept while the bus is away";
    EVENTS_BYTES = "events.max_bytes", Kind::Bytes { least: KIB, most: 2 * GIB },
        Fallback::Text("64MiB"),
        "size of the events kept while the bus is away";
    EVENTS_AGE = "events.max_age", Kind::Duration, Fallback::Text("30s"),
        "how long an event is worth keeping while the bus is away";
    EVENTS_HEADERS = "events.headers", Kind::Flag, Fallback::Text("false"),
        "send the headers Ari-Epoch and Ari-Seq with every event";
    DIALOGS = "dialogs.max", Kind::Count { least: 1, most: 10_000_000 }, Fallback::Text("100000"),
        "bindings of channels, bridges and the like to dialogs kept at once";
    TOPICS_SERVER_ID = "topics.server_id", Kind::Text, Fallback::Nothing,
        "what this Asterisk is called in messages; when not set, its id is";
    TOPICS_QUEUE = "topics.queue", Kind::Name, Fallback::Nothing,
        "NATS: the queue group that commands are taken in";
    TOPICS_MAX_WAIT = "topics.max_wait", Kind::Duration, Fallback::Text("10s"),
        "how long an application may take to come to a dialog that it is told of";
    TOPICS_MAX = "topics.max", Kind::Count { least: 1, most: 1_000_000 }, Fallback::Text("20000"),
        "dialogs at once";
    TOPICS_HELD = "topics.held", Kind::Count { least: 1, most: 1_000_000 }, Fallback::Text("1024"),
        "events held for an application that has not come yet, of each dialog";
    LOG_LEVEL = "log.level", Kind::Level, Fallback::Text("info"),
        "least severe messages logged: off, error, warn, info, debug or trace";
    VERBOSE = "verbose", Kind::Flag, Fallback::Text("false"),
        "log.level debug, unless log.level itself is set by the same or a stronger source";
}

/// The sections of keys and their titles, in the order of the table.
pub(super) static SECTIONS: &[(&str, &str)] = &[
    ("ari", "Asterisk"),
    ("messagebus", "Message bus"),
    ("nats", "Message bus, older name"),
    ("workers", "Requests"),
    ("http", "HTTP to Asterisk"),
    ("events", "Events"),
    ("dialogs", "Dialogs"),
    ("topics", "Dialog topics, as of go-ari-proxy"),
    ("log", "Logging"),
];

/// Flags that are no keys: they cannot be set by environment or file.
pub(super) static FLAGS_ONLY: &[&str] = &["config", "help", "version"];

/// The key called `name`, in lower case.
pub(super) fn find(name: &str) -> Option<&'static Key> {
    TABLE.iter().copied().find(|key| key.name == name)
}

/// The key that means the same as `key` and gives way to it where one source sets both.
pub(super) fn older_name(key: &Key) -> Option<&'static Key> {
    (key.name == BUS_URL.name).then_some(&NATS_URL)
}

/// Whether `name` is a section, in lower case.
pub(super) fn is_section(name: &str) -> bool {
    SECTIONS.iter().any(|(section, _)| *section == name)
}

/// The keys of `section`; those of no section for the empty text.
pub(super) fn of_section(section: &str) -> impl Iterator<Item = &'static Key> {
    TABLE
        .iter()
        .copied()
        .filter(move |key| key.name.split_once('.').map_or("", |(s, _)| s) == section)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn names_are_unique_and_every_one_is_in_a_section() {
        let names: BTreeSet<_> = TABLE.iter().map(|key| key.name).collect();
        assert_eq!(names.len(), TABLE.len());
        let listed: Vec<_> = SECTIONS
            .iter()
            .flat_map(|(section, _)| of_section(section))
            .chain(of_section(""))
            .map(|key| key.name)
            .collect();
        let table: Vec<_> = TABLE.iter().map(|key| key.name).collect();
        assert_eq!(listed, table);
    }

    #[test]
    fn the_peers_names() {
        assert_eq!(APPLICATION.environment(), "ARI_APPLICATION");
        assert_eq!(BUS_URL.environment(), "MESSAGEBUS_URL");
        assert_eq!(STALE_CREATES.environment(), "MESSAGEBUS_STALE_CREATES");
        assert_eq!(NATS_URL.environment(), "NATS_URL");
        assert_eq!(RESPONSE_TIMEOUT.environment(), "HTTP_RESPONSE_TIMEOUT");
        assert!(std::ptr::eq(
            find("ari.websocket_url").unwrap(),
            &WEBSOCKET_URL
        ));
        assert!(find("ari").is_none() && is_section("ari") && !is_section("verbose"));
    }
}
