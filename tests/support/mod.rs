//! What the tests share: real servers, a scripted Asterisk, the proxy as a process, faults.

pub(crate) mod amqp;
pub(crate) mod application;
pub(crate) mod application_wire;
pub(crate) mod asterisk;
pub(crate) mod asterisk_process;
pub(crate) mod bus;
pub(crate) mod cases;
pub(crate) mod dialog_rig;
pub(crate) mod directory;
pub(crate) mod faulty;
pub(crate) mod nats;
pub(crate) mod nats_raw;
pub(crate) mod ports;
pub(crate) mod process;
pub(crate) mod program;
pub(crate) mod proxy;
pub(crate) mod rabbitmq;
pub(crate) mod rabbitmq_client;
pub(crate) mod relay;
pub(crate) mod rig;
pub(crate) mod server;
pub(crate) mod statuses;
pub(crate) mod wait;
pub(crate) mod websocket;
pub(crate) mod witness;
