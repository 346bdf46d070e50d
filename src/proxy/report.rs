//! What the status subject is told: every change of where the proxy stands, and what is lost
//! between Asterisk and the bus. Owned by the publisher, so that a status and the events around it
//! reach the bus in the order in which they came to pass.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant, SystemTime};

use super::sent::Message;
use super::standing::{Change, Origin, Standing};
use crate::bus::Topic;
use crate::wire::status::{Count, State, status};

/// How often a gap is told at most: one that goes on is told in pieces.
const BETWEEN_GAPS: Duration = Duration::from_secs(1);

/// The report of one proxy.
pub struct Report {
    standing: Arc<Standing>,
    /// Whether anybody is told.
    tells: bool,
    /// The change that holds; none before Asterisk was first connected.
    current: Option<Box<Change>>,
    /// What is told of the losses of its origin.
    told: Lost,
    /// Whether events were on their way on a link that was lost.
    uncertain: bool,
    /// Since when there was no link, until the gap that this made is told.
    away: Option<SystemTime>,
    /// When a gap was told last.
    gap_told: Option<Instant>,
}

/// How many events are lost, by how.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
struct Lost {
    full: u64,
    old: u64,
    refused: u64,
}

impl Lost {
    fn of(origin: &Origin) -> Lost {
        Lost {
            full: origin.losses.full.get(),
            old: origin.losses.old.get(),
            refused: origin.losses.refused.get(),
        }
    }

    fn since(self, before: Lost) -> Lost {
        Lost {
            full: self.full - before.full,
            old: self.old - before.old,
            refused: self.refused - before.refused,
        }
    }

    fn sum(self) -> u64 {
        self.full + self.old + self.refused
    }

    /// What to tell of them.
    fn reason(self, uncertain: bool) -> String {
        let parts = [
            (self.full, "did not fit into the buffer"),
            (self.old, "waited for longer than events.max_age"),
            (self.refused, "were refused by the bus"),
        ];
        let mut reasons: Vec<_> = parts
            .iter()
            .filter(|(count, _)| *count > 0)
            .map(|(count, how)| format!("{count} {how}"))
            .collect();
        if uncertain {
            reasons.push("a link to the bus was lost with events on their way".to_owned());
        }
        reasons.join(", ")
    }
}

impl Report {
    /// Nothing is told yet, nor later unless it `tells`: who has applications of go-ari-proxy only has
    /// nobody who listens.
    pub fn new(standing: &Arc<Standing>, tells: bool) -> Report {
        Report {
            standing: Arc::clone(standing),
            tells,
            current: None,
            told: Lost::default(),
            uncertain: false,
            away: None,
            gap_told: None,
        }
    }

    /// There is another link after the time `away`; whether events may be lost with the one before.
    pub fn link_replaced(&mut self, away: Duration, uncertain: bool) {
        self.uncertain |= uncertain;
        let since = SystemTime::now().checked_sub(away);
        self.away = self.away.or(since);
    }

    /// All that waited for the link is published: what is lost from now on has nothing to do with the
    /// time without one.
    pub fn caught_up(&mut self) {
        self.away = None;
    }

    /// Events that a lost link may not have delivered are not published again: they are too old.
    pub fn not_repeated(&mut self) {
        self.uncertain = true;
    }

    /// Tells of `change`, which holds from now on. What is lost with it cannot be known.
    /// One that is older than the one that holds was overtaken, and is not told.
    pub fn change(&mut self, mut change: Box<Change>) -> Vec<Message> {
        let current = self.current.as_ref();
        if current.is_some_and(|current| current.number >= change.number) {
            return Vec::new();
        }
        let mut messages = Vec::new();
        if let Some(old) = current.filter(|current| !Arc::ptr_eq(&current.origin, &change.origin)) {
            // Nothing more will be told of it: it gets what it is owed.
            let (origin, was_down) = (Arc::clone(&old.origin), old.state == State::Down);
            messages.extend(self.gap_at_once());
            if !was_down {
                let reason = format!("Asterisk goes by the id {} now", change.origin.asterisk);
                let down = Change::new(State::Down, &origin, reason);
                messages.extend(self.messages(
                    &down,
                    State::Down,
                    None,
                    change.since,
                    &down.reason,
                ));
            }
            self.told = Lost::default();
        }
        self.take_losses(&change.origin);
        self.uncertain = false;
        messages.extend(self.messages(&change, change.state, None, change.since, &change.reason));
        change.members = None;
        self.current = Some(change);
        messages
    }

