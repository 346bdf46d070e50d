//! The runs of one contender in one scenario, and their medians.

use serde::Serialize;

use super::measure::{Cost, Delay, Measure, Size};
use super::quantile::median;

/// What somebody did in a scenario.
#[derive(Serialize)]
pub(crate) struct Summary {
    /// The bus.
    pub(crate) bus: &'static str,
    /// What was done.
    pub(crate) scenario: String,
    /// By whom.
    pub(crate) proxy: String,
    /// The medians; what is counted is the sum, the longest delay that of all runs, threads are those of
    /// the last run.
    pub(crate) median: Measure,
    /// The runs.
    pub(crate) runs: Vec<Measure>,
}

impl Measure {
    /// What `runs` show together.
    pub(crate) fn middle(runs: &[Measure]) -> Measure {
        let of = |pick: &dyn Fn(&Measure) -> Option<f64>| median(runs.iter().filter_map(pick));
        let sum = |pick: fn(&Measure) -> u64| runs.iter().map(pick).sum();
        let delay = |pick: fn(&Delay) -> f64| of(&|run| run.delay.as_ref().map(pick));
        let cost = |pick: fn(&Cost) -> f64| of(&|run| run.cost.as_ref().map(pick));
        let memory = |pick: fn(&Size) -> f64| of(&|run| run.memory.as_ref().map(pick));
        let longest = runs.iter().filter_map(|run| Some(run.delay?.max));
        let longest = longest.fold(0.0, f64::max);
        let last = runs.last();
        Measure {
            sent: sum(|run| run.sent),
            done: sum(|run| run.done),
            rate: of(&|run| run.rate),
            lost: sum(|run| run.lost),
            duplicates: sum(|run| run.duplicates),
            disordered: sum(|run| run.disordered),
            errors: sum(|run| run.errors),
            delay: (|| {
                Some(Delay {
                    p50: delay(|delay| delay.p50)?,
                    p95: delay(|delay| delay.p95)?,
                    p99: delay(|delay| delay.p99)?,
                    max: longest,
                })
            })(),
            cost: (|| {
                Some(Cost {
                    proxy: cost(|cost| cost.proxy)?,
                    switches: cost(|cost| cost.switches)?,
                    broker: cost(|cost| cost.broker)?,
                    bench: cost(|cost| cost.bench)?,
                })
            })(),
            memory: (|| {
                Some(Size {
                    start: memory(|size| size.start)?,
                    end: memory(|size| size.end)?,
                    peak: memory(|size| size.peak)?,
                })
            })(),
            program_bytes: last.and_then(|run| run.program_bytes),
            threads: last.and_then(|run| run.threads.clone()),
        }
    }
}
