//! What answers requests where there is no proxy: at once, always the same.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::thread::JoinHandle;

use super::launch::Site;

/// A listener on a thread of its own, ended when dropped.
pub(crate) struct Echo {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Echo {
    /// Answers the requests that come to `subject`.
    pub(crate) fn start(site: &Site<'_>, subject: &str) -> Echo {
        let client = site.broker.client();
        let subject = subject.to_owned();
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let (ready, listens) = mpsc::channel();
        let thread = std::thread::spawn(move || {
            client.echo(&subject, br#"{"error":""}"#, &stopped, &mut || {
                ready.send(()).expect("who started it waits");
            });
        });
        listens.recv().expect("a listener");
        Echo {
            stop,
            thread: Some(thread),
        }
    }
}

impl Drop for Echo {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Release);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
