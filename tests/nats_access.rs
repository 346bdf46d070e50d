//! The access of an application to NATS: what it asks and hears, what it may not, what ends it.

use std::collections::BTreeSet;
use std::fs;
use std::sync::Arc;
use std::time::Duration;

use ari_proxy::address::servers;
use ari_proxy::bus::nats::NatsAccess;
use ari_proxy::bus::{Access, BusError, HearAccess, HeardByAccess as Heard, Interest, Question};
use crossbeam_channel::{Receiver, unbounded};

use crate::support::directory::TemporaryDirectory;
use crate::support::nats::{BUS_PASSWORD, BUS_USER, NatsBus, NatsServer};
use crate::support::nats_raw::{RawNats, connections, poisons};
use crate::support::ports::free_port;
use crate::support::relay::Relay;
use crate::support::wait::{SOON, wait_until};

/// How long a server may be silent: five seconds after it was asked, which it is after two. The rest is for
/// a machine busy with other tests.
const SILENT: Duration = Duration::from_secs(8 + 4);

/// An access, and what is heard on it.
struct Application {
    access: Arc<dyn Access>,
    heard: Receiver<String>,
}

/// What is heard, as a line.
fn shown(heard: &Heard<'_>) -> String {
    let text = |body: &[u8]| match body.len() {
        0..100 => String::from_utf8_lossy(body).into_owned(),
        length => format!("{length} bytes"),
    };
    match heard {
        Heard::Answer { question, body } => format!("answer {question} {}", text(body)),
        Heard::Nobody(question) => format!("nobody {question}"),
        Heard::Event {
            subscription, body, ..
        } => format!("event {subscription} {}", text(body)),
        Heard::Announcement(body) => format!("announcement {}", text(body)),
        Heard::Dropped(subscription) => format!("dropped {subscription}"),
        Heard::Refused { subscription, why } => format!("refused {subscription} {why}"),
    }
}

fn connect(url: &str) -> Result<Application, BusError> {
    let (tell, heard) = unbounded();
    let hear: HearAccess = Arc::new(move |it| drop(tell.send(shown(&it))));
    let server = &servers(url).expect("a URL")[0];
    NatsAccess::connect(server, "application", &hear).map(|access| Application { access, heard })
}

impl Application {
    fn of(server: &NatsServer) -> Application {
        connect(&server.url()).expect("an access")
    }

    fn ask(&self, number: u64, subject: &str) {
        let question = Question {
            number,
            subject,
            body: b"{}",
        };
        self.access.ask(question).expect("asked");
    }

    fn subscribe(&self, number: u64, interest: &Interest) {
        let subscribed = self.access.subscribe(number, interest);
        subscribed.expect("subscribed");
    }

    fn heard(&self) -> String {
        self.heard.recv_timeout(SOON).expect("something is heard")
    }

    /// Whether it still hears: so far nothing else was.
    fn hears(&self, bus: &NatsBus, subscription: u64, subject: &str) {
        bus.publish(subject, b"still");
        assert_eq!(self.heard(), format!("event {subscription} still"));
    }
}

fn interest(subject: &str, below: bool, group: Option<&str>) -> Interest {
    Interest {
        subject: subject.to_owned(),
        below,
        group: group.map(str::to_owned),
    }
}

/// The next message of `subscription`, answered with each of `answers`.
fn answer(subscription: &nats::Subscription, answers: &[&str]) -> nats::Message {
    let message = subscription.next_timeout(SOON).expect("a question");
    for answer in answers {
        message.respond(answer).expect("answered");
    }
    message
}

#[test]
fn asks_and_hears_every_answer() {
    let server = NatsServer::start();
    let application = Application::of(&server);
    let proxies = [
        NatsBus::connect(&server.url()),
        NatsBus::connect(&server.url()),
    ];
    let listen = |bus: &NatsBus| bus.subscribe("ari.get", None);
    let subscriptions = [listen(&proxies[0]), listen(&proxies[1])];
    application.ask(1, "ari.get");
    answer(&subscriptions[0], &["a", "b"]);
    answer(&subscriptions[1], &["c"]);
    let answers: BTreeSet<String> = (0..3).map(|_| application.heard()).collect();
    let expected = ["answer 1 a", "answer 1 b", "answer 1 c"].map(str::to_owned);
    assert_eq!(answers, BTreeSet::from(expected));
    // Several on their way, answered in another order.
    for number in 2..5 {
        application.ask(number, "ari.get");
    }
    let asked: Vec<nats::Message> = (0..3).map(|_| answer(&subscriptions[0], &[])).collect();
    for message in asked.iter().rev() {
        message.respond("x").expect("answered");
    }
    for number in [4, 3, 2] {
        assert_eq!(application.heard(), format!("answer {number} x"));
    }
}

