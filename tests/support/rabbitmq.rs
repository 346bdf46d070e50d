//! Real RabbitMQ brokers as processes: each with ports, a directory and a node of its own, and none
//! left behind, whatever ends the tests.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::symlink;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use serde_json::Value;

use super::directory::TemporaryDirectory;
use super::nats::{BUS_PASSWORD, BUS_USER};
use super::ports::free_port;
use super::process::signal;
use super::wait::{SOON, wait_for, wait_until};

/// How long a broker may take to start, where others start at the same time.
const BOOT: Duration = Duration::from_secs(90);

/// The node of every broker. They do not meet: none knows a port of another.
const NODE: &str = "rabbit@localhost";

/// What the nodes and their tools know each other by.
const COOKIE: &str = "tests";

/// Where Debian and the makers' packages put the broker.
const PLACE: &str = "/usr/lib/rabbitmq";

/// A broker on loopback ports, killed when dropped.
pub(crate) struct RabbitServer {
    directory: TemporaryDirectory,
    port: u16,
    tls_port: u16,
    distribution_port: u16,
    running: Option<Running>,
}

/// The processes of a broker that runs.
struct Running {
    broker: Child,
    /// Kills the broker and removes its directory when its standard input ends, as it does when this
    /// process ends for any reason.
    watchdog: Child,
}

impl RabbitServer {
    /// Starts one and waits until it accepts connections.
    pub(crate) fn start() -> RabbitServer {
        let mut server = RabbitServer::absent();
        server.restart();
        server
    }

    /// One that is not started yet, to be by [`RabbitServer::restart`].
    pub(crate) fn absent() -> RabbitServer {
        let server = RabbitServer {
            directory: TemporaryDirectory::new(),
            port: free_port(),
            tls_port: free_port(),
            distribution_port: free_port(),
            running: None,
        };
        server.write_configuration();
        server
    }

