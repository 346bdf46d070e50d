//! Both connections of an access, with a broker that says what a test has it say.

use std::io::Read;
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;

use crossbeam_channel::{Receiver, unbounded};

use super::asks::Asks;
use super::hears::Hears;
use super::loss::{Loss, Side, Watched};
use super::methods::{Acknowledged, Call};
use crate::bus::access::{Claim, Heard};
use crate::bus::rabbitmq::message::{
    BODY, EVENT_EXPIRATION, HEADER, METHOD, Message, put_ack, put_text,
};
use crate::bus::rabbitmq::payloads::Notice;
use crate::bus::rabbitmq::stream::Listener;
use crate::bus::rabbitmq::writer::Writer;
use crate::bus::{BusError, HearAccess, Interest, Question};

/// The channels that the broker allows, and the first that is for a group then.
const CHANNELS: u16 = 2047;
const OF_GROUP: u16 = 258;

/// What was heard, in words, and the claims.
type Came = (String, Option<Claim>);

/// A connection.
struct Wire {
    writer: Arc<Writer>,
    broker: TcpStream,
    hear: HearAccess,
    heard: Receiver<Came>,
    loss: Arc<Loss>,
}

impl Wire {
    fn new() -> Wire {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let socket = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        socket.set_nonblocking(true).unwrap();
        let (broker, _) = listener.accept().unwrap();
        let (came, heard) = unbounded();
        let hear: HearAccess = Arc::new(move |heard: Heard<'_>| {
            let words = format!("{heard:?}");
            let claim = match heard {
                Heard::Event { claim, .. } => claim,
                _ => None,
            };
            let _ = came.send((words, claim));
        });
        Wire {
            writer: Arc::new(Writer::new(socket, None).unwrap()),
            broker,
            hear,
            heard,
            loss: Loss::new().0,
        }
    }

    /// Expects that this was said, and no more.
    fn expect(&mut self, expected: &[u8]) {
        self.writer.flush();
        self.broker.set_nonblocking(true).unwrap();
        let mut said = Vec::new();
        // It ends in an error: nothing more is there.
        let _ = self.broker.read_to_end(&mut said);
        assert_eq!(said, expected, "{}", String::from_utf8_lossy(&said));
    }
}

fn begin(ears: &mut dyn Listener, wire: &Wire) {
    let limits = Notice::Limits {
        largest: None,
        channels: CHANNELS,
    };
    ears.hear(limits, &wire.writer);
}

/// Has a message come on `channel`.
fn deliver(ears: &mut dyn Listener, wire: &Wire, channel: u16, number: u64, body: &[u8]) {
    let mut method = vec![0, 60, 0, 60];
    put_text(&mut method, "reader");
    method.extend(number.to_be_bytes());
    method.push(0);
    put_text(&mut method, "ari.event");
    put_text(&mut method, "ari.event.app.id");
    let mut header = vec![0, 60, 0, 0];
    header.extend((body.len() as u64).to_be_bytes());
    header.extend([0, 0]);
    for (kind, payload) in [(METHOD, method), (HEADER, header), (BODY, body.to_vec())] {
        let notice = Notice::Ours {
            channel,
            kind,
            payload,
        };
        ears.hear(notice, &wire.writer);
    }
}

const A_CALL: &[u8] = br#"{"type":"StasisStart","channel":{"id":"c"}}"#;
const NO_CALL: &[u8] = br#"{"type":"ChannelVarset","channel":{"id":"c"}}"#;

#[test]
fn a_group_that_is_left_gets_no_call_twice() {
    let mut wire = Wire::new();
    let asks = Asks::new(&wire.hear, &wire.loss);
    let mut ears = asks.ears();
    begin(&mut *ears, &wire);
    let sorts = asks.sort(7, ("g", "g.calls"), None, &wire.writer);
    assert!(sorts.is_ok());
    deliver(&mut *ears, &wire, OF_GROUP, 1, NO_CALL);
    deliver(&mut *ears, &wire, OF_GROUP, 2, A_CALL);
    asks.end_sort(7, &wire.writer);
    // What still comes is for others. An acknowledgement would end the connection.
    deliver(&mut *ears, &wire, OF_GROUP, 3, NO_CALL);
    deliver(&mut *ears, &wire, OF_GROUP, 4, A_CALL);
    ears.pause(&wire.writer);
    let mut expected = Vec::new();
    Call::Open.put(OF_GROUP, &mut expected);
    Call::Window(256).put(OF_GROUP, &mut expected);
    Call::Read("g", Acknowledged(true)).put(OF_GROUP, &mut expected);
    let call = Message {
        exchange: "",
        key: "g.calls",
        mandatory: true,
        mark: None,
        correlation: None,
        reply: None,
        expiration: EVENT_EXPIRATION,
        id: None,
        body: A_CALL,
    };
    call.put(OF_GROUP, usize::MAX, &mut expected);
    put_ack(OF_GROUP, 2, true, &mut expected);
    Call::Close.put(OF_GROUP, &mut expected);
    wire.expect(&expected);
}

