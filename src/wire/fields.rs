//! The values of a request, as the templates and parameters of its row ask for them.

use serde_json::{Map, Value};

use super::call::{RestCall, data_failure};
use super::key::Key;
use super::kind::{Entity, Form, Kind, Method, Need, Param};
use super::path;
use super::request::{BadRequest, member, text};

/// The value at `path` in the payload; names match as Go matches them.
pub(super) fn lookup<'a>(
    payload: Option<&'a Map<String, Value>>,
    path: &str,
) -> Result<Option<&'a Value>, BadRequest> {
    let Some(mut object) = payload else {
        return Ok(None);
    };
    let mut names = path.split('.').peekable();
    while let Some(name) = names.next() {
        let Some(value) = member(object, name) else {
            return Ok(None);
        };
        if names.peek().is_none() {
            return Ok(Some(value));
        }
        object = value
            .as_object()
            .ok_or_else(|| BadRequest(format!("bad request: {name} must be an object")))?;
    }
    Ok(None)
}

/// Where the values of templates and parameters come from.
pub(super) struct Fields<'a> {
    pub(super) kind: &'static Kind,
    pub(super) key: &'a Key,
    pub(super) payload: Option<&'a Map<String, Value>>,
    pub(super) created: Option<&'a str>,
    pub(super) application: &'a str,
}

