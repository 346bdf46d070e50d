//! Dialogs by go-ari-proxy's protocol, with an application written to it: what an application is sent
//! and when, what its commands do, which events are whose, and what is left in the end.

#[path = "dialogs/applications.rs"]
mod applications;
#[path = "dialogs/commands.rs"]
mod commands;
#[path = "dialogs/ends.rs"]
mod ends;
#[path = "dialogs/objects.rs"]
mod objects;
#[path = "dialogs/protocols.rs"]
mod protocols;
#[path = "dialogs/refused.rs"]
mod refused;
