//! The `config.json` of go-ari-proxy, what its websockets send, and several applications in one process.

use serde_json::{Value, json};

use crate::support::asterisk::{Asterisk, ENTITY_ID, PASSWORD, USER};
use crate::support::bus::{Bus, BusKind, Server, on_each_bus};
use crate::support::nats::BUS_PASSWORD;
use crate::support::proxy::{ProxyBuilder, ProxyProcess, refused};
use crate::support::server::{Request, basic};
use crate::support::wait::{SOON, wait_until};

on_each_bus!(
    its_file_is_all_that_is_needed,
    each_application_has_a_proxy_of_its_own,
    one_application_that_ends_ends_all,
    nothing_of_its_passwords_is_printed,
);

/// A file for these applications between this Asterisk and this bus.
fn file(applications: &[&str], asterisk: &Asterisk, on: BusKind, bus_url: &str) -> Value {
    let bus = match on {
        BusKind::Nats => "NATS",
        BusKind::RabbitMq => "RABBITMQ",
    };
    json!({
        "origin": "http://localhost/", "server_id": "pbx", "applications": applications,
        "websocket_url": asterisk.websocket_url(), "stasis_url": asterisk.http_url(),
        "ws_user": USER, "ws_password": PASSWORD,
        "message_bus": bus, "bus_config": {"url": bus_url, "queue": "q"},
    })
}

/// The requests that became websockets, in the order of their applications.
fn websockets(asterisk: &Asterisk, count: usize) -> Vec<Request> {
    asterisk.wait_websockets(count);
    let mut requests = asterisk.websocket_requests();
    requests.sort_by_key(|request| request.query.get("app").cloned());
    requests
}

fn ends(mut proxy: ProxyProcess) -> Vec<String> {
    proxy.signal("TERM");
    assert_eq!(proxy.wait_exit(SOON), Some(0));
    proxy.lines()
}

fn its_file_is_all_that_is_needed(on: BusKind) {
    let server = Server::start(on);
    for configure in [
        |text: &str| ProxyBuilder::bare().file("any.name", text),
        |text: &str| {
            ProxyBuilder::bare()
                .home_file("x", text)
                .arg("-config")
                .arg("x")
        },
        |text: &str| ProxyBuilder::bare().home_file("x", text).arg("-config=x"),
        |text: &str| ProxyBuilder::bare().home_file("config.json", text),
    ] {
        let asterisk = Asterisk::start();
        let text = file(&["one", "two"], &asterisk, on, &server.url()).to_string();
        let proxy = configure(&text).spawn();
        let requests = websockets(&asterisk, 2);
        assert_eq!(requests.len(), 2);
        for (request, application) in requests.iter().zip(["one", "two"]) {
            let target = format!("/ari/events?app={application}&api_key={USER}:{PASSWORD}");
            assert_eq!(request.target, target);
            assert_eq!(request.headers["origin"], "http://localhost/");
            assert_eq!(request.headers["authorization"], basic(USER, PASSWORD));
        }
        wait_until("both are connected to the bus", SOON, || {
            let lines = proxy.lines();
            let connected = lines
                .iter()
                .filter(|line| line.contains("bus: connected to"));
            connected.count() == 2
        });
        ends(proxy);
    }
}

fn each_application_has_a_proxy_of_its_own(on: BusKind) {
    let server = Server::start(on);
    let asterisk = Asterisk::start();
    let bus = Bus::connect(&server.url());
    let announcements = bus.subscribe("ari.announce");
    let events = bus.subscribe("ari.event.>");
    let proxy = ProxyBuilder::new("one,two", &asterisk, &server.url())
        .env("MESSAGEBUS_PROTOCOL", "both")
        .spawn();
    let mut announced: Vec<_> = announcements
        .take(2)
        .iter()
        .map(|message| message.json()["application"].clone())
        .collect();
    announced.sort_by_key(Value::to_string);
    assert_eq!(announced, ["one", "two"]);
    for application in ["two", "one"] {
        asterisk.push_to(
            application,
            json!({"type": "X", "n": application}).to_string(),
        );
        let event = events.expect("its event");
        assert_eq!(
            event.subject,
            format!("ari.event.{application}.{ENTITY_ID}")
        );
        let request = json!({"kind": "AsteriskInfo", "key": null});
        let answer = bus.ask(&format!("ari.data.{application}"), &request);
        assert_eq!(answer["error"], "", "{answer}");
    }
    for (request, application) in websockets(&asterisk, 2).iter().zip(["one", "two"]) {
        assert_eq!(request.target, format!("/ari/events?app={application}"));
        assert_eq!(request.headers.get("origin"), None);
    }
    let threads = proxy.threads();
    for (name, count) in [("conductor", 1), ("ingest", 2), ("signals", 1), ("log", 1)] {
        let found = threads.iter().filter(|thread| *thread == name).count();
        assert_eq!(found, count, "{name}: {threads:?}");
    }
    let lines = ends(proxy);
    let stopped = lines.iter().filter(|line| line.contains("stopped;"));
    assert_eq!(stopped.count(), 2, "{lines:#?}");
}

