//! Loopback ports that stay ours while their server is down.

use std::net::TcpListener;
use std::sync::atomic::{AtomicU32, Ordering};

/// A free port below the range from which the system takes ports of outgoing connections, so that
/// a server that is stopped finds its port again when it is restarted.
pub(crate) fn free_port() -> u16 {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    const FIRST: u32 = 20_000;
    const COUNT: u32 = 12_000;
    for _ in 0..COUNT {
        let step = NEXT.fetch_add(1, Ordering::Relaxed);
        let offset = (std::process::id().wrapping_mul(331).wrapping_add(step)) % COUNT;
        let port = u16::try_from(FIRST + offset).expect("within 16 bits");
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
    panic!("no free port");
}
