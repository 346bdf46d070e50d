//! Threads that belong together: spawned by name, waited for with a deadline. A thread that
//! panics is told of, as a proxy without one of its threads must not live on.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread;
use std::time::Instant;

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded};

use super::conductor::Event;

/// Some threads.
pub struct Team {
    /// Held by every thread until it ends.
    running: Sender<()>,
    ended: Receiver<()>,
    tell: Sender<Event>,
}

impl Team {
    /// No threads yet; `tell` hears of those that panic.
    pub fn new(tell: &Sender<Event>) -> Team {
        let (running, ended) = bounded(0);
        Team {
            running,
            ended,
            tell: tell.clone(),
        }
    }

    /// Spawns a thread. Its name shows in log lines and in `top -H`.
    pub fn spawn(&self, name: &str, body: impl FnOnce() + Send + 'static) -> io::Result<()> {
        let running = self.running.clone();
        let tell = self.tell.clone();
        let thread_name = name.to_owned();
        thread::Builder::new()
            .name(name.to_owned())
            .spawn(move || {
                if catch_unwind(AssertUnwindSafe(body)).is_err() {
                    let _ = tell.send(Event::Panicked(thread_name));
                }
                drop(running);
            })?;
        Ok(())
    }

    /// Waits until all have ended, but not beyond `deadline`; whether they have.
    pub fn wait(self, deadline: Instant) -> bool {
        drop(self.running);
        self.ended.recv_deadline(deadline) == Err(RecvTimeoutError::Disconnected)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crossbeam_channel::unbounded;
    use std::time::Duration;

    #[test]
    fn waits_for_all_but_not_for_ever() {
        let (tell, told) = unbounded();
        let team = Team::new(&tell);
        let (hold, held) = bounded::<()>(0);
        team.spawn("quick", || {}).unwrap();
        team.spawn("slow", move || {
            let _ = held.recv();
        })
        .unwrap();
        assert!(!team.wait(Instant::now() + Duration::from_millis(20)));
        drop(hold);
        assert!(told.is_empty());
    }
}
