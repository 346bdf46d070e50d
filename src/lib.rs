//! draft
pub mod ari;
pub mod backoff;
pub mod wire;
