//! What is measured, as data.

use std::time::Duration;

use super::options::Options;

/// Scenarios that can be asked for together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Group {
    /// Start, idle.
    Start,
    /// Events.
    Events,
    /// Events that are looked at for dialogs.
    Dialogs,
    /// Requests.
    Requests,
    /// Both at the same time.
    Load,
}

/// What a scenario does.
pub(crate) enum Scenario {
    /// Starts proxies.
    Start(StartLoad),
    /// Sends events.
    Events(EventLoad),
    /// Sends requests.
    Requests(RequestLoad),
    /// Sends events and requests, so long.
    Load(u32, u64, Duration),
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
    /// How many dialogs are bound, each to another entity that no event is about: with any, every event
    /// has to be looked at.
    pub(crate) dialogs: u64,
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
        let mut all = vec![
            Scenario::Start(StartLoad::Unasked(few)),
            Scenario::Start(StartLoad::Asked(few)),
            Scenario::Start(StartLoad::Idle(span)),
        ];
        let events = [
            (Pace::Rate(1_000, span), 0),
            (Pace::Rate(5_000, span), 0),
            (Pace::Rate(20_000, span), 0),
            (Pace::FlatOut(span), 0),
            (Pace::Bursts(500, few), 0),
            (Pace::Bursts(5_000, few), 0),
            (Pace::Rate(20_000, span), 1),
            (Pace::Rate(20_000, span), 50_000),
        ];
        all.extend(events.map(|(pace, dialogs)| Scenario::Events(EventLoad { pace, dialogs })));
        for kind in [Kind::Read, Kind::Write, Kind::NoCall] {
            all.extend([1, 8, 64].map(|concurrency| {
                Scenario::Requests(RequestLoad {
                    kind,
                    concurrency,
                    span,
                })
            }));
        }
        all.push(Scenario::Load(20_000, 64, 2 * span));
        all.retain(|scenario| scenario.is_wanted(&options.only));
        all
    }

    fn is_wanted(&self, only: &[String]) -> bool {
        let group = self.group().name();
        let name = self.name();
        only.is_empty() || only.iter().any(|what| what == group || name.contains(what))
    }

    fn group(&self) -> Group {
        match self {
            Scenario::Start(_) => Group::Start,
            Scenario::Events(EventLoad { dialogs: 0, .. }) => Group::Events,
            Scenario::Events(_) => Group::Dialogs,
            Scenario::Requests(_) => Group::Requests,
            Scenario::Load(..) => Group::Load,
        }
    }

    /// Its name in the figures.
    pub(crate) fn name(&self) -> String {
        match self {
            Scenario::Start(load) => load.name().to_owned(),
            Scenario::Events(load) => load.name(),
            Scenario::Requests(load) => load.name(),
            Scenario::Load(rate, concurrency, _) => {
                format!("load: {rate} events/s and {concurrency} requests at a time")
            }
        }
    }
}

impl Group {
    fn name(self) -> &'static str {
        match self {
            Group::Start => "start",
            Group::Events => "events",
            Group::Dialogs => "dialogs",
            Group::Requests => "requests",
            Group::Load => "load",
        }
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
        match self.dialogs {
            0 => pace,
            1 => pace + ", 1 dialog bound",
            dialogs => format!("{pace}, {dialogs} dialogs bound"),
        }
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
        match self {
            Kind::NoCall => binding("live-1", "bench"),
            Kind::Read | Kind::Write => {
                let kind = self.name();
                format!(r#"{{"kind":"{kind}","key":{{"kind":"channel","id":"live-1"}}}}"#)
            }
        }
    }
}

/// A request that binds `dialog` to `channel`, without a call.
pub(crate) fn binding(channel: &str, dialog: &str) -> String {
    let kind = Kind::NoCall.name();
    format!(
        r#"{{"kind":"{kind}","key":{{"kind":"channel","id":"{channel}","dialog":"{dialog}"}}}}"#
    )
}
