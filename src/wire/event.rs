//! Events are passed on as bytes; this is the little that is read of them: which entities they
//! touch, which they end, whether they replace the application.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::kind::Entity;
use super::lenient::{Object, Text, lenient, lenient_list, lenient_text};

/// Members of events that hold a channel.
const CHANNELS: [&str; 15] = [
    "caller",
    "channel",
    "connected_channel",
    "destination_channel",
    "destination_link_first_leg",
    "destination_link_second_leg",
    "destination_threeway_channel",
    "forwarded",
    "peer",
    "replace_channel",
    "source_channel",
    "transfer_target",
    "transferee",
    "transferer_first_leg",
    "transferer_second_leg",
];

/// Members of events that hold a bridge.
const BRIDGES: [&str; 5] = [
    "bridge",
    "bridge_from",
    "destination_threeway_bridge",
    "transferer_first_leg_bridge",
    "transferer_second_leg_bridge",
];

/// Members of events that hold channels and bridges of their own (ChannelTransfer).
const PARTIES: [&str; 2] = ["refer_to", "referred_by"];

/// What is read of an event.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Touched<'a> {
    /// The event's type.
    pub kind: Cow<'a, str>,
    /// The application it is for.
    pub application: Cow<'a, str>,
    /// The entities it touches, by id; a recording's is its name, an endpoint's `tech/resource`.
    pub entities: Vec<(Entity, Cow<'a, str>)>,
    /// The channel that it is about, where it is about one: its member `channel`.
    pub channel: Option<Cow<'a, str>>,
    /// What is played to or recorded, as `channel:ID` or `bridge:ID`.
    pub target: Option<Cow<'a, str>>,
    channels_of_bridges: Vec<Cow<'a, str>>,
    channels_of_endpoint: Vec<Cow<'a, str>>,
}

impl<'a> Touched<'a> {
    /// Reads `event`, with the channels in its bridges; none where it is not a JSON object.
    pub fn read(event: &'a [u8]) -> Option<Touched<'a>> {
        let mut touched = Touched::named(event)?;
        let inside = std::mem::take(&mut touched.channels_of_bridges);
        let inside = inside.into_iter().filter(|id| !id.is_empty());
        touched
            .entities
            .extend(inside.map(|id| (Entity::Channel, id)));
        Some(touched)
    }

    /// Reads `event`, without the channels in its bridges, about which it is not.
    pub fn named(event: &'a [u8]) -> Option<Touched<'a>> {
        let mut touched: Touched<'a> = serde_json::from_slice(event).ok()?;
        // Only a user event signals the channels of its endpoint; a change of an endpoint's state
        // is no business of theirs.
        if touched.kind == "ChannelUserevent" {
            let channels = std::mem::take(&mut touched.channels_of_endpoint);
            touched
                .entities
                .extend(channels.into_iter().map(|id| (Entity::Channel, id)));
        }
        Some(touched)
    }

    /// The entity that is no more after this event.
    pub fn ends(&self) -> Option<&(Entity, Cow<'a, str>)> {
        let entity = match self.kind.as_ref() {
            "ChannelDestroyed" => Entity::Channel,
            "BridgeDestroyed" => Entity::Bridge,
            "PlaybackFinished" => Entity::Playback,
            "RecordingFinished" | "RecordingFailed" => Entity::LiveRecording,
            _ => return None,
        };
        self.entities.iter().find(|(touched, _)| *touched == entity)
    }

    fn add(&mut self, entity: Entity, id: Option<Cow<'a, str>>) {
        if let Some(id) = id.filter(|id| !id.is_empty()) {
            self.entities.push((entity, id));
        }
    }
}

/// Whether `event` says that another websocket took `application` over.
pub fn replaces_application(event: &[u8], application: &str) -> bool {
    const TYPE: &[u8] = b"ApplicationReplaced";
    // Nearly no event has the word; only one that has is parsed. Nearly none has these two of its
    // letters so far apart; to look for them takes a few instructions for many bytes, as nothing in
    // the loop depends on what was found.
    let later = event.get("Application".len()..).unwrap_or_default();
    let likely = event.iter().zip(later).fold(false, |found, (one, other)| {
        found | ((*one == b'A') & (*other == b'R'))
    });
    likely
        && event.windows(TYPE.len()).any(|window| window == TYPE)
        && Touched::read(event).is_some_and(|touched| {
            touched.kind == "ApplicationReplaced" && touched.application == application
        })
}

/// `event` with the member `dialog` added; none where it is not a JSON object.
pub fn with_dialog(event: &[u8], dialog: &str) -> Option<Vec<u8>> {
    let open = event.trim_ascii().strip_suffix(b"}")?;
    let first = open.strip_prefix(b"{")?;
    let comma: &[u8] = if first.trim_ascii().is_empty() {
        b""
    } else {
        b","
    };
    let dialog = serde_json::to_vec(dialog).ok()?;
    Some([open, comma, b"\"dialog\":", &dialog, b"}"].concat())
}

impl<'de: 'a, 'a> Deserialize<'de> for Touched<'a> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_map(Members(std::marker::PhantomData))
    }
}

