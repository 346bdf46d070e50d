//! A module.

use super::member::entity;
use crate::wire::key::Key;

entity! {
    /// A module of Asterisk's.
    ModuleData {
        /// Its name: `res_ari.so`, ….
        name: String,
        /// What it is for.
        description: String,
        /// How many use it.
        use_count: i64,
        /// `Running` or `Not Running`.
        status: String,
        /// How far it is supported: `core`, `extended`, `deprecated`, ….
        support_level: String,
    }
    optional {
        /// Its key.
        key: Option<Key>,
    }
}
