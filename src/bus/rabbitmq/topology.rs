//! The names of exchanges and queues, as of the Go program and its client (wire-protocol.md, "RabbitMQ
//! topology").

use super::message::LONGEST_TEXT;
use crate::bus::{BusError, Topic};
use crate::wire::id;

/// The exchange of `topic`.
pub(super) fn exchange(topic: Topic) -> &'static str {
    match topic {
        Topic::Event | Topic::Dialog | Topic::Status => "ari.event",
        Topic::Request => "ari.request",
        Topic::Ping => "ari.ping",
        Topic::Announce => "ari.announce",
        Topic::Direct => "",
    }
}

/// The name of the queue that the members of `group` share for `subject`, as the Go program's.
#[cfg(feature = "server")]
pub(super) fn shared_queue(group: &str, subject: &str) -> String {
    format!("{group}-{subject}")
}

/// The name of the queue that only the link `link` reads for `subject` and those below it.
pub(super) fn own_queue(subject: &str, link: &str) -> String {
    format!("{subject}-{link}")
}

/// What tells the queues of a link from those of all others.
pub(super) fn new_link() -> String {
    id::generate("q")
}

/// Checks that `key` can be a routing key or a name.
pub(super) fn check_key(key: &str) -> Result<(), BusError> {
    if key.len() > LONGEST_TEXT {
        return Err(BusError::Subject(key.to_owned()));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        #[cfg(feature = "server")]
        assert_eq!(
            shared_queue("ariproxy", "ari.create.app"),
            "ariproxy-ari.create.app"
        );
        let (one, other) = (new_link(), new_link());
        assert_eq!(own_queue("ari.get", &one), format!("ari.get-{one}"));
        assert_ne!(one, other);
    }

    #[test]
    fn keys_that_the_protocol_cannot_carry() {
        assert!(check_key(&"k".repeat(255)).is_ok());
        assert!(check_key(&"k".repeat(256)).is_err());
    }
}
