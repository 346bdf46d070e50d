//! An Asterisk.

use super::member::entity;
use crate::wire::key::Key;

entity! {
    /// An Asterisk.
    AsteriskData {}
    optional {
        /// How it was built.
        build: BuildInfo,
        /// Which it is.
        system: SystemInfo,
        /// How it is configured.
        config: ConfigInfo,
        /// Since when it runs.
        status: StatusInfo,
        /// Its key.
        key: Option<Key>,
    }
}

entity! {
    /// How an Asterisk was built.
    BuildInfo {
        /// The operating system it was built on.
        os: String,
        /// The version of the kernel it was built on.
        kernel: String,
        /// The options it was compiled with; empty where they are the default ones.
        options: String,
        /// The architecture: `x86_64`, ….
        machine: String,
        /// When it was built.
        date: String,
        /// The user who built it.
        user: String,
    }
}

entity! {
    /// Which Asterisk it is.
    SystemInfo {
        /// Its version.
        version: String,
        /// Its id, as in keys: `00:01:02:03:04:05`.
        entity_id: String,
    }
}

entity! {
    /// How an Asterisk is configured.
    ConfigInfo {
        /// Its system name.
        name: String,
        /// The language of what is played where no other is asked for.
        default_language: String,
        /// The user and group it runs as.
        setid: SetId,
    }
    optional {
        /// Most channels at once; none: as many as come.
        max_channels: Option<i64>,
        /// Most open files and sockets; none: as the system says.
        max_open_files: Option<i64>,
        /// The load of the system from which on it takes no calls; none: at any.
        max_load: Option<f64>,
    }
}

entity! {
    /// The user and group that an Asterisk runs as.
    SetId {
        /// The user.
        user: String,
        /// The group.
        group: String,
    }
}

entity! {
    /// Since when an Asterisk runs.
    StatusInfo {
        /// When it was started.
        startup_time: String,
        /// When it last read its configuration.
        last_reload_time: String,
    }
}
