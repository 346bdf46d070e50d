//! The way from the process' arguments, environment and files to a checked [`Config`].

use super::args::{self, CommandLine};
use super::error::ConfigError;
use super::layer::Layer;
use super::settings::Settings;
use super::source::Source;
use super::{Config, Invocation, file, help, keys, values};
use std::env::{self, VarError};
use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// The file of the whole system, tried after that of the user.
const SYSTEM_FILE: &str = "/etc/ari-proxy/ari-proxy.yaml";

/// The default file of go-ari-proxy.
const GO_ARI_PROXYS_FILE: &str = "./config.json";

impl Config {
    /// Reads the process' own arguments and environment, and the files they lead to.
    ///
    /// # Errors
    /// Whatever keeps the process from starting as it was told to; the exit status is 2 then.
    pub fn from_process() -> Result<Invocation, ConfigError> {
        for key in keys::TABLE {
            let name = key.environment();
            if let Err(VarError::NotUnicode(_)) = env::var(&name) {
                return Err(ConfigError::Invalid {
                    key: key.name.to_owned(),
                    problem: "is not UTF-8 text".to_owned(),
                    source: Source::Environment(name),
                });
            }
        }
        Config::load(env::args_os().skip(1), &|name| env::var(name).ok())
    }

    /// Reads `args`, without the program's name, the environment through `env`, and the file that
    /// `--config` names or else the first that exists of `$HOME/.ari-proxy.yaml` and
    /// `/etc/ari-proxy/ari-proxy.yaml`. Where none does and nothing names an application, that is
    /// `./config.json`, if it is one of go-ari-proxy.
    ///
    /// # Errors
    /// As [`Config::from_process`].
    pub fn load(
        args: impl IntoIterator<Item = impl Into<OsString>>,
        env: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Invocation, ConfigError> {
        let home = env("HOME").filter(|home| !home.is_empty());
        let files: Vec<PathBuf> = home
            .map(|home| PathBuf::from(home).join(".ari-proxy.yaml"))
            .into_iter()
            .chain([PathBuf::from(SYSTEM_FILE)])
            .collect();
        let last = Path::new(GO_ARI_PROXYS_FILE);
        load_with(args.into_iter().map(Into::into), env, &files, last)
    }

    /// The effective value of every key and where it comes from, one line each, without secrets.
    pub fn describe(&self) -> Vec<String> {
        self.record.clone()
    }
}

/// [`Config::load`] with the default files to try, and the one of go-ari-proxy to try after them.
fn load_with(
    args: impl Iterator<Item = OsString>,
    env: &dyn Fn(&str) -> Option<String>,
    files: &[PathBuf],
    last: &Path,
) -> Result<Invocation, ConfigError> {
    let (flags, path) = match args::read(args)? {
        CommandLine::Run(flags, path) => (flags, path),
        CommandLine::Help => return Ok(Invocation::Help(help::help())),
        CommandLine::Version => {
            let version = concat!("ari-proxy ", env!("CARGO_PKG_VERSION"));
            return Ok(Invocation::Version(version.to_owned()));
        }
    };
    let environment = Layer::from_environment(env);
    let named = |layer: &Layer| layer.get(&keys::APPLICATION).is_some();
    let file = match path {
        Some(path) => Some(file::read(&path)?),
        None => match file::read_first(files)? {
            None if !named(&flags) && !named(&environment) => file::read_go_ari_proxys(last)?,
            file => file,
        },
    };
    let settings = Settings::new(flags, environment, file.unwrap_or_default());
    values::take(settings).map(Invocation::Run)
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::Workers;
    use super::super::file::tests::Scratch;
    use super::*;
    use std::time::Duration;

    const REQUIRED: [&str; 3] = [
        "--ari.application=test",
        "--ari.username=u",
        "--ari.password=secret",
    ];

    /// Loads with `REQUIRED`, `args`, `variables` and perhaps a default file.
    pub(in crate::config) fn loaded(
        args: &[&str],
        variables: &[(&str, &str)],
        file: Option<PathBuf>,
    ) -> Result<Config, String> {
        let args = REQUIRED.iter().chain(args).map(OsString::from);
        match load_with(args, &lookup(variables), file.as_slice(), Path::new("")) {
            Ok(Invocation::Run(config)) => Ok(config),
            Ok(other) => panic!("{other:?}"),
            Err(error) => Err(error.to_string()),
        }
    }

    /// Loads the file at `path` and `variables`, and nothing else.
    pub(in crate::config) fn from_file(
        path: &Path,
        variables: &[(&str, &str)],
    ) -> Result<Config, String> {
        let args = [OsString::from("-config"), path.into()];
        match load_with(args.into_iter(), &lookup(variables), &[], Path::new("")) {
            Ok(Invocation::Run(config)) => Ok(config),
            Ok(other) => panic!("{other:?}"),
            Err(error) => Err(error.to_string()),
        }
    }

    fn lookup(variables: &[(&str, &str)]) -> impl Fn(&str) -> Option<String> {
        move |name| {
            let found = variables.iter().find(|(n, _)| *n == name);
            found.map(|(_, text)| (*text).to_owned())
        }
    }

    fn bus(args: &[&str], variables: &[(&str, &str)], file: Option<PathBuf>) -> String {
        format!("{:?}", loaded(args, variables, file).unwrap().bus.servers)
    }

    #[test]
    fn flags_over_environment_over_file_over_defaults() {
        let scratch = Scratch::new();
        let file = scratch.file("f", "workers: {count: 3, queue: 3, max_wait: 3s}\n");
        let config = loaded(
            &["--workers.count=1"],
            &[
                ("WORKERS_COUNT", "2"),
                ("WORKERS_QUEUE", "2"),
                ("WORKERS_MAX_WAIT", ""),
            ],
            Some(file),
        )
        .unwrap();
        assert_eq!(
            config.workers,
            Workers {
                count: 1,
                queue: 2,
                max_wait: Duration::from_secs(3),
            }
        );
        assert_eq!(config.http.connect_timeout, Duration::from_secs(2));
    }

    #[test]
    fn names_of_the_bus_and_their_order() {
        let scratch = Scratch::new();
        let both = scratch.file("both", "messagebus.url: f1\nnats: {url: f2}\n");
        let old = scratch.file("old", "nats: {url: f2}\n");
        let service = ("NATS_SERVICE_HOST", "s");
        let (new_env, old_env) = (("MESSAGEBUS_URL", "e1"), ("NATS_URL", "e2"));
        let everywhere = [service, old_env, new_env];
        for (args, variables, file, host) in [
            (
                &["--nats.url=a2", "--messagebus.url=a1"][..],
                &everywhere[..],
                Some(both.clone()),
                "a1",
            ),
            (&["--nats.url=a2"], &everywhere, Some(both.clone()), "a2"),
            (&[], &everywhere, Some(both.clone()), "e1"),
            (&[], &everywhere[..2], Some(both.clone()), "e2"),
            (&[], &everywhere[..1], Some(both.clone()), "s"),
            (&[], &[], Some(both), "f1"),
            (&[], &[], Some(old), "f2"),
            (&[], &[], None, "localhost"),
        ] {
            assert_eq!(bus(args, variables, file), format!("[nats://{host}:4222]"));
        }
    }

    #[test]
    fn errors_name_the_source() {
        let scratch = Scratch::new();
        let file = scratch.file("f", "ari:\n  http_url: x\n");
        assert_eq!(
            loaded(&[], &[("ARI_HTTP_URL", "htp://x")], Some(file.clone())).unwrap_err(),
            "ari.http_url: \"htp://x\" is not an http:// or https:// URL (from environment ARI_HTTP_URL)"
        );
        assert_eq!(
            loaded(&[], &[], Some(file.clone())).unwrap_err(),
            format!(
                "ari.http_url: \"x\" is not an http:// or https:// URL (from file {} line 2)",
                file.display()
            )
        );
        assert_eq!(
            loaded(&[], &[("NATS_SERVICE_HOST", "a b")], None).unwrap_err(),
            "messagebus.url: \"nats://a b:4222\" has a host that is neither a name nor an address \
             (from environment NATS_SERVICE_HOST and NATS_SERVICE_PORT_CLIENT)"
        );
    }

    #[test]
    fn what_is_required() {
        for (index, key) in ["ari.application", "ari.username", "ari.password"]
            .into_iter()
            .enumerate()
        {
            let mut args = REQUIRED.to_vec();
            args.remove(index);
            let variables = [("ARI_FOO", "ignored"), ("ARI_PASSWORD", "")];
            let args = args.iter().map(OsString::from);
            let error = load_with(args, &lookup(&variables), &[], Path::new(""));
            assert_eq!(error.err(), Some(ConfigError::Missing { key }));
        }
    }

    #[test]
    fn files_by_flag_and_by_default() {
        let scratch = Scratch::new();
        let named = scratch.file("named.json", "{\"workers\": {\"count\": 5}}");
        scratch.file(".ari-proxy.yaml", "workers: {count: 6}");
        let home = scratch.0.display().to_string();
        let count = |args: &[&str]| {
            let args = REQUIRED.iter().chain(args).copied();
            match Config::load(args, &lookup(&[("HOME", &home)])) {
                Ok(Invocation::Run(config)) => Ok(config.workers.count),
                Ok(other) => panic!("{other:?}"),
                Err(error) => Err(error.to_string()),
            }
        };
        assert_eq!(count(&[]), Ok(6));
        assert_eq!(count(&["--config", &named.display().to_string()]), Ok(5));
        let missing = format!("{home}/missing");
        let error = count(&["--config", &missing]).unwrap_err();
        assert!(
            error.starts_with(&format!("file {missing}: cannot be read: ")),
            "{error}"
        );
    }

    #[test]
    fn the_file_of_go_ari_proxy_comes_last() {
        let scratch = Scratch::new();
        let last = scratch.file(
            "config.json",
            "\u{feff}{\"STASIS_URL\": \"http://h/ari\", \"applications\": [\"last\"], \"ws_user\": \"u\",
              \"ws_password\": \"p\", \"websocket_url\": \"ws://h\", \"message_bus\": \"NATS\"}",
        );
        let ours = scratch.file("ours", "ari: {application: ours, username: u, password: p}");
        let foreign = scratch.file("foreign", "{\"application\": \"x\"}");
        let broken = scratch.file("broken", "{\"stasis_url\": ");
        let application = |args: &[&str], variables: &[(&str, &str)], files: &[PathBuf], last| {
            let args = args.iter().map(OsString::from);
            match load_with(args, &lookup(variables), files, last) {
                Ok(Invocation::Run(config)) => config.ari.application,
                Ok(other) => panic!("{other:?}"),
                Err(error) => error.to_string(),
            }
        };
        assert_eq!(application(&[], &[], &[], &last), "last");
        assert_eq!(application(&[], &[], &[ours], &last), "ours");
        let missing = "ari.username: is required and not set";
        for (args, variables, files) in [
            (&["--ari.application=x"][..], &[][..], &[][..]),
            (&[], &[("ARI_APPLICATION", "x")], &[]),
        ] {
            assert!(application(args, variables, files, &last).starts_with(missing));
        }
        let missing = "ari.application: is required and not set";
        let nothing = scratch.0.join("nothing");
        for last in [&foreign, &broken, &nothing, &scratch.0] {
            assert!(application(&[], &[], &[], last).starts_with(missing));
        }
        let named = format!("-config={}", last.display());
        assert_eq!(application(&[&named], &[], &[], &nothing), "last");
    }

    #[test]
    fn help_and_version() {
        let none = |_: &str| None;
        assert!(
            matches!(Config::load(["--help"], &none), Ok(Invocation::Help(text)) if text.starts_with("Usage: "))
        );
        let version = concat!("ari-proxy ", env!("CARGO_PKG_VERSION"));
        assert!(
            matches!(Config::load(["-V"], &none), Ok(Invocation::Version(text)) if text == version)
        );
    }
}
