//! A process that does not outlive the bench, however that ends.

use std::io::{Read as _, Write as _};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// A process in a group of its own; if it has not ended, the whole group is killed when it is
/// dropped.
pub(crate) struct Process {
    child: Child,
    guard: Child,
    started: Instant,
    /// Whether it has ended and was waited for: its id may be another's then.
    ended: bool,
}

impl Process {
    /// Starts `command`.
    pub(crate) fn spawn(command: &mut Command) -> Process {
        // It is there before, so that it takes no time from what starts, and does nothing but wait: its
        // stdin ends when the bench does, in whatever way.
        let mut guard = Command::new("sh")
            .args(["-c", "echo; read id; read end; kill -9 -$id"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()
            .expect("a shell");
        let mut waits = guard.stdout.take().expect("its stdout");
        waits.read_exact(&mut [0]).expect("a guard");
        let started = Instant::now();
        let child = command
            .stdin(Stdio::null())
            .process_group(0)
            .spawn()
            .unwrap_or_else(|error| panic!("{:?}: {error}", command.get_program()));
        let mut line = guard.stdin.as_ref().expect("its stdin");
        writeln!(line, "{}", child.id()).expect("a guard that reads");
        Process {
            child,
            guard,
            started,
            ended: false,
        }
    }

    /// Its id.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// When it was started.
    pub(crate) fn started(&self) -> Instant {
        self.started
    }

    /// Whether it has not ended yet.
    pub(crate) fn lives(&mut self) -> bool {
        self.ended = self.ended || !matches!(self.child.try_wait(), Ok(None));
        !self.ended
    }

    /// Asks it to end and gives it `limit` for that.
    pub(crate) fn end(mut self, limit: Duration) {
        let deadline = Instant::now() + limit;
        signal("-TERM", &self.child.id().to_string());
        while self.lives() && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(2));
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.guard.kill();
        let _ = self.guard.wait();
        if !self.ended {
            signal("-KILL", &format!("-{}", self.child.id()));
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

fn signal(name: &str, target: &str) {
    let _ = Command::new("kill")
        .args([name, "--", target])
        .stderr(Stdio::null())
        .status();
}
