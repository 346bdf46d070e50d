//! The broker of a bus: a server of the bench's own, on free loopback ports.

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use super::amqp::AmqpClient;
use super::client::Client;
use super::nats::NatsClient;
use super::process::Process;
use super::scratch::Scratch;

/// How long a broker may take to start; RabbitMQ takes 5 s on an idle machine.
const START: Duration = Duration::from_secs(90);

/// A bus.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Bus {
    /// NATS.
    Nats,
    /// RabbitMQ.
    Amqp,
}

impl Bus {
    /// Its name in the figures.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Bus::Nats => "nats",
            Bus::Amqp => "amqp",
        }
    }
}

/// A running broker, killed when dropped.
pub(crate) struct Broker {
    bus: Bus,
    port: u16,
    server: Process,
    /// Erlang's port mapper, for RabbitMQ: one that is started by itself would stay for ever.
    _mapper: Option<Process>,
}

impl Broker {
    /// Starts one and waits until it serves.
    pub(crate) fn start(bus: Bus, scratch: &Scratch) -> Broker {
        let port = free_port();
        let mut broker = match bus {
            Bus::Nats => Broker {
                bus,
                port,
                server: nats_server(port),
                _mapper: None,
            },
            Bus::Amqp => {
                let mapper_port = free_port();
                let mapper = port_mapper(mapper_port);
                wait("epmd", || {
                    TcpStream::connect(("127.0.0.1", mapper_port)).is_ok()
                });
                Broker {
                    bus,
                    port,
                    server: rabbitmq(port, mapper_port, scratch.path()),
                    _mapper: Some(mapper),
                }
            }
        };
        wait(bus.name(), || {
            assert!(
                broker.server.lives(),
                "the broker has ended; is the machine short of something?"
            );
            match bus {
                Bus::Nats => NatsClient::serves(port),
                Bus::Amqp => AmqpClient::serves(port),
            }
        });
        broker
    }

    /// Its URL for a proxy.
    pub(crate) fn url(&self) -> String {
        match self.bus {
            Bus::Nats => format!("nats://127.0.0.1:{}", self.port),
            Bus::Amqp => format!("amqp://guest:guest@127.0.0.1:{}", self.port),
        }
    }

    /// A client of it.
    pub(crate) fn client(&self) -> Box<dyn Client> {
        match self.bus {
            Bus::Nats => Box::new(NatsClient::new(self.port)),
            Bus::Amqp => Box::new(AmqpClient::new(self.port)),
        }
    }

    /// The id of its process.
    pub(crate) fn pid(&self) -> u32 {
        self.server.id()
    }
}

/// A port that was free a moment ago.
fn free_port() -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
    listener.local_addr().expect("its address").port()
}

fn wait(what: &str, mut ready: impl FnMut() -> bool) {
    let deadline = Instant::now() + START;
    while !ready() {
        assert!(
            Instant::now() < deadline,
            "{what} does not serve within {START:?}"
        );
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn nats_server(port: u16) -> Process {
    Process::spawn(
        Command::new("nats-server")
            .args(["-a", "127.0.0.1", "-p", &port.to_string()])
            .stdout(Stdio::null())
            .stderr(Stdio::null()),
    )
}

fn port_mapper(port: u16) -> Process {
    Process::spawn(
        Command::new("epmd")
            .args(["-port", &port.to_string(), "-address", "127.0.0.1"])
            .stdout(Stdio::null())
            .stderr(Stdio::null()),
    )
}

fn rabbitmq(port: u16, mapper_port: u16, directory: &Path) -> Process {
    /// Debian's /usr/sbin/rabbitmq-server changes the user first.
    const PROGRAM: &str = "/usr/lib/rabbitmq/bin/rabbitmq-server";
    let program = match Path::new(PROGRAM).exists() {
        true => PROGRAM,
        false => "rabbitmq-server",
    };
    let plugins = directory.join("plugins");
    fs::write(&plugins, "[].").expect("a file that enables no plugins");
    let config = directory.join("rabbitmq.conf");
    fs::write(&config, "").expect("an empty configuration file");
    Process::spawn(
        Command::new(program)
            // The program becomes the server then, instead of waiting for it.
            .env("RUNNING_UNDER_SYSTEMD", "true")
            .env("HOME", directory)
            .env("ERL_EPMD_PORT", mapper_port.to_string())
            .env("ERL_EPMD_ADDRESS", "127.0.0.1")
            .env("RABBITMQ_NODENAME", format!("bench-{port}@localhost"))
            .env("RABBITMQ_NODE_IP_ADDRESS", "127.0.0.1")
            .env("RABBITMQ_NODE_PORT", port.to_string())
            .env(
                "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS",
                "-kernel inet_dist_use_interface {127,0,0,1}",
            )
            .env("RABBITMQ_DIST_PORT", free_port().to_string())
            .env("RABBITMQ_MNESIA_BASE", directory.join("mnesia"))
            .env("RABBITMQ_LOG_BASE", directory.join("log"))
            .env("RABBITMQ_LOGS", "-")
            .env("RABBITMQ_ENABLED_PLUGINS_FILE", plugins)
            .env("RABBITMQ_CONFIG_FILE", config)
            .env("RABBITMQ_CONF_ENV_FILE", directory.join("no-such-file"))
            .env("RABBITMQ_PID_FILE", directory.join("rabbitmq.pid"))
            .stdout(Stdio::null())
            .stderr(Stdio::null()),
    )
}
