//! A request and its row of the table made into a plan: REST calls, bindings, what to answer.

use serde_json::{Map, Value};

use super::fields::{Fields, lookup};
use super::id;
use super::key::Key;
use super::kind::{Creates, Entity, Kind, Method, Need};
use super::path::LONGEST_ID;
use super::request::{BadRequest, Request, text};
use super::subject::{LONGEST_DIALOG, publishable};

/// One REST call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RestCall {
    /// Its method.
    pub method: Method,
    /// Path and query, below the base URL, encoded.
    pub target: String,
    /// The JSON body.
    pub body: Option<Vec<u8>>,
}

/// What a request comes to.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    /// Its row of the table.
    pub kind: &'static Kind,
    /// The request's key, its id generated where the kind creates what the key names.
    pub key: Key,
    /// Read before the call; its failure is the request's.
    pub check: Option<RestCall>,
    /// The call itself.
    pub call: Option<RestCall>,
    /// The id of what the request creates.
    pub created: Option<String>,
    /// What the dialog of the key is bound to before the calls are made.
    pub bindings: Vec<(Entity, String)>,
    /// What comes before the error text of a failed call.
    pub failure: String,
}

/// Plans `request` of the row `kind` for a proxy of `application`.
pub fn plan(request: &Request, kind: &'static Kind, application: &str) -> Result<Plan, BadRequest> {
    let mut key = request.key.clone();
    if kind.need == Need::Id && key.id.is_empty() {
        return Err(BadRequest(no_id(kind)));
    }
    if !key.dialog.is_empty() && (key.dialog.len() > LONGEST_DIALOG || !publishable(&key.dialog)) {
        return Err(BadRequest(
            "bad request: key.dialog cannot be part of a subject".into(),
        ));
    }
    if key.id.len() > LONGEST_ID {
        return Err(BadRequest("bad request: key.id is too long".into()));
    }
    let payload = payload(request, kind)?;
    let mut created = None;
    if let Some(creates) = kind.creates {
        let id = created_id(creates, &key, payload)?;
        if creates.id_from == "id" {
            key.id.clone_from(&id);
        }
        created = Some(id);
    }
    let fields = Fields {
        kind,
        key: &key,
        payload,
        created: created.as_deref(),
        application,
    };
    let (query, body) = fields.parameters()?;
    let call = kind
        .call
        .map(|call| fields.rest_call(call.method, call.path, &query, body))
        .transpose()?;
    let check = kind
        .reads_first
        .then(|| fields.rest_call(Method::Get, kind.entity.path(), "", None))
        .transpose()?;
    let bindings = fields.bindings();
    let ids = bindings.iter().map(|(_, id)| id).chain(&created);
    if ids.into_iter().any(|id| id.len() > LONGEST_ID) {
        return Err(BadRequest("bad request: an id is too long".into()));
    }
    let failure = fields.failure();
    Ok(Plan {
        kind,
        key,
        check,
        call,
        created,
        bindings,
        failure,
    })
}

impl Plan {
    /// What comes before the error text when the first read fails.
    pub fn check_failure(&self) -> String {
        data_failure(self.kind.entity, &self.key.id)
    }
}

/// What the Go program says of a key without an id.
fn no_id(kind: &Kind) -> String {
    match (kind.name, kind.entity) {
        ("AsteriskLoggingDelete", _) => "Not allowed to delete unnamed channels".into(),
        ("AsteriskLoggingRotate", _) => "Not allowed to rotate unnamed channels".into(),
        (_, Entity::DeviceState) => "device key not supplied".into(),
        (_, entity) => format!("{} key not supplied", entity.label()),
    }
}

pub(super) fn data_failure(entity: Entity, id: &str) -> String {
    format!(
        "failed to get data: Error getting data for {} '{id}': ",
        entity.label()
    )
}

fn payload<'a>(
    request: &'a Request,
    kind: &Kind,
) -> Result<Option<&'a Map<String, Value>>, BadRequest> {
    let Some(wanted) = kind.payload else {
        return Ok(None);
    };
    match request.payload(wanted.member)? {
        Some(payload) => Ok(Some(payload)),
        None if wanted.missing.is_empty() => Err(BadRequest(format!(
            "bad request: {} needs the member {}",
            kind.name, wanted.member
        ))),
        None => Err(BadRequest(format!(
            "{}: the member {} is missing",
            wanted.missing, wanted.member
        ))),
    }
}

