//! Measures how events get through.

use std::time::Duration;

use super::contender::Contender;
use super::feed::Feed;
use super::launch::{Asking, Launched, Site};
use super::measure::{Delay, Measure, Meter};
use super::recorder::{Arrivals, Recorder};
use super::requests;
use super::scenario::{EventLoad, Pace};

/// Events sent before anything is measured.
const WARM_UP: u64 = 1_000;

/// Measures `load` on `contender`; nothing where that does not know what a dialog is.
pub(crate) fn measure(site: &Site<'_>, contender: &Contender, load: &EventLoad) -> Option<Measure> {
    if load.dialogs > 0 && !contender.is_proxy() {
        return None;
    }
    let application = site.application();
    let mut stream = Stream::start(site, &application);
    let mut launched = site.launch(contender, &application, Asking::Late)?;
    if load.dialogs > 0 {
        requests::bind(site, &application, load.dialogs);
    }
    stream.warm_up(&mut launched);
    let meter = Meter::start(site, launched.process.id());
    let busy = stream.send(&mut launched, &load.pace);
    let used = meter.stop();
    let mut row = stream.end(busy);
    let count = row.done as f64;
    used.note(&mut row, count);
    launched.end();
    Some(row)
}

/// Events that are sent and listened to.
pub(crate) struct Stream<'a> {
    site: &'a Site<'a>,
    recorder: Recorder,
    feed: Feed,
}

impl<'a> Stream<'a> {
    /// Listens to the events of `application`.
    pub(crate) fn start(site: &'a Site<'a>, application: &str) -> Stream<'a> {
        Stream {
            site,
            recorder: Recorder::start(site, application, WARM_UP),
            feed: Feed::new(application, site.clock),
        }
    }

    /// Sends the first events, which are not measured.
    pub(crate) fn warm_up(&mut self, launched: &mut Launched) {
        self.feed.burst(WARM_UP, &mut launched.websocket);
        self.recorder.settle(WARM_UP);
        assert!(self.recorder.arrived() > 0, "no event arrives");
    }

    /// Sends events; the time from the first one sent to the last one arrived, of bursts all of these
    /// together.
    pub(crate) fn send(&mut self, launched: &mut Launched, pace: &Pace) -> Duration {
        let (feed, outlet) = (&mut self.feed, &mut launched.websocket);
        let mut busy = 0;
        let mut timed = |send: &mut dyn FnMut(&mut Feed)| {
            let start = self.site.clock.now();
            send(feed);
            busy += self.recorder.settle(feed.sent()).saturating_sub(start);
        };
        match *pace {
            Pace::Rate(rate, span) => timed(&mut |feed| feed.pace(rate, span, outlet)),
            Pace::FlatOut(span) => timed(&mut |feed| feed.flood(span, outlet)),
            Pace::Bursts(size, times) => {
                for _ in 0..times {
                    timed(&mut |feed| feed.burst(size, outlet));
                }
            }
        }
        Duration::from_nanos(busy)
    }

    /// What came of those that were sent in `busy`.
    pub(crate) fn end(self, busy: Duration) -> Measure {
        let arrivals: Arrivals = self.recorder.stop();
        let sent = self.feed.sent() - WARM_UP;
        let done = arrivals.delays.len() as u64;
        Measure {
            sent,
            done,
            rate: Some(done as f64 / busy.as_secs_f64()),
            lost: sent.saturating_sub(done),
            duplicates: arrivals.duplicates,
            disordered: arrivals.disordered,
            delay: Delay::of(arrivals.delays),
            ..Measure::default()
        }
    }
}
