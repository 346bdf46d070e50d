//! The link of the moment, for whoever publishes: workers, announcer, subscriptions.

use std::sync::{Arc, Mutex, PoisonError};

use super::{BusError, Link, Reply, Topic};

/// Where messages leave. Clones are the same outlet.
#[derive(Clone, Default)]
pub struct Outlet(Arc<Mutex<Option<Arc<dyn Link>>>>);

impl Outlet {
    /// Sets the link of the moment, or that there is none.
    pub fn set(&self, link: Option<Arc<dyn Link>>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = link;
    }

    /// Whether there is a link.
    pub fn is_open(&self) -> bool {
        self.link().is_ok()
    }

    /// Publishes and sends an announcement.
    pub fn announce(&self, subject: &str, body: &[u8]) -> Result<(), BusError> {
        let link = self.link()?;
        link.publish(Topic::Announce, subject, None, body)?;
        link.flush();
        Ok(())
    }

    /// Sends an answer.
    pub fn answer(&self, reply: &Reply, body: &[u8]) -> Result<(), BusError> {
        self.link()?.answer(reply, body)
    }

    /// The link of the moment. The lock is not held while it is used.
    fn link(&self) -> Result<Arc<dyn Link>, BusError> {
        let link = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        link.clone().ok_or(BusError::Lost)
    }
}
