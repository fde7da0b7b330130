//! The lock of a bucket: between threads and processes, a compare-and-swap each way when nobody contends, and no harm done
//! when its holder is killed.
//!
//! ```text
//! 0                    free
//! holder               taken
//! holder + CONTENDED   taken, somebody sleeps on the word or is about to
//! ```
//!
//! Whoever frees the word wakes one sleeper if the bit was set; a sleeper takes the word with the bit set, as it cannot know
//! whether it was the last. A sleeper that was not woken for [`PATIENCE`], many thousand times what a holder needs, asks
//! whether the holder is alive, and takes the word from a dead one. What the lock protects is right after every single store of
//! a holder's, so there is nothing to repair.

use core::sync::atomic::{AtomicU32, Ordering};

use crate::wait::futex::{self, Deadline, Scope, Wake};
use crate::wait::interrupt::Reasons;

/// Who holds a lock: not zero, and below [`CONTENDED`].
pub(super) type Holder = u32;

const CONTENDED: u32 = 1 << 31;
/// Nanoseconds.
const PATIENCE: u64 = 10_000_000;
const SPINS: u32 = 100;

#[derive(Debug)]
#[repr(transparent)]
pub(super) struct BucketLock(AtomicU32);

impl BucketLock {
    #[cfg(test)]
    pub(super) const fn new() -> Self {
        Self(AtomicU32::new(0))
    }

    /// Takes the lock. `is_alive` tells whether another holder is.
    #[inline]
    pub(super) fn lock(&self, me: Holder, is_alive: impl Fn(Holder) -> bool) {
        if !self.take(0, me) {
            self.wait(me, is_alive);
        }
    }

    fn take(&self, seen: u32, new: u32) -> bool {
        self.0.compare_exchange(seen, new, Ordering::Acquire, Ordering::Relaxed).is_ok()
    }

    #[cold]
    fn wait(&self, me: Holder, is_alive: impl Fn(Holder) -> bool) {
        for _ in 0..SPINS {
            if self.0.load(Ordering::Relaxed) == 0 && self.take(0, me) {
                return;
            }
            core::hint::spin_loop();
        }
        loop {
            let seen = self.0.load(Ordering::Relaxed);
            let announced = seen | CONTENDED;
            if seen == 0 {
                if self.take(0, me | CONTENDED) {
                    return;
                }
            } else if (seen == announced || self.take(seen, announced))
                && self.sleep(announced) == Wake::TimedOut
                && !is_alive(seen & !CONTENDED)
                && self.take(announced, me | CONTENDED)
            {
                return;
            }
        }
    }

    fn sleep(&self, expected: u32) -> Wake {
        let deadline = Deadline::Monotonic(futex::monotonic_now() + PATIENCE);
        futex::wait(self.0.as_ptr(), expected, Scope::Shared, deadline, Reasons::NONE)
    }

    /// Frees it: the holder.
    #[inline]
    pub(super) fn unlock(&self) {
        if self.0.swap(0, Ordering::Release) & CONTENDED != 0 {
            futex::wake(self.0.as_ptr(), 1, Scope::Shared);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn excludes_and_outlives_its_holder() {
        let (lock, inside) = (BucketLock::new(), AtomicU32::new(0));
        // A holder that was killed.
        lock.lock(99, |_| true);
        std::thread::scope(|scope| {
            for me in 1..=4 {
                let (lock, inside) = (&lock, &inside);
                scope.spawn(move || {
                    for _ in 0..5000 {
                        lock.lock(me, |holder| holder != 99);
                        assert_eq!(inside.fetch_add(1, Ordering::Relaxed), 0);
                        inside.fetch_sub(1, Ordering::Relaxed);
                        lock.unlock();
                    }
                });
            }
        });
        assert_eq!(lock.0.load(Ordering::Relaxed), 0);
    }
}
