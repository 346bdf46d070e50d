//! What was measured: one row of the figures.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;

use super::launch::Site;
use super::quantile::quantile;
use super::usage::{self, Memory, Spent, Threads};

/// A row.
#[derive(Debug, Clone, Default, Serialize)]
pub(crate) struct Measure {
    /// Events or requests sent, proxies started.
    pub(crate) sent: u64,
    /// Events arrived, requests answered well, proxies up.
    pub(crate) done: u64,
    /// The same by the second.
    pub(crate) rate: Option<f64>,
    /// Events that did not arrive, requests that were not answered.
    pub(crate) lost: u64,
    /// Events or answers that came again.
    pub(crate) duplicates: u64,
    /// Events that came after later ones.
    pub(crate) disordered: u64,
    /// Requests answered with an error.
    pub(crate) errors: u64,
    /// How late events were, how long answers and announcements took.
    pub(crate) delay: Option<Delay>,
    /// What each event or request cost; a second, where there is nothing to count or two things.
    pub(crate) cost: Option<Cost>,
    /// The memory of the proxy's process in KiB.
    pub(crate) memory: Option<Size>,
    /// The size of the proxy's program.
    pub(crate) program_bytes: Option<u64>,
    /// The proxy's threads by name before and after, where they were looked at.
    pub(crate) threads: Option<[BTreeMap<String, u64>; 2]>,
}

/// Delays, in microseconds.
#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct Delay {
    /// Half are less.
    pub(crate) p50: f64,
    /// 95 of 100 are less.
    pub(crate) p95: f64,
    /// 99 of 100 are less.
    pub(crate) p99: f64,
    /// None is more.
    pub(crate) max: f64,
}

/// Processor time in microseconds, and what else is counted likewise.
#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct Cost {
    /// Of the proxy.
    pub(crate) proxy: f64,
    /// How often a thread of the proxy waited.
    pub(crate) switches: f64,
    /// Of the broker.
    pub(crate) broker: f64,
    /// Of the bench: client and Asterisk.
    pub(crate) bench: f64,
}

/// Memory in KiB.
#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct Size {
    /// Before it had anything to do.
    pub(crate) start: f64,
    /// In the end.
    pub(crate) end: f64,
    /// The most that it ever held.
    pub(crate) peak: f64,
}

impl Delay {
    /// Of these, in nanoseconds; none of none.
    pub(crate) fn of(mut nanos: Vec<u64>) -> Option<Delay> {
        nanos.sort_unstable();
        let at = |share: f64| quantile(&nanos, share).map(|nanos| nanos as f64 / 1e3);
        Some(Delay {
            p50: at(0.5)?,
            p95: at(0.95)?,
            p99: at(0.99)?,
            max: at(1.0)?,
        })
    }
}

/// Looks what everybody uses.
pub(crate) struct Meter {
    proxy: Threads,
    broker: Threads,
    bench: Duration,
    pid: u32,
    start_kib: u64,
    start_names: BTreeMap<String, u64>,
}

/// What everybody has used.
pub(crate) struct Used {
    proxy: Spent,
    broker: Spent,
    bench: Duration,
    size: Size,
    program_bytes: u64,
    threads: [BTreeMap<String, u64>; 2],
}

impl Meter {
    /// From now on; `pid` is the proxy's process.
    pub(crate) fn start(site: &Site<'_>, pid: u32) -> Meter {
        Meter {
            pid,
            start_kib: Memory::Now.of(pid),
            start_names: usage::names(pid),
            bench: usage::own(),
            broker: Threads::of(site.broker.pid()),
            proxy: Threads::of(pid),
        }
    }

    /// Until now.
    pub(crate) fn stop(self) -> Used {
        Used {
            proxy: self.proxy.since(),
            broker: self.broker.since(),
            bench: usage::own().saturating_sub(self.bench),
            size: Size {
                start: self.start_kib as f64,
                end: Memory::Now.of(self.pid) as f64,
                peak: Memory::Peak.of(self.pid) as f64,
            },
            program_bytes: usage::program_size(self.pid),
            threads: [self.start_names, usage::names(self.pid)],
        }
    }
}

impl Used {
    /// Notes it in `row`, the cost by each of `count`.
    pub(crate) fn note(self, row: &mut Measure, count: f64) {
        let share = |nanos: u64| nanos as f64 / 1e3 / count;
        row.cost = (count > 0.0).then(|| Cost {
            proxy: share(self.proxy.nanos),
            switches: self.proxy.switches as f64 / count,
            broker: share(self.broker.nanos),
            bench: self.bench.as_secs_f64() * 1e6 / count,
        });
        row.memory = Some(self.size);
        row.program_bytes = Some(self.program_bytes);
        row.threads = Some(self.threads);
    }
}
