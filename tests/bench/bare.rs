//! The limit: what the named crates do in bare loops, without our code, as a process of its own with the
//! environment of a proxy. One loop reads tungstenite and publishes; others take a request, ask with
//! ureq, and answer. Nothing is parsed, checked, kept or connected again.

mod amqp;
mod nats;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use tungstenite::handshake::client::generate_key;
use tungstenite::http::{Request, Uri};
use tungstenite::{Bytes, Message, WebSocket};
use ureq::Agent;

use super::asterisk::ENTITY_ID;

/// The argument that makes the bench this.
pub(crate) const ARGUMENT: &str = "bare";

/// How many requests are asked for at the same time. Of 1, 2, 4 … 32, that gave the highest rate of 64
/// at a time: on two cores 20 000/s with 2, 26 000/s with 16, 30 000/s with 32, each costing about the same.
const THREADS: usize = 32;
/// What the user and password that the bench gives are in a header.
const AUTHORIZATION: &str = "Basic YmVuY2g6YmVuY2g=";
/// How long connecting to Asterisk may take, and an answer of it: as in the proxy.
const CONNECT: Duration = Duration::from_secs(2);
const ANSWER: Duration = Duration::from_secs(5);
/// How long connections to Asterisk are kept: as in the proxy.
const IDLE: Duration = Duration::from_secs(5);

/// Runs until it is killed.
pub(crate) fn run() {
    let asterisk = Asterisk::of_environment();
    let url = variable("MESSAGEBUS_URL");
    if url.starts_with("amqp:") {
        amqp::run(&asterisk, &url);
    } else {
        nats::run(&asterisk, &url);
    }
}

fn variable(name: &str) -> String {
    std::env::var(name).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// What leads to Asterisk.
#[derive(Clone)]
struct Asterisk {
    application: String,
    http_url: String,
    websocket_url: String,
    agent: Agent,
}

impl Asterisk {
    fn of_environment() -> Asterisk {
        let config = Agent::config_builder()
            .http_status_as_error(false)
            .proxy(None)
            .max_redirects(0)
            .max_idle_connections(2 * THREADS)
            .max_idle_connections_per_host(2 * THREADS)
            .max_idle_age(IDLE)
            .timeout_connect(Some(CONNECT))
            .timeout_send_request(Some(ANSWER))
            .timeout_send_body(Some(ANSWER))
            .timeout_recv_response(Some(ANSWER))
            .timeout_recv_body(Some(ANSWER));
        Asterisk {
            application: variable("ARI_APPLICATION"),
            http_url: variable("ARI_HTTP_URL"),
            websocket_url: variable("ARI_WEBSOCKET_URL"),
            agent: Agent::new_with_config(config.build()),
        }
    }

    /// The subject of `class`.
    fn subject(&self, class: &str) -> String {
        format!("ari.{class}.{}.{ENTITY_ID}", self.application)
    }

    /// What is announced.
    fn announcement(&self) -> String {
        format!(
            r#"{{"asterisk":"{ENTITY_ID}","node":"{ENTITY_ID}","application":"{}"}}"#,
            self.application
        )
    }

    /// Connects the websocket; `stream` makes of the socket what it reads.
    fn events<S: Read + Write>(&self, stream: impl FnOnce(TcpStream) -> S) -> WebSocket<S> {
        let url = format!("{}?app={}", self.websocket_url, self.application);
        let url: Uri = url.parse().expect("a URL");
        let host = url.authority().expect("a host").as_str();
        let request = Request::builder()
            .header("Host", host)
            .header("Connection", "Upgrade")
            .header("Upgrade", "websocket")
            .header("Sec-WebSocket-Version", "13")
            .header("Sec-WebSocket-Key", generate_key())
            .header("Authorization", AUTHORIZATION)
            .uri(url.clone())
            .body(())
            .expect("a request");
        let socket = TcpStream::connect(host).expect("a connection to Asterisk");
        socket.set_nodelay(true).expect("no delay");
        match tungstenite::client(request, stream(socket)) {
            Ok((websocket, _)) => websocket,
            Err(error) => panic!("no websocket: {error}"),
        }
    }

    /// The answer to the request `body`, after the call that its kind makes.
    fn answer(&self, body: &[u8]) -> Vec<u8> {
        const READS: &[u8] = br#"{"kind":"ChannelData""#;
        const WRITES: &[u8] = br#"{"kind":"ChannelAnswer""#;
        let channel = || format!("{}/channels/live-1", self.http_url);
        if body.starts_with(READS) {
            let request = self.agent.get(channel());
            let answer = request.header("Authorization", AUTHORIZATION).call();
            let answer = answer.and_then(|mut answer| answer.body_mut().read_to_vec());
            let data = answer.expect("an answer of Asterisk");
            [br#"{"error":"","data":"#, data.as_slice(), b"}"].concat()
        } else {
            if body.starts_with(WRITES) {
                let request = self.agent.post(channel() + "/answer");
                let answer = request.header("Authorization", AUTHORIZATION).send_empty();
                let answer = answer.and_then(|mut answer| answer.body_mut().read_to_vec());
                answer.expect("an answer of Asterisk");
            }
            br#"{"error":""}"#.to_vec()
        }
    }
}

/// Reads the next event.
fn read<S: Read + Write>(websocket: &mut WebSocket<S>) -> Bytes {
    loop {
        match websocket.read() {
            Ok(Message::Text(text)) => return text.into(),
            Ok(_) => {}
            Err(error) => panic!("the websocket has ended: {error}"),
        }
    }
}
