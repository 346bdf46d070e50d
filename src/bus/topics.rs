//! The topics of dialogs, as go-ari-proxy has them (wire-protocol.md, part B): beside the subjects of a
//! link, an application and its dialogs have topics of their own, on RabbitMQ queues of these names.
//!
//! What is said here is about what a single listener has to get: an application that is told of a call
//! must be there, and its topics must be there before anything is published on them.

use std::sync::Arc;
use std::time::Duration;

use super::BusError;

/// What is heard of the topics of dialogs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Heard {
    /// A message came on the command topic of a dialog.
    Command {
        /// The dialog.
        dialog: String,
        /// The message; a little more than [`LARGEST_REQUEST`](super::link::LARGEST_REQUEST) of one that
        /// is longer.
        body: Vec<u8>,
        /// Whether it was given to somebody before, maybe to us on a link that was lost.
        redelivered: bool,
    },
    /// It is listened on the command topic of this dialog from now on.
    Listening(String),
    /// The offer of this number is with a listener, or waits for one in a queue.
    Taken(u64),
    /// Nobody listens where the offer of this number went: it is gone.
    Nobody(u64),
    /// The bus does not let this dialog have its topics.
    Refused {
        /// The dialog.
        dialog: String,
        /// Why, in the bus' words.
        why: String,
    },
}

/// Who hears it, on a thread of the bus: it must not wait for anything.
pub type Hear = Box<dyn Fn(Heard) + Send + Sync>;

/// The topics of the dialogs of one application on a link. Nothing here waits for the bus. Dropped, it
/// listens no more and removes nothing.
pub trait Topics: Send {
    /// Listens on the command topic of `dialog`; whether it does by the time that anything published later
    /// arrives. If not, [`Heard::Listening`] tells when it does. When something was heard there, the
    /// dialog's other topics are there as well. On a link on which it was opened before, nothing happens.
    fn open(&mut self, dialog: &str) -> Result<bool, BusError>;

    /// Publishes `body` on `topic`, to be taken by one listener within `lasts` where the bus keeps it;
    /// what has become of it is heard under `number`. [`BusError::Busy`] says that there is no room for
    /// now, and that nothing will be heard.
    fn offer(
        &mut self,
        topic: &str,
        body: &[u8],
        lasts: Duration,
        number: u64,
    ) -> Result<(), BusError>;

    /// Listens to `dialog` no more and removes its topics, once the listener has what was handed to the
    /// link before; but not too late, if there is none.
    fn close(&mut self, dialog: &str);

    /// The dialogs that are closed and whose topics are not all removed yet: what a link that is lost
    /// leaves to the next. None on a bus that keeps nothing.
    fn unfinished(&self) -> Vec<Arc<str>> {
        Vec::new()
    }

    /// Sends what the others have handed over, and looks after what is being removed. To be called
    /// after them, and every second while there are dialogs or something is being removed.
    fn attend(&mut self);
}
