//! The examples of the client, against a real Asterisk over either bus where one is given, and against the
//! simulated one.

use std::time::Instant;

use ari_proxy::client::{Channel, Client, Error, Originate};

use crate::real::{Place, place, unique};
use crate::support::bus::{BusKind, Server, on_each_bus};
use crate::support::ports::free_port;
use crate::support::program::Program;
use crate::support::proxy::{ProxyBuilder, ProxyProcess};
use crate::support::wait::{SOON, wait_for, wait_until};

on_each_bus!(
    answer_and_play,
    bridge_two_callers,
    record_message,
    originate_and_play,
    watch_events,
    cluster_view,
);

/// An Asterisk, a proxy between it and a bus, and a client that makes calls.
struct House {
    application: String,
    client: Client,
    _proxy: ProxyProcess,
    server: Server,
    _simulated: Option<Program>,
}

/// A simulated Asterisk, and where it is.
fn simulated() -> (Program, Place) {
    let port = free_port().to_string();
    let program = Program::start("simulated-asterisk", "", "", &["--port", &port]);
    program.line("it starts");
    let place = Place {
        user: "ari".to_owned(),
        password: "secret".to_owned(),
        rest: format!("127.0.0.1:{port}/ari"),
    };
    (program, place)
}

/// Runs `test` with the simulated Asterisk, and with a real one where there is one.
fn each(on: BusKind, test: impl Fn(&House)) {
    let (program, simulated) = simulated();
    test(&House::at(&simulated, Some(program), on));
    if let Some(real) = place() {
        test(&House::at(&real, None, on));
    }
}

impl House {
    fn at(place: &Place, simulated: Option<Program>, on: BusKind) -> House {
        let server = Server::start(on);
        let application = unique("app");
        let proxy = ProxyBuilder::bare()
            .env("ARI_APPLICATION", &application)
            .env("ARI_USERNAME", &place.user)
            .env("ARI_PASSWORD", &place.password)
            .env("ARI_HTTP_URL", format!("http://{}", place.rest))
            .env("ARI_WEBSOCKET_URL", place.websocket_url())
            .env("MESSAGEBUS_URL", server.url())
            .spawn();
        let client = Client::builder()
            .application(&application)
            .url(&server.url())
            .request_timeout(SOON)
            .connect()
            .expect("a client");
        wait_until("the proxy is there", SOON, || client.cluster().len() == 1);
        House {
            application,
            client,
            _proxy: proxy,
            server,
            _simulated: simulated,
        }
    }

    /// Runs an example whose first line is this.
    fn run(&self, example: &str, arguments: &[&str], first: &str) -> Program {
        let program = Program::start(example, &self.application, &self.server.url(), arguments);
        if !first.is_empty() {
            assert_eq!(program.line(first), first);
        }
        program
    }

    /// A call that comes into the application. Its other half hums for ever.
    fn call(&self) -> Channel {
        let call = Originate::to("Local/100@tone");
        self.client.channels().originate(&call).expect("a call")
    }

    /// The Asterisk. What is asked of it alone is answered once, and nobody else is waited for.
    fn asterisk(&self) -> String {
        self.client.cluster().remove(0).asterisk
    }

    /// Waits until `channel` is gone.
    fn gone(&self, channel: &Channel) {
        wait_until("the channel is gone", SOON, || {
            matches!(channel.data(), Err(Error::NotFound(_)))
        });
    }
}

fn answer_and_play(on: BusKind) {
    each(on, |house| {
        let program = house.run("answer_and_play", &[], "waiting for calls");
        for _ in 0..2 {
            let call = house.call();
            assert_eq!(program.line("it is served"), format!("{}: done", call.id()));
            house.gone(&call);
        }
    });
}

fn bridge_two_callers(on: BusKind) {
    each(on, |house| {
        let program = house.run("bridge_two_callers", &[], "waiting for calls");
        let first = house.call();
        wait_until("the first waits for the second", SOON, || {
            first.data().is_ok_and(|data| data.state == "Up")
        });
        let second = house.call();
        let both = format!("{} and {}", first.id(), second.id());
        assert_eq!(program.line("they talk"), format!("{both}: talking"));
        // Of its own, as a young client waits for all who may be there as long as for an answer.
        let client = Client::builder()
            .application(&house.application)
            .url(&house.server.url())
            .connect()
            .expect("a client");
        let bridge = wait_for("their bridge", SOON, || {
            let bridges = client.bridges().list().unwrap_or_default();
            let mine = bridges.iter().filter_map(|bridge| bridge.data().ok());
            mine.into_iter()
                .find(|data| data.channels.iter().any(|id| id == first.id()))
        });
        assert_eq!(bridge.channels.len(), 2);
        second.hangup().expect("hung up");
        assert_eq!(program.line("it is over"), format!("{both}: over"));
        house.gone(&first);
    });
}

fn record_message(on: BusKind) {
    each(on, |house| {
        let program = house.run("record_message", &["1"], "waiting for calls");
        let call = house.call();
        let name = format!("message-{}", call.id());
        assert_eq!(
            program.line("it is recorded"),
            format!("{}: {name}.wav", call.id())
        );
        house.gone(&call);
        let stored = house.client.recordings().stored().at(&house.asterisk());
        let stored = stored.handle(&name);
        stored.delete().expect("deleted");
        let gone = stored.data().expect_err("it is gone");
        assert!(matches!(gone, Error::NotFound(_)), "{gone}");
    });
}

fn originate_and_play(on: BusKind) {
    each(on, |house| {
        let mut program = house.run("originate_and_play", &["Local/100@tone"], "");
        let first = program.line("it calls");
        let (id, rest) = first.split_once(": ").expect("an id");
        assert_eq!(rest, "calling Local/100@tone");
        assert_eq!(program.line("it has played"), format!("{id}: done"));
        assert!(program.ends());
        let there = house.client.channels().at(&house.asterisk());
        house.gone(&there.handle(id));
    });
}

fn watch_events(on: BusKind) {
    each(on, |house| {
        let watching = format!("watching {}", house.application);
        let program = house.run("watch_events", &[], &watching);
        let call = house.call();
        call.answer().expect("answered");
        let sound = call.play("sound:hello-world").expect("it plays");
        assert_eq!(sound.wait().expect("it ends").state, "done");
        call.hangup().expect("hung up");
        for kind in [
            "StasisStart",
            "PlaybackStarted",
            "PlaybackFinished",
            "StasisEnd",
        ] {
            let deadline = Instant::now() + SOON;
            while !program.line(kind).contains(kind) {
                assert!(Instant::now() < deadline, "{kind}");
            }
        }
    });
}

fn cluster_view(on: BusKind) {
    each(on, |house| {
        let call = house.call();
        let mut program = house.run("cluster_view", &[], "");
        let line = program.line("a proxy");
        let member = &house.client.cluster()[0];
        let begin = format!("{} {}: ", member.asterisk, house.application);
        let rest = line
            .strip_prefix(&begin)
            .unwrap_or_else(|| panic!("{line}"));
        let channels = rest.split(' ').next().and_then(|count| count.parse().ok());
        assert!(channels >= Some(1), "{line}");
        assert_eq!(program.line("all of them"), "--");
        assert!(program.ends());
        call.hangup().expect("hung up");
    });
}
