//! A client to watch RabbitMQ with, that declares exchanges and queues as the Go client does. Over
//! amiquip, whose consumers borrow their channels: each subscription is a thread.

use std::collections::HashMap;
use std::net::{Shutdown, TcpStream};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};

use amiquip::{
    AmqpProperties, AmqpValue, Auth, Channel, Connection, ConnectionOptions, ConnectionTuning,
    Consumer, ConsumerMessage, ConsumerOptions, Delivery, ExchangeDeclareOptions, ExchangeType,
    FieldTable, Publish, QueueDeclareOptions, Return,
};
use crossbeam_channel::{Receiver, Sender, bounded, select, unbounded};

use super::bus::Message;
use super::server::lock;
use super::wait::{SOON, wait_for};

/// The queue that stands for whoever asks, at the broker.
const DIRECT_REPLY: &str = "amq.rabbitmq.reply-to";

/// The exchange of `subject`, empty where it is the name of a queue of answers.
pub(crate) fn exchange(subject: &str) -> &'static str {
    let exchange = |class: &str| match class {
        "event" | "dialogevent" | "status" | ">" => Some("ari.event"),
        "get" | "data" | "command" | "create" => Some("ari.request"),
        "ping" => Some("ari.ping"),
        "announce" => Some("ari.announce"),
        _ => None,
    };
    subject.split('.').find_map(exchange).unwrap_or_default()
}

/// A client on two connections. It does not reconnect.
pub(crate) struct RabbitBus {
    orders: Sender<Order>,
    // A broker that is short of memory stops reading from connections that publish.
    _publishing: Wire,
    consuming: Wire,
}

/// A connection, and its socket to end it with: a broker that is stopped says no goodbye.
struct Wire {
    connection: Mutex<Connection>,
    socket: TcpStream,
}

impl Wire {
    fn connect(url: &str) -> Option<Wire> {
        let (login, place) = url.strip_prefix("amqp://")?.split_once('@')?;
        let (user, password) = login.split_once(':')?;
        let (address, vhost) = place.split_once('/')?;
        let socket = TcpStream::connect(address).ok()?;
        socket.set_nodelay(true).ok()?;
        let copy = socket.try_clone().ok()?;
        copy.set_nonblocking(true).ok()?;
        let options = ConnectionOptions::default()
            .auth(Auth::Plain {
                username: user.to_owned(),
                password: password.to_owned(),
            })
            .virtual_host(if vhost == "%2f" { "/" } else { vhost })
            .heartbeat(0);
        let copy = mio::net::TcpStream::from_stream(copy).ok()?;
        let tuning = ConnectionTuning::default();
        let connection = Connection::insecure_open_stream(copy, options, tuning).ok()?;
        Some(Wire {
            connection: Mutex::new(connection),
            socket,
        })
    }

    fn channel(&self) -> Channel {
        let channel = lock(&self.connection).open_channel(None);
        channel.expect("a channel")
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        let _ = self.socket.shutdown(Shutdown::Both);
    }
}

/// What the thread that publishes does.
enum Order {
    Publish(Box<Post>, Option<Sender<Message>>, Sender<()>),
    Flush(Sender<()>),
}

/// A message to be published.
pub(crate) struct Post {
    /// Where to; the exchange follows from it.
    pub(crate) subject: String,
    /// The body.
    pub(crate) body: Vec<u8>,
    /// The properties.
    pub(crate) properties: AmqpProperties,
}

impl RabbitBus {
    /// Connects to the virtual host at `url`.
    pub(crate) fn connect(url: &str) -> RabbitBus {
        let connect = || wait_for("a connection to RabbitMQ", SOON, || Wire::connect(url));
        let (publishing, consuming) = (connect(), connect());
        let (orders, queue) = unbounded();
        let channel = publishing.channel();
        let (ready, is_ready) = bounded(1);
        std::thread::spawn(move || publish(&channel, &queue, &ready));
        is_ready.recv_timeout(SOON).expect("direct answers");
        RabbitBus {
            orders,
            _publishing: publishing,
            consuming,
        }
    }

