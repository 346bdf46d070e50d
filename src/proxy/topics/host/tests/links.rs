//! What becomes of dialogs when their link does not last.

use super::*;

#[test]
fn a_lost_link() {
    let mut house = House::new(LONG);
    let dialog = house.talking("c");
    house.connect();
    house.about("ChannelVarset", "channel", "c");
    assert_eq!(house.held("c"), ["ChannelVarset"], "it goes on");
    house.told();
    house.host.drop_dialog(&dialog);
    house.about("StasisStart", "channel", "d");
    house.asked();
    house.hear(Heard::Taken(house.offer()));
    let offer = house.offer();
    house.connect();
    assert_eq!(house.offer(), offer, "the application may have heard of it");
    house.host.heard(0, Heard::Nobody(offer));
    let id = house.host.dialogs.keys().next().cloned().unwrap();
    let stage = house.host.dialogs[&id].stage;
    assert!(matches!(stage, Stage::New(when) if when > Instant::now()));
    house.asked();
    house.say(&id, "DUMMY", false);
    assert_eq!(
        house.asked(),
        [format!("offer {} events_{id} StasisStart", offer + 1)]
    );
    house.connect();
    house.asked();
    house.host.dialogs.get_mut(&id).unwrap().stage = Stage::Greeted(Instant::now());
    house.host.advance(&id);
    assert_eq!(
        house.asked(),
        [format!("offer {} events_{id} StasisStart", offer + 2)]
    );
}

#[test]
fn a_link_without_topics_for_long() {
    let mut house = House::new(LONG);
    house.about("StasisStart", "channel", "c");
    house.host.set_link(None);
    let id = house.host.dialogs.keys().next().cloned().unwrap();
    house.dialog(&id).deadline = Instant::now();
    house.connect();
    assert_eq!(house.host.dialogs.len(), 1, "nobody could come");
}

#[test]
fn an_application_that_comes_back_later_than_we() {
    let mut house = House::new(LONG);
    let dialog = house.talking("c");
    house.about("ChannelVarset", "channel", "c");
    house.connect();
    house.about("StasisEnd", "channel", "c");
    assert!(!house.asked().iter().any(|asked| asked.starts_with("offer")));
    assert_eq!(house.told(), ["ChannelVarset"], "what was said comes first");
    house.take_all();
    let offer = house.offer();
    assert_eq!(
        house.asked(),
        [format!("offer {offer} events_{dialog} StasisEnd")]
    );
    house.hear(Heard::Nobody(offer));
    while house.offer() == offer {
        house.clock();
    }
    house.hear(Heard::Taken(house.offer()));
    assert_eq!(house.dialog(&dialog).stage, Stage::Talking);
    house.dialog(&dialog).ended = Instant::now().checked_sub(LONG);
    house.host.advance(&dialog.as_str().into());
    house.told();
    house.take_all();
    assert!(house.host.dialogs.is_empty());
}

#[test]
fn an_application_that_comes_back_to_nothing_new() {
    let mut house = House::new(LONG);
    let dialog = house.talking("c");
    house.connect();
    house.told();
    house.take_all();
    house.dialog(&dialog).deadline = Instant::now();
    house.host.advance(&dialog.as_str().into());
    assert_eq!(
        house.host.dialogs.len(),
        1,
        "it has nothing to be there for"
    );
    let last = house.offer();
    house.about("ChannelVarset", "channel", "c");
    house.about("ChannelDtmfReceived", "channel", "c");
    assert_eq!(house.offer(), last + 1);
    house.hear(Heard::Taken(last + 1));
    assert_eq!(house.told(), ["ChannelDtmfReceived"]);
    // What passes late is of no interest.
    house.connect();
    house.host.repeated(house.host.links - 1);
    assert_eq!(house.dialog(&dialog).stage, Stage::Doubted);
}

#[test]
fn what_a_link_has_not_removed_the_next_one_does() {
    let mut house = House::new(LONG);
    assert!(house.asked().is_empty());
    house.connect();
    assert_eq!(house.asked(), ["close unfinished"]);
    for _ in 0..9 {
        house
            .host
            .begin_on(Box::new(Fake(Arc::clone(&house.asked), HashSet::new())));
        house.host.set_link(None);
    }
    assert_eq!(house.host.unclosed.len(), 1);
    house.host.unclosed = vec!["x".into(); 3];
    house.connect();
    assert_eq!(house.host.unclosed.len(), 0);
}

#[test]
fn the_end_counts_from_when_it_is_delivered() {
    let mut house = House::new(LONG);
    house.about("StasisStart", "channel", "c");
    let dialog = house.asked()[0].strip_prefix("open ").unwrap().to_owned();
    house.hear(Heard::Taken(house.offer()));
    house.about("StasisEnd", "channel", "c");
    house.dialog(&dialog).ended = Instant::now().checked_sub(LONG);
    house.say(&dialog, "DUMMY", false);
    house.hear(Heard::Taken(house.offer()));
    assert_eq!(house.told(), ["StasisEnd"]);
    assert_eq!(
        house.dialog(&dialog).stage,
        Stage::Talking,
        "it may clean up"
    );
}
