//! The table of request kinds: a row each, in the order of their names.
//!
//! Read off recordings of the Go program (`tests/data/requests.jsonl`) and off its sources; where
//! it was wrong the row is right (known-defects.md).

use super::kind::{Answer, Entity, Form, Kind, Method, Param, param};
use super::request::Request;
use Entity::{
    Application, Asterisk, Bridge, Channel, Config, DeviceState, Endpoint, LiveRecording, Logging,
    Mailbox, Module, Playback, Sound, StoredRecording, Variable,
};
use Form::{
    ChannelSource, Flag, FlagAlways, Int, IntAlways, IntAsText, Json, JsonAlways, Millis, MillisOr,
    Seconds, Spread, Text, TextAlways, TextOr, TextOrApplication, TextOrKeyChannel, TextRequired,
};
use Method::{Delete, Get, Post, Put};

/// The row that `request` asks for. The Go client stages external media under the name of staged
/// originates, with the payload of the former: the payload decides.
pub fn of(request: &Request) -> Option<&'static Kind> {
    let has = |member| matches!(request.payload(member), Ok(Some(_)));
    match request.kind.as_str() {
        "ChannelStageOriginate" if has("channel_external_media") && !has("channel_originate") => {
            find("ChannelStageExternalMedia")
        }
        name => find(name),
    }
}

/// The row of the kind called `name`.
pub fn find(name: &str) -> Option<&'static Kind> {
    let index = KINDS.binary_search_by(|kind| kind.name.cmp(name)).ok()?;
    KINDS.get(index)
}

/// A command on an existing entity without parameters.
const fn command(name: &'static str, entity: Entity, method: Method, path: &'static str) -> Kind {
    Kind::new(name, entity).call(method, path)
}

/// A hang-up with a fixed reason.
const fn hang_up(name: &'static str, params: &'static [Param]) -> Kind {
    command(name, Channel, Delete, "/channels/{id}").params(params)
}

const PLAY: &[Param] = &[param("media", "media_uri", TextAlways)];

const RECORD: &[Param] = &[
    param("name", "name", TextAlways),
    param("format", "options.Format", TextAlways),
    param("maxDurationSeconds", "options.MaxDuration", Seconds),
    param("maxSilenceSeconds", "options.MaxSilence", Seconds),
    param("ifExists", "options.Exists", Text),
    param("beep", "options.Beep", FlagAlways),
    param("terminateOn", "options.Terminate", Text),
];

const SNOOP: &[Param] = &[
    param("app", "options.app", TextOrApplication),
    param("appArgs", "options.appArgs", Text),
    param("spy", "options.spy", Text),
    param("whisper", "options.whisper", Text),
];

const ORIGINATE: &[Param] = &[
    param("endpoint", "originate_request.endpoint", TextAlways),
    param("timeout", "originate_request.timeout", Int),
    param("callerId", "originate_request.callerId", Text),
    param("context", "originate_request.context", Text),
    param("extension", "originate_request.extension", Text),
    param("priority", "originate_request.priority", Int),
    param("label", "originate_request.label", Text),
    param("app", "originate_request.app", Text),
    param("appArgs", "originate_request.appArgs", Text),
    param("formats", "originate_request.formats", Text),
    param("channelId", "originate_request.channelId", Text),
    param("otherChannelId", "originate_request.otherChannelId", Text),
    param(
        "originator",
        "originate_request.originator",
        TextOrKeyChannel,
    ),
    param("variables", "originate_request.variables", Json),
];

const ORIGINATE_BINDS: &[(Entity, &str)] = &[
    (Channel, "originate_request.otherChannelId"),
    (Channel, "originate_request.originator"),
];

const CREATE: &[Param] = &[
    param("endpoint", "channel_create_request.endpoint", TextAlways),
    param("app", "channel_create_request.app", TextAlways),
    param("appArgs", "channel_create_request.appArgs", Text),
    param("channelId", "channel_create_request.channelId", Text),
    param(
        "otherChannelId",
        "channel_create_request.otherChannelId",
        Text,
    ),
    param(
        "originator",
        "channel_create_request.originator",
        TextOrKeyChannel,
    ),
    param("formats", "channel_create_request.formats", Text),
];

