//! URLs: what Asterisk's must look like, hosts and ports of any, and how they are shown without the
//! credentials in them.

use std::net::Ipv6Addr;

/// A URL of one of `schemes`, with a host, without credentials, query or fragment.
///
/// Returns it with the scheme in lower case. Asterisk's credentials have keys of their own; those in
/// a URL would end in logs.
pub fn asterisk(text: &str, schemes: [&str; 2]) -> Result<String, String> {
    let problem = |what: &str| Err(format!("{:?} {what}", redact(text)));
    let found = text.split_once("://").and_then(|(scheme, rest)| {
        let known = |known: &&str| known.eq_ignore_ascii_case(scheme);
        Some((schemes.into_iter().find(known)?, rest))
    });
    let Some((scheme, rest)) = found else {
        let [first, second] = schemes;
        let article = if first.starts_with('h') { "an" } else { "a" };
        return problem(&format!("is not {article} {first}:// or {second}:// URL"));
    };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    if authority.contains('@') {
        return problem(
            "contains credentials, which belong in ari.username and ari.password (an @ in the path \
             is written %40)",
        );
    }
    if rest.contains(['?', '#']) {
        return problem("contains a query or fragment, which the proxy adds itself");
    }
    // Of what belongs percent-encoded, this is what the clients of HTTP do not take as it is.
    let in_url = |b: u8| b.is_ascii_graphic() && !b"\\<>`".contains(&b);
    if !rest.bytes().all(in_url) {
        return problem("contains a character that a URL cannot");
    }
    match host_and_port(authority) {
        Ok(_) => Ok(format!("{scheme}://{rest}")),
        Err(what) => problem(what),
    }
}

/// The host, without the brackets of an IPv6 address, and the port if there is one.
pub(super) fn host_and_port(authority: &str) -> Result<(&str, Option<u16>), &'static str> {
    let (host, port) = match authority.strip_prefix('[') {
        Some(rest) => {
            let (host, after) = rest.split_once(']').ok_or("has no ] after its address")?;
            if host.parse::<Ipv6Addr>().is_err() {
                return Err("has no IPv6 address between [ and ]");
            }
            match after.strip_prefix(':') {
                Some(port) => (host, Some(port)),
                None if after.is_empty() => (host, None),
                None => return Err("has something other than a port after its address"),
            }
        }
        None => {
            let (host, port) = match authority.split_once(':') {
                Some((host, port)) => (host, Some(port)),
                None => (authority, None),
            };
            let in_name = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_');
            if host.is_empty() {
                return Err("has no host");
            }
            if !host.bytes().all(in_name) {
                return Err("has a host that is neither a name nor an address");
            }
            (host, port)
        }
    };
    let port = match port {
        None => None,
        Some(port) if is_number(port) => match port.parse() {
            Ok(0) | Err(_) => return Err(BAD_PORT),
            Ok(port) => Some(port),
        },
        Some(_) => return Err(BAD_PORT),
    };
    Ok((host, port))
}

const BAD_PORT: &str = "has a port that is not a number from 1 to 65535";

