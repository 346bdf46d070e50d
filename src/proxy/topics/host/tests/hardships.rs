//! What must not go wrong when others are slow, gone, or mean no good.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, ThreadId};

use crossbeam_channel::{Sender, never};

use super::*;
use crate::bus::link::Use;
use crate::bus::{Connected, Mark, Reply, Topic};
use crate::proxy::topics::ANSWER_BY;

impl House {
    pub(super) fn dialog(&mut self, id: &str) -> &mut Dialog {
        self.host.dialogs.get_mut(id).unwrap()
    }

    /// The types of the events that the dialog of `channel` holds.
    pub(super) fn held(&self, channel: &str) -> Vec<String> {
        let mut dialogs = self.host.dialogs.values();
        let dialog = dialogs.find(|it| it.channel == channel).unwrap();
        let kinds = dialog.held.iter().map(|(event, _)| {
            let event: Value = serde_json::from_slice(event).unwrap();
            event["type"].as_str().unwrap().to_owned()
        });
        kinds.collect()
    }

    pub(super) fn take_all(&mut self) {
        for event in self.events() {
            self.host.take(event);
        }
        self.clock();
    }
}

/// Topics that open in another way.
struct Opening<F>(Fake, F);

impl<F> Topics for Opening<F>
where
    F: Fn(&mut Fake, &str) -> Result<bool, BusError> + Send,
{
    fn open(&mut self, dialog: &str) -> Result<bool, BusError> {
        (self.1)(&mut self.0, dialog)
    }

    fn offer(
        &mut self,
        topic: &str,
        body: &[u8],
        lasts: Duration,
        number: u64,
    ) -> Result<(), BusError> {
        self.0.offer(topic, body, lasts, number)
    }

    fn close(&mut self, dialog: &str) {
        self.0.close(dialog);
    }

    fn attend(&mut self) {}
}

#[test]
fn nobody_is_told_of_a_call_before_its_topics_are_open() {
    let mut house = House::new(LONG);
    let full = Arc::new(AtomicBool::new(true));
    let fake = Fake(Arc::clone(&house.asked), HashSet::new());
    let is_full = Arc::clone(&full);
    let open = move |fake: &mut Fake, dialog: &str| match is_full.load(Ordering::Relaxed) {
        true => Err(BusError::Busy),
        false => fake.open(dialog),
    };
    house.host.topics = Some(Box::new(Opening(fake, open)));
    house.about("StasisStart", "channel", "c");
    assert!(house.asked().is_empty());
    full.store(false, Ordering::Relaxed);
    while house.asked.lock().unwrap().is_empty() {
        house.clock();
    }
    let asked = house.asked();
    assert!(
        asked[0].starts_with("open ") && asked[1].starts_with("offer "),
        "{asked:?}"
    );
}

/// It takes its time.
fn late(fake: &mut Fake, dialog: &str) -> Result<bool, BusError> {
    fake.open(dialog).map(|_| false)
}

#[test]
fn time_does_not_count_before_the_topics_are_there() {
    let mut house = House::new(Duration::ZERO);
    let fake = Fake(Arc::clone(&house.asked), HashSet::new());
    house.host.topics = Some(Box::new(Opening(fake, late)));
    house.host.settings.max_wait = LONG;
    house.about("StasisStart", "channel", "c");
    let id = house.host.dialogs.keys().next().cloned().unwrap();
    let deadline = |house: &House| house.host.dialogs[&id].deadline;
    let before = deadline(&house);
    house.host.dialogs.get_mut(&id).unwrap().deadline = Instant::now();
    house.host.advance(&id);
    house.clock();
    assert_eq!(
        house.asked(),
        [format!("open {id}")],
        "nobody hears DUMMY yet"
    );
    house.host.topics = Some(Box::new(Fake(Arc::clone(&house.asked), HashSet::new())));
    house.hear(Heard::Listening(id.to_string()));
    assert!(
        house
            .asked()
            .iter()
            .any(|asked| asked.starts_with("offer "))
    );
    assert!(deadline(&house) > before);
    house.hear(Heard::Listening(id.to_string()));
    assert!(house.asked().is_empty(), "it is heard once");
    house.about("StasisStart", "channel", "d");
    house.asked();
    let fake = Fake(Arc::clone(&house.asked), HashSet::new());
    house.host.topics = Some(Box::new(Opening(fake, late)));
    house.about("StasisStart", "channel", "e");
    house.about("StasisEnd", "channel", "e");
    assert_eq!(house.host.dialogs.len(), 2, "nobody has to hear of it");
}

