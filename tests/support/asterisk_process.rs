//! A scripted Asterisk as a process of its own, that can be killed and stopped: it sends numbered
//! events at a pace and says which it has written.
//!
//! The process is this test binary, started again to run one test that is ignored otherwise.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use serde_json::json;

use super::asterisk::{PASSWORD, USER};
use super::ports::free_port;
use super::process::signal;
use super::proxy::ProxyBuilder;
use super::server::{Reply, Request, Server, lock};
use super::wait::{SOON, wait_until};

/// Tells the process that it is one, and what it is to be.
const ROLE: &str = "ARI_PROXY_TEST_ASTERISK_PROCESS";

/// The name of the test that it runs.
const TEST: &str = "support::asterisk_process::the_process";

/// How long between two events.
const PACE: Duration = Duration::from_millis(5);

/// How large an event is that [`AsteriskProcess::send_large`] sends.
pub(crate) const LARGE: usize = 100_000;

#[test]
#[ignore = "it is the Asterisk of other tests"]
fn the_process() {
    if let Ok(role) = std::env::var(ROLE) {
        run(&role);
    }
}

/// What the process does: commands come on standard input, what it did goes to standard output.
fn run(role: &str) {
    let mut words = role.split(' ');
    let mut next = || words.next().expect("port, id and first number");
    let (port, id, first) = (next(), next().to_owned(), next());
    let startup_time = format!("{:?}", std::time::SystemTime::now());
    let answer = move |request: &Request| answer(request, &id, &startup_time);
    let port = port.parse().expect("a port");
    let server = Server::start(port, USER, PASSWORD, Box::new(answer));
    // The first ends the line that the test harness began.
    println!("\nready");
    let (large, quiet) = (AtomicBool::new(false), AtomicBool::new(false));
    std::thread::scope(|scope| {
        scope.spawn(|| push(&server, first.parse().expect("a number"), &large, &quiet));
        for line in std::io::stdin().lines().map_while(Result::ok) {
            match line.as_str() {
                "large" => large.store(true, Ordering::SeqCst),
                "go on" => quiet.store(false, Ordering::SeqCst),
                "quiet" => quiet.store(true, Ordering::SeqCst),
                _ => println!("{line}"),
            }
        }
        // Nobody is left who wants it.
        std::process::exit(0);
    });
}

fn answer(request: &Request, id: &str, startup_time: &str) -> Reply {
    match (request.method.as_str(), request.path.as_str()) {
        ("GET", "/ari/asterisk/info") => Reply::ok(&json!({
            "build": {"os": "Linux", "user": "nobody"},
            "system": {"version": "22.10.1", "entity_id": id},
            "config": {"name": "scripted", "default_language": "en"},
            "status": {"startup_time": startup_time},
        })),
        ("GET", "/ari/asterisk/ping") => Reply::ok(&json!({"ping": "pong"})),
        (method, path) => {
            println!("call {method} {path}");
            Reply::done()
        }
    }
}

