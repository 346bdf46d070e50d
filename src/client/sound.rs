//! Sounds that can be played.

use serde_json::{Map, Value, json};

use super::Error;
use super::data::SoundData;
use super::handle::{Handle, collection, handle};
use crate::wire::kind::Entity;

/// A sound. Its id is what follows `sound:` when it is played.
#[derive(Debug, Clone)]
pub struct Sound {
    handle: Handle,
}

handle!(Sound);

impl From<Handle> for Sound {
    fn from(handle: Handle) -> Sound {
        Sound { handle }
    }
}

impl Sound {
    /// What Asterisk knows of it.
    pub fn data(&self) -> Result<SoundData, Error> {
        self.handle.data("SoundData", Entity::Sound)
    }
}

/// The sounds at all Asterisks of the application, or at [one](Sounds::at).
#[derive(Debug, Clone)]
pub struct Sounds {
    place: Handle,
}

collection!(Sounds, Sound, Entity::Sound);

impl Sounds {
    /// Those in this language and this format, where these are not empty. A Go proxy tells no ids.
    pub fn list(&self, language: &str, format: &str) -> Result<Vec<Sound>, Error> {
        let filters: Map<String, Value> = [("lang", language), ("format", format)]
            .into_iter()
            .filter(|(_, value)| !value.is_empty())
            .map(|(name, value)| (name.to_owned(), value.into()))
            .collect();
        self.place
            .list_with("SoundList", "sound_list", json!({ "filters": filters }))
    }
}
