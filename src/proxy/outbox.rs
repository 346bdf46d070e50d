//! The outbox: the link of the publisher, and the messages that come before the next event.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::buffer::Direct;
use super::counters::Counters;
use super::outgoing::Outgoing;
use super::report::Report;
use super::sent::{Message, Sent};
use super::standing::Change;
use crate::ari::websocket::Frame;
use crate::bus::{BusError, Link, Mark, Topic};
use crate::occasionally::Occasionally;
use crate::wire::topic;

/// The status of an answer that cannot be passed on, as HTTP has it.
const BAD_GATEWAY: u16 = 502;

/// The outbox of one publisher.
pub struct Outbox {
    /// The link of the moment, or the last one.
    pub link: Option<Arc<dyn Link>>,
    /// Whether the link may be published to.
    pub usable: bool,
    /// What was handed to the link.
    pub sent: Sent,
    /// What comes before all else.
    pub again: VecDeque<Message>,
    /// Statuses to publish, before any event.
    pub statuses: VecDeque<Message>,
    /// What statuses say.
    pub report: Report,
    /// The event that is being published.
    pub outgoing: Option<Outgoing>,
    /// The message for an application that is.
    pub direct: Option<Box<Direct>>,
    /// The number of the link, and how many of the items that waited for it are left; none once
    /// that is told.
    pub backlog: Option<(u64, usize)>,
    /// Why to finish, once that is to be done, and until it is told.
    pub finish: Option<&'static str>,
    /// Whether to finish.
    pub finishing: bool,
    /// When to log of refused events.
    pub refused: Occasionally,
}

impl Outbox {
    /// Without a link.
    pub fn new(report: Report) -> Outbox {
        Outbox {
            link: None,
            usable: false,
            sent: Sent::default(),
            again: VecDeque::new(),
            statuses: VecDeque::new(),
            report,
            outgoing: None,
            direct: None,
            backlog: None,
            finish: None,
            finishing: false,
            refused: Occasionally::new(),
        }
    }

    /// How many messages are taken and not handed over.
    pub fn held(&self) -> usize {
        let begun = usize::from(self.outgoing.is_some()) + usize::from(self.direct.is_some());
        self.again.len() + self.statuses.len() + begun
    }

    /// Has what was lost told, if anything was and it is time.
    pub fn tell_gap(&mut self) {
        let gap = self.report.gap();
        self.statuses.extend(gap);
    }

    /// Has a change told, and before it what was lost by then.
    pub fn tell_change(&mut self, change: Box<Change>) {
        let gap = self.report.gap_at_once();
        self.statuses.extend(gap);
        let status = self.report.change(change);
        self.statuses.extend(status);
    }

    /// There is another link, after the time `away`.
    pub fn replace_link(&mut self, link: Arc<dyn Link>, away: Duration) {
        if let Some(lost) = self.link.replace(Arc::clone(&link)) {
            let same = lost.peer() == link.peer();
            let again = self.sent.to_repeat(lost.taken(), lost.heard(), away, same);
            let mut again = VecDeque::from(again);
            again.append(&mut self.again);
            self.again = again;
            self.report.link_replaced(away, lost.is_uncertain());
        }
        self.usable = true;
    }

    /// Sends what was handed over, and forgets what is safe.
    pub fn flush(&mut self, link: &dyn Link) {
        link.flush();
        self.sent.forget(link.taken(), link.heard());
    }

    /// Hands an event over, and keeps it where the bus may lose it.
    pub fn hand_over(
        &mut self,
        link: &dyn Link,
        topic: Topic,
        subject: &Arc<str>,
        mark: Option<Mark>,
        body: &Frame,
    ) -> Result<(), BusError> {
        if let Some(number) = link.publish(topic, subject, mark.as_ref(), body)? {
            let message = Message {
                topic,
                subject: Arc::clone(subject),
                mark,
                body: body.clone(),
                since: Instant::now(),
            };
            self.sent.keep(number, message);
        }
        Ok(())
    }

