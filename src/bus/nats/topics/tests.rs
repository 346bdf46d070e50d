//! The topics of dialogs before a server that is played.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread;

use crossbeam_channel::{Receiver, bounded, unbounded};

use super::*;
use crate::bus::link::LARGEST_REQUEST;
use crate::bus::nats::protocol::{LONGEST, PING, PONG};
use crate::bus::nats::said::Lines;
use crate::bus::nats::socket::Socket;

/// How long a test waits for what should happen soon.
const SOON: Duration = Duration::from_secs(10);
/// How long somebody waits at most who waits for nothing.
const AT_ONCE: Duration = Duration::from_secs(2);

fn limits(headers: bool) -> Limits {
    Limits {
        largest: 1024 * 1024,
        headers,
    }
}

/// Both sides of a connection.
struct Set {
    outgoing: Arc<Outgoing<Listening>>,
    server: BufReader<TcpStream>,
}

/// What is heard of topics.
fn ear() -> (Hear, Receiver<Heard>) {
    let (tell, heard) = unbounded();
    (Box::new(move |it| drop(tell.send(it))), heard)
}

impl Set {
    fn connected() -> Set {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let tcp = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let server = listener.accept().unwrap().0;
        server.set_read_timeout(Some(SOON)).unwrap();
        Set {
            outgoing: Outgoing::start(Socket::plain(tcp), Lines::of_messages(LARGEST_REQUEST))
                .unwrap(),
            server: BufReader::new(server),
        }
    }

    fn topics(&self, headers: bool) -> (NatsTopics, Receiver<Heard>) {
        let (hear, heard) = ear();
        let group = Some("g");
        let topics = NatsTopics::start(&self.outgoing, limits(headers), group, hear);
        (topics.unwrap(), heard)
    }

    /// The next line that does not only ask what is taken; that is answered.
    fn line(&mut self) -> String {
        loop {
            let mut line = String::new();
            assert!(self.server.read_line(&mut line).unwrap() > 0, "the end");
            if line.as_bytes() != PING {
                return line.trim_end().to_owned();
            }
            self.say(PONG);
        }
    }

    /// The inbox that is subscribed to next, up to the number of an offer.
    fn inbox(&mut self) -> String {
        let line = self.line();
        let inbox = line
            .strip_prefix("SUB _INBOX.")
            .and_then(|it| it.split_once('*'));
        format!("_INBOX.{}", inbox.unwrap().0)
    }

    /// Takes the next message and the PING that follows it, which is not answered: its first line.
    fn offer(&mut self) -> String {
        let line = self.line();
        let size: usize = line.rsplit(' ').next().unwrap().parse().unwrap();
        let mut rest = vec![0; size + 2 + PING.len()];
        self.server.read_exact(&mut rest).unwrap();
        assert!(rest.ends_with(b"\r\nPING\r\n"));
        line
    }

    /// The same of one that is offered on `app`: where its answers go.
    fn reply(&mut self) -> String {
        let line = self.offer();
        let rest = line.strip_prefix("PUB app ").unwrap();
        rest.split_once(' ').unwrap().0.to_owned()
    }

    fn say(&mut self, words: &[u8]) {
        self.server.get_mut().write_all(words).unwrap();
    }
}

/// What a server says when nobody listens.
fn nobody(subject: &str) -> String {
    format!("HMSG {subject} 1 16 16\r\nNATS/1.0 503\r\n\r\n\r\n")
}

fn next(heard: &Receiver<Heard>) -> Heard {
    heard.recv_timeout(SOON).unwrap()
}

