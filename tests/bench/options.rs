//! The options of the bench.

use std::path::PathBuf;

use super::broker::Bus;
use super::contender::Contender;

/// What `--help` says.
pub(crate) const HELP: &str = "\
usage: cargo bench -- [options]
  --bus nats|amqp|both  the bus: a local nats-server, RabbitMQ, one after the other
  --proxy CMD           measure this proxy instead of ours; it gets ARI_APPLICATION, ARI_USERNAME,
                        ARI_PASSWORD, ARI_HTTP_URL, ARI_WEBSOCKET_URL and MESSAGEBUS_URL
  --versus CMD          measure this proxy too, in turns, and print the ratios; may come more than
                        once. A relative path is one from the package's directory:
                        --versus target/x86_64-unknown-linux-musl/release/ari-proxy
  --no-limit            leave out the row 'limit': the named crates in bare loops, a process too
  --runs N              measure everything so often, in turns; the figures are the medians
  --only WHAT           only these scenarios: start, events, dialogs, requests, load, or all whose
                        name has WHAT in it; may come more than once
  --quick               short ones
  --json FILE           write the figures of all runs to a file as well";

/// The options.
pub(crate) struct Options {
    /// The buses, in turn.
    pub(crate) buses: Vec<Bus>,
    /// Who is measured, in turns: the one that it is about, the limit, others.
    pub(crate) contenders: Vec<Contender>,
    /// How often.
    pub(crate) runs: u32,
    /// The only scenarios to measure; none means all.
    pub(crate) only: Vec<String>,
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
            contenders: Vec::new(),
            runs: 1,
            only: Vec::new(),
            quick: false,
            json: None,
        };
        let mut proxy = Contender::ours();
        let mut limit = Some(Contender::limit());
        let mut others = Vec::new();
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
                "--proxy" => proxy = Contender::other(&value()?)?,
                "--versus" => others.push(Contender::other(&value()?)?),
                "--no-limit" => limit = None,
                "--runs" => {
                    let runs = value()?;
                    options.runs = match runs.parse() {
                        Ok(runs) if runs > 0 => runs,
                        _ => return Err(format!("--runs {runs}: a number from 1")),
                    };
                }
                "--only" => options.only.push(value()?),
                "--quick" => options.quick = true,
                "--json" => options.json = Some(value()?.into()),
                other => return Err(format!("{other}: no such option")),
            }
        }
        options.contenders = std::iter::once(proxy).chain(limit).collect();
        for mut other in others {
            other.tell_apart(&options.contenders);
            options.contenders.push(other);
        }
        Ok(Some(options))
    }
}
