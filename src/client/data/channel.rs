//! A channel.

use serde_json::{Map, Value};

use super::member::entity;
use crate::wire::key::Key;

entity! {
    /// A channel: the connection between Asterisk and an endpoint.
    ChannelData {
        /// Its id.
        id: String,
        /// Its name: `PJSIP/6001-00000001`, ….
        name: String,
        /// Its state: `Down`, `Rsrved`, `OffHook`, `Dialing`, `Ring`, `Ringing`, `Up`, `Busy`, `Dialing
        /// Offhook`, `Pre-ring` or `Unknown`.
        state: String,
        /// The id in the protocol beneath, the Call-ID of SIP; empty where there is none.
        protocol_id: String,
        /// Who is at its end.
        caller: CallerId,
        /// Who that is connected with.
        connected: CallerId,
        /// The account that it is for.
        accountcode: String,
        /// Where in the dialplan it is.
        dialplan: DialplanCep,
        /// When it was made.
        creationtime: String,
        /// The language that is spoken to it.
        language: String,
    }
    optional {
        /// Its variables, as far as Asterisk is configured to tell them.
        channelvars: Map<String, Value>,
        /// The number that the call was redirected from.
        caller_rdnis: String,
        /// The tenant that it is of.
        tenantid: String,
        /// Its key.
        key: Option<Key>,
    }
}

entity! {
    /// Who calls or is called.
    CallerId {
        /// The name.
        name: String,
        /// The number.
        number: String,
    }
}

entity! {
    /// A place in the dialplan: context, extension, priority.
    DialplanCep {
        /// The context.
        context: String,
        /// The extension.
        exten: String,
        /// The priority.
        priority: i64,
        /// The dialplan application that runs.
        app_name: String,
        /// What the dialplan application was given.
        app_data: String,
    }
}
