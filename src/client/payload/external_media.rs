//! Media of a program elsewhere as a channel.

use std::collections::BTreeMap;

use serde::Serialize;

use super::Direction;

/// A channel whose audio comes from and goes to a program elsewhere.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct ExternalMedia {
    /// The id of the new channel; a new one when empty.
    #[serde(rename = "channelId")]
    pub id: String,
    /// The ARI application that gets it; the proxy's own when empty.
    pub app: String,
    /// `host:port` of the program. It must be there.
    pub external_host: String,
    /// How the audio is packed: `rtp` when empty, `audiosocket`, …
    pub encapsulation: String,
    /// What it travels over: `udp` when empty, `tcp`, …
    pub transport: String,
    /// Who connects: Asterisk (`client`, as when empty) or the program (`server`).
    pub connection_type: String,
    /// The codec: `ulaw`, `slin16`, … It must be there.
    pub format: String,
    /// Which way it flows.
    pub direction: Direction,
    /// What else the encapsulation needs, as in the UUID of `audiosocket`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub data: String,
    /// Variables of the new channel.
    pub variables: BTreeMap<String, String>,
}

impl ExternalMedia {
    /// RTP over UDP with `host:port`, in the codec `format`.
    pub fn rtp(external_host: &str, format: &str) -> ExternalMedia {
        ExternalMedia {
            external_host: external_host.to_owned(),
            format: format.to_owned(),
            ..ExternalMedia::default()
        }
    }
}
