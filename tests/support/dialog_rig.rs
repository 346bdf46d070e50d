//! The usual set for dialogs: a server of a bus, a scripted Asterisk with calls in it, and a proxy
//! between them that speaks go-ari-proxy's protocol.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;

use serde_json::{Value, json};

use super::application::{Application, Manner, QUEUE};
use super::asterisk::{Asterisk, ENTITY_ID};
use super::bus::{BusKind, Server};
use super::nats::NatsServer;
use super::nats_raw::monitor;
use super::ports::free_port;
use super::proxy::{ProxyBuilder, ProxyProcess};
use super::rig::APPLICATION;
use super::server::{Reply, Request, lock};
use super::wait::{SOON, wait_until};

/// What the proxy calls itself to applications.
pub(crate) const SERVER_ID: &str = "server-7";

type Handler = dyn Fn(&DialogAsterisk, &Request) -> Option<Reply> + Send + Sync;

/// The set. The proxy goes first when it is dropped.
pub(crate) struct DialogRig {
    pub(crate) proxy: ProxyProcess,
    pub(crate) asterisk: Arc<DialogAsterisk>,
    pub(crate) server: Server,
    monitor: u16,
}

impl DialogRig {
    /// Starts one whose proxy serves this protocol alone, and waits until it has both its peers.
    pub(crate) fn start(on: BusKind) -> DialogRig {
        DialogRig::with(on, |proxy| proxy)
    }

    /// Starts one with a proxy configured further.
    pub(crate) fn with(
        on: BusKind,
        configure: impl FnOnce(ProxyBuilder) -> ProxyBuilder,
    ) -> DialogRig {
        DialogRig::on(on, false, |proxy, _| configure(proxy))
    }

    /// Starts one whose server may come to harm; the proxy is configured further knowing it.
    pub(crate) fn own(
        on: BusKind,
        configure: impl FnOnce(ProxyBuilder, &Server) -> ProxyBuilder,
    ) -> DialogRig {
        DialogRig::on(on, true, configure)
    }

    fn on(
        on: BusKind,
        own: bool,
        configure: impl FnOnce(ProxyBuilder, &Server) -> ProxyBuilder,
    ) -> DialogRig {
        let monitor = free_port();
        let server = match on {
            BusKind::Nats => Server::Nats(NatsServer::start_with(&["-m", &monitor.to_string()])),
            BusKind::RabbitMq if own => Server::start_own(on),
            BusKind::RabbitMq => Server::start(on),
        };
        let asterisk = DialogAsterisk::start();
        let builder = ProxyBuilder::new(APPLICATION, &asterisk.script, &server.url())
            .env("MESSAGEBUS_PROTOCOL", "go-ari-proxy")
            .env("TOPICS_QUEUE", QUEUE)
            .env("TOPICS_SERVER_ID", SERVER_ID);
        let proxy = configure(builder, &server).spawn();
        proxy.wait_log("bus: connected to");
        wait_until("a websocket", SOON, || asterisk.script.websockets() > 0);
        DialogRig {
            proxy,
            asterisk,
            server,
            monitor,
        }
    }

    /// An instance of the application.
    pub(crate) fn application(&self, manner: Manner) -> Application {
        Application::start(&self.server.url(), manner)
    }

    /// A call after all others: when it is over, the proxy has dealt with all that Asterisk said
    /// before, and what it made of that is on the bus. The application must be the only instance.
    pub(crate) fn settle(&self, application: &Application) {
        let number = application.dialogs().len() + 1;
        let id = format!("settling-{number}");
        let begin = self.asterisk.begin(&id);
        let dialog = application.wait_dialog(number);
        if application.manner() == Manner::ByHand {
            application.listen(&dialog);
            application.show(&dialog);
        }
        assert_eq!(application.wait_events(&dialog, 1), [begin]);
        self.asterisk.end(&id);
        application.wait_event(&dialog, "StasisEnd", |_| true);
    }

    /// The topics of dialogs that there are: on NATS those on which the proxy listens.
    pub(crate) fn topics(&self) -> Vec<String> {
        let is_one = |name: &str| {
            ["commands_", "events_", "responses_"]
                .iter()
                .any(|start| name.starts_with(start))
        };
        match &self.server {
            Server::Nats(_) => self.subscriptions("commands_"),
            Server::Vhost(vhost) => {
                let mut queues = vhost.queues("");
                queues.retain(|name| is_one(name));
                queues
            }
            Server::RabbitMq(server) => {
                let rows = server.ctl(&["list_queues", "name"]);
                let rows = rows.as_array().cloned().unwrap_or_default();
                let names = rows.iter().filter_map(|row| row["name"].as_str());
                names
                    .filter(|name| is_one(name))
                    .map(str::to_owned)
                    .collect()
            }
        }
    }

