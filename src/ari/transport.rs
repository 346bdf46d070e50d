//! What ureq does not tell of a call. The reason phrase of its response: Asterisk's differ from the
//! standard's (`404 Variable Not Found`) and are part of the error texts that clients know. And
//! whether the call was sent on a connection that had served before and ended without a word, as
//! Asterisk ends idle ones: whether a call that failed may have come too late. This transport wraps
//! that of ureq or ours and sees both pass.

use std::cell::{Cell, RefCell};
use std::sync::Arc;

use ureq::Error;
use ureq::unversioned::transport::{
    Buffers, ChainedConnector, ConnectionDetails, Connector, NextTimeout, RustlsConnector,
    Transport,
};

use super::tcp::Tcp;

thread_local! {
    /// The reason phrase last read by this thread. A call is made and its answer read by one
    /// thread, so the phrase is that of its last call.
    static REASON: RefCell<String> = const { RefCell::new(String::new()) };
    /// Whether this thread's last call is one that a connection which had served before took, and
    /// that nothing was heard of since.
    static UNHEARD: Cell<bool> = const { Cell::new(false) };
}

/// The reason phrase of the last response that this thread read.
pub(super) fn last() -> String {
    REASON.with_borrow(Clone::clone)
}

/// Forgets the call before.
pub(super) fn begin() {
    UNHEARD.set(false);
}

/// Whether the call, if it failed now, may have been sent on a connection that was closed already.
pub(super) fn is_unheard() -> bool {
    UNHEARD.get()
}

/// What connects: TCP, TLS where it is wanted, observed. Clones share what TLS needs.
#[derive(Debug, Clone)]
pub(super) struct Connect(Arc<Chain>);

type Chain = ChainedConnector<(), ChainedConnector<(), Tcp, RustlsConnector>, Observer>;

impl Default for Connect {
    fn default() -> Connect {
        let plain_or_tls = Tcp.chain(RustlsConnector::default());
        Connect(Arc::new(plain_or_tls.chain(Observer)))
    }
}

impl Connector for Connect {
    type Out = <Chain as Connector>::Out;

    fn connect(
        &self,
        details: &ConnectionDetails<'_>,
        chained: Option<()>,
    ) -> Result<Option<Self::Out>, Error> {
        self.0.connect(details, chained)
    }
}

/// Wraps the transports of the connector before it in the chain.
#[derive(Debug)]
pub(super) struct Observer;

impl<In: Transport> Connector<In> for Observer {
    type Out = Observed<In>;

    fn connect(
        &self,
        _: &ConnectionDetails<'_>,
        chained: Option<In>,
    ) -> Result<Option<Self::Out>, Error> {
        Ok(chained.map(|inner| Observed {
            inner,
            awaits_status_line: false,
            has_served: false,
        }))
    }
}

/// Reads the status line of each response.
#[derive(Debug)]
pub(super) struct Observed<T> {
    inner: T,
    awaits_status_line: bool,
    /// Whether it has brought an answer.
    has_served: bool,
}

impl<T: Transport> Transport for Observed<T> {
    fn buffers(&mut self) -> &mut dyn Buffers {
        self.inner.buffers()
    }

    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> Result<(), Error> {
        self.awaits_status_line = true;
        UNHEARD.set(self.has_served);
        self.inner.transmit_output(amount, timeout)
    }

    fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, Error> {
        let more = self.inner.await_input(timeout)?;
        if more {
            UNHEARD.set(false);
        }
        if self.awaits_status_line
            && let Some(reason) = reason_phrase(self.inner.buffers().input())
        {
            self.awaits_status_line = false;
            self.has_served = true;
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
