//! The bus side: one trait, one file per bus, one supervisor that heals links for all.
//!
//! | file | noun |
//! |---|---|
//! | [`error`] | what goes wrong between us and the bus |
//! | [`link`] | **the trait**: a connection of a proxy, and an inbox of subscriptions on it |
//! | [`access`] | the trait of an application's connection |
//! | [`nats`] | NATS behind the trait, with a folder for what it is made of |
//! | [`rabbitmq`] | RabbitMQ behind the trait, likewise |
//! | [`outlet`] | the link of the moment, for whoever publishes |
//! | [`places`] | what may be stuck in a crate, counted |
//! | [`topics`] | the topics of dialogs, for go-ari-proxy's applications |
//! | [`supervisor`] | the thread that connects, watches and replaces links |
//!
//! To add a bus, write its file, name it in [`supervisor`]'s `connect` and its URLs in
//! `address/scheme.rs`. A header of events is named in [`link`] and written by each bus.

pub mod access;
pub mod error;
pub mod link;
pub mod nats;
pub mod outlet;
pub mod places;
pub mod rabbitmq;
pub mod supervisor;
pub mod topics;

pub use access::{Access, Claim, HearAccess, Heard as HeardByAccess, Interest, Question};
pub use error::BusError;
pub use link::{
    Connected, Delivery, Inbox, Link, Loss, Mark, Next, Receipt, Reply, Terms, Topic, Use, Waiting,
};
pub use outlet::Outlet;
pub use topics::{Hear, Heard, Topics};
