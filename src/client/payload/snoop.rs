//! Listening in on a channel.

use serde::Serialize;

use super::closed::closed;

closed! {
    /// Which audio of a channel.
    #[derive(Default)]
    Direction {
        /// Neither; makes sense in [`Snoop`] alone.
        None = "none",
        /// From the channel into Asterisk: what the caller says.
        In = "in",
        /// From Asterisk to the channel: what the caller hears.
        Out = "out",
        /// Both ways.
        #[default]
        Both = "both",
    }
}

/// What a channel that snoops on another hears and says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Snoop {
    /// The id of the new channel; a new one when empty.
    #[serde(skip)]
    pub id: String,
    /// The ARI application that gets it; that of the channel when empty.
    pub app: String,
    /// What that is told, with commas between.
    #[serde(rename = "appArgs", skip_serializing_if = "String::is_empty")]
    pub app_args: String,
    /// What it hears.
    pub spy: Direction,
    /// To whom it speaks.
    pub whisper: Direction,
}

impl Default for Snoop {
    /// Hears both ways and says nothing.
    fn default() -> Snoop {
        Snoop {
            id: String::new(),
            app: String::new(),
            app_args: String::new(),
            spy: Direction::Both,
            whisper: Direction::None,
        }
    }
}
