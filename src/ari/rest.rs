//! The REST client of the workers: blocking calls over connections that are kept.

use std::io::{self, Read};
use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use ureq::config::{AutoHeaderValue, Config};
use ureq::http::header::{AUTHORIZATION, CONTENT_TYPE};
use ureq::http::uri::{PathAndQuery, Uri};
use ureq::http::{self, HeaderValue, Request, Response, StatusCode};
use ureq::tls::{Certificate, RootCerts, TlsConfig};
use ureq::{Agent, Body, Timeout};

use super::addresses::Addresses;
use super::transport::{self, Connect};
use super::{AriError, Credentials};
use crate::trust;
use crate::wire::call::RestCall;
use crate::wire::kind::Method;
use crate::wire::path::encoded;
use crate::wire::status::Members;

/// Asterisk closes idle connections after 15 s without a word; a connection that old is not used.
const IDLE: Duration = Duration::from_secs(5);
/// Largest body taken: the list of all sounds is 150 kB, and a bus takes 1 MB.
const LARGEST: u64 = 8 * 1024 * 1024;
/// How many connections are kept open: ingest and watch share a client, each worker has its own.
const CONNECTIONS: usize = 2;
/// Bytes that are read or written at once. Heads of calls and answers fit in: Asterisk takes request
/// lines of 4 096. ureq writes zeros to all of it for every connection.
const AT_ONCE: usize = 16 * 1024;

/// How long the phases of a call may take.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Connecting.
    pub connect: Duration,
    /// From the request sent to the answer's header, and the same again for its body.
    pub response: Duration,
}

/// A client of one Asterisk. Clones share their connections.
#[derive(Debug, Clone)]
pub struct Rest {
    agent: Agent,
    shared: Arc<Shared>,
}

/// What clients of one Asterisk share.
#[derive(Debug)]
struct Shared {
    config: Config,
    connect: Connect,
    addresses: Addresses,
    /// The URL that targets are put behind.
    base: String,
    /// The same, read; none where it is no URL.
    url: Option<Uri>,
    authorization: HeaderValue,
}

/// What `/asterisk/info` says that matters here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Info {
    /// The entity id: the Asterisk id of subjects and keys.
    pub entity_id: String,
    /// When Asterisk started, as it says: another text means that it was restarted.
    pub startup_time: String,
}

impl Rest {
    /// A client of the API below `base`.
    pub fn new(base: &str, credentials: Credentials, limits: Limits) -> Rest {
        let mut config = Agent::config_builder()
            .http_status_as_error(false)
            .proxy(None)
            .max_redirects(0)
            .max_idle_connections(CONNECTIONS)
            .max_idle_connections_per_host(CONNECTIONS)
            .max_idle_age(IDLE)
            .input_buffer_size(AT_ONCE)
            .output_buffer_size(AT_ONCE)
            // Asterisk does not ask what is accepted.
            .accept(AutoHeaderValue::None)
            .accept_encoding(AutoHeaderValue::None)
            // Limits of phases; a limit of the whole call would cost a thread each.
            .timeout_connect(Some(limits.connect))
            .timeout_send_request(Some(limits.response))
            .timeout_send_body(Some(limits.response))
            .timeout_recv_response(Some(limits.response))
            .timeout_recv_body(Some(limits.response))
            .user_agent(concat!("ari-proxy/", env!("CARGO_PKG_VERSION")));
        if base.starts_with("https:") {
            let authorities = trust::authorities();
            let authorities = authorities
                .iter()
                .map(|der| Certificate::from_der(der).to_owned());
            let provider = std::sync::Arc::new(rustls::crypto::ring::default_provider());
            config = config.tls_config(
                TlsConfig::builder()
                    .root_certs(RootCerts::from(authorities))
                    .unversioned_rustls_crypto_provider(provider)
                    .build(),
            );
        }
        let base = base.trim_end_matches('/');
        let shared = Shared {
            config: config.build(),
            connect: Connect::default(),
            addresses: Addresses::default(),
            base: base.to_owned(),
            url: base.parse().ok(),
            authorization: credentials.value(),
        };
        Rest {
            agent: shared.agent(),
            shared: Arc::new(shared),
        }
    }

