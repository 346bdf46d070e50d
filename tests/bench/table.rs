//! The figures of a scenario for people: who was measured beneath what was done.

use std::collections::BTreeMap;

use super::measure::Measure;
use super::quantile::ratio;
use super::summary::Summary;

/// What the columns are.
pub(crate) const LEGEND: &str = "\
p50 to max: delays in µs. cpu, bus, bench: processor time in µs that proxy, broker and bench (client and
Asterisk) take for an event or request; sw: how often a thread of the proxy waits for each. idle and
load: the same by second. MiB: memory of the proxy at the start and the end, and its peak.";

/// The widths of the columns; the first is on the left.
const WIDTHS: [usize; 11] = [26, 7, 7, 7, 7, 8, 7, 6, 7, 7, 15];

/// Prints the scenario of `rows`, which is one, the one that it is about first.
pub(crate) fn print(rows: &[Summary]) {
    let Some(first) = rows.first() else {
        return;
    };
    println!("\n{}: {}", first.bus, first.scenario);
    line(
        [
            "", "rate/s", "p50", "p95", "p99", "max", "cpu", "sw", "bus", "bench", "MiB",
        ]
        .map(str::to_owned),
    );
    for row in rows {
        line(cells(&row.proxy, &row.median));
        remarks(&row.median);
    }
    for other in &rows[1..] {
        match other.proxy.as_str() {
            "limit" => ratios(first, other),
            _ => ratios(other, first),
        }
    }
}

fn line(cells: [String; 11]) {
    let [name, rest @ ..] = cells;
    let mut text = format!("  {name:0$}", WIDTHS[0]);
    for (cell, width) in rest.iter().zip(&WIDTHS[1..]) {
        text += &format!(" {cell:>width$}");
    }
    println!("{}", text.trim_end());
}

fn cells(name: &str, row: &Measure) -> [String; 11] {
    let delay = |pick: fn(&super::measure::Delay) -> f64| number(row.delay.as_ref().map(pick));
    let cost = |pick: fn(&super::measure::Cost) -> f64| number(row.cost.as_ref().map(pick));
    let memory = row.memory.map_or(String::new(), |size| {
        let sizes = [size.start, size.end, size.peak];
        sizes.map(|kib| format!("{:.1}", kib / 1024.0)).join(" ")
    });
    [
        name.to_owned(),
        row.rate.map_or(String::new(), |rate| format!("{rate:.0}")),
        delay(|delay| delay.p50),
        delay(|delay| delay.p95),
        delay(|delay| delay.p99),
        delay(|delay| delay.max),
        cost(|cost| cost.proxy),
        cost(|cost| cost.switches),
        cost(|cost| cost.broker),
        cost(|cost| cost.bench),
        memory,
    ]
}

fn number(value: Option<f64>) -> String {
    match value {
        Some(value) if value < 10.0 => format!("{value:.2}"),
        Some(value) if value < 100.0 => format!("{value:.1}"),
        Some(value) => format!("{value:.0}"),
        None => String::new(),
    }
}

/// Prints what went wrong, and threads that came or went.
fn remarks(row: &Measure) {
    let share = 100.0 * row.lost as f64 / row.sent.max(1) as f64;
    let counts = [
        (row.lost, format!("lost ({share:.2} %)")),
        (row.duplicates, "twice".to_owned()),
        (row.disordered, "out of order".to_owned()),
        (row.errors, "errors".to_owned()),
    ];
    let wrong = counts.iter().filter(|(count, _)| *count > 0);
    let wrong: Vec<String> = wrong
        .map(|(count, what)| format!("{count} {what}"))
        .collect();
    if !wrong.is_empty() {
        println!("    of {}: {}", row.sent, wrong.join(", "));
    }
    if let Some([before, after]) = &row.threads
        && before != after
    {
        println!("    threads before: {}", threads(before));
        println!("    threads after:  {}", threads(after));
    }
}

/// The names of threads, and how many have them.
pub(crate) fn threads(names: &BTreeMap<String, u64>) -> String {
    let each = names.iter().map(|(name, count)| match count {
        1 => name.clone(),
        count => format!("{count} {name}"),
    });
    let count: u64 = names.values().sum();
    format!("{count}: {}", each.collect::<Vec<_>>().join(", "))
}

/// Prints how many times what `other` has, `row` has.
fn ratios(row: &Summary, other: &Summary) {
    let of = |pick: &dyn Fn(&Measure) -> Option<f64>| match ratio(
        pick(&row.median),
        pick(&other.median),
    ) {
        Some(ratio) => format!("×{ratio:.2}"),
        None => String::new(),
    };
    let mut cells = <[String; 11]>::default();
    cells[0] = format!("{} / {}", row.proxy, other.proxy);
    cells[1] = of(&|row| row.rate);
    cells[2] = of(&|row| Some(row.delay?.p50));
    cells[6] = of(&|row| Some(row.cost?.proxy));
    line(cells);
}
