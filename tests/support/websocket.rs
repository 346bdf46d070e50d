//! A websocket client that reads the events of an Asterisk beside the proxy.

use std::net::TcpStream;
use std::time::Duration;

use tungstenite::client::IntoClientRequest;
use tungstenite::{Message, WebSocket};

use super::wait::SOON;

/// A websocket for events.
pub(crate) struct EventSocket {
    socket: WebSocket<TcpStream>,
}

impl EventSocket {
    /// Connects to `url` with this query and this `Authorization` header.
    pub(crate) fn connect(url: &str, query: &str, authorization: &str) -> EventSocket {
        let mut request = format!("{url}?{query}").into_client_request().expect("URL");
        let authority = request
            .uri()
            .authority()
            .expect("host and port")
            .to_string();
        let value = authorization.parse().expect("header");
        request.headers_mut().insert("Authorization", value);
        let stream = TcpStream::connect(authority).expect("Asterisk accepts");
        stream.set_read_timeout(Some(SOON)).expect("a timeout");
        let (socket, _) = tungstenite::client(request, stream).expect("a websocket in time");
        EventSocket { socket }
    }

    /// The next event; none where the websocket ended or nothing came in time.
    pub(crate) fn next(&mut self, timeout: Duration) -> Option<String> {
        let stream = self.socket.get_ref();
        stream.set_read_timeout(Some(timeout)).expect("a timeout");
        loop {
            match self.socket.read() {
                Ok(Message::Text(text)) => return Some(text.as_str().to_owned()),
                Ok(_) => {}
                Err(_) => return None,
            }
        }
    }
}

impl Drop for EventSocket {
    /// Says goodbye and waits for the answer: a real Asterisk does not like to lose an observer.
    fn drop(&mut self) {
        let _ = self.socket.close(None);
        while self.next(SOON).is_some() {}
    }
}
