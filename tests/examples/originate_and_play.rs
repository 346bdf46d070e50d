//! Calls a phone, plays a sound to whoever answers, and hangs up.
//!
//! `ARI_APPLICATION=hello MESSAGEBUS_URL=nats://localhost:4222 originate_and_play PJSIP/100 [SOUND]`

use std::time::{Duration, Instant};

use ari_proxy::client::{Client, Error, Event, EventType, Originate};

/// How long it may ring.
const RING: Duration = Duration::from_secs(30);

fn main() -> Result<(), Error> {
    let mut arguments = std::env::args().skip(1);
    let Some(phone) = arguments.next() else {
        eprintln!("usage: originate_and_play ENDPOINT [SOUND]");
        std::process::exit(2);
    };
    let sound = arguments.next();
    let sound = sound.unwrap_or_else(|| "sound:hello-world".to_owned());
    let client = Client::connect()?;
    // Staged, it has an id before it rings: nothing of it is missed.
    let staged = client.channels().stage_originate(&Originate {
        timeout: Some(RING),
        ..Originate::to(&phone)
    })?;
    let events = staged
        .handle()
        .subscribe(&[EventType::StasisStart, EventType::ChannelDestroyed])?;
    let channel = staged.exec()?;
    println!("{}: calling {phone}", channel.id());
    let deadline = Instant::now() + RING + Duration::from_secs(5);
    loop {
        match events.recv_deadline(deadline)? {
            Event::StasisStart(_) => break,
            Event::ChannelDestroyed(event) => {
                println!("{}: {}", channel.id(), event.cause_txt);
                return Ok(());
            }
            _ => {}
        }
    }
    let played = channel.play(&sound)?.wait()?;
    println!("{}: {}", channel.id(), played.state);
    channel.hangup()
}
