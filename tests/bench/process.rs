//! A process that does not outlive the bench, however that ends.

use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// A process in a group of its own; if it has not ended, the whole group is killed when it is
/// dropped.
pub(crate) struct Process {
    child: Child,
    guard: Child,
    /// Whether it has ended and was waited for: its id may be another's then.
    ended: bool,
}

impl Process {
    /// Starts `command`.
    pub(crate) fn spawn(command: &mut Command) -> Process {
        let child = command
            .stdin(Stdio::null())
            .process_group(0)
            .spawn()
            .unwrap_or_else(|error| panic!("{:?}: {error}", command.get_program()));
        // Its stdin ends when the bench does, in whatever way.
        let guard = Command::new("sh")
            .args(["-c", "cat >/dev/null; kill -9 -$0"])
            .arg(child.id().to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()
            .expect("a shell");
        Process {
            child,
            guard,
            ended: false,
        }
    }

    /// Its id.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
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
