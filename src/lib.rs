//! draft
pub mod wire;
