//! Signals to processes and a look at them from outside.

use std::process::Command;

/// Sends the signal of this name to a process.
pub(crate) fn signal(pid: u32, name: &str) {
    let status = Command::new("kill")
        .arg(format!("-{name}"))
        .arg(pid.to_string())
        .status()
        .expect("kill is installed");
    assert!(status.success(), "kill -{name} {pid}");
}

/// Whether there is such a process.
pub(crate) fn is_running(pid: u32) -> bool {
    std::path::Path::new(&format!("/proc/{pid}")).exists()
}
