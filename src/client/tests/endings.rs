//! How the end of playbacks and recordings is heard of.

use std::sync::Arc;
use std::time::Duration;

use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::recorder::{NODE, Recorder};
use super::{SOON, until};
use crate::client::event::{RecordingFailed, RecordingFinished};
use crate::client::{Channels, Error, Event, Gap, Key, Playbacks, RecordOptions};

/// So short that it has passed.
const NOW: Duration = Duration::ZERO;

fn gone() -> Error {
    Error::NotFound("Playback not found".into())
}

fn gap() -> Event {
    Event::Gap(Gap {
        lost: None,
        reason: "the link was lost".into(),
    })
}

/// The end of a playback in this state.
fn finished(state: &str) -> Event {
    let playback = json!({"id": "p", "media_uri": "m", "target_uri": "t", "state": state});
    Event::PlaybackFinished(Box::new(event("playback", &playback)))
}

/// An event about `entity`.
fn event<T: DeserializeOwned>(member: &str, entity: &Value) -> T {
    let event = json!({
        "type": "x", "application": "conf", "timestamp": "t", "asterisk_id": NODE, member: entity
    });
    serde_json::from_value(event).unwrap()
}

fn member(data: &impl serde::Serialize, name: &str) -> Value {
    serde_json::to_value(data).unwrap()[name].clone()
}

fn channels(recorder: &Arc<Recorder>) -> Channels {
    Channels::new(recorder.clone()).at(NODE)
}

#[test]
fn the_end_is_listened_for_before_it_begins() {
    let recorder = Recorder::new();
    let channel = channels(&recorder).in_dialog("d").handle("c");
    channel.play_as("p", "sound:x").unwrap();
    channel.record("r", &RecordOptions::default()).unwrap();
    let seen = recorder.take();
    let kinds: Vec<&str> = seen.iter().map(|seen| seen.kind.as_str()).collect();
    assert_eq!(kinds, ["", "ChannelPlay", "", "ChannelRecord"]);
    let place = json!({"kind": "playback", "id": "p", "node": NODE, "app": "conf"});
    assert_eq!(seen[0].body, place, "outside of the dialog");
    assert_eq!(seen[1].body["key"]["dialog"], "d");
    assert_eq!(seen[2].body["id"], "r");
}

#[test]
fn an_end_is_heard_once_and_known_for_good() {
    let recorder = Recorder::new();
    let playback = channels(&recorder).handle("c").play("sound:x").unwrap();
    recorder.take();
    recorder.say(&finished("failed"));
    let data = playback.wait().unwrap();
    assert_eq!(member(&data, "state"), "failed");
    assert_eq!(playback.clone().wait_timeout(NOW).unwrap(), data);
    assert!(recorder.take().is_empty(), "nobody was asked");
}

#[test]
fn both_ends_of_recordings() {
    let recorder = Recorder::new();
    let channel = channels(&recorder).handle("c");
    for failed in [false, true] {
        let recording = channel.record("", &RecordOptions::default()).unwrap();
        let name = recording.name();
        let json = json!({"name": name, "format": "wav", "target_uri": "t", "state": "x"});
        recorder.say(&if failed {
            let event: RecordingFailed = event("recording", &json);
            Event::RecordingFailed(Box::new(event))
        } else {
            let event: RecordingFinished = event("recording", &json);
            Event::RecordingFinished(Box::new(event))
        });
        let data = recording.wait_timeout(SOON).unwrap();
        assert_eq!(member(&data, "name"), recording.name());
        assert!(recording.name().ends_with("-rc"));
    }
}

#[test]
fn after_a_gap_it_is_looked_for() {
    let recorder = Recorder::new();
    let playback = channels(&recorder)
        .handle("c")
        .play_as("p", "sound:x")
        .unwrap();
    recorder.refuse("PlaybackData", gone());
    recorder.say(&gap());
    assert_eq!(member(&playback.wait().unwrap(), "id"), "p");
}