    /// The same client with a connection that nobody else uses: nothing is waited for but the answer.
    pub fn alone(&self) -> Rest {
        Rest {
            agent: self.shared.agent(),
            shared: Arc::clone(&self.shared),
        }
    }

    /// Makes `call` and returns the body of a 2xx answer.
    ///
    /// What changes something is sent once. What only reads is sent once more if the connection had
    /// served before and ended without a byte of an answer: Asterisk closed it while the call was on
    /// its way.
    pub fn call(&self, call: &RestCall) -> Result<Vec<u8>, AriError> {
        let (status, body) = self.exchange(call)?;
        if status.is_success() {
            return Ok(body);
        }
        Err(AriError::Status {
            status: status.as_u16(),
            reason: transport::last(),
            message: message(&body),
        })
    }

    /// The same for any answer: its status and body.
    pub fn exchange(&self, call: &RestCall) -> Result<(StatusCode, Vec<u8>), AriError> {
        transport::begin();
        let answer = match self.send(call, IDLE)? {
            Err(ureq::Error::Io(error))
                if call.method == Method::Get && is_end(&error) && transport::is_unheard() =>
            {
                // Others may be as old: on a new one.
                self.send(call, Duration::ZERO)?
            }
            answer => answer,
        };
        let mut answer = answer.map_err(|error| failed(&error))?;
        let body = read(answer.body_mut()).map_err(|error| failed(&error.into()))?;
        Ok((answer.status(), body))
    }

    /// Sends `call`, on a connection that was idle for less than `idle` or a new one, and waits for the
    /// answer's header. The outer error says that it cannot be sent.
    fn send(
        &self,
        call: &RestCall,
        idle: Duration,
    ) -> Result<Result<Response<Body>, ureq::Error>, AriError> {
        let method = match call.method {
            Method::Get => http::Method::GET,
            Method::Post => http::Method::POST,
            Method::Put => http::Method::PUT,
            Method::Delete => http::Method::DELETE,
        };
        let bad = |error: http::Error| AriError::Call(error.to_string());
        let request = Request::builder()
            .method(method)
            .uri(self.shared.uri(&call.target).map_err(bad)?)
            .header(AUTHORIZATION, &self.shared.authorization);
        let answer = match (&call.body, call.method) {
            (Some(body), _) => self.agent.run(
                request
                    .header(CONTENT_TYPE, HeaderValue::from_static("application/json"))
                    .body(body.as_slice())
                    .map_err(bad)?,
            ),
            // A body of no length, as ureq would send no body at all in chunks.
            (None, Method::Post | Method::Put) => {
                self.agent.run(request.body([].as_slice()).map_err(bad)?)
            }
            (None, Method::Get | Method::Delete) => {
                let mut request = request.body(()).map_err(bad)?;
                if idle < IDLE {
                    let configured = self.agent.configure_request(request);
                    request = configured.max_idle_age(idle).build();
                }
                self.agent.run(request)
            }
        };
        Ok(answer)
    }

    /// Asks Asterisk who it is.
    pub fn info(&self) -> Result<Info, AriError> {
        #[derive(Deserialize, Default)]
        #[serde(default)]
        struct System {
            entity_id: String,
        }
        #[derive(Deserialize, Default)]
        #[serde(default)]
        struct Status {
            startup_time: String,
        }
        #[derive(Deserialize)]
        struct Answer {
            #[serde(default)]
            system: System,
            #[serde(default)]
            status: Status,
        }
        let target = "/asterisk/info";
        let answer: Answer = self.ask(target.into()).map_err(|error| AriError::Info {
            url: format!("{}{target}", self.shared.base),
            error: Box::new(error),
        })?;
        Ok(Info {
            entity_id: answer.system.entity_id,
            startup_time: answer.status.startup_time,
        })
    }