#[test]
fn what_becomes_of_offers() {
    let mut set = Set::connected();
    let (mut topics, heard) = set.topics(true);
    let inbox = set.inbox();
    let publish =
        |subject| format!("-ERR 'Permissions Violation for Publish to \"{subject}\"'\r\n");
    let none = String::new();
    let stranger = |head: &str| format!("HMSG SELF 1 {head}\r\n\r\n\r\n");
    // Of what is over, what is not there, and what is none.
    let others = ["0", "00", "", "x", "ffffffffffffffffff", "\u{fc}"];
    let others = others.map(|other| nobody(&format!("{inbox}{other}")));
    let mut last = String::new();
    for (number, said, taken) in [
        (1, none.clone(), true),
        (2, nobody("SELF"), false),
        (3, nobody("SELF").repeat(2), false),
        (4, nobody("LAST") + &others.concat() + &nobody("x"), true),
        (5, "MSG SELF 1 3\r\n503\r\n".to_owned(), true),
        (6, stranger("16 16\r\nNATS/1.0 100"), true),
        (7, publish("app"), false),
        (8, publish("other"), true),
        // Who has seen that of the last can count.
        (
            9,
            (0..20).map(|it| nobody(&format!("{inbox}{it}"))).collect(),
            true,
        ),
    ] {
        topics.offer("app", b"{}", SOON, number).unwrap();
        topics.attend();
        let own = set.reply();
        assert!(own.starts_with(&inbox), "{own}");
        let said = said.replace("SELF", &own).replace("LAST", &last);
        last = own;
        set.say(said.as_bytes());
        set.say(PONG);
        let expected = match taken {
            true => Heard::Taken(number),
            false => Heard::Nobody(number),
        };
        assert_eq!(next(&heard), expected);
    }
    // Several on their way.
    for number in 10..14 {
        topics.offer("app", b"", SOON, number).unwrap();
    }
    topics.attend();
    let [_, second, third, _] = [(); 4].map(|()| set.reply());
    let said = ["", &nobody(&second), &nobody(&third), ""].join("PONG\r\n") + "PONG\r\n";
    set.say(said.as_bytes());
    let expected = [
        Heard::Taken(10),
        Heard::Nobody(11),
        Heard::Nobody(12),
        Heard::Taken(13),
    ];
    assert_eq!([(); 4].map(|()| next(&heard)), expected);
    assert!(heard.is_empty());
}

#[test]
fn servers_that_do_not_say_that_nobody_listens() {
    let mut set = Set::connected();
    let (mut topics, heard) = set.topics(false);
    topics.offer("app", b"x", SOON, 1).unwrap();
    topics.attend();
    assert_eq!(set.offer(), "PUB app 1");
    set.say(PONG);
    assert_eq!(next(&heard), Heard::Taken(1));
    drop(topics);
    let (mut topics, heard) = set.topics(true);
    let inbox = set.inbox();
    let refused = "-ERR 'Permissions Violation for Subscription to";
    set.say(format!("{refused} \"{inbox}*\"'\r\n").as_bytes());
    topics.offer("app", b"x", SOON, 2).unwrap();
    topics.attend();
    set.offer();
    set.say(PONG);
    assert_eq!(next(&heard), Heard::Taken(2));
    topics.open("d").unwrap();
    topics.attend();
    set.line();
    set.say(format!("{refused} \"commands_d\" using queue \"g\"'\r\n").as_bytes());
    let Heard::Refused { dialog, why } = next(&heard) else {
        panic!("refused");
    };
    assert_eq!(dialog, "d");
    assert!(why.contains("Violation"), "{why}");
}

#[test]
fn commands() {
    let mut set = Set::connected();
    let (mut topics, heard) = set.topics(true);
    set.inbox();
    let command = |dialog: &str, body: &[u8]| Heard::Command {
        dialog: dialog.to_owned(),
        body: body.to_vec(),
        redelivered: false,
    };
    for dialog in ["a", "b", "a"] {
        topics.open(dialog).unwrap();
    }
    topics.offer("app", b"", SOON, 1).unwrap();
    topics.attend();
    assert_eq!(set.line(), "SUB commands_a g 2");
    assert_eq!(set.line(), "SUB commands_b g 3");
    set.offer();
    set.say(
        b"MSG commands_b 3 1\r\n1\r\nMSG commands_x 7 1\r\nx\r\nMSG \xff 2 \xff.to 2\r\n\xff2\r\n",
    );
    set.say(b"HMSG commands_b 3 to 14 15\r\nNATS/1.0\r\nA:\r\n3\r\n");
    assert_eq!(next(&heard), command("b", b"1"));
    assert_eq!(next(&heard), command("a", b"\xff2"));
    assert_eq!(next(&heard), command("b", b"3"));
    let size = 3 * LARGEST_REQUEST;
    set.say(format!("MSG commands_a 2 {size}\r\n").as_bytes());
    set.say(&vec![b'x'; size]);
    set.say(b"\r\n");
    assert_eq!(next(&heard), command("a", &vec![b'x'; LARGEST_REQUEST + 1]));
    // One that ends, and begins again.
    topics.close("a");
    topics.close("a");
    topics.close("never there");
    topics.open("a").unwrap();
    topics.attend();
    assert_eq!(set.line(), "UNSUB 2");
    assert_eq!(set.line(), "SUB commands_a g 4");
    set.say(b"MSG commands_a 2 1\r\no\r\nMSG commands_a 4 1\r\nn\r\n");
    assert_eq!(next(&heard), command("a", b"n"));
    for bad in [
        "",
        "a b",
        "a\r\nPING",
        "a.*",
        "a.>",
        &"d".repeat(LONGEST + 1),
    ] {
        let refused = matches!(topics.open(bad), Err(BusError::Subject(_)));
        assert!(refused || bad.is_empty(), "{bad:?}");
        let refused = topics.offer(bad, b"", SOON, 2);
        assert!(matches!(refused, Err(BusError::Subject(_))), "{bad:?}");
    }
    let much = vec![0; 1024 * 1024 + 1];
    let refused = topics.offer("app", &much, SOON, 3);
    assert!(matches!(refused, Err(BusError::TooLarge { .. })));
}

