//! Measures how a proxy starts and what it needs when there is nothing to do.

use std::time::Duration;

use super::contender::Contender;
use super::launch::{Asking, Site};
use super::measure::{Delay, Measure, Meter};
use super::scenario::StartLoad;
use super::usage::Memory;

/// Measures `load` on `contender`; nothing where that is nobody.
pub(crate) fn measure(site: &Site<'_>, contender: &Contender, load: &StartLoad) -> Option<Measure> {
    if matches!(contender, Contender::Nobody) {
        return None;
    }
    let mut row = Measure::new(site, contender, load.name().to_owned());
    match *load {
        StartLoad::Unasked(times) => start(site, contender, times, Asking::Never, &mut row),
        StartLoad::Asked(times) => start(site, contender, times, Asking::AtOnce, &mut row),
        StartLoad::Idle(span) => idle(site, contender, span, &mut row),
    }
    Some(row)
}

fn start(site: &Site<'_>, contender: &Contender, times: u32, asking: Asking, row: &mut Measure) {
    let mut delays = Vec::new();
    for _ in 0..times {
        row.sent += 1;
        let Some(launched) = site.launch(contender, &site.application(), asking) else {
            // It does not announce itself: it will not the next time either.
            row.lost += 1;
            break;
        };
        row.done += 1;
        let nanos = launched.announced.as_nanos();
        delays.push(u64::try_from(nanos).expect("not 500 years"));
        row.size(launched.process.id(), Memory::Now);
        launched.end();
    }
    row.delay = Delay::of(delays);
}

fn idle(site: &Site<'_>, contender: &Contender, span: Duration, row: &mut Measure) {
    let launched = site.launch(contender, &site.application(), Asking::Late);
    let launched = launched.expect("a proxy");
    let pid = launched.process.id();
    let meter = Meter::start(site, Some(pid));
    std::thread::sleep(span);
    row.cpu = meter.stop().by(span.as_secs_f64());
    row.sent = 1;
    row.done = 1;
    row.size(pid, Memory::Now);
    launched.end();
}
