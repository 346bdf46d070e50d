//! The access of an application before a server that is played.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use crossbeam_channel::unbounded;

use super::*;
use crate::bus::HeardByAccess as Heard;
use crate::bus::nats::protocol::{LONGEST, PONG};
use crate::bus::nats::said::Lines;
use crate::bus::nats::socket::Socket;

/// How long a test waits for what should happen soon.
const SOON: Duration = Duration::from_secs(10);

/// What a server says to a question that nobody listens for.
const NOBODY: &str = "16 16\r\nNATS/1.0 503\r\n\r\n\r\n";

/// Both sides of a connection.
struct Set {
    access: NatsAccess,
    server: Server,
    heard: Receiver<String>,
}

/// The played server; what a client says, line by line.
struct Server(BufReader<TcpStream>);

impl Server {
    /// The next line that is no PING; those are answered.
    fn line(&mut self) -> String {
        loop {
            let line = self.any_line();
            if line != "PING" {
                return line;
            }
            self.say(PONG);
        }
    }

    fn any_line(&mut self) -> String {
        let mut line = String::new();
        assert!(self.0.read_line(&mut line).unwrap() > 0, "the end");
        line.trim_end().to_owned()
    }

    /// The next line, which a PING follows that is not answered.
    fn line_and_ping(&mut self) -> String {
        let line = self.line();
        assert_eq!(self.any_line(), "PING");
        line
    }

    fn body(&mut self, size: usize) -> Vec<u8> {
        let mut body = vec![0; size + 2];
        self.0.read_exact(&mut body).unwrap();
        assert!(body.ends_with(b"\r\n"));
        body.truncate(size);
        body
    }

    fn say(&mut self, words: impl AsRef<[u8]>) {
        self.0.get_mut().write_all(words.as_ref()).unwrap();
    }

    /// Says that a subscription is not had, before it takes it.
    fn refuse(&mut self, subject: &str) {
        self.say(format!(
            "-ERR 'Permissions Violation for Subscription to {subject}'\r\n"
        ));
    }
}

/// What is heard, as one line.
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

fn ear() -> (HearAccess, Receiver<String>) {
    let (tell, heard) = unbounded();
    let hear = Arc::new(move |it: Heard<'_>| drop(tell.send(shown(&it))));
    (hear, heard)
}

/// Runs `ask` while the server does `serve`.
fn both<A: Send, B>(ask: impl FnOnce() -> A + Send, serve: impl FnOnce() -> B) -> (A, B) {
    thread::scope(|scope| {
        let asking = scope.spawn(ask);
        let served = serve();
        (asking.join().unwrap(), served)
    })
}

/// An access that has begun, or what it says instead; what the server says to its first subscription.
fn begun(refusal: &str) -> (Result<NatsAccess, BusError>, Server, Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let tcp = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let socket = listener.accept().unwrap().0;
    socket.set_read_timeout(Some(SOON)).unwrap();
    let mut server = Server(BufReader::new(socket));
    let (hear, heard) = ear();
    let outgoing = Outgoing::start(Socket::plain(tcp), Lines::of_messages(LARGEST)).unwrap();
    let (access, ()) = both(
        || NatsAccess::start(outgoing, 100, "there".to_owned(), &hear),
        || {
            let line = server.line_and_ping();
            let rest = line.strip_prefix("SUB _INBOX.").unwrap();
            assert!(rest.ends_with(".* 1"), "{line}");
            server.say(refusal.replace("INBOX", line.split(' ').nth(1).unwrap()));
            server.say(PONG);
        },
    );
    (access, server, heard)
}

impl Set {
    fn start() -> Set {
        let (access, server, heard) = begun("");
        Set {
            access: access.unwrap(),
            server,
            heard,
        }
    }

    fn heard(&self) -> String {
        self.heard.recv_timeout(SOON).unwrap()
    }

    /// Subscribes; what the server read of that, which says `refusal`, if anything, before it takes it.
    fn subscribe(
        &mut self,
        number: u64,
        interest: &Interest,
        refusal: &str,
    ) -> (Result<(), BusError>, String) {
        let Set { access, server, .. } = self;
        both(
            || access.subscribe(number, interest),
            || {
                let line = server.line_and_ping();
                if !refusal.is_empty() {
                    server.refuse(refusal);
                }
                server.say(PONG);
                line
            },
        )
    }
}

fn interest(subject: &str, below: bool, group: Option<&str>) -> Interest {
    Interest {
        subject: subject.to_owned(),
        below,
        group: group.map(str::to_owned),
    }
}

fn question(number: u64, subject: &str) -> Question<'_> {
    Question {
        number,
        subject,
        body: b"body",
    }
}

