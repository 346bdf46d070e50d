//! Whether the statuses of a proxy told a subscriber the truth about what it missed.
//!
//! The subscriber knows three things: numbers of lost events that a status names, a status that says
//! that it cannot be known, and how many events two statuses of an epoch claim to have between them.
//! The test knows which events were sent. Each must explain the other.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::witness::Seen;

/// What is expected of the statuses of one proxy, or of several that follow each other.
pub(crate) struct Expected {
    /// Which application's.
    pub(crate) application: &'static str,
    /// The ids of its Asterisks; others are somebody else's.
    pub(crate) asterisks: Vec<String>,
    /// How many epochs there are.
    pub(crate) epochs: usize,
    /// The states that are told of, each at least once, besides `up`; no other may be.
    pub(crate) told: Vec<&'static str>,
    /// Those that may be told of besides.
    pub(crate) perhaps: Vec<&'static str>,
    /// The state of the last status.
    pub(crate) last: &'static str,
}

impl Expected {
    /// Of a proxy to which nothing happens.
    pub(crate) fn nothing(asterisk: &str) -> Expected {
        Expected {
            application: "conf",
            asterisks: vec![asterisk.to_owned()],
            epochs: 1,
            told: vec![],
            perhaps: vec![],
            last: "up",
        }
    }

    /// Of one that tells of this state besides.
    pub(crate) fn told(mut self, state: &'static str) -> Expected {
        self.told.push(state);
        self
    }

    /// Of one that may tell of this state besides.
    pub(crate) fn perhaps(mut self, state: &'static str) -> Expected {
        self.perhaps.push(state);
        self
    }
}

/// A status.
#[derive(Debug, Clone)]
struct Status {
    state: String,
    epoch: String,
    seq: u64,
    lost: Option<u64>,
    lost_total: u64,
}

/// An event or status of the proxies in question.
enum Step {
    Event {
        number: u64,
        again: bool,
        epoch: Option<String>,
    },
    Status(Status),
}

impl Step {
    /// Whether it is an event that had not come before and is, or may be, of this epoch.
    fn is_new_of(&self, of: &str) -> bool {
        match self {
            Step::Event { again, epoch, .. } => {
                !again && epoch.as_ref().is_none_or(|epoch| epoch == of)
            }
            Step::Status(_) => false,
        }
    }
}

/// Events that did not come, between the steps at `from`, if there is one, and `to`.
#[derive(Debug)]
struct Hole {
    from: Option<usize>,
    to: usize,
    count: u64,
    /// Whether a status said that what is lost cannot be known; a number may follow.
    excused: bool,
}

/// What is wrong with the statuses, given what a witness has seen and what was sent.
pub(crate) fn judge(seen: &[Seen], sent: &[u64], expected: &Expected) -> Vec<String> {
    let mut wrong = Vec::new();
    let steps = steps(seen, expected, &mut wrong);
    let statuses: Vec<(usize, &Status)> = steps
        .iter()
        .enumerate()
        .filter_map(|(index, step)| match step {
            Step::Status(status) => Some((index, status)),
            Step::Event { .. } => None,
        })
        .collect();
    if statuses.is_empty() {
        return vec!["no status came".to_owned()];
    }
    judge_states(&steps, &statuses, expected, &mut wrong);
    judge_totals(&statuses, &mut wrong);
    judge_losses(&steps, &statuses, sent, &mut wrong);
    wrong
}

fn steps(seen: &[Seen], expected: &Expected, wrong: &mut Vec<String>) -> Vec<Step> {
    let ours = |asterisk: &str| expected.asterisks.iter().any(|id| id == asterisk);
    let mut steps = Vec::new();
    for seen in seen {
        match seen {
            Seen::Event {
                number,
                asterisk,
                again,
                epoch,
            } if ours(asterisk) => steps.push(Step::Event {
                number: *number,
                again: *again,
                epoch: epoch.clone(),
            }),
            Seen::Status { subject, body } => {
                let asterisk = body["asterisk"].as_str().unwrap_or_default();
                if !subject.rsplit_once('.').is_some_and(|(_, id)| ours(id)) {
                    continue;
                }
                let due = format!("ari.status.{}.{asterisk}", expected.application);
                match read(body, expected) {
                    Some(status) if *subject == due => steps.push(Step::Status(status)),
                    _ => wrong.push(format!("not a status: {body} on {subject}")),
                }
            }
            _ => {}
        }
    }
    steps
}

