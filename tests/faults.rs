//! The fault table: what is done to a proxy or its peers, one row each, and what a subscriber
//! notices of it. Faults are made, not mocked. Each test prints its row:
//!
//! ```sh
//! cargo test --test proxy faults -- --nocapture | grep '^|'
//! ```
//!
//! The columns are the fault, the bus, events that did not arrive of those that Asterisk wrote to a
//! websocket, events that came again, the time until events came and requests were served after the
//! fault was over, the most memory that the proxy had, and whether its statuses were true.

mod asterisk;
mod bus;
mod network;
mod proxy;
mod trial;