    /// Publishes; the broker has it when this returns.
    pub(crate) fn post(&self, post: Post) {
        self.order(post, None);
        self.flush();
    }

    /// Publishes without waiting for the broker.
    pub(crate) fn hand_over(&self, post: Post) {
        self.order(post, None);
    }

    /// Sends a request; its answers, or an empty message where nobody listens, come to what is
    /// returned.
    pub(crate) fn request(&self, subject: &str, body: &[u8]) -> Receiver<Message> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let (sender, answers) = unbounded();
        let correlation = format!("request-{}", NEXT.fetch_add(1, Ordering::Relaxed));
        let post = Post {
            subject: subject.to_owned(),
            body: body.to_vec(),
            properties: AmqpProperties::default()
                .with_content_type("application/json".into())
                .with_reply_to(DIRECT_REPLY.into())
                .with_correlation_id(correlation),
        };
        self.order(post, Some(sender));
        self.flush();
        answers
    }

    fn order(&self, post: Post, answers: Option<Sender<Message>>) {
        let (done, is_done) = bounded(1);
        let _ = self
            .orders
            .send(Order::Publish(Box::new(post), answers, done));
        is_done.recv().expect("published");
    }

    /// Waits until the broker has handled all that this client published.
    pub(crate) fn flush(&self) {
        let (done, is_done) = bounded(1);
        let _ = self.orders.send(Order::Flush(done));
        is_done.recv_timeout(SOON).expect("flushed");
    }

    /// Reads `subject`, in which `>` stands for anything, from a queue that is new.
    pub(crate) fn subscribe(&self, subject: &str) -> Receiver<Message> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        match exchange(subject) {
            "" => self.read(subject.trim_end_matches(".*"), FieldTable::new(), subject),
            exchange => {
                let number = NEXT.fetch_add(1, Ordering::Relaxed);
                let argument = match exchange {
                    "ari.event" => "x-message-ttl",
                    _ => "x-expires",
                };
                let queue = format!("tests-{number}-{subject}");
                self.read(&queue, milliseconds(argument), subject)
            }
        }
    }

    /// Reads `subject` from the queue that the members of `group` share.
    pub(crate) fn subscribe_group(&self, subject: &str, group: &str) -> Receiver<Message> {
        self.read(&format!("{group}-{subject}"), FieldTable::new(), subject)
    }

    /// Reads the events of `subject` from a queue of this name, as the Go client does.
    pub(crate) fn subscribe_queue(&self, queue: &str, subject: &str) -> Receiver<Message> {
        self.read(queue, milliseconds("x-message-ttl"), subject)
    }

    /// Declares a durable queue, binds it and reads it.
    fn read(&self, queue: &str, arguments: FieldTable, subject: &str) -> Receiver<Message> {
        let channel = self.consuming.channel();
        declare(&channel, queue, arguments, subject);
        let (sender, messages) = unbounded();
        let (ready, is_ready) = bounded(1);
        let queue = queue.to_owned();
        std::thread::spawn(move || {
            let options = ConsumerOptions {
                no_ack: true,
                ..ConsumerOptions::default()
            };
            let Ok(consumer) = channel.basic_consume(&queue, options) else {
                return;
            };
            let _ = ready.send(());
            consume(&consumer, &sender);
        });
        is_ready.recv_timeout(SOON).expect("subscribed");
        messages
    }

    /// A channel to do anything with.
    pub(crate) fn channel(&self) -> Channel {
        self.consuming.channel()
    }
}

/// Declares a durable queue, with the exchange of `subject` if it has one, and binds them.
pub(crate) fn declare(channel: &Channel, queue: &str, arguments: FieldTable, subject: &str) {
    let options = QueueDeclareOptions {
        durable: true,
        arguments,
        ..QueueDeclareOptions::default()
    };
    channel.queue_declare(queue, options).expect("declared");
    let exchange = exchange(subject);
    if !exchange.is_empty() {
        declare_exchange(channel, exchange);
        let key = subject.replace('>', "#");
        channel
            .queue_bind(queue, exchange, key, FieldTable::new())
            .expect("bound");
    }
}

