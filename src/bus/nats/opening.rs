//! How the crate opens a connection: its options, the address.

use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use super::connection::{Connection, RECONNECT, reads};
use crate::address::BusServer;
use crate::bus::places::Remains;
use crate::bus::{Loss, Terms};
use crate::occasionally::Occasionally;

/// How the crate's words begin when more messages wait in a subscription than may: it drops the newest.
const TOO_MANY: &str = "slow consumer";
/// How long the crate's reading thread waits after that: long enough for a tenth of them to be taken.
const BREATH: Duration = Duration::from_millis(10);

/// The options of a connection that is let go as soon as it breaks.
pub(super) fn options(
    server: &BusServer,
    tls: bool,
    terms: &Terms,
    connection: &Arc<Connection>,
    remains: &Arc<Remains>,
) -> nats::Options {
    let options = match (&server.username, &server.password) {
        (Some(user), Some(password)) => nats::Options::with_user_pass(user, password.expose()),
        (Some(token), None) => nats::Options::with_token(token),
        _ => nats::Options::new(),
    };
    let occasionally = Occasionally::new();
    let too_many = Occasionally::new();
    let losses = Arc::clone(&terms.losses);
    let broken = Arc::downgrade(connection);
    let connecting = Arc::downgrade(connection);
    let speaking = Arc::downgrade(connection);
    let remains = Arc::downgrade(remains);
    let options = options
        .with_name(&terms.name)
        .max_reconnects(1)
        // A message for a connection that is broken must fail, not wait in the crate.
        .reconnect_buffer_size(0)
        .reconnect_delay_callback(move |_| {
            reads(&connecting, &remains);
            match connecting.upgrade() {
                Some(connection) if connection.has_ended() => RECONNECT,
                _ => Duration::ZERO,
            }
        })
        .disconnect_callback(move || {
            if let Some(connection) = broken.upgrade() {
                connection.broke();
            }
        })
        // A refused permission comes with every message: said now and then. What a server says to our
        // last word is as it should be.
        .error_callback(move |error| {
            if error.to_string().starts_with(TOO_MANY) {
                losses(Loss::Request);
                if too_many.now() {
                    log::warn!(
                        "bus: more requests come than can be refused; some are dropped unanswered"
                    );
                }
                // Who has more to send than is read waits; and so the loss is small.
                thread::sleep(BREATH);
                return;
            }
            let ended = speaking.upgrade().is_none_or(|it| it.has_ended());
            if !ended && occasionally.now() {
                log::warn!("bus: {error}");
            } else {
                log::debug!("bus: {error}");
            }
        });
    // Without a file of certificates the crate loads the system's, which takes milliseconds and can
    // fail; a plain link needs none.
    let nothing = Path::new("/dev/null");
    if !tls && nothing.exists() {
        return options.add_root_certificate(nothing);
    }
    options
}

/// The URL of `server` for the crate, without user and password.
pub(super) fn address(server: &BusServer, tls: bool) -> String {
    let scheme = if tls { "tls" } else { "nats" };
    let BusServer { host, port, .. } = server;
    if host.contains(':') {
        format!("{scheme}://[{host}]:{port}")
    } else {
        format!("{scheme}://{host}:{port}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::address::BusKind;

    fn server(host: &str) -> BusServer {
        BusServer {
            bus: BusKind::Nats,
            tls: false,
            host: host.into(),
            port: 4222,
            vhost: String::new(),
            username: None,
            password: None,
        }
    }

    #[test]
    fn addresses() {
        assert_eq!(address(&server("nats"), false), "nats://nats:4222");
        assert_eq!(address(&server("::1"), true), "tls://[::1]:4222");
    }
}
