//! A channel, and what can be done with it.

mod media;
mod staging;
mod talk;

use super::data::ChannelData;
use super::event::StasisStart;
use super::handle::{Handle, handle};
use super::payload::{Dial, DtmfOptions, HangupReason};
use super::session::Session;
use super::{Bridge, BridgeCreate, Error, EventType, Key, Subscription};
use crate::wire::kind::Entity;

use serde::Serialize;
use serde_json::json;

/// One end of a call. Cheap to clone; dropping it hangs up nothing.
#[derive(Debug, Clone)]
pub struct Channel {
    handle: Handle,
}

handle!(Channel);

impl From<Handle> for Channel {
    fn from(handle: Handle) -> Channel {
        Channel { handle }
    }
}

impl Channel {
    /// The one that has entered the application.
    pub(super) fn new(session: &Session, entered: &StasisStart) -> Channel {
        let key = Key::channel(&entered.channel.id).at(&entered.asterisk_id);
        let key = key.in_app(&entered.application);
        Handle::new(session.clone(), &key).into()
    }

    /// What Asterisk knows of it.
    pub fn data(&self) -> Result<ChannelData, Error> {
        self.handle.data("ChannelData", Entity::Channel)
    }

    /// Events about it, of these types; of all where there are none. Where its key has a dialog, it is bound
    /// to that, and what is heard is what the dialog hears about it.
    pub fn subscribe(&self, types: &[EventType]) -> Result<Subscription, Error> {
        self.handle.subscribe(types, Some("ChannelSubscribe"))
    }

    /// Binds `dialog` to it: who subscribed to the dialog hears of it. The handle that is returned binds the
    /// dialog to all that is made through it, too.
    pub fn bind_dialog(&self, dialog: &str) -> Result<Channel, Error> {
        let bound = self.handle.bound("ChannelSubscribe", dialog)?;
        Ok(Channel::from(bound))
    }

    /// The same, where it is.
    fn located(&self) -> Result<Channel, Error> {
        Ok(self.handle.located("ChannelGet")?.into())
    }

    /// Answers.
    pub fn answer(&self) -> Result<(), Error> {
        self.handle.command("ChannelAnswer")
    }

    /// Hangs up: the call is over.
    pub fn hangup(&self) -> Result<(), Error> {
        self.hangup_with(HangupReason::Normal)
    }

    /// Hangs up for this reason, as in `hangup_with("no_answer")`.
    pub fn hangup_with(&self, reason: impl Into<HangupReason>) -> Result<(), Error> {
        let reason = reason.into();
        self.handle.command_with(
            "ChannelHangup",
            "channel_hangup",
            json!({ "reason": reason }),
        )
    }

    /// Hangs up, as who is called is busy.
    pub fn busy(&self) -> Result<(), Error> {
        self.handle.command("ChannelBusy")
    }

    /// Hangs up, as there is no line.
    pub fn congestion(&self) -> Result<(), Error> {
        self.handle.command("ChannelCongestion")
    }

    /// Tells it that it rings at the other end.
    pub fn ring(&self) -> Result<(), Error> {
        self.handle.command("ChannelRing")
    }

    /// Ends [`ring`](Channel::ring).
    pub fn stop_ring(&self) -> Result<(), Error> {
        self.handle.command("ChannelStopRing")
    }

    /// Calls what was created with [`Channels::create`](super::Channels::create).
    pub fn dial(&self, dial: &Dial) -> Result<(), Error> {
        self.handle
            .command_with("ChannelDial", "channel_dial", dial)
    }

    /// Sends DTMF, as in `dtmf("123#")`.
    pub fn dtmf(&self, digits: &str) -> Result<(), Error> {
        self.dtmf_with(digits, &DtmfOptions::default())
    }

    /// Sends DTMF in times of its own.
    pub fn dtmf_with(&self, digits: &str, options: &DtmfOptions) -> Result<(), Error> {
        self.handle.command_with(
            "ChannelSendDTMF",
            "channel_send_dtmf",
            json!({ "dtmf": digits, "options": options }),
        )
    }

    /// The value of its variable, or dialplan function, `name`. [`Error::NotFound`] if it is not set.
    pub fn variable(&self, name: &str) -> Result<String, Error> {
        self.handle.variable_with(
            "ChannelVariableGet",
            "channel_variable",
            json!({ "name": name }),
        )
    }

    /// Sets its variable, or dialplan function, `name`. An empty `value` removes a variable.
    pub fn set_variable(&self, name: &str, value: &str) -> Result<(), Error> {
        self.handle.command_with(
            "ChannelVariableSet",
            "channel_variable",
            json!({ "name": name, "value": value }),
        )
    }

    /// Leaves the application for the dialplan, where it goes on at this place.
    pub fn continue_in_dialplan(
        &self,
        context: &str,
        extension: &str,
        priority: i64,
    ) -> Result<(), Error> {
        self.handle.command_with(
            "ChannelContinue",
            "channel_continue",
            json!({ "context": context, "extension": extension, "priority": priority }),
        )
    }

    /// Makes an event `ChannelUserevent` about it, with `variables`: an object of texts.
    pub fn user_event(&self, name: &str, variables: &impl Serialize) -> Result<(), Error> {
        let payload = UserEventPayload {
            user_event: UserEvent {
                eventname: name,
                userevent: variables,
            },
        };
        self.handle
            .command_with("ChannelUserEvent", "channel_user_event", payload)
    }

    /// Lets it and `other` hear each other, in a new bridge at their Asterisk. Who has the bridge deletes it.
    pub fn bridge(&self, other: &Channel) -> Result<Bridge, Error> {
        let here = self.located()?;
        let (ours, its) = (&here.key().node, &other.key().node);
        if !its.is_empty() && ours != its {
            return Err(Error::Setting(format!(
                "channels at two Asterisks, {ours} and {its}, cannot be in one bridge"
            )));
        }
        let bridge = Bridge::create_at(&here.handle, &BridgeCreate::mixing())?;
        let joined = bridge.add(self).and_then(|()| bridge.add(other));
        if let Err(error) = joined {
            // What went wrong first is what to tell.
            let _ = bridge.delete();
            return Err(error);
        }
        Ok(bridge)
    }
}

/// The payload of a user event.
#[derive(Serialize)]
struct UserEventPayload<'a, V> {
    #[serde(rename = "UserEvent")]
    user_event: UserEvent<'a, V>,
}

#[derive(Serialize)]
struct UserEvent<'a, V> {
    eventname: &'a str,
    userevent: &'a V,
}