#[test]
fn lost_events_are_told_of() {
    let mut house = House::new(LONG);
    house.about("StasisStart", "channel", "c");
    for _ in 0..12 {
        house.about("ChannelVarset", "channel", "c");
    }
    assert_eq!(house.host.counters.topic_events_dropped.get(), 3);
    assert!(house.host.told > 0);
}

#[test]
fn nothing_overtakes_what_waits() {
    let mut house = House::new(LONG);
    let dialog = house.talking("c");
    house.command(&dialog, "/channels");
    house.about("StasisStart", "channel", "new");
    house.about("ChannelVarset", "channel", "new");
    for _ in 0..4095 {
        house.about("ChannelVarset", "channel", "of others");
    }
    house.about("ChannelDtmfReceived", "channel", "new");
    let held = ["StasisStart", "ChannelVarset", "ChannelDtmfReceived"];
    assert_eq!(house.held("new"), held);
}

#[test]
fn what_is_read_does_not_overtake_what_waits() {
    let mut house = House::new(LONG);
    let slow = house.talking("c");
    let other = house.talking("d");
    house.command(&slow, "/channels");
    house.about("ChannelVarset", "channel", "x");
    let read = json!({"unique_id": "", "method": "GET", "url": "/channels/x", "body": "{}"});
    house.say(&other, &read.to_string(), false);
    let number = house.host.dialogs[&*other].busy.unwrap();
    house.host.done(Done {
        dialog: other.as_str().into(),
        number,
        status: 200,
        body: b"{\"id\":\"x\"}".to_vec(),
    });
    house.about("ChannelDtmfReceived", "channel", "x");
    assert_eq!(
        house.told(),
        ["200", "ChannelVarset", "ChannelDtmfReceived"]
    );
}

#[test]
fn new_calls_do_not_wait_for_ever() {
    let mut house = House::new(LONG);
    let dialog = house.talking("c");
    house.command(&dialog, "/channels");
    house.about("StasisStart", "channel", "new");
    assert_eq!(house.host.dialogs.len(), 1);
    let number = *house.host.under_way.keys().next().unwrap();
    house
        .host
        .under_way
        .get_mut(&number)
        .unwrap()
        .age(ANSWER_BY);
    house.dialog(&dialog).look = None;
    house.host.look_for_late(&dialog.as_str().into());
    assert_eq!(house.told(), ["504"]);
    assert_eq!(house.host.dialogs.len(), 2);
    house.about("StasisStart", "channel", "newer");
    assert_eq!(house.host.dialogs.len(), 3);
    house.answer(&dialog, 200, &json!({"id": "made"}));
    assert!(house.host.objects.is_owned(Entity::Channel, "made"));
}

#[test]
fn what_has_ended_before_its_answer_is_no_more() {
    let mut house = House::new(LONG);
    let dialog = house.talking("c");
    house.command(&dialog, "/channels/c/play/p");
    for kind in ["PlaybackStarted", "PlaybackFinished"] {
        house.arrive(json!({"type": kind,
            "playback": {"id": "p", "target_uri": "channel:c"}}));
    }
    house.answer(&dialog, 201, &json!({"id": "p"}));
    assert_eq!(house.told(), ["PlaybackStarted", "PlaybackFinished", "201"]);
    assert!(!house.host.objects.is_owned(Entity::Playback, "p"));
}

#[test]
fn a_dialog_does_not_live_by_what_was_never_made() {
    let mut house = House::new(LONG);
    for status in [404, 503] {
        let dialog = house.talking("c");
        house.command(&dialog, "/channels/d");
        house.about("ChannelDestroyed", "channel", "c");
        assert!(house.dialog(&dialog).ended.is_none());
        house.answer(&dialog, status, &json!({}));
        assert!(house.dialog(&dialog).ended.is_some(), "{status}");
        house.told();
    }
    let dialog = house.talking("c");
    house.command(&dialog, "/channels/d");
    house.about("ChannelDestroyed", "channel", "c");
    house.answer(&dialog, 504, &json!({}));
    let living = Living {
        asked: Instant::now() + LONG,
        channels: Default::default(),
        bridges: Default::default(),
    };
    assert!(house.host.missing(&living) && house.host.missing(&living));
    assert_eq!(
        house.told(),
        ["ChannelDestroyed", "504", "ChannelDestroyed"]
    );
    assert!(house.dialog(&dialog).ended.is_some());
}

