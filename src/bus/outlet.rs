//! The link of the moment, for whoever publishes: workers, announcer, subscriptions.

use std::sync::{Arc, Mutex, PoisonError};

use super::{BusError, Link};

/// Where messages leave. Clones are the same outlet.
#[derive(Clone, Default)]
pub struct Outlet(Arc<Mutex<Option<Arc<dyn Link>>>>);

impl Outlet {
    /// Sets the link of the moment, or that there is none.
    pub fn set(&self, link: Option<Arc<dyn Link>>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = link;
    }

    /// The link of the moment. The lock is not held while it is used.
    pub fn link(&self) -> Option<Arc<dyn Link>> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Publishes and sends one message.
    pub fn send(&self, subject: &str, body: &[u8]) -> Result<(), BusError> {
        let link = self.link().ok_or(BusError::Lost)?;
        link.publish(subject, body)?;
        link.flush();
        Ok(())
    }
}
