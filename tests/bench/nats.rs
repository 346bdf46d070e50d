//! The client of NATS, on the crate that applications in Rust would use.

use std::fmt::Write as _;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::client::{Answer, Client, Conversation, Outlet, Topic};

/// How often listeners look whether to stop.
const LOOK: Duration = Duration::from_millis(20);
/// How many events are published before they are sent.
const BATCH: u32 = 1024;

/// The client.
pub(crate) struct NatsClient {
    url: String,
}

impl NatsClient {
    /// A client of the server at `url`.
    pub(crate) fn new(url: String) -> NatsClient {
        NatsClient { url }
    }

    fn connect(&self) -> nats::Connection {
        nats::connect(&self.url).expect("a connection to NATS")
    }
}

impl Client for NatsClient {
    fn listen(
        &self,
        topic: &Topic,
        stop: &AtomicBool,
        ready: &mut dyn FnMut(),
        take: &mut dyn FnMut(&[u8]),
    ) {
        let connection = self.connect();
        let subject = match topic {
            Topic::Events(application) => format!("ari.event.{application}.>"),
            Topic::Announcements => "ari.announce".to_owned(),
        };
        let subscription = connection.subscribe(&subject).expect("subscribed");
        connection.flush().expect("flushed");
        ready();
        while !stop.load(Ordering::Relaxed) {
            if let Ok(message) = subscription.next_timeout(LOOK) {
                take(&message.data);
            }
        }
        connection.close();
    }

    fn pinger(&self) -> Box<dyn FnMut()> {
        let connection = self.connect();
        Box::new(move || {
            connection.publish("ari.ping", "{}").expect("published");
            connection.flush().expect("flushed");
        })
    }

    fn converse(&self, subject: &str, body: &[u8], talk: &mut dyn FnMut(&mut dyn Conversation)) {
        let connection = self.connect();
        let inbox = connection.new_inbox();
        let answers = connection.subscribe(&format!("{inbox}.*"));
        let answers = answers.expect("subscribed");
        connection.flush().expect("flushed");
        talk(&mut NatsConversation {
            connection: &connection,
            answers,
            subject,
            body,
            reply: inbox.clone(),
            inbox,
        });
        connection.close();
    }

    fn publish(&self, subject: &str, send: &mut dyn FnMut(&mut dyn Outlet)) {
        let connection = self.connect();
        send(&mut NatsOutlet {
            connection: &connection,
            subject,
            waiting: 0,
        });
        connection.close();
    }

    fn echo(&self, subject: &str, answer: &[u8], stop: &AtomicBool, ready: &mut dyn FnMut()) {
        let connection = self.connect();
        let requests = connection.subscribe(subject).expect("subscribed");
        connection.flush().expect("flushed");
        ready();
        while !stop.load(Ordering::Relaxed) {
            let Ok(first) = requests.next_timeout(LOOK) else {
                continue;
            };
            first.respond(answer).expect("answered");
            while let Some(next) = requests.try_next() {
                next.respond(answer).expect("answered");
            }
            connection.flush().expect("flushed");
        }
        connection.close();
    }
}

/// Events on a subject.
struct NatsOutlet<'a> {
    connection: &'a nats::Connection,
    subject: &'a str,
    waiting: u32,
}

impl Outlet for NatsOutlet<'_> {
    fn put(&mut self, event: &[u8]) {
        let published = self.connection.publish(self.subject, event);
        published.expect("published");
        self.waiting += 1;
        if self.waiting == BATCH {
            self.flush();
        }
    }

    fn flush(&mut self) {
        if self.waiting > 0 {
            self.connection.flush().expect("flushed");
            self.waiting = 0;
        }
    }
}

/// Requests with an inbox whose last token is the number of the request.
struct NatsConversation<'a> {
    connection: &'a nats::Connection,
    answers: nats::Subscription,
    subject: &'a str,
    body: &'a [u8],
    inbox: String,
    reply: String,
}

impl Conversation for NatsConversation<'_> {
    fn send(&mut self, number: u64) {
        self.reply.truncate(self.inbox.len());
        write!(self.reply, ".{number}").expect("strings take all");
        self.connection
            .publish_request(self.subject, &self.reply, self.body)
            .expect("published");
    }

    fn flush(&mut self) {
        self.connection.flush().expect("flushed");
    }

    /// Nothing to do: every answer says what it is for.
    fn forget(&mut self) {}

    fn next(&mut self, limit: Duration) -> Option<Answer> {
        let message = match limit.is_zero() {
            true => self.answers.try_next()?,
            false => self.answers.next_timeout(limit).ok()?,
        };
        let number = message.subject.rsplit('.').next()?.parse().ok()?;
        Some(Answer::read(number, &message.data))
    }
}
