//! The queue of what waits for a worker, most of it requests: bounded in number and in age. A channel cannot
//! look at its first item without taking it; here the expiry thread can, so that a request that
//! waited too long is answered then, and not when a worker comes to it. A request whose turn would
//! come too late, as far as the workers' pace tells, is refused at once.
//!
//! To wake a thread costs more than all else here. A request wakes one worker, and none where all
//! are busy: who is done looks for more before it sleeps. Of those that sleep, the one that did last
//! is woken, with what it needs still in the caches and its connection in use: few are kept busy
//! where few are needed. The expiry thread sleeps on while requests are served in time.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

use super::topics::call::{Call, Look};
use crate::bus::Delivery;
use crate::wire::subject::Class;

/// What waits for a worker.
#[derive(Debug)]
pub struct Job {
    /// Since when.
    pub since: Instant,
    /// What is to be done.
    pub work: Work,
}

/// What a worker can do.
#[derive(Debug)]
pub enum Work {
    /// Serve a request that came on a class.
    Request(Class, Delivery),
    /// Carry a command of a dialog out.
    Call(Call),
    /// Look what there is on Asterisk.
    Look(Look),
}

impl Job {
    /// What is to be done from now on.
    pub fn new(work: Work) -> Job {
        Job {
            since: Instant::now(),
            work,
        }
    }
}

/// Waiting requests, first come, first served.
#[derive(Debug)]
pub struct Queue {
    waiting: Mutex<Waiting>,
    for_expiry: Condvar,
    most: usize,
    longest: Duration,
    /// A little less than the longest, as the pace is not even.
    promised: Duration,
}

#[derive(Debug, Default)]
struct Waiting {
    jobs: VecDeque<Job>,
    closed: bool,
    pace: Option<Pace>,
    /// Workers that sleep, the last to come last.
    idle: Vec<Thread>,
    /// How many were woken and are on their way.
    coming: usize,
    /// When the expiry thread looks again; none while it waits to be told.
    look: Option<Instant>,
}

/// How fast the workers take requests, while there are always some that wait.
#[derive(Debug)]
struct Pace {
    since: Instant,
    taken: u32,
}

/// How many must have been taken for a pace.
const TELLING: u32 = 32;
/// With how many the past counts for half.
const MANY: u32 = 128;

impl Pace {
    fn new(now: Instant) -> Pace {
        Pace {
            since: now,
            taken: 0,
        }
    }

    /// One more is taken.
    fn count(&mut self, now: Instant) {
        self.taken += 1;
        if self.taken == MANY {
            self.taken /= 2;
            self.since += now.duration_since(self.since) / 2;
        }
    }

    /// How long one waits that comes after `others`; none where nothing tells.
    fn wait(&self, others: usize, now: Instant) -> Option<Duration> {
        let each = now.duration_since(self.since).checked_div(self.taken)?;
        (self.taken >= TELLING).then(|| each.saturating_mul(others as u32))
    }
}

impl Waiting {
    /// Takes the first for a worker.
    fn take(&mut self, now: Instant) -> Option<Job> {
        let job = self.jobs.pop_front();
        if self.jobs.is_empty() {
            self.pace = None;
        } else if let Some(pace) = &mut self.pace {
            pace.count(now);
        }
        job
    }

    /// A worker to be woken, where there is work for more than are on their way.
    fn next_to_wake(&mut self) -> Option<Thread> {
        if self.jobs.len() <= self.coming {
            return None;
        }
        let worker = self.idle.pop()?;
        self.coming += 1;
        Some(worker)
    }

    /// Whether one that came now would wait for longer than `longest`.
    fn is_slower_than(&self, longest: Duration, now: Instant) -> bool {
        let wait = self
            .pace
            .as_ref()
            .and_then(|pace| pace.wait(self.jobs.len(), now));
        wait.is_some_and(|wait| wait > longest)
    }
}

impl Queue {
    /// A queue of at most `most` requests, each of which waits at most `longest`.
    pub fn new(most: usize, longest: Duration) -> Queue {
        Queue {
            waiting: Mutex::default(),
            for_expiry: Condvar::new(),
            most,
            longest,
            promised: longest.mul_f32(0.9),
        }
    }

