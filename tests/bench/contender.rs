//! Who is measured: a proxy, or the loops that say what one could do.

use std::fs::File;
use std::path::Path;
use std::process::Command;

use super::bare;
use super::launch::Site;
use super::process::Process;

/// Who is measured.
#[derive(Debug, Clone)]
pub(crate) struct Contender {
    name: String,
    /// Its program and arguments.
    command: Vec<String>,
    /// Whether it is a proxy, which knows dialogs and answers pings.
    proxy: bool,
}

impl Contender {
    /// The proxy of this package.
    pub(crate) fn ours() -> Contender {
        Contender {
            name: "ari-proxy".to_owned(),
            command: vec![env!("CARGO_BIN_EXE_ari-proxy").to_owned()],
            proxy: true,
        }
    }

    /// The proxy that `command`, its words parted by spaces, starts.
    pub(crate) fn other(command: &str) -> Result<Contender, String> {
        let command: Vec<String> = command.split_whitespace().map(str::to_owned).collect();
        let program = command.first().ok_or("a proxy needs a command")?;
        if program.contains('/') && !Path::new(program).is_file() {
            let here = std::env::current_dir().unwrap_or_default();
            return Err(format!("there is no {program} in {}", here.display()));
        }
        let name = program.rsplit('/').next().unwrap_or(program);
        Ok(Contender {
            name: name.to_owned(),
            command,
            proxy: true,
        })
    }

    /// The bare loops, see [`bare`].
    pub(crate) fn limit() -> Contender {
        let program = std::env::current_exe().expect("the path of this program");
        Contender {
            name: "limit".to_owned(),
            command: vec![
                program.to_string_lossy().into_owned(),
                bare::ARGUMENT.to_owned(),
            ],
            proxy: false,
        }
    }

    /// Has it called otherwise where one of `others` is called the same.
    pub(crate) fn tell_apart(&mut self, others: &[Contender]) {
        let name = self.name.clone();
        let mut number = 1;
        while others.iter().any(|other| other.name == self.name) {
            number += 1;
            self.name = format!("{name} ({number})");
        }
    }

    /// What it is called in the figures.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Whether it is a proxy.
    pub(crate) fn is_proxy(&self) -> bool {
        self.proxy
    }

    /// Starts it for `application`; it logs to the file `log` of the scratch directory.
    pub(crate) fn spawn(&self, site: &Site<'_>, application: &str, log: &str) -> Process {
        let log = File::create(site.scratch.join(log)).expect("a log file");
        let path = std::env::var_os("PATH").unwrap_or_default();
        let mut process = Command::new(&self.command[0]);
        process
            .args(&self.command[1..])
            .env_clear()
            .env("PATH", path)
            // No configuration file of the user's.
            .env("HOME", site.scratch.path())
            .env("ARI_APPLICATION", application)
            .env("ARI_USERNAME", "bench")
            .env("ARI_PASSWORD", "bench")
            .env("ARI_HTTP_URL", site.asterisk.http_url())
            .env("ARI_WEBSOCKET_URL", site.asterisk.websocket_url())
            .env("MESSAGEBUS_URL", site.broker.url())
            .stdout(log.try_clone().expect("a log file"))
            .stderr(log);
        Process::spawn(&mut process)
    }
}
