//! Directories for what processes of the tests write.

use std::fs;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};

/// A directory that is removed when dropped.
pub(crate) struct TemporaryDirectory {
    /// Where it is.
    pub(crate) path: PathBuf,
}

impl TemporaryDirectory {
    /// A new one.
    pub(crate) fn new() -> TemporaryDirectory {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!(
            "ari-proxy-test-{}-{}",
            std::process::id(),
            NEXT.fetch_add(1, Ordering::Relaxed)
        );
        let path = std::env::temp_dir().join(name);
        fs::create_dir_all(&path).expect("temporary directory");
        TemporaryDirectory { path }
    }
}

impl Drop for TemporaryDirectory {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.path);
    }
}
