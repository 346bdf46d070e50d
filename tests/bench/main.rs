//! The bench: how fast, how late, how costly a proxy is between a local bus and an Asterisk that is
//! never the limit.
//!
//! ```sh
//! cargo bench                                     # this proxy over NATS, and the limit
//! cargo bench -- --bus both --json figures.json   # over RabbitMQ too
//! cargo bench -- --only requests --quick
//! cargo bench -- --runs 5 --versus "/opt/other-proxy"   # medians, another one in turns with this one
//! ```
//!
//! Every row is a [`scenario::Scenario`] measured on a proxy of its own, with an application of its
//! own; what comes out is a [`measure::Measure`]. Broker, Asterisk, client and proxy share the
//! machine: the row `limit` says what the named crates can do there in bare loops, see [`bare`].

// The bench ends by panicking with what is wrong; what it started is killed then.
#![allow(clippy::unwrap_used, clippy::expect_used)]
// The named crate is deprecated as a whole; applications use it all the same.
#![allow(deprecated)]

mod amqp;
mod asterisk;
mod bare;
mod broker;
mod client;
mod clock;
mod contender;
mod events;
mod feed;
mod launch;
mod load;
mod measure;
mod nats;
mod options;
mod process;
mod quantile;
mod recorder;
mod report;
mod requests;
mod scenario;
mod scratch;
mod start;
mod summary;
mod table;
mod usage;

use asterisk::Asterisk;
use broker::Broker;
use clock::Clock;
use contender::Contender;
use launch::Site;
use measure::Measure;
use options::Options;
use report::Report;
use scenario::Scenario;
use scratch::Scratch;

fn main() {
    if std::env::args().nth(1).as_deref() == Some(bare::ARGUMENT) {
        return bare::run();
    }
    let options = match Options::from_process() {
        Ok(Some(options)) => options,
        Ok(None) => return println!("{}", options::HELP),
        Err(wrong) => {
            eprintln!("bench: {wrong}\n\n{}", options::HELP);
            std::process::exit(2);
        }
    };
    let scenarios = Scenario::all(&options);
    if scenarios.is_empty() {
        eprintln!(
            "bench: --only {}: no such scenarios",
            options.only.join(" ")
        );
        std::process::exit(2);
    }
    let mut report = Report::new(options.runs);
    let clock = Clock::start();
    let asterisk = Asterisk::start();
    let scratch = Scratch::new();
    for bus in &options.buses {
        let broker = Broker::start(*bus, &scratch);
        let site = Site {
            clock,
            asterisk: &asterisk,
            broker: &broker,
            scratch: &scratch,
        };
        for scenario in &scenarios {
            let mut rows = Vec::new();
            for _ in 0..options.runs {
                for contender in &options.contenders {
                    rows.extend(scenario.measure(&site, contender));
                }
            }
            report.add(bus.name(), rows);
        }
    }
    report.finish(options.json.as_deref());
}

impl Scenario {
    /// Measures it; rows with the name of what they are about and of who was measured, nothing where
    /// it is not for this contender.
    fn measure(&self, site: &Site<'_>, contender: &Contender) -> Vec<(String, String, Measure)> {
        let named = |measure| (self.name(), contender.name().to_owned(), measure);
        let one = |measure: Option<Measure>| measure.into_iter().map(named).collect();
        match self {
            Scenario::Start(load) => one(start::measure(site, contender, load)),
            Scenario::Events(load) => one(events::measure(site, contender, load)),
            Scenario::Requests(load) => one(requests::measure(site, contender, load)),
            Scenario::Load(rate, concurrency, span) => {
                let measured = load::measure(site, contender, *rate, *concurrency, *span);
                let rows = measured.into_iter().flatten().zip(["events", "requests"]);
                let rows = rows.map(|(measure, what)| {
                    let (name, contender, measure) = named(measure);
                    (format!("{name}: {what}"), contender, measure)
                });
                rows.collect()
            }
        }
    }
}
