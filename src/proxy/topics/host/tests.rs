mod hardships;
mod links;
mod objects;

use std::collections::HashSet;
use std::sync::Mutex;

use crossbeam_channel::unbounded;
use serde_json::{Value, json};

use super::*;
use crate::ari::websocket::Frame;
use crate::bus::{BusError, Hear, Heard};
use crate::proxy::buffer::Item;
use crate::proxy::topics::call::{Done, Living};
use crate::wire::kind::Entity;
use crate::wire::subject::Subjects;

/// What was asked of topics, in order.
type Asked = Arc<Mutex<Vec<String>>>;

/// The opened ones are not opened again.
struct Fake(Asked, HashSet<String>);

impl Topics for Fake {
    fn open(&mut self, dialog: &str) -> Result<bool, BusError> {
        if self.1.insert(dialog.to_owned()) {
            self.0.lock().unwrap().push(format!("open {dialog}"));
        }
        Ok(true)
    }

    fn offer(
        &mut self,
        topic: &str,
        body: &[u8],
        _: Duration,
        number: u64,
    ) -> Result<(), BusError> {
        let body: Value = serde_json::from_slice(body).unwrap();
        let what = body.get("type").unwrap_or(&body["application"]);
        let offer = format!("offer {number} {topic} {}", what.as_str().unwrap());
        self.0.lock().unwrap().push(offer);
        Ok(())
    }

    fn close(&mut self, dialog: &str) {
        self.1.remove(dialog);
        self.0.lock().unwrap().push(format!("close {dialog}"));
    }

    fn unfinished(&self) -> Vec<Arc<str>> {
        vec!["unfinished".into()]
    }

    fn attend(&mut self) {}
}

struct House {
    host: Host,
    asked: Asked,
}

impl House {
    fn new(max_wait: Duration) -> House {
        let counters = Arc::<Counters>::default();
        let (tell, events) = unbounded();
        let settings = Settings {
            application: "app".into(),
            server: Some("server".into()),
            group: None,
            max_wait,
            most: 3,
            held: 10,
            bytes: 100_000,
        };
        let parts = Parts {
            standing: Arc::new(Standing::new("app", Subjects::new("ari.", "app"))),
            buffer: Arc::new(Buffer::new(1000, 1_000_000, &counters)),
            queue: Arc::new(Queue::new(10, Duration::from_secs(60))),
            counters: Arc::clone(&counters),
        };
        let intake = Intake::new(tell, 100, &counters);
        let mut house = House {
            host: Host::new(settings, parts, intake, events),
            asked: Asked::default(),
        };
        house.connect();
        house
    }

    /// There is a link.
    fn connect(&mut self) {
        self.host.set_link(None);
        self.host
            .begin_on(Box::new(Fake(Arc::clone(&self.asked), HashSet::new())));
        self.clock();
    }

    fn clock(&mut self) {
        self.host.look_at_the_clock();
    }

    fn asked(&self) -> Vec<String> {
        std::mem::take(&mut *self.asked.lock().unwrap())
    }

    /// The number of the last offer.
    fn offer(&self) -> u64 {
        self.host.number
    }

    fn arrive(&mut self, event: Value) {
        self.host
            .arrived(&event.to_string().into_bytes().into(), true);
        self.clock();
    }

    fn about(&mut self, kind: &str, member: &str, id: &str) {
        self.arrive(json!({"type": kind, member: {"id": id}}));
    }

    fn hear(&mut self, heard: Heard) {
        let link = self.host.links;
        self.host.heard(link, heard);
        self.clock();
    }

    fn say(&mut self, dialog: &str, body: &str, redelivered: bool) {
        self.hear(Heard::Command {
            dialog: dialog.to_owned(),
            body: body.as_bytes().to_vec(),
            redelivered,
        });
    }

    fn command(&mut self, dialog: &str, url: &str) {
        let command = json!({"unique_id": url, "method": "POST", "url": url, "body": "{}"});
        self.say(dialog, &command.to_string(), false);
    }

    /// Answers the first command under way.
    fn answer(&mut self, dialog: &str, status: u16, body: &Value) {
        let number = *self.host.under_way.keys().min().unwrap();
        self.host.done(Done {
            dialog: dialog.into(),
            number,
            status,
            body: body.to_string().into_bytes(),
        });
        self.clock();
    }

    /// What was put into the buffer for an application: types of events, statuses of responses.
    fn told(&self) -> Vec<String> {
        let mut told = Vec::new();
        while let Ok(item) = self.host.buffer.receiver().try_recv() {
            if let Item::Direct(direct) = item {
                let body: Value = serde_json::from_slice(&direct.message.body).unwrap();
                told.push(match direct.until {
                    Some(_) => body["status_code"].to_string(),
                    None => body["type"].as_str().unwrap().to_owned(),
                });
            }
        }
        told
    }

