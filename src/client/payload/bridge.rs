//! Bridges to make, and how channels join them.

use serde::{Serialize, Serializer};

use super::closed::closed;

closed! {
    /// An attribute of bridges.
    BridgeType {
        /// Everybody hears everybody.
        Mixing = "mixing",
        /// Everybody waits.
        Holding = "holding",
        /// DTMF makes events, which it may not where media flow past Asterisk.
        DtmfEvents = "dtmf_events",
        /// Media always flow through Asterisk.
        ProxyMedia = "proxy_media",
        /// Everybody gets everybody's video.
        VideoSfu = "video_sfu",
        /// Everybody gets the video of one.
        VideoSingle = "video_single",
        /// Media streams have labels in SDP.
        SdpLabel = "sdp_label",
    }
}

/// A bridge to make.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct BridgeCreate {
    /// Its id; a new one when empty.
    #[serde(skip)]
    pub id: String,
    /// Its attributes; mixing when there are none.
    #[serde(rename = "type", serialize_with = "with_commas")]
    pub types: Vec<BridgeType>,
    /// Its name.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub name: String,
}

impl BridgeCreate {
    /// One in which everybody hears everybody.
    pub fn mixing() -> BridgeCreate {
        BridgeCreate {
            types: vec![BridgeType::Mixing],
            ..BridgeCreate::default()
        }
    }
}

fn with_commas<S: Serializer>(types: &[BridgeType], serializer: S) -> Result<S::Ok, S::Error> {
    let names: Vec<&str> = types.iter().map(|it| it.name()).collect();
    serializer.serialize_str(&names.join(","))
}

/// How a channel joins a bridge.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct AddOptions {
    /// Its role: in a holding bridge, `participant` or `announcer`; none when empty.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub role: String,
    /// Whether nobody hears it.
    pub mute: bool,
    /// Whether its DTMF stays outside.
    #[serde(rename = "absorbDTMF")]
    pub absorb_dtmf: bool,
}
