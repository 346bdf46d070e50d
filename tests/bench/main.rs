//! The bench: how fast, how late, how costly a proxy is between a local bus and an Asterisk that is
//! never the limit.
//!
//! ```sh
//! cargo bench                                     # this proxy over NATS
//! cargo bench -- --bus both --json figures.json   # over RabbitMQ too
//! cargo bench -- --only requests --quick
//! cargo bench -- --versus "/opt/other-proxy"      # another one, in turns with this one
//! ```
//!
//! Every row is a [`scenario::Scenario`] measured on a proxy of its own, with an application of its
//! own; what comes out is a [`measure::Measure`]. Broker, Asterisk, client and proxy share the
//! machine: the row `limit` says what all of them but the proxy can do.

// The bench ends by panicking with what is wrong; what it started is killed then.
#![allow(clippy::unwrap_used, clippy::expect_used)]
// The named crate is deprecated as a whole; applications use it all the same.
#![allow(deprecated)]

mod amqp;
mod asterisk;
mod broker;
mod client;
mod clock;
mod contender;
mod echo;
mod events;
mod feed;
mod launch;
mod measure;
mod nats;
mod options;
mod process;
mod recorder;
mod report;
mod requests;
mod scenario;
mod scratch;
mod start;
mod usage;

use asterisk::Asterisk;
use broker::Broker;
use clock::Clock;
use launch::Site;
use options::Options;
use report::Report;
use scenario::{Load, Scenario};
use scratch::Scratch;

fn main() {
    let options = match Options::from_process() {
        Ok(Some(options)) => options,
        Ok(None) => return println!("{}", options::HELP),
        Err(wrong) => {
            eprintln!("bench: {wrong}\n\n{}", options::HELP);
            std::process::exit(2);
        }
    };
    let mut report = Report::new();
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
        for scenario in Scenario::all(&options) {
            for contender in &options.contenders {
                if let Some(measure) = scenario.load.measure(&site, contender) {
                    report.add(measure);
                }
            }
        }
    }
    report.finish(options.json.as_deref());
}

impl Load {
    /// Measures it; nothing where it is not for this contender.
    fn measure(
        &self,
        site: &Site<'_>,
        contender: &contender::Contender,
    ) -> Option<measure::Measure> {
        match self {
            Load::Start(start) => start::measure(site, contender, start),
            Load::Events(load) => events::measure(site, contender, load),
            Load::Requests(load) => requests::measure(site, contender, load),
        }
    }
}
