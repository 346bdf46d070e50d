//! The virtual host of a RabbitMQ URL, and the parameters that may follow it.

use super::percent;

/// The one that holds where no URL names one.
pub(super) const DEFAULT: &str = "/";

/// The longest in bytes: AMQP gives its length one byte.
const LONGEST: usize = 255;

/// Parameters that users of the Go program may have in their URLs, and that change nothing here:
/// heartbeats, bounds and timeouts are those that the proxy's promises need.
const IGNORED: [&str; 5] = [
    "heartbeat",
    "connection_timeout",
    "channel_max",
    "frame_max",
    "locale",
];

/// Divides a URL without its scheme into what is before the path and the virtual host that the path
/// names. Without a path, or with `/` alone, it names none.
///
/// As in the Go program, everything after the path's first slash is the name, percent-encoded.
/// Nothing of it is `quotable` where it may be the beginning of a password with a comma in it.
pub(super) fn split(rest: &str, quotable: bool) -> Result<(&str, Option<String>), String> {
    let (authority, tail) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
    // It would be the end of a password, which must not be taken for something that is shown.
    if tail.contains('@') {
        return Err(
            "has an @ after a /, ? or # (in a password those are written %2F, %3F and %23, in a \
             vhost an @ is written %40)"
                .to_owned(),
        );
    }
    if tail.contains('#') {
        return Err("has a # after host and port (in a vhost it is written %23)".to_owned());
    }
    let (path, query) = tail.split_once('?').unwrap_or((tail, ""));
    parameters(query, quotable)?;
    let name = match path.strip_prefix('/') {
        None | Some("") => return Ok((authority, None)),
        Some(name) => percent::decode(name, "vhost")?,
    };
    if name.len() > LONGEST {
        return Err(format!("has a vhost that is longer than {LONGEST} bytes"));
    }
    Ok((authority, Some(name)))
}

/// Refuses parameters that would change something if they were obeyed.
fn parameters(query: &str, quotable: bool) -> Result<(), String> {
    for parameter in query.split('&').filter(|text| !text.is_empty()) {
        let name = parameter.split('=').next().unwrap_or_default();
        if IGNORED.contains(&name) {
            continue;
        }
        let is_name = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.');
        return Err(if !quotable {
            "has a parameter that is not supported (in a password a ? is written %3F, a comma %2C)"
                .to_owned()
        } else if name.contains("cacert") {
            format!(
                "has the parameter {name}, which is not supported (certificate authorities are \
                 those in the file that the environment variable SSL_CERT_FILE names)"
            )
        } else if !name.is_empty() && name.bytes().all(is_name) {
            format!("has the parameter {name}, which is not supported")
        } else {
            "has a parameter whose name is none".to_owned()
        });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(rest: &str) -> Result<(&str, Option<String>), String> {
        super::split(rest, true)
    }

    #[test]
    fn names() {
        for (rest, name) in [
            ("u:p@h:1", None),
            ("u:p@h:1/", None),
            ("u:p@h:1?heartbeat=10", None),
            ("u:p@h:1/?", None),
            ("u:p@h:1/v", Some("v")),
            ("u:p@h:1/%2F", Some("/")),
            ("u:p@h:1/%2f", Some("/")),
            ("u:p@h:1//", Some("/")),
            ("u:p@h:1/a/b", Some("a/b")),
            ("u:p@h:1/a/", Some("a/")),
            ("u:p@h:1/%2Fa%20b%40%C3%BC", Some("/a b@ü")),
            ("u:p@h:1/v?locale=en_US&frame_max=1", Some("v")),
        ] {
            let expected = Ok(("u:p@h:1", name.map(str::to_owned)));
            assert_eq!(split(rest), expected, "{rest}");
        }
        let longest = "v".repeat(LONGEST);
        assert_eq!(split(&format!("h/{longest}")), Ok(("h", Some(longest))));
    }

    #[test]
    fn parameters_that_change_nothing() {
        for query in [
            "heartbeat=10",
            "connection_timeout=30000",
            "channel_max=2047",
            "frame_max=131072",
            "locale=en_US",
            "heartbeat=0&locale=de/x?y&&frame_max",
        ] {
            assert_eq!(split(&format!("h?{query}")), Ok(("h", None)), "{query}");
        }
    }

    #[test]
    fn what_is_refused() {
        for (bad, said) in [
            ("h/%", "has a % in its vhost"),
            ("h/%ff", "something in its vhost that is not text"),
            ("h/a%0Ab", "something in its vhost that is not text"),
            ("h/%00", "something in its vhost that is not text"),
            ("u:se/cret@h", "has an @ after a /, ? or #"),
            ("u:se?cret@h", "has an @ after a /, ? or #"),
            ("u:se#cret@h/v", "has an @ after a /, ? or #"),
            ("u/x:cret@h/v", "has an @ after a /, ? or #"),
            ("h/v#x", "has a # after host and port"),
            ("h?heartbeat=1#x", "has a # after host and port"),
            (
                "h?auth_mechanism=external",
                "has the parameter auth_mechanism, which is not supported",
            ),
            (
                "h/v?heartbeat=1&certfile=/cret",
                "has the parameter certfile, which is not supported",
            ),
            ("h?keyfile=/k", "has the parameter keyfile,"),
            ("h?verify=verify_peer", "has the parameter verify,"),
            (
                "h?server_name_indication=x",
                "has the parameter server_name_indication,",
            ),
            ("h?Heartbeat=1", "has the parameter Heartbeat,"),
            (
                "h?cacertfile=/ca.pem",
                "has the parameter cacertfile, which is not supported (certificate authorities are \
                 those in the file that the environment variable SSL_CERT_FILE names)",
            ),
            ("h?=cret", "has a parameter whose name is none"),
            ("h?se:cret", "has a parameter whose name is none"),
        ] {
            let error = split(bad).unwrap_err();
            assert!(error.contains(said), "{bad}: {error}");
            assert!(!error.contains("cret"), "{bad}: {error}");
        }
        let long = format!("h/{}", "%41".repeat(LONGEST + 1));
        assert_eq!(
            split(&long),
            Err("has a vhost that is longer than 255 bytes".to_owned())
        );
    }
}