    /// Publishes the next of what a lost link may not have delivered, unless it is older than `longest`;
    /// whether there was any.
    pub fn publish_again(
        &mut self,
        link: &dyn Link,
        counters: &Counters,
        longest: Duration,
    ) -> Result<bool, BusError> {
        let Some(message) = self.again.front() else {
            return Ok(false);
        };
        // A status says itself since when it holds.
        if message.topic != Topic::Status && message.since.elapsed() > longest {
            if message.topic == Topic::Event {
                self.report.not_repeated();
            }
            counters.events_not_repeated.add();
            self.again.pop_front();
            return Ok(true);
        }
        let number = match publish(link, message) {
            Ok(number) => {
                if message.topic != Topic::Status {
                    counters.events_published_again.add();
                }
                number
            }
            Err(error @ (BusError::Lost | BusError::Busy)) => return Err(error),
            // It was handed over before, and may have been what ended that link.
            Err(_) => {
                if message.topic == Topic::Event {
                    self.report.not_repeated();
                }
                counters.events_not_repeated.add();
                None
            }
        };
        let message = self.again.pop_front();
        self.keep(number, message);
        Ok(true)
    }

    /// Publishes the next status; whether there was one.
    pub fn publish_status(
        &mut self,
        link: &dyn Link,
        counters: &Counters,
    ) -> Result<bool, BusError> {
        let Some(message) = self.statuses.front() else {
            return Ok(false);
        };
        let number = match publish(link, message) {
            Ok(number) => {
                counters.statuses.add();
                number
            }
            Err(error @ (BusError::Lost | BusError::Busy)) => return Err(error),
            Err(error) => {
                log::warn!("the status is not told: {error}");
                None
            }
        };
        let message = self.statuses.pop_front();
        self.keep(number, message);
        Ok(true)
    }

    /// Publishes the message for an application, if there is one and it is not older than `longest`;
    /// whether there was one.
    pub fn publish_direct(
        &mut self,
        link: &dyn Link,
        counters: &Counters,
        longest: Duration,
    ) -> Result<bool, BusError> {
        let Some(direct) = &self.direct else {
            return Ok(false);
        };
        let message = &direct.message;
        let late = direct.until.is_some_and(|until| Instant::now() >= until);
        let number = if late || message.since.elapsed() > longest {
            direct.count_loss(counters);
            None
        } else {
            match publish(link, message) {
                Ok(number) => number.filter(|_| direct.until.is_none()),
                Err(error @ (BusError::Lost | BusError::Busy)) => return Err(error),
                Err(error) => {
                    if self.refused.now() {
                        log::warn!("a message for an application is lost: {error}");
                    }
                    if let Some(body) = instead(direct, &error) {
                        // Who waits for a response gets a short one.
                        if let Some(direct) = &mut self.direct {
                            direct.message.body = body.into();
                        }
                        return Ok(true);
                    }
                    direct.count_loss(counters);
                    None
                }
            }
        };
        let direct = self.direct.take();
        self.keep(number, direct.map(|direct| direct.message));
        Ok(true)
    }

    fn keep(&mut self, number: Option<u64>, message: Option<Message>) {
        if let (Some(number), Some(message)) = (number, message) {
            self.sent.keep(number, message);
        }
    }
}

/// What stands for a response that the bus refuses: none of one that is short already.
fn instead(direct: &Direct, error: &BusError) -> Option<Vec<u8>> {
    direct.until?;
    let body = &direct.message.body;
    let short = topic::instead_of(body, BAD_GATEWAY, &error.to_string())?;
    (short.len() < body.len()).then_some(short)
}

fn publish(link: &dyn Link, message: &Message) -> Result<Option<u64>, BusError> {
    let mark = message.mark.as_ref();
    link.publish(message.topic, &message.subject, mark, &message.body)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::value::to_raw_value;

    #[test]
    fn only_a_long_response_has_a_short_one_instead() {
        let instead_of = |body: Vec<u8>, until| {
            let message = Message {
                topic: crate::bus::Topic::Direct,
                subject: "responses_d".into(),
                mark: None,
                body: body.into(),
                since: Instant::now(),
            };
            let error = BusError::TooLarge { size: 2, limit: 1 };
            instead(&Direct { message, until }, &error)
        };
        let response = |length| {
            let id = to_raw_value("1").unwrap();
            topic::response(&id, 200, &"x".repeat(length))
        };
        let now = Some(Instant::now());
        let short = instead_of(response(10_000), now).unwrap();
        assert!(short.starts_with(br#"{"unique_id":"1","status_code":502,"#));
        assert_eq!(instead_of(short, now), None, "it is not tried for ever");
        assert_eq!(instead_of(response(10_000), None), None, "an event");
    }
}
