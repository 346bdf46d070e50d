//! The channels of an application, and how new ones come to be.

use serde_json::json;

use super::handle::{Handle, collection};
use super::payload::{ChannelCreate, ExternalMedia, Originate, id_or_new};
use super::{Channel, Error, Staged};
use crate::wire::kind::Entity;

/// The channels at all Asterisks of the application, or at [one](Channels::at).
#[derive(Debug, Clone)]
pub struct Channels {
    place: Handle,
}

collection!(Channels, Channel, Entity::Channel);

impl Channels {
    /// The channel `id`, and where it is.
    pub fn get(&self, id: &str) -> Result<Channel, Error> {
        let found = self.place.other(Entity::Channel, id).get("ChannelGet")?;
        Ok(found.into())
    }

    /// All.
    pub fn list(&self) -> Result<Vec<Channel>, Error> {
        self.place.list("ChannelList")
    }

    /// A new call. One of the proxies makes it. With [`Channel::originate`] it is made on behalf of a channel.
    pub fn originate(&self, call: &Originate) -> Result<Channel, Error> {
        originate(&self.place, &call_to_make(&self.place, call))
    }

    /// [`originate`](Channels::originate), later; at which Asterisk is settled now.
    pub fn stage_originate(&self, call: &Originate) -> Result<Staged<Channel>, Error> {
        stage_originate(&self.place, call)
    }

    /// A new channel that calls nobody before [`Channel::dial`].
    pub fn create(&self, channel: &ChannelCreate) -> Result<Channel, Error> {
        let mut channel = channel.clone();
        channel.id = id_or_new(&channel.id, "ch");
        if channel.app.is_empty() {
            channel.app.clone_from(&self.place.key().app);
        }
        let payload = json!({ "channel_create_request": channel });
        let answer = self
            .place
            .create_with("ChannelCreate", "channel_create", payload)?;
        Ok(made(&self.place, &channel.id).found(answer).into())
    }

    /// A new channel whose audio comes from and goes to a program elsewhere.
    pub fn external_media(&self, media: &ExternalMedia) -> Result<Channel, Error> {
        external_media(&self.place, &media_to_make(media))
    }

    /// [`external_media`](Channels::external_media), later; at which Asterisk is settled now.
    pub fn stage_external_media(&self, media: &ExternalMedia) -> Result<Staged<Channel>, Error> {
        stage_external_media(&self.place, media)
    }
}

fn made(at: &Handle, id: &str) -> Handle {
    at.other(Entity::Channel, id)
}

/// `call` with what the client adds: its id, and the application where it goes nowhere else.
pub(super) fn call_to_make(at: &Handle, call: &Originate) -> Originate {
    let mut call = call.clone();
    call.id = id_or_new(&call.id, "ch");
    if call.app.is_empty() && !call.goes_into_the_dialplan() {
        call.app.clone_from(&at.key().app);
    }
    call
}

/// Makes `call` where `at` is, which is its originator if it is a channel.
pub(super) fn originate(at: &Handle, call: &Originate) -> Result<Channel, Error> {
    let payload = json!({ "originate_request": call });
    let answer = at.create_with("ChannelOriginate", "channel_originate", payload)?;
    Ok(made(at, &call.id).found(answer).into())
}

pub(super) fn stage_originate(at: &Handle, call: &Originate) -> Result<Staged<Channel>, Error> {
    let call = call_to_make(at, call);
    let payload = json!({ "originate_request": call });
    let answer = at.create_with("ChannelStageOriginate", "channel_originate", payload)?;
    let at = at.found(answer);
    Ok(Staged::new(Channel::from(made(&at, &call.id)), move |_| {
        originate(&at, &call)
    }))
}

/// `media` with what the client adds: its id.
pub(super) fn media_to_make(media: &ExternalMedia) -> ExternalMedia {
    let mut media = media.clone();
    media.id = id_or_new(&media.id, "ch");
    media
}

pub(super) fn external_media(at: &Handle, media: &ExternalMedia) -> Result<Channel, Error> {
    let payload = json!({ "options": media });
    let answer = at.create_with("ChannelExternalMedia", "channel_external_media", payload)?;
    Ok(made(at, &media.id).found(answer).into())
}

/// Under a kind of its own: the Go client's, that of staged originates, its proxy refuses.
pub(super) fn stage_external_media(
    at: &Handle,
    media: &ExternalMedia,
) -> Result<Staged<Channel>, Error> {
    let media = media_to_make(media);
    let payload = json!({ "options": media });
    let answer = at.create_with(
        "ChannelStageExternalMedia",
        "channel_external_media",
        payload,
    )?;
    let at = at.found(answer);
    Ok(Staged::new(
        Channel::from(made(&at, &media.id)),
        move |_| external_media(&at, &media),
    ))
}
