//! Configurations from inputs, and what must hold of every one that is accepted or refused.

use std::ffi::OsString;
use std::fs::File;
use std::os::fd::AsRawFd;
use std::os::unix::fs::FileExt;
use std::time::Duration;

use ari_proxy::config::{BusKind, BusServer, Config, Invocation};
use ari_proxy::wire::subject::{Subjects, publishable};

/// Stands for a password.
pub const SECRET: &str = "hunter2secret";

/// Whether `input` has the password itself: it says nothing about where it leaks then.
pub fn has_secret(input: &[u8]) -> bool {
    input
        .windows(SECRET.len())
        .any(|part| part == SECRET.as_bytes())
}

/// The flags without which there is no configuration.
pub const REQUIRED: [&str; 3] = [
    "--ari.application=app",
    "--ari.username=user",
    "--ari.password=password",
];

/// A file with the content of an input.
pub struct Scratch(File);

impl Scratch {
    /// A new one. It has no name, so that nothing is left behind however the process ends.
    pub fn new() -> Scratch {
        let path = std::env::temp_dir().join(format!("ari-proxy-fuzz-{}", std::process::id()));
        let file = File::options()
            .create(true)
            .truncate(true)
            .read(true)
            .write(true)
            .open(&path)
            .expect("a file in the directory for such files");
        std::fs::remove_file(&path).expect("removing what was made");
        Scratch(file)
    }

    /// Replaces the content.
    pub fn write(&self, content: &[u8]) {
        self.0.set_len(0).expect("emptying the file");
        self.0.write_all_at(content, 0).expect("writing the file");
    }

    /// The flags that name it. They come last, so that no other file is read.
    pub fn flags(&self) -> [OsString; 2] {
        let path = format!("/proc/self/fd/{}", self.0.as_raw_fd());
        ["--config".into(), path.into()]
    }
}

impl Default for Scratch {
    fn default() -> Scratch {
        Scratch::new()
    }
}

/// Loads a configuration, and checks whatever comes of it. An error is returned as its text.
pub fn load(
    arguments: impl IntoIterator<Item = OsString>,
    environment: &dyn Fn(&str) -> Option<String>,
) -> Result<Option<Config>, String> {
    match Config::load(arguments, environment) {
        Ok(Invocation::Run(config)) => {
            check(&config);
            Ok(Some(config))
        }
        Ok(Invocation::Help(_) | Invocation::Version(_)) => Ok(None),
        Err(error) => {
            let text = error.to_string();
            assert!(!text.contains(char::is_control), "not one line: {text:?}");
            Err(text)
        }
    }
}

/// Everything that a configuration shows of itself.
pub fn shown(config: &Config) -> String {
    format!("{}\n{config:?}", config.describe().join("\n"))
}

