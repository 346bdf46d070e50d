//! REST calls that go wrong on their way: each request is answered, in bounded time, and what changes
//! something is never sent twice.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::asterisk::Asterisk;
use crate::support::bus::{Bus, BusKind, Messages, Server, on_each_bus};
use crate::support::faulty::{Act, FaultyHttp};
use crate::support::proxy::{ProxyBuilder, ProxyProcess};
use crate::support::rig::{APPLICATION, Rig};
use crate::support::server::{Reply, Request};
use crate::support::wait::{SOON, wait_until};

on_each_bus!(
    what_asterisk_breaks_off_is_answered_and_sent_once,
    a_connection_that_ends_as_it_is_used_again_costs_no_read_and_repeats_no_change,
    an_answer_that_comes_slowly_holds_no_worker,
    an_answer_without_end_is_given_up,
    an_answer_nested_deeply_is_passed_on_or_refused,
    connections_that_a_restart_of_asterisk_left_behind_fail_no_request,
);

/// What is behind the proxy: an Asterisk whose websocket works and whose HTTP does what it is told.
struct Faulty {
    proxy: ProxyProcess,
    bus: Bus,
    http: FaultyHttp,
    _asterisk: Asterisk,
    _server: Server,
}

impl Faulty {
    /// One worker: the next request shows whether it is free.
    fn start(on: BusKind, response_timeout: &str) -> Faulty {
        let server = Server::start(on);
        let asterisk = Asterisk::start();
        let http = FaultyHttp::start();
        let bus = Bus::connect(&server.url());
        let announcements = bus.subscribe("ari.announce");
        let proxy = ProxyBuilder::new(APPLICATION, &asterisk, &server.url())
            .env("ARI_HTTP_URL", http.url())
            .env("WORKERS_COUNT", "1")
            .env("WORKERS_MAX_WAIT", "60s")
            .env("HTTP_RESPONSE_TIMEOUT", response_timeout)
            .spawn();
        announcements.expect("the first announcement");
        Faulty {
            proxy,
            bus,
            http,
            _asterisk: asterisk,
            _server: server,
        }
    }

    /// The error of a request that reads.
    fn read(&self) -> String {
        let request = json!({"kind": "ChannelData", "key": {"kind": "channel", "id": "a"}});
        error(&self.bus.ask("ari.data", &request))
    }

    /// The error of a request that changes something.
    fn change(&self) -> String {
        let request = json!({"kind": "ChannelAnswer", "key": {"kind": "channel", "id": "a"}});
        error(&self.bus.ask("ari.command", &request))
    }

    /// All is well: on a connection that will be used again.
    fn well(&self) {
        self.http.on(|_| Act::Answer);
        assert_eq!(self.read(), "");
        assert_eq!(self.change(), "");
        self.http.calls();
    }
}

fn error(answer: &Value) -> String {
    let error = answer["error"].as_str();
    error.unwrap_or("no error member").to_owned()
}

