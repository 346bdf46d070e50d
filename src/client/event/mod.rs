//! Events, as values: what happens to calls, what a proxy says of itself, and where events may be missing.
//!
//! `known` is the table of the types that Asterisk 22 has. To add one, add its row: the struct, the variants
//! of [`Event`] and [`EventType`], and how it is read come from it. One that is not in the table, or is of a shape
//! that nobody has heard of yet, is [`Event::Other`], with all that it says.

mod decode;
mod gap;
mod known;
mod status;
mod table;

pub use gap::Gap;
pub use known::*;
pub use status::{Details, State, Status};

#[cfg(test)]
mod tests;
