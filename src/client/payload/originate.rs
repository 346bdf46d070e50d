//! A call from here to somewhere.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Serialize, Serializer};

/// A call to make. Answered, it goes to an ARI application or into the dialplan.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Originate {
    /// What to call, as in `PJSIP/100`.
    pub endpoint: String,
    /// How long it may ring, in whole seconds: 30 s where there is none, without limit where it is
    /// [`Duration::MAX`].
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "seconds")]
    pub timeout: Option<Duration>,
    /// Who calls, as in `"Jane" <100>`.
    #[serde(rename = "callerId", skip_serializing_if = "String::is_empty")]
    pub caller_id: String,
    /// The context of the dialplan that it goes into.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub context: String,
    /// The extension there.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub extension: String,
    /// The priority there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub priority: Option<i64>,
    /// The priority there, by its label.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub label: String,
    /// The ARI application that gets it. The client's when empty, unless it goes into the dialplan.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub app: String,
    /// What that is told, with commas between.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub app_args: String,
    /// Its codecs, with commas between, where no originator lends it his.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub formats: String,
    /// The id of the new channel; a new one when empty.
    #[serde(rename = "channelId", skip_serializing_if = "String::is_empty")]
    pub id: String,
    /// The id of the other half of a `Local` channel; Asterisk's choice when empty.
    #[serde(rename = "otherChannelId", skip_serializing_if = "String::is_empty")]
    pub other_id: String,
    /// The id of the channel that this is done for, which lends it codecs and more; none when empty.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub originator: String,
    /// Variables of the new channel.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub variables: BTreeMap<String, String>,
}

impl Originate {
    /// A call to `endpoint`, as in `PJSIP/100`.
    pub fn to(endpoint: &str) -> Originate {
        Originate {
            endpoint: endpoint.to_owned(),
            ..Originate::default()
        }
    }

    /// Whether it goes into the dialplan.
    pub(in super::super) fn goes_into_the_dialplan(&self) -> bool {
        !self.context.is_empty() || !self.extension.is_empty() || !self.label.is_empty()
    }
}

/// Whole seconds, rounded up: none at all would be the default. The longest is -1: no limit.
fn seconds<S: Serializer>(timeout: &Option<Duration>, serializer: S) -> Result<S::Ok, S::Error> {
    match timeout {
        None => serializer.serialize_none(),
        Some(Duration::MAX) => serializer.serialize_i64(-1),
        Some(timeout) => {
            let up = timeout.as_secs() + u64::from(timeout.subsec_nanos() > 0);
            let seconds = i32::try_from(up.max(1)).unwrap_or(i32::MAX);
            serializer.serialize_i32(seconds)
        }
    }
}