    /// A dialog whose application talks, on `channel`.
    fn talking(&mut self, channel: &str) -> String {
        self.about("StasisStart", "channel", channel);
        let opened = self.asked();
        let dialog = opened[0].strip_prefix("open ").unwrap().to_owned();
        self.hear(Heard::Taken(self.offer()));
        self.say(&dialog, "DUMMY", false);
        self.hear(Heard::Taken(self.offer()));
        self.asked();
        assert_eq!(self.told(), Vec::<String>::new());
        dialog
    }

    fn events(&mut self) -> Vec<Event> {
        self.host.events.try_iter().collect()
    }
}

const LONG: Duration = Duration::from_secs(60);

#[test]
fn a_call_from_its_begin_to_its_end() {
    let mut house = House::new(LONG);
    house.about("StasisStart", "channel", "c");
    let asked = house.asked();
    let dialog = asked[0].strip_prefix("open ").unwrap().to_owned();
    assert_eq!(asked[1..], ["offer 1 app app"]);
    house.hear(Heard::Taken(1));
    house.about("ChannelVarset", "channel", "c");
    house.about("ChannelVarset", "channel", "other");
    assert!(house.asked().is_empty() && house.told().is_empty());
    house.say(&dialog, "DUMMY", false);
    assert_eq!(
        house.asked(),
        [format!("offer 2 events_{dialog} StasisStart")]
    );
    house.about("ChannelDtmfReceived", "channel", "c");
    house.hear(Heard::Taken(2));
    assert_eq!(house.told(), ["ChannelVarset", "ChannelDtmfReceived"]);
    house.about("StasisEnd", "channel", "c");
    house.about("ChannelDestroyed", "channel", "c");
    assert_eq!(house.told(), ["StasisEnd"]);
    assert!(house.host.objects.is_empty());
    // As if the time to linger was over.
    let id: Arc<str> = dialog.as_str().into();
    house.host.dialogs.get_mut(&id).unwrap().ended = Instant::now().checked_sub(LONG);
    house.host.advance(&id);
    assert!(
        house.asked().is_empty(),
        "what is in the buffer is not gone yet"
    );
    assert!(house.told().is_empty());
    for event in house.events() {
        house.host.take(event);
    }
    assert_eq!(house.asked(), [format!("close {dialog}")]);
    assert!(house.host.dialogs.is_empty() && house.host.offers.is_empty());
}

#[test]
fn nobody_listens_for_a_while() {
    let mut house = House::new(LONG);
    house.about("StasisStart", "channel", "c");
    house.asked();
    house.hear(Heard::Nobody(1));
    assert!(house.asked().is_empty(), "not at once");
    while house.offer() == 1 {
        house.clock();
    }
    assert_eq!(house.asked(), ["offer 2 app app"]);
    house.hear(Heard::Nobody(1));
    house.clock();
    assert!(house.asked().is_empty(), "that one was heard of");
}

#[test]
fn an_application_that_never_comes() {
    let mut house = House::new(Duration::ZERO);
    house.about("StasisStart", "channel", "c");
    let asked = house.asked();
    assert_eq!(asked.len(), 2, "{asked:?}");
    assert!(asked[1].starts_with("close "));
    assert_eq!(house.host.counters.dialogs_unclaimed.get(), 1);
    house.about("StasisEnd", "channel", "c");
    assert!(house.host.dialogs.is_empty() && house.told().is_empty());
}

#[test]
fn without_a_link_nobody_could_come() {
    let mut house = House::new(Duration::ZERO);
    house.host.set_link(None);
    house.about("StasisStart", "channel", "c");
    house.clock();
    assert_eq!(house.host.dialogs.len(), 1);
    house.about("StasisEnd", "channel", "c");
    assert!(house.host.dialogs.is_empty(), "nobody has to hear of it");
}

#[test]
fn too_many_calls() {
    let mut house = House::new(LONG);
    for channel in ["1", "2", "3", "4"] {
        house.about("StasisStart", "channel", channel);
    }
    assert_eq!(house.host.dialogs.len(), 3);
    assert_eq!(house.host.counters.dialogs_refused.get(), 1);
}

#[test]
fn commands_take_turns() {
    let mut house = House::new(LONG);
    let dialog = house.talking("c");
    house.command(&dialog, "/channels/c/answer");
    house.command(&dialog, "/channels/c/ring");
    house.say(&dialog, "rubbish", false);
    house.command(&dialog, "/../x");
    assert_eq!(house.host.under_way.len(), 1);
    house.answer(&dialog, 204, &json!(null));
    assert_eq!(house.told(), ["204"]);
    house.answer(&dialog, 404, &json!({"message": "no"}));
    assert_eq!(house.told(), ["404", "400", "400"]);
    assert!(house.host.under_way.is_empty());
    for _ in 0..70 {
        house.command(&dialog, "/channels/c/ring");
    }
    assert_eq!(house.told(), ["503"; 5]);
}

