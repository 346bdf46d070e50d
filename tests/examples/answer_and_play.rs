//! Answers every call, plays a sound to it and hangs up.
//!
//! `ARI_APPLICATION=hello MESSAGEBUS_URL=nats://localhost:4222 answer_and_play [SOUND]`

use std::thread;

use ari_proxy::client::{Call, Client, Error};

fn main() -> Result<(), Error> {
    let sound = std::env::args().nth(1);
    let sound = sound.unwrap_or_else(|| "sound:hello-world".to_owned());
    let client = Client::connect()?;
    let calls = client.listen()?;
    println!("waiting for calls");
    for call in calls {
        let sound = sound.clone();
        // A thread for each call: the next one need not wait.
        thread::spawn(move || {
            let name = call.channel.id().to_owned();
            match serve(&call, &sound) {
                Ok(state) => println!("{name}: {state}"),
                Err(error) => println!("{name}: {error}"),
            }
        });
    }
    Ok(())
}

fn serve(call: &Call, sound: &str) -> Result<String, Error> {
    let channel = &call.channel;
    channel.answer()?;
    let played = channel.play(sound)?.wait()?;
    channel.hangup()?;
    Ok(played.state)
}
