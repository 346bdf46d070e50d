//! What a process has used, as Linux counts it.

use std::collections::HashMap;
use std::fs;
use std::time::Duration;

/// The processor time of the threads of a process.
pub(crate) struct Threads {
    pid: u32,
    nanos: HashMap<String, u64>,
}

impl Threads {
    /// By now.
    pub(crate) fn of(pid: u32) -> Threads {
        let mut nanos = HashMap::new();
        if let Ok(tasks) = fs::read_dir(format!("/proc/{pid}/task")) {
            for task in tasks.flatten() {
                let used = fs::read_to_string(task.path().join("schedstat")).unwrap_or_default();
                let used = used.split(' ').next().and_then(|used| used.parse().ok());
                let id = task.file_name().to_string_lossy().into_owned();
                nanos.insert(id, used.unwrap_or(0));
            }
        }
        Threads { pid, nanos }
    }

    /// Used since then, but for threads that have ended meanwhile.
    pub(crate) fn since(&self) -> Duration {
        let now = Threads::of(self.pid);
        let used = now.nanos.iter().map(|(id, nanos)| {
            let before = self.nanos.get(id).copied().unwrap_or(0);
            nanos.saturating_sub(before)
        });
        Duration::from_nanos(used.sum())
    }
}

/// The processor time of this process by now, to 10 ms, ended threads included.
pub(crate) fn own() -> Duration {
    let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // The name, in parentheses, may hold anything; user and system time are the 12th and 13th after.
    let after = stat.rsplit_once(')').map_or("", |(_, after)| after);
    let ticks = after.split_whitespace().skip(11).take(2);
    let ticks: u64 = ticks.filter_map(|ticks| ticks.parse::<u64>().ok()).sum();
    Duration::from_millis(10 * ticks)
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
        status
            .lines()
            .find_map(|line| line.strip_prefix(name))
            .and_then(|line| line.trim().split(' ').next()?.parse().ok())
            .unwrap_or(0)
    }
}

/// The size of the program that the process `pid` runs.
pub(crate) fn program_size(pid: u32) -> u64 {
    fs::metadata(format!("/proc/{pid}/exe")).map_or(0, |program| program.len())
}