    /// Asks Asterisk which channels and bridges are in `application`.
    pub fn members(&self, application: &str) -> Result<Members, AriError> {
        #[derive(Deserialize)]
        struct Answer {
            #[serde(default)]
            channel_ids: Vec<String>,
            #[serde(default)]
            bridge_ids: Vec<String>,
        }
        let answer: Answer = self.ask(format!("/applications/{}", encoded(application)))?;
        let mut members = Members {
            channels: answer.channel_ids,
            bridges: answer.bridge_ids,
        };
        // Who subscribes to everything has these among them (`__AST_CHANNEL_ALL_TOPIC`).
        members.channels.retain(|id| !id.starts_with("__AST_"));
        members.bridges.retain(|id| !id.starts_with("__AST_"));
        Ok(members)
    }

    /// Reads what is at `target`.
    fn ask<T: DeserializeOwned>(&self, target: String) -> Result<T, AriError> {
        let call = RestCall {
            method: Method::Get,
            target,
            body: None,
        };
        serde_json::from_slice(&self.call(&call)?)
            .map_err(|error| AriError::Call(format!("the answer is unreadable: {error}")))
    }
}

impl Shared {
    /// An agent without connections yet.
    fn agent(&self) -> Agent {
        Agent::with_parts(
            self.config.clone(),
            self.connect.clone(),
            self.addresses.clone(),
        )
    }

    /// The URL of `target`.
    fn uri(&self, target: &str) -> Result<Uri, http::Error> {
        let base = self.url.as_ref();
        let (Some(scheme), Some(authority)) =
            (base.and_then(Uri::scheme), base.and_then(Uri::authority))
        else {
            return Ok(Uri::try_from(format!("{}{target}", self.base))?);
        };
        // What is the same for all calls is not read again.
        let path = base.and_then(Uri::path_and_query);
        let path = path.map_or("", PathAndQuery::as_str).trim_end_matches('/');
        Uri::builder()
            .scheme(scheme.clone())
            .authority(authority.clone())
            .path_and_query(format!("{path}{target}"))
            .build()
    }
}

/// The body of an answer.
fn read(body: &mut Body) -> io::Result<Vec<u8>> {
    let length = body.content_length().unwrap_or_default();
    let mut bytes = Vec::with_capacity(AT_ONCE.min(length as usize));
    let mut reader = body.with_config().limit(LARGEST).reader();
    reader.read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Whether `error` is the end of a connection.
fn is_end(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::UnexpectedEof
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionAborted
            | io::ErrorKind::BrokenPipe
    )
}

/// ureq's errors print neither URL nor header.
fn failed(error: &ureq::Error) -> AriError {
    match error {
        ureq::Error::Timeout(Timeout::Connect) => AriError::Timeout("connect"),
        ureq::Error::Timeout(_) => AriError::Timeout("answer"),
        ureq::Error::BadUri(_) => AriError::Call("the path cannot be sent".into()),
        other => AriError::Call(other.to_string()),
    }
}

/// What the body of an error says: `{"message"}`, for 500 `{"error"}`; HTML says nothing.
fn message(body: &[u8]) -> String {
    #[derive(Deserialize)]
    struct Body {
        message: Option<String>,
        error: Option<String>,
    }
    serde_json::from_slice::<Body>(body)
        .ok()
        .and_then(|body| body.message.or(body.error))
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_error_bodies_say() {
        assert_eq!(
            message(br#"{"message":"Channel not found"}"#),
            "Channel not found"
        );
        assert_eq!(
            message(br#"{"error":"Allocation failed"}"#),
            "Allocation failed"
        );
        assert_eq!(message(b"<html>"), "");
        assert_eq!(message(b""), "");
    }
}