#[test]
fn an_application_does_not_wait_for_ever() {
    let mut house = House::new(LONG);
    let dialog = house.talking("c");
    house.command(&dialog, "/channels/c/answer");
    house.command(&dialog, "/channels/c/ring");
    house.clock();
    assert!(house.told().is_empty());
    // As if the first had come long ago.
    let id: Arc<str> = dialog.as_str().into();
    let number = *house.host.under_way.keys().next().unwrap();
    house.host.under_way.get_mut(&number).unwrap().age(LONG);
    let state = house.host.dialogs.get_mut(&id).unwrap();
    state.look = None;
    house.host.look_for_late(&id);
    assert_eq!(house.told(), ["504"]);
    assert_eq!(house.host.under_way.len(), 1, "the next waits for its end");
    house.answer(&dialog, 204, &json!(null));
    assert!(house.told().is_empty(), "nobody waits for it");
    house.answer(&dialog, 204, &json!(null));
    assert_eq!(house.told(), ["204"]);
    house.command(&dialog, "/channels/c/ring");
    house.command(&dialog, "/channels/c/hold");
    let state = house.host.dialogs.get_mut(&id).unwrap();
    state.commands[0].0 = Instant::now().checked_sub(LONG).unwrap();
    state.look = None;
    house.host.look_for_late(&id);
    assert_eq!(house.told(), ["503"]);
    house.answer(&dialog, 204, &json!(null));
    assert_eq!(house.told(), ["204"]);
    assert!(
        house.host.under_way.is_empty(),
        "the late one is not carried out"
    );
}

#[test]
fn a_command_that_comes_again_is_not_carried_out_twice() {
    let mut house = House::new(LONG);
    let dialog = house.talking("c");
    let command = r#"{"unique_id":"","method":"POST","url":"/channels/c/ring","body":""}"#;
    house.say(&dialog, command, false);
    house.say(&dialog, command, true);
    let other = command.replace("ring", "answer");
    house.say(&dialog, &other, true);
    house.answer(&dialog, 204, &json!(null));
    house.answer(&dialog, 204, &json!(null));
    assert_eq!(house.told(), ["204", "204"]);
    assert_eq!(house.host.counters.requests_redelivered.get(), 1);
}

#[test]
fn the_first_command_shows_an_application_too() {
    let mut house = House::new(LONG);
    house.about("StasisStart", "channel", "c");
    let dialog = house.asked()[0].strip_prefix("open ").unwrap().to_owned();
    house.command(&dialog, "/channels/c/answer");
    assert_eq!(
        house.asked(),
        [format!("offer 2 events_{dialog} StasisStart")]
    );
    assert_eq!(house.host.under_way.len(), 1);
    house.hear(Heard::Nobody(1));
    house.hear(Heard::Nobody(2));
    let last = house.offer();
    while house.offer() == last {
        house.clock();
    }
    assert_eq!(house.asked().len(), 1);
}

#[test]
fn nothing_that_waits_is_passed_over() {
    let mut house = House::new(LONG);
    house.talking("c");
    let event = json!({"type": "ChannelVarset", "channel": {"id": "c"}}).to_string();
    let count = 3 * ROUND;
    for _ in 0..count {
        let frame = Frame::from(event.clone().into_bytes());
        house.host.intake.tell(Event::Arrived(frame));
    }
    house.host.intake.tell(Event::Finish);
    house
        .host
        .intake
        .waiting
        .store(count, std::sync::atomic::Ordering::Relaxed);
    let buffer = Arc::clone(&house.host.buffer);
    house.host.run();
    assert_eq!(buffer.receiver().len(), count);
}

#[test]
fn the_proxy_ends() {
    let mut house = House::new(LONG);
    let dialog = house.talking("c");
    house.host.take(Event::Finish);
    assert_eq!(house.asked(), [format!("close {dialog}")]);
    assert!(house.host.finishing.is_some());
}

#[test]
fn commands_that_wait_are_bounded() {
    let house = House::new(LONG);
    let intake = &house.host.intake;
    let hear: Hear = {
        let intake = intake.clone();
        Box::new(move |heard| intake.heard(1, heard))
    };
    for _ in 0..20_000 {
        hear(Heard::Command {
            dialog: "d".into(),
            body: Vec::new(),
            redelivered: false,
        });
    }
    assert_eq!(house.host.events.len(), 16_384);
    assert_eq!(house.host.counters.requests_dropped.get(), 20_000 - 16_384);
    for _ in 0..200 {
        intake.arrived(Frame::from_static(b"{}"));
    }
    assert_eq!(house.host.events.len(), 16_384 + 100);
    assert_eq!(house.host.counters.topic_events_dropped.get(), 100);
}
