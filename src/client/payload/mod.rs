//! What requests bring besides a key: options as applications give them, serialised as they travel
//! (wire-protocol.md, "Request").

mod bridge;
mod closed;
mod control;
mod create;
mod device_state;
mod dial;
mod dtmf;
mod external_media;
mod hangup;
mod nanoseconds;
mod originate;
mod record;
mod snoop;

pub use bridge::{AddOptions, BridgeCreate, BridgeType};
pub use control::Control;
pub use create::ChannelCreate;
pub use device_state::DeviceStateValue;
pub use dial::Dial;
pub use dtmf::DtmfOptions;
pub use external_media::ExternalMedia;
pub use hangup::HangupReason;
pub use originate::Originate;
pub use record::{IfExists, RecordOptions, TerminateOn};
pub use snoop::{Direction, Snoop};

use crate::wire::id;

/// `own`, or a new id where it is empty. Made here rather than by the proxy: a request that is repeated,
/// because its answer was late, names the same again, and Asterisk refuses it (but for a playback: it
/// plays that again).
pub(super) fn id_or_new(own: &str, suffix: &str) -> String {
    if own.is_empty() {
        id::generate(suffix)
    } else {
        own.to_owned()
    }
}