struct Members<'a>(std::marker::PhantomData<&'a ()>);

impl<'de: 'a, 'a> Visitor<'de> for Members<'a> {
    type Value = Touched<'a>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an event")
    }

    fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Touched<'a>, M::Error> {
        let mut touched = Touched::default();
        while let Some(Text(name)) = map.next_key::<Text<'_>>()? {
            let name = name.as_deref().unwrap_or_default();
            if name == "application" {
                touched.application = map.next_value::<Text<'_>>()?.0.unwrap_or_default();
            } else if name == "type" {
                touched.kind = map.next_value::<Text<'_>>()?.0.unwrap_or_default();
            } else if CHANNELS.contains(&name) {
                let channel = map.next_value::<Object<'_>>()?;
                if name == "channel" {
                    touched.channel.clone_from(&channel.id);
                }
                touched.add(Entity::Channel, channel.id);
            } else if BRIDGES.contains(&name) {
                let bridge = map.next_value::<Object<'_>>()?;
                touched.add(Entity::Bridge, bridge.id);
                touched.channels_of_bridges.extend(bridge.channels);
            } else if PARTIES.contains(&name) {
                if let Some(party) = map.next_value::<Party<'_>>()?.0 {
                    touched.entities.extend(party.entities);
                    touched
                        .channels_of_bridges
                        .extend(party.channels_of_bridges);
                }
            } else {
                match name {
                    "playback" => {
                        let playback = map.next_value::<Object<'_>>()?;
                        touched.target = playback.target_uri;
                        touched.add(Entity::Playback, playback.id);
                    }
                    "recording" => {
                        let recording = map.next_value::<Object<'_>>()?;
                        touched.target = recording.target_uri;
                        touched.add(Entity::LiveRecording, recording.name);
                    }
                    "device_state" => {
                        let device = map.next_value::<Object<'_>>()?;
                        touched.add(Entity::DeviceState, device.name);
                    }
                    "endpoint" => {
                        let endpoint = map.next_value::<Object<'_>>()?;
                        // The Go program writes one without a name where there is none.
                        if let (Some(tech), Some(resource)) =
                            (endpoint.technology, endpoint.resource)
                            && !(tech.is_empty() && resource.is_empty())
                        {
                            let id = format!("{tech}/{resource}");
                            touched.add(Entity::Endpoint, Some(id.into()));
                        }
                        touched.channels_of_endpoint = endpoint.channels;
                    }
                    _ => {
                        map.next_value::<IgnoredAny>()?;
                    }
                }
            }
        }
        Ok(touched)
    }
}

/// A party of a transfer; none where it is not an object.
struct Party<'a>(Option<Touched<'a>>);

