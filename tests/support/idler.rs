//! A client as a program that reads one of its two subscriptions and not the other: prints how many events
//! it has read, and at a `UserEvent` of the name `end` what waits in the other. The tests watch its memory.

use ari_proxy::client::{Client, Error, Event, EventType, Key};

fn main() -> Result<(), Error> {
    let client = Client::connect()?;
    let idle = client.subscribe(&Key::default(), &[])?;
    let read = client.subscribe(
        &Key::default(),
        &[EventType::ChannelVarset, EventType::ChannelUserevent],
    )?;
    println!("reading");
    let mut count = 0_u64;
    for event in read.iter() {
        match event {
            Event::ChannelVarset(_) => count += 1,
            Event::ChannelUserevent(_) => break,
            Event::Gap(gap) => println!("gap {gap:?}"),
            _ => continue,
        }
        if count.is_multiple_of(100) {
            println!("{count}");
        }
    }
    let (mut events, mut lost) = (0_u64, 0);
    while let Some(event) = idle.try_recv() {
        match event {
            Event::Gap(gap) => lost += gap.lost.unwrap_or(0),
            _ => events += 1,
        }
    }
    println!("idle {events} {lost}");
    Ok(())
}
