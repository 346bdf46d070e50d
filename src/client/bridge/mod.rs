//! A bridge, in which channels meet.

mod media;

use serde::Serialize;
use serde_json::json;

use super::data::BridgeData;
use super::handle::{Handle, handle};
use super::payload::{AddOptions, BridgeCreate, id_or_new};
use super::{Channel, Error, EventType, Staged, Subscription};
use crate::wire::kind::Entity;

/// Where channels meet. Cheap to clone; dropping it deletes nothing.
#[derive(Debug, Clone)]
pub struct Bridge {
    handle: Handle,
}

handle!(Bridge);

impl From<Handle> for Bridge {
    fn from(handle: Handle) -> Bridge {
        Bridge { handle }
    }
}

impl Bridge {
    /// A new one where `place` is.
    pub(super) fn create_at(place: &Handle, bridge: &BridgeCreate) -> Result<Bridge, Error> {
        let id = id_or_new(&bridge.id, "br");
        Bridge::create(place.other(Entity::Bridge, &id), bridge)
    }

    fn create(handle: Handle, bridge: &BridgeCreate) -> Result<Bridge, Error> {
        let answer = handle.create_with("BridgeCreate", "bridge_create", bridge)?;
        Ok(handle.found(answer).into())
    }

    pub(super) fn stage_at(place: &Handle, bridge: &BridgeCreate) -> Result<Staged<Bridge>, Error> {
        let id = id_or_new(&bridge.id, "br");
        let handle = place.other(Entity::Bridge, &id);
        let answer = handle.create_with("BridgeStageCreate", "bridge_create", bridge)?;
        let bridge = bridge.clone();
        let staged = Bridge::from(handle.found(answer));
        Ok(Staged::new(staged, move |staged| {
            Bridge::create(staged.handle, &bridge)
        }))
    }

    /// The same, where it is.
    fn located(&self) -> Result<Bridge, Error> {
        Ok(self.handle.located("BridgeGet")?.into())
    }

    /// What Asterisk knows of it.
    pub fn data(&self) -> Result<BridgeData, Error> {
        self.handle.data("BridgeData", Entity::Bridge)
    }

    /// Events about it, of these types; of all where there are none. Where its key has a dialog, it is bound
    /// to that, and what is heard is what the dialog hears about it.
    pub fn subscribe(&self, types: &[EventType]) -> Result<Subscription, Error> {
        self.handle.subscribe(types, Some("BridgeSubscribe"))
    }

    /// Binds `dialog` to it: who subscribed to the dialog hears of it. The handle that is returned binds the
    /// dialog to all that is done through it, too.
    pub fn bind_dialog(&self, dialog: &str) -> Result<Bridge, Error> {
        let bound = self.handle.bound("BridgeSubscribe", dialog)?;
        Ok(Bridge::from(bound))
    }

    /// Tells the proxy that the dialog of its key needs no more events of it. Proxies may send them all the
    /// same: those of today do.
    pub fn unbind_dialog(&self) -> Result<(), Error> {
        self.handle.command("BridgeUnsubscribe")
    }

    /// Lets `channel` in.
    pub fn add(&self, channel: &Channel) -> Result<(), Error> {
        self.add_with(channel, &AddOptions::default())
    }

    /// Lets `channel` in, in a role or muted. (A Go proxy passes on neither.)
    pub fn add_with(&self, channel: &Channel, options: &AddOptions) -> Result<(), Error> {
        #[derive(Serialize)]
        struct Payload<'a> {
            channel: &'a str,
            #[serde(flatten)]
            options: &'a AddOptions,
        }
        let payload = Payload {
            channel: channel.id(),
            options,
        };
        self.handle
            .command_with("BridgeAddChannel", "bridge_add_channel", payload)
    }

    /// Takes `channel` out.
    pub fn remove(&self, channel: &Channel) -> Result<(), Error> {
        self.handle.command_with(
            "BridgeRemoveChannel",
            "bridge_remove_channel",
            json!({ "channel": channel.id() }),
        )
    }

    /// Deletes it. Its channels live on.
    pub fn delete(&self) -> Result<(), Error> {
        self.handle.command("BridgeDelete")
    }

    /// Shows the video of `channel` to all.
    pub fn video_source(&self, channel: &Channel) -> Result<(), Error> {
        self.handle.command_with(
            "BridgeVideoSource",
            "bridge_video_source",
            json!({ "channel": channel.id() }),
        )
    }

    /// Ends [`video_source`](Bridge::video_source).
    pub fn delete_video_source(&self) -> Result<(), Error> {
        self.handle.command("BridgeVideoSourceDelete")
    }

    /// Plays music on hold of this class to all.
    pub fn moh(&self, class: &str) -> Result<(), Error> {
        self.handle
            .command_with("BridgeMOH", "bridge_moh", json!({ "class": class }))
    }

    /// Ends [`moh`](Bridge::moh).
    pub fn stop_moh(&self) -> Result<(), Error> {
        self.handle.command("BridgeStopMOH")
    }
}