#[test]
fn a_call_is_for_who_takes_it() {
    let mut wire = Wire::new();
    let hears = Hears::new(&wire.hear, &wire.loss);
    let mut ears = hears.ears();
    begin(&mut *ears, &wire);
    let read = hears.read_calls("g.calls", 7, &wire.writer);
    assert!(read.is_ok());
    for number in 1..=3 {
        deliver(&mut *ears, &wire, 2, number, A_CALL);
    }
    let claims: Vec<Claim> = wire.heard.try_iter().filter_map(|came| came.1).collect();
    let [one, two, three] = claims.try_into().unwrap();
    drop(two);
    assert!(three.take());
    hears.end_calls(7, &wire.writer);
    assert!(!one.take());
    deliver(&mut *ears, &wire, 2, 4, A_CALL);
    assert!(wire.heard.is_empty(), "it is another's");
    let mut expected = Vec::new();
    Call::Open.put(2, &mut expected);
    Call::Window(1_000).put(2, &mut expected);
    Call::Read("g.calls", Acknowledged(true)).put(2, &mut expected);
    put_ack(2, 3, false, &mut expected);
    Call::Close.put(2, &mut expected);
    wire.expect(&expected);
}

#[test]
fn the_end_of_one_connection_is_that_of_both() {
    let (loss, gone) = Loss::new();
    let [asking, hearing] = [Side::Asking, Side::Hearing].map(|side| Watched {
        loss: Arc::clone(&loss),
        side,
    });
    assert!(!loss.is_lost() && loss.first().is_none());
    drop(hearing);
    assert!(loss.is_lost() && gone.recv().is_err());
    drop(asking);
    assert_eq!(loss.first(), Some(Side::Hearing));
    loss.blame("first".to_owned());
    loss.blame("second".to_owned());
    assert_eq!(loss.why().as_deref(), Some("first"));
}

#[test]
fn whatever_a_broker_says_does_no_harm() {
    let wire = Wire::new();
    let (asks, hears) = (
        Asks::new(&wire.hear, &wire.loss),
        Hears::new(&wire.hear, &wire.loss),
    );
    let mut all = [asks.ears(), hears.ears()];
    for ears in &mut all {
        begin(&mut **ears, &wire);
    }
    let interest = Interest {
        subject: "ari.event.app".to_owned(),
        below: true,
        group: None,
    };
    // Numbers in a row, from which the broker's words are made.
    let mut state: u64 = 7;
    let mut below = |end: usize| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (state >> 33) as usize % end
    };
    const METHODS: [[u8; 4]; 10] = [
        [0, 20, 0, 11],
        [0, 20, 0, 40],
        [0, 20, 0, 41],
        [0, 50, 0, 11],
        [0, 60, 0, 11],
        [0, 60, 0, 21],
        [0, 60, 0, 30],
        [0, 60, 0, 50],
        [0, 60, 0, 60],
        [0, 60, 0, 0],
    ];
    for number in 0..20_000 {
        match below(8) {
            0 => {
                let question = Question {
                    number,
                    subject: "ari.get",
                    body: b"",
                };
                let asked = asks.ask(&question, &wire.writer);
                assert!(matches!(asked, Ok(()) | Err(BusError::Busy)), "{asked:?}");
            }
            1 => asks.forget(below(20_000) as u64, below(2) == 0, &wire.writer),
            2 => hears.add(number, &interest),
            3 if number % 8 == 0 => {
                drop(asks.sort(number, ("g", "g.calls"), None, &wire.writer));
                drop(hears.read_calls("g.calls", number, &wire.writer));
                drop(hears.read_events("e", &wire.writer));
            }
            4 => {
                let which = number.saturating_sub(below(16) as u64);
                asks.end_sort(which, &wire.writer);
                hears.end_calls(which, &wire.writer);
                hears.remove(which);
            }
            _ => {
                let mut payload = METHODS[below(METHODS.len())].to_vec();
                payload.extend((0..below(24)).map(|_| below(256) as u8));
                let notice = Notice::Ours {
                    channel: [1, 2, 3, 257, OF_GROUP, 259][below(6)],
                    kind: [METHOD, HEADER, BODY][below(3)],
                    payload,
                };
                all[below(2)].hear(notice, &wire.writer);
            }
        }
        if below(16) == 0 {
            all.iter_mut().for_each(|ears| ears.pause(&wire.writer));
        }
    }
}
