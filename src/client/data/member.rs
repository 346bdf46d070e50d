//! What can be a member of an entity or event, and how entities are made of members.

use serde::de::{Deserialize, DeserializeOwned, Deserializer};
use serde_json::{Map, Value};

use super::{BridgeData, ChannelData, EndpointData};

/// A member of an entity or event.
pub(in crate::client) trait Member: Default + DeserializeOwned {
    /// Reads it; null is the same as absent: the original proxy writes it where there is nothing.
    fn read<'de, D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        Ok(Option::<Self>::deserialize(from)?.unwrap_or_default())
    }

    /// The channel that it is.
    fn channel(&self) -> Option<&ChannelData> {
        None
    }
}

impl Member for bool {}
impl Member for f64 {}
impl Member for i64 {}
impl Member for String {}
impl Member for Value {}
impl Member for Map<String, Value> {}
impl Member for Option<bool> {}
impl Member for Option<f64> {}
impl Member for Option<i64> {}
impl<T: DeserializeOwned> Member for Vec<T> {}

impl Member for ChannelData {
    fn channel(&self) -> Option<&ChannelData> {
        Some(self)
    }
}

impl Member for Option<ChannelData> {
    fn read<'de, D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        named(from, |channel: &ChannelData| !channel.id.is_empty())
    }

    fn channel(&self) -> Option<&ChannelData> {
        self.as_ref()
    }
}

impl Member for Option<BridgeData> {
    fn read<'de, D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        named(from, |bridge: &BridgeData| !bridge.id.is_empty())
    }
}

impl Member for Option<EndpointData> {
    fn read<'de, D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        named(from, |endpoint: &EndpointData| {
            !endpoint.technology.is_empty()
        })
    }
}

/// An entity that need not be there. One without a name is how the original proxy says that it is not.
fn named<'de, D, T>(from: D, is_named: fn(&T) -> bool) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    T: DeserializeOwned,
{
    Ok(Option::<T>::deserialize(from)?.filter(is_named))
}

/// Whether `member` is as if it were not there.
pub(in crate::client) fn is_default<T: Default + PartialEq>(member: &T) -> bool {
    *member == T::default()
}

/// Makes an entity of its members: those that Asterisk always has, and those that are optional, which are left
/// out of the JSON where they are not there. `extra` is read by `rest`, if it is named.
macro_rules! entity {
    (
        $(#[$about:meta])*
        $name:ident {
            $($(#[$always:meta])* $member:ident: $type:ty,)*
        }
        $(optional {
            $($(#[$at_times:meta])* $optional:ident: $optional_type:ty,)*
        })?
        $(rest $rest:literal)?
    ) => {
        #[derive(Debug, Clone, PartialEq, Default, ::serde::Serialize, ::serde::Deserialize)]
        $(#[$about])*
        #[serde(default)]
        pub struct $name {
            $(
                $(#[$always])*
                #[serde(deserialize_with = "crate::client::data::member::Member::read")]
                pub $member: $type,
            )*
            $($(
                $(#[$at_times])*
                #[serde(
                    deserialize_with = "crate::client::data::member::Member::read",
                    skip_serializing_if = "crate::client::data::member::is_default"
                )]
                pub $optional: $optional_type,
            )*)?
            /// Whatever else there is.
            #[serde(flatten $(, deserialize_with = $rest)?)]
            pub extra: ::serde_json::Map<String, ::serde_json::Value>,
        }
    };
}

pub(in crate::client) use entity;

/// Declares entities that are members of others, or of events.
macro_rules! members {
    ($($type:ty),*) => {
        $(impl Member for $type {})*
    };
}

members!(
    super::AdditionalParam,
    super::BuildInfo,
    super::CallerId,
    super::ConfigInfo,
    super::ContactInfo,
    super::DeviceStateData,
    super::DialplanCep,
    super::LiveRecordingData,
    super::Peer,
    super::PlaybackData,
    super::ReferTo,
    super::ReferredBy,
    super::RequiredDestination,
    super::SetId,
    super::StatusInfo,
    super::SystemInfo,
    super::TextMessage,
    BridgeData,
    EndpointData,
    Option<crate::wire::key::Key>
);
