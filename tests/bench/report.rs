//! The figures, for people as they come and for programs at the end.

use std::fs;
use std::path::Path;

use serde_json::json;

use super::measure::Measure;

/// The rows so far.
pub(crate) struct Report {
    rows: Vec<Measure>,
}

impl Report {
    /// None yet.
    pub(crate) fn new() -> Report {
        Report { rows: Vec::new() }
    }

    /// Adds a row and shows it.
    pub(crate) fn add(&mut self, row: Measure) {
        if self.rows.is_empty() {
            println!(
                "delay and processor time in µs; cpu by event or request, of an idle proxy by second"
            );
            println!(
                "{:4} {:18} {:28} {:>8} {:>8} {:>14} {:>8} {:>8} {:>8} {:>9} {:>7} {:>7} {:>7} {:>7}",
                "bus",
                "proxy",
                "scenario",
                "rate/s",
                "done",
                "lost/dup/ord/er",
                "p50",
                "p95",
                "p99",
                "max",
                "cpu",
                "broker",
                "bench",
                "MiB"
            );
        }
        println!("{}", line(&row));
        self.rows.push(row);
    }

    /// Says how large the proxies are, and writes all to the file at `path`.
    pub(crate) fn finish(&self, path: Option<&Path>) {
        let mut named: Vec<&str> = Vec::new();
        for row in &self.rows {
            if let Some(size) = row.program_bytes
                && !named.contains(&row.proxy.as_str())
            {
                named.push(&row.proxy);
                println!("{}: a program of {size} bytes", row.proxy);
            }
        }
        if let Some(path) = path {
            let text = serde_json::to_string_pretty(&json!({
                "machine": machine(),
                "rows": self.rows,
            }));
            let text = text.expect("rows are plain data") + "\n";
            let written = fs::write(path, text);
            written.unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        }
    }
}

fn line(row: &Measure) -> String {
    let number = |value: Option<f64>| match value {
        Some(value) if value < 100.0 => format!("{value:.1}"),
        Some(value) => format!("{value:.0}"),
        None => "-".to_owned(),
    };
    let wrong = [row.lost, row.duplicates, row.disordered, row.errors];
    let wrong = wrong.map(|count| count.to_string()).join("/");
    let delay = |pick: fn(&super::measure::Delay) -> f64| number(row.delay.as_ref().map(pick));
    let cost = |pick: fn(&super::measure::Cost) -> f64| number(row.cpu.as_ref().map(pick));
    let rate = row.rate.map_or("-".to_owned(), |rate| format!("{rate:.0}"));
    format!(
        "{:4} {:18} {:28} {rate:>8} {:>8} {wrong:>14} {:>8} {:>8} {:>8} {:>9} {:>7} {:>7} {:>7} {:>7}",
        row.bus,
        row.proxy,
        row.scenario,
        row.done,
        delay(|delay| delay.p50),
        delay(|delay| delay.p95),
        delay(|delay| delay.p99),
        delay(|delay| delay.max),
        cost(|cost| cost.proxy),
        cost(|cost| cost.broker),
        cost(|cost| cost.bench),
        number(row.memory_kib.map(|kib| kib as f64 / 1024.0)),
    )
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