    /// The one for all tests that do it no harm, each in a virtual host of its own.
    pub(crate) fn shared() -> &'static RabbitServer {
        static SHARED: OnceLock<RabbitServer> = OnceLock::new();
        SHARED.get_or_init(RabbitServer::start)
    }

    /// Its port.
    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// Its port for TLS, with the certificate of `tests/data/tls`.
    pub(crate) fn tls_port(&self) -> u16 {
        self.tls_port
    }

    /// Its process.
    pub(crate) fn pid(&self) -> u32 {
        let running = self.running.as_ref().expect("the broker is running");
        running.broker.id()
    }

    /// The directory of all that it writes.
    pub(crate) fn directory(&self) -> &Path {
        &self.directory.path
    }

    /// Kills it: no goodbye to anybody.
    pub(crate) fn kill(&mut self) {
        if let Some(mut running) = self.running.take() {
            // First the watchdog: the broker's number may be another's once it is waited for.
            let _ = running.watchdog.kill();
            let _ = running.watchdog.wait();
            let _ = running.broker.kill();
            let _ = running.broker.wait();
        }
    }

    /// Ends it the polite way and waits for that.
    pub(crate) fn terminate(&mut self) {
        signal(self.pid(), "TERM");
        if let Some(running) = &mut self.running {
            let broker = &mut running.broker;
            wait_until("the broker ends", BOOT, || {
                matches!(broker.try_wait(), Ok(Some(_)))
            });
        }
        self.kill();
    }

    /// Stops it in its tracks: its connections stay, nobody serves them.
    pub(crate) fn pause(&self) {
        signal(self.pid(), "STOP");
    }

    /// Lets it go on.
    pub(crate) fn resume(&self) {
        signal(self.pid(), "CONT");
    }

    /// Starts it (again) on the same ports and data and waits until it accepts connections; tells
    /// when it first did.
    pub(crate) fn restart(&mut self) -> Instant {
        assert!(self.running.is_none(), "the broker is still running");
        let log = fs::File::create(self.directory().join("log")).expect("a log");
        let mut broker = self.command(log).spawn().expect("erl is installed");
        let watchdog = watchdog(broker.id(), self.directory());
        wait_until("the broker accepts", BOOT, || {
            assert!(
                matches!(broker.try_wait(), Ok(None)),
                "the broker ended: {}",
                fs::read_to_string(self.directory().join("log")).unwrap_or_default()
            );
            greets(self.port)
        });
        self.running = Some(Running { broker, watchdog });
        Instant::now()
    }

    /// What `rabbitmqctl` says, as JSON.
    pub(crate) fn ctl(&self, arguments: &[&str]) -> Value {
        let output = Command::new(format!("{PLACE}/bin/rabbitmqctl"))
            .args(["-q", "-n", NODE, "--formatter", "json"])
            .args(arguments)
            .env("HOME", self.directory())
            .env(
                "RABBITMQ_CTL_ERL_ARGS",
                format!("{} -dist_listen false", self.distribution()),
            )
            .output()
            .expect("rabbitmqctl is installed");
        assert!(output.status.success(), "{arguments:?}: {output:?}");
        serde_json::from_slice(&output.stdout).unwrap_or(Value::Null)
    }

    /// Has the broker evaluate an Erlang expression; its value as text. Cheaper than
    /// [`RabbitServer::ctl`], which starts a virtual machine of its own.
    pub(crate) fn eval(&self, expression: &str) -> String {
        // Two callers of the same name at a time are one too many.
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!("eval{}", NEXT.fetch_add(1, Ordering::Relaxed));
        let call = newest(Path::new("/usr/lib/erlang"), "erts-").join("bin/erl_call");
        let mut child = Command::new(call)
            .args(["-h", &name, "-c", COOKIE, "-e", "-address"])
            .arg(format!("localhost:{}", self.distribution_port))
            .env("HOME", self.directory())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("erl_call is installed");
        let mut stdin = child.stdin.take().expect("piped");
        writeln!(stdin, "{expression}.").expect("written");
        drop(stdin);
        let output = child.wait_with_output().expect("waited for");
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        let value = said.strip_prefix("{ok, ");
        let value = value.and_then(|value| value.trim_end().strip_suffix('}'));
        value
            .unwrap_or_else(|| panic!("{expression}: {output:?}"))
            .to_owned()
    }

    /// Raises the memory alarm, or takes it back.
    pub(crate) fn memory_alarm(&self, on: bool) {
        let watermark = if on { "0.0000001" } else { "0.4" };
        self.ctl(&["set_vm_memory_high_watermark", watermark]);
        let alarmed = || self.eval("length(rabbit_alarm:get_alarms())") != "0";
        wait_until("the alarm", SOON, || alarmed() == on);
    }

    /// A virtual host that is new.
    pub(crate) fn new_vhost(&self) -> String {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!("vt-{:03}", NEXT.fetch_add(1, Ordering::Relaxed));
        let rights = "<<\".*\">>,<<\".*\">>,<<\".*\">>";
        let user = format!("<<\"{BUS_USER}\">>");
        let made = self.eval(&format!(
            "ok = rabbit_vhost:add(<<\"{name}\">>,{user}), \
             rabbit_auth_backend_internal:set_permissions({user},<<\"{name}\">>,{rights},{user})"
        ));
        assert_eq!(made, "ok", "{name}");
        name
    }

    /// Removes a virtual host with all that is in it.
    pub(crate) fn delete_vhost(&self, name: &str) {
        self.eval(&format!(
            "rabbit_vhost:delete(<<\"{name}\">>,<<\"{BUS_USER}\">>)"
        ));
    }

    /// How its tools reach it without a port mapper.
    fn distribution(&self) -> String {
        let port = self.distribution_port;
        format!("-start_epmd false -erl_epmd_port {port} -setcookie {COOKIE}")
    }

    fn write_configuration(&self) {
        let directory = self.directory();
        let certificates = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/tls");
        let configuration = format!(
            "[{{rabbit,[{{tcp_listeners,[{{\"127.0.0.1\",{port}}}]}},\
             {{ssl_listeners,[{{\"127.0.0.1\",{tls_port}}}]}},\
             {{ssl_options,[{{certfile,\"{certificates}/server.pem\"}},\
             {{keyfile,\"{certificates}/server.key\"}}]}},\
             {{num_tcp_acceptors,2}},{{num_ssl_acceptors,1}},{{loopback_users,[]}},\
             {{disk_free_limit,1000000}},{{vm_memory_high_watermark,{{absolute,1073741824}}}},\
             {{default_user,<<\"{BUS_USER}\">>}},{{default_pass,<<\"{BUS_PASSWORD}\">>}},\
             {{log,[{{console,[{{enabled,true}},{{level,error}}]}},{{file,[{{file,false}}]}}]}}\
             ]}}].",
            port = self.port,
            tls_port = self.tls_port,
        );
        fs::write(directory.join("advanced.config"), configuration).expect("written");
        fs::write(directory.join("plugins"), "[].").expect("written");
        let libraries = directory.join("lib");
        fs::create_dir(&libraries).expect("made");
        let all = newest(&Path::new(PLACE).join("lib"), "rabbitmq_server-").join("plugins");
        link_application("rabbit", &all, &libraries);
    }

    /// The broker as Debian's script starts it, but for the plugins: looking for every module in
    /// seventy directories would take most of the time.
    fn command(&self, log: fs::File) -> Command {
        let directory = self.directory();
        let libraries = directory.join("lib");
        let place = newest(&Path::new(PLACE).join("lib"), "rabbitmq_server-");
        let mut command = Command::new("erl");
        command
            .args(["-noshell", "-noinput", "-s", "rabbit", "boot"])
            .args(["-boot", "start_sasl", "+W", "w", "-sname", NODE])
            .args(["+S", "2:2", "+A", "4", "+sbwt", "none"])
            .args(["+sbwtdcpu", "none", "+sbwtdio", "none"])
            .args(["-kernel", "inet_dist_use_interface", "{127,0,0,1}"])
            .args(["-syslog", "logger", "[]"])
            .args(["-syslog", "syslog_error_logger", "false"])
            .args(self.distribution().split(' '))
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", directory)
            .env("ERL_LIBS", &libraries)
            .env("ERL_CRASH_DUMP_SECONDS", "0")
            .env("RABBITMQ_HOME", place)
            .env("RABBITMQ_PLUGINS_DIR", libraries)
            .env("RABBITMQ_NODENAME", NODE)
            .env("RABBITMQ_CONFIG_FILE", directory.join("none"))
            .env(
                "RABBITMQ_ADVANCED_CONFIG_FILE",
                directory.join("advanced.config"),
            )
            .env("RABBITMQ_ENABLED_PLUGINS_FILE", directory.join("plugins"))
            .env("RABBITMQ_MNESIA_BASE", directory.join("mnesia"))
            .env("RABBITMQ_LOG_BASE", directory)
            .env("RABBITMQ_PID_FILE", directory.join("pid"))
            .env("RABBITMQ_DIST_PORT", self.distribution_port.to_string())
            .process_group(0)
            .stdin(Stdio::null())
            .stderr(log.try_clone().expect("a log"))
            .stdout(log);
        command
    }
}

