//! A bridge.

use serde_json::{Map, Value};

use super::member::entity;
use crate::wire::key::Key;

entity! {
    /// A bridge: the media of its channels, put together. All in it hear the same.
    BridgeData {
        /// Its id.
        id: String,
        /// How it works at the moment: `simple_bridge`, `softmix`, `holding_bridge`, ….
        technology: String,
        /// What it is for: `mixing` or `holding`.
        bridge_type: String,
        /// Its class: `stasis` where an application made it.
        bridge_class: String,
        /// What made it: `Stasis` where an application did.
        creator: String,
        /// The name that who made it gave it.
        name: String,
        /// The ids of the channels in it.
        channels: Vec<String>,
        /// When it was made.
        creationtime: String,
    }
    optional {
        /// Whose video is seen: `none`, `talker`, `sfu` or `single`.
        video_mode: String,
        /// The id of the channel whose video is seen, if it is that of one.
        video_source_id: String,
        /// Its variables, as far as Asterisk is configured to tell them.
        bridgevars: Map<String, Value>,
        /// Its key.
        key: Option<Key>,
    }
}