#[test]
fn who_is_gone_hears_nothing_and_who_comes_then_hears_its_own() {
    let mut set = Set::connected();
    let (mut topics, heard) = set.topics(true);
    let inbox = set.inbox();
    topics.open("a").unwrap();
    topics.offer("app", b"", SOON, 1).unwrap();
    topics.attend();
    assert_eq!(set.line(), "SUB commands_a g 2");
    set.offer();
    drop(topics);
    let mut ends = [set.line(), set.line()];
    ends.sort();
    assert_eq!(ends, ["UNSUB 1", "UNSUB 2"]);
    let (mut topics, news) = set.topics(true);
    let other = set.inbox();
    assert_ne!(inbox, other);
    topics.open("a").unwrap();
    topics.offer("app", b"", SOON, 1).unwrap();
    topics.attend();
    assert_eq!(set.line(), "SUB commands_a g 4");
    let own = set.reply();
    assert!(own.starts_with(&other));
    // Late for the first, and of no interest to the second.
    set.say(b"MSG commands_a 2 1\r\no\r\nPONG\r\n");
    set.say(nobody(&own).replace(" 1 16", " 3 16").as_bytes());
    set.say(PONG);
    assert_eq!(next(&news), Heard::Nobody(1));
    assert!(news.is_empty() && heard.try_recv().is_err());
    set.outgoing.end();
    assert_eq!(topics.open("b"), Err(BusError::Lost));
    assert_eq!(topics.open("a"), Err(BusError::Lost));
    assert_eq!(topics.offer("app", b"", SOON, 2), Err(BusError::Lost));
    topics.close("a");
    topics.attend();
    let again = NatsTopics::start(&set.outgoing, limits(true), None, ear().0);
    assert_eq!(again.err(), Some(BusError::Lost));
}

#[test]
fn a_server_that_does_not_read_holds_nobody_up() {
    let mut set = Set::connected();
    let (mut topics, heard) = set.topics(true);
    set.inbox();
    // More than sockets hold: who writes it waits.
    set.outgoing
        .put("s", "", &vec![0; 32 * 1024 * 1024])
        .unwrap();
    topics.open("a").unwrap();
    topics.attend();
    let mut first = [0; 64];
    set.server.read_exact(&mut first).unwrap();
    let (over, ended) = bounded(1);
    let working = thread::spawn(move || {
        assert_eq!(topics.offer("app", b"", SOON, 1), Err(BusError::Busy));
        for number in 0..5_000 {
            topics.open(&format!("d{number}")).unwrap();
            topics.attend();
        }
        for number in 0..5_000 {
            topics.close(&format!("d{number}"));
            topics.attend();
        }
        drop(topics);
        let _ = over.send(());
    });
    let in_time = ended.recv_timeout(AT_ONCE);
    set.outgoing.end();
    working.join().unwrap();
    assert_eq!(in_time, Ok(()));
    assert!(heard.is_empty());
}

#[test]
fn what_is_busy_has_room_again() {
    let mut set = Set::connected();
    let (mut topics, heard) = set.topics(true);
    set.inbox();
    let body = vec![b'x'; 64 * 1024];
    let mut offered = 0;
    while topics.offer("app", &body, SOON, offered) != Err(BusError::Busy) {
        offered += 1;
    }
    assert!((10..100).contains(&offered), "{offered}");
    topics.attend();
    for number in 0..offered {
        set.offer();
        set.say(PONG);
        assert_eq!(next(&heard), Heard::Taken(number));
    }
    topics.offer("app", &body, SOON, offered).unwrap();
    topics.attend();
    set.offer();
}
