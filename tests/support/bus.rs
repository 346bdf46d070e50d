//! Either bus, behind one face: tests that say something about any bus run over both.

use std::time::{Duration, Instant};

use amiquip::{AmqpProperties, AmqpValue};
use crossbeam_channel::Receiver;
use serde_json::Value;

use super::nats::{NatsBus, NatsServer};
use super::rabbitmq::{RabbitServer, Vhost, amqp_url};
use super::rabbitmq_client::{Post, RabbitBus};
use super::wait::SOON;

/// Makes tests of functions that take a [`BusKind`]: one for each bus.
macro_rules! on_each_bus {
    ($($name:ident),+ $(,)?) => {
        mod nats {
            $(#[test] fn $name() { super::$name($crate::support::bus::BusKind::Nats); })+
        }
        mod rabbitmq {
            $(#[test] fn $name() { super::$name($crate::support::bus::BusKind::RabbitMq); })+
        }
    };
}
pub(crate) use on_each_bus;

/// The buses there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BusKind {
    /// NATS.
    Nats,
    /// RabbitMQ.
    RabbitMq,
}

impl BusKind {
    /// How long to wait for an answer to a create that nobody takes: NATS says so, `at_most` after
    /// that time; RabbitMQ keeps the request for whoever comes.
    pub(crate) fn unanswered(self, at_most: Duration) -> Duration {
        match self {
            BusKind::Nats => at_most,
            BusKind::RabbitMq => Duration::from_millis(300),
        }
    }
}

/// A server, or what is as good as one.
pub(crate) enum Server {
    /// A NATS server.
    Nats(NatsServer),
    /// A broker of the test's own.
    RabbitMq(RabbitServer),
    /// A virtual host of the shared broker, which must come to no harm.
    Vhost(Vhost),
}

impl Server {
    /// One that the test must not harm.
    pub(crate) fn start(kind: BusKind) -> Server {
        match kind {
            BusKind::Nats => Server::Nats(NatsServer::start()),
            BusKind::RabbitMq => Server::Vhost(Vhost::new()),
        }
    }

    /// One that the test may kill, stop and restart.
    pub(crate) fn start_own(kind: BusKind) -> Server {
        let mut server = Server::absent(kind);
        server.restart();
        server
    }

    /// One that is not started yet, to be by [`Server::restart`].
    pub(crate) fn absent(kind: BusKind) -> Server {
        match kind {
            BusKind::Nats => Server::Nats(NatsServer::absent(&[])),
            BusKind::RabbitMq => Server::RabbitMq(RabbitServer::absent()),
        }
    }

    /// Its port.
    pub(crate) fn port(&self) -> u16 {
        match self {
            Server::Nats(server) => server.port(),
            Server::RabbitMq(server) => server.port(),
            Server::Vhost(vhost) => vhost.server.port(),
        }
    }

    /// Its URL, with credentials.
    pub(crate) fn url(&self) -> String {
        self.url_by(self.port())
    }

    /// Its URL by way of a relay on `port`.
    pub(crate) fn url_by(&self, port: u16) -> String {
        match self {
            Server::Nats(server) => server.url_by(port),
            Server::RabbitMq(_) => amqp_url(port, "%2f"),
            Server::Vhost(vhost) => amqp_url(port, &vhost.name),
        }
    }

    /// The URL of a list of servers: those on `ports`, and this one.
    pub(crate) fn url_after(&self, ports: &[u16]) -> String {
        let url = self.url();
        let own = format!("127.0.0.1:{}", self.port());
        let ports = ports.iter().map(|port| format!("127.0.0.1:{port}"));
        let (separator, all): (_, Vec<String>) = match self {
            Server::Nats(_) => (
                ",nats://",
                ports.chain([url.replace("nats://", "")]).collect(),
            ),
            _ => (",", ports.chain([own.clone()]).collect()),
        };
        match self {
            Server::Nats(_) => format!("nats://{}", all.join(separator)),
            _ => url.replace(&own, &all.join(separator)),
        }
    }

    /// Kills it: no goodbye to anybody.
    pub(crate) fn kill(&mut self) {
        match self {
            Server::Nats(server) => server.kill(),
            Server::RabbitMq(server) => server.kill(),
            Server::Vhost(_) => panic!("the broker is shared"),
        }
    }

    /// Ends it the polite way and waits for that.
    pub(crate) fn terminate(&mut self) {
        match self {
            Server::Nats(server) => server.terminate(),
            Server::RabbitMq(server) => server.terminate(),
            Server::Vhost(_) => panic!("the broker is shared"),
        }
    }

    /// Starts it (again) on the same port and waits until it accepts connections; tells when it
    /// first did.
    pub(crate) fn restart(&mut self) -> Instant {
        match self {
            Server::Nats(server) => server.restart(),
            Server::RabbitMq(server) => server.restart(),
            Server::Vhost(_) => panic!("the broker is shared"),
        }
    }

    /// Stops it in its tracks: its connections stay, nobody serves them.
    pub(crate) fn pause(&self) {
        match self {
            Server::Nats(server) => server.pause(),
            Server::RabbitMq(server) => server.pause(),
            Server::Vhost(_) => panic!("the broker is shared"),
        }
    }

    /// Lets it go on.
    pub(crate) fn resume(&self) {
        match self {
            Server::Nats(server) => server.resume(),
            Server::RabbitMq(server) => server.resume(),
            Server::Vhost(_) => panic!("the broker is shared"),
        }
    }
}

/// A client. It does not reconnect: after a server's restart make a new one.
pub(crate) enum Bus {
    /// Of NATS.
    Nats(NatsBus),
    /// Of RabbitMQ.
    RabbitMq(Box<RabbitBus>),
}

impl Bus {
    /// Connects to the server at `url`.
    pub(crate) fn connect(url: &str) -> Bus {
        match url.split_once(':') {
            Some(("amqp", _)) => Bus::RabbitMq(Box::new(RabbitBus::connect(url))),
            _ => Bus::Nats(NatsBus::connect(url)),
        }
    }

    /// Publishes and makes sure that the server has it.
    pub(crate) fn publish(&self, subject: &str, body: impl AsRef<[u8]>) {
        match self {
            Bus::Nats(bus) => bus.publish(subject, body.as_ref()),
            Bus::RabbitMq(bus) => bus.post(post(subject, body.as_ref(), None)),
        }
    }

    /// Listens to `subject`; the server knows when this returns.
    pub(crate) fn subscribe(&self, subject: &str) -> Messages {
        match self {
            Bus::Nats(bus) => Messages::Nats(bus.subscribe(subject, None)),
            Bus::RabbitMq(bus) => Messages::RabbitMq(bus.subscribe(subject)),
        }
    }

    /// Listens to `subject` as a member of `group`.
    pub(crate) fn subscribe_group(&self, subject: &str, group: &str) -> Messages {
        match self {
            Bus::Nats(bus) => Messages::Nats(bus.subscribe(subject, Some(group))),
            Bus::RabbitMq(bus) => Messages::RabbitMq(bus.subscribe_group(subject, group)),
        }
    }

    /// Sends a request; its answers come to what is returned.
    pub(crate) fn send(&self, subject: &str, body: impl AsRef<[u8]>) -> Messages {
        match self {
            Bus::Nats(bus) => Messages::Nats(bus.request(subject, body.as_ref())),
            Bus::RabbitMq(bus) => Messages::RabbitMq(bus.request(subject, body.as_ref())),
        }
    }

    /// Hands requests over without waiting; their answers go to `reply`, two words with a dot of
    /// which the first is subscribed to as `<first>.*`.
    pub(crate) fn publish_request(&self, subject: &str, reply: &str, body: impl AsRef<[u8]>) {
        match self {
            Bus::Nats(bus) => bus.hand_over(subject, reply, body.as_ref()),
            Bus::RabbitMq(bus) => bus.hand_over(post(subject, body.as_ref(), Some(reply))),
        }
    }

    /// Hands a message over without waiting.
    pub(crate) fn hand_over(&self, subject: &str, body: impl AsRef<[u8]>) {
        match self {
            Bus::Nats(bus) => bus.post(subject, body.as_ref()),
            Bus::RabbitMq(bus) => bus.hand_over(post(subject, body.as_ref(), None)),
        }
    }

    /// Sends a request that may go unanswered: none where nobody listens or answers in time.
    pub(crate) fn try_ask(&self, subject: &str, body: &Value, timeout: Duration) -> Option<Value> {
        let answers = self.send(subject, body.to_string());
        let answer = answers.next(timeout)?;
        (!answer.data.is_empty()).then(|| answer.json())
    }

    /// Sends a request that must be answered.
    pub(crate) fn ask(&self, subject: &str, body: &Value) -> Value {
        self.try_ask(subject, body, SOON)
            .unwrap_or_else(|| panic!("no answer on {subject} to {body}"))
    }

    /// Sends anything as a request that must be answered.
    pub(crate) fn ask_raw(&self, subject: &str, body: &[u8]) -> Value {
        self.send(subject, body)
            .next(SOON)
            .filter(|answer| !answer.data.is_empty())
            .unwrap_or_else(|| panic!("no answer on {subject} to {body:?}"))
            .json()
    }

    /// Waits until the server has handled all that this client sent.
    pub(crate) fn flush(&self) {
        match self {
            Bus::Nats(bus) => bus.flush(),
            Bus::RabbitMq(bus) => bus.flush(),
        }
    }

    /// The client of RabbitMQ.
    pub(crate) fn rabbitmq(&self) -> &RabbitBus {
        match self {
            Bus::Nats(_) => panic!("a client of NATS"),
            Bus::RabbitMq(bus) => bus,
        }
    }
}

fn post(subject: &str, body: &[u8], reply: Option<&str>) -> Post {
    let mut properties = AmqpProperties::default().with_content_type("application/json".into());
    if let Some((queue, _)) = reply.and_then(|reply| reply.split_once('.')) {
        properties = properties.with_reply_to(queue.to_owned());
    }
    if let Some(reply) = reply {
        properties = properties.with_correlation_id(reply.to_owned());
    }
    Post {
        subject: subject.to_owned(),
        body: body.to_vec(),
        properties,
    }
}

/// The messages of a subscription, in the order of their arrival.
pub(crate) enum Messages {
    /// Over NATS.
    Nats(nats::Subscription),
    /// Over RabbitMQ.
    RabbitMq(Receiver<Message>),
}

/// A message.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Message {
    /// Where it was published.
    pub(crate) subject: String,
    /// Its body.
    pub(crate) data: Vec<u8>,
    /// Its headers over NATS.
    pub(crate) headers: Vec<(String, String)>,
    /// What else RabbitMQ says of it.
    pub(crate) properties: AmqpProperties,
    /// Whether RabbitMQ has given it to somebody before.
    pub(crate) redelivered: bool,
}

