//! Has every two callers talk to each other, until one of them goes.
//!
//! `ARI_APPLICATION=hello MESSAGEBUS_URL=nats://localhost:4222 bridge_two_callers`

use std::thread;

use ari_proxy::client::{Call, Channel, Client, Error, Event, EventType};

fn main() -> Result<(), Error> {
    let client = Client::connect()?;
    let mut calls = client.listen()?;
    println!("waiting for calls");
    while let Some(first) = calls.next() {
        if let Err(error) = welcome(&first.channel) {
            println!("{}: {error}", first.channel.id());
            continue;
        }
        let Some(second) = calls.next() else {
            break;
        };
        thread::spawn(move || {
            let names = format!("{} and {}", first.channel.id(), second.channel.id());
            match talk(&first, &second) {
                Ok(()) => println!("{names}: over"),
                Err(error) => println!("{names}: {error}"),
            }
        });
    }
    Ok(())
}

fn welcome(channel: &Channel) -> Result<(), Error> {
    channel.answer()?;
    channel.moh("default")
}

fn talk(first: &Call, second: &Call) -> Result<(), Error> {
    first.channel.stop_moh()?;
    second.channel.answer()?;
    // That the other leaves is an event of this one too, as it is in the bridge then.
    let leaving = [EventType::ChannelLeftBridge, EventType::StasisEnd];
    let events = first.channel.subscribe(&leaving)?;
    let bridge = first.channel.bridge(&second.channel)?;
    println!(
        "{} and {}: talking",
        first.channel.id(),
        second.channel.id()
    );
    events
        .iter()
        .find(|event| !matches!(event, Event::Gap(_) | Event::Status(_)));
    bridge.delete()?;
    // One of them is gone already.
    let _ = (first.channel.hangup(), second.channel.hangup());
    Ok(())
}
