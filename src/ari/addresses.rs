//! The addresses of Asterisk's host, remembered: ureq asks for them with every call, also where it
//! has a connection already, and a resolver that hangs must not hang every worker.

use std::net::{SocketAddr, ToSocketAddrs};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use ureq::Error;
use ureq::config::Config;
use ureq::http::Uri;
use ureq::unversioned::resolver::{ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::NextTimeout;

/// How long addresses are used before they are asked for anew.
const FRESH: Duration = Duration::from_secs(10);

/// The addresses of one host. Clones share what is known.
#[derive(Debug, Default, Clone)]
pub(super) struct Addresses(Arc<Mutex<Known>>);

#[derive(Debug, Default)]
struct Known {
    addresses: Arc<[SocketAddr]>,
    asked: Option<Instant>,
}

impl Addresses {
    /// The addresses, which `resolve` is asked for when they are not fresh. While one thread asks, the
    /// others go on with what is known; so do all if there is no answer.
    fn of_host(
        &self,
        resolve: impl FnOnce() -> std::io::Result<Vec<SocketAddr>>,
    ) -> std::io::Result<Arc<[SocketAddr]>> {
        let mut known = self.lock();
        let fresh = known.asked.is_some_and(|asked| asked.elapsed() < FRESH);
        if fresh && !known.addresses.is_empty() {
            return Ok(Arc::clone(&known.addresses));
        }
        known.asked = Some(Instant::now());
        drop(known);
        let answer = resolve();
        let mut known = self.lock();
        match answer {
            Ok(addresses) if !addresses.is_empty() => known.addresses = addresses.into(),
            Err(error) if known.addresses.is_empty() => return Err(error),
            _ => {}
        }
        Ok(Arc::clone(&known.addresses))
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Resolver for Addresses {
    fn resolve(&self, uri: &Uri, _: &Config, _: NextTimeout) -> Result<ResolvedSocketAddrs, Error> {
        let addresses = self.of_host(|| {
            let default = if uri.scheme_str() == Some("https") {
                443
            } else {
                80
            };
            let host = uri.host().unwrap_or_default();
            let host = format!("{host}:{}", uri.port_u16().unwrap_or(default));
            Ok(host.to_socket_addrs()?.collect())
        })?;
        let mut resolved = self.empty();
        for address in addresses.iter().take(MOST) {
            resolved.push(*address);
        }
        if resolved.is_empty() {
            return Err(Error::HostNotFound);
        }
        Ok(resolved)
    }
}

/// How many addresses ureq takes.
const MOST: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn asked_once_and_known_after() {
        let addresses = Addresses::default();
        let one: SocketAddr = "127.0.0.1:8088".parse().unwrap();
        let none = || Err(std::io::Error::other("no"));
        assert!(addresses.of_host(none).is_err());
        assert_eq!(*addresses.of_host(|| Ok(vec![one])).unwrap(), [one]);
        let again = addresses.clone().of_host(|| panic!("asked again"));
        assert_eq!(*again.unwrap(), [one]);
        addresses.lock().asked = None;
        let unanswered = addresses.of_host(none);
        assert_eq!(*unanswered.unwrap(), [one], "what was known is still used");
    }
}
