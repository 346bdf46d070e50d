//! The cluster as its proxies announce it: which Asterisk serves which application, and since when nothing
//! was heard of it.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde::Deserialize;

/// Members at most: who announces without end fills no memory. The one that was silent longest goes.
const MOST: usize = 10_000;
/// The longest name of an Asterisk or an application, in bytes: a subject with it is a routing key, too.
const LONGEST: usize = 255;
/// How long a member that is silent stays in the map.
const KEPT: Duration = Duration::from_secs(12 * 3600);

/// A proxy of the cluster.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Member {
    /// Its Asterisk's id.
    pub asterisk: String,
    /// Its ARI application.
    pub application: String,
    /// How long ago it was heard of.
    pub age: Duration,
}

/// The members that were heard of.
#[derive(Debug)]
pub(super) struct Cluster {
    state: Mutex<State>,
    /// How old a member may be that is still expected to answer.
    oldest: Duration,
    /// How long an answer to a ping may take.
    grace: Duration,
}

#[derive(Debug, Default)]
struct State {
    /// When each, by Asterisk and application, was heard of.
    heard: HashMap<(String, String), Instant>,
    /// When all were asked whether they are there.
    asked: Option<Instant>,
    /// When they were because the link was new: who answers is not known before the grace is over.
    begun: Option<Instant>,
}

#[derive(Deserialize)]
struct Announcement<'a> {
    #[serde(borrow, default)]
    node: std::borrow::Cow<'a, str>,
    #[serde(borrow, default)]
    asterisk: std::borrow::Cow<'a, str>,
    #[serde(borrow, default)]
    application: std::borrow::Cow<'a, str>,
}