impl<'de: 'a, 'a> Deserialize<'de> for Party<'a> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Visit;
        impl<'de> Visitor<'de> for Visit {
            type Value = Party<'de>;
            lenient!(Party(None));
            lenient_text!(Party(None));
            lenient_list!(Party(None));
            fn visit_map<M: MapAccess<'de>>(self, map: M) -> Result<Self::Value, M::Error> {
                let members = Members(std::marker::PhantomData);
                Ok(Party(Some(members.visit_map(map)?)))
            }
        }
        from.deserialize_any(Visit)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entities(event: &str) -> Vec<(Entity, String)> {
        let touched = Touched::read(event.as_bytes()).unwrap();
        touched
            .entities
            .into_iter()
            .map(|(entity, id)| (entity, id.into_owned()))
            .collect()
    }

    fn one(entity: Entity, id: &str) -> (Entity, String) {
        (entity, id.to_owned())
    }

    #[test]
    fn entities_of_events() {
        use Entity::{Bridge, Channel, DeviceState, Endpoint, LiveRecording, Playback};
        let event = r#"{"type":"ChannelEnteredBridge","bridge":{"id":"b","channels":["c","d"]},"channel":{"id":"c"}}"#;
        let expected = [
            one(Bridge, "b"),
            one(Channel, "c"),
            one(Channel, "c"),
            one(Channel, "d"),
        ];
        assert_eq!(entities(event), expected);
        let named = Touched::named(event.as_bytes()).unwrap();
        assert_eq!(named.entities.len(), 2);
        assert_eq!(named.channel.as_deref(), Some("c"));
        let event = br#"{"playback":{"target_uri":"channel:c","id":"p"}}"#;
        let played = Touched::named(event).unwrap();
        assert_eq!(played.target.as_deref(), Some("channel:c"));
        assert_eq!(
            entities(r#"{"type":"Dial","caller":{"id":"a"},"peer":{"id":"b"}}"#),
            [one(Channel, "a"), one(Channel, "b")]
        );
        assert_eq!(
            entities(r#"{"type":"RecordingStarted","recording":{"name":"r\u00fc"}}"#),
            [one(LiveRecording, "rü")]
        );
        assert_eq!(
            entities(r#"{"device_state":{"name":"Stasis:x"},"playback":{"id":"p"}}"#),
            [one(DeviceState, "Stasis:x"), one(Playback, "p")]
        );
        assert_eq!(
            entities(
                r#"{"type":"EndpointStateChange","endpoint":{"technology":"PJSIP","resource":"1","channel_ids":["c"]}}"#
            ),
            [one(Endpoint, "PJSIP/1")]
        );
        assert_eq!(
            entities(
                r#"{"endpoint":{"technology":"P","resource":"1","channel_ids":["c"]},"type":"ChannelUserevent"}"#
            ),
            [one(Endpoint, "P/1"), one(Channel, "c")]
        );
        assert_eq!(
            entities(
                r#"{"refer_to":{"destination_channel":{"id":"x"},"bridge":{"id":"b"}},"referred_by":{"source_channel":{"id":"y"}}}"#
            ),
            [one(Channel, "x"), one(Bridge, "b"), one(Channel, "y")]
        );
    }

    #[test]
    fn odd_shapes_are_read_as_nothing() {
        for event in [
            r#"{"channel":null,"bridge":7,"playback":"x","recording":[1,{}],"endpoint":true}"#,
            r#"{"channel":{"id":1},"refer_to":[],"bridge":{"channels":"c"},"peer":{"id":""}}"#,
            r#"{"type":{"a":1},"device_state":-1.5}"#,
        ] {
            assert_eq!(entities(event), [], "{event}");
        }
        for event in ["", "[]", "7", "{", "{\"a\":}", "\u{fffd}"] {
            assert!(Touched::read(event.as_bytes()).is_none(), "{event}");
        }
        assert!(Touched::read(b"{\"channel\":\"\xff\"}").is_none());
    }

    #[test]
    fn ends() {
        for (event, ended) in [
            (
                r#"{"type":"ChannelDestroyed","channel":{"id":"c"}}"#,
                Some("c"),
            ),
            (
                r#"{"bridge":{"id":"b","channels":["c"]},"type":"BridgeDestroyed"}"#,
                Some("b"),
            ),
            (
                r#"{"type":"PlaybackFinished","playback":{"id":"p"}}"#,
                Some("p"),
            ),
            (
                r#"{"type":"RecordingFailed","recording":{"name":"r"}}"#,
                Some("r"),
            ),
            (r#"{"type":"ChannelDestroyed"}"#, None),
            (r#"{"type":"StasisEnd","channel":{"id":"c"}}"#, None),
        ] {
            let touched = Touched::read(event.as_bytes()).unwrap();
            assert_eq!(touched.ends().map(|(_, id)| id.as_ref()), ended, "{event}");
        }
    }

    #[test]
    fn replaced_only_by_its_type_and_for_its_application() {
        let event = br#"{"type":"ApplicationReplaced","application":"a"}"#;
        assert!(replaces_application(event, "a"));
        assert!(!replaces_application(event, "b"));
        let event = br#"{"type":"ChannelVarset","value":"ApplicationReplaced","application":"a"}"#;
        assert!(!replaces_application(event, "a"));
        for before in 0..70 {
            let space = " ".repeat(before);
            let event = format!(r#"{space}{{"application":"a","type":"ApplicationReplaced"}}"#);
            assert!(replaces_application(event.as_bytes(), "a"), "{before}");
        }
        assert!(!replaces_application(b"", "a"));
    }

    #[test]
    fn the_dialog_is_added_and_nothing_else() {
        let add = |event: &str| with_dialog(event.as_bytes(), "d\"1").map(String::from_utf8);
        assert_eq!(
            add(r#"{"a": 1.50}"#).unwrap().unwrap(),
            r#"{"a": 1.50,"dialog":"d\"1"}"#
        );
        assert_eq!(add("{ }\n").unwrap().unwrap(), r#"{ "dialog":"d\"1"}"#);
        assert!(add("[]").is_none());
        assert!(add("}").is_none());
    }
}
