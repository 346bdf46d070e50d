//! Which objects are of a dialog, and when it ends with them.

use super::*;

#[test]
fn what_commands_create_joins() {
    let mut house = House::new(LONG);
    let dialog = house.talking("c");
    house.command(&dialog, "/channels/d");
    house.about("ChannelCreated", "channel", "d");
    house.about("StasisStart", "channel", "d");
    assert_eq!(house.told(), ["ChannelCreated", "StasisStart"]);
    house.answer(&dialog, 200, &json!({"id": "d"}));
    assert_eq!(house.told(), ["200"]);
    house.command(&dialog, "/bridges");
    house.about("BridgeCreated", "bridge", "b");
    house.about("BridgeCreated", "bridge", "of others");
    assert!(house.told().is_empty(), "nobody knows whose it is");
    house.answer(&dialog, 200, &json!({"id": "b"}));
    assert_eq!(house.told(), ["200", "BridgeCreated"]);
    house.arrive(json!({"type": "PlaybackStarted",
        "playback": {"id": "p", "target_uri": "bridge:b"}}));
    house.about("PlaybackFinished", "playback", "p");
    assert_eq!(house.told(), ["PlaybackStarted", "PlaybackFinished"]);
    assert!(!house.host.objects.is_owned(Entity::Playback, "p"));
    house.command(&dialog, "/channels/e");
    house.answer(&dialog, 409, &json!({"message": "there"}));
    house.told();
    house.about("ChannelVarset", "channel", "e");
    assert!(house.told().is_empty(), "it is of others");
}

#[test]
fn a_call_waits_for_a_command_that_may_have_made_it() {
    let mut house = House::new(LONG);
    let dialog = house.talking("c");
    house.command(&dialog, "/channels");
    house.about("StasisStart", "channel", "made");
    house.about("StasisStart", "channel", "new");
    house.about("ChannelVarset", "channel", "new");
    assert_eq!(house.host.dialogs.len(), 1);
    house.answer(&dialog, 200, &json!({"id": "made"}));
    assert_eq!(house.told(), ["200", "StasisStart"]);
    assert_eq!(house.host.dialogs.len(), 2);
    let held = house.host.dialogs.values().map(|dialog| dialog.held.len());
    assert_eq!(held.max(), Some(2));
}

#[test]
fn what_ends_a_dialog() {
    let mut house = House::new(LONG);
    let dialog = house.talking("c");
    house.command(&dialog, "/channels/d");
    house.answer(&dialog, 200, &json!({"id": "d"}));
    house.about("StasisEnd", "channel", "d");
    house.about("ChannelDestroyed", "channel", "c");
    assert_eq!(house.told(), ["200", "StasisEnd", "ChannelDestroyed"]);
    let ended = |house: &House| house.host.dialogs[&*dialog].ended.is_some();
    assert!(!ended(&house), "it has a channel still");
    house.about("ChannelDestroyed", "channel", "d");
    assert!(ended(&house));
    assert_eq!(house.told(), ["ChannelDestroyed"]);
    house.command(&dialog, "/bridges/b/destroy");
    house.answer(&dialog, 204, &json!(null));
    assert_eq!(house.told(), ["204"], "it may still clean up");
}

#[test]
fn what_asterisk_does_not_have_any_more() {
    let mut house = House::new(LONG);
    let dialog = house.talking("c");
    let living = Living {
        asked: Instant::now(),
        channels: ["x".to_owned()].into(),
        bridges: Default::default(),
    };
    assert!(
        house.host.missing(&living),
        "its last event may be on its way"
    );
    assert!(house.told().is_empty());
    assert!(house.host.missing(&living));
    assert_eq!(house.told(), ["StasisEnd"]);
    assert!(house.host.dialogs[&*dialog].ended.is_some());
    let other = house.talking("d");
    house.host.take(Event::Connected { restarted: true });
    assert_eq!(house.told(), ["StasisEnd"]);
    assert!(house.host.dialogs[&*other].ended.is_some());
    assert!(house.host.objects.is_empty());
}
