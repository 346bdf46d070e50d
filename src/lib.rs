//! ari-proxy: a proxy between Asterisk's REST Interface (ARI) and a message bus.
//!
//! One runs next to each Asterisk. Applications, anywhere, get the events of calls from the bus
//! and control calls through it. It speaks the protocol of CyCoreSystems ari-proxy v5, and that of the
//! older go-ari-proxy; what it does otherwise, and why, is in the README.
//!
//! **To write an application, begin at [`client`].** What follows is the map of the whole crate. The
//! daemon is the feature `server`, the library for applications the feature `client`; both are there unless
//! told otherwise, and `default-features = false, features = ["client"]` leaves out what only the daemon
//! needs.
//!
//! # The rooms
//!
//! | room | what is in it | may use |
//! |---|---|---|
//! | [`wire`] | the protocol: pure functions on bytes and values | nothing |
//! | [`address`] | the servers of a bus, and URLs, as people write them | nothing |
//! | [`config`] | keys, flags, environment, file | `address` |
//! | [`logging`], [`occasionally`], [`backoff`] | lines on stdout; when to say something again; waits between tries | `wire` for its random bits |
//! | [`trust`] | certificate authorities | nothing |
//! | [`ari`] | Asterisk: REST calls, websocket | all above |
//! | [`bus`] | the bus: a trait for proxies and one for applications, a file per bus, one supervisor | all above but `ari` and `config` |
//! | [`client`] | what applications use | `wire`, `address`, `bus` |
//! | [`proxy`] | the threads of a proxy and what they share | all above but `client` |
//! | [`fleet`] | the proxies of a process, one for each application | `config`, `proxy` |
//! | [`exit`] | exit statuses | `proxy` |
//!
//! Arrows go one way: no room knows one that is below it in this table.
//!
//! # The threads
//!
//! No thread is made per event or per request. Each of ours has a name; those that the nats crate makes,
//! two for the connection that requests come on, have none and show as `bus-connect`. RabbitMQ's crate has
//! two for each connection, of which a proxy has three and an application two: `amiquip-io`, where what
//! comes is heard and what a full socket did not take at once is sent, and `amiquip-timer`, which wakes it
//! for heartbeats.
//!
//! | thread | does | waits for |
//! |---|---|---|
//! | `main` | conducts: hears what happened, gives orders | an event |
//! | `conductor` | the same for one more application; each has its own of all that follow but `signals` and `log` | an event |
//! | `ingest` | reads the websocket into the buffer, connects again | Asterisk |
//! | `publisher` | publishes events and statuses; the only one that does | the buffer, the bus |
//! | `sub-get`, `-data`, `-command`, `-create`, `-ping` | take requests in, a class each | the bus |
//! | `dialogs` | owns the dialogs of go-ari-proxy's applications | an event, a command, an answer |
//! | `worker-0` … | REST calls and answers | the queue, Asterisk |
//! | `expiry` | answers requests that waited too long | the queue |
//! | `announcer` | announcements | being asked, 60 s |
//! | `watch` | asks Asterisk for its id | 10 s, Asterisk |
//! | `bus-link` | connects to the bus, watches the link | the bus |
//! | `bus-connect` | one attempt to connect to a server | the server, at most 8 at a time |
//! | `bus-taken` | hears what the server has taken of what left, whether it lives, and commands (NATS) | the bus |
//! | `bus-ask` | asks a link for the topics of dialogs, and ends | the bus |
//! | `bus-topics` | writes what is handed over for the topics of dialogs (NATS) | being kicked, the bus |
//! | `bus-flush` | flushes the connection that requests come on (NATS) | being kicked, the bus |
//! | `bus-confirm` | hears whether the broker takes events, and of the link's end (RabbitMQ) | the bus |
//! | `bus-answers` | keeps the connection for answers (RabbitMQ) | the bus |
//! | `signals` | SIGTERM, SIGINT | a signal |
//! | `log` | writes the log | a line, standard output |
//!
//! An application has fewer:
//!
//! | thread | does | waits for |
//! |---|---|---|
//! | `client-link` | connects to the bus, watches the link, subscribes anew | the bus |
//! | `bus-connect` | one attempt to connect to a server | the server, at most 8 at a time |
//! | `bus-taken` | hears events and answers, and hands them to who waits (NATS) | the bus |
//! | `bus-ends` | writes that subscriptions end (NATS) | being kicked, the bus |
//! | `amiquip-io` | of two connections, one that asks and one that hears: the same (RabbitMQ) | the bus |
//! | `bus-close` | says goodbye to the bus (RabbitMQ) | the bus, 1 s |
//! | its own | ask, and wait for the answer; take events out of their subscriptions | the bus |
//!
//! # The way of data
//!
//! ```text
//! events    Asterisk ══websocket══▶ ingest ─buffer─▶ publisher ─link─▶ bus
//!
//! statuses  ingest, watch, announcer ─buffer─▶ publisher, among the events
//!
//! requests  bus ─link─▶ sub-<class> ─queue─▶ worker ══REST══▶ Asterisk
//!                            ▲                 │ answer
//!                            └────receipt──────┴─outlet─▶ link ─▶ bus
//!
//! dialogs   Asterisk ══websocket══▶ ingest ─events─▶ dialogs ─buffer─▶ publisher ─link─▶ bus
//!           bus ─topics─▶ dialogs ─queue─▶ worker ══REST══▶ Asterisk
//!                            ▲                │ answer
//!                            └─────events─────┘
//!
//! changes   ingest, watch, bus-link, sub-<class>, publisher ─events─▶ main ─orders─▶ all, dialogs too
//! ```
//!
//! In an application:
//!
//! ```text
//! requests  caller ─link─▶ bus          answers  bus ─link─▶ questions ─▶ caller
//! events    bus ─link─▶ router ─queues─▶ subscribers
//! ```
//!
//! # The invariants
//!
//! - Ingest never waits for the bus. The buffer between them is bounded; the oldest event goes,
//!   counted. (It waits for a publisher that is faster than any Asterisk: [`proxy::buffer`].)
//! - An event is published as the bytes that came from Asterisk, in the order they came, once.
//! - Every request with a reply subject is answered: by a worker, by `expiry`, or at once by the
//!   subscription when it is too large or there is no room or no Asterisk. Those that waited in a
//!   broker where no proxy was are dropped, counted, as are those that come over NATS faster than they
//!   can be refused.
//! - No message from outside ends the process or a thread. A bus that hangs for good, or another
//!   client that takes the application over, may end the process: [`exit`].
//! - A dialog is bound before the call that makes events for it, and unbound after the event that
//!   ends its entity is published.
//! - Of go-ari-proxy's dialogs ([`proxy::topics`]) one thread knows, and it waits for nobody: neither for
//!   the bus nor for Asterisk. A call is told to one application instance, its events are held until that
//!   listens, its commands are carried out in order, and what it had goes with it.
//! - On a new link: subscriptions, then what waited, then the announcement. A class that the bus
//!   refuses holds up the announcement only.
//! - A lost link is dead for good: what was not handed to it is for the next one. What was on its way
//!   is sent again where the bus tells what it has taken ([`proxy::sent`]), and only by the publisher.
//! - What ends the connection that requests come on over NATS ends neither events nor answers.
//! - A receipt is dropped after the answer is handed over, and by that alone is a request forgotten.
//! - Locks are held for the time of a look-up, never across I/O. Nothing of a proxy is global: two of
//!   them share the logger and a source of random bits.
//! - Only the publisher counts events, and what is lost is told from the counters, by
//!   [`proxy::report`]: to drop an event is to count it. A status is said where it belongs among them.
//! - Secrets are in [`config::Secret`] and [`ari::Credentials`], which do not print.
//!
//! - In an application nobody waits for a subscriber: its queue is bounded, and what it loses it is told.
//!   Who asks waits as long as it said, whatever the bus does.
//!
//! # A program with a proxy in it
//!
//! ```no_run
//! use ari_proxy::config::{Config, Invocation};
//! use ari_proxy::proxy::Proxy;
//!
//! if let Ok(Invocation::Run(config)) = Config::from_process() {
//!     let proxy = Proxy::start(&config).expect("threads");
//!     proxy.run();
//! }
//! ```

pub mod address;
#[cfg(feature = "server")]
pub mod ari;
pub mod backoff;
pub mod bus;
#[cfg(feature = "client")]
pub mod client;
#[cfg(feature = "server")]
pub mod config;
#[cfg(feature = "server")]
pub mod exit;
#[cfg(feature = "server")]
pub mod fleet;
#[cfg(feature = "server")]
pub mod logging;
pub mod occasionally;
#[cfg(feature = "server")]
pub mod proxy;
pub mod trust;
pub mod wire;
