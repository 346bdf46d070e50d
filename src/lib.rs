//! draft
pub mod ari;
pub mod backoff;
pub mod bus;
pub mod config;
pub mod exit;
pub mod logging;
pub mod proxy;
pub mod wire;
