//! A channel that is created and not yet dialed.

use serde::Serialize;

/// A channel to create. It enters its application at once; [`dial`](super::super::Channel::dial) then
/// calls.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ChannelCreate {
    /// What to call, as in `PJSIP/100`.
    pub endpoint: String,
    /// The ARI application that gets it; the client's when empty.
    pub app: String,
    /// What that is told, with commas between.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub app_args: String,
    /// The id of the new channel; a new one when empty.
    #[serde(rename = "channelId", skip_serializing_if = "String::is_empty")]
    pub id: String,
    /// The id of the other half of a `Local` channel; Asterisk's choice when empty.
    #[serde(rename = "otherChannelId", skip_serializing_if = "String::is_empty")]
    pub other_id: String,
    /// The id of the channel that this is done for, which lends it codecs and more; none when empty.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub originator: String,
    /// Its codecs, with commas between, where no originator lends it his.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub formats: String,
}

impl ChannelCreate {
    /// A channel to `endpoint`, as in `PJSIP/100`.
    pub fn to(endpoint: &str) -> ChannelCreate {
        ChannelCreate {
            endpoint: endpoint.to_owned(),
            ..ChannelCreate::default()
        }
    }
}
