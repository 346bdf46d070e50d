//! What becomes of each frame that a broker sends: it is made harmless for the crate, cut, or told to
//! others and not for the crate at all.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};

use super::frames::{HEAD, TAIL};
use super::payloads::{Body, Notice, header, is_return, method, returned};

/// The channels of a connection that are not the crate's.
#[derive(Debug, Default)]
pub(super) struct Ours {
    some: [AtomicU16; 2],
    /// Whether all are.
    all: bool,
}

impl Ours {
    /// All are, for good: the crate opens none.
    #[cfg(feature = "client")]
    pub(super) fn all() -> Ours {
        Ours {
            all: true,
            ..Ours::default()
        }
    }

    /// From now on these are.
    #[cfg(feature = "server")]
    pub(super) fn set(&self, channels: [u16; 2]) {
        for (ours, channel) in self.some.iter().zip(channels) {
            ours.store(channel, Ordering::Release);
        }
    }

    fn has(&self, channel: u16) -> bool {
        let is_it = |ours: &AtomicU16| ours.load(Ordering::Acquire) == channel;
        channel != 0 && (self.all || self.some.iter().any(is_it))
    }
}

/// What the channels have in hand.
#[derive(Default)]
pub(super) struct Channels {
    /// Which are not the crate's.
    ours: Arc<Ours>,
    /// By channel, what is left of the body that is too long, or not for the crate.
    long: HashMap<u16, Body>,
    /// The channel that a message came back on whose header is to come.
    returning: Option<u16>,
}

impl Channels {
    /// Those of a connection, of which these are not the crate's.
    pub(super) fn new(ours: Arc<Ours>) -> Channels {
        Channels {
            ours,
            ..Channels::default()
        }
    }

    /// Makes a frame harmless; how much of it is left, its end included, none of what is not for the crate.
    pub(super) fn soften(
        &mut self,
        frame: &mut [u8],
        tell: &mut dyn FnMut(Notice),
    ) -> Option<usize> {
        let whole = frame.len();
        let (head, rest) = frame.split_at_mut_checked(HEAD)?;
        let (payload, _) = rest.split_at_mut_checked(whole - HEAD - TAIL)?;
        let [kind, high, low, size @ ..] = head else {
            return Some(whole);
        };
        let channel = u16::from_be_bytes([*high, *low]);
        if self.ours.has(channel) {
            let (kind, payload) = (*kind, payload.to_vec());
            tell(Notice::Ours {
                channel,
                kind,
                payload,
            });
            return None;
        }
        let long = &mut self.long;
        match *kind {
            1 if is_return(payload) => {
                self.returning = Some(channel);
                None
            }
            1 => {
                let told = method(payload, channel);
                let ours = matches!(told, Some(Notice::Confirm(_)));
                told.into_iter().for_each(tell);
                (!ours).then_some(whole)
            }
            2 if self.returning == Some(channel) => {
                self.returning = None;
                let (id, come) = returned(payload);
                tell(Notice::Returned(id));
                if come > 0 {
                    long.insert(channel, Body { give: 0, come });
                }
                None
            }
            2 => {
                header(payload, channel, long);
                Some(whole)
            }
            3 => {
                let Some(kept) = body(payload.len(), channel, long) else {
                    return Some(0);
                };
                for (to, from) in size.iter_mut().zip((kept as u32).to_be_bytes()) {
                    *to = from;
                }
                Some(HEAD + kept + TAIL)
            }
            _ => Some(whole),
        }
    }
}

/// How much of a body frame with `size` bytes is handed on, if it is at all.
fn body(size: usize, channel: u16, long: &mut HashMap<u16, Body>) -> Option<usize> {
    let Some(left) = long.get_mut(&channel) else {
        return Some(size);
    };
    let kept = left.give.min(size as u64);
    left.give -= kept;
    left.come = left.come.saturating_sub(size as u64);
    if left.come == 0 {
        long.remove(&channel);
    }
    (kept > 0).then_some(kept as usize)
}
