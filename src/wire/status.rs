//! What a proxy says on `status`: whether events may be lost, so that everyone can know.

use std::fmt;
use std::time::SystemTime;

use serde::{Deserialize, Serialize};

use super::key::Place;
use super::timestamp::rfc3339;

/// Most bytes of ids in one message: a NATS server takes 1 MiB by default.
const LARGEST_PART: usize = 256 * 1024;

/// What is the case.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// Asterisk is connected: its events come.
    Up,
    /// Asterisk is not connected.
    Down,
    /// Another client took the application over, and gets the events.
    Replaced,
    /// Events were lost between Asterisk and the bus. What was the case before still is.
    Gap,
    /// The proxy ends; nothing comes after this.
    Stopping,
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            State::Up => "up",
            State::Down => "down",
            State::Replaced => "replaced",
            State::Gap => "gap",
            State::Stopping => "stopping",
        })
    }
}

/// How far the events of an epoch have got.
#[derive(Debug, Clone, Copy)]
pub struct Count<'a> {
    /// What the counts are of; another one begins at 0.
    pub epoch: &'a str,
    /// Events published so far.
    pub seq: u64,
    /// Events that are known to be lost since the status before; none where it cannot be known.
    pub lost: Option<u64>,
    /// Events that are known to be lost so far.
    pub lost_total: u64,
    /// How often so far it could not be known.
    pub lost_unknown: u64,
}

/// The channels and bridges of an application, by their ids.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Members {
    /// Its channels.
    pub channels: Vec<String>,
    /// Its bridges.
    pub bridges: Vec<String>,
}

impl Members {
    /// How many bytes their ids take, about.
    pub fn size(&self) -> usize {
        let ids = self.channels.iter().chain(&self.bridges);
        ids.map(|id| id.len() + size_of::<String>()).sum()
    }
}

#[derive(Serialize)]
struct Body<'a> {
    asterisk: &'a str,
    application: &'a str,
    state: State,
    epoch: &'a str,
    seq: u64,
    lost: Option<u64>,
    lost_total: u64,
    lost_unknown: u64,
    since: String,
    reason: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    details: Option<Details<'a>>,
}

/// A part of the members.
#[derive(Serialize, Default)]
struct Details<'a> {
    channels: Vec<&'a str>,
    bridges: Vec<&'a str>,
    part: usize,
    parts: usize,
}

/// The status of the proxy at `place`, as JSON: in as many messages as its members need.
pub fn status(
    place: &Place<'_>,
    state: State,
    count: Count<'_>,
    since: SystemTime,
    reason: &str,
    members: Option<&Members>,
) -> Vec<Vec<u8>> {
    let mut body = Body {
        asterisk: place.asterisk,
        application: place.application,
        state,
        epoch: count.epoch,
        seq: count.seq,
        lost: count.lost,
        lost_total: count.lost_total,
        lost_unknown: count.lost_unknown,
        since: rfc3339(since),
        reason,
        details: None,
    };
    // It has a JSON form; an empty body would only be ignored by clients.
    let json = |body: &Body<'_>| serde_json::to_vec(body).unwrap_or_default();
    let Some(members) = members else {
        return vec![json(&body)];
    };
    let mut messages = Vec::new();
    for details in parts(members) {
        body.details = Some(details);
        messages.push(json(&body));
        // What the first said is not lost once more.
        body.lost = Some(0);
    }
    messages
}

fn parts(members: &Members) -> Vec<Details<'_>> {
    let mut parts = vec![Details::default()];
    let mut size = 0;
    let channels = members.channels.iter().map(|id| (true, id));
    let bridges = members.bridges.iter().map(|id| (false, id));
    for (channel, id) in channels.chain(bridges) {
        size += id.len() + 3;
        if size > LARGEST_PART {
            parts.push(Details::default());
            size = id.len() + 3;
        }
        if let Some(part) = parts.last_mut() {
            let ids = if channel {
                &mut part.channels
            } else {
                &mut part.bridges
            };
            ids.push(id);
        }
    }
    let all = parts.len();
    for (index, part) in parts.iter_mut().enumerate() {
        (part.part, part.parts) = (index + 1, all);
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};
    use std::time::UNIX_EPOCH;

    fn messages(lost: Option<u64>, members: Option<&Members>) -> Vec<Value> {
        let place = Place {
            asterisk: "00:01",
            application: "test",
        };
        let count = Count {
            epoch: "e",
            seq: 7,
            lost,
            lost_total: 2,
            lost_unknown: 1,
        };
        status(&place, State::Up, count, UNIX_EPOCH, "why", members)
            .iter()
            .map(|body| serde_json::from_slice(body).unwrap())
            .collect()
    }

    #[test]
    fn has_all_members() {
        assert_eq!(
            messages(None, None),
            [
                json!({"asterisk": "00:01", "application": "test", "state": "up", "epoch": "e",
                "seq": 7, "lost": null, "lost_total": 2, "lost_unknown": 1, "since": "1970-01-01T00:00:00.000Z",
                "reason": "why"})
            ]
        );
    }

    #[test]
    fn many_members_come_in_parts() {
        let none = messages(None, Some(&Members::default()));
        assert_eq!(
            none[0]["details"],
            json!({"channels": [], "bridges": [], "part": 1, "parts": 1})
        );
        let members = Members {
            channels: (0..40_000).map(|n| format!("channel-{n:08}")).collect(),
            bridges: vec!["b".into()],
        };
        let parts = messages(None, Some(&members));
        assert_eq!(parts.len(), 3);
        let lost: Vec<_> = parts.iter().map(|part| &part["lost"]).collect();
        assert_eq!(lost, [&json!(null), &json!(0), &json!(0)]);
        let all: Vec<_> = parts
            .iter()
            .flat_map(|part| part["details"]["channels"].as_array().unwrap())
            .collect();
        assert_eq!(all.len(), 40_000);
        assert_eq!(parts[2]["details"]["bridges"], json!(["b"]));
        assert!(
            parts
                .iter()
                .all(|part| part.to_string().len() < 2 * LARGEST_PART)
        );
    }
}
