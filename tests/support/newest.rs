//! The websocket that came last: a real Asterisk sends an application's events to that one alone,
//! and tells those before it that they were replaced.

use super::{Server, Socket, lock, text_frame};
use std::io::Write;
use std::sync::Arc;

impl Server {
    /// Sends a text to the websocket that came last; its number where it was written whole.
    pub(crate) fn push_to_newest(&self, text: &[u8]) -> Option<u64> {
        let newest = lock(&self.shared.websockets).last().cloned()?;
        write(&newest, text).then_some(newest.id)
    }

    /// Sends a text to every websocket but the one that came last.
    pub(crate) fn push_to_older(&self, text: &[u8]) {
        let mut sockets = lock(&self.shared.websockets).clone();
        sockets.pop();
        for socket in sockets {
            write(&socket, text);
        }
    }
}

fn write(socket: &Arc<Socket>, text: &[u8]) -> bool {
    let frame = text_frame(text);
    lock(&socket.writer).write_all(&frame).is_ok()
}
