//! The proxy as a process: started with a configuration, watched, signalled, killed when dropped.

use std::ffi::OsString;
use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::asterisk::{Asterisk, PASSWORD, USER};
use super::directory::TemporaryDirectory;
use super::process::signal;
use super::server::lock;
use super::wait::{SOON, wait_for};

/// What a proxy is started with. Nothing of the tests' own environment but `PATH` reaches it.
pub(crate) struct ProxyBuilder {
    environment: Vec<(String, OsString)>,
    arguments: Vec<OsString>,
    within: Vec<String>,
    file: Option<(String, String)>,
    file_flag: &'static str,
    home_file: Option<(String, String)>,
    stdout: Stdio,
}

impl ProxyBuilder {
    /// One without any configuration.
    pub(crate) fn bare() -> ProxyBuilder {
        ProxyBuilder {
            environment: Vec::new(),
            arguments: Vec::new(),
            within: Vec::new(),
            file: None,
            file_flag: "--config",
            home_file: None,
            stdout: Stdio::piped(),
        }
    }

    /// One for `application` between this Asterisk and this bus.
    pub(crate) fn new(application: &str, asterisk: &Asterisk, bus_url: &str) -> ProxyBuilder {
        ProxyBuilder::bare()
            .env("ARI_APPLICATION", application)
            .env("ARI_USERNAME", USER)
            .env("ARI_PASSWORD", PASSWORD)
            .env("ARI_HTTP_URL", asterisk.http_url())
            .env("ARI_WEBSOCKET_URL", asterisk.websocket_url())
            .env("MESSAGEBUS_URL", bus_url)
    }

    /// Sets an environment variable.
    pub(crate) fn env(mut self, name: &str, value: impl Into<OsString>) -> ProxyBuilder {
        self.environment.retain(|(known, _)| known != name);
        self.environment.push((name.to_owned(), value.into()));
        self
    }

    /// Takes an environment variable out.
    pub(crate) fn without(mut self, name: &str) -> ProxyBuilder {
        self.environment.retain(|(known, _)| known != name);
        self
    }

    /// Adds an argument.
    pub(crate) fn arg(mut self, argument: impl Into<OsString>) -> ProxyBuilder {
        self.arguments.push(argument.into());
        self
    }

    /// Has this command start the process: the program and its arguments are added to it. It must
    /// become the program, not have it as a child.
    pub(crate) fn within(mut self, command: &[&str]) -> ProxyBuilder {
        self.within = command.iter().map(|&word| word.to_owned()).collect();
        self
    }

    /// Writes a configuration file of this name and passes it with `--config`.
    pub(crate) fn file(mut self, name: &str, text: &str) -> ProxyBuilder {
        self.file = Some((name.to_owned(), text.to_owned()));
        self
    }

    /// Writes a `config.json` of go-ari-proxy and passes it as to that one: with one dash.
    pub(crate) fn config_json(mut self, text: &str) -> ProxyBuilder {
        self.file_flag = "-config";
        self.file("config.json", text)
    }

    /// Writes a file of this name into the proxy's home, where it is started too.
    pub(crate) fn home_file(mut self, name: &str, text: &str) -> ProxyBuilder {
        self.home_file = Some((name.to_owned(), text.to_owned()));
        self
    }

    /// Has its standard output go elsewhere: nothing of it is in its lines then.
    pub(crate) fn stdout(mut self, stdout: impl Into<Stdio>) -> ProxyBuilder {
        self.stdout = stdout.into();
        self
    }

    /// Starts the process; it may not be ready yet, or ever.
    pub(crate) fn spawn(self) -> ProxyProcess {
        let directory = TemporaryDirectory::new();
        let mut words = self.within;
        words.push(env!("CARGO_BIN_EXE_ari-proxy").to_owned());
        let mut command = Command::new(words.remove(0));
        command
            .args(words)
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", &directory.path)
            .current_dir(&directory.path)
            .envs(self.environment)
            .args(self.arguments)
            .stdin(Stdio::null())
            .stdout(self.stdout)
            .stderr(Stdio::piped());
        if let Some((name, text)) = self.file {
            let path = directory.path.join(name);
            fs::write(&path, text).expect("configuration file written");
            command.arg(self.file_flag).arg(path);
        }
        if let Some((name, text)) = self.home_file {
            fs::write(directory.path.join(name), text).expect("file at home written");
        }
        let mut child = command.spawn().expect("the proxy starts");
        let lines = Arc::default();
        let readers = [
            child.stdout.take().map(|out| read_lines(out, &lines)),
            child.stderr.take().map(|err| read_lines(err, &lines)),
        ];
        ProxyProcess {
            child,
            lines,
            readers: readers.into_iter().flatten().collect(),
            _directory: directory,
        }
    }
}

