//! What is made from a bridge, now or later: playbacks, recordings.

use super::Bridge;
use crate::client::media::OF_BRIDGE;
use crate::client::payload::RecordOptions;
use crate::client::{Error, LiveRecording, Playback, Staged};

impl Bridge {
    /// Plays media to all, as in `sound:hello-world`; several, with commas between, one after the other.
    pub fn play(&self, media: &str) -> Result<Playback, Error> {
        self.play_as("", media)
    }

    /// Plays media to all as the playback `id`.
    pub fn play_as(&self, id: &str, media: &str) -> Result<Playback, Error> {
        OF_BRIDGE.play(&self.located()?.handle, id, media)
    }

    /// [`play`](Bridge::play), later. The bridge has to be there now.
    pub fn stage_play(&self, media: &str) -> Result<Staged<Playback>, Error> {
        self.stage_play_as("", media)
    }

    /// [`play_as`](Bridge::play_as), later. The bridge has to be there now.
    pub fn stage_play_as(&self, id: &str, media: &str) -> Result<Staged<Playback>, Error> {
        OF_BRIDGE.stage_play(&self.handle, id, media)
    }

    /// Records what all hear under `name`, a new one when empty.
    pub fn record(&self, name: &str, options: &RecordOptions) -> Result<LiveRecording, Error> {
        OF_BRIDGE.record(&self.located()?.handle, name, options)
    }

    /// [`record`](Bridge::record), later. The bridge has to be there now.
    pub fn stage_record(
        &self,
        name: &str,
        options: &RecordOptions,
    ) -> Result<Staged<LiveRecording>, Error> {
        OF_BRIDGE.stage_record(&self.handle, name, options)
    }
}
