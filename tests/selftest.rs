//! The tests' own equipment: the scripted Asterisk, the relay, the servers.

use std::time::Duration;

use crate::support::asterisk::{Asterisk, ENTITY_ID, PASSWORD, USER};
use crate::support::nats::{Bus, NatsServer};
use crate::support::relay::Relay;
use crate::support::server::Reply;
use crate::support::wait::{SOON, wait_until};
use crate::support::websocket::EventSocket;
use serde_json::{Value, json};
use ureq::Agent;

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

#[test]
fn the_relay_stalls_and_cuts() {
    let nats = NatsServer::start();
    let relay = Relay::start(nats.port());
    let bus = Bus::connect(&nats.url_by(relay.port()));
    let messages = bus.subscribe("x");
    let other = Bus::connect(&nats.url());
    relay.stall();
    other.publish("x", "1");
    assert_eq!(messages.next(Duration::from_millis(50)), None);
    relay.resume();
    assert_eq!(messages.expect("after the stall").data, b"1");
    assert_eq!(relay.accepted(), 1);
    relay.refuse();
    wait_until("the client notices", SOON, || {
        messages.next(Duration::from_millis(5)).is_none() && messages.arrived().is_empty()
    });
    drop(bus);
}

#[test]
fn a_paused_nats_server_is_silent() {
    let mut nats = NatsServer::start();
    let bus = Bus::connect(&nats.url());
    let messages = bus.subscribe("x");
    nats.pause();
    nats.resume();
    bus.publish("x", "1");
    assert_eq!(messages.expect("after the pause").data, b"1");
    nats.terminate();
    nats.restart();
    let bus = Bus::connect(&nats.url());
    bus.flush();
    nats.kill();
}