/// Starts `builder`, which must be refused in one line that has all of `words` in it.
pub(crate) fn refused(builder: ProxyBuilder, words: &[&str]) {
    let mut proxy = builder.spawn();
    assert_eq!(proxy.wait_exit(SOON), Some(2), "{words:?}");
    let lines = proxy.lines();
    assert_eq!(lines.len(), 1, "{lines:?}");
    for word in words {
        assert!(lines[0].contains(word), "{word} in {lines:?}");
    }
    assert!(!lines[0].contains(PASSWORD), "{lines:?}");
}

type Lines = Arc<Mutex<Vec<String>>>;

fn read_lines(from: impl Read + Send + 'static, lines: &Lines) -> std::thread::JoinHandle<()> {
    let lines = Arc::clone(lines);
    std::thread::spawn(move || {
        for line in BufReader::new(from).split(b'\n').map_while(Result::ok) {
            lock(&lines).push(String::from_utf8_lossy(&line).into_owned());
        }
    })
}

/// A running proxy. Its log is shown when the test that has it panics.
pub(crate) struct ProxyProcess {
    child: Child,
    lines: Lines,
    readers: Vec<std::thread::JoinHandle<()>>,
    _directory: TemporaryDirectory,
}

impl ProxyProcess {
    /// Its process id.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The lines it has printed so far, to standard output and standard error.
    pub(crate) fn lines(&self) -> Vec<String> {
        lock(&self.lines).clone()
    }

    /// Waits for a line with `text` in it, whatever the case of its letters.
    pub(crate) fn wait_log(&self, text: &str) -> String {
        let text = text.to_lowercase();
        wait_for(&format!("a log line with {text:?}"), SOON, || {
            let lines = lock(&self.lines);
            let found = lines
                .iter()
                .find(|line| line.to_lowercase().contains(&text));
            found.cloned()
        })
    }

    /// Sends it the signal of this name.
    pub(crate) fn signal(&self, name: &str) {
        signal(self.pid(), name);
    }

    /// Whether it still runs.
    pub(crate) fn is_running(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Waits until it ends and all it printed is read; its exit status, none where a signal ended
    /// it.
    pub(crate) fn wait_exit(&mut self, deadline: Duration) -> Option<i32> {
        let status = wait_for("the proxy's exit", deadline, || {
            self.child.try_wait().expect("waitable")
        });
        for reader in self.readers.drain(..) {
            let _ = reader.join();
        }
        status.code()
    }

    /// The names of its threads.
    pub(crate) fn threads(&self) -> Vec<String> {
        let tasks = fs::read_dir(self.proc("task")).expect("the proxy runs");
        tasks
            .flatten()
            .filter_map(|task| fs::read_to_string(task.path().join("comm")).ok())
            .map(|name| name.trim_end().to_owned())
            .collect()
    }

    /// The memory it has in RAM, in KiB.
    pub(crate) fn rss_kib(&self) -> usize {
        let status = fs::read_to_string(self.proc("status")).expect("the proxy runs");
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let number = line.and_then(|line| line.split_whitespace().next());
        number.and_then(|number| number.parse().ok()).unwrap_or(0)
    }

    /// How many files and sockets it has open.
    pub(crate) fn open_files(&self) -> usize {
        let descriptors = fs::read_dir(self.proc("fd")).expect("the proxy runs");
        descriptors.count()
    }

    fn proc(&self, name: &str) -> PathBuf {
        PathBuf::from(format!("/proc/{}/{name}", self.pid()))
    }
}

impl Drop for ProxyProcess {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            let lines = lock(&self.lines);
            let from = lines.len().saturating_sub(60);
            eprintln!("--- the proxy's last lines\n{}", lines[from..].join("\n"));
        }
    }
}