/// What holds of every configuration that is accepted.
fn check(config: &Config) {
    let lines = config.describe();
    for line in &lines {
        assert!(!line.contains(char::is_control), "not one line: {line:?}");
    }
    let value_of = |key: &str| {
        let value = |line: &String| {
            let rest = line.strip_prefix(key)?.strip_prefix(" = ")?;
            Some(rest.rsplit_once(" (from ")?.0.to_owned())
        };
        lines.iter().find_map(value)
    };
    assert_eq!(value_of("ari.password").as_deref(), Some("***"));
    let servers: Vec<String> = config.bus.servers.iter().map(as_shown).collect();
    let described = value_of("messagebus.url").or_else(|| value_of("nats.url"));
    assert_eq!(described, Some(servers.join(",")));
    config.bus.servers.iter().for_each(check_server);
    let bus = config.bus.servers[0].bus;
    assert!(config.bus.servers.iter().all(|server| server.bus == bus));

    let ari = &config.ari;
    let subjects = Subjects::new(&config.bus.prefix, &ari.application);
    let asterisk = ari.asterisk_id.as_deref().unwrap_or("id");
    assert!(publishable(&subjects.event(asterisk)));
    assert!(publishable(&subjects.announce()));
    assert!(!ari.username.is_empty() && !ari.username.contains(':'));
    assert!(!ari.password.expose().is_empty());
    usable(&ari.http_url, &["http", "https"], "/asterisk/info");
    usable(&ari.websocket_url, &["ws", "wss"], "?app=a");

    assert!((1..=1024).contains(&config.workers.count));
    assert!((1..=1_000_000).contains(&config.workers.queue));
    assert!((1..=10_000_000).contains(&config.events.max_count));
    assert!((1024..=2 << 30).contains(&config.events.max_bytes));
    assert!((1..=10_000_000).contains(&config.dialogs_max));
    assert!((1..=1_000_000).contains(&config.topics.most));
    assert!((1..=1_000_000).contains(&config.topics.held));
    let applications = value_of("ari.application").unwrap_or_default();
    assert_eq!(
        applications.split(',').count(),
        1 + config.further().count()
    );
    let origin = ari.origin.as_deref().unwrap_or_default();
    assert!(http::HeaderValue::from_str(origin).is_ok(), "{origin:?}");
    for duration in [
        ari.replaced_pause,
        config.workers.max_wait,
        config.http.connect_timeout,
        config.http.response_timeout,
        config.events.max_age,
        config.topics.max_wait,
    ] {
        let accepted = Duration::from_millis(1)..=Duration::from_secs(24 * 60 * 60);
        assert!(accepted.contains(&duration), "{duration:?}");
    }
}

/// A URL that is accepted is one that the clients of HTTP take, with the path that is added to it.
fn usable(url: &str, schemes: &[&str], added: &str) {
    let uri: http::Uri = match format!("{url}{added}").parse() {
        Ok(uri) => uri,
        Err(error) => panic!("{url:?} was accepted and cannot be used: {error}"),
    };
    assert!(uri.scheme_str().is_some_and(|name| schemes.contains(&name)));
    assert!(uri.host().is_some_and(|host| !host.is_empty()), "{url:?}");
    let authority = uri.authority().map_or("", http::uri::Authority::as_str);
    assert!(!authority.contains('@'), "{url:?}");
}

/// What holds of every server of the bus.
pub fn check_server(server: &BusServer) {
    assert_eq!(server.to_string(), as_shown(server));
    assert_eq!(format!("{server:?}"), as_shown(server));
    assert!(!server.host.is_empty() && server.port != 0);
    assert_eq!(server.vhost.is_empty(), server.bus == BusKind::Nats);
    assert!(server.vhost.len() <= 255);
    assert!(server.username.as_ref().is_none_or(|user| !user.is_empty()));
    let password = server.password.as_ref();
    assert!(password.is_none() || server.username.is_some());
    if server.bus == BusKind::RabbitMq {
        assert_eq!(password.is_some(), server.username.is_some());
    }
    let texts = [
        Some(&server.host),
        Some(&server.vhost),
        server.username.as_ref(),
    ];
    for text in texts.into_iter().flatten() {
        assert!(!text.contains(char::is_control), "{text:?}");
    }
}

/// How a server must be shown: nothing of its credentials, and so that it can be read again.
fn as_shown(server: &BusServer) -> String {
    let scheme = match (server.bus, server.tls) {
        (BusKind::Nats, false) => "nats",
        (BusKind::Nats, true) => "tls",
        (BusKind::RabbitMq, false) => "amqp",
        (BusKind::RabbitMq, true) => "amqps",
    };
    let host = match server.host.contains(':') {
        true => format!("[{}]", server.host),
        false => server.host.clone(),
    };
    let mut shown = format!("{scheme}://{host}:{}", server.port);
    if server.bus == BusKind::RabbitMq && server.vhost != "/" {
        shown.push('/');
        for byte in server.vhost.bytes() {
            match byte {
                b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                    shown.push(char::from(byte));
                }
                _ => shown.push_str(&format!("%{byte:02X}")),
            }
        }
    }
    shown
}