impl Cluster {
    pub(super) fn new(oldest: Duration, grace: Duration) -> Cluster {
        Cluster {
            state: Mutex::default(),
            oldest,
            grace,
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A proxy announces itself; the Go program says `node`, the documents say `asterisk`.
    pub(super) fn announced(&self, body: &[u8], now: Instant) {
        let Ok(it) = serde_json::from_slice::<Announcement<'_>>(body) else {
            return;
        };
        let asterisk = if it.node.is_empty() {
            it.asterisk
        } else {
            it.node
        };
        let no_name = |name: &str| name.is_empty() || name.len() > LONGEST;
        if no_name(&asterisk) || no_name(&it.application) {
            return;
        }
        let mut state = self.state();
        state
            .heard
            .retain(|_, heard| now.duration_since(*heard) < KEPT);
        if state.heard.len() >= MOST {
            let silent = state.heard.iter().min_by_key(|(_, heard)| **heard);
            if let Some(silent) = silent.map(|(member, _)| member.clone()) {
                state.heard.remove(&silent);
            }
        }
        let member = (asterisk.into_owned(), it.application.into_owned());
        state.heard.insert(member, now);
    }

    /// The proxy of `application` at `asterisk` says that it ends.
    pub(super) fn left(&self, asterisk: &str, application: &str) {
        let member = (asterisk.to_owned(), application.to_owned());
        self.state().heard.remove(&member);
    }

    /// All are asked to announce themselves, on a new link.
    pub(super) fn begin(&self, now: Instant) {
        let mut state = self.state();
        state.begun = Some(now);
        state.asked = Some(now);
    }

    /// Not all have answered that should: whether they are to be asked to announce themselves. Who does
    /// not is not waited for any more.
    pub(super) fn doubt(&self, now: Instant) -> bool {
        let mut state = self.state();
        let due = state
            .asked
            .is_none_or(|asked| now.duration_since(asked) > self.grace * 2);
        if due {
            state.asked = Some(now);
        }
        due
    }

    /// How many of the members that `asterisk` and `application` mean, any where it is empty, will answer;
    /// none if that is not known yet.
    pub(super) fn expected(
        &self,
        asterisk: &str,
        application: &str,
        now: Instant,
    ) -> Option<usize> {
        let state = self.state();
        let over = |asked: &Instant| now.duration_since(*asked) > self.grace;
        state.begun.filter(over)?;
        // A little before it was asked counts too: an announcement may be on its way then.
        let since = state
            .asked
            .filter(over)
            .and_then(|asked| asked.checked_sub(self.grace));
        let matching = state.heard.iter().filter(|((node, name), heard)| {
            (asterisk.is_empty() || asterisk == node)
                && (application.is_empty() || application == name)
                && now.duration_since(**heard) < self.oldest
                && since.is_none_or(|since| **heard >= since)
        });
        Some(matching.count()).filter(|count| *count > 0)
    }

    /// All members, in order.
    pub(super) fn members(&self, now: Instant) -> Vec<Member> {
        let state = self.state();
        let mut members: Vec<Member> = state
            .heard
            .iter()
            .map(|((asterisk, application), heard)| Member {
                asterisk: asterisk.clone(),
                application: application.clone(),
                age: now.duration_since(*heard),
            })
            .collect();
        members.sort();
        members
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GRACE: Duration = Duration::from_millis(500);
    const MINUTE: Duration = Duration::from_secs(60);

    fn cluster(members: &[(&str, &str)]) -> (Cluster, Instant) {
        let now = Instant::now() + MINUTE;
        let cluster = Cluster::new(5 * MINUTE, GRACE);
        cluster.begin(now);
        for (node, app) in members {
            let body = format!(r#"{{"node":"{node}","application":"{app}"}}"#);
            cluster.announced(body.as_bytes(), now);
        }
        (cluster, now)
    }

    #[test]
    fn who_is_meant() {
        let (cluster, now) = cluster(&[("n1", "a"), ("n2", "a"), ("n1", "b")]);
        assert_eq!(cluster.expected("", "", now), None, "others may follow");
        let later = now + GRACE * 2;
        for (node, app, count) in [
            ("", "", Some(3)),
            ("", "a", Some(2)),
            ("n1", "", Some(2)),
            ("n2", "b", None),
        ] {
            assert_eq!(cluster.expected(node, app, later), count, "{node} {app}");
        }
        assert_eq!(cluster.expected("", "", now + 6 * MINUTE), None);
        assert_eq!(cluster.members(later).len(), 3);
        cluster.left("n1", "a");
        assert_eq!(cluster.expected("", "a", later), Some(1));
    }

    #[test]
    fn who_does_not_answer_a_ping_is_not_expected() {
        let (cluster, now) = cluster(&[("n1", "a"), ("n2", "a")]);
        let later = now + MINUTE;
        assert!(cluster.doubt(later));
        assert!(!cluster.doubt(later), "one ping will do");
        assert_eq!(cluster.expected("", "a", later), Some(2));
        cluster.announced(br#"{"asterisk":"n2","application":"a"}"#, later + GRACE / 2);
        assert_eq!(cluster.expected("", "a", later + GRACE * 2), Some(1));
        assert_eq!(cluster.members(later).len(), 2, "it is shown all the same");
        cluster.announced(br#"{"asterisk":"n1","application":"a"}"#, later + GRACE * 3);
        assert_eq!(cluster.expected("", "a", later + GRACE * 4), Some(2));
    }

    #[test]
    fn announcements_of_anybody() {
        let (cluster, now) = cluster(&[]);
        for body in [
            "",
            "[]",
            "{}",
            r#"{"node":"n"}"#,
            r#"{"application":"a"}"#,
            r#"{"node":1}"#,
        ] {
            cluster.announced(body.as_bytes(), now);
        }
        let long = "n".repeat(LONGEST + 1);
        for (node, app) in [(long.as_str(), "a"), ("n", &long)] {
            let body = format!(r#"{{"node":"{node}","application":"{app}"}}"#);
            cluster.announced(body.as_bytes(), now);
        }
        assert!(cluster.members(now).is_empty());
        for number in 0..MOST + 5 {
            let body = format!(r#"{{"node":"{number}","application":"a"}}"#);
            cluster.announced(body.as_bytes(), now);
        }
        assert_eq!(cluster.members(now).len(), MOST);
    }
}
