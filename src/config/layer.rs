//! What one source sets: the texts of keys, each with where exactly it came from.

use super::keys::{self, Key};
use super::source::Source;
use std::collections::BTreeMap;

/// The text of a key, not yet checked.
pub(super) struct Given {
    /// The text; it may be a secret.
    pub(super) text: String,
    /// Who set it.
    pub(super) source: Source,
}

/// The keys that one source sets.
#[derive(Default)]
pub(super) struct Layer {
    keys: BTreeMap<&'static str, Given>,
    remark: Option<String>,
}

impl Layer {
    /// Sets `key`. The last one wins; whether the key had been set already is returned.
    pub(super) fn set(&mut self, key: &'static Key, text: String, source: Source) -> bool {
        self.keys.insert(key.name, Given { text, source }).is_some()
    }

    /// What is set for `key`.
    pub(super) fn get(&self, key: &Key) -> Option<&Given> {
        self.keys.get(key.name)
    }

    /// Has something said about the source as a whole, in one line without secrets.
    pub(super) fn remark(&mut self, line: String) {
        self.remark = Some(line);
    }

    /// What is to be said about the source as a whole.
    pub(super) fn into_remark(self) -> Option<String> {
        self.remark
    }

    /// What the environment sets, where an empty variable is one that is not set.
    pub(super) fn from_environment(lookup: &dyn Fn(&str) -> Option<String>) -> Layer {
        let variable = |name: &str| lookup(name).filter(|text| !text.is_empty());
        let mut layer = Layer::default();
        for key in keys::TABLE {
            let name = key.environment();
            if let Some(text) = variable(&name) {
                layer.set(key, text, Source::Environment(name));
            }
        }
        // Kubernetes announces services so; a URL in the environment was set on purpose and wins.
        if layer.get(&keys::BUS_URL).is_none()
            && layer.get(&keys::NATS_URL).is_none()
            && let Some(host) = variable("NATS_SERVICE_HOST")
        {
            let port = variable("NATS_SERVICE_PORT_CLIENT").unwrap_or_else(|| "4222".to_owned());
            let url = if host.contains(':') && !host.starts_with('[') {
                format!("nats://[{host}]:{port}")
            } else {
                format!("nats://{host}:{port}")
            };
            let names = "NATS_SERVICE_HOST and NATS_SERVICE_PORT_CLIENT".to_owned();
            layer.set(&keys::BUS_URL, url, Source::Environment(names));
        }
        layer
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bus_url(variables: &[(&str, &str)]) -> Option<String> {
        let lookup = |name: &str| {
            let found = variables.iter().find(|(n, _)| *n == name);
            found.map(|(_, text)| (*text).to_owned())
        };
        let layer = Layer::from_environment(&lookup);
        layer.get(&keys::BUS_URL).map(|given| given.text.clone())
    }

    #[test]
    fn services_of_kubernetes() {
        let host = ("NATS_SERVICE_HOST", "10.0.0.1");
        let port = ("NATS_SERVICE_PORT_CLIENT", "4333");
        let own = ("MESSAGEBUS_URL", "nats://own");
        for (variables, url) in [
            (&[][..], None),
            (&[port], None),
            (&[("NATS_SERVICE_HOST", ""), port], None),
            (&[host], Some("nats://10.0.0.1:4222")),
            (&[host, port], Some("nats://10.0.0.1:4333")),
            (
                &[("NATS_SERVICE_HOST", "fd00::1")],
                Some("nats://[fd00::1]:4222"),
            ),
            (&[host, port, own], Some("nats://own")),
        ] {
            assert_eq!(bus_url(variables).as_deref(), url, "{variables:?}");
        }
        assert_eq!(bus_url(&[host, ("NATS_URL", "nats://old")]), None);
    }
}