    /// Puts a request in, or gives it back when there are too many or the queue is closed.
    #[expect(
        clippy::result_large_err,
        reason = "it is moved either way, and boxing would cost each request"
    )]
    pub fn push(&self, job: Job) -> Result<(), Job> {
        let now = Instant::now();
        let mut waiting = self.lock();
        if waiting.closed
            || waiting.jobs.len() >= self.most
            || waiting.is_slower_than(self.promised, now)
        {
            return Err(job);
        }
        let too_old = self.too_old(&job);
        waiting.jobs.push_back(job);
        if waiting.jobs.len() == 1 {
            waiting.pace = Some(Pace::new(now));
        }
        // What comes later is too old later.
        let untold = waiting.look.is_none();
        if untold {
            waiting.look = too_old;
        }
        let worker = waiting.next_to_wake();
        drop(waiting);
        if let Some(worker) = worker {
            worker.unpark();
        }
        if untold {
            self.for_expiry.notify_one();
        }
        Ok(())
    }

    /// The next request that has not waited too long; none when the queue is closed and empty.
    pub fn pop(&self) -> Option<Job> {
        let mut waiting = self.lock();
        loop {
            if let Some(first) = waiting.jobs.front() {
                let now = Instant::now();
                if now.saturating_duration_since(first.since) < self.longest {
                    let job = waiting.take(now);
                    if waiting.closed && waiting.jobs.is_empty() {
                        self.for_expiry.notify_one();
                    }
                    return job;
                }
                // What is too old is left to the expiry thread.
                waiting.look = Some(now);
                self.for_expiry.notify_one();
            } else if waiting.closed {
                return None;
            }
            let this = thread::current();
            let id = this.id();
            waiting.idle.push(this);
            drop(waiting);
            thread::park();
            waiting = self.lock();
            // Threads may wake without being woken.
            match waiting.idle.iter().position(|idle| idle.id() == id) {
                Some(place) => drop(waiting.idle.remove(place)),
                None => waiting.coming -= 1,
            }
        }
    }

    /// The next request that has waited too long, as soon as there is one; none when the queue is
    /// closed and empty.
    pub fn expired(&self) -> Option<Job> {
        let mut waiting = self.lock();
        loop {
            let now = Instant::now();
            let left = |until: Instant| until.saturating_duration_since(now);
            if waiting.look.is_none_or(|look| look <= now) {
                let first = waiting.jobs.front();
                let too_old = first.and_then(|job| self.too_old(job));
                if too_old.is_some_and(|too_old| too_old <= now) {
                    let job = waiting.jobs.pop_front();
                    // Workers may have left what is behind it for the sake of its age.
                    self.wake_all(waiting);
                    return job;
                }
                waiting.look = too_old;
            }
            waiting = match waiting.look {
                Some(look) if !(waiting.closed && waiting.jobs.is_empty()) => {
                    let waited = self.for_expiry.wait_timeout(waiting, left(look));
                    waited.unwrap_or_else(PoisonError::into_inner).0
                }
                _ if waiting.closed && waiting.jobs.is_empty() => return None,
                _ => {
                    let waited = self.for_expiry.wait(waiting);
                    waited.unwrap_or_else(PoisonError::into_inner)
                }
            };
        }
    }

    /// Takes nothing more in; what waits is still given out.
    pub fn close(&self) {
        let mut waiting = self.lock();
        waiting.closed = true;
        self.wake_all(waiting);
        self.for_expiry.notify_all();
    }

    /// When `job` has waited too long.
    fn too_old(&self, job: &Job) -> Option<Instant> {
        job.since.checked_add(self.longest)
    }

    fn wake_all(&self, mut waiting: MutexGuard<'_, Waiting>) {
        let idle = std::mem::take(&mut waiting.idle);
        waiting.coming += idle.len();
        drop(waiting);
        for worker in idle {
            worker.unpark();
        }
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::thread;

    fn job(age: Duration) -> Job {
        let since = Instant::now().checked_sub(age).unwrap_or_else(Instant::now);
        let delivery = Delivery {
            body: Vec::new(),
            reply: None,
            received: since,
            redelivered: false,
            receipt: None,
        };
        Job {
            since,
            work: Work::Request(Class::Get, delivery),
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
    fn a_pace_tells_how_long_the_next_waits() {
        let start = Instant::now();
        let after = |milliseconds| start + Duration::from_millis(milliseconds);
        let mut pace = Pace::new(start);
        for taken in 1..=100 {
            assert_eq!(pace.wait(1, after(10 * taken)).is_some(), taken > 32);
            pace.count(after(10 * taken));
        }
        assert_eq!(pace.wait(50, after(1000)), Some(Duration::from_millis(500)));
        assert_eq!(pace.wait(50, after(2000)), Some(Duration::from_secs(1)));
        for taken in 1..=4000 {
            pace.count(after(2000 + taken));
        }
        let wait = pace.wait(1000, after(6000)).unwrap();
        assert!((1000..1100).contains(&wait.as_millis()), "{wait:?}");
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

    #[test]
    fn workers_that_others_wake_as_well_take_each_request_once() {
        const EACH: usize = 5_000;
        let queue = Queue::new(usize::MAX, Duration::from_secs(60));
        thread::scope(|scope| {
            let workers: Vec<_> = (0..4)
                .map(|_| scope.spawn(|| std::iter::from_fn(|| queue.pop()).count()))
                .collect();
            let threads: Vec<Thread> = workers.iter().map(|it| it.thread().clone()).collect();
            let pushers: Vec<_> = (0..2)
                .map(|_| {
                    let (threads, queue) = (threads.clone(), &queue);
                    scope.spawn(move || {
                        for number in 0..EACH {
                            threads[number % threads.len()].unpark();
                            queue.push(job(Duration::ZERO)).unwrap();
                            if number % 50 == 0 {
                                thread::yield_now();
                            }
                        }
                    })
                })
                .collect();
            for pusher in pushers {
                pusher.join().unwrap();
            }
            // Nobody sleeps while there is work.
            let deadline = Instant::now() + Duration::from_secs(20);
            while !queue.lock().jobs.is_empty() {
                assert!(Instant::now() < deadline, "{:?}", queue.lock().coming);
                thread::yield_now();
            }
            queue.close();
            let taken = workers.into_iter().map(|worker| worker.join().unwrap());
            assert_eq!(taken.sum::<usize>(), 2 * EACH);
        });
        let waiting = queue.lock();
        assert!(waiting.idle.is_empty() && waiting.coming == 0);
    }
}
