//! The bare loops over RabbitMQ.

use std::net::TcpStream;
use std::thread;

use amiquip::{
    AmqpProperties, Auth, Channel, Connection, ConnectionOptions, ConnectionTuning,
    ConsumerMessage, ConsumerOptions, ExchangeDeclareOptions, ExchangeType, FieldTable, Publish,
    QueueDeclareOptions,
};

use super::{Asterisk, THREADS, read};

/// The exchanges that the loops need.
const EXCHANGES: [(&str, ExchangeType); 3] = [
    ("ari.event", ExchangeType::Topic),
    ("ari.request", ExchangeType::Topic),
    ("ari.announce", ExchangeType::Fanout),
];

/// Runs them; this thread reads the events.
pub(super) fn run(asterisk: &Asterisk, url: &str) {
    let address = url.rsplit(['@', '/']).next().expect("an address");
    let mut events = connect(address);
    let mut requests = connect(address);
    let channel = events.open_channel(None).expect("a channel");
    for (name, kind) in EXCHANGES {
        let options = ExchangeDeclareOptions {
            durable: true,
            ..ExchangeDeclareOptions::default()
        };
        let declared = channel.exchange_declare(kind, name, options);
        declared.expect("an exchange");
    }
    let mut websocket = asterisk.events(|socket| socket);
    for class in ["data", "command"] {
        let subject = asterisk.subject(class);
        let queue = format!("bench-bare-{subject}");
        let declared = channel.queue_declare(
            &*queue,
            QueueDeclareOptions {
                auto_delete: true,
                ..QueueDeclareOptions::default()
            },
        );
        declared.expect("a queue");
        let bound = channel.queue_bind(&*queue, "ari.request", &*subject, FieldTable::new());
        bound.expect("a binding");
        for _ in 0..THREADS {
            let channel = requests.open_channel(None).expect("a channel");
            let (asterisk, queue) = (asterisk.clone(), queue.clone());
            thread::spawn(move || answer(&asterisk, &channel, &queue));
        }
    }
    let announcement = asterisk.announcement();
    let announcement = Publish::new(announcement.as_bytes(), "");
    let announced = channel.basic_publish("ari.announce", announcement);
    announced.expect("published");
    let subject = asterisk.subject("event");
    loop {
        let event = read(&mut websocket);
        let properties = AmqpProperties::default().with_content_type("application/json".into());
        let event = Publish::with_properties(&event, &*subject, properties);
        let published = channel.basic_publish("ari.event", event);
        published.expect("published");
    }
}

/// Connects without delay.
fn connect(address: &str) -> Connection {
    let stream = TcpStream::connect(address).expect("a connection to RabbitMQ");
    stream.set_nodelay(true).expect("no delay");
    let stream = mio::net::TcpStream::from_stream(stream).expect("a socket that does not block");
    let options = ConnectionOptions::<Auth>::default();
    Connection::insecure_open_stream(stream, options, ConnectionTuning::default())
        .expect("a connection to RabbitMQ")
}

/// Answers what the broker gives to this one of the consumers of `queue`. It takes as many of the
/// requests as the others.
fn answer(asterisk: &Asterisk, channel: &Channel, queue: &str) {
    let unacknowledged = ConsumerOptions {
        no_ack: true,
        ..ConsumerOptions::default()
    };
    let consumer = channel.basic_consume(queue, unacknowledged);
    let consumer = consumer.expect("a consumer");
    while let Ok(ConsumerMessage::Delivery(request)) = consumer.receiver().recv() {
        let answer = asterisk.answer(&request.body);
        let mut properties = AmqpProperties::default();
        if let Some(id) = request.properties.correlation_id() {
            properties = properties.with_correlation_id(id.clone());
        }
        let reply = request.properties.reply_to().clone().unwrap_or_default();
        let answer = Publish::with_properties(&answer, reply, properties);
        channel.basic_publish("", answer).expect("answered");
    }
}
