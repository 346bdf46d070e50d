//! The queue between subscriptions and workers: bounded in number and in age. A channel cannot
//! look at its first item without taking it; here the expiry thread can, so that a request that
//! waited too long is answered then, and not when a worker comes to it.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::bus::Delivery;
use crate::wire::subject::Class;

/// A request that waits for a worker.
#[derive(Debug)]
pub struct Job {
    /// The class that it came on.
    pub class: Class,
    /// What came.
    pub delivery: Delivery,
}

/// Waiting requests, first come, first served.
#[derive(Debug)]
pub struct Queue {
    waiting: Mutex<Waiting>,
    for_workers: Condvar,
    for_expiry: Condvar,
    most: usize,
    longest: Duration,
}

#[derive(Debug, Default)]
struct Waiting {
    jobs: VecDeque<Job>,
    closed: bool,
}

impl Queue {
    /// A queue of at most `most` requests, each of which waits at most `longest`.
    pub fn new(most: usize, longest: Duration) -> Queue {
        Queue {
            waiting: Mutex::default(),
            for_workers: Condvar::new(),
            for_expiry: Condvar::new(),
            most,
            longest,
        }
    }

    /// Puts a request in, or gives it back when there are too many or the queue is closed.
    #[expect(
        clippy::result_large_err,
        reason = "it is moved either way, and boxing would cost each request"
    )]
    pub fn push(&self, job: Job) -> Result<(), Job> {
        let mut waiting = self.lock();
        if waiting.closed || waiting.jobs.len() >= self.most {
            return Err(job);
        }
        waiting.jobs.push_back(job);
        let first = waiting.jobs.len() == 1;
        drop(waiting);
        self.for_workers.notify_one();
        if first {
            self.for_expiry.notify_one();
        }
        Ok(())
    }

    /// The next request that has not waited too long; none when the queue is closed and empty.
    pub fn pop(&self) -> Option<Job> {
        let mut waiting = self.lock();
        loop {
            // What is too old is left to the expiry thread.
            if waiting
                .jobs
                .front()
                .is_some_and(|job| job.delivery.received.elapsed() < self.longest)
            {
                let job = waiting.jobs.pop_front();
                if waiting.closed && waiting.jobs.is_empty() {
                    self.for_expiry.notify_one();
                }
                return job;
            }
            if waiting.jobs.is_empty() && waiting.closed {
                return None;
            }
            if !waiting.jobs.is_empty() {
                self.for_expiry.notify_one();
            }
            waiting = self
                .for_workers
                .wait(waiting)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// The next request that has waited too long, as soon as there is one; none when the queue is
    /// closed and empty.
    pub fn expired(&self) -> Option<Job> {
        let mut waiting = self.lock();
        loop {
            let left = waiting
                .jobs
                .front()
                .map(|job| self.longest.saturating_sub(job.delivery.received.elapsed()));
            match left {
                Some(Duration::ZERO) => {
                    let job = waiting.jobs.pop_front();
                    // Workers may have left what is behind it for the sake of its age.
                    self.for_workers.notify_all();
                    return job;
                }
                Some(left) => {
                    waiting = self
                        .for_expiry
                        .wait_timeout(waiting, left)
                        .unwrap_or_else(PoisonError::into_inner)
                        .0;
                }
                None if waiting.closed => return None,
                None => {
                    waiting = self
                        .for_expiry
                        .wait(waiting)
                        .unwrap_or_else(PoisonError::into_inner);
                }
            }
        }
    }

    /// Takes nothing more in; what waits is still given out.
    pub fn close(&self) {
        self.lock().closed = true;
        self.for_workers.notify_all();
        self.for_expiry.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::thread;
    use std::time::Instant;

    fn job(age: Duration) -> Job {
        Job {
            class: Class::Get,
            delivery: Delivery {
                body: Vec::new(),
                reply: None,
                received: Instant::now().checked_sub(age).unwrap_or_else(Instant::now),
                redelivered: false,
                receipt: None,
            },
        }
    }

    #[test]
    fn bounded() {
        let queue = Queue::new(2, Duration::from_secs(60));
        assert!(queue.push(job(Duration::ZERO)).is_ok());
        assert!(queue.push(job(Duration::ZERO)).is_ok());
        assert!(queue.push(job(Duration::ZERO)).is_err());
        assert!(queue.pop().is_some());
        assert!(queue.push(job(Duration::ZERO)).is_ok());
    }

    #[test]
    fn what_waited_too_long_expires_without_a_worker() {
        let queue = Queue::new(2, Duration::from_millis(30));
        queue.push(job(Duration::ZERO)).unwrap();
        let started = Instant::now();
        assert!(queue.expired().is_some());
        assert!(started.elapsed() >= Duration::from_millis(25));
    }

    #[test]
    fn closed_it_gives_out_what_is_left() {
        let queue = Queue::new(2, Duration::from_secs(60));
        queue.push(job(Duration::ZERO)).unwrap();
        queue.close();
        assert!(queue.push(job(Duration::ZERO)).is_err());
        assert!(queue.pop().is_some());
        assert!(queue.pop().is_none());
        assert!(queue.expired().is_none());
    }

    #[test]
    fn an_old_job_does_not_hold_up_the_next() {
        let queue = Queue::new(4, Duration::from_secs(5));
        queue.push(job(Duration::from_secs(6))).unwrap();
        queue.push(job(Duration::ZERO)).unwrap();
        thread::scope(|scope| {
            let worker = scope.spawn(|| queue.pop());
            let expiry = scope.spawn(|| queue.expired());
            assert!(expiry.join().unwrap().is_some());
            assert!(worker.join().unwrap().is_some());
        });
    }
}
