//! The exit statuses, all of them, and what a process supervisor should make of each.

use crate::proxy::conductor::End;

/// Ended as asked: SIGTERM or SIGINT, or text that was asked for is printed. Do not restart.
pub const OK: u8 = 0;
/// The configuration cannot be used. Do not restart: a person has to look.
pub const CONFIGURATION: u8 = 2;
/// A fault of ours. Restart.
pub const FAULT: u8 = 70;
/// The system gave us no thread or no signal handler. Restart.
pub const SYSTEM: u8 = 71;
/// The bus cannot be connected to from this process any more. Restart.
pub const STUCK: u8 = 75;
/// Another client took the application over and `ari.on_replaced` says to exit. Restart or not, as
/// the fleet is meant.
pub const REPLACED: u8 = 76;
/// A second signal: ended at once, requests in hand or not.
pub const AT_ONCE: u8 = 130;

/// The status of a proxy that ended so.
pub fn status(end: End) -> u8 {
    match end {
        End::Stopped => OK,
        End::Replaced => REPLACED,
        End::Stuck => STUCK,
        End::Fault => FAULT,
    }
}