#[test]
fn answers_and_that_nobody_is_there() {
    let mut set = Set::start();
    set.access.ask(question(7, "ari.get")).unwrap();
    let line = set.server.line();
    assert_eq!(set.server.body(4), b"body");
    let words: Vec<&str> = line.split(' ').collect();
    let ["PUB", "ari.get", reply, "4"] = words[..] else {
        panic!("{line}");
    };
    let inbox = reply.strip_suffix('7').unwrap();
    let say = |server: &mut Server, to: &str, body: &str| {
        server.say(format!("MSG {to} 1 {}\r\n{body}\r\n", body.len()));
    };
    say(&mut set.server, reply, "one");
    say(&mut set.server, reply, "two");
    set.server.say(format!("HMSG {reply} 1 {NOBODY}"));
    // What is for no question, and what nobody could have been asked for.
    for other in ["", "x", "7.8", "-1", "18446744073709551616", "7\u{e9}"] {
        say(&mut set.server, &format!("{inbox}{other}"), "stray");
    }
    say(&mut set.server, "_INBOX.other.7", "stray");
    set.server
        .say(b"MSG \xff\xfe 1 \xff 5\r\n\xff\xfe\r\n0\r\n");
    set.server.say(b"MSG gone 77 0\r\n\r\n");
    let head = "NATS/1.0 503 \u{e9}\r\nX: \u{7}\r\n\r\n";
    let sizes = format!("HMSG {inbox}8 1 {} {}\r\n", head.len(), head.len() + 1);
    set.server.say(format!("{sizes}{head}x\r\n"));
    say(&mut set.server, &format!("{inbox}9"), "");
    for expected in [
        "answer 7 one",
        "answer 7 two",
        "nobody 7",
        "nobody 8",
        "answer 9 ",
    ] {
        assert_eq!(set.heard(), expected);
    }
    assert!(set.heard.is_empty() && !set.access.is_lost());
}

#[test]
fn what_cannot_be_asked_or_subscribed_to() {
    let set = Set::start();
    let long = "l".repeat(LONGEST + 1);
    for bad in ["", "a b", "a\r\nPING", "a.*", "a.>", "a.", long.as_str()] {
        let refused = Err(BusError::Subject(bad.to_owned()));
        assert_eq!(set.access.ask(question(1, bad)), refused);
        assert_eq!(set.access.ping(bad), refused);
        assert_eq!(set.access.attend(bad), refused);
        assert_eq!(
            set.access.subscribe(1, &interest(bad, false, None)),
            refused
        );
        let grouped = interest("a", true, Some(bad));
        assert_eq!(set.access.subscribe(1, &grouped), refused);
    }
    let body = [b'x'; 101];
    let large = Question {
        body: &body,
        ..question(1, "a")
    };
    let (size, limit) = (101, 100);
    assert_eq!(
        set.access.ask(large),
        Err(BusError::TooLarge { size, limit })
    );
    set.access.unsubscribe(1);
    set.access.close();
    assert_eq!(set.access.ask(question(1, "a")), Err(BusError::Lost));
    assert_eq!(set.access.attend("a"), Err(BusError::Lost));
    assert!(set.access.lost().recv_timeout(SOON).is_err());
    assert!(set.access.is_lost());
}

#[test]
fn subscriptions() {
    let mut set = Set::start();
    let (taken, line) = set.subscribe(40, &interest("e.app", true, Some("g")), "");
    assert_eq!((taken, line.as_str()), (Ok(()), "SUB e.app.> g 2"));
    let (taken, line) = set.subscribe(41, &interest("e.app", false, None), "");
    assert_eq!((taken, line.as_str()), (Ok(()), "SUB e.app 3"));
    let (attended, line) = {
        let Set { access, server, .. } = &mut set;
        both(
            || access.attend("ann"),
            || {
                let line = server.line_and_ping();
                server.say(PONG);
                line
            },
        )
    };
    assert_eq!((attended, line.as_str()), (Ok(()), "SUB ann 4"));
    set.access.ping("p").unwrap();
    assert_eq!(set.server.line(), "PUB p 2");
    assert_eq!(set.server.body(2), b"{}");
    set.server
        .say(b"MSG e.app.x 2 3\r\none\r\nMSG ann 4 to 5\r\nthere\r\nMSG e.app 3 3\r\ntwo\r\n");
    assert_eq!(set.heard(), "event 40 one");
    assert_eq!(set.heard(), "announcement there");
    assert_eq!(set.heard(), "event 41 two");
    // What is on its way when it ends is heard, as it was for nobody else.
    set.access.unsubscribe(40);
    set.access.unsubscribe(40);
    set.access.unsubscribe(99);
    assert_eq!(set.server.line_and_ping(), "UNSUB 2");
    set.server
        .say(b"MSG e.app.x 2 4\r\nlate\r\nPONG\r\nMSG e.app.x 2 7\r\ntoolate\r\n");
    set.server.say(b"MSG e.app 3 4\r\nmore\r\n");
    assert_eq!(set.heard(), "event 40 late");
    assert_eq!(set.heard(), "event 41 more");
    assert!(set.heard.is_empty());
    // For answers, announcements, and one for events.
    assert_eq!(set.access.subscriptions.count(), 3);
}

