//! A list of bus URLs made into servers. The first line of an input is the list, the second what is
//! around a password that is put into the list's first URL and must not be seen again.
#![no_main]

use std::ffi::OsString;

use ari_proxy::config::Config;
use libfuzzer_sys::fuzz_target;
use support::configuration::{REQUIRED, SECRET, has_secret, load, shown};
use support::first_line;

fuzz_target!(|input: &[u8]| {
    if has_secret(input) {
        return;
    }
    let (list, around) = first_line(input);
    let (Ok(list), Ok(around)) = (std::str::from_utf8(list), std::str::from_utf8(around)) else {
        return;
    };
    match configured(list) {
        Ok(config) => check_again(&config),
        Err(error) => check_refusal(list, &error),
    }
    check_password(list, around);
});

fn configured(list: &str) -> Result<Config, String> {
    let flags = REQUIRED.map(OsString::from).into_iter();
    let flags = flags.chain([format!("--messagebus.url={list}").into()]);
    let no_file = ["--config", "/dev/null"].map(OsString::from);
    load(flags.chain(no_file), &|_| None).map(|config| config.expect("no help is asked for"))
}

/// A server as it is shown is the same server, but for its user. Each is read by itself: in a list
/// one without a virtual host takes that of another.
fn check_again(config: &Config) {
    for server in config.bus.servers.iter().take(4) {
        let again = configured(&server.to_string()).expect("a URL that can be read again");
        let again = &again.bus.servers[0];
        assert_eq!((server.bus, server.tls), (again.bus, again.tls));
        assert_eq!((&server.host, server.port), (&again.host, again.port));
        assert_eq!(server.vhost, again.vhost);
        assert!(again.username.is_none() && again.password.is_none());
    }
}

/// Of a list that is refused, nothing is shown that comes before its last `@`, but a scheme.
fn check_refusal(list: &str, error: &str) {
    if !list.contains('@') {
        return;
    }
    let quoted = error.strip_prefix("messagebus.url: \"").expect("the key");
    let scheme = list
        .split_once("://")
        .map(|(scheme, _)| format!("{scheme}://"));
    let hidden = |text: &str| text.starts_with("***@");
    let after_scheme = scheme.and_then(|scheme| quoted.strip_prefix(scheme.as_str()));
    assert!(
        hidden(quoted) || after_scheme.is_some_and(hidden),
        "{error}"
    );
}

fn check_password(list: &str, around: &str) {
    let (before, after) = around.split_once(' ').unwrap_or((around, ""));
    // An @ ends a password, and is written otherwise in one.
    let before = before.replace('@', "%40");
    let after = after.replace('@', "%40");
    let at = list.find("://").map_or(0, |at| at + 3);
    let (scheme, rest) = list.split_at(at);
    let list = format!("{scheme}u:{before}{SECRET}{after}@{rest}");
    match configured(&list) {
        Err(error) => assert!(!error.contains(SECRET), "{error}"),
        Ok(config) => {
            // What divides URLs and is not encoded may make a host or a path of a password.
            let divides = |part: &str| part.contains([',', '/', '?', '#']);
            let clear = !divides(&before) && !divides(&after);
            assert!(!clear || !shown(&config).contains(SECRET), "{list}");
        }
    }
}
