//! One server of the bus, from its URL.

use super::scheme::{BusKind, Scheme};
use super::secret::Secret;
use super::{percent, url, vhost};
use std::fmt;

/// One server of the bus. `Display` and `Debug` show `nats://host:port` or
/// `amqp://host:port/vhost`, never the credentials.
#[derive(Clone, PartialEq, Eq)]
pub struct BusServer {
    /// Which bus it is of.
    pub bus: BusKind,
    /// Whether to speak TLS to it (`tls://`, `amqps://`).
    pub tls: bool,
    /// Its name or address; an IPv6 address is without brackets.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// RabbitMQ's virtual host, decoded; empty for NATS.
    pub vhost: String,
    /// The user. At NATS it is a token if there is no password, so it is as secret as the password.
    pub username: Option<String>,
    /// The user's password. At RabbitMQ, every user has one.
    pub password: Option<Secret>,
}

impl fmt::Display for BusServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Scheme { name, .. } = Scheme::of(self.bus, self.tls);
        if self.host.contains(':') {
            write!(f, "{name}://[{}]:{}", self.host, self.port)?;
        } else {
            write!(f, "{name}://{}:{}", self.host, self.port)?;
        }
        if self.bus == BusKind::RabbitMq && self.vhost != vhost::DEFAULT {
            write!(f, "/{}", percent::encode(&self.vhost))?;
        }
        Ok(())
    }
}

impl fmt::Debug for BusServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The server of a URL without its scheme. Its virtual host is empty if the URL names none. An error
/// has words of the URL only if it is `quotable`.
pub(super) fn server(scheme: Scheme, rest: &str, quotable: bool) -> Result<BusServer, String> {
    let (rest, vhost) = match scheme.bus {
        BusKind::Nats => (rest, None),
        BusKind::RabbitMq => vhost::split(rest, quotable)?,
    };
    let (credentials, address) = match rest.rsplit_once('@') {
        Some((credentials, address)) => (Some(credentials), address),
        None => (None, rest),
    };
    let address = address.strip_suffix('/').unwrap_or(address);
    if address.contains(['/', '?', '#']) {
        return Err(
            "has something after host and port, which a NATS server cannot have".to_owned(),
        );
    }
    let (host, port) = url::host_and_port(address)?;
    let (username, password) = match credentials.map(|c| c.split_once(':').ok_or(c)) {
        None => (None, None),
        Some(Ok((username, password))) => (Some(username), Some(password)),
        Some(Err(token)) => (Some(token), None),
    };
    if username.is_some_and(str::is_empty) {
        return Err("has an empty user name".to_owned());
    }
    if scheme.bus == BusKind::RabbitMq && username.is_some() && password.is_none() {
        return Err("has a user but no password".to_owned());
    }
    let decode = |text: &str| percent::decode(text, "credentials");
    Ok(BusServer {
        bus: scheme.bus,
        tls: scheme.tls,
        host: host.to_owned(),
        port: port.unwrap_or(scheme.port),
        vhost: vhost.unwrap_or_default(),
        username: username.map(decode).transpose()?,
        password: password.map(decode).transpose()?.map(Secret::new),
    })
}

#[cfg(test)]
mod tests {
    use super::super::servers::servers;
    use super::*;

    fn plain(tls: bool, host: &str, port: u16) -> BusServer {
        BusServer {
            bus: BusKind::Nats,
            tls,
            host: host.to_owned(),
            port,
            vhost: String::new(),
            username: None,
            password: None,
        }
    }

    fn rabbit(tls: bool, host: &str, port: u16, vhost: &str) -> BusServer {
        BusServer {
            bus: BusKind::RabbitMq,
            vhost: vhost.to_owned(),
            ..plain(tls, host, port)
        }
    }

    #[test]
    fn single_servers() {
        for (text, server) in [
            ("nats://localhost:4222", plain(false, "localhost", 4222)),
            ("nats://10.0.0.1", plain(false, "10.0.0.1", 4222)),
            ("TLS://h:1/", plain(true, "h", 1)),
            ("tls://h", plain(true, "h", 4222)),
            ("h", plain(false, "h", 4222)),
            ("h:5", plain(false, "h", 5)),
            ("nats://[::1]:5", plain(false, "::1", 5)),
            ("nats://[fd00::1]", plain(false, "fd00::1", 4222)),
            ("amqp://h", rabbit(false, "h", 5672, "/")),
            ("amqp://h:5/", rabbit(false, "h", 5, "/")),
            ("AMQPS://h", rabbit(true, "h", 5671, "/")),
            ("amqps://h:5/%2F", rabbit(true, "h", 5, "/")),
            ("amqp://[::1]/a/b", rabbit(false, "::1", 5672, "a/b")),
            ("amqp://h/?heartbeat=10", rabbit(false, "h", 5672, "/")),
            ("amqp://h/v?locale=en_US", rabbit(false, "h", 5672, "v")),
        ] {
            assert_eq!(servers(text), Ok(vec![server]), "{text}");
        }
    }

    #[test]
    fn shown_servers_can_be_read_again() {
        for (text, shown) in [
            ("nats://h", "nats://h:4222"),
            ("tls://[::1]:1", "tls://[::1]:1"),
            ("amqp://u:p@h", "amqp://h:5672"),
            ("amqp://h//", "amqp://h:5672"),
            ("amqps://u:p@[::1]/v?frame_max=1", "amqps://[::1]:5671/v"),
            ("amqp://h/a/b%2Cc%40d%25", "amqp://h:5672/a%2Fb%2Cc%40d%25"),
        ] {
            let list = servers(text).unwrap();
            assert_eq!(format!("{list:?}"), format!("[{shown}]"));
            let again = servers(shown).unwrap();
            assert_eq!(again[0].vhost, list[0].vhost);
        }
    }
}