    /// Tells what holds, once more, and before it what was lost since anything was told.
    pub fn again(&mut self) -> Vec<Message> {
        let mut messages = self.gap_at_once();
        if let Some(current) = &self.current {
            let (state, since, reason) = (current.state, current.since, &current.reason);
            messages.extend(self.messages(current, state, Some(0), since, reason));
        }
        messages
    }

    /// Whether anything was lost that is not told.
    pub fn is_gap(&self) -> bool {
        let current = self.current.as_ref();
        current.is_some_and(|current| self.uncertain || Lost::of(&current.origin) != self.told)
    }

    /// Tells of what was lost, if anything was, however soon after the last time.
    pub fn gap_at_once(&mut self) -> Vec<Message> {
        self.gap_told = None;
        self.gap()
    }

    /// Tells of what was lost, if anything was and it is time.
    pub fn gap(&mut self) -> Vec<Message> {
        let told = self.gap_told;
        if !self.is_gap() || told.is_some_and(|told| told.elapsed() < BETWEEN_GAPS) {
            return Vec::new();
        }
        let Some(current) = self.current.take() else {
            return Vec::new();
        };
        let losses = self.take_losses(&current.origin);
        let uncertain = std::mem::take(&mut self.uncertain);
        let lost = (!uncertain).then_some(losses.sum());
        let reason = losses.reason(uncertain);
        let since = self.away.take().unwrap_or_else(SystemTime::now);
        self.gap_told = Some(Instant::now());
        let messages = self.messages(&current, State::Gap, lost, since, &reason);
        self.current = Some(current);
        messages
    }

    /// Tells that the proxy ends, for this `reason`.
    pub fn stopping(&mut self, reason: &str) -> Vec<Message> {
        let mut messages = self.gap_at_once();
        if let Some(current) = &self.current {
            let now = SystemTime::now();
            messages.extend(self.messages(current, State::Stopping, Some(0), now, reason));
        }
        messages
    }

    fn take_losses(&mut self, origin: &Origin) -> Lost {
        let all = Lost::of(origin);
        let new = all.since(self.told);
        self.told = all;
        new
    }