impl Message {
    /// Its header of this name, over either bus.
    pub(crate) fn header(&self, name: &str) -> Option<String> {
        if let Some((_, value)) = self.headers.iter().find(|(header, _)| header == name) {
            return Some(value.clone());
        }
        match self.properties.headers().as_ref()?.get(name)? {
            AmqpValue::LongString(text) => Some(text.clone()),
            AmqpValue::LongLongInt(number) => Some(number.to_string()),
            other => panic!("{name}: {other:?}"),
        }
    }

    /// Its body as JSON.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.data)
            .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&self.data)))
    }
}

impl Messages {
    /// The next message, if one comes in time.
    pub(crate) fn next(&self, timeout: Duration) -> Option<Message> {
        match self {
            Messages::Nats(messages) => messages.next_timeout(timeout).ok().map(Message::from),
            Messages::RabbitMq(messages) => messages.recv_timeout(timeout).ok(),
        }
    }

    /// The next message, which must come soon.
    pub(crate) fn expect(&self, what: &str) -> Message {
        self.next(SOON)
            .unwrap_or_else(|| panic!("did not come: {what}"))
    }

    /// The next `count` messages, which must come soon one after the other.
    pub(crate) fn take(&self, count: usize) -> Vec<Message> {
        (1..=count)
            .map(|n| self.expect(&format!("message {n} of {count}")))
            .collect()
    }

    /// The messages that have come and were not taken yet.
    pub(crate) fn arrived(&self) -> Vec<Message> {
        match self {
            Messages::Nats(messages) => messages.try_iter().map(Message::from).collect(),
            Messages::RabbitMq(messages) => messages.try_iter().collect(),
        }
    }
}
