//! What a NATS server says, lines and messages that anybody may have made up. It does not matter in which
//! pieces it comes, and no more is kept of a message than is of use.
#![no_main]
#![allow(dead_code, reason = "of what is said, not all is looked at")]

use libfuzzer_sys::fuzz_target;

// It is private to the room of NATS. What it knows of others is around it here.
#[path = "../../../src/bus/nats/said.rs"]
mod said;

mod bus {
    pub(super) mod link {
        pub(crate) use ari_proxy::bus::link::LARGEST_REQUEST;
    }
}

use said::{Lines, Refusal, Said};

fuzz_target!(|input: &[u8]| {
    let Some((piece, stream)) = input.split_first() else {
        return;
    };
    let (pieces, refused) = heard(stream, 1 + usize::from(*piece));
    let (whole, refused_at_once) = heard(stream, usize::MAX);
    // In smaller pieces, a line may be found too long sooner.
    if !refused || refused_at_once {
        assert!(pieces == whole);
    }
    for said in whole {
        match said {
            Said::Message(message) => {
                assert!(message.body.len() <= bus::link::LARGEST_REQUEST + 1);
            }
            Said::Error(why) => drop(Refusal::of(&why)),
            _ => {}
        }
    }
});

/// What `stream` says when it comes in pieces of this size, and whether it is refused in the end.
fn heard(stream: &[u8], piece: usize) -> (Vec<Said>, bool) {
    let mut lines = Lines::of_messages(bus::link::LARGEST_REQUEST);
    let mut all = Vec::new();
    for piece in stream.chunks(piece) {
        lines.end().extend_from_slice(piece);
        loop {
            match lines.next() {
                Ok(Some(said)) => all.push(said),
                Ok(None) => break,
                Err(said::NotNats) => return (all, true),
            }
        }
    }
    (all, false)
}
