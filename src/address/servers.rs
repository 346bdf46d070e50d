//! The bus' servers, from the list of URLs that the peer's clients and servers take.

use super::scheme::{BusKind, Scheme};
use super::server::{BusServer, server};
use super::{url, vhost};

/// Reads a comma-separated list of URLs of one bus. Those without a scheme take the first one's.
///
/// Those of RabbitMQ are mostly of one cluster: what has neither a scheme nor credentials takes the
/// first one's credentials too, and what names no virtual host takes that of the last one that
/// does, as in `amqp://user:password@host1,host2/vhost`. At NATS all of that is each server's own.
pub fn servers(text: &str) -> Result<Vec<BusServer>, String> {
    list(text).map_err(|what| format!("{:?} {what}", url::redact(text)))
}

/// [`servers`], the error being what is wrong with the text, without it.
fn list(text: &str) -> Result<Vec<BusServer>, String> {
    if text.contains(char::is_control) {
        return Err("contains a control character".to_owned());
    }
    let mut servers: Vec<BusServer> = Vec::new();
    let mut users = text.matches('@').count();
    for entry in text.split(',').map(str::trim) {
        let first = servers.first();
        let inherited = first.map_or(Scheme::NATS, |first| Scheme::of(first.bus, first.tls));
        let (own, rest) = match entry.split_once("://") {
            Some((name, rest)) => (Some(Scheme::called(name)?), rest),
            None => (None, entry),
        };
        let scheme = own.unwrap_or(inherited);
        // What an @ comes after may be one half of a password with a comma in it, as in u:a?b,c@h.
        users -= entry.matches('@').count();
        let mut server = server(scheme, rest, users == 0)?;
        if let Some(first) = first {
            if first.bus != scheme.bus {
                return Err("has servers of both NATS and RabbitMQ; one proxy uses one".to_owned());
            }
            if own.is_none() && scheme.bus == BusKind::RabbitMq && server.username.is_none() {
                server.username.clone_from(&first.username);
                server.password.clone_from(&first.password);
            }
        }
        servers.push(server);
    }
    let mut named = servers.iter().rev().map(|server| &server.vhost);
    let vhost = match named.find(|vhost| !vhost.is_empty()) {
        Some(vhost) => vhost.clone(),
        None => vhost::DEFAULT.to_owned(),
    };
    for server in &mut servers {
        if server.bus == BusKind::RabbitMq && server.vhost.is_empty() {
            server.vhost.clone_from(&vhost);
        }
    }
    Ok(servers)
}

#[cfg(test)]
mod tests {
    use super::super::secret::Secret;
    use super::*;

    /// `server user password` of each, or the error.
    fn logins(text: &str) -> Result<Vec<String>, String> {
        let login = |server: BusServer| {
            let password = server.password.as_ref().map(Secret::expose);
            let user = server.username.as_deref();
            format!(
                "{server} {} {}",
                user.unwrap_or("-"),
                password.unwrap_or("-")
            )
        };
        servers(text).map(|servers| servers.into_iter().map(login).collect())
    }

    #[test]
    fn lists_take_the_scheme_of_the_first() {
        assert_eq!(
            logins("tls://u:p@h1:4222, h2:4223,nats://h3,h4").unwrap(),
            [
                "tls://h1:4222 u p",
                "tls://h2:4223 - -",
                "nats://h3:4222 - -",
                "tls://h4:4222 - -",
            ],
            "credentials are each server's own"
        );
    }

    #[test]
    fn lists_of_rabbitmq() {
        for (text, list) in [
            (
                "amqp://u:p@h1:1,h2:2/v",
                &["amqp://h1:1/v u p", "amqp://h2:2/v u p"][..],
            ),
            (
                "amqp://u:p@h1/v,amqp://u:p@h2/v",
                &["amqp://h1:5672/v u p", "amqp://h2:5672/v u p"],
            ),
            (
                "amqps://u:p@h1/v?heartbeat=10, h2, w:q@h3",
                &[
                    "amqps://h1:5671/v u p",
                    "amqps://h2:5671/v u p",
                    "amqps://h3:5671/v w q",
                ],
            ),
            (
                "amqp://u:p@h1,h2/%2F,h3/b?channel_max=1,h4/",
                &[
                    "amqp://h1:5672/b u p",
                    "amqp://h2:5672 u p",
                    "amqp://h3:5672/b u p",
                    "amqp://h4:5672/b u p",
                ],
            ),
            (
                "amqp://u:p@h1,amqps://h2,h3/",
                &[
                    "amqp://h1:5672 u p",
                    "amqps://h2:5671 - -",
                    "amqp://h3:5672 u p",
                ],
            ),
            (
                "amqp://h1,u:p@h2,h3",
                &[
                    "amqp://h1:5672 - -",
                    "amqp://h2:5672 u p",
                    "amqp://h3:5672 - -",
                ],
            ),
        ] {
            assert_eq!(logins(text).unwrap(), list, "{text}");
        }
    }

    #[test]
    fn credentials_are_decoded_and_not_shown() {
        for (text, list) in [
            (
                "nats://a%40b:p%3Aw%20%C3%BC:x@h,t%25ken@h2,u:@[::1]",
                &[
                    "nats://h:4222 a@b p:w ü:x",
                    "nats://h2:4222 t%ken -",
                    "nats://[::1]:4222 u ",
                ][..],
            ),
            (
                "amqp://a%40b:p%2Fw%3F:x@h,u:@h2",
                &["amqp://h:5672 a@b p/w?:x", "amqp://h2:5672 u "],
            ),
        ] {
            assert_eq!(logins(text).unwrap(), list, "{text}");
        }
    }

    #[test]
    fn what_is_refused() {
        let unknown = "is not a nats://, tls://, amqp:// or amqps:// URL";
        let mixed = "has servers of both NATS and RabbitMQ";
        for (bad, said) in [
            ("", "has no host"),
            ("nats://", "has no host"),
            ("nats://h,", "has no host"),
            ("nats://h,,h2", "has no host"),
            ("http://h", unknown),
            ("nats://h,ws://h2", unknown),
            ("amqp://h,amq://h2", unknown),
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
            ("nats://h,amqp://h2", mixed),
            ("amqps://u:secret@h,tls://h2", mixed),
            ("h,amqp://h2", mixed),
            ("amqp://", "has no host"),
            ("amqp:///v", "has no host"),
            ("amqp://h/v,", "has no host"),
            ("amqp://h:0/v", "has a port"),
            ("amqp://u:secret", "has a port"),
            ("amqp://u:se/secret@h", "has an @ after a /, ? or #"),
            ("amqp://secret@h", "has a user but no password"),
            ("amqp://u:p@h,secret@h2", "has a user but no password"),
            ("amqp://:secret@h", "has an empty user name"),
            ("amqp://u:secret%00@h", "not text"),
            ("amqp://h/%zz", "has a % in its vhost"),
            ("amqp://h/v,h2?verify=x", "has the parameter verify"),
            ("amqp://h?password=secret", "has the parameter password"),
            ("amqp://u:p?secret,x@h", "has a parameter that is not"),
            (
                "amqp://h?cacertsecret,u:p@h2",
                "has a parameter that is not",
            ),
        ] {
            let error = servers(bad).unwrap_err();
            assert!(error.contains(said), "{bad:?}: {error}");
            assert!(!error.contains("secret"), "{bad:?}: {error}");
        }
    }
}