fn created_id(
    creates: Creates,
    key: &Key,
    payload: Option<&Map<String, Value>>,
) -> Result<String, BadRequest> {
    let brought = match creates.id_from {
        "id" => key.id.as_str(),
        from => match lookup(payload, from)? {
            Some(value) => text(value, from)?,
            None => "",
        },
    };
    match (brought, creates.suffix) {
        ("", "") => Err(BadRequest(format!(
            "bad request: {} is missing",
            creates.id_from
        ))),
        ("", suffix) => Ok(id::generate(suffix)),
        (brought, _) => Ok(brought.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::super::kinds;
    use super::*;

    fn planned(request: &str) -> Result<Plan, BadRequest> {
        let request = Request::read(request.as_bytes()).unwrap();
        let kind = kinds::find(&request.kind).unwrap();
        plan(&request, kind, "app")
    }

    #[test]
    fn defect_1_every_kind_survives_a_bare_request() {
        for kind in &kinds::KINDS {
            for key in ["null", "{}", r#"{"kind":"channel","id":"x"}"#] {
                let request = format!(r#"{{"kind":"{}","key":{key}}}"#, kind.name);
                let result = planned(&request);
                if let Some(payload) = kind.payload
                    && (kind.need == Need::Nothing || key.contains("id"))
                {
                    let error = result.unwrap_err().to_string();
                    assert!(error.contains(payload.member), "{}: {error}", kind.name);
                }
            }
        }
    }

    #[test]
    fn a_missing_id_is_named() {
        for (kind, says) in [
            ("ChannelAnswer", "channel key not supplied"),
            ("DeviceStateData", "device key not supplied"),
            ("RecordingLiveStop", "liveRecording key not supplied"),
        ] {
            let error = planned(&format!(r#"{{"kind":"{kind}","key":null}}"#)).unwrap_err();
            assert_eq!(error.to_string(), says);
        }
    }

    #[test]
    fn bindings_cover_what_is_worked_on_and_what_is_created() {
        let plan = planned(
            r#"{"kind":"ChannelPlay","key":{"kind":"channel","id":"c","dialog":"d"},
                "channel_play":{"playback_id":"p","media_uri":"m"}}"#,
        )
        .unwrap();
        assert_eq!(
            plan.bindings,
            [
                (Entity::Channel, "c".to_owned()),
                (Entity::Playback, "p".to_owned())
            ]
        );
        let plan = planned(
            r#"{"kind":"ChannelOriginate","key":{"dialog":"d"},"channel_originate":
                {"originate_request":{"channelId":"a","otherChannelId":"b","originator":"o"}}}"#,
        )
        .unwrap();
        let ids: Vec<&str> = plan.bindings.iter().map(|(_, id)| id.as_str()).collect();
        assert_eq!(ids, ["a", "b", "o"]);
        let plan = planned(
            r#"{"kind":"ApplicationSubscribe","key":{"id":"app","dialog":"d"},
                "application_subscribe":{"event_source":"deviceState:Stasis:x"}}"#,
        )
        .unwrap();
        assert_eq!(
            plan.bindings,
            [(Entity::DeviceState, "Stasis:x".to_owned())]
        );
    }

    #[test]
    fn unsubscribing_binds_nothing() {
        let plan = planned(r#"{"kind":"BridgeUnsubscribe","key":{"id":"b","dialog":"d"}}"#);
        assert_eq!(plan.unwrap().bindings, []);
    }

    #[test]
    fn a_dialog_that_is_no_subject_is_refused() {
        for dialog in ["a b", "a\\r\\nPUB", ">", "a..b"] {
            let request =
                format!(r#"{{"kind":"ChannelSubscribe","key":{{"id":"c","dialog":"{dialog}"}}}}"#);
            assert!(planned(&request).is_err(), "{dialog}");
        }
    }

    #[test]
    fn failures_are_put_as_the_peer_puts_them() {
        let plan = planned(r#"{"kind":"ChannelGet","key":{"id":"c"}}"#).unwrap();
        assert_eq!(
            plan.failure,
            "failed to get data: Error getting data for channel 'c': "
        );
        let plan = planned(
            r#"{"kind":"ApplicationSubscribe","key":{"id":"a"},
                "application_subscribe":{"event_source":"channel:x"}}"#,
        )
        .unwrap();
        assert_eq!(
            plan.failure,
            "Error subscribing application 'a' for event source 'channel:x': "
        );
        let plan = planned(r#"{"kind":"ChannelAnswer","key":{"id":"c"}}"#).unwrap();
        assert_eq!(plan.failure, "");
    }
}
