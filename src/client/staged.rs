//! What is prepared now and done later.

use std::fmt;
use std::sync::Arc;

use super::Error;

/// Something that will be made. Where is settled, and what it is made from was there: its handle can be
/// subscribed to before it is made, so that no event is missed.
#[must_use = "nothing is made before exec()"]
pub struct Staged<T> {
    handle: T,
    make: Box<dyn FnOnce(T) -> Result<T, Error> + Send>,
    /// Whose end tells who waits for the end of `handle` that it is made, or never will be.
    unmade: Arc<()>,
}

impl<T> Staged<T> {
    pub(super) fn new(
        handle: T,
        make: impl FnOnce(T) -> Result<T, Error> + Send + 'static,
    ) -> Staged<T> {
        Staged::unmade(handle, Arc::default(), make)
    }

    /// One whose handle knows that it is not made as long as there is `unmade`.
    pub(super) fn unmade(
        handle: T,
        unmade: Arc<()>,
        make: impl FnOnce(T) -> Result<T, Error> + Send + 'static,
    ) -> Staged<T> {
        Staged {
            handle,
            make: Box::new(make),
            unmade,
        }
    }

    /// The handle of what will be made.
    pub fn handle(&self) -> &T {
        &self.handle
    }

    /// Makes it.
    pub fn exec(self) -> Result<T, Error> {
        let made = (self.make)(self.handle);
        drop(self.unmade);
        made
    }
}

impl<T: fmt::Debug> fmt::Debug for Staged<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Staged").field(&self.handle).finish()
    }
}