/// `text` without what may be a secret in it, even where it is no URL: everything before the last
/// `@` except the scheme, the query, and what stands in the place of a port but is no number
/// (`nats://user:password` with the host forgotten).
pub fn redact(text: &str) -> String {
    let in_scheme = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'-' | b'.');
    let (scheme, rest) = match text.split_once("://") {
        Some((scheme, rest)) if scheme.bytes().all(in_scheme) => (Some(scheme), rest),
        _ => (None, text),
    };
    let mut shown = scheme.map(|s| format!("{s}://")).unwrap_or_default();
    // An unescaped password may contain anything, so neither a comma nor a slash ends the search.
    let rest = match rest.rsplit_once('@') {
        Some((_, rest)) => {
            shown.push_str("***@");
            rest
        }
        None => rest,
    };
    let (rest, query) = match rest.find(['?', '#']) {
        Some(at) => (&rest[..at], true),
        None => (rest, false),
    };
    for (index, part) in rest.split(',').enumerate() {
        if index > 0 {
            shown.push(',');
        }
        let (scheme, after) = part.split_at(part.find("://").map_or(0, |at| at + 3));
        let (authority, path) = after.split_at(after.find('/').unwrap_or(after.len()));
        shown.push_str(scheme);
        match authority.rsplit_once(':') {
            Some((host, port)) if !is_number(port) && !authority.ends_with(']') => {
                shown.push_str(host);
                shown.push_str(":***");
            }
            _ => shown.push_str(authority),
        }
        shown.push_str(path);
    }
    if query {
        shown.push_str("?***");
    }
    shown
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    const HTTP: [&str; 2] = ["http", "https"];

    #[test]
    fn good_urls_of_asterisk() {
        for good in [
            "http://localhost:8088/ari",
            "https://asterisk.example",
            "http://10.0.0.1/",
            "http://[::1]:8088/ari",
            "http://h/a/b%40c",
        ] {
            assert_eq!(asterisk(good, HTTP).as_deref(), Ok(good));
        }
        assert_eq!(asterisk("HTTP://h", HTTP).as_deref(), Ok("http://h"));
        assert!(asterisk("wss://h/ari/events", ["ws", "wss"]).is_ok());
    }

    #[test]
    fn bad_urls_of_asterisk_and_what_is_said_of_them() {
        for (bad, said) in [
            ("", "\"\" is not an http:// or https:// URL"),
            ("htp://x", "\"htp://x\" is not an http:// or https:// URL"),
            ("ws://x", "\"ws://x\" is not an http:// or https:// URL"),
            (
                "localhost:8088",
                "\"localhost:8088\" is not an http:// or https:// URL",
            ),
            ("http://", "\"http://\" has no host"),
            ("http://:80", "\"http://:80\" has no host"),
            (
                "http://h:0",
                "\"http://h:0\" has a port that is not a number from 1 to 65535",
            ),
            (
                "http://h:65536",
                "\"http://h:65536\" has a port that is not a number from 1 to 65535",
            ),
            (
                "http://h:8x",
                "\"http://h:***\" has a port that is not a number from 1 to 65535",
            ),
            (
                "http://h:",
                "\"http://h:***\" has a port that is not a number from 1 to 65535",
            ),
            (
                "http://a b",
                "\"http://a b\" contains a character that a URL cannot",
            ),
            (
                "http://h/a\r\nb",
                "\"http://h/a\\r\\nb\" contains a character that a URL cannot",
            ),
            (
                "http://h/<x>",
                "\"http://h/<x>\" contains a character that a URL cannot",
            ),
            (
                "http://h/`",
                "\"http://h/`\" contains a character that a URL cannot",
            ),
            ("http://[::1", "\"http://[::1\" has no ] after its address"),
            (
                "http://[x]",
                "\"http://[x]\" has no IPv6 address between [ and ]",
            ),
            (
                "http://[::1]x",
                "\"http://[::***\" has something other than a port after its address",
            ),
            (
                "http://h$/",
                "\"http://h$/\" has a host that is neither a name nor an address",
            ),
            (
                "http://h/ari?x=secret",
                "\"http://h/ari?***\" contains a query or fragment, which the proxy adds itself",
            ),
        ] {
            assert_eq!(asterisk(bad, HTTP), Err(said.to_owned()), "{bad:?}");
        }
        let said = asterisk("http://u:secret@h/", HTTP).unwrap_err();
        assert!(
            said.starts_with("\"http://***@h/\" contains credentials"),
            "{said}"
        );
    }

    #[test]
    fn nothing_secret_is_shown() {
        for (text, shown) in [
            ("nats://u:secret@h:4222", "nats://***@h:4222"),
            ("nats://u:se,c/r@et@h:4222,h2", "nats://***@h:4222,h2"),
            ("nats://u:secret@h,nats://u:secret@h2", "nats://***@h2"),
            ("secrettoken@h", "***@h"),
            ("u:secret@nats://h", "***@nats://h"),
            ("nats://u:secret", "nats://u:***"),
            ("h:1,nats://u:secret", "h:1,nats://u:***"),
            ("nats://u:secret?x", "nats://u:***?***"),
            ("http://h/?api_key=u:secret", "http://h/?***"),
            ("http:/u:secret@h", "***@h"),
            ("nats://[::1]:4222", "nats://[::1]:4222"),
            ("nats://[::1]", "nats://[::1]"),
            ("plain", "plain"),
        ] {
            assert_eq!(redact(text), shown);
        }
    }
}
