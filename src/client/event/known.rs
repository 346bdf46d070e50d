//! **The table** of the events that Asterisk 22 has, a row each.

use serde::Serialize;
use serde_json::Value;

use super::decode::text_of;
use super::table::events;
use super::{Gap, Status};
use crate::client::data::member::{Member, entity};
use crate::client::data::{
    BridgeData, ChannelData, ContactInfo, DeviceStateData, EndpointData, LiveRecordingData, Peer,
    PlaybackData, ReferTo, ReferredBy, TextMessage,
};

events! {
    /// A channel could not be moved to another application.
    ApplicationMoveFailed {
        channel: ChannelData = "The channel.",
        destination: String = "The application it should have moved to.",
        args: Vec<String> = "What that would have been given.",
    }

    /// An application has been registered with Asterisk.
    ApplicationRegistered {}

    /// Another websocket took the application over, and gets its events.
    ApplicationReplaced {}

    /// An application is no longer registered with Asterisk.
    ApplicationUnregistered {}

    /// An attended transfer has been tried.
    BridgeAttendedTransfer {
        transferer_first_leg: ChannelData = "The first channel of who transfers.",
        transferer_second_leg: ChannelData = "The second channel of who transfers.",
        result: String = "How it went: `Success`, `Invalid`, `Not permitted`, ….",
        is_external: bool = "Whether it was begun from outside of Asterisk.",
        destination_type: String = "How it was done: `bridge`, `application`, `link`, `threeway` or `fail`.",
    } + optional {
        replace_channel: Option<ChannelData> = "The channel that takes the place of the first one.",
        transferee: Option<ChannelData> = "The channel that is transferred.",
        transfer_target: Option<ChannelData> = "The channel that it is transferred to.",
        transferer_first_leg_bridge: Option<BridgeData> = "The bridge that the first channel is in.",
        transferer_second_leg_bridge: Option<BridgeData> = "The bridge that the second channel is in.",
        destination_bridge: String = "The id of the bridge that is left of the two.",
        destination_application: String = "The application that it is transferred to.",
        destination_link_first_leg: Option<ChannelData> = "The first channel of a link.",
        destination_link_second_leg: Option<ChannelData> = "The second channel of a link.",
        destination_threeway_channel: Option<ChannelData> = "The channel of who transfers that is left of three.",
        destination_threeway_bridge: Option<BridgeData> = "The bridge that is left of three.",
    }

    /// A blind transfer has been tried.
    BridgeBlindTransfer {
        channel: ChannelData = "The channel of who transfers.",
        exten: String = "The extension that it is transferred to.",
        context: String = "The context of that.",
        result: String = "How it went: `Success`, `Invalid`, `Not permitted`, ….",
        is_external: bool = "Whether it was begun from outside of Asterisk.",
    } + optional {
        replace_channel: Option<ChannelData> = "The channel that is transferred for those that cannot be themselves.",
        transferee: Option<ChannelData> = "The channel that is transferred.",
        bridge: Option<BridgeData> = "The bridge that is transferred.",
    }

    /// A bridge has been made.
    BridgeCreated { bridge: BridgeData = "The bridge." }

    /// A bridge is no more.
    BridgeDestroyed { bridge: BridgeData = "The bridge." }

    /// The channels of one bridge have moved into another.
    BridgeMerged {
        bridge: BridgeData = "The bridge that they are in.",
        bridge_from: BridgeData = "The bridge that they were in.",
    }

    /// Another one's video is seen in a bridge.
    BridgeVideoSourceChanged {
        bridge: BridgeData = "The bridge.",
    } + optional {
        old_video_source_id: String = "The id of the channel whose video was seen before.",
    }

    /// A channel is offered to all applications: one may claim it.
    CallBroadcast {
        channel: ChannelData = "The channel.",
    } + optional {
        caller: String = "The number of who calls.",
        called: String = "The number that is called.",
    }

    /// An application got a channel that was offered to all.
    CallClaimed {
        channel: ChannelData = "The channel.",
        winner_app: String = "The application.",
    }

    /// Who is at the end of a channel changed.
    ChannelCallerId {
        channel: ChannelData = "The channel.",
        caller_presentation: i64 = "Whether it may be shown, as Asterisk's number for that.",
        caller_presentation_txt: String = "The same in words.",
    }

    /// Who a channel is connected with changed.
    ChannelConnectedLine { channel: ChannelData = "The channel." }

    /// A channel has been made.
    ChannelCreated { channel: ChannelData = "The channel." }

    /// A channel is no more.
    ChannelDestroyed {
        channel: ChannelData = "The channel.",
        cause: i64 = "Why, as a number of Q.850: 16 is normal, 17 busy.",
        cause_txt: String = "The same in words.",
    } + optional {
        tech_cause: Option<i64> = "Why, as a number of its technology: a status of SIP, ….",
    }

    /// A channel got to another place in the dialplan.
    ChannelDialplan {
        channel: ChannelData = "The channel.",
        dialplan_app: String = "The dialplan application that is about to run.",
        dialplan_app_data: String = "What that is given.",
    }

    /// Somebody pressed a key. It comes when the key is let go; there is none for its being pressed.
    ChannelDtmfReceived {
        channel: ChannelData = "The channel.",
        digit: String = "The key: `0` to `9`, `A` to `D`, `#` or `*`.",
        duration_ms: i64 = "How long it was pressed, in milliseconds.",
    }

    /// A channel came into a bridge.
    ChannelEnteredBridge {
        bridge: BridgeData = "The bridge.",
    } + optional {
        channel: Option<ChannelData> = "The channel.",
    }

    /// A channel is to be hung up.
    ChannelHangupRequest {
        channel: ChannelData = "The channel.",
    } + optional {
        cause: Option<i64> = "Why, as a number of Q.850: 16 is normal, 17 busy.",
        tech_cause: Option<i64> = "Why, as a number of its technology: a status of SIP, ….",
        soft: Option<bool> = "Whether it is only asked to.",
    }

    /// Somebody put a channel on hold.
    ChannelHold {
        channel: ChannelData = "The channel.",
    } + optional {
        musicclass: String = "The class of the music that is to be heard meanwhile.",
    }

    /// A channel left a bridge.
    ChannelLeftBridge {
        bridge: BridgeData = "The bridge.",
        channel: ChannelData = "The channel.",
    }

    /// The state of a channel changed.
    ChannelStateChange { channel: ChannelData = "The channel." }

    /// Nobody talks on a channel any more.
    ChannelTalkingFinished {
        channel: ChannelData = "The channel.",
        duration: i64 = "How long somebody talked, in milliseconds.",
    }

    /// Somebody talks on a channel.
    ChannelTalkingStarted { channel: ChannelData = "The channel." }

    /// A tone was heard on a channel.
    ChannelToneDetected { channel: ChannelData = "The channel." }

    /// Somebody wants a call to be transferred, and the application is to do it.
    ChannelTransfer {
        refer_to: ReferTo = "Where to.",
        referred_by: ReferredBy = "Who.",
    } + optional {
        state: String = "How far it got.",
    }

    /// Somebody took a channel from hold.
    ChannelUnhold { channel: ChannelData = "The channel." }

    /// An application, or the dialplan, made an event of its own.
    ChannelUserevent {
        eventname: String = "Its name.",
        userevent: Value = "What it says.",
    } + optional {
        channel: Option<ChannelData> = "The channel that it is about.",
        bridge: Option<BridgeData> = "The bridge that it is about.",
        endpoint: Option<EndpointData> = "The endpoint that it is about.",
    }

    /// A variable was set.
    ChannelVarset {
        variable: String = "Its name.",
        value: String = "Its value.",
    } + optional {
        channel: Option<ChannelData> = "The channel it is of; none: it is a global one.",
    }

    /// Where an endpoint can be reached changed.
    ContactStatusChange {
        endpoint: EndpointData = "The endpoint.",
        contact_info: ContactInfo = "Where it can be reached.",
    }

    /// The state of a device changed.
    DeviceStateChanged { device_state: DeviceStateData = "The device and its state." }

    /// Somebody is being dialed, or has answered, or has not.
    Dial {
        peer: ChannelData = "The channel that is dialed.",
        dialstatus: String = "How far it got; empty at the beginning, then `RINGING`, `ANSWER`, `BUSY`, ….",
    } + optional {
        caller: Option<ChannelData> = "The channel that dials.",
        forward: String = "Where the channel that is dialed forwards to.",
        forwarded: Option<ChannelData> = "The channel that it was forwarded to.",
        dialstring: String = "What was dialed.",
    }

    /// The state of an endpoint changed.
    EndpointStateChange { endpoint: EndpointData = "The endpoint." }

    /// What was asked of Asterisk over the websocket was not all that it needs.
    MissingParams { params: Vec<String> = "What is missing." }

    /// The state of who is behind an endpoint changed.
    PeerStatusChange {
        endpoint: EndpointData = "The endpoint.",
        peer: Peer = "Who is behind it.",
    }

    /// A playback goes on with the next of its list.
    PlaybackContinuing { playback: PlaybackData = "The playback." }

    /// A playback is over.
    PlaybackFinished { playback: PlaybackData = "The playback." }

    /// A playback has begun.
    PlaybackStarted { playback: PlaybackData = "The playback." }

    /// The answer to what was asked of Asterisk over the websocket.
    RESTResponse {
        transaction_id: String = "The id that who asked gave to what is done together.",
        request_id: String = "The id that who asked gave to the request.",
        status_code: i64 = "The HTTP status.",
        reason_phrase: String = "The same in words.",
        uri: String = "What was asked for.",
    } + optional {
        content_type: String = "What the body is: `application/json`, ….",
        message_body: String = "The body, as text.",
    }

    /// A recording failed.
    RecordingFailed { recording: LiveRecordingData = "The recording." }

    /// A recording is over.
    RecordingFinished { recording: LiveRecordingData = "The recording." }

    /// A recording has begun.
    RecordingStarted { recording: LiveRecordingData = "The recording." }

    /// A channel has left the application.
    StasisEnd { channel: ChannelData = "The channel." }

    /// A channel has come into the application: a new call, or one that the application made.
    StasisStart {
        channel: ChannelData = "The channel.",
        args: Vec<String> = "What the dialplan, or who made the channel, gave to the application.",
    } + optional {
        replace_channel: Option<ChannelData> = "The channel that it takes the place of.",
    }

    /// A text message came from an endpoint.
    TextMessageReceived {
        message: TextMessage = "The message.",
    } + optional {
        endpoint: Option<EndpointData> = "The endpoint.",
    }
}
