//! What a process has used, as Linux counts it.

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::path::Path;
use std::time::Duration;

/// The length of a tick of `/proc/PID/stat`, in nanoseconds.
const TICK: u64 = 10_000_000;

/// What the threads of a process have used.
pub(crate) struct Threads {
    pid: u32,
    /// Of each thread that lives.
    threads: HashMap<String, Spent>,
    /// The processor time of the process in ticks, ended threads included.
    ticks: u64,
}

/// What was used between two looks.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Spent {
    /// Processor time in nanoseconds.
    pub(crate) nanos: u64,
    /// How often a thread gave the processor up to wait for something.
    pub(crate) switches: u64,
}

impl Threads {
    /// By now.
    pub(crate) fn of(pid: u32) -> Threads {
        let mut threads = HashMap::new();
        if let Ok(tasks) = fs::read_dir(format!("/proc/{pid}/task")) {
            for task in tasks.flatten() {
                let id = task.file_name().to_string_lossy().into_owned();
                threads.insert(id, Spent::of(&task.path()));
            }
        }
        let ticks = ticks(pid);
        Threads {
            pid,
            threads,
            ticks,
        }
    }

    /// Used since then. Threads that lived at neither end show in the ticks only, which count when they
    /// tell of more than their coarseness.
    pub(crate) fn since(&self) -> Spent {
        let now = Threads::of(self.pid);
        let mut spent = Spent::NONE;
        for (id, now) in &now.threads {
            let before = self.threads.get(id).copied().unwrap_or(Spent::NONE);
            spent.nanos += now.nanos.saturating_sub(before.nanos);
            spent.switches += now.switches.saturating_sub(before.switches);
        }
        let coarse = now.ticks.saturating_sub(self.ticks) * TICK;
        if coarse > spent.nanos + 3 * TICK {
            spent.nanos = coarse;
        }
        spent
    }
}

impl Spent {
    const NONE: Spent = Spent {
        nanos: 0,
        switches: 0,
    };

    /// Of the thread whose directory is `task`.
    fn of(task: &Path) -> Spent {
        let used = fs::read_to_string(task.join("schedstat")).unwrap_or_default();
        let status = fs::read_to_string(task.join("status")).unwrap_or_default();
        Spent {
            nanos: used
                .split(' ')
                .next()
                .and_then(|used| used.parse().ok())
                .unwrap_or(0),
            switches: number(&status, "voluntary_ctxt_switches:"),
        }
    }
}

/// The processor time of this process by now, ended threads included.
pub(crate) fn own() -> Duration {
    Duration::from_nanos(ticks(std::process::id()) * TICK)
}

fn ticks(pid: u32) -> u64 {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    // The name, in parentheses, may hold anything; user and system time are the 12th and 13th after.
    let after = stat.rsplit_once(')').map_or("", |(_, after)| after);
    let ticks = after.split_whitespace().skip(11).take(2);
    ticks.filter_map(|ticks| ticks.parse::<u64>().ok()).sum()
}

/// The names of the threads of the process `pid`, and how many have each.
pub(crate) fn names(pid: u32) -> BTreeMap<String, u64> {
    let mut names = BTreeMap::new();
    if let Ok(tasks) = fs::read_dir(format!("/proc/{pid}/task")) {
        for task in tasks.flatten() {
            if let Ok(name) = fs::read_to_string(task.path().join("comm")) {
                *names.entry(name.trim_end().to_owned()).or_default() += 1;
            }
        }
    }
    names
}

/// The memory of a process, in KiB.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Memory {
    /// What it holds now.
    Now,
    /// The most it ever held.
    Peak,
}

impl Memory {
    /// Of the process `pid`; 0 where it is gone.
    pub(crate) fn of(self, pid: u32) -> u64 {
        let name = match self {
            Memory::Now => "VmRSS:",
            Memory::Peak => "VmHWM:",
        };
        let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
        number(&status, name)
    }
}

/// The number in the line of `status` that begins with `name`; 0 where there is none.
fn number(status: &str, name: &str) -> u64 {
    status
        .lines()
        .find_map(|line| line.strip_prefix(name))
        .and_then(|line| line.split_whitespace().next()?.parse().ok())
        .unwrap_or(0)
}

/// The size of the program that the process `pid` runs.
pub(crate) fn program_size(pid: u32) -> u64 {
    fs::metadata(format!("/proc/{pid}/exe")).map_or(0, |program| program.len())
}
