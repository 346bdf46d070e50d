//! What one proxy counts: each thing where it happens.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};

/// A number that only grows.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// Counts one more.
    pub fn add(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts `more`.
    pub fn add_all(&self, more: u64) {
        self.0.fetch_add(more, Ordering::Relaxed);
    }

    /// The count.
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

macro_rules! counters {
    ($($(#[doc = $doc:literal])+ $name:ident,)+) => {
        /// The counts of one proxy.
        #[derive(Debug, Default)]
        pub struct Counters {
            $($(#[doc = $doc])+ pub $name: Counter,)+
        }

        impl fmt::Display for Counters {
            /// The counts that are not zero, in one line.
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                let mut first = true;
                $(
                    let count = self.$name.get();
                    if count > 0 {
                        let space = if first { "" } else { " " };
                        write!(f, "{space}{}={count}", stringify!($name))?;
                        first = false;
                    }
                )+
                if first {
                    f.write_str("nothing yet")?;
                }
                Ok(())
            }
        }
    };
}

counters! {
    /// Events received from Asterisk.
    events,
    /// Events published.
    events_published,
    /// Messages with events published again on a new link, as the last may not have delivered them.
    events_published_again,
    /// Events published for a dialog.
    dialog_events_published,
    /// Events dropped because more waited for the bus than may.
    events_dropped_full,
    /// Events dropped because they had waited for the bus too long.
    events_dropped_old,
    /// Events that the bus refused: their size or subject, or, later, the broker.
    events_refused,
    /// Events for a dialog that the bus refused.
    dialog_events_lost,
    /// Messages with events that a lost link may not have delivered, and that were not published
    /// again: too old, or refused now.
    events_not_repeated,
    /// Dialogs begun, for applications of go-ari-proxy.
    dialogs,
    /// Dialogs that ended as no application came.
    dialogs_unclaimed,
    /// Calls without a dialog, as there were too many.
    dialogs_refused,
    /// Events delivered to dialogs.
    topic_events,
    /// Events for dialogs dropped because more waited than may.
    topic_events_dropped,
    /// Commands received from applications of dialogs.
    commands,
    /// Commands answered before they were done, as their applications do not wait for longer.
    commands_late,
    /// Commands refused: they could not be read, or too many waited.
    commands_refused,
    /// Requests received.
    requests,
    /// Requests that were answered with success.
    requests_done,
    /// Requests that were answered with an error.
    requests_failed,
    /// Requests answered that the proxy is overloaded.
    requests_overloaded,
    /// Requests answered that they had waited too long.
    requests_expired,
    /// Requests answered that the ARI connection is down.
    requests_down,
    /// Requests refused because they had been given to a proxy before.
    requests_redelivered,
    /// Requests dropped because they had waited where no proxy was.
    requests_stale,
    /// Requests dropped unanswered because more came at once than could be refused (NATS).
    requests_dropped,
    /// Requests that could not be read and brought no reply subject.
    requests_unanswerable,
    /// Answers that could not be published, or that nobody was there to take.
    answers_lost,
    /// Statuses published.
    statuses,
    /// Announcements published.
    announcements,
    /// Dialog bindings dropped because there were more than may be.
    bindings_evicted,
    /// Connections to Asterisk made.
    asterisk_connections,
    /// Connections to the bus made.
    bus_connections,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shows_what_was_counted() {
        let counters = Counters::default();
        assert_eq!(counters.to_string(), "nothing yet");
        counters.events.add();
        counters.requests.add();
        counters.requests.add();
        assert_eq!(counters.to_string(), "events=1 requests=2");
    }
}