const EXTERNAL_MEDIA: &[Param] = &[
    param("channelId", "options.channelId", Text),
    param("app", "options.app", TextOrApplication),
    param(
        "external_host",
        "options.external_host",
        TextRequired("ExternalHost is mandatory"),
    ),
    param("encapsulation", "options.encapsulation", TextOr("rtp")),
    param("transport", "options.transport", TextOr("udp")),
    param(
        "connection_type",
        "options.connection_type",
        TextOr("client"),
    ),
    param(
        "format",
        "options.format",
        TextRequired("Format is mandatory"),
    ),
    param("direction", "options.direction", TextOr("both")),
    param("data", "options.data", Text),
    param("variables", "options.variables", JsonAlways),
];

/// Every request kind, sorted by name.
#[rustfmt::skip] // a row is easier to read on few lines
pub static KINDS: [Kind; 111] = [
    Kind::data("ApplicationData", Application),
    Kind::get("ApplicationGet", Application),
    Kind::list("ApplicationList", Application, "/applications", "name")
        .failing("Error listing applications: "),
    command("ApplicationSubscribe", Application, Post, "/applications/{id}/subscription")
        .payload("application_subscribe")
        .params(&[param("eventSource", "event_source", TextAlways)])
        .failing("Error subscribing application '{id}' for event source '{event_source}': "),
    command("ApplicationUnsubscribe", Application, Delete, "/applications/{id}/subscription")
        .payload("application_subscribe")
        .params(&[param("eventSource", "event_source", TextAlways)])
        .failing("Error unsubscribing application '{id}' for event source '{event_source}': "),
    Kind::data("AsteriskConfigData", Config),
    command("AsteriskConfigDelete", Config, Delete, "/asterisk/config/dynamic/{id}"),
    command("AsteriskConfigUpdate", Config, Put, "/asterisk/config/dynamic/{id}")
        .payload("asterisk_config")
        .params(&[param("fields", "tuples", JsonAlways)]),
    Kind::data("AsteriskInfo", Asterisk).keyless().failing("failed to get asterisk info: "),
    command("AsteriskLoggingCreate", Logging, Post, "/asterisk/logging/{id}")
        .payload("asterisk_logging_channel")
        .params(&[param("configuration", "config", TextAlways)])
        .answers(Answer::Key),
    Kind::data("AsteriskLoggingData", Logging)
        .failing("failed to get list of logging channels: "),
    command("AsteriskLoggingDelete", Logging, Delete, "/asterisk/logging/{id}"),
    Kind::get("AsteriskLoggingGet", Logging)
        .failing("failed to get list of logging channels: "),
    Kind::list("AsteriskLoggingList", Logging, "/asterisk/logging", "channel"),
    command("AsteriskLoggingRotate", Logging, Put, "/asterisk/logging/{id}/rotate"),
    Kind::data("AsteriskModuleData", Module),
    Kind::get("AsteriskModuleGet", Module),
    Kind::list("AsteriskModuleList", Module, "/asterisk/modules", "name"),
    command("AsteriskModuleLoad", Module, Post, "/asterisk/modules/{id}"),
    command("AsteriskModuleReload", Module, Put, "/asterisk/modules/{id}"),
    command("AsteriskModuleUnload", Module, Delete, "/asterisk/modules/{id}"),
    command("AsteriskVariableGet", Variable, Get, "/asterisk/variable").keyless()
        .params(&[param("variable", "id", TextAlways)])
        .answers(Answer::Variable)
        .failing("Error getting asterisk variable '{id}': "),
    command("AsteriskVariableSet", Variable, Post, "/asterisk/variable").keyless()
        .payload("asterisk_variable_set")
        .params(&[param("variable", "id", TextAlways), param("value", "value", Text)])
        .failing("Error setting asterisk variable '{id}' to '{value}': "),
    command("BridgeAddChannel", Bridge, Post, "/bridges/{id}/addChannel")
        .payload("bridge_add_channel")
        .params(&[
            param("channel", "channel", TextAlways),
            param("absorbDTMF", "absorbDTMF", Flag),
            param("mute", "mute", Flag),
            param("role", "role", Text),
        ])
        .binding(&[(Channel, "channel")]),
    Kind::new("BridgeCreate", Bridge).keyless()
        .call(Post, "/bridges/{id}")
        .payload("bridge_create")
        .params(&[
            param("bridgeId", "id", Text),
            param("type", "type", Text),
            param("name", "name", Text),
        ])
        .creates(Bridge, "id", "br")
        .answers(Answer::Key),
    Kind::data("BridgeData", Bridge),
    command("BridgeDelete", Bridge, Delete, "/bridges/{id}"),
    Kind::get("BridgeGet", Bridge),
    Kind::list("BridgeList", Bridge, "/bridges", "id"),
    command("BridgeMOH", Bridge, Post, "/bridges/{id}/moh")
        .payload("bridge_moh")
        .params(&[param("mohClass", "class", TextAlways)]),
    command("BridgePlay", Bridge, Post, "/bridges/{id}/play/{playback_id}")
        .payload("bridge_play")
        .params(PLAY)
        .creates(Playback, "playback_id", "pb"),
    command("BridgeRecord", Bridge, Post, "/bridges/{id}/record").reading_first()
        .payload("bridge_record")
        .params(RECORD)
        .creates(LiveRecording, "name", "rc"),
    command("BridgeRemoveChannel", Bridge, Post, "/bridges/{id}/removeChannel")
        .payload("bridge_remove_channel")
        .params(&[param("channel", "channel", TextAlways)])
        .binding(&[(Channel, "channel")]),
    Kind::new("BridgeStageCreate", Bridge).keyless()
        .creates(Bridge, "id", "br")
        .answers(Answer::Key),
    Kind::new("BridgeStagePlay", Bridge).reading_first()
        .payload("bridge_play")
        .creates(Playback, "playback_id", "pb"),
    Kind::new("BridgeStageRecord", Bridge).reading_first()
        .payload("bridge_record")
        .creates(LiveRecording, "name", "rc")
        .answers(Answer::Staged),
    command("BridgeStopMOH", Bridge, Delete, "/bridges/{id}/moh"),
    Kind::new("BridgeSubscribe", Bridge),
    // Does nothing, as in the Go program: the binding ends with the bridge.
    Kind::new("BridgeUnsubscribe", Bridge).keyless().binding_nothing(),
    command("BridgeVideoSource", Bridge, Post, "/bridges/{id}/videoSource/{channel}")
        .payload("bridge_video_source")
        .binding(&[(Channel, "channel")]),
    command("BridgeVideoSourceDelete", Bridge, Delete, "/bridges/{id}/videoSource"),
    command("ChannelAnswer", Channel, Post, "/channels/{id}/answer"),
    hang_up("ChannelBusy", &[param("reason", "", TextOr("busy"))]),
    hang_up("ChannelCongestion", &[param("reason", "", TextOr("congestion"))]),
    command("ChannelContinue", Channel, Post, "/channels/{id}/continue")
        .payload("channel_continue")
        .params(&[
            param("context", "context", TextAlways),
            param("extension", "extension", TextAlways),
            param("priority", "priority", IntAlways),
        ]),
    Kind::new("ChannelCreate", Channel).keyless()
        .call(Post, "/channels/create")
        .payload("channel_create")
        .params(CREATE)
        .creates(Channel, "channel_create_request.channelId", "ch")
        .binding(&[
            (Channel, "channel_create_request.otherChannelId"),
            (Channel, "channel_create_request.originator"),
        ]),
    Kind::data("ChannelData", Channel),
    command("ChannelDial", Channel, Post, "/channels/{id}/dial")
        .payload("channel_dial")
        .params(&[param("caller", "caller", Text), param("timeout", "timeout", Seconds)])
        .binding(&[(Channel, "caller")]),
    Kind::new("ChannelExternalMedia", Channel).keyless()
        .call(Post, "/channels/externalMedia")
        .payload_or("channel_external_media", "ExternalMediaOptions is required")
        .params(EXTERNAL_MEDIA)
        .creates(Channel, "options.channelId", "ch"),
    Kind::get("ChannelGet", Channel),
    hang_up("ChannelHangup", &[param("reason", "reason", TextOr("normal"))])
        .payload("channel_hangup"),
    command("ChannelHold", Channel, Post, "/channels/{id}/hold"),
    Kind::list("ChannelList", Channel, "/channels", "id"),
    command("ChannelMOH", Channel, Post, "/channels/{id}/moh")
        .payload("channel_moh")
        .params(&[param("mohClass", "music", Text)]),
    command("ChannelMute", Channel, Post, "/channels/{id}/mute")
        .payload("channel_mute")
        .params(&[param("direction", "direction", TextOr("both"))]),
    Kind::new("ChannelOriginate", Channel).keyless()
        .call(Post, "/channels")
        .payload_or("channel_originate", "OriginateRequest is mandatory")
        .params(ORIGINATE)
        .creates(Channel, "originate_request.channelId", "ch")
        .binding(ORIGINATE_BINDS),
    command("ChannelPlay", Channel, Post, "/channels/{id}/play/{playback_id}").reading_first()
        .payload("channel_play")
        .params(PLAY)
        .creates(Playback, "playback_id", "pb"),
    command("ChannelRecord", Channel, Post, "/channels/{id}/record")
        .payload("channel_record")
        .params(RECORD)
        .creates(LiveRecording, "name", "rc"),
    command("ChannelRing", Channel, Post, "/channels/{id}/ring"),
    command("ChannelSendDTMF", Channel, Post, "/channels/{id}/dtmf")
        .payload("channel_send_dtmf")
        .params(&[
            param("dtmf", "dtmf", Text),
            param("before", "options.Before", Millis),
            param("between", "options.Between", MillisOr(100)),
            param("duration", "options.Duration", MillisOr(100)),
            param("after", "options.After", Millis),
        ]),
    command("ChannelSilence", Channel, Post, "/channels/{id}/silence"),
    command("ChannelSnoop", Channel, Post, "/channels/{id}/snoop/{snoop_id}")
        .payload("channel_snoop")
        .params(SNOOP)
        .creates(Channel, "snoop_id", "sn"),
    Kind::new("ChannelStageExternalMedia", Channel).keyless()
        .payload_or("channel_external_media", "ExternalMediaOptions is required")
        .params(EXTERNAL_MEDIA)
        .creates(Channel, "options.channelId", "ch"),
    Kind::new("ChannelStageOriginate", Channel).keyless()
        .payload_or("channel_originate", "OriginateRequest is mandatory")
        .creates(Channel, "originate_request.channelId", "ch")
        .binding(ORIGINATE_BINDS),
    Kind::new("ChannelStagePlay", Channel).reading_first()
        .payload("channel_play")
        .creates(Playback, "playback_id", "pb"),
    Kind::new("ChannelStageRecord", Channel).reading_first()
        .payload("channel_record")
        .creates(LiveRecording, "name", "rc")
        .answers(Answer::Staged),
    Kind::new("ChannelStageSnoop", Channel).reading_first()
        .payload("channel_snoop")
        .creates(Channel, "snoop_id", "sn"),
    command("ChannelStopHold", Channel, Delete, "/channels/{id}/hold"),
    command("ChannelStopMOH", Channel, Delete, "/channels/{id}/moh"),
    command("ChannelStopRing", Channel, Delete, "/channels/{id}/ring"),
    command("ChannelStopSilence", Channel, Delete, "/channels/{id}/silence"),
    Kind::new("ChannelSubscribe", Channel),
    command("ChannelUnmute", Channel, Delete, "/channels/{id}/mute")
        .payload("channel_mute")
        .params(&[param("direction", "direction", TextOr("both"))]),
    command("ChannelUserEvent", Channel, Post, "/events/user/{UserEvent.eventname}")
        .payload("channel_user_event")
        .params(&[
            param("application", "key.app", TextOrApplication),
            param("source", "id", ChannelSource),
            param("variables", "UserEvent.userevent", Json),
        ]),
    command("ChannelVariableGet", Channel, Get, "/channels/{id}/variable")
        .payload("channel_variable")
        .params(&[param("variable", "name", TextAlways)])
        .answers(Answer::Variable),
    command("ChannelVariableSet", Channel, Post, "/channels/{id}/variable")
        .payload("channel_variable")
        .params(&[param("variable", "name", TextAlways), param("value", "value", Text)]),
    Kind::data("DeviceStateData", DeviceState),
    command("DeviceStateDelete", DeviceState, Delete, "/deviceStates/{id}"),
    Kind::get("DeviceStateGet", DeviceState),
    Kind::list("DeviceStateList", DeviceState, "/deviceStates", "name"),
    command("DeviceStateUpdate", DeviceState, Put, "/deviceStates/{id}")
        .payload("device_state_update")
        .params(&[param("deviceState", "state", TextAlways)]),
    Kind::data("EndpointData", Endpoint),
    Kind::get("EndpointGet", Endpoint),
    Kind::list("EndpointList", Endpoint, "/endpoints", "technology/resource"),
    Kind::list("EndpointListByTech", Endpoint, "/endpoints/{tech}", "technology/resource")
        .payload("endpoint_list_by_tech")
        .answers(Answer::Keys { id: "technology/resource", filtered: true }),
    Kind::data("MailboxData", Mailbox),
    command("MailboxDelete", Mailbox, Delete, "/mailboxes/{id}"),
    Kind::get("MailboxGet", Mailbox),
    // The Go program filters this list by a key with application and Asterisk exchanged, so that
    // it never answers a key; the recordings and its clients know it so.
    Kind::list("MailboxList", Mailbox, "/mailboxes", "name").answers(Answer::NoKeys),
    command("MailboxUpdate", Mailbox, Put, "/mailboxes/{id}")
        .payload("mailbox_update")
        .params(&[
            param("newMessages", "new", IntAsText),
            param("oldMessages", "old", IntAsText),
        ]),
    command("PlaybackControl", Playback, Post, "/playbacks/{id}/control")
        .payload("playback_control")
        .params(&[param("operation", "command", TextAlways)]),
    Kind::data("PlaybackData", Playback),
    Kind::get("PlaybackGet", Playback),
    command("PlaybackStop", Playback, Delete, "/playbacks/{id}"),
    Kind::new("PlaybackSubscribe", Playback),
    Kind::data("RecordingLiveData", LiveRecording),
    Kind::get("RecordingLiveGet", LiveRecording),
    command("RecordingLiveMute", LiveRecording, Post, "/recordings/live/{id}/mute"),
    command("RecordingLivePause", LiveRecording, Post, "/recordings/live/{id}/pause"),
    command("RecordingLiveResume", LiveRecording, Delete, "/recordings/live/{id}/pause"),
    command("RecordingLiveScrap", LiveRecording, Delete, "/recordings/live/{id}"),
    command("RecordingLiveStop", LiveRecording, Post, "/recordings/live/{id}/stop"),
    Kind::new("RecordingLiveSubscribe", LiveRecording),
    command("RecordingLiveUnmute", LiveRecording, Delete, "/recordings/live/{id}/mute"),
    command("RecordingStoredCopy", StoredRecording, Post, "/recordings/stored/{id}/copy")
        .payload("recording_stored_copy")
        .params(&[param("destinationRecordingName", "destination", TextAlways)])
        .creates(StoredRecording, "destination", ""),
    Kind::data("RecordingStoredData", StoredRecording),
    command("RecordingStoredDelete", StoredRecording, Delete, "/recordings/stored/{id}"),
    Kind::get("RecordingStoredGet", StoredRecording),
    Kind::list("RecordingStoredList", StoredRecording, "/recordings/stored", "name"),
    Kind::data("SoundData", Sound),
    // The Go program takes the ids from `name`, which sounds do not have (known defect 13).
    Kind::list("SoundList", Sound, "/sounds", "id")
        .payload("sound_list")
        .params(&[param("", "filters", Spread)])
        .answers(Answer::Keys { id: "id", filtered: true }),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sorted_and_all_found() {
        assert!(KINDS.windows(2).all(|w| w[0].name < w[1].name));
        for kind in &KINDS {
            assert_eq!(find(kind.name).map(|k| k.name), Some(kind.name));
        }
        assert!(find("ChannelFly").is_none());
    }

    #[test]
    fn kinds_that_the_client_sends_on_reading_classes_change_nothing() {
        for name in [
            "BridgeStagePlay",
            "BridgeStageRecord",
            "ChannelStagePlay",
            "ChannelStageRecord",
            "ChannelStageSnoop",
            "ChannelVariableGet",
            "SoundList",
        ] {
            assert!(!find(name).unwrap().changes(), "{name}");
        }
        for name in ["ChannelHangup", "ChannelOriginate", "DeviceStateUpdate"] {
            assert!(find(name).unwrap().changes(), "{name}");
        }
    }

    #[test]
    fn external_media_staged_as_an_originate() {
        let request = |body: &str| Request::read(body.as_bytes()).unwrap();
        let staged = request(r#"{"kind":"ChannelStageOriginate","channel_external_media":{}}"#);
        assert_eq!(of(&staged).unwrap().name, "ChannelStageExternalMedia");
        let staged = request(r#"{"kind":"ChannelStageOriginate"}"#);
        assert_eq!(of(&staged).unwrap().name, "ChannelStageOriginate");
        assert!(of(&request(r#"{"kind":""}"#)).is_none());
    }

    #[test]
    fn what_names_an_entity_in_a_path_is_needed() {
        for kind in &KINDS {
            let has_id = kind.call.is_some_and(|call| call.path.contains("{id}"));
            let generated = kind.creates.is_some_and(|creates| creates.id_from == "id");
            if has_id && !generated {
                assert_eq!(kind.need, super::super::kind::Need::Id, "{}", kind.name);
            }
        }
    }
}