#[test]
fn hears_that_nobody_is_there() {
    let server = NatsServer::start();
    let application = Application::of(&server);
    application.ask(1, "ari.get");
    assert_eq!(application.heard(), "nobody 1");
    let bus = NatsBus::connect(&server.url());
    let subscription = bus.subscribe("ari.get", None);
    application.ask(2, "ari.get");
    answer(&subscription, &["now"]);
    assert_eq!(application.heard(), "answer 2 now");
}

#[test]
fn pings_and_hears_announcements() {
    let server = NatsServer::start();
    let application = Application::of(&server);
    let bus = NatsBus::connect(&server.url());
    let pings = bus.subscribe("ari.ping", None);
    application.access.attend("ari.announce").expect("attended");
    application.access.attend("x.announce").expect("attended");
    application.access.ping("ari.ping").expect("pinged");
    pings.next_timeout(SOON).expect("a ping");
    bus.publish("ari.announce", b"one");
    bus.publish("x.announce", b"two");
    assert_eq!(application.heard(), "announcement one");
    assert_eq!(application.heard(), "announcement two");
}

#[test]
fn of_a_group_one_hears_each_message() {
    const MESSAGES: usize = 500;
    let server = NatsServer::start();
    let applications = [(); 2].map(|()| Application::of(&server));
    for application in &applications {
        application.subscribe(1, &interest("ari.event.app", true, Some("listeners")));
    }
    let bus = NatsBus::connect(&server.url());
    for number in 0..MESSAGES {
        bus.post("ari.event.app.node", number.to_string().as_bytes());
    }
    bus.flush();
    let mut heard = BTreeSet::new();
    for _ in 0..MESSAGES {
        let next = crossbeam_channel::select! {
            recv(applications[0].heard) -> it => it,
            recv(applications[1].heard) -> it => it,
            default(SOON) => panic!("{} of {MESSAGES}", heard.len()),
        };
        assert!(heard.insert(next.expect("it lives")), "twice");
    }
    assert!(applications.iter().all(|it| it.heard.is_empty()));
}

#[test]
fn subscribes_and_unsubscribes() {
    let server = NatsServer::start();
    let application = Application::of(&server);
    let access = &application.access;
    let bus = NatsBus::connect(&server.url());
    application.subscribe(1, &interest("e.app", true, None));
    application.subscribe(2, &interest("e.app", false, None));
    bus.publish("e.app.node", b"below");
    bus.publish("e.app", b"itself");
    bus.publish("e.other", b"neither");
    assert_eq!(application.heard(), "event 1 below");
    assert_eq!(application.heard(), "event 2 itself");
    access.unsubscribe(1);
    // By the time that this is there, that is not.
    application.subscribe(3, &interest("e.third", false, None));
    bus.publish("e.app.node", b"below");
    application.hears(&bus, 3, "e.third");
    application.hears(&bus, 2, "e.app");
    assert!(application.heard.is_empty());
}

/// A server with this configuration.
fn configured(directory: &TemporaryDirectory, configuration: &str) -> NatsServer {
    NatsServer::start_with(&["-c", &configure(directory, configuration)])
}

/// Writes the configuration; where it is.
fn configure(directory: &TemporaryDirectory, configuration: &str) -> String {
    let file = directory.path.join("nats.conf");
    fs::write(&file, configuration).expect("written");
    file.to_string_lossy().into_owned()
}

/// A configuration with a user `limited`, who may subscribe and publish to these.
fn limited(subscribe: &str, publish: &str) -> String {
    format!(
        "authorization {{ users: [\n\
         {{ user: {BUS_USER}, password: \"{BUS_PASSWORD}\" }}\n\
         {{ user: limited, password: limited, permissions: {{\n\
         subscribe: {{ {subscribe} }}, publish: {{ {publish} }} }} }}\n] }}\n"
    )
}

