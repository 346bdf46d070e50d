//! Measures what a proxy needs that has events and requests at the same time.

use std::thread;
use std::time::{Duration, Instant};

use super::contender::Contender;
use super::events::Stream;
use super::launch::{Asking, Site};
use super::measure::{Measure, Meter};
use super::requests;
use super::scenario::{Kind, Pace, RequestLoad};

/// Measures `rate` events a second and `concurrency` requests at the same time for `span`: a row for
/// each, what the process needs by second in that of the events.
pub(crate) fn measure(
    site: &Site<'_>,
    contender: &Contender,
    rate: u32,
    concurrency: u64,
    span: Duration,
) -> Option<[Measure; 2]> {
    let application = site.application();
    let mut stream = Stream::start(site, &application);
    let mut launched = site.launch(contender, &application, Asking::Late)?;
    stream.warm_up(&mut launched);
    let start = Instant::now();
    let meter = Meter::start(site, launched.process.id());
    let load = RequestLoad {
        kind: Kind::Read,
        concurrency,
        span,
    };
    let (busy, answers) = thread::scope(|scope| {
        let asking = scope.spawn(|| requests::converse(site, &application, &load, None));
        let busy = stream.send(&mut launched, &Pace::Rate(rate, span));
        (busy, asking.join().expect("answers"))
    });
    let (used, took) = (meter.stop(), start.elapsed());
    let mut events = stream.end(busy);
    used.note(&mut events, took.as_secs_f64());
    launched.end();
    Some([events, answers])
}