impl Drop for RabbitServer {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Starts what kills `broker` and removes `directory` when this process ends.
fn watchdog(broker: u32, directory: &Path) -> Child {
    Command::new("sh")
        .args(["-c", "read -r _; kill -9 \"$1\"; rm -rf \"$2\"", "watchdog"])
        .arg(broker.to_string())
        .arg(directory)
        .process_group(0)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("sh is installed")
}

/// Links the directories of an Erlang application and of all that it needs.
fn link_application(name: &str, from: &Path, to: &Path) {
    let entries = fs::read_dir(from).expect("rabbitmq-server is installed");
    let is_it = |path: &PathBuf| {
        let file = path.file_name().and_then(|file| file.to_str());
        let rest = file.and_then(|file| file.strip_prefix(name)?.strip_prefix('-'));
        rest.is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()))
    };
    // What is not there is Erlang's own.
    let Some(directory) = entries.flatten().map(|entry| entry.path()).find(is_it) else {
        return;
    };
    let link = to.join(directory.file_name().expect("a name"));
    if link.exists() {
        return;
    }
    symlink(&directory, link).expect("linked");
    let described = fs::read_to_string(directory.join(format!("ebin/{name}.app")));
    let described = described.expect("an application");
    for part in ["{applications,", "{included_applications,"] {
        let list = described.split_once(part).map_or("", |(_, rest)| rest);
        let list = list.split(']').next().unwrap_or_default();
        for needed in list.split([',', '[', ' ', '\n', '\t']) {
            if !needed.is_empty() {
                link_application(needed, from, to);
            }
        }
    }
}

