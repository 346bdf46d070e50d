//! The exchanges and queues of a proxy, declared as the Go program and its client do (wire-protocol.md,
//! "RabbitMQ topology"): a broker refuses a second declaration with other arguments.

use amiquip::{
    AmqpValue, Channel, Error, ExchangeDeclareOptions, ExchangeType, FieldTable,
    QueueDeclareOptions,
};

use super::topology::{check_key, exchange};
use crate::bus::{BusError, Topic};

/// How long a queue of ours stays without a consumer, in milliseconds.
const EXPIRES: i32 = 30_000;
/// Every topic.
const TOPICS: [Topic; 4] = [Topic::Event, Topic::Request, Topic::Ping, Topic::Announce];

/// Declares the exchanges, so that the first message on a fresh broker has one (known defect 7).
pub(super) fn declare_exchanges(channel: &Channel) -> Result<(), BusError> {
    TOPICS
        .into_iter()
        .try_for_each(|topic| declare_exchange(channel, topic))
}

/// Declares the exchange of `topic`.
pub(super) fn declare_exchange(channel: &Channel, topic: Topic) -> Result<(), BusError> {
    let (kind, ours) = match topic {
        Topic::Ping | Topic::Announce => (ExchangeType::Fanout, "as a durable fanout exchange"),
        _ => (ExchangeType::Topic, "as a durable topic exchange"),
    };
    let options = ExchangeDeclareOptions {
        durable: true,
        ..ExchangeDeclareOptions::default()
    };
    let name = exchange(topic);
    channel
        .exchange_declare(kind, name, options)
        .map(|_| ())
        .map_err(|error| declined(&format!("the exchange {name}"), ours, &error))
}

/// Who reads a queue.
pub(super) enum Readers {
    /// This link alone.
    One,
    /// Every proxy of a group.
    Group,
}

/// How a queue for a group is declared, and those of dialogs.
pub(super) const GROUP_QUEUE: &str = "durable, not exclusive, not auto-delete, without arguments";

/// What a broker says of a queue when it is declared.
pub(super) struct State {
    /// Messages that wait.
    pub(super) messages: u32,
    /// Its consumers.
    pub(super) consumers: u32,
}

/// Declares the queue `name`.
pub(super) fn declare_queue(
    channel: &Channel,
    name: &str,
    readers: &Readers,
) -> Result<State, BusError> {
    check_key(name)?;
    let mut arguments = FieldTable::new();
    let ours = match readers {
        Readers::One => {
            arguments.insert("x-expires".into(), AmqpValue::LongInt(EXPIRES));
            "durable, not exclusive, not auto-delete, with x-expires 30000 and no other arguments"
        }
        Readers::Group => GROUP_QUEUE,
    };
    let options = QueueDeclareOptions {
        durable: true,
        exclusive: false,
        auto_delete: false,
        arguments,
    };
    let queue = channel
        .queue_declare(name, options)
        .map_err(|error| declined(&format!("the queue {name}"), ours, &error))?;
    Ok(State {
        messages: queue.declared_message_count().unwrap_or(0),
        consumers: queue.declared_consumer_count().unwrap_or(0),
    })
}

/// The error of a declaration of `what`, by us as `ours` says.
fn declined(what: &str, ours: &str, error: &Error) -> BusError {
    match error {
        Error::ServerClosedChannel { message, .. } => BusError::Declined {
            what: what.to_owned(),
            ours: ours.to_owned(),
            why: message.clone(),
        },
        _ => BusError::Lost,
    }
}

/// The error of doing `what`.
pub(super) fn denied(what: &str, error: &Error) -> BusError {
    match error {
        Error::ServerClosedChannel { message, .. } => not_allowed(what, message.clone()),
        _ => BusError::Lost,
    }
}

/// The error of doing `what`, in the broker's words.
pub(super) fn not_allowed(what: &str, why: String) -> BusError {
    BusError::Denied {
        what: what.to_owned(),
        why,
    }
}
