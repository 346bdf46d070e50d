//! What a client reaches: the entities at the Asterisks of its application.

use super::{
    Applications, Asterisk, Bridges, Channels, Client, DeviceStates, Endpoints, Mailboxes,
    Playbacks, Recordings, Sounds,
};

impl Client {
    /// Channels: the ends of calls.
    pub fn channels(&self) -> Channels {
        Channels::new(self.session.clone())
    }

    /// Bridges, in which channels meet.
    pub fn bridges(&self) -> Bridges {
        Bridges::new(self.session.clone())
    }

    /// Media that are played.
    pub fn playbacks(&self) -> Playbacks {
        Playbacks::new(self.session.clone())
    }

    /// Recordings, in progress and finished.
    pub fn recordings(&self) -> Recordings {
        Recordings::new(self.session.clone())
    }

    /// What can be called.
    pub fn endpoints(&self) -> Endpoints {
        Endpoints::new(self.session.clone())
    }

    /// States of devices.
    pub fn device_states(&self) -> DeviceStates {
        DeviceStates::new(self.session.clone())
    }

    /// Mailboxes.
    pub fn mailboxes(&self) -> Mailboxes {
        Mailboxes::new(self.session.clone())
    }

    /// Sounds that can be played.
    pub fn sounds(&self) -> Sounds {
        Sounds::new(self.session.clone())
    }

    /// ARI applications, and what they are told of.
    pub fn applications(&self) -> Applications {
        Applications::new(self.session.clone())
    }

    /// Asterisk itself.
    pub fn asterisk(&self) -> Asterisk {
        Asterisk::new(self.session.clone())
    }
}
