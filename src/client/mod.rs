//! The client: what an application controls calls with, over NATS or RabbitMQ, through the proxies of
//! this crate and those of CyCoreSystems (ari-proxy v5, in Go). Synchronous, with threads of its own.
//!
//! # A first program
//!
//! It answers every call of the application `hello`, plays a sound to it and hangs up. Run more of them,
//! anywhere, and each call still reaches one.
//!
//! ```no_run
//! use ari_proxy::client::{Call, Client, Error};
//!
//! fn main() -> Result<(), Error> {
//!     let client = Client::builder()
//!         .application("hello")
//!         .url("nats://localhost:4222")
//!         .connect()?;
//!     for call in client.listen()? {
//!         // A thread for each call: the next one need not wait.
//!         std::thread::spawn(move || {
//!             if let Err(error) = serve(&call) {
//!                 eprintln!("{}: {error}", call.channel.id());
//!             }
//!         });
//!     }
//!     Ok(())
//! }
//!
//! fn serve(call: &Call) -> Result<(), Error> {
//!     call.channel.answer()?;
//!     call.channel.play("sound:hello-world")?.wait()?;
//!     call.channel.hangup()
//! }
//! ```
//!
//! In `Cargo.toml`, without what only the daemon needs:
//!
//! ```toml
//! ari-proxy = { version = "0.1", default-features = false, features = ["client"] }
//! ```
//!
//! More programs are in `tests/examples`: two callers who talk to each other, a message that is recorded,
//! a phone that is called, all events, the cluster.
//!
//! # Connections and clients
//!
//! A [`Connection`] to the bus lasts as long as the program and is shared; it is made again whenever it is
//! lost. A [`Client`] is one user of it: what it subscribed to ends when it is closed or dropped. A client
//! per call is cheap: [`Client::derive`] makes one that closes with its parent, or before.
//!
//! Without a builder, `ARI_APPLICATION`, `MESSAGEBUS_URL` and `NATS_URI` say what to connect to, as they do
//! to the Go client: [`Client::connect`].
//!
//! # Where requests go
//!
//! Each channel, bridge and so on is at one Asterisk. A handle that came from a call, an event's key, a
//! list or a creation knows at which, and asks that one proxy. A [`Key`] that does not say is asked of all
//! proxies of the application: the first that can, answers; or the error that says most is that of all.
//! Lists are of all of them. What creates something goes to any one, unless the key says where.
//!
//! Who is there the client learns from announcements ([`Client::cluster`]), so that it does not wait
//! longer than for those; at most it waits for [`Builder::request_timeout`]. A request that nobody listens
//! to is [`Error::NoProxy`], if the bus tells, and nobody came within that time.
//!
//! # Events
//!
//! [`Client::subscribe`], and `subscribe` of every handle, gives a [`Subscription`]: [`Event`]s of the
//! types asked for, typed, with whatever this version does not know in `extra` or as [`Event::Other`].
//! Thousands of subscriptions are one on the bus.
//!
//! Events may be lost: while the link to the bus is away, at the proxy, or because a program does not take
//! them out. Where that may be, there is an [`Event::Gap`] or an [`Event::Status`] in their place, whatever
//! types were asked for; a program that must know how things are then asks.
//!
//! # Errors
//!
//! [`Error`] is one enum. [`Error::Timeout`] does not mean that it was not done: it may be under way.
//!
//! # The files
//!
//! | file | noun |
//! |---|---|
//! | `connection`, `core` | the connection; what it shares with its thread |
//! | `client`, `session` | a client; what its handles hold of it |
//! | `settings` | how to connect |
//! | `request`, `asking`, `questions` | a request; whose answers count; those under way |
//! | `router`, `filter`, `local`, `subscription` | which events are for whom; their way there |
//! | `listen` | new calls |
//! | `cluster` | who is there |
//! | `entities`, `channel`, `channels`, `bridge`, … | what a client reaches, a file for each |
//! | `handle`, `key`, `asker` | what handles and collections are made of |
//! | `payload` | what requests bring besides a key |
//! | `ending` | the end of playbacks and recordings |
//! | `staged` | what is prepared now and made later |
//! | `media` | what is played to and recorded of channels and bridges alike |
//! | `error` | what goes wrong |
//! | [`data`] | entities as Asterisk describes them |
//! | [`event`] | **the table** of events |
//!
//! To add a type of event, add its row to `event/known`; to add a request, a method to its entity.

mod application;
mod asker;
mod asking;
mod asterisk;
mod bridge;
mod bridges;
mod channel;
mod channels;
#[expect(clippy::module_inception, reason = "it is what the room is about")]
mod client;
mod cluster;
mod connection;
mod core;
pub mod data;
mod device_state;
mod ending;
mod endpoint;
mod entities;
mod error;
pub mod event;
mod filter;
mod handle;
mod key;
mod listen;
mod live_recording;
mod local;
mod mailbox;
mod media;
mod payload;
mod playback;
mod questions;
mod recordings;
mod request;
mod router;
mod session;
mod settings;
mod sound;
mod staged;
mod stored_recording;
mod subscription;
#[cfg(test)]
mod tests;

pub use crate::wire::key::Key;
pub use application::{Application, Applications};
pub use asterisk::{
    Asterisk, Config, ConfigObject, LogChannel, Logging, Module, Modules, Variables,
};
pub use bridge::Bridge;
pub use bridges::Bridges;
pub use channel::Channel;
pub use channels::Channels;
pub use client::Client;
pub use cluster::Member;
pub use connection::Connection;
pub use device_state::{DeviceState, DeviceStates};
pub use endpoint::{Endpoint, Endpoints};
pub use error::Error;
pub use event::{Event, EventType, Gap, State, Status};
pub use listen::{Call, Listener};
pub use live_recording::LiveRecording;
pub use mailbox::{Mailbox, Mailboxes};
pub use payload::{
    AddOptions, BridgeCreate, BridgeType, ChannelCreate, Control, DeviceStateValue, Dial,
    Direction, DtmfOptions, ExternalMedia, HangupReason, IfExists, Originate, RecordOptions, Snoop,
    TerminateOn,
};
pub use playback::{Playback, Playbacks};
pub use recordings::{LiveRecordings, Recordings, StoredRecordings};
pub use request::Request;
pub use settings::Builder;
pub use sound::{Sound, Sounds};
pub use staged::Staged;
pub use stored_recording::StoredRecording;
pub use subscription::Subscription;
