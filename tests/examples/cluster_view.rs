//! Shows the proxies on a bus: which Asterisk serves which application, with how many channels.
//!
//! `MESSAGEBUS_URL=nats://localhost:4222 cluster_view [SECONDS]`

use std::thread;
use std::time::Duration;

use ari_proxy::client::{Connection, Error};

fn main() -> Result<(), Error> {
    let seconds = std::env::args().nth(1).and_then(|text| text.parse().ok());
    let connection = Connection::open()?;
    loop {
        // They were asked when the connection was made, and announce themselves every minute.
        thread::sleep(Duration::from_secs(1));
        for member in connection.cluster() {
            let client = connection.client(&member.application)?;
            let here = client.channels().at(&member.asterisk);
            let channels = match here.list() {
                Ok(channels) => channels.len().to_string(),
                Err(error) => error.to_string(),
            };
            println!(
                "{} {}: {channels} channels, heard of {} s ago",
                member.asterisk,
                member.application,
                member.age.as_secs()
            );
        }
        println!("--");
        match seconds {
            Some(seconds) => thread::sleep(Duration::from_secs(seconds)),
            None => return Ok(()),
        }
    }
}
