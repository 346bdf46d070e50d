//! Entities as Asterisk describes them, in answers and in events.
//!
//! Every member that Asterisk 22 has is a field; texts and lists are empty, and numbers that may be missing
//! are none, where Asterisk, or the proxy, says nothing. Whatever else is said is in `extra`, so that nothing
//! is lost: an entity that is read and written again has all its members. Moments are text as Asterisk writes
//! it: `2026-11-21T06:31:59.084+0000`. A `key` is there in answers, and says which Asterisk it is at.
//!
//! To add a member, add its line to the entity; what it was in before is `extra`.

mod application;
mod asterisk;
mod bridge;
mod channel;
mod config;
mod device_state;
mod endpoint;
mod log;
mod mailbox;
pub(super) mod member;
mod message;
mod module;
mod playback;
mod recording;
mod sound;
mod transfer;

pub use application::ApplicationData;
pub use asterisk::{AsteriskData, BuildInfo, ConfigInfo, SetId, StatusInfo, SystemInfo};
pub use bridge::BridgeData;
pub use channel::{CallerId, ChannelData, DialplanCep};
pub use config::{ConfigData, ConfigTuple};
pub use device_state::DeviceStateData;
pub use endpoint::{ContactInfo, EndpointData, Peer};
pub use log::LogData;
pub use mailbox::MailboxData;
pub use message::TextMessage;
pub use module::ModuleData;
pub use playback::PlaybackData;
pub use recording::{LiveRecordingData, StoredRecordingData};
pub use sound::{FormatLangPair, SoundData};
pub use transfer::{AdditionalParam, ReferTo, ReferredBy, RequiredDestination};

#[cfg(test)]
pub(super) mod kept;
#[cfg(test)]
mod tests;