/// A link that says who asks it for topics.
struct Telling(Sender<ThreadId>, Receiver<()>);

impl fmt::Display for Telling {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("telling")
    }
}

impl Link for Telling {
    fn publish(
        &self,
        _: Topic,
        _: &str,
        _: Option<&Mark>,
        _: &[u8],
    ) -> Result<Option<u64>, BusError> {
        Err(BusError::Busy)
    }

    fn taken(&self) -> u64 {
        0
    }

    fn is_uncertain(&self) -> bool {
        false
    }

    fn heard(&self) -> Instant {
        Instant::now()
    }

    fn answer(&self, _: &Reply, _: &[u8]) -> Result<(), BusError> {
        Err(BusError::Busy)
    }

    fn flush(&self) {}

    fn wait(&self, _: Duration) {}

    fn settle(&self, _: Duration) -> bool {
        true
    }

    fn with_inbox(&self, _: Topic, _: Use<'_>) -> Result<(), BusError> {
        Err(BusError::Lost)
    }

    fn topics(&self, _: &str, _: Option<&str>, _: Hear) -> Result<Box<dyn Topics>, BusError> {
        self.0.send(thread::current().id()).unwrap();
        Ok(Box::new(Fake(Asked::default(), HashSet::new())))
    }
}

impl Connected for Telling {
    fn check(&self) {}

    fn lost(&self) -> &Receiver<()> {
        &self.1
    }

    fn is_lost(&self) -> bool {
        false
    }

    fn why(&self) -> Option<String> {
        None
    }

    fn peer(&self) -> String {
        "telling".into()
    }

    fn close(&self) {}
}

#[test]
fn a_broker_that_takes_its_time_is_not_waited_for() {
    let mut house = House::new(LONG);
    house.told();
    house.take_all();
    let (tell, who) = unbounded();
    let link = || Some(Arc::new(Telling(tell.clone(), never())) as Arc<dyn Link>);
    house.host.set_link(link());
    assert_ne!(who.recv().unwrap(), thread::current().id());
    let event = house.host.events.recv().unwrap();
    assert!(house.host.topics.is_none());
    house.host.take(event);
    assert!(house.host.topics.is_some());
    house.host.set_link(link());
    let late = loop {
        match house.host.events.recv().unwrap() {
            event @ Event::Topics(..) => break event,
            other => house.host.take(other),
        }
    };
    house.host.set_link(None);
    house.host.take(late);
    assert!(house.host.topics.is_none(), "they are of a lost link");
}

#[test]
fn commands_are_answered_at_the_end() {
    let mut house = House::new(LONG);
    let dialog = house.talking("c");
    for _ in 0..3 {
        house.command(&dialog, "/channels/c/ring");
    }
    let number = house.dialog(&dialog).busy.unwrap();
    house.host.take(Event::Finish);
    assert_eq!(house.told(), ["503"; 3]);
    house.host.done(Done {
        dialog: dialog.as_str().into(),
        number,
        status: 204,
        body: Vec::new(),
    });
    assert!(house.told().is_empty());
}

#[test]
fn large_commands_are_bounded_for_all_dialogs() {
    let mut house = House::new(LONG);
    let (one, other) = (house.talking("c"), house.talking("d"));
    let body = format!("\"{}\"", "x".repeat(40_000));
    let command = json!({"method": "POST", "url": "/channels/c/ring", "body": body}).to_string();
    for dialog in [&one, &one, &one, &other, &other] {
        house.say(dialog, &command, false);
    }
    assert_eq!(house.told(), ["503"], "one that has to wait");
    assert_eq!(house.host.under_way.len(), 2);
    house.answer(&one, 204, &json!(null));
    assert_eq!(house.told(), ["204"]);
    house.say(&other, &command, false);
    assert!(house.told().is_empty());

    let intake = house.host.intake.clone();
    let before = house.host.events.len();
    for _ in 0..2_000 {
        intake.heard(
            1,
            Heard::Command {
                dialog: "d".into(),
                body: vec![0; 64 * 1024],
                redelivered: false,
            },
        );
    }
    assert_eq!(house.host.events.len() - before, 1024);
    house.take_all();
    assert_eq!(house.host.counters.requests_dropped.get(), 2_000 - 1024);
    intake.heard(
        1,
        Heard::Command {
            dialog: "d".into(),
            body: Vec::new(),
            redelivered: false,
        },
    );
    assert_eq!(house.host.events.len(), 1);
}