/// Sends the events to the websocket that came last; those that nobody took are sent again.
fn push(server: &Server, first: u64, large: &AtomicBool, quiet: &AtomicBool) {
    let (mut number, mut known) = (first, None);
    loop {
        std::thread::sleep(PACE);
        if quiet.load(Ordering::SeqCst) {
            println!("quiet");
            continue;
        }
        let more = match large.swap(false, Ordering::SeqCst) {
            true => "x".repeat(LARGE),
            false => String::new(),
        };
        let event = format!("{{\"type\":\"Numbered\",\"n\":{number},\"x\":\"{more}\"}}");
        let Some(socket) = server.push_to_newest(event.as_bytes()) else {
            continue;
        };
        println!("sent {number}");
        number += 1;
        if known.replace(socket) != Some(socket) {
            server.push_to_older(br#"{"type":"ApplicationReplaced","application":"conf"}"#);
        }
    }
}

/// What the process said.
#[derive(Default)]
struct Said {
    ready: bool,
    quiet: bool,
    /// The events written to a websocket, in order.
    sent: Vec<u64>,
    /// Whether those written now are owed to every subscriber.
    owing: bool,
    owed: Vec<u64>,
    calls: usize,
}

/// The process, killed when dropped.
pub(crate) struct AsteriskProcess {
    port: u16,
    entity_id: String,
    first: u64,
    child: Option<(Child, JoinHandle<()>)>,
    said: Arc<Mutex<Said>>,
}

impl AsteriskProcess {
    /// Starts one of this entity id, whose events are numbered from `first` on.
    pub(crate) fn start(entity_id: &str, first: u64) -> AsteriskProcess {
        let mut process = AsteriskProcess {
            port: free_port(),
            entity_id: entity_id.to_owned(),
            first,
            child: None,
            said: Arc::default(),
        };
        process.restart();
        process
    }

    /// Starts it again on the same port, the numbers going on; tells when it was ready.
    pub(crate) fn restart(&mut self) -> Instant {
        assert!(self.child.is_none(), "Asterisk still runs");
        let first = self.last().map_or(self.first, |last| last + 1);
        lock(&self.said).ready = false;
        let mut child = Command::new(std::env::current_exe().expect("this binary"))
            .args(["--exact", TEST, "--ignored", "--nocapture"])
            .env(ROLE, format!("{} {} {first}", self.port, self.entity_id))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("this binary starts");
        let lines = BufReader::new(child.stdout.take().expect("piped")).lines();
        let said = Arc::clone(&self.said);
        let reader = std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                hear(&line, &mut lock(&said));
            }
        });
        self.child = Some((child, reader));
        wait_until("Asterisk is ready", SOON, || lock(&self.said).ready);
        Instant::now()
    }

    /// Has it go by another entity id from its next start on.
    pub(crate) fn rename(&mut self, entity_id: &str) {
        entity_id.clone_into(&mut self.entity_id);
    }

    /// Kills it: no goodbye to anybody.
    pub(crate) fn kill(&mut self) {
        if let Some((mut child, reader)) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
            // All that it said before is heard now.
            let _ = reader.join();
        }
    }

    /// Stops it in its tracks, or lets it go on.
    pub(crate) fn signal(&self, name: &str) {
        let (child, _) = self.child.as_ref().expect("Asterisk runs");
        signal(child.id(), name);
    }

    /// The port.
    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// A proxy for it, and for this bus.
    pub(crate) fn proxy(&self, application: &str, bus_url: &str) -> ProxyBuilder {
        let place = format!("127.0.0.1:{}/ari", self.port);
        ProxyBuilder::bare()
            .env("ARI_APPLICATION", application)
            .env("ARI_USERNAME", USER)
            .env("ARI_PASSWORD", PASSWORD)
            .env("ARI_HTTP_URL", format!("http://{place}"))
            .env("ARI_WEBSOCKET_URL", format!("ws://{place}/events"))
            .env("MESSAGEBUS_URL", bus_url)
    }

    /// Whether the events from now on are owed: sent while both links are up. Those that are
    /// already written when this is said are not.
    pub(crate) fn owe(&mut self, owing: bool) {
        if !owing {
            lock(&self.said).owing = false;
            return;
        }
        self.tell("owe");
        wait_until("Asterisk hears", SOON, || lock(&self.said).owing);
    }

    /// Sends an event of [`LARGE`] bytes.
    pub(crate) fn send_large(&mut self) {
        self.tell("large");
    }

    /// Sends no more events for now.
    pub(crate) fn quiet(&mut self) {
        lock(&self.said).quiet = false;
        self.tell("quiet");
        wait_until("Asterisk is quiet", SOON, || lock(&self.said).quiet);
    }

    /// Sends events again.
    pub(crate) fn go_on(&mut self) {
        self.tell("go on");
    }

    fn tell(&mut self, command: &str) {
        let (child, _) = self.child.as_mut().expect("Asterisk runs");
        let stdin = child.stdin.as_mut().expect("piped");
        writeln!(stdin, "{command}").expect("Asterisk listens");
    }

    /// The events that it wrote to a websocket.
    pub(crate) fn sent(&self) -> Vec<u64> {
        lock(&self.said).sent.clone()
    }

    /// The last of them.
    pub(crate) fn last(&self) -> Option<u64> {
        lock(&self.said).sent.last().copied()
    }

    /// Those of them that are owed.
    pub(crate) fn owed(&self) -> Vec<u64> {
        lock(&self.said).owed.clone()
    }

    /// How many of them are.
    pub(crate) fn owes(&self) -> usize {
        lock(&self.said).owed.len()
    }

    /// How many requests it was sent, but for those for its information.
    pub(crate) fn calls(&self) -> usize {
        lock(&self.said).calls
    }
}

impl Drop for AsteriskProcess {
    fn drop(&mut self) {
        self.kill();
    }
}

fn hear(line: &str, said: &mut Said) {
    match line.split_once(' ') {
        Some(("sent", number)) => {
            let Ok(number) = number.parse() else { return };
            said.sent.push(number);
            if said.owing {
                said.owed.push(number);
            }
        }
        Some(("call", _)) => said.calls += 1,
        _ if line == "ready" => said.ready = true,
        _ if line == "quiet" => said.quiet = true,
        _ if line == "owe" => said.owing = true,
        _ => {}
    }
}
