//! Who is measured: a proxy, or nobody, to know what the rest can do.

use std::fs::File;
use std::process::Command;

use super::launch::Site;
use super::process::Process;

/// Who is measured.
#[derive(Debug, Clone)]
pub(crate) enum Contender {
    /// A proxy.
    Proxy {
        /// What it is called in the figures.
        name: String,
        /// Its program and arguments.
        command: Vec<String>,
    },
    /// No proxy: events are published and requests answered by the bench itself.
    Nobody,
}

impl Contender {
    /// The proxy of this package.
    pub(crate) fn ours() -> Contender {
        Contender::Proxy {
            name: "ari-proxy".to_owned(),
            command: vec![env!("CARGO_BIN_EXE_ari-proxy").to_owned()],
        }
    }

    /// The proxy that `command`, its words parted by spaces, starts.
    pub(crate) fn other(command: &str) -> Result<Contender, String> {
        let command: Vec<String> = command.split_whitespace().map(str::to_owned).collect();
        let program = command.first().ok_or("a proxy needs a command")?;
        let name = program.rsplit('/').next().unwrap_or(program);
        Ok(Contender::Proxy {
            name: format!("{name} (other)"),
            command,
        })
    }

    /// What it is called in the figures.
    pub(crate) fn name(&self) -> &str {
        match self {
            Contender::Proxy { name, .. } => name,
            Contender::Nobody => "limit",
        }
    }

    /// Starts it for `application`; it logs to the file `log` of the scratch directory.
    pub(crate) fn spawn(&self, site: &Site<'_>, application: &str, log: &str) -> Option<Process> {
        let Contender::Proxy { command, .. } = self else {
            return None;
        };
        let log = File::create(site.scratch.join(log)).expect("a log file");
        let path = std::env::var_os("PATH").unwrap_or_default();
        let mut process = Command::new(&command[0]);
        process
            .args(&command[1..])
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
        Some(Process::spawn(&mut process))
    }
}
