//! An endpoint, and who is behind it.

use super::member::entity;
use crate::wire::key::Key;

entity! {
    /// A telephone, trunk, … that Asterisk may have calls from or to.
    EndpointData {
        /// Its technology: `PJSIP`, ….
        technology: String,
        /// Its name within the technology.
        resource: String,
        /// The ids of its channels.
        channel_ids: Vec<String>,
    }
    optional {
        /// `unknown`, `offline` or `online`.
        state: String,
        /// Its key; the id is `tech/resource`.
        key: Option<Key>,
    }
}

entity! {
    /// Where an endpoint can be reached.
    ContactInfo {
        /// The address: `sip:6001@192.0.2.1:5060`, ….
        uri: String,
        /// `Unreachable`, `Reachable`, `Unknown`, `NonQualified` or `Removed`.
        contact_status: String,
        /// The address of record that it belongs to.
        aor: String,
    }
    optional {
        /// How long it takes to answer, in microseconds, as text.
        roundtrip_usec: String,
    }
}

entity! {
    /// Who is at the other side of an endpoint.
    Peer {
        /// Its state, in words of its technology.
        peer_status: String,
    }
    optional {
        /// Why the state changed.
        cause: String,
        /// Its IP address.
        address: String,
        /// Its port.
        port: String,
        /// When it was last heard of.
        time: String,
    }
}
