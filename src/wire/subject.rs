//! Bus subjects: `<prefix><class>[.<application>[.<asterisk id>]]`, and what may be part of one.

use std::fmt;

/// The request classes, the first token of a request's subject.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Class {
    /// Reads that answer with keys.
    Get,
    /// Reads that answer with an entity.
    Data,
    /// Changes to what exists.
    Command,
    /// Changes that make something; delivered to one proxy of the group.
    Create,
    /// Asks every proxy to announce itself; not a request, any body will do.
    Ping,
}

impl Class {
    /// Every class, in the order of the documents.
    pub const ALL: [Class; 5] = [
        Class::Get,
        Class::Data,
        Class::Command,
        Class::Create,
        Class::Ping,
    ];

    /// The token in the subject, also used in thread names and log lines.
    pub const fn token(self) -> &'static str {
        match self {
            Class::Get => "get",
            Class::Data => "data",
            Class::Command => "command",
            Class::Create => "create",
            Class::Ping => "ping",
        }
    }

    /// Whether only kinds that change nothing are accepted on this class, so that leave to publish
    /// on it is not leave to hang up calls (known defect 23).
    pub const fn reads_only(self) -> bool {
        matches!(self, Class::Get | Class::Data)
    }

    /// The queue group of the class: members share its messages. Only `create` has one.
    pub const fn group(self) -> Option<&'static str> {
        match self {
            Class::Create => Some("ariproxy"),
            _ => None,
        }
    }
}

impl fmt::Display for Class {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.token())
    }
}

/// Longest dialog name accepted, in bytes: with the prefix it must fit a routing key of RabbitMQ, 255.
pub const LONGEST_DIALOG: usize = 200;

/// The subjects of one application under one prefix.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subjects {
    prefix: String,
    application: String,
}

impl Subjects {
    /// Subjects that begin with `prefix` (its final dot included) for `application`.
    pub fn new(prefix: &str, application: &str) -> Subjects {
        Subjects {
            prefix: prefix.to_owned(),
            application: application.to_owned(),
        }
    }

    /// The subjects a proxy listens to for `class`: all, application and, where the Asterisk is
    /// known, node level. `ping` has one level only.
    pub fn listen(&self, class: Class, asterisk: Option<&str>) -> Vec<String> {
        let all = format!("{}{}", self.prefix, class);
        if class == Class::Ping {
            return vec![all];
        }
        let application = format!("{all}.{}", self.application);
        let node = asterisk.map(|id| format!("{application}.{id}"));
        [all, application].into_iter().chain(node).collect()
    }

    /// Where events of `asterisk` go.
    pub fn event(&self, asterisk: &str) -> String {
        format!("{}event.{}.{asterisk}", self.prefix, self.application)
    }

    /// Where events bound to `dialog` go, besides.
    pub fn dialog_event(&self, dialog: &str) -> String {
        format!("{}dialogevent.{dialog}", self.prefix)
    }

    /// Where the status of a proxy at `asterisk` goes.
    pub fn status(&self, asterisk: &str) -> String {
        format!("{}status.{}.{asterisk}", self.prefix, self.application)
    }

    /// Where announcements go.
    pub fn announce(&self) -> String {
        format!("{}announce", self.prefix)
    }
}

/// Whether `text` can be published to, as one or more tokens of a subject: no white space, no
/// control character, no empty token, no wildcard. The crates do not check (crates.md: a space
/// truncates the subject, CR LF drops the link).
pub fn publishable(text: &str) -> bool {
    // What nearly all are, told in one pass: it is asked for every event.
    let mut last = b'.';
    for byte in text.bytes() {
        let plain = byte.is_ascii_graphic() && !matches!(byte, b'*' | b'>' | b'#');
        if !plain || (byte == b'.' && last == b'.') {
            return has_publishable_tokens(text);
        }
        last = byte;
    }
    last != b'.'
}

fn has_publishable_tokens(text: &str) -> bool {
    text.split('.').all(|token| {
        !token.is_empty()
            && token != "*"
            && token != ">"
            && token != "#"
            && !token.chars().any(|c| c.is_whitespace() || c.is_control())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_levels_per_class_and_one_for_ping() {
        let subjects = Subjects::new("ari.", "test");
        assert_eq!(
            subjects.listen(Class::Get, Some("00:01")),
            ["ari.get", "ari.get.test", "ari.get.test.00:01"]
        );
        assert_eq!(
            subjects.listen(Class::Create, None),
            ["ari.create", "ari.create.test"]
        );
        assert_eq!(subjects.listen(Class::Ping, Some("00:01")), ["ari.ping"]);
    }

    #[test]
    fn published_subjects() {
        let subjects = Subjects::new("x.", "test");
        assert_eq!(subjects.event("00:01"), "x.event.test.00:01");
        assert_eq!(subjects.dialog_event("d1"), "x.dialogevent.d1");
        assert_eq!(subjects.status("00:01"), "x.status.test.00:01");
        assert_eq!(subjects.announce(), "x.announce");
    }

    #[test]
    fn what_the_crates_do_not_check() {
        for good in ["a", "_INBOX.x.1", "02:42:ac", "ü", "a*b"] {
            assert!(publishable(good), "{good:?}");
        }
        for bad in [
            "",
            ".",
            "a..b",
            "a.",
            "a b",
            "a\r\nPUB x",
            "*",
            "a.>",
            "a\tb",
            "a\u{a0}b",
        ] {
            assert!(!publishable(bad), "{bad:?}");
        }
    }
}
