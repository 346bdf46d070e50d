//! An application's access to RabbitMQ brokers: questions and answers of proxies that echo correlation
//! ids and of those that do not, events, calls shared by a group, and brokers that come to harm.

#[path = "rabbit_access/calls.rs"]
mod calls;
#[path = "rabbit_access/events.rs"]
mod events;
#[path = "rabbit_access/faults.rs"]
mod faults;
#[path = "rabbit_access/questions.rs"]
mod questions;

use std::sync::Arc;

use amiquip::AmqpProperties;
use ari_proxy::address::servers;
use ari_proxy::bus::places::Places;
use ari_proxy::bus::supervisor::accesses;
use ari_proxy::bus::{Access, Claim, HearAccess, HeardByAccess as Heard, Interest, Question};
use crossbeam_channel::{Receiver, unbounded};

use crate::support::bus::Message;
use crate::support::rabbitmq::Vhost;
use crate::support::rabbitmq_client::{Post, RabbitBus};
use crate::support::wait::SOON;

/// The group that the tests listen in.
const GROUP: &str = "listeners-ari.event.app";

/// What was heard.
#[derive(Debug)]
enum Came {
    Answer(u64, String),
    Nobody(u64),
    Event(u64, Vec<u8>, Option<Claim>),
    Announcement(String),
    Dropped(u64),
    Refused,
}

/// An access, and what it hears.
struct Application {
    access: Arc<dyn Access>,
    heard: Receiver<Came>,
}

impl Application {
    fn connect(url: &str) -> Application {
        let (sender, heard) = unbounded();
        let text = |body: &[u8]| String::from_utf8_lossy(body).into_owned();
        let hear: HearAccess = Arc::new(move |heard: Heard<'_>| {
            let came = match heard {
                Heard::Answer { question, body } => Came::Answer(question, text(body)),
                Heard::Nobody(question) => Came::Nobody(question),
                Heard::Event {
                    subscription,
                    body,
                    claim,
                } => Came::Event(subscription, body.to_vec(), claim),
                Heard::Announcement(body) => Came::Announcement(text(body)),
                Heard::Dropped(subscription) => Came::Dropped(subscription),
                Heard::Refused { .. } => Came::Refused,
            };
            let _ = sender.send(came);
        });
        let server = servers(url).unwrap().remove(0);
        let access = accesses("test", &hear)(&server, &Places::default());
        Application {
            access: access.unwrap_or_else(|error| panic!("{error}")),
            heard,
        }
    }

    fn ask(&self, number: u64, subject: &str) {
        let body = number.to_string();
        let asked = self.access.ask(Question {
            number,
            subject,
            body: body.as_bytes(),
        });
        assert_eq!(asked, Ok(()));
    }

    fn subscribe(&self, number: u64, subject: &str, below: bool) {
        let subscribed = self.access.subscribe(number, &interest(subject, below));
        assert_eq!(subscribed, Ok(()));
    }

    fn listen(&self, number: u64, group: &str) {
        assert_eq!(self.access.subscribe(number, &calls_of(group)), Ok(()));
    }

    fn next(&self) -> Came {
        self.heard.recv_timeout(SOON).expect("something is heard")
    }

    fn answer(&self) -> (u64, String) {
        match self.next() {
            Came::Answer(question, body) => (question, body),
            other => panic!("{other:?} is no answer"),
        }
    }

    fn event(&self) -> (u64, String) {
        match self.next() {
            Came::Event(subscription, body, None) => {
                (subscription, String::from_utf8(body).unwrap())
            }
            other => panic!("{other:?} is no event"),
        }
    }
}

fn interest(subject: &str, below: bool) -> Interest {
    Interest {
        subject: subject.into(),
        below,
        group: None,
    }
}

fn calls_of(group: &str) -> Interest {
    Interest {
        group: Some(group.into()),
        ..interest("ari.event.app", true)
    }
}

/// A virtual host of the shared broker, and a client of it.
fn rig() -> (Vhost, RabbitBus) {
    let vhost = Vhost::new();
    let bus = RabbitBus::connect(&vhost.url());
    (vhost, bus)
}

/// Answers a request, with its correlation id or without.
fn answer(bus: &RabbitBus, request: &Message, body: &str, echoes: bool) {
    let correlation = request.properties.correlation_id().clone();
    let properties = AmqpProperties::default();
    let properties = match correlation.filter(|_| echoes) {
        Some(correlation) => properties.with_correlation_id(correlation),
        None => properties,
    };
    bus.post(Post {
        subject: request.properties.reply_to().clone().expect("an address"),
        body: body.into(),
        properties,
    });
}

fn publish(bus: &RabbitBus, subject: &str, body: impl Into<Vec<u8>>) {
    bus.hand_over(Post {
        subject: subject.into(),
        body: body.into(),
        properties: AmqpProperties::default(),
    });
}

fn next(requests: &Receiver<Message>) -> Message {
    requests.recv_timeout(SOON).expect("a request")
}
