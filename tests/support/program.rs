//! The examples as processes, which applications of the client are.

use std::env;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use crossbeam_channel::{Receiver, Sender, unbounded};

use super::wait::SOON;

/// A running example. It is killed when dropped.
pub(crate) struct Program {
    child: Child,
    /// Its lines.
    pub(crate) lines: Receiver<String>,
}

/// Where cargo has put the example `name`, beside this test.
fn path(name: &str) -> PathBuf {
    let mut path = env::current_exe().expect("the test has a path");
    path.pop();
    path.pop();
    path.join("examples").join(name)
}

impl Program {
    /// Starts the example `name` as a client of `application` on the bus at `url`; its lines come to
    /// `lines` too.
    pub(crate) fn start(name: &str, application: &str, url: &str, arguments: &[&str]) -> Program {
        let (line, lines) = unbounded();
        let mut program = Program::started(name, application, url, arguments, line);
        program.lines = lines;
        program
    }

    /// The same, whose lines, with `number` before them, come to `line`.
    pub(crate) fn started(
        name: &str,
        application: &str,
        url: &str,
        arguments: &[&str],
        line: Sender<String>,
    ) -> Program {
        let path = path(name);
        let mut child = Command::new(&path)
            .args(arguments)
            .env("ARI_APPLICATION", application)
            .env("MESSAGEBUS_URL", url)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("{}: {error}; cargo build --examples?", path.display()));
        let out = child.stdout.take().expect("its standard output");
        std::thread::spawn(move || {
            for text in BufReader::new(out).lines().map_while(Result::ok) {
                let _ = line.send(text);
            }
        });
        Program {
            child,
            lines: crossbeam_channel::never(),
        }
    }

    /// Its next line.
    pub(crate) fn line(&self, what: &str) -> String {
        self.lines.recv_timeout(SOON).expect(what)
    }

    /// Waits until it ends; whether it ended well.
    pub(crate) fn ends(&mut self) -> bool {
        let ended = super::wait::wait_for("the program ends", SOON, || {
            self.child.try_wait().expect("it can be waited for")
        });
        ended.success()
    }

    /// Kills it: no goodbye to anybody.
    pub(crate) fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// The memory it has in RAM, in KiB.
    pub(crate) fn rss_kib(&self) -> usize {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()));
        let status = status.expect("it runs");
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let number = line.and_then(|line| line.split_whitespace().next());
        number.and_then(|number| number.parse().ok()).unwrap_or(0)
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        self.kill();
    }
}