impl<'a> Fields<'a> {
    fn value(&self, from: &str) -> Result<Option<&'a Value>, BadRequest> {
        lookup(self.payload, from)
    }

    /// The text at `from`, empty where there is none.
    fn text(&self, from: &str) -> Result<&'a str, BadRequest> {
        if let Some(creates) = self.kind.creates
            && creates.id_from == from
        {
            return Ok(self.created.unwrap_or_default());
        }
        match from {
            "id" => Ok(&self.key.id),
            "key.app" => Ok(&self.key.app),
            from => self.value(from)?.map_or(Ok(""), |value| text(value, from)),
        }
    }

    fn integer(&self, from: &str) -> Result<i64, BadRequest> {
        self.value(from)?.map_or(Ok(0), |value| {
            value
                .as_i64()
                .ok_or_else(|| BadRequest(format!("bad request: {from} must be a whole number")))
        })
    }

    /// A duration in nanoseconds as whole units of `unit` nanoseconds, cut off as Go does, but
    /// never to zero, which Asterisk takes for none.
    fn duration(&self, from: &str, unit: i64) -> Result<i64, BadRequest> {
        let nanoseconds = self.integer(from)?;
        Ok(match nanoseconds / unit {
            0 if nanoseconds > 0 => 1,
            units => units,
        })
    }

    fn flag(&self, from: &str) -> Result<bool, BadRequest> {
        self.value(from)?.map_or(Ok(false), |value| {
            value
                .as_bool()
                .ok_or_else(|| BadRequest(format!("bad request: {from} must be true or false")))
        })
    }

    pub(super) fn rest_call(
        &self,
        method: Method,
        template: &str,
        query: &str,
        body: Option<Vec<u8>>,
    ) -> Result<RestCall, BadRequest> {
        let mut target = path::expand(template, |name| self.segments(name))?;
        if !query.is_empty() {
            target.push('?');
            target.push_str(query);
        }
        Ok(RestCall {
            method,
            target,
            body,
        })
    }

    fn segments(&self, name: &str) -> Result<Vec<String>, BadRequest> {
        let value = self.text(name)?;
        let parts = match (name, self.kind.entity) {
            ("id", Entity::Endpoint) => 2,
            ("id", Entity::Config) => 3,
            _ => return Ok(vec![value.to_owned()]),
        };
        let segments: Vec<String> = value.splitn(parts, '/').map(str::to_owned).collect();
        if segments.len() == parts {
            return Ok(segments);
        }
        Err(BadRequest(match (self.kind.entity, self.kind.changes()) {
            (Entity::Config, true) => "failed to parse key: invalid input ID".into(),
            (Entity::Config, false) => "failed to parse configuration key: invalid input ID".into(),
            _ => format!("bad request: endpoint id '{value}' is not technology/resource"),
        }))
    }

    /// Query and body of the call.
    pub(super) fn parameters(&self) -> Result<(String, Option<Vec<u8>>), BadRequest> {
        let mut parameters = Vec::new();
        for param in self.kind.params {
            self.parameter(param, &mut parameters)?;
        }
        let in_query = self
            .kind
            .call
            .is_none_or(|call| matches!(call.method, Method::Get | Method::Delete));
        if in_query {
            let mut query = String::new();
            for (name, value) in parameters {
                let value = value
                    .as_str()
                    .map_or_else(|| value.to_string(), str::to_owned);
                path::push_query(&mut query, &name, &value);
            }
            return Ok((query, None));
        }
        if parameters.is_empty() {
            return Ok((String::new(), None));
        }
        let body = Value::Object(parameters.into_iter().collect());
        Ok((String::new(), Some(body.to_string().into_bytes())))
    }

    fn parameter(&self, param: &Param, to: &mut Vec<(String, Value)>) -> Result<(), BadRequest> {
        let text = || self.text(param.from);
        let filled = |value: &str| (!value.is_empty()).then(|| Value::from(value));
        let value = match param.form {
            Form::Text => filled(text()?),
            Form::TextAlways => Some(text()?.into()),
            Form::TextOr(default) => Some(non_empty(text()?, default).into()),
            Form::TextOrApplication => Some(non_empty(text()?, self.application).into()),
            Form::TextOrKeyChannel => {
                let key_channel = match self.key.kind.as_str() {
                    "channel" => self.key.id.as_str(),
                    _ => "",
                };
                filled(non_empty(text()?, key_channel))
            }
            Form::ChannelSource => Some(format!("channel:{}", text()?).into()),
            Form::TextRequired(missing) => match text()? {
                "" => return Err(BadRequest(missing.into())),
                value => Some(value.into()),
            },
            Form::Int => Some(self.integer(param.from)?)
                .filter(|n| *n != 0)
                .map(Value::from),
            Form::IntAlways => Some(self.integer(param.from)?.into()),
            Form::IntAsText => Some(self.integer(param.from)?.to_string().into()),
            Form::Flag => self.flag(param.from)?.then_some(true.into()),
            Form::FlagAlways => Some(self.flag(param.from)?.into()),
            Form::Seconds => Some(self.duration(param.from, 1_000_000_000)?.into()),
            Form::Millis => Some(self.duration(param.from, 1_000_000)?)
                .filter(|n| *n != 0)
                .map(Value::from),
            Form::MillisOr(default) => Some(match self.duration(param.from, 1_000_000)? {
                n if n <= 0 => default.into(),
                n => n.into(),
            }),
            Form::Json => self
                .value(param.from)?
                .filter(|value| !is_empty(value))
                .cloned(),
            Form::JsonAlways => Some(self.value(param.from)?.cloned().unwrap_or(Value::Null)),
            Form::Spread => return self.spread(param.from, to),
        };
        if let Some(value) = value {
            to.push((param.to.to_owned(), value));
        }
        Ok(())
    }

    /// The members of the object at `from` as parameters of their own, in the order of their names
    /// as Go encodes them.
    fn spread(&self, from: &str, to: &mut Vec<(String, Value)>) -> Result<(), BadRequest> {
        let Some(value) = self.value(from)? else {
            return Ok(());
        };
        let object = value
            .as_object()
            .ok_or_else(|| BadRequest(format!("bad request: {from} must be an object")))?;
        for (name, value) in object {
            let plain = !name.is_empty()
                && name
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-');
            if !plain {
                return Err(BadRequest(format!(
                    "bad request: {from} has a name that is no parameter name"
                )));
            }
            to.push((name.clone(), text(value, &format!("{from}.{name}"))?.into()));
        }
        Ok(())
    }

    /// Every entity that the request works on or creates; empty without a dialog.
    pub(super) fn bindings(&self) -> Vec<(Entity, String)> {
        let mut bindings: Vec<(Entity, String)> = Vec::new();
        if self.key.dialog.is_empty() {
            return bindings;
        }
        let mut bind = |entity: Entity, id: &str| {
            if entity.has_events()
                && !id.is_empty()
                && !bindings.iter().any(|(e, i)| *e == entity && i == id)
            {
                bindings.push((entity, id.to_owned()));
            }
        };
        let names_entity = self.key.kind.is_empty() || self.key.kind == self.kind.entity.key_kind();
        if names_entity && self.kind.binds_key {
            bind(self.kind.entity, &self.key.id);
        }
        if let (Some(creates), Some(id)) = (self.kind.creates, self.created) {
            bind(creates.entity, id);
        }
        for (entity, from) in self.kind.binds {
            bind(*entity, self.text(from).unwrap_or_default());
        }
        if let Ok(source) = self.text("event_source")
            && let Some((entity, id)) = event_source(source)
        {
            bind(entity, id);
        }
        bindings
    }

    pub(super) fn failure(&self) -> String {
        let reads = self
            .kind
            .call
            .is_some_and(|call| call.method == Method::Get);
        if self.kind.failure.is_empty() && reads && self.kind.need == Need::Id {
            if self.kind.entity.path().contains("{id}") && self.kind.params.is_empty() {
                return data_failure(self.kind.entity, &self.key.id);
            }
            return String::new();
        }
        let mut failure = String::new();
        let mut rest = self.kind.failure;
        while let Some((before, after)) = rest.split_once('{') {
            let (name, after) = after.split_once('}').unwrap_or((after, ""));
            failure.push_str(before);
            failure.push_str(self.text(name).unwrap_or_default());
            rest = after;
        }
        failure.push_str(rest);
        failure
    }
}