fn read(body: &Value, expected: &Expected) -> Option<Status> {
    let text = |name: &str| body[name].as_str();
    if text("application")? != expected.application || text("reason").is_none() {
        return None;
    }
    // Members that may be null must be there all the same.
    let lost = body.get("lost")?;
    if !is_time(text("since")?) || !(lost.is_null() || lost.is_u64()) {
        return None;
    }
    Some(Status {
        state: text("state")?.to_owned(),
        epoch: text("epoch")?.to_owned(),
        seq: body["seq"].as_u64()?,
        lost: lost.as_u64(),
        lost_total: body["lost_total"].as_u64()?,
    })
}

/// Whether this is a time as RFC 3339 has it.
fn is_time(text: &str) -> bool {
    let pattern = "dddd-dd-ddTdd:dd:dd";
    let fits = |(c, p): (char, char)| c == p || (p == 'd' && c.is_ascii_digit());
    let zone = text.ends_with('Z') || text.contains('+');
    text.len() > pattern.len() && text.chars().zip(pattern.chars()).all(fits) && zone
}

/// The right states were told of, nothing follows the end, there are as many epochs as there should.
fn judge_states(
    steps: &[Step],
    statuses: &[(usize, &Status)],
    expected: &Expected,
    wrong: &mut Vec<String>,
) {
    let states: BTreeSet<&str> = statuses.iter().map(|(_, s)| s.state.as_str()).collect();
    for state in &expected.told {
        if !states.contains(state) {
            wrong.push(format!("never told: {state}"));
        }
    }
    let may = |state: &str| {
        state == "up" || expected.told.contains(&state) || expected.perhaps.contains(&state)
    };
    for (_, status) in statuses.iter().filter(|(_, status)| !may(&status.state)) {
        wrong.push(format!("told without a reason: {status:?}"));
    }
    if let Some((_, last)) = statuses.last().filter(|(_, s)| s.state != expected.last) {
        wrong.push(format!("the last is {last:?}, not {}", expected.last));
    }
    let mut epochs: Vec<&str> = Vec::new();
    for (index, status) in statuses {
        if !epochs.contains(&status.epoch.as_str()) {
            epochs.push(&status.epoch);
        }
        if status.state == "stopping"
            && steps[index + 1..]
                .iter()
                .any(|step| step.is_new_of(&status.epoch))
        {
            wrong.push("something came after stopping".to_owned());
        }
    }
    if epochs.len() != expected.epochs {
        let count = epochs.len();
        wrong.push(format!("{count} epochs, not {}", expected.epochs));
    }
}

/// The totals grow by what was lost.
fn judge_totals(statuses: &[(usize, &Status)], wrong: &mut Vec<String>) {
    let mut before: BTreeMap<&str, &Status> = BTreeMap::new();
    for (_, status) in statuses {
        if let Some(before) = before.insert(&status.epoch, status) {
            let lost = status.lost_total.checked_sub(before.lost_total);
            let agrees = status.lost.is_none() || status.lost == lost;
            if lost.is_none() || !agrees || status.seq < before.seq {
                wrong.push(format!("{status:?} after {before:?}"));
            }
        }
    }
}

/// Every event that is missing is explained by a status, and what statuses say is missing is.
fn judge_losses(
    steps: &[Step],
    statuses: &[(usize, &Status)],
    sent: &[u64],
    wrong: &mut Vec<String>,
) {
    let mut holes = holes(steps, sent);
    let mut before: BTreeMap<&str, (usize, &Status)> = BTreeMap::new();
    for (index, status) in statuses {
        // What a subscriber can conclude at this status: a number, or that it is unknown.
        let mut told = status.lost;
        let before = before.insert(&status.epoch, (*index, status));
        let from = before.map_or(0, |(index, _)| index);
        if let Some((from, before)) = before {
            let came = steps[from..*index].iter();
            let came = came.filter(|step| step.is_new_of(&status.epoch)).count() as u64;
            match (status.seq - before.seq.min(status.seq)).checked_sub(came) {
                Some(jump) => told = told.map(|told| told + jump),
                None => wrong.push(format!("{came} events came before {status:?}")),
            }
        } else {
            told = None;
        }
        // What is missing up to here and was not told of before.
        let due = holes.iter_mut().filter(|hole| hole.from < Some(*index));
        match told {
            None => due.for_each(|hole| hole.excused = true),
            Some(mut told) => {
                for hole in due {
                    let explained = told.min(hole.count);
                    hole.count -= explained;
                    told -= explained;
                    // Told too late: the subscriber has had a later status already.
                    if hole.count > 0 && !hole.excused && hole.to < from {
                        wrong.push(format!("{hole:?} was not told of by {status:?}"));
                        hole.excused = true;
                    }
                }
                if told > 0 {
                    wrong.push(format!("{told} more than are missing, by {status:?}"));
                }
            }
        }
    }
    let unknown = |hole: &&Hole| hole.count > 0 && !hole.excused;
    for hole in holes.iter().filter(unknown) {
        wrong.push(format!("never told of: {hole:?}"));
    }
}

