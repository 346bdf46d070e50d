//! The client of RabbitMQ, with the exchanges and queues of the protocol's clients.

use std::collections::VecDeque;
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use amiquip::{
    AmqpProperties, AmqpValue, Auth, Channel, Connection, ConnectionOptions, ConnectionTuning,
    Consumer, ConsumerMessage, ConsumerOptions, Delivery, ExchangeDeclareOptions, ExchangeType,
    FieldTable, Publish, QueueDeclareOptions, QueueDeleteOptions,
};

use super::client::{Answer, Client, Conversation, Topic};

/// How often listeners look whether to stop.
const LOOK: Duration = Duration::from_millis(20);
/// How long events and unused queues are kept, as the protocol's clients say.
const KEPT_MILLIS: i32 = 30_000;
/// Where answers go that RabbitMQ hands to the connection that asked.
const DIRECT_REPLY: &str = "amq.rabbitmq.reply-to";
/// The exchanges of the protocol.
const EXCHANGES: [(&str, ExchangeType); 4] = [
    ("ari.event", ExchangeType::Topic),
    ("ari.request", ExchangeType::Topic),
    ("ari.ping", ExchangeType::Fanout),
    ("ari.announce", ExchangeType::Fanout),
];

/// The client.
pub(crate) struct AmqpClient {
    port: u16,
}

/// Queues made so far, for their names.
static QUEUES: AtomicU64 = AtomicU64::new(0);

impl AmqpClient {
    /// A client of the server on `port` of this machine.
    pub(crate) fn new(port: u16) -> AmqpClient {
        AmqpClient { port }
    }

    /// Whether there is a server on `port`.
    pub(crate) fn serves(port: u16) -> bool {
        open(port).is_some_and(|connection| connection.close().is_ok())
    }

    /// Has `work` work with a channel on which the exchanges are declared.
    fn with_channel(&self, work: &mut dyn FnMut(&Channel)) {
        let mut connection = open(self.port).expect("a connection to RabbitMQ");
        let channel = connection.open_channel(None).expect("a channel");
        for (name, kind) in EXCHANGES {
            let options = ExchangeDeclareOptions {
                durable: true,
                ..ExchangeDeclareOptions::default()
            };
            channel
                .exchange_declare(kind, name, options)
                .expect("an exchange");
        }
        work(&channel);
        let channel = channel.close();
        let connection = connection.close();
        // What ended a connection early is what closing it says.
        if channel.is_err() || connection.is_err() {
            panic!("RabbitMQ ended a connection: {connection:?}, {channel:?}");
        }
    }

