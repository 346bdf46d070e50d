//! The figures, for people as they come and for programs at the end.

use std::fs;
use std::path::Path;

use serde_json::json;

use super::measure::Measure;
use super::summary::Summary;
use super::table;

/// The figures so far.
pub(crate) struct Report {
    runs: u32,
    figures: Vec<Summary>,
}

impl Report {
    /// None yet, of so many runs.
    pub(crate) fn new(runs: u32) -> Report {
        println!("{}", table::LEGEND);
        if runs > 1 {
            println!("Medians of {runs} runs; max is that of all, what went wrong their sum.");
        }
        Report {
            runs,
            figures: Vec::new(),
        }
    }

    /// Adds the rows of all runs of a scenario, each with what it is about and who was measured, and
    /// shows their medians.
    pub(crate) fn add(&mut self, bus: &'static str, rows: Vec<(String, String, Measure)>) {
        let mut summaries: Vec<Summary> = Vec::new();
        for (scenario, proxy, measure) in rows {
            let mut there = summaries.iter_mut();
            match there.find(|there| there.scenario == scenario && there.proxy == proxy) {
                Some(there) => there.runs.push(measure),
                None => summaries.push(Summary {
                    bus,
                    scenario,
                    proxy,
                    median: Measure::default(),
                    runs: vec![measure],
                }),
            }
        }
        for summary in &mut summaries {
            summary.median = Measure::middle(&summary.runs);
        }
        // What is about the same stays in the order of the contenders.
        summaries.sort_by(|one, other| one.scenario.cmp(&other.scenario));
        for scenario in summaries.chunk_by(|one, other| one.scenario == other.scenario) {
            table::print(scenario);
        }
        self.figures.extend(summaries);
    }

    /// Says what the proxies are made of, and writes all to the file at `path`.
    pub(crate) fn finish(&self, path: Option<&Path>) {
        println!();
        let mut named: Vec<&str> = Vec::new();
        for figure in self.figures.iter().rev() {
            if let Some(size) = figure.median.program_bytes
                && !named.contains(&figure.proxy.as_str())
            {
                named.push(&figure.proxy);
                println!("{}: a program of {size} bytes", figure.proxy);
                if let Some([_, threads]) = &figure.median.threads {
                    println!("    threads in the end: {}", table::threads(threads));
                }
            }
        }
        if let Some(path) = path {
            let text = serde_json::to_string_pretty(&json!({
                "machine": machine(),
                "runs": self.runs,
                "figures": self.figures,
            }));
            let text = text.expect("rows are plain data") + "\n";
            let written = fs::write(path, text);
            written.unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        }
    }
}

/// What it ran on.
fn machine() -> serde_json::Value {
    let read = |path| fs::read_to_string(path).unwrap_or_default();
    let cpu = read("/proc/cpuinfo");
    let model = cpu.lines().find_map(|line| line.strip_prefix("model name"));
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    json!({
        "cores": std::thread::available_parallelism().map_or(0, usize::from),
        "cpu": model.unwrap_or_default().trim_matches([' ', '\t', ':']),
        "kernel": read("/proc/sys/kernel/osrelease").trim(),
        "load": read("/proc/loadavg").trim(),
        "time": now.map_or(0, |now| now.as_secs()),
    })
}
