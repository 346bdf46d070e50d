//! The bus' servers, from the list of URLs that the peer's clients and servers take.

use super::secret::Secret;
use super::url;
use std::fmt;

/// The port of a NATS server whose URL names none.
const DEFAULT_PORT: u16 = 4222;

/// One server of the bus. `Display` and `Debug` show `nats://host:port`, never the credentials.
#[derive(Clone, PartialEq, Eq)]
pub struct BusServer {
    /// Whether to speak TLS to it (`tls://`).
    pub tls: bool,
    /// Its name or address; an IPv6 address is without brackets.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// The user; without a password it is a token, so it is as secret as the password.
    pub username: Option<String>,
    /// The user's password.
    pub password: Option<Secret>,
}

impl fmt::Display for BusServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.tls { "tls" } else { "nats" };
        if self.host.contains(':') {
            write!(f, "{scheme}://[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{scheme}://{}:{}", self.host, self.port)
        }
    }
}

impl fmt::Debug for BusServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Reads a comma-separated list of `nats://` and `tls://` URLs. Those without a scheme take the
/// first one's.
pub(super) fn servers(text: &str) -> Result<Vec<BusServer>, String> {
    let problem = |what: &str| format!("{:?} {what}", url::redact(text));
    if text.chars().any(char::is_control) {
        return Err(problem("contains a control character"));
    }
    let mut first = None;
    let mut servers = Vec::new();
    for entry in text.split(',').map(str::trim) {
        let (tls, rest) = match entry.split_once("://") {
            Some((scheme, rest)) => (uses_tls(scheme).map_err(problem)?, rest),
            None => (first.unwrap_or(false), entry),
        };
        first = first.or(Some(tls));
        servers.push(server(tls, rest).map_err(problem)?);
    }
    Ok(servers)
}

/// Which buses there are, and whether the scheme's connections are encrypted.
fn uses_tls(scheme: &str) -> Result<bool, &'static str> {
    match scheme.to_ascii_lowercase().as_str() {
        "nats" => Ok(false),
        "tls" => Ok(true),
        "amqp" | "amqps" => Err(
            "is a URL of RabbitMQ, which this version does not support yet; use nats:// or tls://",
        ),
        _ => Err("is not a nats:// or tls:// URL"),
    }
}

/// The server of a URL without its scheme.
fn server(tls: bool, rest: &str) -> Result<BusServer, &'static str> {
    let (credentials, address) = match rest.rsplit_once('@') {
        Some((credentials, address)) => (Some(credentials), address),
        None => (None, rest),
    };
    let address = address.strip_suffix('/').unwrap_or(address);
    if address.contains(['/', '?', '#']) {
        return Err("has something after host and port, which a NATS server cannot have");
    }
    let (host, port) = url::host_and_port(address)?;
    let (username, password) = match credentials.map(|c| c.split_once(':').ok_or(c)) {
        None => (None, None),
        Some(Ok((username, password))) => (Some(username), Some(password)),
        Some(Err(token)) => (Some(token), None),
    };
    if username.is_some_and(str::is_empty) {
        return Err("has an empty user name");
    }
    Ok(BusServer {
        tls,
        host: host.to_owned(),
        port: port.unwrap_or(DEFAULT_PORT),
        username: username.map(decode).transpose()?,
        password: password.map(decode).transpose()?.map(Secret::new),
    })
}

/// Undoes percent encoding.
fn decode(text: &str) -> Result<String, &'static str> {
    const BAD: &str =
        "has credentials with a % that is not followed by two digits (a % is written %25)";
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [byte, after @ ..] = rest {
        rest = after;
        if *byte != b'%' {
            bytes.push(*byte);
            continue;
        }
        let [high, low, after @ ..] = rest else {
            return Err(BAD);
        };
        let digit = |b: u8| char::from(b).to_digit(16).ok_or(BAD);
        let value = digit(*high)? * 16 + digit(*low)?;
        bytes.push(u8::try_from(value).map_err(|_| BAD)?);
        rest = after;
    }
    match String::from_utf8(bytes) {
        Ok(text) if !text.chars().any(char::is_control) => Ok(text),
        _ => Err("has credentials that are not text"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain(tls: bool, host: &str, port: u16) -> BusServer {
        BusServer {
            tls,
            host: host.to_owned(),
            port,
            username: None,
            password: None,
        }
    }

    #[test]
    fn single_servers() {
        for (text, server) in [
            ("nats://localhost:4222", plain(false, "localhost", 4222)),
            ("nats://10.0.0.1", plain(false, "10.0.0.1", 4222)),
            ("TLS://h:1/", plain(true, "h", 1)),
            ("h", plain(false, "h", 4222)),
            ("h:5", plain(false, "h", 5)),
            ("nats://[::1]:5", plain(false, "::1", 5)),
            ("nats://[fd00::1]", plain(false, "fd00::1", 4222)),
        ] {
            assert_eq!(servers(text), Ok(vec![server]), "{text}");
        }
    }

    #[test]
    fn lists_take_the_scheme_of_the_first() {
        let list = servers("tls://u:p@h1:4222, h2:4223,nats://h3").unwrap();
        let shown: Vec<_> = list.iter().map(BusServer::to_string).collect();
        assert_eq!(shown, ["tls://h1:4222", "tls://h2:4223", "nats://h3:4222"]);
        assert_eq!(list[0].username.as_deref(), Some("u"));
        assert_eq!(list[1].username, None, "credentials are each server's own");
    }

    #[test]
    fn credentials_are_decoded_and_not_shown() {
        let list = servers("nats://a%40b:p%3Aw%20%C3%BC:x@h,t%25ken@h2,u:@[::1]").unwrap();
        let of = |i: usize| {
            let server: &BusServer = &list[i];
            (
                server.username.as_deref(),
                server.password.as_ref().map(Secret::expose),
            )
        };
        assert_eq!(of(0), (Some("a@b"), Some("p:w ü:x")));
        assert_eq!(of(1), (Some("t%ken"), None));
        assert_eq!(of(2), (Some("u"), Some("")));
        assert_eq!(
            format!("{list:?}"),
            "[nats://h:4222, nats://h2:4222, nats://[::1]:4222]"
        );
    }

    #[test]
    fn what_is_refused() {
        for (bad, said) in [
            ("", "has no host"),
            ("nats://", "has no host"),
            ("nats://h,", "has no host"),
            ("nats://h,,h2", "has no host"),
            ("http://h", "is not a nats:// or tls:// URL"),
            ("nats://h,ws://h2", "is not a nats:// or tls:// URL"),
            (
                "amqp://h",
                "RabbitMQ, which this version does not support yet",
            ),
            (
                "amqps://u:secret@h",
                "RabbitMQ, which this version does not support yet",
            ),
            ("nats://h:0", "has a port"),
            ("nats://h:70000", "has a port"),
            ("nats://u:secret", "has a port"),
            ("nats://h 2", "has a host that is neither"),
            ("nats://h/secret@", "has no host"),
            ("nats://h/x", "after host and port"),
            ("nats://h?x", "after host and port"),
            ("nats://:secret@h", "has an empty user name"),
            ("nats://u:secret%@h", "two digits"),
            ("nats://u:secret%2@h", "two digits"),
            ("nats://u:secret%+1@h", "two digits"),
            ("nats://u:secret%ff@h", "not text"),
            ("nats://u:secret%0a@h", "not text"),
            ("nats://h\n", "control character"),
        ] {
            let error = servers(bad).unwrap_err();
            assert!(error.contains(said), "{bad:?}: {error}");
            assert!(!error.contains("secret"), "{bad:?}: {error}");
        }
    }
}
