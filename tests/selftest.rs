//! The tests' own equipment: the scripted Asterisk, the relay, the servers.

use std::time::Duration;

use crate::support::asterisk::{Asterisk, ENTITY_ID, PASSWORD, USER};
use crate::support::bus::{Bus, BusKind, Server, on_each_bus};
use crate::support::process::is_running;
use crate::support::rabbitmq::{RabbitServer, Vhost};
use crate::support::relay::Relay;
use crate::support::server::Reply;
use crate::support::wait::{SOON, wait_until};
use crate::support::websocket::EventSocket;
use serde_json::{Value, json};
use ureq::Agent;

on_each_bus!(
    the_relay_stalls_and_cuts,
    a_paused_server_is_silent,
    a_client_publishes_listens_and_asks,
);

fn authorization() -> String {
    // base64 of USER:PASSWORD, by another hand than the server's.
    assert_eq!((USER, PASSWORD), ("tester", "s3cr3t-Pa55word"));
    "Basic dGVzdGVyOnMzY3IzdC1QYTU1d29yZA==".to_owned()
}

fn agent() -> Agent {
    Agent::config_builder()
        .http_status_as_error(false)
        .proxy(None)
        .build()
        .into()
}

fn get(agent: &Agent, url: &str) -> (u16, Value) {
    let mut response = agent
        .get(url)
        .header("Authorization", authorization())
        .call()
        .unwrap();
    let body = response.body_mut().read_to_string().unwrap();
    let body = serde_json::from_str(&body).unwrap_or(Value::Null);
    (response.status().as_u16(), body)
}

#[test]
fn the_scripted_asterisk_answers_and_remembers() {
    let asterisk = Asterisk::start();
    let agent = agent();
    let (status, info) = get(&agent, &format!("{}/asterisk/info", asterisk.http_url()));
    assert_eq!(status, 200);
    assert_eq!(info["system"]["entity_id"], ENTITY_ID);
    let (status, _) = get(
        &agent,
        &format!("{}/channels/a%2Fb?x=1%20%26", asterisk.http_url()),
    );
    assert_eq!(status, 404);
    asterisk.on(|request| (request.method == "GET").then(|| Reply::ok(&json!([1]))));
    let (_, list) = get(&agent, &format!("{}/channels", asterisk.http_url()));
    assert_eq!(list, json!([1]));
    let calls = asterisk.calls();
    assert_eq!(calls.len(), 2);
    assert_eq!(calls[0].segments(), ["ari", "channels", "a/b"]);
    assert_eq!(calls[0].parameters()["x"], "1 &");
    assert_eq!(asterisk.requests().len(), 3);
    assert_eq!(asterisk.most_open_connections(), 1, "kept alive");
}

#[test]
fn the_scripted_asterisk_pushes_stops_and_comes_back() {
    let asterisk = Asterisk::start();
    let url = asterisk.websocket_url();
    let mut socket = EventSocket::connect(&url, "app=a", &authorization());
    asterisk.wait_websockets(1);
    let long = "x".repeat(70_000);
    asterisk.push_to("b", "not for a");
    for text in ["one", "", &long] {
        asterisk.push_to("a", text);
        assert_eq!(socket.next(SOON).as_deref(), Some(text));
    }
    asterisk.stop();
    assert_eq!(socket.next(SOON), None);
    assert!(std::net::TcpStream::connect(("127.0.0.1", asterisk.port())).is_err());
    asterisk.restart();
    let mut socket = EventSocket::connect(&url, "app=b&subscribeAll=true", &authorization());
    asterisk.wait_websockets(1);
    asterisk.push_to("a", "two");
    assert_eq!(socket.next(SOON).as_deref(), Some("two"));
    asterisk.drop_websockets();
    assert_eq!(socket.next(SOON), None);
    assert_eq!(asterisk.websocket_requests().len(), 2);
}

