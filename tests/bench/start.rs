//! Measures how a proxy starts and what it needs when there is nothing to do.

use std::time::Duration;

use super::contender::Contender;
use super::launch::{Asking, Site};
use super::measure::{Delay, Measure, Meter};
use super::scenario::StartLoad;

/// Measures `load` on `contender`; only proxies start, as what takes the bare loops longest is that the
/// NATS crate loads certificates.
pub(crate) fn measure(site: &Site<'_>, contender: &Contender, load: &StartLoad) -> Option<Measure> {
    match *load {
        StartLoad::Idle(span) => Some(idle(site, contender, span)),
        _ if !contender.is_proxy() => None,
        StartLoad::Unasked(times) => Some(start(site, contender, times, Asking::Never)),
        StartLoad::Asked(times) => Some(start(site, contender, times, Asking::AtOnce)),
    }
}

fn start(site: &Site<'_>, contender: &Contender, times: u32, asking: Asking) -> Measure {
    let mut row = Measure::default();
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
        launched.end();
    }
    row.delay = Delay::of(delays);
    row
}

fn idle(site: &Site<'_>, contender: &Contender, span: Duration) -> Measure {
    let launched = site.launch(contender, &site.application(), Asking::Late);
    let launched = launched.expect("a proxy");
    let meter = Meter::start(site, launched.process.id());
    std::thread::sleep(span);
    let mut row = Measure {
        sent: 1,
        done: 1,
        ..Measure::default()
    };
    meter.stop().note(&mut row, span.as_secs_f64());
    launched.end();
    row
}