/// The last entry of `directory` by name that begins with `start`.
fn newest(directory: &Path, start: &str) -> PathBuf {
    let entries = fs::read_dir(directory).expect("rabbitmq-server is installed");
    let matching = entries.flatten().map(|entry| entry.path()).filter(|path| {
        let name = path.file_name().and_then(|name| name.to_str());
        name.is_some_and(|name| name.starts_with(start))
    });
    matching.max().expect("rabbitmq-server is installed")
}

fn greets(port: u16) -> bool {
    let Ok(mut stream) = TcpStream::connect(("127.0.0.1", port)) else {
        return false;
    };
    let mut first = [0];
    stream.set_read_timeout(Some(SOON)).is_ok()
        && stream.write_all(b"AMQP\x00\x00\x09\x01").is_ok()
        && stream.read_exact(&mut first).is_ok()
        && first == [1]
}

/// A virtual host of the shared broker, removed when dropped.
pub(crate) struct Vhost {
    /// Its name.
    pub(crate) name: String,
    /// The broker.
    pub(crate) server: &'static RabbitServer,
}

impl Vhost {
    /// A new one.
    pub(crate) fn new() -> Vhost {
        let server = RabbitServer::shared();
        Vhost {
            name: server.new_vhost(),
            server,
        }
    }

    /// The URL for it, with credentials.
    pub(crate) fn url(&self) -> String {
        amqp_url(self.server.port(), &self.name)
    }

    /// What a `rabbitmqctl list_…` says of it: the rows whose name begins with `start`, by name.
    pub(crate) fn list(&self, what: &str, columns: &[&str], start: &str) -> Vec<Value> {
        let vhost = ["-p", self.name.as_str()];
        let arguments = [&[what], &vhost[..], columns].concat();
        let listed = self.server.ctl(&arguments);
        let mut rows = listed.as_array().cloned().unwrap_or_default();
        rows.retain(|row| {
            let name = row[columns[0]].as_str();
            name.is_some_and(|name| name.starts_with(start))
        });
        rows.sort_by_key(Value::to_string);
        rows
    }

    /// The names of its queues that begin with `start`.
    pub(crate) fn queues(&self, start: &str) -> Vec<String> {
        let names = self.server.eval(&format!(
            "lists:append(lists:join(\" \", lists:sort([binary_to_list(element(4, \
             amqqueue:get_name(Q))) || Q <- rabbit_amqqueue:list(<<\"{}\">>)])))",
            self.name
        ));
        let names = names.trim_matches(['"', '[', ']']).split_whitespace();
        let names = names.filter(|name| name.starts_with(start));
        names.map(str::to_owned).collect()
    }
}

impl Drop for Vhost {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            self.server.delete_vhost(&self.name);
        }
    }
}

/// The URL of a virtual host at the broker on `port`, with credentials.
pub(crate) fn amqp_url(port: u16, vhost: &str) -> String {
    format!("amqp://{BUS_USER}:{BUS_PASSWORD}@127.0.0.1:{port}/{vhost}")
}

/// A queue's `name` at the broker: how many messages wait in it, and how many consumers it has.
pub(crate) fn wait_queue(vhost: &Vhost, name: &str, what: &str, is_it: impl Fn(u64, u64) -> bool) {
    wait_for(what, SOON, || {
        let rows = vhost.list("list_queues", &["name", "messages", "consumers"], name);
        let row = rows.iter().find(|row| row["name"] == name)?;
        let number = |column: &str| row[column].as_u64().unwrap_or(0);
        is_it(number("messages"), number("consumers")).then_some(())
    });
}
