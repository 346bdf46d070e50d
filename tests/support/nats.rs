//! Real NATS servers as processes, and a client to watch NATS with.

use std::io::{BufRead, BufReader};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::time::Instant;

use super::bus::Message;
use super::ports::free_port;
use super::process::signal;
use super::wait::{SOON, wait_for, wait_until};

/// The user of every server, so that no client strays to a server that is not its own.
pub(crate) const BUS_USER: &str = "tests";

/// Its password; nothing of the proxy may show it.
pub(crate) const BUS_PASSWORD: &str = "bus-s3cr3t";

/// A nats-server on a loopback port, killed when dropped.
pub(crate) struct NatsServer {
    port: u16,
    arguments: Vec<String>,
    child: Option<Child>,
}

impl NatsServer {
    /// Starts one and waits until it accepts connections.
    pub(crate) fn start() -> NatsServer {
        NatsServer::start_with(&[])
    }

    /// Starts one with further arguments.
    pub(crate) fn start_with(arguments: &[&str]) -> NatsServer {
        let mut server = NatsServer::absent(arguments);
        server.restart();
        server
    }

    /// One that is not started yet, to be by [`NatsServer::restart`].
    pub(crate) fn absent(arguments: &[&str]) -> NatsServer {
        NatsServer {
            port: free_port(),
            arguments: arguments.iter().map(|&a| a.to_owned()).collect(),
            child: None,
        }
    }

    /// Its port.
    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// Its URL, with credentials.
    pub(crate) fn url(&self) -> String {
        self.url_by(self.port)
    }

    /// Its URL by way of a relay on `port`.
    pub(crate) fn url_by(&self, port: u16) -> String {
        format!("nats://{BUS_USER}:{BUS_PASSWORD}@127.0.0.1:{port}")
    }

    /// Kills it: no goodbye to anybody.
    pub(crate) fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// Ends it the polite way and waits for that.
    pub(crate) fn terminate(&mut self) {
        if let Some(mut child) = self.child.take() {
            signal(child.id(), "TERM");
            let _ = child.wait();
        }
    }

    /// Stops it in its tracks: its connections stay, nobody serves them.
    pub(crate) fn pause(&self) {
        self.signal("STOP");
    }

    /// Lets it go on.
    pub(crate) fn resume(&self) {
        self.signal("CONT");
    }

    /// Has it read its configuration again.
    pub(crate) fn reload(&self) {
        self.signal("HUP");
    }

    fn signal(&self, name: &str) {
        let child = self.child.as_ref().expect("nats-server is running");
        signal(child.id(), name);
    }

    /// Starts it (again) on the same port and waits until it accepts connections; tells when it
    /// first did.
    pub(crate) fn restart(&mut self) -> Instant {
        assert!(self.child.is_none(), "nats-server is still running");
        let child = Command::new("nats-server")
            .args(["-a", "127.0.0.1", "-p", &self.port.to_string()])
            .args(["--user", BUS_USER, "--pass", BUS_PASSWORD])
            .args(&self.arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("nats-server is installed");
        self.child = Some(child);
        wait_until("nats-server accepts", SOON, || greets(self.port));
        Instant::now()
    }
}

impl Drop for NatsServer {
    fn drop(&mut self) {
        self.kill();
    }
}

fn greets(port: u16) -> bool {
    let Ok(stream) = TcpStream::connect(("127.0.0.1", port)) else {
        return false;
    };
    let mut line = String::new();
    stream.set_read_timeout(Some(SOON)).is_ok()
        && BufReader::new(stream).read_line(&mut line).is_ok()
        && line.starts_with("INFO ")
}

/// A client on one connection. It does not reconnect.
pub(crate) struct NatsBus {
    connection: nats::Connection,
}

impl NatsBus {
    /// Connects to the server at `url`.
    pub(crate) fn connect(url: &str) -> NatsBus {
        NatsBus {
            connection: wait_for("a connection to NATS", SOON, || {
                nats::Options::new().max_reconnects(1).connect(url).ok()
            }),
        }
    }

    /// Connects over TLS to the server at `url`, whose certificate the one in `authority` signed.
    pub(crate) fn connect_tls(url: &str, authority: &str) -> NatsBus {
        let options = nats::Options::new().tls_required(true);
        NatsBus {
            connection: options
                .add_root_certificate(authority)
                .connect(url)
                .expect("a connection to NATS"),
        }
    }

    /// Publishes and makes sure that the server has it.
    pub(crate) fn publish(&self, subject: &str, body: &[u8]) {
        self.connection.publish(subject, body).expect("published");
        self.flush();
    }

    /// Listens to `subject`, as a member of `group` if one is named; the server knows when this
    /// returns.
    pub(crate) fn subscribe(&self, subject: &str, group: Option<&str>) -> nats::Subscription {
        let subscription = match group {
            Some(group) => self.connection.queue_subscribe(subject, group),
            None => self.connection.subscribe(subject),
        };
        self.flush();
        subscription.expect("subscribed")
    }

    /// Sends a request; its answers come to what is returned.
    pub(crate) fn request(&self, subject: &str, body: &[u8]) -> nats::Subscription {
        let reply = self.connection.new_inbox();
        let subscription = self.connection.subscribe(&reply).expect("subscribed");
        self.hand_over(subject, &reply, body);
        self.flush();
        subscription
    }

    /// Hands a request over without waiting; its answers go to `reply`.
    pub(crate) fn hand_over(&self, subject: &str, reply: &str, body: &[u8]) {
        let connection = &self.connection;
        let published = connection.publish_request(subject, reply, body);
        published.expect("published");
    }

    /// Hands a message over without waiting.
    pub(crate) fn post(&self, subject: &str, body: &[u8]) {
        self.connection.publish(subject, body).expect("published");
    }

    /// Waits until the server has handled all that this client sent, and the client all that the
    /// server sent it before that.
    pub(crate) fn flush(&self) {
        self.connection.flush().expect("flushed");
    }
}

impl From<nats::Message> for Message {
    fn from(message: nats::Message) -> Message {
        Message {
            subject: message.subject.clone(),
            data: message.data.clone(),
            headers: message
                .headers
                .iter()
                .flat_map(|headers| headers.iter())
                .flat_map(|(name, values)| values.iter().map(|value| (name.clone(), value.clone())))
                .collect(),
            ..Message::default()
        }
    }
}
