//! What was measured: one row of the figures.

use std::time::Duration;

use serde::Serialize;

use super::contender::Contender;
use super::launch::Site;
use super::usage::{self, Memory, Threads};

/// A row.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Measure {
    /// The bus.
    pub(crate) bus: &'static str,
    /// Who was measured.
    pub(crate) proxy: String,
    /// What it did.
    pub(crate) scenario: String,
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
    /// Processor time, in microseconds by event or request; of an idle proxy, by second.
    pub(crate) cpu: Option<Cost>,
    /// Memory of the proxy's process in KiB: the peak, of an idle one what it holds.
    pub(crate) memory_kib: Option<u64>,
    /// The size of the proxy's program.
    pub(crate) program_bytes: Option<u64>,
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

/// Processor time in microseconds.
#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct Cost {
    /// Of the proxy.
    pub(crate) proxy: f64,
    /// Of the broker.
    pub(crate) broker: f64,
    /// Of the bench: client and Asterisk.
    pub(crate) bench: f64,
}

impl Measure {
    /// A row about `scenario` with nothing in it yet.
    pub(crate) fn new(site: &Site<'_>, contender: &Contender, scenario: String) -> Measure {
        Measure {
            bus: site.broker.bus().name(),
            proxy: contender.name().to_owned(),
            scenario,
            sent: 0,
            done: 0,
            rate: None,
            lost: 0,
            duplicates: 0,
            disordered: 0,
            errors: 0,
            delay: None,
            cpu: None,
            memory_kib: None,
            program_bytes: None,
        }
    }

    /// Notes the memory of the proxy `pid` and the size of its program.
    pub(crate) fn size(&mut self, pid: u32, memory: Memory) {
        self.memory_kib = Some(memory.of(pid));
        self.program_bytes = Some(usage::program_size(pid));
    }
}

impl Delay {
    /// Of these, in nanoseconds; none of none.
    pub(crate) fn of(mut nanos: Vec<u64>) -> Option<Delay> {
        nanos.sort_unstable();
        let last = nanos.len().checked_sub(1)?;
        let at = |share: f64| nanos[(last as f64 * share).round() as usize] as f64 / 1e3;
        Some(Delay {
            p50: at(0.5),
            p95: at(0.95),
            p99: at(0.99),
            max: at(1.0),
        })
    }
}

/// Looks what everybody uses.
pub(crate) struct Meter {
    proxy: Option<Threads>,
    broker: Threads,
    bench: Duration,
}

/// What everybody has used.
pub(crate) struct Used {
    proxy: Duration,
    broker: Duration,
    bench: Duration,
}

impl Meter {
    /// From now on; `proxy` is the id of its process.
    pub(crate) fn start(site: &Site<'_>, proxy: Option<u32>) -> Meter {
        Meter {
            bench: usage::own(),
            broker: Threads::of(site.broker.pid()),
            proxy: proxy.map(Threads::of),
        }
    }

    /// Until now.
    pub(crate) fn stop(&self) -> Used {
        Used {
            proxy: self.proxy.as_ref().map_or(Duration::ZERO, Threads::since),
            broker: self.broker.since(),
            bench: usage::own().saturating_sub(self.bench),
        }
    }
}

impl Used {
    /// By each of `count`; nothing by each of none.
    pub(crate) fn by(&self, count: f64) -> Option<Cost> {
        let share = |used: Duration| used.as_secs_f64() * 1e6 / count;
        (count > 0.0).then(|| Cost {
            proxy: share(self.proxy),
            broker: share(self.broker),
            bench: share(self.bench),
        })
    }
}