fn what_asterisk_breaks_off_is_answered_and_sent_once(on: BusKind) {
    let faulty = Faulty::start(on, "10s");
    let head = b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n";
    let header_and_half = [&head[..], b"\r\n{\"id\":"].concat();
    for act in [
        Act::Say(Vec::new()),
        Act::Reset,
        Act::Say(b"H".to_vec()),
        Act::Say(head.to_vec()),
        Act::Say(header_and_half),
        Act::Say(b"\x16\x03\x01 this is not HTTP\r\n\r\n".to_vec()),
        Act::Say(b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n".to_vec()),
    ] {
        for _ in 0..2 {
            let said = act.clone();
            faulty.http.on(move |_| said.clone());
            assert_ne!(faulty.change(), "", "{act:?}");
            let calls = faulty.http.calls();
            assert_eq!(calls.len(), 1, "{act:?}: {calls:?}");
            assert_ne!(faulty.read(), "", "{act:?}");
            let calls = faulty.http.calls();
            assert!(calls.len() <= 2, "{act:?}: {calls:?}");
            // The second time on a connection that has served.
            faulty.well();
        }
    }
}

fn a_connection_that_ends_as_it_is_used_again_costs_no_read_and_repeats_no_change(on: BusKind) {
    let faulty = Faulty::start(on, "10s");
    for act in [Act::Say(Vec::new()), Act::Reset] {
        faulty.well();
        let said = act.clone();
        faulty.http.on(move |call| match call.reused {
            true => said.clone(),
            false => Act::Answer,
        });
        assert_eq!(faulty.read(), "", "{act:?}");
        let reused: Vec<bool> = faulty.http.calls().iter().map(|call| call.reused).collect();
        assert_eq!(reused, [true, false], "{act:?}: once more, on a new one");
        assert_ne!(faulty.change(), "", "{act:?}");
        let reused: Vec<bool> = faulty.http.calls().iter().map(|call| call.reused).collect();
        assert_eq!(reused, [true], "{act:?}: not again");
    }
}

fn an_answer_that_comes_slowly_holds_no_worker(on: BusKind) {
    let faulty = Faulty::start(on, "600ms");
    let body = b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n";
    let chunks = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nfffff\r\n";
    let starts: [&[u8]; 5] = [
        b"HTTP/1.1 200 ",
        b"HTTP/1.1 200 OK\r\nX: ",
        body,
        chunks,
        b"HTTP/1.1 100 x",
    ];
    for start in starts {
        let start = start.to_vec();
        faulty
            .http
            .on(move |_| Act::Trickle(start.clone(), Duration::from_millis(40)));
        for ask in [Faulty::change, Faulty::read] {
            let began = Instant::now();
            let text = ask(&faulty);
            assert!(text.contains("too long"), "{text}");
            // Twice 600 ms: header and body; the rest is for a machine that is busy.
            assert!(began.elapsed() < Duration::from_secs(4), "{text}");
            assert_eq!(faulty.http.calls().len(), 1);
        }
    }
    faulty.well();
}

fn an_answer_without_end_is_given_up(on: BusKind) {
    let faulty = Faulty::start(on, "10s");
    faulty.well();
    let before = faulty.proxy.rss_kib();
    for start in [
        "HTTP/1.1 200 OK\r\nContent-Length: 100000000\r\n\r\n",
        "HTTP/1.1 200 OK\r\n\r\n",
        "HTTP/1.1 404 ",
        "HTTP/1.1 500 x\r\nContent-Length: 100000000000000\r\n\r\n",
        "HTTP/1.1 200 OK\r\nX: ",
    ] {
        let start = start.as_bytes().to_vec();
        faulty.http.on(move |_| Act::Flood(start.clone()));
        assert_ne!(faulty.change(), "");
        assert_eq!(faulty.http.calls().len(), 1);
        assert_ne!(faulty.read(), "");
        assert_eq!(faulty.http.calls().len(), 1);
    }
    faulty.well();
    let grown = faulty.proxy.rss_kib().saturating_sub(before);
    assert!(grown < 40 * 1024, "{grown} KiB more than before");
}

fn an_answer_nested_deeply_is_passed_on_or_refused(on: BusKind) {
    let faulty = Faulty::start(on, "10s");
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    let list = json!({"kind": "ChannelList", "key": null});
    for (body, passed_on) in [
        (format!(r#"{{"id":"a","x":{deep}}}"#), true),
        (format!(r#"[{{"id":"a","x":{deep}}}]"#), false),
        (deep, false),
    ] {
        let length = body.len();
        let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n{body}");
        faulty
            .http
            .on(move |_| Act::Say(answer.clone().into_bytes()));
        let request = json!({"kind": "ChannelData", "key": {"kind": "channel", "id": "a"}});
        for request in [request, list.clone()] {
            // Too deep for this client to be read as a value.
            let answers = faulty.bus.send("ari.data", request.to_string());
            let answer = answers.expect("an answer");
            let text = String::from_utf8_lossy(&answer.data);
            let is_data = text.contains("[[[[");
            assert!(text.starts_with(r#"{"error":""#));
            assert!(!is_data || passed_on, "{}", &text[..100]);
        }
    }
    faulty.well();
}

fn connections_that_a_restart_of_asterisk_left_behind_fail_no_request(on: BusKind) {
    const WORKERS: usize = 16;
    let rig = Rig::start(on);
    rig.asterisk.on(|request: &Request| {
        let own = request.path.starts_with("/ari/asterisk");
        (!own).then(|| Reply::ok(&json!({"id": "a"})))
    });
    let send = |class: &str, kind: &str| -> Messages {
        let request = json!({"kind": kind, "key": {"kind": "channel", "id": "a"}});
        rig.bus.send(&rig.subject(class), request.to_string())
    };
    for round in 0..3 {
        // A connection for every worker.
        rig.asterisk.forget();
        rig.asterisk.stall_http(true);
        let held: Vec<Messages> = (0..WORKERS).map(|_| send("data", "ChannelData")).collect();
        wait_until("the workers are busy", SOON, || {
            rig.asterisk.calls().len() == WORKERS
        });
        rig.asterisk.stall_http(false);
        for answers in &held {
            assert_eq!(error(&answers.expect("an answer").json()), "");
        }
        assert!(rig.asterisk.open_connections() > WORKERS);
        rig.asterisk.stop();
        rig.asterisk.restart();
        // It may serve for a moment before it notices that the websocket has gone.
        wait_until("the proxy is connected again", SOON, || {
            let lines = rig.proxy.lines();
            let times = lines.iter().filter(|line| line.contains("connected for"));
            times.count() == round + 2
        });
        wait_until("it serves", SOON, || rig.probe().is_none());
        rig.asterisk.forget();
        let asked: Vec<Messages> = (0..10 * WORKERS)
            .map(|n| match n % 2 {
                0 => send("command", "ChannelAnswer"),
                _ => send("data", "ChannelData"),
            })
            .collect();
        for answers in &asked {
            let answer = answers.expect("an answer").json();
            assert_eq!(error(&answer), "", "round {round}");
        }
        let calls = rig.asterisk.calls();
        let changes = calls.iter().filter(|call| call.method == "POST").count();
        assert_eq!(changes, 5 * WORKERS, "each once");
    }
}
