//! Who transfers a call, and where to.

use super::member::entity;
use super::{BridgeData, ChannelData};

entity! {
    /// Where a call is to be transferred to.
    ReferTo {
        /// What was asked for.
        requested_destination: RequiredDestination,
    }
    optional {
        /// The channel that is to be replaced.
        destination_channel: Option<ChannelData>,
        /// The channel that this is connected with.
        connected_channel: Option<ChannelData>,
        /// The bridge that both are in.
        bridge: Option<BridgeData>,
    }
}

entity! {
    /// Who wants a call to be transferred.
    ReferredBy {
        /// The channel that the wish came on.
        source_channel: ChannelData,
    }
    optional {
        /// The channel that this is connected with.
        connected_channel: Option<ChannelData>,
        /// The bridge that both are in.
        bridge: Option<BridgeData>,
    }
}

entity! {
    /// What was asked for as the destination of a transfer: one of the two.
    RequiredDestination {}
    optional {
        /// The id of the call that is to be replaced, the Call-ID of SIP.
        protocol_id: String,
        /// The user part of the destination of a blind transfer.
        destination: String,
        /// What else the protocol says.
        additional_protocol_params: Vec<AdditionalParam>,
    }
}

entity! {
    /// A parameter of the protocol.
    AdditionalParam {
        /// Its name.
        parameter_name: String,
        /// Its value.
        parameter_value: String,
    }
}
