//! The proxies of a process, one for each application: they start together, and when one ends so do
//! all.

use std::io;
use std::thread::{Builder, JoinHandle};

use crate::config::Config;
use crate::proxy::conductor::End;
use crate::proxy::{Proxy, Stopper};

/// Running proxies, at least one.
pub struct Fleet {
    first: Proxy,
    further: Vec<JoinHandle<End>>,
    all: Stoppers,
}

/// Stops all proxies of a fleet.
#[derive(Clone)]
pub struct Stoppers(Vec<Stopper>);

impl Stoppers {
    /// Has the fleet end as [`Fleet::run`] says.
    pub fn stop(&self) {
        self.0.iter().for_each(Stopper::stop);
    }
}

/// Stops all when it is dropped: also by a thread that panics.
struct Together(Stoppers);

impl Drop for Together {
    fn drop(&mut self) {
        self.0.stop();
    }
}

impl Fleet {
    /// Starts a proxy for each application, each as [`Proxy::start`] does. Those after the first have a
    /// thread that conducts.
    pub fn start(config: &Config) -> io::Result<Fleet> {
        let first = Proxy::start(config)?;
        let further: Vec<Proxy> = config
            .further()
            .map(|config| Proxy::start(&config))
            .collect::<io::Result<_>>()?;
        let all = Stoppers(
            [&first]
                .into_iter()
                .chain(&further)
                .map(Proxy::stopper)
                .collect(),
        );
        let conducted = further.into_iter().map(|proxy| {
            let together = Together(all.clone());
            Builder::new()
                .name("conductor".into())
                .spawn(move || proxy.run_then(|| drop(together)))
        });
        Ok(Fleet {
            first,
            further: conducted.collect::<io::Result<_>>()?,
            all,
        })
    }

    /// What stops the fleet from another thread.
    pub fn stopper(&self) -> Stoppers {
        self.all.clone()
    }

    /// Runs until one of them has to end, then ends all, as [`Proxy::run`] does and at the same time; the
    /// worst of their ends.
    pub fn run(self) -> End {
        let together = Together(self.all);
        let first = self.first.run_then(|| drop(together));
        let further = self.further.into_iter().map(|thread| {
            // What it panicked of is logged.
            thread.join().unwrap_or(End::Fault)
        });
        further.fold(first, End::max)
    }
}