fn one_application_that_ends_ends_all(on: BusKind) {
    let server = Server::start(on);
    for application in ["one", "two"] {
        let asterisk = Asterisk::start();
        let mut proxy = ProxyBuilder::new("one,two", &asterisk, &server.url())
            .env("ARI_ON_REPLACED", "exit")
            .spawn();
        asterisk.wait_websockets(2);
        asterisk.push_to(
            application,
            json!({"type": "ApplicationReplaced", "application": application}).to_string(),
        );
        assert_eq!(proxy.wait_exit(SOON), Some(76));
        let lines = proxy.lines();
        let stopped = lines.iter().filter(|line| line.contains("stopped;"));
        assert_eq!(stopped.count(), 2, "{lines:#?}");
    }
}

fn nothing_of_its_passwords_is_printed(on: BusKind) {
    let mut server = Server::start_own(on);
    let asterisk = Asterisk::start();
    let mut text = file(&["one", "two"], &asterisk, on, &server.url());
    text["no password of"] = json!(PASSWORD);
    let proxy = ProxyBuilder::bare()
        .file("config.json", &text.to_string())
        .env("LOG_LEVEL", "trace")
        .spawn();
    asterisk.wait_websockets(2);
    proxy.wait_log("ignored, as by go-ari-proxy: no...");
    asterisk.push(r#"{"type":"X"}"#);
    asterisk.drop_websockets();
    wait_until("new websockets", SOON, || {
        asterisk.websocket_requests().len() == 4
    });
    asterisk.stop();
    proxy.wait_log("cannot connect to Asterisk");
    server.kill();
    proxy.wait_log("no bus server");
    let mut lines = ends(proxy);

    // One whose password is wrong.
    asterisk.restart();
    let proxy = ProxyBuilder::bare()
        .file("config.json", &text.to_string())
        .env("ARI_USERNAME", "somebody else")
        .env("LOG_LEVEL", "trace")
        .spawn();
    proxy.wait_log("refuses the user or the password");
    lines.extend(ends(proxy));
    let pair = basic("somebody else", PASSWORD);
    let pairs = [basic(USER, PASSWORD), pair].map(|basic| basic.replace("Basic ", ""));
    for secret in [PASSWORD, BUS_PASSWORD, &pairs[0], &pairs[1], "api_key"] {
        for line in &lines {
            assert!(!line.contains(secret), "{line}");
        }
    }
}

#[test]
fn a_file_that_cannot_be_used_is_refused_with_its_member() {
    let asterisk = Asterisk::start();
    let whole = file(&["one"], &asterisk, BusKind::Nats, "nats://127.0.0.1:1");
    let refused = |changes: Value, words: &[&str]| {
        let mut file = whole.clone();
        for (name, value) in changes.as_object().into_iter().flatten() {
            file[name] = value.clone();
        }
        let builder = ProxyBuilder::bare().file("config.json", &file.to_string());
        refused(builder, &[words, &["config.json"]].concat());
    };
    for (bus, words) in [
        (
            "NSQ",
            &["NSQ", "eventually consistent", "NATS or RABBITMQ"][..],
        ),
        ("OSLO", &["OSLO", "never implemented", "NATS or RABBITMQ"]),
        ("KAFKA", &["KAFKA", "neither NATS nor RABBITMQ"]),
        ("", &["is required", "NATS or RABBITMQ"]),
    ] {
        refused(
            json!({ "message_bus": bus }),
            &[words, &["message_bus"]].concat(),
        );
    }
    refused(
        json!({"message_bus": null}),
        &["message_bus", "NATS or RABBITMQ"],
    );
    refused(
        json!({"message_bus": "RABBITMQ"}),
        &["bus_config.url", "amqp://"],
    );
    refused(json!({"bus_config": "nats://x"}), &["bus_config: must be"]);
    refused(
        json!({"bus_config": {"url": "amqp://x"}}),
        &["bus_config.url", "nats://"],
    );
    refused(
        json!({"applications": null}),
        &["ari.application", "member applications"],
    );
    refused(
        json!({"applications": []}),
        &["ari.application", "member applications"],
    );
    refused(json!({"applications": "one"}), &["applications: must be"]);
    refused(json!({"applications": ["a", "a"]}), &["\"a\"", "twice"]);
    refused(json!({"stasis_url": "x"}), &["\"x\"", "member stasis_url"]);
    refused(json!({"websocket_url": ""}), &["member websocket_url"]);
    refused(json!({"ws_user": 1}), &["ws_user: must be"]);
    refused(json!({"ws_user": ""}), &["ari.username", "member ws_user"]);
    refused(
        json!({"ws_password": [PASSWORD]}),
        &["ws_password: must be"],
    );
    refused(
        json!({"ws_password": format!("{PASSWORD}\n")}),
        &["ari.password", "member ws_password"],
    );
}

#[test]
fn another_programs_file_is_left_alone() {
    let builder = || ProxyBuilder::bare().home_file("config.json", "{\"applications\": [\"x\"]}");
    refused(builder(), &["ari.application: is required"]);
    refused(
        builder().env("ARI_APPLICATION", "conf"),
        &["ari.username: is required"],
    );
    refused(
        builder().file("own.json", "{\"stasis\": 1}"),
        &["stasis: unknown key"],
    );
}
