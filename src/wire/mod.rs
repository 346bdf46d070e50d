//! The wire protocols of ari-proxy v5 and go-ari-proxy as pure functions: bytes and values in, bytes and values out,
//! no socket, no thread, no clock but in [`id`].
//!
//! | file | noun |
//! |---|---|
//! | [`subject`] | where messages go: prefix, class, level, dialog |
//! | [`request`] | a request as it came from the bus |
//! | [`key`] | the key of an entity, in requests and responses |
//! | [`kind`] | what a row of the table can say |
//! | [`kinds`] | **the table**: the 111 request kinds, a row each |
//! | [`call`] | a request and its row made into REST calls and dialog bindings |
//! | `fields` | the values of a request, as its row asks for them |
//! | [`path`] | REST paths from templates; ids never leave their segment |
//! | [`response`] | what is published to the reply subject |
//! | [`event`] | entities of an event, and the `dialog` member added to it |
//! | [`topic`] | the topics of dialogs, as go-ari-proxy has them, and what is published there |
//! | [`command`] | what comes on them: REST calls, and what they bring into a dialog |
//! | `lenient` | members of events, whatever their shape |
//! | [`announcement`] | what `announce` says |
//! | [`status`] | what `status` says |
//! | [`timestamp`] | moments as text |
//! | [`id`] | generated ids (ULID and suffix) |
//!
//! To add a request kind, add its row to [`kinds`]; to add an entity of events, its member name to
//! [`event`]; to add a state, name it in [`status`] and tell of it where it comes to pass.

pub mod announcement;
pub mod call;
pub mod command;
pub mod event;
mod fields;
pub mod id;
pub mod key;
pub mod kind;
pub mod kinds;
mod lenient;
pub mod path;
pub mod request;
pub mod response;
pub mod status;
pub mod subject;
pub mod timestamp;
pub mod topic;
