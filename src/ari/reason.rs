//! The reason phrase of a response. ureq drops it, but Asterisk's differ from the standard's
//! (`404 Variable Not Found`) and are part of the error texts that clients know: this transport
//! wraps ureq's own and reads the status line as it passes.

use std::cell::RefCell;

use ureq::Error;
use ureq::unversioned::transport::{Buffers, ConnectionDetails, Connector, NextTimeout, Transport};

thread_local! {
    /// The reason phrase last read by this thread. A call is made and its answer read by one
    /// thread, so the phrase is that of its last call.
    static REASON: RefCell<String> = const { RefCell::new(String::new()) };
}

/// The reason phrase of the last response that this thread read.
pub(super) fn last() -> String {
    REASON.with_borrow(Clone::clone)
}

/// Wraps the transports of the connector before it in the chain.
#[derive(Debug)]
pub(super) struct ReasonConnector;

impl<In: Transport> Connector<In> for ReasonConnector {
    type Out = ReasonTransport<In>;

    fn connect(
        &self,
        _: &ConnectionDetails<'_>,
        chained: Option<In>,
    ) -> Result<Option<Self::Out>, Error> {
        Ok(chained.map(|inner| ReasonTransport {
            inner,
            awaits_status_line: false,
        }))
    }
}

/// Reads the status line of each response.
#[derive(Debug)]
pub(super) struct ReasonTransport<T> {
    inner: T,
    awaits_status_line: bool,
}

impl<T: Transport> Transport for ReasonTransport<T> {
    fn buffers(&mut self) -> &mut dyn Buffers {
        self.inner.buffers()
    }

    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> Result<(), Error> {
        self.awaits_status_line = true;
        self.inner.transmit_output(amount, timeout)
    }

    fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, Error> {
        let more = self.inner.await_input(timeout)?;
        if self.awaits_status_line
            && let Some(reason) = reason_phrase(self.inner.buffers().input())
        {
            self.awaits_status_line = false;
            REASON.with_borrow_mut(|last| {
                last.clear();
                last.push_str(&reason);
            });
        }
        Ok(more)
    }

    fn is_open(&mut self) -> bool {
        self.inner.is_open()
    }

    fn is_tls(&self) -> bool {
        self.inner.is_tls()
    }
}

/// The reason phrase of the status line that `input` begins with, once it is there as a whole.
fn reason_phrase(input: &[u8]) -> Option<String> {
    let end = input.iter().position(|byte| *byte == b'\n')?;
    let line = input.get(..end)?.trim_ascii_end();
    let mut parts = line.splitn(3, |byte| *byte == b' ');
    if !parts.next()?.starts_with(b"HTTP/1.") {
        return None;
    }
    parts.next()?;
    let reason = parts.next().unwrap_or_default();
    Some(String::from_utf8_lossy(reason).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn status_lines() {
        for (input, reason) in [
            (
                "HTTP/1.1 404 Variable Not Found\r\nServer: Asterisk\r\n",
                Some("Variable Not Found"),
            ),
            ("HTTP/1.1 204\r\n", Some("")),
            ("HTTP/1.1 200 OK", None),
            ("{\"message\":1}\n", None),
        ] {
            assert_eq!(reason_phrase(input.as_bytes()).as_deref(), reason);
        }
    }
}
