//! The stream of events: recorded ones, each with its number and the time it is sent in a member
//! that proxies that parse events pass on too.

use std::io::Write as _;
use std::time::{Duration, Instant};

use super::client::Outlet;
use super::clock::Clock;

/// The events of a real Asterisk.
const RECORDED: &str = include_str!("../data/events.jsonl");
/// The member that the number goes into: free text, in every event with a channel.
const MEMBER: &str = r#""accountcode":""#;
/// Rare events that are newer than the Go program, which ends when it gets one.
const NEWER: [&str; 2] = [r#""ApplicationMoveFailed""#, r#""CallClaimed""#];
/// What the number begins with.
const MARK: &[u8] = b"\"bench:";
/// Digits of a number, and of a time.
const DIGITS: usize = 16;

/// An endless stream of events.
pub(crate) struct Feed {
    /// Before and after the number.
    events: Vec<(Vec<u8>, Vec<u8>)>,
    clock: Clock,
    sent: u64,
    event: Vec<u8>,
}

impl Feed {
    /// A stream for `application`.
    pub(crate) fn new(application: &str, clock: Clock) -> Feed {
        let application = format!(r#""application":"{application}""#);
        let known = |event: &&str| !NEWER.iter().any(|newer| event.contains(newer));
        let events = RECORDED.lines().filter(known).filter_map(|event| {
            let event = event.replace(r#""application":"test""#, &application);
            let (before, after) = event.split_once(MEMBER)?;
            // Others, or none, have an account code already.
            let after = after.strip_prefix('"')?;
            let before = format!("{before}{MEMBER}");
            Some((before.into_bytes(), format!("\"{after}").into_bytes()))
        });
        let events: Vec<_> = events.collect();
        assert!(!events.is_empty(), "recorded events with channels");
        Feed {
            events,
            clock,
            sent: 0,
            event: Vec::new(),
        }
    }

    /// How many events it gave.
    pub(crate) fn sent(&self) -> u64 {
        self.sent
    }

    /// Sends `count` events as fast as they go.
    pub(crate) fn burst(&mut self, count: u64, outlet: &mut dyn Outlet) {
        for _ in 0..count {
            self.put(outlet);
        }
        outlet.flush();
    }

    /// Sends `rate` events a second for `span`.
    pub(crate) fn pace(&mut self, rate: u32, span: Duration, outlet: &mut dyn Outlet) {
        let start = Instant::now();
        let gap = Duration::from_secs(1) / rate;
        let mut next = Duration::ZERO;
        while next < span {
            let now = start.elapsed();
            if now < next {
                std::thread::sleep(next - now);
                continue;
            }
            while next <= now {
                self.put(outlet);
                next += gap;
            }
            outlet.flush();
        }
    }

    /// Sends events for `span` as fast as they are taken.
    pub(crate) fn flood(&mut self, span: Duration, outlet: &mut dyn Outlet) {
        let start = Instant::now();
        while start.elapsed() < span {
            self.burst(1024, outlet);
        }
    }

    fn put(&mut self, outlet: &mut dyn Outlet) {
        let index = self.sent % self.events.len() as u64;
        let (before, after) = &self.events[usize::try_from(index).expect("an index")];
        self.event.clear();
        self.event.extend_from_slice(before);
        // The quote of the mark is the last byte already there.
        self.event.extend_from_slice(&MARK[1..]);
        write!(
            self.event,
            "{:0DIGITS$}{:0DIGITS$}",
            self.sent,
            self.clock.now()
        )
        .expect("vectors take all");
        self.event.extend_from_slice(after);
        outlet.put(&self.event);
        self.sent += 1;
    }
}

/// The number of an event and the time it was sent.
pub(crate) fn numbered(event: &[u8]) -> Option<(u64, u64)> {
    let mark = event.windows(MARK.len()).position(|part| part == MARK)?;
    let digits = event.get(mark + MARK.len()..)?.get(..2 * DIGITS)?;
    let (number, time) = digits.split_at(DIGITS);
    Some((decimal(number)?, decimal(time)?))
}

fn decimal(digits: &[u8]) -> Option<u64> {
    digits.iter().try_fold(0, |number: u64, digit| {
        let digit = digit.is_ascii_digit().then(|| u64::from(digit - b'0'))?;
        Some(number * 10 + digit)
    })
}