    /// Has `work` work with a consumer of a new queue, bound to `exchange` with `key`.
    fn with_queue(
        &self,
        exchange: &str,
        key: &str,
        argument: &str,
        work: &mut dyn FnMut(&Channel, &Consumer<'_>),
    ) {
        let number = QUEUES.fetch_add(1, Ordering::Relaxed);
        let name = format!("bench-{}-{argument}-{number}", std::process::id());
        self.with_channel(&mut |channel| {
            let mut arguments = FieldTable::new();
            arguments.insert(argument.to_owned(), AmqpValue::LongInt(KEPT_MILLIS));
            let options = QueueDeclareOptions {
                durable: true,
                arguments,
                ..QueueDeclareOptions::default()
            };
            let queue = channel.queue_declare(&*name, options).expect("a queue");
            channel
                .queue_bind(&*name, exchange, key, FieldTable::new())
                .expect("a binding");
            let consumer = queue.consume(unacknowledged()).expect("a consumer");
            work(channel, &consumer);
            end(&consumer);
            channel
                .queue_delete(&*name, QueueDeleteOptions::default())
                .expect("the queue deleted");
        });
    }
}

/// Opens a connection without delay; none where there is no server.
fn open(port: u16) -> Option<Connection> {
    let stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
    stream.set_nodelay(true).expect("no delay");
    let stream = mio::net::TcpStream::from_stream(stream).expect("a socket that does not block");
    let options =
        ConnectionOptions::<Auth>::default().connection_timeout(Some(Duration::from_secs(10)));
    Connection::insecure_open_stream(stream, options, ConnectionTuning::default()).ok()
}

fn unacknowledged() -> ConsumerOptions {
    ConsumerOptions {
        no_ack: true,
        ..ConsumerOptions::default()
    }
}

/// Cancels `consumer` and waits for its end: the crate ends the connection where it has that end to
/// tell to one that is gone.
fn end(consumer: &Consumer<'_>) {
    consumer.cancel().expect("cancelled");
    while let Ok(ConsumerMessage::Delivery(_)) = consumer.receiver().recv() {}
}

fn delivery(message: ConsumerMessage) -> Delivery {
    match message {
        ConsumerMessage::Delivery(delivery) => delivery,
        other => panic!("RabbitMQ ended a consumer: {other:?}"),
    }
}

impl Client for AmqpClient {
    fn listen(
        &self,
        topic: &Topic,
        stop: &AtomicBool,
        ready: &mut dyn FnMut(),
        take: &mut dyn FnMut(&[u8]),
    ) {
        let (exchange, key, argument) = match topic {
            Topic::Events(application) => (
                "ari.event",
                format!("ari.event.{application}.#"),
                "x-message-ttl",
            ),
            Topic::Announcements => ("ari.announce", String::new(), "x-expires"),
        };
        self.with_queue(exchange, &key, argument, &mut |_, consumer| {
            ready();
            while !stop.load(Ordering::Relaxed) {
                if let Ok(message) = consumer.receiver().recv_timeout(LOOK) {
                    take(&delivery(message).body);
                }
            }
        });
    }

    fn pinger(&self) -> Box<dyn FnMut()> {
        let mut connection = open(self.port).expect("a connection to RabbitMQ");
        let channel = connection.open_channel(None).expect("a channel");
        Box::new(move || {
            // The connection lives as long as what pings.
            let _ = &connection;
            channel
                .basic_publish("ari.ping", Publish::new(b"{}", "ari.ping"))
                .expect("published");
        })
    }

    fn converse(&self, subject: &str, talk: &mut dyn FnMut(&mut dyn Conversation)) {
        self.with_channel(&mut |channel| {
            let answers = channel
                .basic_consume(DIRECT_REPLY, unacknowledged())
                .expect("answers");
            talk(&mut AmqpConversation {
                channel,
                answers: &answers,
                subject,
                unanswered: Some(VecDeque::new()),
            });
            end(&answers);
        });
    }
}

/// Requests whose correlation id is their number. The Go program does not send it back: its answers
/// count as coming in the order of the requests.
struct AmqpConversation<'a> {
    channel: &'a Channel,
    answers: &'a Consumer<'a>,
    subject: &'a str,
    /// What is unanswered, oldest first; none once an answer has said what it is for.
    unanswered: Option<VecDeque<u64>>,
}

impl Conversation for AmqpConversation<'_> {
    fn send(&mut self, number: u64, body: &[u8]) {
        let properties = AmqpProperties::default()
            .with_content_type("application/json".into())
            .with_reply_to(DIRECT_REPLY.into())
            .with_correlation_id(number.to_string());
        if let Some(unanswered) = &mut self.unanswered {
            unanswered.push_back(number);
        }
        let request = Publish::with_properties(body, self.subject, properties);
        self.channel
            .basic_publish("ari.request", request)
            .expect("published");
    }

    /// Nothing to do: the crate sends at once.
    fn flush(&mut self) {}

    fn forget(&mut self) {
        if let Some(unanswered) = &mut self.unanswered {
            unanswered.clear();
        }
    }

    fn next(&mut self, limit: Duration) -> Option<Answer> {
        let receiver = self.answers.receiver();
        let message = match limit.is_zero() {
            true => receiver.try_recv().ok()?,
            false => receiver.recv_timeout(limit).ok()?,
        };
        let answer = delivery(message);
        let number = match answer.properties.correlation_id() {
            Some(number) => {
                self.unanswered = None;
                number.parse().ok()?
            }
            None => self.unanswered.as_mut()?.pop_front()?,
        };
        Some(Answer::read(number, &answer.body))
    }
}