#[test]
fn what_is_too_large_is_dropped() {
    let mut set = Set::start();
    set.subscribe(5, &interest("e", true, None), "").0.unwrap();
    for (size, expected) in [
        (LARGEST, format!("event 5 {LARGEST} bytes")),
        (LARGEST + 1, "dropped 5".to_owned()),
        (2 * LARGEST, "dropped 5".to_owned()),
        (0, "event 5 ".to_owned()),
    ] {
        set.server.say(format!("MSG e.x 2 {size}\r\n"));
        set.server.say(vec![b'x'; size]);
        set.server.say(b"\r\n");
        assert_eq!(set.heard(), expected);
    }
}

#[test]
fn refusals() {
    let (access, _server, _heard) =
        begun("-ERR 'Permissions Violation for Subscription to \"INBOX\"'\r\n");
    let Err(BusError::Denied { what, .. }) = access else {
        panic!("denied");
    };
    assert!(what.contains("_INBOX."), "{what}");
    let mut set = Set::start();
    let denied = |what: &str, why: &str| {
        Err(BusError::Denied {
            what: format!("subscribe to {what}"),
            why: format!("Permissions Violation for Subscription to {why}"),
        })
    };
    let (plain, group) = (interest("s", true, None), interest("s", true, Some("g")));
    let queue = r#""s.>" using queue "g""#;
    // One does not touch the other.
    set.subscribe(1, &plain, "").0.unwrap();
    let (refused, _) = set.subscribe(2, &group, queue);
    assert_eq!(refused, denied("s.>", queue));
    set.subscribe(3, &group, r#""other""#).0.unwrap();
    let (refused, _) = set.subscribe(4, &plain, r#""s.>""#);
    assert_eq!(refused, denied("s.>", r#""s.>""#));
    set.server
        .say("-ERR 'Permissions Violation for Publish to \"s.>\"'\r\n");
    set.server
        .say("MSG s.x 2 0\r\n\r\nMSG s.x 4 0\r\n\r\nMSG s.x 3 0\r\n\r\n");
    assert_eq!(set.heard(), "event 1 ");
    assert_eq!(set.heard(), "event 3 ");
    // Afterwards a server names no group, but the number.
    let why = |sid: u64| format!("\"s.>\" (sid \"{sid}\")");
    for (sid, number) in [(4, 3), (2, 1)] {
        set.server.refuse(&why(sid));
        let told = format!("Permissions Violation for Subscription to {}", why(sid));
        assert_eq!(set.heard(), format!("refused {number} {told}"));
        set.server.refuse(&why(sid));
    }
    set.server.refuse(&why(99));
    set.subscribe(6, &plain, "").0.unwrap();
    set.server.refuse(r#""s.>""#);
    assert!(set.heard().starts_with("refused 6 "));
    assert!(set.heard.is_empty() && !set.access.is_lost());
    // Without answers it is of no use.
    let inbox = set.access.inbox.clone();
    set.server.refuse(&format!("\"{inbox}*\""));
    assert!(set.access.lost().recv_timeout(SOON).is_err());
    let why = set.access.why().unwrap();
    assert!(why.contains("_INBOX."), "{why}");
}

#[test]
fn a_server_that_does_not_read_does_not_hold_up_who_unsubscribes() {
    let mut set = Set::start();
    set.subscribe(5, &interest("e", true, None), "").0.unwrap();
    let body = vec![0; 32 * 1024 * 1024];
    set.access.outgoing.put("s", "", &body).unwrap();
    let (over, ended) = crossbeam_channel::bounded(1);
    let access = Arc::new(set.access);
    let ending = Arc::clone(&access);
    let ending = thread::spawn(move || {
        ending.unsubscribe(5);
        let _ = over.send(());
    });
    let in_time = ended.recv_timeout(Duration::from_secs(2));
    access.close();
    ending.join().unwrap();
    assert_eq!(in_time, Ok(()));
}

#[test]
fn who_ends_what_has_just_begun_is_heard_after_it() {
    let mut set = Set::start();
    let Set { access, server, .. } = &mut set;
    let ending = AtomicBool::new(false);
    thread::scope(|scope| {
        let hand_over = || {
            scope.spawn(|| {
                ending.store(true, Ordering::Relaxed);
                access.unsubscribe(7);
            });
            while !ending.load(Ordering::Relaxed) {
                thread::yield_now();
            }
            // It may go on, as far as it can.
            (0..1_000).for_each(|_| thread::yield_now());
            let put = |out: &mut Vec<u8>| protocol::put_sub(out, "e", None, 9);
            access.outgoing.say(put)
        };
        let purpose = Purpose::Events(7);
        let handed = access.subscriptions.add(9, purpose, "e", None, hand_over);
        assert_eq!(handed, Ok(()));
    });
    assert_eq!(server.line(), "SUB e 9");
    assert_eq!(server.line(), "UNSUB 9");
}