/// What is missing, by where it is.
fn holes(steps: &[Step], sent: &[u64]) -> Vec<Hole> {
    let came: BTreeMap<u64, usize> = steps
        .iter()
        .enumerate()
        .filter_map(|(index, step)| match step {
            Step::Event {
                number,
                again: false,
                ..
            } => Some((*number, index)),
            _ => None,
        })
        .collect();
    let mut holes: Vec<Hole> = Vec::new();
    for number in sent.iter().filter(|number| !came.contains_key(number)) {
        let from = came.range(..number).next_back().map(|(_, at)| *at);
        let to = came.range(number..).next().map(|(_, at)| *at);
        let to = to.unwrap_or(steps.len());
        match holes.last_mut() {
            Some(hole) if hole.from == from => hole.count += 1,
            _ => holes.push(Hole {
                from,
                to,
                count: 1,
                excused: false,
            }),
        }
    }
    holes
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const ID: &str = "00:01";

    fn event(number: u64) -> Seen {
        Seen::Event {
            number,
            asterisk: ID.to_owned(),
            again: false,
            epoch: None,
        }
    }

    fn status(state: &str, seq: u64, lost: Option<u64>, total: u64) -> Seen {
        Seen::Status {
            subject: format!("ari.status.conf.{ID}"),
            body: json!({"asterisk": ID, "application": "conf", "state": state, "epoch": "e",
                "seq": seq, "lost": lost, "lost_total": total, "reason": "",
                "since": "2026-01-01T00:00:00.000Z"}),
        }
    }

    /// Whether a subscriber was told the truth that saw this, where five events were sent.
    fn is_true(middle: &[Seen], end: &[Seen], expected: &Expected) -> bool {
        let start = [status("up", 0, None, 0), event(1), event(2)];
        let seen = [&start, middle, end].concat();
        judge(&seen, &[1, 2, 3, 4, 5], expected).is_empty()
    }

    #[test]
    fn every_loss_must_be_told() {
        let plain = &Expected::nothing(ID);
        let (gap, down) = (
            &Expected::nothing(ID).told("gap"),
            &Expected::nothing(ID).told("down"),
        );
        let up = |seq, total| [status("up", seq, Some(0), total)];
        let (lost, whole) = (&[event(5)], &[event(3), event(4), event(5)]);
        assert!(is_true(whole, &up(5, 0), plain));
        assert!(!is_true(lost, &up(3, 0), plain), "nothing is told");
        assert!(is_true(lost, &up(5, 0), plain), "the count says it");
        assert!(!is_true(lost, &up(4, 0), plain), "the count is too small");
        assert!(!is_true(whole, &up(6, 0), plain), "the count is too large");
        assert!(!is_true(whole, &up(4, 0), plain), "more came than counted");
        let told = |state, count: Option<u64>| {
            let total = count.unwrap_or(0);
            [
                status(state, 2, count, total),
                event(5),
                status("up", 3, Some(0), total),
            ]
        };
        assert!(is_true(&[], &told("gap", Some(2)), gap));
        assert!(!is_true(&[], &told("gap", Some(1)), gap), "one is left");
        assert!(!is_true(&[], &told("gap", Some(3)), gap), "one too many");
        assert!(is_true(&[], &told("gap", None), gap));
        assert!(!is_true(&[], &told("gap", None), down), "another state");
        assert!(!is_true(&[], &told("gap", None), plain), "no reason");
    }

    #[test]
    fn the_end_is_the_end() {
        let mut expected = Expected::nothing(ID).told("stopping");
        expected.last = "stopping";
        let whole = [event(3), event(4), event(5)];
        let end = status("stopping", 5, Some(0), 0);
        assert!(is_true(&whole, &[end], &expected));
        let early = status("stopping", 4, Some(0), 0);
        assert!(!is_true(&whole[..2], &[early, event(5)], &expected));
        assert!(!is_true(&whole, &[status("up", 5, Some(0), 0)], &expected));
    }
}
