//! The usual set: a server of a bus, a scripted Asterisk, a proxy between them, a client on the bus.

use serde_json::{Value, json};

use super::asterisk::{Asterisk, ENTITY_ID};
use super::bus::{Bus, BusKind, Server};
use super::proxy::{ProxyBuilder, ProxyProcess};

/// The application of every rig.
pub(crate) const APPLICATION: &str = "conf";

/// The set. The proxy goes first when it is dropped.
pub(crate) struct Rig {
    /// The proxy.
    pub(crate) proxy: ProxyProcess,
    /// The client.
    pub(crate) bus: Bus,
    /// The Asterisk.
    pub(crate) asterisk: Asterisk,
    /// The server.
    pub(crate) server: Server,
}

impl Rig {
    /// Starts one and waits until the proxy has announced itself.
    pub(crate) fn start(on: BusKind) -> Rig {
        Rig::with(on, |proxy| proxy)
    }

    /// Starts one with a proxy configured further.
    pub(crate) fn with(on: BusKind, configure: impl FnOnce(ProxyBuilder) -> ProxyBuilder) -> Rig {
        Rig::on(Server::start(on), configure)
    }

    /// Starts one whose server may come to harm.
    pub(crate) fn own(on: BusKind, configure: impl FnOnce(ProxyBuilder) -> ProxyBuilder) -> Rig {
        Rig::on(Server::start_own(on), configure)
    }

    /// Starts one with this server.
    pub(crate) fn on(server: Server, configure: impl FnOnce(ProxyBuilder) -> ProxyBuilder) -> Rig {
        let asterisk = Asterisk::start();
        let bus = Bus::connect(&server.url());
        let announcements = bus.subscribe("ari.announce");
        let builder = ProxyBuilder::new(APPLICATION, &asterisk, &server.url());
        let proxy = configure(builder).spawn();
        announcements.expect("the first announcement");
        Rig {
            proxy,
            bus,
            asterisk,
            server,
        }
    }

    /// The proxy's own subject of `class`.
    pub(crate) fn subject(&self, class: &str) -> String {
        format!("ari.{class}.{APPLICATION}.{ENTITY_ID}")
    }

    /// The answer to a request on the proxy's own subject of `class`.
    pub(crate) fn ask(&self, class: &str, request: &Value) -> Value {
        self.bus.ask(&self.subject(class), request)
    }

    /// Binds `dialog` to an entity without any REST call.
    pub(crate) fn bind(&self, subscribe_kind: &str, key_kind: &str, id: &str, dialog: &str) {
        let key = json!({"kind": key_kind, "id": id, "dialog": dialog});
        let answer = self.ask("command", &json!({"kind": subscribe_kind, "key": key}));
        assert_eq!(answer, json!({"error": ""}), "{subscribe_kind} {id}");
    }

    /// The error of a request that finds out whether the proxy serves: none where it does.
    pub(crate) fn probe(&self) -> Option<String> {
        let timeout = std::time::Duration::from_secs(5);
        let request = json!({"kind": "AsteriskInfo", "key": null});
        let Some(answer) = self.bus.try_ask(&self.subject("data"), &request, timeout) else {
            return Some("no answer".to_owned());
        };
        let error = answer["error"].as_str().unwrap_or("no error member");
        (!error.is_empty()).then(|| error.to_owned())
    }
}