#[test]
fn what_still_lasts_after_a_gap_is_waited_for() {
    let recorder = Recorder::new();
    let playback = channels(&recorder).handle("c").play("sound:x").unwrap();
    recorder.take();
    recorder.say(&gap());
    recorder.say(&finished("done"));
    assert_eq!(member(&playback.wait().unwrap(), "state"), "done");
    let asked = recorder.take();
    assert_eq!(asked.len(), 1);
    assert_eq!(asked[0].kind, "PlaybackData");
}

#[test]
fn what_was_not_listened_for_is_looked_for_first() {
    let recorder = Recorder::new();
    let playbacks = Playbacks::new(recorder.clone());
    let key = Key::playback("p").at(NODE);
    let playback = playbacks.of(&key);
    assert_eq!(playback.wait_timeout(NOW), Err(Error::Timeout(NOW)));
    let seen = recorder.take();
    assert_eq!((seen[0].class, seen[1].class), ("listen", "data"));
    // Now it is listened for.
    recorder.say(&finished("done"));
    assert_eq!(member(&playback.wait().unwrap(), "state"), "done");
    assert!(recorder.take().is_empty());

    recorder.refuse("PlaybackData", gone());
    assert_eq!(member(&playbacks.of(&key).wait().unwrap(), "id"), "p");
}

#[test]
fn who_waits_is_told_when_the_client_closes() {
    let recorder = Recorder::new();
    let playback = channels(&recorder).handle("c").play("sound:x").unwrap();
    recorder.close();
    assert_eq!(playback.wait(), Err(Error::Closed));
    // What can be looked for says so as well.
    let other = Playbacks::new(recorder.clone()).handle("p");
    recorder.refuse("PlaybackData", Error::Closed);
    assert_eq!(other.wait(), Err(Error::Closed));
}

#[test]
fn what_cannot_be_looked_for_now_is_looked_for_again() {
    let recorder = Recorder::new();
    let playback = Playbacks::new(recorder.clone()).handle("p");
    recorder.refuse("PlaybackData", Error::Timeout(NOW));
    assert_eq!(playback.wait_timeout(NOW), Err(Error::Timeout(NOW)));
    recorder.say(&finished("done"));
    assert_eq!(member(&playback.wait().unwrap(), "state"), "done");
}

#[test]
fn what_is_not_made_yet_is_not_over() {
    let recorder = Recorder::new();
    let channel = channels(&recorder).handle("c");
    for executed in [true, false] {
        let staged = channel.stage_play_as("p", "sound:x").unwrap();
        let playback = staged.handle().clone();
        recorder.refuse("PlaybackData", gone());
        recorder.say(&gap());
        assert_eq!(playback.wait_timeout(NOW), Err(Error::Timeout(NOW)));
        if executed {
            staged.exec().unwrap();
        } else {
            drop(staged);
        }
        recorder.say(&gap());
        let ended = playback.wait_timeout(SOON).unwrap();
        assert_eq!((ended.id.as_str(), ended.state.as_str()), ("p", ""));
    }
}

#[test]
fn short_waits_hear_and_look_as_one_long_wait_does() {
    let recorder = Recorder::new();
    let playback = channels(&recorder).handle("c").play("sound:x").unwrap();
    recorder.say(&finished("done"));
    assert_eq!(playback.wait_timeout(NOW).unwrap().state, "done");

    let playback = channels(&recorder).handle("c").play("sound:x").unwrap();
    recorder.refuse("PlaybackData", Error::Timeout(NOW));
    recorder.say(&gap());
    let short = Duration::from_millis(20);
    assert_eq!(
        playback.wait_timeout(short),
        Err(Error::Timeout(short)),
        "it cannot be looked for"
    );
    recorder.refuse("PlaybackData", gone());
    until("it is looked for again", || {
        playback.wait_timeout(short).is_ok()
    });
}
