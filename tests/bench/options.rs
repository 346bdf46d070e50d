//! The options of the bench.

use std::path::PathBuf;

use super::broker::Bus;
use super::contender::Contender;
use super::scenario::Group;

/// What `--help` says.
pub(crate) const HELP: &str = "\
usage: cargo bench -- [options]
  --bus nats|amqp|both            the bus: a local nats-server, RabbitMQ, one after the other
  --proxy CMD                     measure this proxy instead of ours; it gets ARI_APPLICATION,
                                  ARI_USERNAME, ARI_PASSWORD, ARI_HTTP_URL, ARI_WEBSOCKET_URL
                                  and MESSAGEBUS_URL
  --versus CMD                    measure this proxy too, each scenario in turns
  --limit                         measure bus, client and Asterisk without a proxy too
  --only events|requests|start    only these scenarios
  --quick                         short ones
  --json FILE                     write the figures to a file as well";

/// The options.
pub(crate) struct Options {
    /// The buses, in turn.
    pub(crate) buses: Vec<Bus>,
    /// Who is measured, in turns.
    pub(crate) contenders: Vec<Contender>,
    /// The only scenarios to measure.
    pub(crate) only: Option<Group>,
    /// Whether to be short.
    pub(crate) quick: bool,
    /// Where the figures go besides.
    pub(crate) json: Option<PathBuf>,
}

impl Options {
    /// Those of this process; none where help is asked for, an error that says what is wrong.
    pub(crate) fn from_process() -> Result<Option<Options>, String> {
        let mut options = Options {
            buses: vec![Bus::Nats],
            contenders: vec![Contender::ours()],
            only: None,
            quick: false,
            json: None,
        };
        let mut limit = false;
        let mut arguments = std::env::args().skip(1);
        while let Some(argument) = arguments.next() {
            let mut value = || {
                let value = arguments.next();
                value.ok_or_else(|| format!("{argument} needs a value"))
            };
            match argument.as_str() {
                // What cargo adds.
                "--bench" => {}
                "-h" | "--help" => return Ok(None),
                "--bus" => {
                    options.buses = match value()?.as_str() {
                        "nats" => vec![Bus::Nats],
                        "amqp" => vec![Bus::Amqp],
                        "both" => vec![Bus::Nats, Bus::Amqp],
                        other => return Err(format!("--bus {other}: no such bus")),
                    }
                }
                "--proxy" => options.contenders[0] = Contender::other(&value()?)?,
                "--versus" => options.contenders.push(Contender::other(&value()?)?),
                "--limit" => limit = true,
                "--only" => {
                    options.only = Some(match value()?.as_str() {
                        "events" => Group::Events,
                        "requests" => Group::Requests,
                        "start" => Group::Start,
                        other => return Err(format!("--only {other}: no such scenarios")),
                    });
                }
                "--quick" => options.quick = true,
                "--json" => options.json = Some(value()?.into()),
                other => return Err(format!("{other}: no such option")),
            }
        }
        if limit {
            options.contenders.push(Contender::Nobody);
        }
        Ok(Some(options))
    }
}