/// What an event source of an application subscription names: `channel:<id>`, `endpoint:<t>/<r>`, ….
fn event_source(source: &str) -> Option<(Entity, &str)> {
    let (scheme, id) = source.split_once(':')?;
    let entity = match scheme {
        "channel" => Entity::Channel,
        "bridge" => Entity::Bridge,
        "endpoint" => Entity::Endpoint,
        "deviceState" => Entity::DeviceState,
        _ => return None,
    };
    Some((entity, id))
}

fn non_empty<'a>(value: &'a str, default: &'a str) -> &'a str {
    if value.is_empty() { default } else { value }
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Object(object) => object.is_empty(),
        Value::Array(array) => array.is_empty(),
        Value::String(text) => text.is_empty(),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::super::call::{Plan, plan};
    use super::super::kinds;
    use super::super::request::Request;
    use super::*;

    fn planned(request: &str) -> Result<Plan, BadRequest> {
        let request = Request::read(request.as_bytes()).unwrap();
        let kind = kinds::find(&request.kind).unwrap();
        plan(&request, kind, "app")
    }

    fn call(request: &str) -> (String, Value) {
        let call = planned(request).unwrap().call.unwrap();
        let body = call
            .body
            .map_or(Value::Null, |b| serde_json::from_slice(&b).unwrap());
        (call.target, body)
    }

    #[test]
    fn defect_12_all_of_add_channel_is_passed_on() {
        let (target, body) = call(
            r#"{"kind":"BridgeAddChannel","key":{"id":"b"},
                "bridge_add_channel":{"channel":"c","absorbDTMF":true,"mute":true,"role":"r"}}"#,
        );
        assert_eq!(target, "/bridges/b/addChannel");
        assert_eq!(
            body,
            serde_json::json!({"channel":"c","absorbDTMF":true,"mute":true,"role":"r"})
        );
    }

    #[test]
    fn defect_13_dtmf_defaults_are_sent() {
        let (_, body) =
            call(r#"{"kind":"ChannelSendDTMF","key":{"id":"c"},"channel_send_dtmf":{"dtmf":"1"}}"#);
        assert_eq!(
            body,
            serde_json::json!({"dtmf":"1","between":100,"duration":100})
        );
    }

    #[test]
    fn durations_are_cut_off_but_not_to_none() {
        let (_, body) =
            call(r#"{"kind":"ChannelDial","key":{"id":"c"},"channel_dial":{"timeout":500000000}}"#);
        assert_eq!(body["timeout"], 1);
        let (_, body) = call(
            r#"{"kind":"ChannelDial","key":{"id":"c"},"channel_dial":{"timeout":1900000000}}"#,
        );
        assert_eq!(body["timeout"], 1);
    }

    #[test]
    fn a_key_that_is_a_channel_is_the_originator() {
        let (_, body) = call(
            r#"{"kind":"ChannelOriginate","key":{"kind":"channel","id":"c0"},
                "channel_originate":{"originate_request":{"endpoint":"Local/1"}}}"#,
        );
        assert_eq!(body["originator"], "c0");
        assert!(body["channelId"].as_str().unwrap().ends_with("-ch"));
    }

    #[test]
    fn external_media_is_filled_in_or_refused() {
        let (_, body) = call(
            r#"{"kind":"ChannelExternalMedia","key":null,"channel_external_media":
                {"options":{"external_host":"h:1","format":"ulaw"}}}"#,
        );
        assert_eq!(body["app"], "app");
        assert_eq!(body["direction"], "both");
        let staged = planned(
            r#"{"kind":"ChannelStageExternalMedia","key":null,"channel_external_media":
                {"options":{"format":"ulaw"}}}"#,
        );
        assert_eq!(staged.unwrap_err().to_string(), "ExternalHost is mandatory");
    }

    #[test]
    fn sound_filters_become_parameters() {
        let (target, _) = call(
            r#"{"kind":"SoundList","key":null,"sound_list":{"filters":{"lang":"en","format":"g m"}}}"#,
        );
        assert_eq!(target, "/sounds?format=g%20m&lang=en");
    }

    #[test]
    fn endpoint_and_config_ids_have_parts() {
        let (target, _) = call(r#"{"kind":"EndpointData","key":{"id":"PJSIP/a/b"}}"#);
        assert_eq!(target, "/endpoints/PJSIP/a%2Fb");
        assert!(planned(r#"{"kind":"EndpointData","key":{"id":"PJSIP"}}"#).is_err());
        assert!(planned(r#"{"kind":"AsteriskConfigData","key":{"id":"a/b"}}"#).is_err());
    }
}
