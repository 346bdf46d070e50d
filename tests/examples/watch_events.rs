//! Prints all events of an application, at all Asterisks, and what may be missing among them.
//!
//! `ARI_APPLICATION=hello MESSAGEBUS_URL=nats://localhost:4222 watch_events`

use ari_proxy::client::{Client, Error, Event, Key};

fn main() -> Result<(), Error> {
    let client = Client::connect()?;
    // No types: all of them.
    let events = client.subscribe(&Key::default(), &[])?;
    println!("watching {}", client.application());
    for event in events.iter() {
        match &event {
            Event::Gap(gap) => println!("events may be missing: {}", gap.reason),
            Event::Status(status) => println!("{}: {}", status.asterisk, status.state),
            Event::ChannelDtmfReceived(dtmf) => {
                println!("{} dials {}", dtmf.channel.name, dtmf.digit);
            }
            other => {
                let channel = other.channel().map_or("", |channel| channel.name.as_str());
                println!("{} {} {channel}", other.timestamp(), other.event_type());
            }
        }
    }
    Ok(())
}
