//! Logging by simple_logger, its faults contained: one line per record whatever is in it, written
//! at once, and a closed or full stdout costs the line, not the thread.

use std::cell::Cell;
use std::panic::{self, AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use log::{LevelFilter, Log, Metadata, Record, SetLoggerError};
use simple_logger::SimpleLogger;

/// Longest message logged, in bytes: a line with it is written by one call.
const LONGEST: usize = 880;

thread_local! {
    static LOGGING: Cell<bool> = const { Cell::new(false) };
}

/// Sets the logger up: stdout, UTC, thread names, `level` and above.
pub fn start(level: LevelFilter) -> Result<(), SetLoggerError> {
    let inner = SimpleLogger::new()
        .with_level(level)
        // The crates speak of their own matters, one of them with passwords (crates.md).
        .with_module_level("amiquip", LevelFilter::Off)
        .with_module_level("mio", LevelFilter::Off)
        .with_module_level("mio_extras", LevelFilter::Off)
        .with_module_level("nats", level.min(LevelFilter::Warn))
        .with_module_level("ureq", level.min(LevelFilter::Warn))
        .with_module_level("ureq_proto", level.min(LevelFilter::Warn))
        .with_module_level("tungstenite", level.min(LevelFilter::Warn))
        .with_module_level("rustls", level.min(LevelFilter::Warn))
        .with_threads(true)
        .with_utc_timestamps();
    log::set_max_level(level);
    log::set_boxed_logger(Box::new(Lines(inner)))?;
    let hook = panic::take_hook();
    panic::set_hook(Box::new(move |info| {
        // simple_logger panics when stdout is closed or full; there is no use in telling.
        if LOGGING.get() {
            return;
        }
        log::error!("a fault of ours: {info}");
        hook(info);
    }));
    Ok(())
}

/// Makes a line of every record.
struct Lines(SimpleLogger);

impl Log for Lines {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        self.0.enabled(metadata)
    }

    fn log(&self, record: &Record<'_>) {
        if !self.enabled(record.metadata()) {
            return;
        }
        let line = line(&record.args().to_string());
        LOGGING.set(true);
        let written = catch_unwind(AssertUnwindSafe(|| {
            self.0.log(
                &Record::builder()
                    .metadata(record.metadata().clone())
                    .module_path(record.module_path())
                    .args(format_args!("{line}"))
                    .build(),
            );
        }));
        LOGGING.set(false);
        // The line is lost, and there is no other place to say so.
        drop(written);
    }

    fn flush(&self) {
        self.0.flush();
    }
}

/// `message` as one line of bounded length.
fn line(message: &str) -> String {
    let mut line = String::with_capacity(message.len().min(LONGEST + 8));
    for character in message.chars() {
        if line.len() >= LONGEST {
            line.push('…');
            break;
        }
        if character.is_control() {
            line.extend(character.escape_default());
        } else {
            line.push(character);
        }
    }
    line
}

/// Lets something be logged once in a while only.
#[derive(Debug)]
pub struct Occasionally {
    started: Instant,
    /// Milliseconds after `started` before which there is nothing to log.
    next: AtomicU64,
}

/// How long a while is.
const WHILE: Duration = Duration::from_secs(10);

impl Occasionally {
    /// The first time is at once.
    pub fn new() -> Occasionally {
        Occasionally {
            started: Instant::now(),
            next: AtomicU64::new(0),
        }
    }

    /// Whether it is time again.
    pub fn now(&self) -> bool {
        let now = self.started.elapsed().as_millis() as u64;
        let next = self.next.load(Ordering::Relaxed);
        let later = now + WHILE.as_millis() as u64;
        now >= next
            && self
                .next
                .compare_exchange(next, later, Ordering::Relaxed, Ordering::Relaxed)
                .is_ok()
    }
}

impl Default for Occasionally {
    fn default() -> Occasionally {
        Occasionally::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_of_bounded_length() {
        assert_eq!(line("a\r\nb\u{1b}[31m"), "a\\r\\nb\\u{1b}[31m");
        assert!(line(&"ü".repeat(10_000)).len() <= LONGEST + 5);
    }

    #[test]
    fn once_in_a_while() {
        let occasionally = Occasionally::new();
        assert!(occasionally.now());
        assert!(!occasionally.now());
    }
}
