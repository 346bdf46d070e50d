//! Tests of the proxy as a process, over real NATS and RabbitMQ servers, against a scripted Asterisk and, where
//! one is given, the real one.

// Helpers outside of test functions fail a test by panicking, as the tests themselves do.
#![allow(clippy::unwrap_used, clippy::expect_used)]
// The named crate is deprecated as a whole; the proxy uses it all the same.
#![allow(deprecated)]

mod announce;
#[path = "bench/checks.rs"]
mod bench;
mod client_examples;
mod client_faults;
mod client_listeners;
mod config_json;
mod conformance;
mod defects;
mod dialog_calls;
mod dialog_faults;
mod dialog_links;
mod dialog_queue_faults;
mod dialog_queues;
mod dialogs;
mod events;
mod faults;
mod flood;
mod garbage;
mod hostile;
mod links;
mod log;
mod nats_access;
mod nats_links;
mod overload;
mod rabbit;
mod rabbit_access;
mod rabbit_creates;
mod rabbit_links;
mod rabbit_poison;
mod real;
mod real_dialogs;
mod requests;
mod selftest;
mod shutdown;
mod soak;
mod status;
mod support;
