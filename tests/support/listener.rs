//! A listener as a program: prints the id of each call that it gets. The tests run several of them.

use std::io::Write;

use ari_proxy::client::{Client, Error};

fn main() -> Result<(), Error> {
    let client = Client::connect()?;
    let calls = client.listen()?;
    let mut out = std::io::stdout().lock();
    let mut print = |line: &str| writeln!(out, "{line}").and_then(|()| out.flush());
    if print("listening").is_err() {
        return Ok(());
    }
    for call in calls {
        if print(call.channel.id()).is_err() {
            break;
        }
    }
    Ok(())
}
