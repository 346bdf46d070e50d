//! Logging by simple_logger, its faults contained: one line per record whatever is in it, and a
//! standard output that is closed, full or read by nobody costs lines, which are counted, and holds up
//! no thread but `log`, the one that writes.

use std::backtrace::{Backtrace, BacktraceStatus};
use std::cell::Cell;
use std::io::{self, Write};
use std::panic::{self, AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, TrySendError, bounded};
use log::{Level, LevelFilter, Log, Metadata, Record};
use simple_logger::SimpleLogger;

/// Longest message logged, in bytes: a line with it is written by one call.
const LONGEST: usize = 880;
/// How many lines may wait to be written.
const WAITING: usize = 1024;
/// How long a thread waits for room, where standard output has only been slow so far.
const PATIENCE: Duration = Duration::from_millis(10);
/// How long the process waits for its last lines.
const LAST: Duration = Duration::from_millis(500);
/// A line that is written so much later than it was logged says so.
const LATE: Duration = Duration::from_secs(1);

thread_local! {
    static LOGGING: Cell<bool> = const { Cell::new(false) };
}

/// Sets the logger up: stdout, UTC, thread names, `level` and above.
pub fn start(level: LevelFilter) -> io::Result<()> {
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
        .with_utc_timestamps();
    let (orders, waiting) = bounded(WAITING);
    let state = Arc::new(State {
        inner,
        lost: AtomicU64::new(0),
        stuck: AtomicBool::new(false),
    });
    let writer = Arc::clone(&state);
    thread::Builder::new()
        .name("log".into())
        .spawn(move || writer.write_all(&waiting))?;
    let faults = orders.clone();
    log::set_max_level(level);
    log::set_boxed_logger(Box::new(Lines { state, orders })).map_err(io::Error::other)?;
    panic::set_hook(Box::new(move |info| {
        // simple_logger panics when stdout is closed or full; there is no use in telling.
        if LOGGING.get() {
            return;
        }
        log::error!("a fault of ours: {info}");
        let trace = Backtrace::capture();
        let mut text = info.to_string();
        if trace.status() == BacktraceStatus::Captured {
            text.push_str(&format!("\n{trace}"));
        }
        // Standard error may be as stuck as standard output.
        let _ = faults.try_send(Order::Fault(text));
        log::logger().flush();
    }));
    Ok(())
}

/// What there is to do for the thread that writes.
enum Order {
    Line(Line),
    /// A fault, for standard error.
    Fault(String),
    /// Tells when all before it is written.
    Flush(Sender<()>),
}

/// A line to be written.
struct Line {
    level: Level,
    /// With the name of the thread, as simple_logger would add that of the writing one.
    target: String,
    text: String,
    logged: Instant,
}

/// What those who log and the one who writes share.
struct State {
    inner: SimpleLogger,
    /// Lines that were not written since that was last said.
    lost: AtomicU64,
    /// Whether a line was waited for in vain since the last one was written.
    stuck: AtomicBool,
}

impl State {
    /// Writes what comes, as long as the process lives.
    fn write_all(&self, orders: &Receiver<Order>) {
        LOGGING.set(true);
        for order in orders {
            match order {
                Order::Line(line) => self.write_or_count(&line),
                // There is no other place to say that it cannot be said.
                Order::Fault(text) => drop(writeln!(io::stderr(), "{text}")),
                Order::Flush(done) => drop(done),
            }
        }
    }

    fn write_or_count(&self, line: &Line) {
        if !self.write(line) {
            self.lost.fetch_add(1, Ordering::Relaxed);
            return;
        }
        let lost = self.lost.swap(0, Ordering::Relaxed);
        if lost == 0 {
            return;
        }
        let note = Line {
            level: Level::Warn,
            target: format!("{}@log", module_path!()),
            text: format!("{lost} lines are lost: standard output was closed, full or stuck"),
            logged: Instant::now(),
        };
        if !self.write(&note) {
            self.lost.fetch_add(lost, Ordering::Relaxed);
        }
    }

    /// Writes a line; whether it could be.
    fn write(&self, line: &Line) -> bool {
        let late = line.logged.elapsed();
        let late = match late > LATE {
            true => format!(" (logged {} s before)", late.as_secs()),
            false => String::new(),
        };
        let written = catch_unwind(AssertUnwindSafe(|| {
            self.inner.log(
                &Record::builder()
                    .level(line.level)
                    .target(&line.target)
                    .args(format_args!("{}{late}", line.text))
                    .build(),
            );
        }));
        self.stuck.store(false, Ordering::Relaxed);
        written.is_ok()
    }
}

/// Makes a line of every record and hands it to the thread that writes.
struct Lines {
    state: Arc<State>,
    orders: Sender<Order>,
}

impl Lines {
    /// Hands a line over. Who logs more than can be written is slowed down a little, until it shows
    /// that nothing is written at all.
    fn hand_over(&self, line: Line) -> bool {
        match self.orders.try_send(Order::Line(line)) {
            Ok(()) => true,
            Err(TrySendError::Full(order)) if !self.state.stuck.load(Ordering::Relaxed) => {
                let sent = self.orders.send_timeout(order, PATIENCE).is_ok();
                if !sent {
                    self.state.stuck.store(true, Ordering::Relaxed);
                }
                sent
            }
            Err(_) => false,
        }
    }
}

impl Log for Lines {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        self.state.inner.enabled(metadata)
    }

    fn log(&self, record: &Record<'_>) {
        if !self.enabled(record.metadata()) {
            return;
        }
        let thread = thread::current();
        let handed = self.hand_over(Line {
            level: record.level(),
            target: format!("{}@{}", record.target(), thread.name().unwrap_or("?")),
            text: line(&record.args().to_string()),
            logged: Instant::now(),
        });
        if !handed {
            self.state.lost.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Waits, for a moment, until all that was logged is written.
    fn flush(&self) {
        let deadline = Instant::now() + LAST;
        let (done, is_done) = bounded(0);
        if self
            .orders
            .send_deadline(Order::Flush(done), deadline)
            .is_ok()
        {
            // Nothing is sent: it is disconnected when it is done.
            let _ = is_done.recv_deadline(deadline);
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_of_bounded_length() {
        assert_eq!(line("a\r\nb\u{1b}[31m"), "a\\r\\nb\\u{1b}[31m");
        assert!(line(&"ü".repeat(10_000)).len() <= LONGEST + 5);
    }
}