/// One argument of a queue: as many milliseconds as the Go client says.
pub(crate) fn milliseconds(argument: &str) -> FieldTable {
    let mut arguments = FieldTable::new();
    arguments.insert(argument.to_owned(), AmqpValue::LongInt(30_000));
    arguments
}

fn declare_exchange(channel: &Channel, name: &str) {
    let kind = match name {
        "ari.event" | "ari.request" => ExchangeType::Topic,
        _ => ExchangeType::Fanout,
    };
    let options = ExchangeDeclareOptions {
        durable: true,
        ..ExchangeDeclareOptions::default()
    };
    let declared = channel.exchange_declare(kind, name, options);
    declared.expect("declared");
}

/// Hands on what comes until the connection ends. What nobody wants any more is read all the same:
/// the crate may end a connection when a consumer is dropped.
fn consume(consumer: &Consumer<'_>, to: &Sender<Message>) {
    while let Ok(ConsumerMessage::Delivery(delivery)) = consumer.receiver().recv() {
        let _ = to.send(delivery.into());
    }
}

/// Publishes what is ordered, and hands answers to those who asked, until the connection ends.
fn publish(channel: &Channel, orders: &Receiver<Order>, ready: &Sender<()>) {
    let options = ConsumerOptions {
        no_ack: true,
        ..ConsumerOptions::default()
    };
    let (Ok(answers), Ok(returns)) = (
        channel.basic_consume(DIRECT_REPLY, options),
        channel.listen_for_returns(),
    ) else {
        return;
    };
    let _ = ready.send(());
    let (mut asked, mut declared) = (HashMap::new(), Vec::new());
    loop {
        select! {
            recv(orders) -> order => {
                let Ok(order) = order else { return };
                if carry_out(channel, order, &mut asked, &mut declared).is_none() {
                    return;
                }
            }
            recv(answers.receiver()) -> message => match message {
                Ok(ConsumerMessage::Delivery(delivery)) => answer(&asked, delivery.into()),
                _ => return,
            },
            recv(returns) -> returned => match returned {
                Ok(returned) => answer(&asked, returned.into()),
                Err(_) => return,
            },
        }
    }
}

type Asked = HashMap<String, Sender<Message>>;

fn answer(asked: &Asked, message: Message) {
    let correlation = message.properties.correlation_id().clone();
    if let Some(asker) = correlation.and_then(|correlation| asked.get(&correlation)) {
        let _ = asker.send(message);
    }
}

fn carry_out(
    channel: &Channel,
    order: Order,
    asked: &mut Asked,
    declared: &mut Vec<&'static str>,
) -> Option<()> {
    match order {
        Order::Publish(post, answers, done) => {
            let exchange = exchange(&post.subject);
            if !exchange.is_empty() && !declared.contains(&exchange) {
                declare_exchange(channel, exchange);
                declared.push(exchange);
            }
            let mandatory = answers.is_some();
            if let (Some(answers), Some(id)) = (answers, post.properties.correlation_id()) {
                asked.insert(id.clone(), answers);
            }
            let publish = Publish {
                mandatory,
                ..Publish::with_properties(&post.body, post.subject, post.properties)
            };
            channel.basic_publish(exchange, publish).ok()?;
            let _ = done.send(());
        }
        Order::Flush(done) => {
            // The broker handles what comes on a channel in its order.
            channel.exchange_declare_passive("amq.topic").ok()?;
            let _ = done.send(());
        }
    }
    Some(())
}

impl From<Delivery> for Message {
    fn from(delivery: Delivery) -> Message {
        let correlation = delivery.properties.correlation_id().clone();
        let answer = delivery.exchange.is_empty();
        Message {
            subject: correlation
                .filter(|_| answer)
                .unwrap_or(delivery.routing_key),
            data: delivery.body,
            headers: Vec::new(),
            properties: delivery.properties,
            redelivered: delivery.redelivered,
        }
    }
}

impl From<Return> for Message {
    /// An empty message, as NATS says that nobody listens.
    fn from(returned: Return) -> Message {
        Message {
            subject: returned.routing_key,
            data: Vec::new(),
            headers: Vec::new(),
            properties: returned.properties,
            redelivered: false,
        }
    }
}
