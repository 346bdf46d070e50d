//! The schemes of the bus' URLs: which bus, and whether TLS is spoken to it.

/// The buses there are; the scheme of the servers' URLs says which one is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BusKind {
    /// NATS: `nats://` and `tls://`.
    Nats,
    /// RabbitMQ: `amqp://` and `amqps://`.
    RabbitMq,
}

/// A scheme of URLs and what it means.
#[derive(Clone, Copy)]
pub(super) struct Scheme {
    /// Its name, in lower case.
    pub(super) name: &'static str,
    /// The bus.
    pub(super) bus: BusKind,
    /// Whether to speak TLS.
    pub(super) tls: bool,
    /// The port of a server whose URL names none.
    pub(super) port: u16,
}

impl Scheme {
    /// The one that holds where no URL has any.
    pub(super) const NATS: Scheme = Scheme::new("nats", BusKind::Nats, false, 4222);
    const NATS_TLS: Scheme = Scheme::new("tls", BusKind::Nats, true, 4222);
    const AMQP: Scheme = Scheme::new("amqp", BusKind::RabbitMq, false, 5672);
    const AMQP_TLS: Scheme = Scheme::new("amqps", BusKind::RabbitMq, true, 5671);

    const fn new(name: &'static str, bus: BusKind, tls: bool, port: u16) -> Scheme {
        Scheme {
            name,
            bus,
            tls,
            port,
        }
    }

    /// The one of servers of `bus`, with or without TLS.
    pub(super) fn of(bus: BusKind, tls: bool) -> Scheme {
        match (bus, tls) {
            (BusKind::Nats, false) => Scheme::NATS,
            (BusKind::Nats, true) => Scheme::NATS_TLS,
            (BusKind::RabbitMq, false) => Scheme::AMQP,
            (BusKind::RabbitMq, true) => Scheme::AMQP_TLS,
        }
    }

    /// The one called `name`, in lower or upper case.
    pub(super) fn called(name: &str) -> Result<Scheme, String> {
        [
            Scheme::NATS,
            Scheme::NATS_TLS,
            Scheme::AMQP,
            Scheme::AMQP_TLS,
        ]
        .into_iter()
        .find(|scheme| scheme.name.eq_ignore_ascii_case(name))
        .ok_or_else(|| "is not a nats://, tls://, amqp:// or amqps:// URL".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_what_they_mean() {
        for (name, bus, tls, port) in [
            ("nats", BusKind::Nats, false, 4222),
            ("tls", BusKind::Nats, true, 4222),
            ("amqp", BusKind::RabbitMq, false, 5672),
            ("amqps", BusKind::RabbitMq, true, 5671),
        ] {
            for scheme in [Scheme::of(bus, tls), Scheme::called(name).unwrap()] {
                assert_eq!((scheme.name, scheme.port), (name, port));
                assert_eq!((scheme.bus, scheme.tls), (bus, tls));
            }
            assert_eq!(Scheme::called(&name.to_uppercase()).unwrap().name, name);
        }
        for bad in ["", "http", "amq", "nats "] {
            assert!(Scheme::called(bad).is_err(), "{bad:?}");
        }
    }
}
