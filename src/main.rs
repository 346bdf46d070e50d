//! The ari-proxy daemon: reads the configuration, starts the proxies, waits for signals.

use std::process::ExitCode;
use std::sync::Arc;
use std::thread;

use ari_proxy::config::{Config, Invocation};
use ari_proxy::fleet::{Fleet, Stoppers};
use ari_proxy::{exit, logging};
use signal_hook::consts::{SIGINT, SIGTERM, SIGXFSZ};
use signal_hook::iterator::Signals;

/// That of musl is made to be small, not fast.
#[cfg(target_env = "musl")]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    match Config::from_process() {
        Ok(Invocation::Run(config)) => {
            let status = run(&config);
            // A thread writes the log; it ends with the process.
            log::logger().flush();
            ExitCode::from(status)
        }
        Ok(Invocation::Help(text) | Invocation::Version(text)) => {
            println!("{text}");
            ExitCode::from(exit::OK)
        }
        Err(error) => {
            eprintln!("ari-proxy: {error}");
            ExitCode::from(exit::CONFIGURATION)
        }
    }
}

fn run(config: &Config) -> u8 {
    if let Err(error) = logging::start(config.log_level) {
        eprintln!("ari-proxy: cannot log: {error}");
        return exit::SYSTEM;
    }
    log::info!("ari-proxy {} starts", env!("CARGO_PKG_VERSION"));
    for line in config.describe() {
        log::debug!("{line}");
    }
    // A log file that may not grow any more must cost lines, not the process.
    let ignored = signal_hook::flag::register(SIGXFSZ, Arc::default());
    if let Err(error) = ignored {
        log::warn!("a limit of the log's size would end the process: {error}");
    }
    let started = Signals::new([SIGTERM, SIGINT]).and_then(|signals| {
        let fleet = Fleet::start(config)?;
        let stopper = fleet.stopper();
        thread::Builder::new()
            .name("signals".into())
            .spawn(move || obey(signals, &stopper))?;
        Ok(fleet)
    });
    match started {
        Ok(fleet) => exit::status(fleet.run()),
        Err(error) => {
            log::error!("cannot start: {error}; is the number of threads or files limited?");
            exit::SYSTEM
        }
    }
}

/// Stops the proxies at the first signal; at the second, exits at once.
fn obey(mut signals: Signals, stopper: &Stoppers) {
    let mut signals = signals.forever();
    if signals.next().is_some() {
        stopper.stop();
    }
    if signals.next().is_some() {
        std::process::exit(i32::from(exit::AT_ONCE));
    }
}