    /// Waits until nothing is left of a dialog, or of any where none is named.
    pub(crate) fn wait_no_topics(&self, dialog: &str) {
        let mut left = Vec::new();
        let start = std::time::Instant::now();
        // Removing what nobody reads may take the time that a listener has.
        while start.elapsed() < SOON * 2 {
            left = self.left();
            left.retain(|topic| topic.ends_with(dialog));
            if left.is_empty() {
                return;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        panic!("topics are left: {left:?}");
    }

    /// Topics of dialogs, but for queues that are empty and consumed: an application of the original
    /// library would lose its connection with them.
    pub(crate) fn left(&self) -> Vec<String> {
        let (broker, vhost) = match &self.server {
            Server::Nats(_) => return self.topics(),
            Server::Vhost(vhost) => (vhost.server, vhost.name.as_str()),
            Server::RabbitMq(server) => (server, "/"),
        };
        let names = broker.eval(&format!(
            "lists:append(lists:join(\" \", [binary_to_list(N) || \
             [{{name,{{resource,_,queue,N}}}},{{messages,M}},{{consumers,C}}] <- \
             rabbit_amqqueue:info_all(<<\"{vhost}\">>,[name,messages,consumers]), \
             string:find(N, <<\"_\">>) =/= nomatch, M > 0 orelse C == 0 orelse \
             string:prefix(N, <<\"commands_\">>) =/= nomatch]))"
        ));
        let names = names.trim_matches(['"', '[', ']']).split_whitespace();
        names.map(str::to_owned).collect()
    }

    /// Waits until the server knows that no instance is there; a queue keeps what one leaves to the next.
    pub(crate) fn wait_no_instance(&self) {
        if let Server::Nats(_) = &self.server {
            wait_until("no instance is there", SOON, || {
                self.subscriptions(APPLICATION).is_empty()
            });
        }
    }

    /// The subjects that begin so, by subscription, at the NATS server.
    fn subscriptions(&self, start: &str) -> Vec<String> {
        let told = monitor(self.monitor, "/subsz?subs=1&limit=100000");
        let all = told["subscriptions_list"].as_array().cloned();
        let all = all.unwrap_or_default();
        let subjects = all.iter().filter_map(|one| one["subject"].as_str());
        let matching = subjects.filter(|subject| subject.starts_with(start));
        matching.map(str::to_owned).collect()
    }

    /// Waits until the proxy has tried to tell somebody of a call: over NATS nobody heard, RabbitMQ
    /// keeps it.
    pub(crate) fn wait_offered(&self) {
        match &self.server {
            Server::Nats(_) => wait_until("an AppStart is offered", SOON, || {
                let told = monitor(self.monitor, "/varz");
                told["in_msgs"].as_u64().is_some_and(|count| count > 0)
            }),
            Server::Vhost(vhost) => wait_until("an AppStart waits", SOON, || {
                let rows = vhost.list("list_queues", &["name", "messages"], APPLICATION);
                rows.iter().any(|row| row["messages"] == 1)
            }),
            Server::RabbitMq(_) => panic!("a virtual host is looked at"),
        }
    }
}

/// A scripted Asterisk that knows of its calls.
pub(crate) struct DialogAsterisk {
    pub(crate) script: Asterisk,
    channels: Mutex<BTreeSet<String>>,
    bridges: Mutex<BTreeSet<String>>,
    startup_time: Mutex<String>,
    handler: Mutex<Option<Arc<Handler>>>,
}

impl DialogAsterisk {
    pub(crate) fn start() -> Arc<DialogAsterisk> {
        let asterisk = Arc::new(DialogAsterisk {
            script: Asterisk::start(),
            channels: Mutex::default(),
            bridges: Mutex::default(),
            startup_time: Mutex::new("2026-11-21T07:51:59.890+0000".to_owned()),
            handler: Mutex::default(),
        });
        let weak: Weak<DialogAsterisk> = Arc::downgrade(&asterisk);
        let answer = move |request: &Request| weak.upgrade()?.answer(request);
        asterisk.script.on(answer);
        asterisk
    }

    /// Has `handler` answer requests; those it gives nothing for are answered as without it.
    pub(crate) fn on(
        &self,
        handler: impl Fn(&DialogAsterisk, &Request) -> Option<Reply> + Send + Sync + 'static,
    ) {
        *lock(&self.handler) = Some(Arc::new(handler));
    }

    fn answer(&self, request: &Request) -> Option<Reply> {
        let handler = lock(&self.handler).clone();
        if let Some(reply) = handler.and_then(|handler| handler(self, request)) {
            return Some(reply);
        }
        let segments = request.segments();
        let path: Vec<&str> = segments.iter().skip(1).map(String::as_str).collect();
        let channel = |id: &String| json!({"id": id, "name": format!("PJSIP/{id}"), "state": "Up"});
        match (request.method.as_str(), path.as_slice()) {
            ("GET", ["asterisk", "info"]) => Some(Reply::ok(&json!({
                "build": {"os": "Linux", "user": "nobody"},
                "system": {"version": "22.10.1", "entity_id": ENTITY_ID},
                "config": {"name": "scripted", "default_language": "en"},
                "status": {"startup_time": *lock(&self.startup_time)},
            }))),
            ("GET", ["channels"]) => {
                let channels = lock(&self.channels);
                Some(Reply::ok(&channels.iter().map(channel).collect()))
            }
            ("GET", ["bridges"]) => {
                let bridges = lock(&self.bridges);
                Some(Reply::ok(
                    &bridges.iter().map(|id| json!({"id": id})).collect(),
                ))
            }
            ("GET", ["applications", name]) => Some(Reply::ok(&json!({
                "name": name,
                "channel_ids": *lock(&self.channels),
                "bridge_ids": *lock(&self.bridges),
                "endpoint_ids": [], "device_names": [],
            }))),
            ("GET", ["channels", id]) if lock(&self.channels).contains(*id) => {
                Some(Reply::ok(&channel(&(*id).to_owned())))
            }
            ("POST", ["channels", id, "answer" | "ring" | "hold" | "dtmf"])
                if lock(&self.channels).contains(*id) =>
            {
                Some(Reply::done())
            }
            _ => None,
        }
    }

    /// A channel comes into the application; the event.
    pub(crate) fn begin(&self, id: &str) -> String {
        self.begin_in(APPLICATION, id)
    }

    /// A channel comes into an application; the event.
    pub(crate) fn begin_in(&self, application: &str, id: &str) -> String {
        lock(&self.channels).insert(id.to_owned());
        let event = of_channel_in(application, "StasisStart", id, &json!({"args": []}));
        self.script.push_to(application, &event);
        event
    }

    /// A channel leaves the application and is gone; its StasisEnd.
    pub(crate) fn end(&self, id: &str) -> String {
        let end = of_channel("StasisEnd", id, &json!({}));
        lock(&self.channels).remove(id);
        self.script.push_to(APPLICATION, &end);
        let gone = of_channel("ChannelDestroyed", id, &json!({"cause": 16}));
        self.script.push_to(APPLICATION, &gone);
        end
    }

    /// A channel is there of which nothing was said.
    pub(crate) fn add_channel(&self, id: &str) {
        lock(&self.channels).insert(id.to_owned());
    }

    /// A channel is gone and nothing was said.
    pub(crate) fn forget_channel(&self, id: &str) {
        lock(&self.channels).remove(id);
    }

    /// An event of a channel; the event.
    pub(crate) fn push_channel(&self, kind: &str, id: &str, more: &Value) -> String {
        self.push(of_channel(kind, id, more))
    }

    /// An event to the application; the event.
    pub(crate) fn push(&self, event: impl Into<String>) -> String {
        let event = event.into();
        self.script.push_to(APPLICATION, &event);
        event
    }

    /// It dies and takes all calls with it.
    pub(crate) fn die(&self) {
        self.script.stop();
        lock(&self.channels).clear();
        lock(&self.bridges).clear();
    }

    /// It is started after that.
    pub(crate) fn rise(&self) {
        "2026-11-21T09:00:00.000+0000".clone_into(&mut lock(&self.startup_time));
        self.script.restart();
    }

    /// The requests whose path has this in it, in order.
    pub(crate) fn calls(&self, path: &str) -> Vec<Request> {
        let mut calls = self.script.calls();
        calls.retain(|request| request.path.contains(path));
        calls
    }

    /// The requests but for those that look and change nothing.
    pub(crate) fn changes(&self) -> Vec<Request> {
        let mut calls = self.script.calls();
        calls.retain(|request| request.method != "GET");
        calls
    }
}

/// An event of a channel, as Asterisk writes it.
pub(crate) fn of_channel(kind: &str, id: &str, more: &Value) -> String {
    of_channel_in(APPLICATION, kind, id, more)
}

fn of_channel_in(application: &str, kind: &str, id: &str, more: &Value) -> String {
    let mut event = json!({
        "type": kind, "timestamp": "2026-11-21T08:00:00.000+0000",
        "channel": {
            "id": id, "name": format!("PJSIP/100-{id}"), "state": "Up", "protocol_id": "x",
            "caller": {"name": "", "number": "100"}, "connected": {"name": "", "number": ""},
            "accountcode": "", "creationtime": "2026-11-21T08:00:00.000+0000", "language": "en",
            "dialplan": {"context": "default", "exten": "s", "priority": 2,
                "app_name": "Stasis", "app_data": application},
        },
        "asterisk_id": ENTITY_ID, "application": application,
    });
    for (name, value) in more.as_object().into_iter().flatten() {
        event[name] = value.clone();
    }
    event.to_string()
}

/// An event of anything else, as Asterisk writes it.
pub(crate) fn of_entity(kind: &str, entity: &str, value: &Value) -> String {
    json!({
        "type": kind, "timestamp": "2026-11-21T08:00:00.000+0000", entity: value,
        "asterisk_id": ENTITY_ID, "application": APPLICATION,
    })
    .to_string()
}
