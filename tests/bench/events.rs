//! Measures how events get through.

use std::time::Duration;

use super::client::Outlet;
use super::contender::Contender;
use super::feed::Feed;
use super::launch::{Asking, Site};
use super::measure::{Delay, Measure, Meter, Used};
use super::recorder::Recorder;
use super::requests::probe;
use super::scenario::{EventLoad, Kind, Pace};
use super::usage::Memory;

/// Events sent before anything is measured.
const WARM_UP: u64 = 1_000;

/// Measures `load` on `contender`.
pub(crate) fn measure(site: &Site<'_>, contender: &Contender, load: &EventLoad) -> Option<Measure> {
    if load.bound && matches!(contender, Contender::Nobody) {
        return None;
    }
    let application = site.application();
    let recorder = Recorder::start(site, &application, WARM_UP);
    let mut launched = site.launch(contender, &application, Asking::Late);
    if load.bound {
        bind(site, &application);
    }
    let pid = launched.as_ref().map(|launched| launched.process.id());
    let mut feed = Feed::new(&application, site.clock);
    let mut ran = None;
    let mut run = |outlet: &mut dyn Outlet| {
        ran = Some(Run::of(site, pid, load, &recorder, &mut feed, outlet));
    };
    match &mut launched {
        Some(launched) => run(&mut launched.websocket),
        None => {
            let subject = site.subject("event", &application);
            site.broker.client().publish(&subject, &mut run);
        }
    }
    let ran = ran.expect("it ran");
    let arrivals = recorder.stop();
    let mut row = Measure::new(site, contender, load.name());
    row.sent = feed.sent() - WARM_UP;
    row.done = arrivals.delays.len() as u64;
    row.rate = Some(row.done as f64 / ran.busy.as_secs_f64());
    row.lost = row.sent.saturating_sub(row.done);
    row.duplicates = arrivals.duplicates;
    row.disordered = arrivals.disordered;
    row.cpu = ran.used.by(row.done as f64);
    row.delay = Delay::of(arrivals.delays);
    if let Some(launched) = launched {
        row.size(launched.process.id(), Memory::Peak);
        launched.end();
    }
    Some(row)
}

/// What happened while it ran.
struct Run {
    /// From the first event sent to the last arrived; of bursts, all of these together.
    busy: Duration,
    used: Used,
}

impl Run {
    fn of(
        site: &Site<'_>,
        pid: Option<u32>,
        load: &EventLoad,
        recorder: &Recorder,
        feed: &mut Feed,
        outlet: &mut dyn Outlet,
    ) -> Run {
        feed.burst(WARM_UP, outlet);
        recorder.settle(WARM_UP);
        assert!(recorder.arrived() > 0, "no event arrives");
        let meter = Meter::start(site, pid);
        let mut busy = 0;
        let mut timed = |send: &mut dyn FnMut(&mut Feed)| {
            let start = site.clock.now();
            send(feed);
            busy += recorder.settle(feed.sent()).saturating_sub(start);
        };
        match load.pace {
            Pace::Rate(rate, span) => timed(&mut |feed| feed.pace(rate, span, outlet)),
            Pace::FlatOut(span) => timed(&mut |feed| feed.flood(span, outlet)),
            Pace::Bursts(size, times) => {
                for _ in 0..times {
                    timed(&mut |feed| feed.burst(size, outlet));
                }
            }
        }
        Run {
            busy: Duration::from_nanos(busy),
            used: meter.stop(),
        }
    }
}

/// Binds a dialog to a channel that no event is about.
fn bind(site: &Site<'_>, application: &str) {
    let kind = Kind::NoCall;
    let subject = site.subject(kind.class(), application);
    let request = kind.request().replace("live-1", "no-such-channel");
    let client = site.broker.client();
    client.converse(&subject, request.as_bytes(), &mut |conversation| {
        probe(conversation)
    });
}
