//! What is measured, as data.

use std::time::Duration;

use super::options::Options;

/// Scenarios that can be asked for alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Group {
    /// Events.
    Events,
    /// Requests.
    Requests,
    /// Start, idle.
    Start,
}

/// A scenario.
pub(crate) struct Scenario {
    /// What it belongs to.
    pub(crate) group: Group,
    /// What it does.
    pub(crate) load: Load,
}

/// What a scenario does.
pub(crate) enum Load {
    /// Starts proxies.
    Start(StartLoad),
    /// Sends events.
    Events(EventLoad),
    /// Sends requests.
    Requests(RequestLoad),
}

/// Starting proxies.
pub(crate) enum StartLoad {
    /// So often, waiting for the announcement.
    Unasked(u32),
    /// So often, asking for announcements all the time.
    Asked(u32),
    /// Once, and leaving it alone for so long.
    Idle(Duration),
}

/// Sending events.
pub(crate) struct EventLoad {
    /// How fast.
    pub(crate) pace: Pace,
    /// Whether a dialog is bound, so that every event has to be looked at.
    pub(crate) bound: bool,
}

/// How fast events are sent.
pub(crate) enum Pace {
    /// So many a second, for so long.
    Rate(u32, Duration),
    /// As many as are taken, for so long.
    FlatOut(Duration),
    /// So many at once, so often, each when the last of the one before has arrived.
    Bursts(u64, u32),
}

/// Sending requests, so many at the same time.
pub(crate) struct RequestLoad {
    /// Which.
    pub(crate) kind: Kind,
    /// How many are unanswered at any time.
    pub(crate) concurrency: u64,
    /// For how long.
    pub(crate) span: Duration,
}

/// A kind of request.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Kind {
    /// ChannelData: one reading call.
    Read,
    /// ChannelAnswer: one call that changes something.
    Write,
    /// ChannelSubscribe: no call.
    NoCall,
}

impl Scenario {
    /// Those that `options` ask for.
    pub(crate) fn all(options: &Options) -> Vec<Scenario> {
        let quick = options.quick;
        let span = Duration::from_secs(if quick { 1 } else { 5 });
        let few = if quick { 3 } else { 20 };
        let mut loads = vec![
            Load::Start(StartLoad::Unasked(few)),
            Load::Start(StartLoad::Asked(few)),
            Load::Start(StartLoad::Idle(span)),
        ];
        let paces = [
            (Pace::Rate(1_000, span), false),
            (Pace::Rate(5_000, span), false),
            (Pace::Rate(20_000, span), false),
            (Pace::Rate(20_000, span), true),
            (Pace::FlatOut(span), false),
            (Pace::Bursts(500, few), false),
            (Pace::Bursts(5_000, few), false),
        ];
        loads.extend(paces.map(|(pace, bound)| Load::Events(EventLoad { pace, bound })));
        for kind in [Kind::Read, Kind::Write, Kind::NoCall] {
            loads.extend([1, 8, 64].map(|concurrency| {
                Load::Requests(RequestLoad {
                    kind,
                    concurrency,
                    span,
                })
            }));
        }
        let scenarios = loads.into_iter().map(|load| Scenario {
            group: match load {
                Load::Start(_) => Group::Start,
                Load::Events(_) => Group::Events,
                Load::Requests(_) => Group::Requests,
            },
            load,
        });
        scenarios
            .filter(|scenario| options.only.is_none_or(|only| only == scenario.group))
            .collect()
    }
}

impl StartLoad {
    /// Its name in the figures.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            StartLoad::Unasked(_) => "start to announcement",
            StartLoad::Asked(_) => "start to answer to ping",
            StartLoad::Idle(_) => "idle",
        }
    }
}

impl EventLoad {
    /// Its name in the figures.
    pub(crate) fn name(&self) -> String {
        let pace = match self.pace {
            Pace::Rate(rate, _) => format!("events {rate}/s"),
            Pace::FlatOut(_) => "events flat out".to_owned(),
            Pace::Bursts(size, times) => format!("events {times} x {size}"),
        };
        pace + if self.bound { ", dialog" } else { "" }
    }
}

impl RequestLoad {
    /// Its name in the figures.
    pub(crate) fn name(&self) -> String {
        format!("{} {} at a time", self.kind.name(), self.concurrency)
    }
}

impl Kind {
    /// Its name in the protocol.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Kind::Read => "ChannelData",
            Kind::Write => "ChannelAnswer",
            Kind::NoCall => "ChannelSubscribe",
        }
    }

    /// The class it is sent to.
    pub(crate) fn class(self) -> &'static str {
        match self {
            Kind::Read => "data",
            Kind::Write | Kind::NoCall => "command",
        }
    }

    /// A request of it.
    pub(crate) fn request(self) -> String {
        let dialog = match self {
            Kind::NoCall => r#","dialog":"bench""#,
            Kind::Read | Kind::Write => "",
        };
        let kind = self.name();
        format!(r#"{{"kind":"{kind}","key":{{"kind":"channel","id":"live-1"{dialog}}}}}"#)
    }
}
