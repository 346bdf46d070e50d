//! Records a message of every caller: until a hash, 3 seconds of silence, or a minute.
//!
//! `ARI_APPLICATION=hello MESSAGEBUS_URL=nats://localhost:4222 record_message [SECONDS]`

use std::thread;
use std::time::Duration;

use ari_proxy::client::{Call, Client, Error, IfExists, RecordOptions, TerminateOn};

fn main() -> Result<(), Error> {
    let longest = std::env::args().nth(1).and_then(|text| text.parse().ok());
    let longest = Duration::from_secs(longest.unwrap_or(60));
    let client = Client::connect()?;
    let calls = client.listen()?;
    println!("waiting for calls");
    for call in calls {
        thread::spawn(move || match record(&call, longest) {
            Ok(said) => println!("{}: {said}", call.channel.id()),
            Err(error) => println!("{}: {error}", call.channel.id()),
        });
    }
    Ok(())
}

fn record(call: &Call, longest: Duration) -> Result<String, Error> {
    let channel = &call.channel;
    channel.answer()?;
    let name = format!("message-{}", channel.id());
    let options = RecordOptions {
        max_duration: longest,
        max_silence: Duration::from_secs(3),
        if_exists: IfExists::Overwrite,
        beep: true,
        terminate_on: TerminateOn::Hash,
        ..RecordOptions::default()
    };
    let recording = channel.record(&name, &options)?;
    recording.wait()?;
    let stored = recording.stored().data()?;
    channel.hangup()?;
    Ok(format!("{}.{}", stored.name, stored.format))
}