fn the_relay_stalls_and_cuts(on: BusKind) {
    let server = Server::start(on);
    let relay = Relay::start(server.port());
    let bus = Bus::connect(&server.url_by(relay.port()));
    let messages = bus.subscribe("ari.event.x");
    let accepted = relay.accepted();
    let other = Bus::connect(&server.url());
    relay.stall();
    other.publish("ari.event.x", "1");
    assert_eq!(messages.next(Duration::from_millis(50)), None);
    relay.resume();
    assert_eq!(messages.expect("after the stall").data, b"1");
    assert_eq!(relay.accepted(), accepted);
    relay.refuse();
    wait_until("the client notices", SOON, || {
        messages.next(Duration::from_millis(5)).is_none() && messages.arrived().is_empty()
    });
    drop(bus);
}

fn a_paused_server_is_silent(on: BusKind) {
    let mut server = Server::start_own(on);
    let bus = Bus::connect(&server.url());
    let messages = bus.subscribe("ari.event.x");
    server.pause();
    server.resume();
    bus.publish("ari.event.x", "1");
    assert_eq!(messages.expect("after the pause").data, b"1");
    server.terminate();
    server.restart();
    let bus = Bus::connect(&server.url());
    bus.flush();
    server.kill();
    drop(bus);
}

fn a_client_publishes_listens_and_asks(on: BusKind) {
    let server = Server::start(on);
    let bus = Bus::connect(&server.url());
    let timeout = Duration::from_secs(5);
    let body = json!({"x": 1});
    assert_eq!(bus.try_ask("ari.get.none", &body, timeout), None);
    let events = bus.subscribe("ari.event.>");
    let (one, other) = (bus.subscribe("ari.ping"), bus.subscribe("ari.ping"));
    let group: Vec<_> = (0..2)
        .map(|_| bus.subscribe_group("ari.create", "ariproxy"))
        .collect();
    let answers = bus.subscribe("answers.*");
    for number in 0..100 {
        bus.publish("ari.event.a.b", number.to_string());
        bus.publish_request("ari.create", "answers.1", "c");
    }
    bus.publish("ari.ping", "p");
    for (number, event) in events.take(100).iter().enumerate() {
        assert_eq!(event.subject, "ari.event.a.b");
        assert_eq!(event.data, number.to_string().as_bytes());
    }
    assert_eq!(
        (one.expect("a").data, other.expect("b").data),
        (b"p".to_vec(), b"p".to_vec())
    );
    let mut got = [0, 0];
    wait_until("each to one of the group", SOON, || {
        for (count, member) in got.iter_mut().zip(&group) {
            *count += member.arrived().len();
        }
        got.iter().sum::<usize>() == 100
    });
    assert!(got.iter().all(|count| *count > 0), "{got:?}");
    assert!(answers.arrived().is_empty());
    assert!(events.arrived().is_empty());
}

#[test]
fn virtual_hosts_know_nothing_of_each_other() {
    let hosts = [Vhost::new(), Vhost::new()];
    let [one, other] = hosts.each_ref().map(|host| Bus::connect(&host.url()));
    let (here, there) = (one.subscribe("ari.event.>"), other.subscribe("ari.event.>"));
    one.publish("ari.event.x", "1");
    assert_eq!(here.expect("in its own").data, b"1");
    assert!(there.next(Duration::from_millis(50)).is_none());
    assert!(hosts[0].queues("").len() == 1 && hosts[0].queues("none").is_empty());
}

#[test]
fn a_broker_alarms_survives_a_kill_and_leaves_nothing() {
    let mut server = RabbitServer::start();
    server.memory_alarm(true);
    server.memory_alarm(false);
    let first = server.pid();
    server.kill();
    assert!(!is_running(first));
    server.restart();
    let second = server.pid();
    let directory = server.directory().to_owned();
    server.pause();
    drop(server);
    assert!(!is_running(second));
    assert!(!directory.exists());
}
