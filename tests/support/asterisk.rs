//! A scripted Asterisk: answers what a test tells it to, keeps a log, and fails on demand.

use std::sync::{Arc, Condvar, Mutex};

use serde_json::json;

use super::ports::free_port;
use super::server::{Reply, Request, Server, lock};
use super::wait::{SOON, wait_until};

/// The ARI user of every scripted Asterisk.
pub(crate) const USER: &str = "tester";

/// Its password; nothing of the proxy may show it.
pub(crate) const PASSWORD: &str = "s3cr3t-Pa55word";

/// The entity id that every scripted Asterisk starts with.
pub(crate) const ENTITY_ID: &str = "02:42:ac:11:00:02";

type Handler = dyn Fn(&Request) -> Option<Reply> + Send + Sync;

/// A scripted Asterisk on a loopback port.
pub(crate) struct Asterisk {
    server: Server,
    script: Arc<Script>,
}

struct Script {
    entity_id: Mutex<String>,
    handler: Mutex<Option<Arc<Handler>>>,
    requests: Mutex<Vec<Request>>,
    calls: Mutex<Vec<Request>>,
    stalled: Mutex<bool>,
    resumed: Condvar,
}

impl Asterisk {
    /// Starts one.
    pub(crate) fn start() -> Asterisk {
        let script = Arc::new(Script {
            entity_id: Mutex::new(ENTITY_ID.to_owned()),
            handler: Mutex::default(),
            requests: Mutex::default(),
            calls: Mutex::default(),
            stalled: Mutex::new(false),
            resumed: Condvar::new(),
        });
        let answer = {
            let script = Arc::clone(&script);
            Box::new(move |request: &Request| script.answer(request))
        };
        Asterisk {
            server: Server::start(free_port(), USER, PASSWORD, answer),
            script,
        }
    }

    /// Its port.
    pub(crate) fn port(&self) -> u16 {
        self.server.port()
    }

    /// What `ari.http_url` must be to reach it.
    pub(crate) fn http_url(&self) -> String {
        format!("http://127.0.0.1:{}/ari", self.port())
    }

    /// What `ari.websocket_url` must be to reach it.
    pub(crate) fn websocket_url(&self) -> String {
        format!("ws://127.0.0.1:{}/ari/events", self.port())
    }

    /// Changes the entity id that it tells.
    pub(crate) fn entity_id(&self, id: &str) {
        id.clone_into(&mut lock(&self.script.entity_id));
    }

    /// Has `handler` answer requests; those it gives nothing for are answered as without it.
    pub(crate) fn on(&self, handler: impl Fn(&Request) -> Option<Reply> + Send + Sync + 'static) {
        *lock(&self.script.handler) = Some(Arc::new(handler));
    }

    /// Every request so far.
    pub(crate) fn requests(&self) -> Vec<Request> {
        lock(&self.script.requests).clone()
    }

    /// The requests so far, but for those for the Asterisk's information and its ping.
    pub(crate) fn calls(&self) -> Vec<Request> {
        lock(&self.script.calls).clone()
    }

    /// Forgets the requests so far.
    pub(crate) fn forget(&self) {
        lock(&self.script.requests).clear();
        lock(&self.script.calls).clear();
    }

    /// Sends an event to every websocket.
    pub(crate) fn push(&self, event: impl AsRef<[u8]>) {
        self.server.push(None, event.as_ref());
    }

    /// Sends an event to the websockets of `application`.
    pub(crate) fn push_to(&self, application: &str, event: impl AsRef<[u8]>) {
        self.server.push(Some(application), event.as_ref());
    }

    /// How many websockets are open.
    pub(crate) fn websockets(&self) -> usize {
        self.server.websockets()
    }

    /// Waits until `count` websockets are open.
    pub(crate) fn wait_websockets(&self, count: usize) {
        wait_until(&format!("{count} websockets"), SOON, || {
            self.websockets() == count
        });
    }

    /// The requests that became websockets.
    pub(crate) fn websocket_requests(&self) -> Vec<Request> {
        self.server.upgrades()
    }

    /// Closes every connection but the websockets, as the real one does with idle ones.
    pub(crate) fn close_http(&self) {
        self.server.close_http();
    }

    /// Ends every websocket without a close frame.
    pub(crate) fn drop_websockets(&self) {
        self.server.drop_websockets();
    }

    /// Cuts every connection and refuses new ones.
    pub(crate) fn stop(&self) {
        self.server.down();
    }

    /// Comes back on the same port.
    pub(crate) fn restart(&self) {
        self.server.up();
    }

    /// Accepts requests without answering them, or answers them again.
    pub(crate) fn stall_http(&self, stalled: bool) {
        *lock(&self.script.stalled) = stalled;
        self.script.resumed.notify_all();
    }

    /// How many connections are open, websockets included.
    pub(crate) fn open_connections(&self) -> usize {
        self.server.open()
    }

    /// The most connections that were ever open at once, websockets included.
    pub(crate) fn most_open_connections(&self) -> usize {
        self.server.most_open()
    }
}

impl Drop for Asterisk {
    fn drop(&mut self) {
        self.stall_http(false);
    }
}

impl Script {
    fn answer(&self, request: &Request) -> Reply {
        let own = request.method == "GET"
            && matches!(
                request.path.as_str(),
                "/ari/asterisk/info" | "/ari/asterisk/ping"
            );
        lock(&self.requests).push(request.clone());
        if !own {
            lock(&self.calls).push(request.clone());
        }
        let mut stalled = lock(&self.stalled);
        while *stalled {
            stalled = match self.resumed.wait(stalled) {
                Ok(stalled) => stalled,
                Err(poisoned) => poisoned.into_inner(),
            };
        }
        drop(stalled);
        let handler = lock(&self.handler).clone();
        if let Some(reply) = handler.and_then(|handler| handler(request)) {
            return reply;
        }
        match request.path.as_str() {
            "/ari/asterisk/info" if own => Reply::ok(&json!({
                "build": {"os": "Linux", "user": "nobody"},
                "system": {"version": "22.10.1", "entity_id": *lock(&self.entity_id)},
                "config": {"name": "scripted", "default_language": "en"},
                "status": {"startup_time": "2026-11-21T07:51:59.890+0000"},
            })),
            "/ari/asterisk/ping" if own => {
                Reply::ok(&json!({"ping": "pong", "timestamp": "", "asterisk_id": ""}))
            }
            _ => Reply::not_found("Resource not found"),
        }
    }
}
