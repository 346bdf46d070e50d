//! The end of what ends by itself, playbacks and recordings: heard of as an event, or found out.

use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};
use std::time::{Duration, Instant};

use serde::de::DeserializeOwned;

use super::asker::Ears;
use super::data::{LiveRecordingData, PlaybackData};
use super::handle::Handle;
use super::{Error, Event, EventType};
use crate::wire::kind::Entity;

/// How often who waits looks whether it still lasts, as the event that says so may be lost.
const LOOK_EVERY: Duration = Duration::from_secs(10);

/// How soon it looks again when that did not work.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// What ends by itself, as it is described.
pub(super) trait Ends: DeserializeOwned + Clone + Default {
    /// What it is.
    const ENTITY: Entity;
    /// The kind of request that asks for it.
    const DATA: &'static str;

    /// The types of events that tell of the end.
    const TYPES: &'static [EventType];

    /// What it was like in the end, which `event` tells.
    fn told(event: Event) -> Option<Self>;

    /// All that is known of one that is gone: not how it ended.
    fn gone(id: &str) -> Self;
}

impl Ends for PlaybackData {
    const ENTITY: Entity = Entity::Playback;
    const DATA: &'static str = "PlaybackData";

    const TYPES: &'static [EventType] = &[EventType::PlaybackFinished];

    fn told(event: Event) -> Option<PlaybackData> {
        match event {
            Event::PlaybackFinished(event) => Some(event.playback),
            _ => None,
        }
    }

    fn gone(id: &str) -> PlaybackData {
        PlaybackData {
            id: id.to_owned(),
            ..PlaybackData::default()
        }
    }
}

impl Ends for LiveRecordingData {
    const ENTITY: Entity = Entity::LiveRecording;
    const DATA: &'static str = "RecordingLiveData";

    const TYPES: &'static [EventType] = &[EventType::RecordingFinished, EventType::RecordingFailed];

    fn told(event: Event) -> Option<LiveRecordingData> {
        match event {
            Event::RecordingFinished(event) => Some(event.recording),
            Event::RecordingFailed(event) => Some(event.recording),
            _ => None,
        }
    }

    fn gone(id: &str) -> LiveRecordingData {
        LiveRecordingData {
            name: id.to_owned(),
            ..LiveRecordingData::default()
        }
    }
}

/// Hears of an end. Shared by the clones of a handle.
#[derive(Debug, Clone)]
pub(super) struct Ending<T> {
    shared: Arc<Shared<T>>,
}

#[derive(Debug)]
struct Shared<T> {
    ears: OnceLock<Ears>,
    over: OnceLock<T>,
    /// When it is to be looked for; kept from one wait to the next, each of which may be short.
    look_at: Mutex<Instant>,
    /// Alive while it is not made yet: who is not there then is not over.
    unmade: Weak<()>,
}

impl<T: Ends> Ending<T> {
    /// One that listens only when it is waited for.
    pub(super) fn unheard() -> Ending<T> {
        Ending::begin(OnceLock::new(), Instant::now(), Weak::new())
    }

    /// One that listens from now on. What it is of is not made as long as there is `unmade`.
    pub(super) fn of(handle: &Handle, unmade: Weak<()>) -> Result<Ending<T>, Error> {
        let ears = OnceLock::from(handle.listen(T::TYPES)?);
        Ok(Ending::begin(ears, Instant::now() + LOOK_EVERY, unmade))
    }

    fn begin(ears: OnceLock<Ears>, look_at: Instant, unmade: Weak<()>) -> Ending<T> {
        Ending {
            shared: Arc::new(Shared {
                ears,
                over: OnceLock::new(),
                look_at: Mutex::new(look_at),
                unmade,
            }),
        }
    }

    /// Waits for the end of what `handle` names, at most for `limit`.
    pub(super) fn wait(&self, handle: &Handle, limit: Option<Duration>) -> Result<T, Error> {
        let shared = &*self.shared;
        let ears = match shared.ears.get() {
            Some(ears) => ears,
            None => {
                let new = handle.listen(T::TYPES)?;
                // Another thread may have been faster: one pair of ears is enough.
                shared.ears.get_or_init(|| new)
            }
        };
        let end = shared.end(handle, ears, limit)?;
        Ok(shared.over.get_or_init(|| end).clone())
    }
}

impl<T: Ends> Shared<T> {
    fn end(&self, handle: &Handle, ears: &Ears, limit: Option<Duration>) -> Result<T, Error> {
        let deadline = limit.and_then(|limit| Instant::now().checked_add(limit));
        let mut known = None;
        loop {
            if let Some(over) = self.over.get() {
                return Ok(over.clone());
            }
            if Instant::now() >= self.look_at() {
                // Known before it is asked: it may be made meanwhile.
                let made = self.unmade.strong_count() == 0;
                let again = match handle.data(T::DATA, T::ENTITY) {
                    Ok(data) => {
                        known = Some(data);
                        LOOK_EVERY
                    }
                    Err(Error::NotFound(_)) if made => {
                        return Ok(known.unwrap_or_else(|| T::gone(&handle.key().id)));
                    }
                    Err(Error::NotFound(_)) => LOOK_EVERY,
                    Err(Error::Closed) => return Err(Error::Closed),
                    Err(_) => LOOK_AGAIN,
                };
                self.look_in(again);
            }
            let now = Instant::now();
            let look_at = self.look_at();
            let until = deadline.map_or(look_at, |deadline| deadline.min(look_at));
            match ears.recv_timeout(until.saturating_duration_since(now)) {
                Ok(event) => match T::told(event) {
                    Some(end) => return Ok(end),
                    // A gap, or what a proxy says of itself: the end may be lost.
                    None => self.look_in(Duration::ZERO),
                },
                Err(Error::Timeout(_)) => {
                    if let (Some(limit), Some(deadline)) = (limit, deadline)
                        && Instant::now() >= deadline
                    {
                        return Err(Error::Timeout(limit));
                    }
                }
                Err(error) => return Err(error),
            }
        }
    }

    fn look_at(&self) -> Instant {
        *self.look_at.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn look_in(&self, time: Duration) {
        let mut look_at = self.look_at.lock().unwrap_or_else(PoisonError::into_inner);
        *look_at = Instant::now() + time;
    }
}
