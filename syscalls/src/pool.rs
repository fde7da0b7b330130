//! A pool of worker threads: a queue of jobs, and when to make another thread for it.
//!
//! Jobs are plain data (a guest function and its arguments, say), and threads that run guest code are made by the layer
//! above: it gives the pool a function that makes one, and each such thread loops over [`Pool::next`].
//!
//! # How many threads
//!
//! A job finds an idle worker, or, while there are fewer workers than processors, gets a new one. Beyond that a new
//! worker is made when the queue has stood still for [`STALL`]: the workers seem to be blocked. A worker that had nothing to
//! do for [`IDLE`] ends if there are more than the minimum. One timer per pool, set while jobs are queued, detects
//! the stall; an idle pool costs nothing.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use crate::dispatch::{self, Registration};
use crate::object::Object;
use crate::status::Result;
use crate::wait::{Alertable, Deadline, Semaphore, Waited, monotonic_now, wait_one};

/// How long a queue stands still before another worker is made, in nanoseconds.
pub const STALL: u64 = 10_000_000;
/// How long a worker waits for a job before it ends, in nanoseconds.
pub const IDLE: u64 = 30_000_000_000;
/// The most workers, unless said otherwise (Windows' own default).
pub const DEFAULT_MAXIMUM: usize = 500;

/// Makes a thread that serves the pool.
pub type Hire<J> = Box<dyn Fn(Arc<Pool<J>>) -> Result<()> + Send + Sync>;

/// See the module documentation.
pub struct Pool<J> {
    state: Mutex<State<J>>,
    /// A token per job.
    queued: Arc<Semaphore>,
    hire: Hire<J>,
    processors: usize,
    myself: Weak<Self>,
}

struct State<J> {
    jobs: VecDeque<J>,
    workers: usize,
    idle: usize,
    minimum: usize,
    maximum: usize,
    /// Jobs ever taken: whether the queue stands still.
    taken: u64,
    /// Whether the stall timer is set.
    watched: bool,
    /// Workers without a job end at once.
    closed: bool,
}

impl<J: Send + 'static> Pool<J> {
    /// A pool without workers.
    ///
    /// # Errors
    /// None that is expected.
    pub fn new(hire: Hire<J>) -> Result<Arc<Self>> {
        let queued = Semaphore::new(0, i32::MAX)?;
        Ok(Arc::new_cyclic(|myself| Self {
            state: Mutex::new(State {
                jobs: VecDeque::new(),
                workers: 0,
                idle: 0,
                minimum: 0,
                maximum: DEFAULT_MAXIMUM,
                taken: 0,
                watched: false,
                closed: false,
            }),
            queued,
            hire,
            processors: std::thread::available_parallelism().map_or(1, Into::into),
            myself: Weak::clone(myself),
        }))
    }

    fn state(&self) -> MutexGuard<'_, State<J>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sets the least and the most workers. More than the most end when they are idle.
    pub fn set_limits(&self, minimum: usize, maximum: usize) {
        let mut state = self.state();
        state.minimum = minimum;
        state.maximum = maximum.max(minimum).max(1);
    }

    /// Lets the workers end when the jobs that are queued are done.
    pub fn close(&self) {
        let mut state = self.state();
        state.closed = true;
        let idle = i32::try_from(state.idle).unwrap_or(i32::MAX);
        drop(state);
        if idle > 0 && self.queued.release(idle).is_err() {
            log::debug!("workers of a closed pool end when they have been idle for long");
        }
    }

    /// How many workers there are.
    #[must_use]
    pub fn workers(&self) -> usize {
        self.state().workers
    }

    /// Queues a job.
    ///
    /// # Errors
    /// What making the first worker reports; the job is not queued then. `STATUS_SEMAPHORE_LIMIT_EXCEEDED` with two
    /// thousand million jobs queued.
    pub fn submit(&self, job: J) -> Result<()> {
        let mut state = self.state();
        state.jobs.push_back(job);
        // The job before its token, so that who takes a token finds a job.
        if let Err(e) = self.queued.release(1) {
            state.jobs.pop_back();
            return Err(e);
        }
        let waiting = state.jobs.len();
        if state.idle >= waiting || state.workers >= state.maximum {
            return Ok(());
        }
        if state.workers < self.processors {
            state.workers += 1;
            drop(state);
            return self.hire_one();
        }
        if !state.watched {
            state.watched = true;
            let taken = state.taken;
            drop(state);
            self.watch(taken);
        }
        Ok(())
    }

    /// Makes the worker that was counted. If that fails, the others do its work; without any, that is an error, and the job
    /// stays queued for the next worker.
    fn hire_one(&self) -> Result<()> {
        let Some(pool) = self.myself.upgrade() else { return Ok(()) };
        let hired = (self.hire)(pool);
        if hired.is_err() {
            let mut state = self.state();
            state.workers -= 1;
            if state.workers > 0 {
                return Ok(());
            }
        }
        hired
    }

    /// Looks again after [`STALL`] whether jobs were taken since.
    fn watch(&self, taken: u64) {
        let pool = Weak::clone(&self.myself);
        let action = Box::new(move |_| {
            if let Some(pool) = pool.upgrade() {
                pool.stalled(taken);
            }
        });
        let due = Deadline::Monotonic(monotonic_now() + STALL);
        let registration = Registration { object: None, due, period: 0, once: true, action };
        if let Err(e) = dispatch::register(registration) {
            log::warn!("a thread pool cannot watch its queue: {e:?}");
            self.state().watched = false;
        }
    }

    fn stalled(&self, taken: u64) {
        let mut state = self.state();
        state.watched = false;
        if state.jobs.is_empty() || state.idle > 0 || state.workers >= state.maximum {
            return;
        }
        if state.taken != taken {
            // It moves: watch on.
            state.watched = true;
            let taken = state.taken;
            drop(state);
            return self.watch(taken);
        }
        // Who is hired watches on when it takes a job.
        state.workers += 1;
        drop(state);
        if let Err(e) = self.hire_one() {
            log::warn!("a thread pool cannot get another thread: {e:?}");
        }
    }

    /// The next job for a worker; `None` if it is to end (idle for long, or the thread is being terminated).
    #[must_use]
    pub fn next(&self) -> Option<J> {
        let mut idle_since = None;
        loop {
            self.state().idle += 1;
            let start = *idle_since.get_or_insert_with(monotonic_now);
            let end = self
                .queued
                .wait_cell()
                .map(|cell| wait_one(cell, Deadline::Monotonic(start + IDLE), Alertable::No));
            let mut state = self.state();
            state.idle -= 1;
            match end {
                Some(Ok(Waited::Object(_))) => {
                    state.taken += 1;
                    let Some(job) = state.jobs.pop_front() else {
                        if state.closed {
                            state.workers -= 1;
                            return None;
                        }
                        continue;
                    };
                    let watch = !state.jobs.is_empty() && state.idle == 0 && !state.watched;
                    state.watched |= watch;
                    let taken = state.taken;
                    drop(state);
                    if watch {
                        self.watch(taken);
                    }
                    return Some(job);
                }
                Some(Ok(_)) if state.workers <= state.minimum => idle_since = None,
                _ => {
                    state.workers -= 1;
                    return None;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
