//! A dynamic configuration object.

use super::member::entity;
use crate::wire::key::Key;

entity! {
    /// A dynamic configuration object, in the proxy's shape: Asterisk has no name for the whole.
    ConfigData {
        /// Its class: `res_pjsip`, ….
        #[serde(rename = "Class")]
        class: String,
        /// Its type: `endpoint`, ….
        #[serde(rename = "Type")]
        kind: String,
        /// Its name.
        #[serde(rename = "Name")]
        name: String,
        /// What it says.
        #[serde(rename = "Fields")]
        fields: Vec<ConfigTuple>,
    }
    optional {
        /// Its key; the id is `class/type/name`.
        key: Option<Key>,
    }
}

entity! {
    /// One attribute of a dynamic configuration object.
    ConfigTuple {
        /// Its name.
        attribute: String,
        /// Its value.
        value: String,
    }
}
