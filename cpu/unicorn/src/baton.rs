//! The baton: which virtual processor may run guest code.
//!
//! Unicorn translates the guest's atomic operations to plain ones, so at most one guest thread may run at a time. The
//! baton is one word that names the last processor to run and says whether it still does. A processor that enters a
//! shim only clears that bit: if nobody took the baton meanwhile, coming back is one compare-and-exchange (so a trivial
//! shim costs two atomic operations and no system call), and a shim that blocks stops no one, because any thread that
//! wants to run may take the baton of a processor that is in a shim.
//!
//! A thread that finds the baton in use queues. Whoever is first in the queue looks again every [`POLL`], and once a
//! processor has run for [`SLICE`] without a pause it asks Unicorn to stop it at the next block boundary; the stopped
//! thread then [`steps aside`](Baton::step_aside) for the queue. The common case of one guest thread pays for none of this.

use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How often the first in the queue looks.
const POLL: Duration = Duration::from_micros(100);
/// How long a processor runs before it is stopped for others.
const SLICE: Duration = Duration::from_millis(2);

/// The bit that says that the processor runs guest code.
const RUNNING: usize = 1;

/// See the module documentation. Owners are nonzero multiples of 2 (addresses).
#[derive(Debug, Default)]
pub(crate) struct Baton {
    state: AtomicUsize,
    waiting: AtomicU32,
    queue: Mutex<()>,
}

impl Baton {
    /// Lets go: `owner` has stopped running guest code for now.
    #[inline]
    pub(crate) fn park(&self, owner: usize) {
        debug_assert_eq!(self.state.load(Ordering::Relaxed), owner | RUNNING);
        self.state.store(owner, Ordering::Release);
    }

    /// Takes the baton if `owner` was the last to run and nobody runs. Whatever `owner` knew when it parked still holds then.
    #[inline]
    pub(crate) fn retake(&self, owner: usize) -> bool {
        self.state.compare_exchange(owner, owner | RUNNING, Ordering::Acquire, Ordering::Relaxed).is_ok()
    }

    /// Takes the baton, waiting for it if need be; `stop` asks the given owner to stop running.
    #[cold]
    pub(crate) fn take(&self, owner: usize, stop: impl Fn(usize)) {
        if self.try_take(owner) {
            return;
        }
        self.waiting.fetch_add(1, Ordering::Relaxed);
        let queue = self.lock();
        let mut since = Instant::now();
        let mut seen = 0;
        while !self.try_take(owner) {
            let state = self.state.load(Ordering::Relaxed);
            if state & RUNNING == 0 {
                continue;
            }
            if state != seen {
                (seen, since) = (state, Instant::now());
            } else if since.elapsed() >= SLICE {
                stop(state & !RUNNING);
            }
            self.sleep(state);
        }
        drop(queue);
        self.waiting.fetch_sub(1, Ordering::Relaxed);
    }

    /// Parks `owner` and lets the queue go first. The caller takes the baton again afterwards.
    pub(crate) fn step_aside(&self, owner: usize) {
        self.park(owner);
        if self.waiting.load(Ordering::Relaxed) > 0 {
            self.wake();
            // The first in the queue holds this lock until it has the baton.
            drop(self.lock());
        }
    }

    fn try_take(&self, owner: usize) -> bool {
        let state = self.state.load(Ordering::Relaxed);
        state & RUNNING == 0
            && self
                .state
                .compare_exchange(state, owner | RUNNING, Ordering::Acquire, Ordering::Relaxed)
                .is_ok()
    }

    fn lock(&self) -> MutexGuard<'_, ()> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The half of the word that holds the running bit, for futexes.
    fn futex(&self) -> *const u32 {
        let half = usize::from(cfg!(target_endian = "big"));
        self.state.as_ptr().cast::<u32>().wrapping_add(half)
    }

    /// Sleeps until the state changes with a wake-up, or for [`POLL`].
    fn sleep(&self, state: usize) {
        let timeout = libc::timespec { tv_sec: 0, tv_nsec: POLL.subsec_nanos().into() };
        // SAFETY: a futex wait on a live word with a live timeout.
        unsafe {
            libc::syscall(
                libc::SYS_futex,
                self.futex(),
                libc::FUTEX_WAIT | libc::FUTEX_PRIVATE_FLAG,
                state & 0xFFFF_FFFF,
                &raw const timeout,
            );
        }
    }

    fn wake(&self) {
        // SAFETY: a futex wake on a live word.
        unsafe {
            libc::syscall(libc::SYS_futex, self.futex(), libc::FUTEX_WAKE | libc::FUTEX_PRIVATE_FLAG, 1);
        }
    }
}