fn limited_url(server: &NatsServer) -> String {
    format!("nats://limited:limited@127.0.0.1:{}", server.port())
}

#[test]
fn large_events_are_whole_and_too_large_questions_are_not_asked() {
    let directory = TemporaryDirectory::new();
    let server = configured(&directory, "max_payload: 4194304\n");
    let application = Application::of(&server);
    let access = &application.access;
    application.subscribe(1, &interest("e", true, None));
    let bus = NatsBus::connect(&server.url());
    let large = vec![b'x'; 2 * 1024 * 1024];
    bus.publish("e.large", &large);
    assert_eq!(application.heard(), "event 1 2097152 bytes");
    let subscription = bus.subscribe("ari.get", None);
    let ask = |body: &[u8]| {
        access.ask(Question {
            number: 1,
            subject: "ari.get",
            body,
        })
    };
    ask(&large).expect("asked");
    let message = answer(&subscription, &["seen"]);
    assert_eq!(message.data.len(), large.len());
    assert_eq!(application.heard(), "answer 1 seen");
    let (size, limit) = (4_194_305, 4_194_304);
    assert_eq!(
        ask(&vec![b'x'; size]),
        Err(BusError::TooLarge { size, limit })
    );
    application.hears(&bus, 1, "e.more");
}

#[test]
fn what_is_not_permitted_is_told() {
    let directory = TemporaryDirectory::new();
    let permitted = limited(r#"allow: ["_INBOX.>", "e.>"]"#, r#"deny: ["ari.>"]"#);
    let server = configured(&directory, &permitted);
    let application = connect(&limited_url(&server)).expect("an access");
    let access = &application.access;
    application.subscribe(1, &interest("e", true, None));
    for group in [None, Some("g")] {
        let denied = access.subscribe(2, &interest("secret", true, group));
        let Err(BusError::Denied { what, why }) = denied else {
            panic!("{denied:?}");
        };
        assert_eq!(what, "subscribe to secret.>");
        assert!(why.contains("Permissions Violation"), "{why}");
    }
    let denied = access.attend("ari.announce");
    assert!(matches!(denied, Err(BusError::Denied { .. })), "{denied:?}");
    // Who may not ask may go on listening.
    application.ask(1, "ari.get");
    let bus = NatsBus::connect(&server.url());
    application.hears(&bus, 1, "e.x");
    assert!(!access.is_lost());
}

#[test]
fn without_answers_there_is_no_access() {
    let directory = TemporaryDirectory::new();
    let permitted = limited(r#"deny: ["_INBOX.>"]"#, r#"allow: [">"]"#);
    let server = configured(&directory, &permitted);
    let Err(error) = connect(&limited_url(&server)) else {
        panic!("an access");
    };
    assert!(matches!(error, BusError::Denied { .. }), "{error}");
    let stranger = format!("nats://nobody:wrong@127.0.0.1:{}", server.port());
    let Err(error) = connect(&stranger) else {
        panic!("an access");
    };
    assert!(matches!(error, BusError::Refused { .. }), "{error}");
}

#[test]
fn what_is_not_permitted_any_more_is_told() {
    let directory = TemporaryDirectory::new();
    let permitted = limited(r#"allow: [">"]"#, r#"allow: [">"]"#);
    let server = configured(&directory, &permitted);
    let application = connect(&limited_url(&server)).expect("an access");
    let access = &application.access;
    application.subscribe(1, &interest("e", true, None));
    application.subscribe(2, &interest("f", true, None));
    application.subscribe(3, &interest("f", true, Some("g")));
    configure(&directory, &limited(r#"deny: ["f.>"]"#, r#"allow: [">"]"#));
    server.reload();
    let mut refused = [application.heard(), application.heard()];
    refused.sort();
    for (told, number) in refused.iter().zip([2, 3]) {
        assert!(
            told.starts_with(&format!("refused {number} Perm")),
            "{told}"
        );
    }
    let bus = NatsBus::connect(&server.url());
    application.hears(&bus, 1, "e.x");
    configure(
        &directory,
        &limited(r#"deny: ["_INBOX.>"]"#, r#"allow: [">"]"#),
    );
    server.reload();
    assert!(access.lost().recv_timeout(SOON).is_err(), "without answers");
}

#[test]
fn a_server_that_is_killed() {
    let mut server = NatsServer::start();
    let application = Application::of(&server);
    let access = &application.access;
    assert!(!access.is_lost());
    server.kill();
    let lost = access.lost().recv_timeout(SOON);
    assert_eq!(lost, Err(crossbeam_channel::RecvTimeoutError::Disconnected));
    assert!(access.is_lost());
    let subscribed = access.subscribe(1, &interest("e", true, None));
    assert_eq!(subscribed, Err(BusError::Lost));
    access.unsubscribe(1);
    access.forget(1, true);
}

#[test]
fn a_server_that_is_silent() {
    let server = NatsServer::start();
    let applications = [Application::of(&server), Application::of(&server)];
    server.pause();
    // One waits for it, once it has stopped; one does not.
    let waits = &applications[0].access;
    let failed = (1..).find_map(|number| waits.subscribe(number, &interest("e", true, None)).err());
    assert!(
        matches!(failed, Some(BusError::Lost | BusError::Hangs(_))),
        "{failed:?}"
    );
    for application in &applications {
        let lost = application.access.lost().recv_timeout(SILENT);
        assert_eq!(lost, Err(crossbeam_channel::RecvTimeoutError::Disconnected));
    }
}

#[test]
fn who_asks_a_server_that_does_not_read_is_not_held_up_for_ever() {
    let server = NatsServer::start();
    let relay = Relay::start(server.port());
    let application = connect(&server.url_by(relay.port())).expect("an access");
    relay.stall();
    let body = vec![b'x'; 256 * 1024];
    let lost = loop {
        let asked = application.access.ask(Question {
            number: 1,
            subject: "ari.get",
            body: &body,
        });
        if asked.is_err() {
            break asked;
        }
    };
    assert_eq!(lost, Err(BusError::Lost));
}

#[test]
fn what_others_publish_ends_nothing() {
    let server = NatsServer::start();
    let application = Application::of(&server);
    let access = &application.access;
    application.subscribe(1, &interest("ari.get", false, None));
    application.subscribe(2, &interest("e", true, None));
    access.attend("ari.announce").expect("attended");
    let bus = NatsBus::connect(&server.url());
    let mut stranger = RawNats::connect(server.port());
    for (what, poison) in poisons() {
        stranger.say(&poison);
        assert_eq!(application.heard(), "event 1 {}", "{what}");
    }
    // A subject that is none; a status that only a server says; a body that looks like the protocol.
    stranger.say(b"PUB e.\xff\xfe 1\r\nx\r\n");
    stranger.say(b"HPUB e.x 16 16\r\nNATS/1.0 503\r\n\r\n\r\n");
    stranger.say(b"PUB e.x 7\r\n-ERR 'x\r\n");
    stranger.say(b"PUB ari.announce 2\r\n\xff\0\r\n");
    for expected in [
        "event 2 x",
        "event 2 ",
        "event 2 -ERR 'x",
        "announcement \u{fffd}\0",
    ] {
        assert_eq!(application.heard(), expected);
    }
    // Who has seen a question knows where answers go.
    let subscription = bus.subscribe("ari.data", None);
    application.ask(7, "ari.data");
    let message = answer(&subscription, &[]);
    let reply = message.reply.clone().expect("a reply subject");
    let inbox = reply.strip_suffix('7').expect("the number of the question");
    for token in [
        &b"x"[..],
        b"\xff",
        b"-7",
        b"99999999999999999999",
        "\u{a0}".as_bytes(),
    ] {
        stranger.say(&[b"PUB ", inbox.as_bytes(), token, b" 1\r\nx\r\n"].concat());
    }
    message.respond("answer").expect("answered");
    assert_eq!(application.heard(), "answer 7 answer");
    application.hears(&bus, 2, "e.x");
    assert!(!access.is_lost() && application.heard.is_empty());
}

#[test]
fn an_access_that_is_dropped_is_gone() {
    let monitor = free_port();
    let server = NatsServer::start_with(&["-m", &monitor.to_string()]);
    let application = Application::of(&server);
    assert_eq!(connections(monitor, "application").len(), 1);
    drop(application);
    wait_until("it is gone", SOON, || {
        connections(monitor, "application").is_empty()
    });
}