    fn messages(
        &self,
        change: &Change,
        state: State,
        lost: Option<u64>,
        since: SystemTime,
        reason: &str,
    ) -> Vec<Message> {
        let origin = &change.origin;
        if lost.is_none() {
            origin.unknown.fetch_add(1, Ordering::Relaxed);
        }
        let count = Count {
            epoch: &origin.epoch,
            seq: origin.published.load(Ordering::Relaxed),
            lost,
            lost_total: self.told.sum(),
            lost_unknown: origin.unknown.load(Ordering::Relaxed),
        };
        let place = self.standing.place(origin);
        let members = change.members.as_ref();
        status(&place, state, count, since, reason, members)
            .into_iter()
            .filter(|_| self.tells)
            .map(|body| Message {
                topic: Topic::Status,
                subject: Arc::clone(&origin.status_subject),
                mark: None,
                body: body.into(),
                since: Instant::now(),
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::subject::Subjects;
    use serde_json::{Value, json};

    struct Told {
        report: Report,
        origin: Arc<Origin>,
        standing: Arc<Standing>,
        changes: u64,
    }

    impl Told {
        fn new() -> Told {
            let subjects = Subjects::new("ari.", "app");
            let standing = Arc::new(Standing::new("app", subjects));
            Told {
                report: Report::new(&standing, true),
                origin: standing.name("00:01"),
                standing,
                changes: 0,
            }
        }

        fn change(&mut self, state: State) -> Vec<Value> {
            let mut change = Change::new(state, &self.origin, "why");
            self.changes += 1;
            change.number = self.changes;
            values(self.report.change(Box::new(change)))
        }
    }

    fn values(messages: Vec<Message>) -> Vec<Value> {
        messages
            .iter()
            .map(|message| {
                let subject = message.subject.strip_prefix("ari.status.app.");
                let body: Value = serde_json::from_slice(&message.body).unwrap();
                assert_eq!(subject, body["asterisk"].as_str());
                body
            })
            .collect()
    }

    #[test]
    fn what_was_overtaken_is_not_told() {
        let mut told = Told::new();
        told.change(State::Up);
        told.changes -= 1;
        assert_eq!(told.change(State::Down), Vec::<Value>::new());
        assert_eq!(values(told.report.again())[0]["state"], "up");
    }

    #[test]
    fn another_id_leaves_nothing_behind() {
        let mut told = Told::new();
        told.change(State::Up);
        told.origin.published.store(3, Ordering::Relaxed);
        told.origin.losses.full.add();
        told.report.gap();
        told.origin.losses.full.add();
        told.origin = told.standing.name("00:02");
        let all = told.change(State::Up);
        let whose: Vec<_> = all.iter().map(|status| &status["asterisk"]).collect();
        assert_eq!(whose, ["00:01", "00:01", "00:02"]);
        says(&all[0], "gap", 3, json!(1), 2);
        says(&all[1], "down", 3, json!(null), 2);
        says(&all[2], "up", 0, json!(null), 0);
    }

    #[test]
    fn a_gap_is_not_older_than_what_made_it() {
        let mut told = Told::new();
        told.change(State::Up);
        told.report.link_replaced(Duration::from_secs(3600), true);
        let gap = values(told.report.gap());
        assert!(gap[0]["since"].as_str() < told.change(State::Up)[0]["since"].as_str());
        told.report.link_replaced(Duration::from_secs(3600), false);
        told.report.caught_up();
        let before = told.change(State::Up)[0]["since"].clone();
        told.origin.losses.refused.add();
        let gap = values(told.report.gap_at_once());
        assert!(gap[0]["since"].as_str() >= before.as_str());
    }

    fn says(message: &Value, state: &str, seq: u64, lost: Value, lost_total: u64) {
        assert_eq!(message["state"], state, "{message}");
        assert_eq!(message["seq"], seq, "{message}");
        assert_eq!(message["lost"], lost, "{message}");
        assert_eq!(message["lost_total"], lost_total, "{message}");
    }

    #[test]
    fn a_gap_says_how_many_and_only_once() {
        let mut told = Told::new();
        told.origin.losses.full.add();
        assert!(told.report.gap().is_empty(), "nobody knows of whom");
        let up = told.change(State::Up);
        says(&up[0], "up", 0, json!(null), 1);
        assert!(told.report.gap().is_empty());
        told.origin.published.store(5, Ordering::Relaxed);
        told.origin.losses.full.add_all(3);
        told.origin.losses.old.add_all(2);
        let gap = values(told.report.gap());
        says(&gap[0], "gap", 5, json!(5), 6);
        assert_eq!(
            gap[0]["reason"],
            "3 did not fit into the buffer, 2 waited for longer than events.max_age"
        );
        assert!(told.report.gap().is_empty());
        told.origin.losses.refused.add();
        assert!(told.report.gap().is_empty(), "not so soon again");
        assert!(told.report.is_gap());
        let again = values(told.report.again());
        says(&again[0], "gap", 5, json!(1), 7);
        says(&again[1], "up", 5, json!(0), 7);
        assert_eq!(again[1]["since"], up[0]["since"]);
    }

    #[test]
    fn what_was_on_its_way_cannot_be_known() {
        let mut told = Told::new();
        told.change(State::Up);
        told.report.link_replaced(Duration::from_secs(1), false);
        assert!(told.report.gap().is_empty());
        told.report.link_replaced(Duration::from_secs(1), true);
        let gap = values(told.report.gap());
        says(&gap[0], "gap", 0, json!(null), 0);
        let stopping = values(told.report.stopping("SIGTERM"));
        says(&stopping[0], "stopping", 0, json!(0), 0);
    }

    #[test]
    fn members_are_told_once() {
        let mut told = Told::new();
        let mut change = Change::new(State::Up, &told.origin, "why");
        change.number = 1;
        change.members = Some(Default::default());
        let up = values(told.report.change(Box::new(change)));
        assert!(up[0].get("details").is_some());
        assert!(values(told.report.again())[0].get("details").is_none());
    }
}
