//! Locks whose state is a word or two of the guest's own memory: critical sections, SRW locks, condition variables,
//! one-time initialisation, barriers. Fast paths are also written in guest code (leaf stubs); the encodings here are what they
//! share. Who has to wait parks under the word's address ([`super::parking`]), so no more memory than Windows' own
//! structures have is needed, and nothing has to be created or deleted.
//!
//! All locks let newcomers overtake ("barging"), as Windows' have since Vista: a released lock is free, not handed over.
//! In each encoding one bit says that somebody is parked. It is set by who is about to park, and taken away by who wakes the
//! last one, under the bucket's lock; so "released with the bit set" always ends in a wake-up, and without it, in none.

use core::sync::atomic::{AtomicI32, AtomicU32, AtomicU64, Ordering};

use windows_sys::Win32::Foundation as f;

use super::futex::Deadline;
use super::interrupt::Reasons;
use super::parking::{self, Choice, Key, Parked, Unparked};
use crate::status::{Result, Status};

mod once;
pub use once::{Begin, GuestWord, RunOnce, begin as run_once_begin, complete as run_once_complete};

/// How often a thread looks at a taken lock before it parks, where the lock has no spin count of its own.
const SPINS: u32 = 60;

fn woken(parked: Parked) -> Result<()> {
    match parked {
        Parked::Interrupted => Err(Status(f::STATUS_THREAD_IS_TERMINATING)),
        _ => Ok(()),
    }
}

fn park(key: Key, tag: u32, check: impl FnOnce() -> bool) -> Result<()> {
    park_until(key, tag, Deadline::Never, check).map(drop)
}

/// `false` if the deadline passed.
fn park_until(key: Key, tag: u32, deadline: Deadline, check: impl FnOnce() -> bool) -> Result<bool> {
    let end = parking::park(key, tag, deadline, Reasons::TERMINATE, check, || (), || ());
    woken(end)?;
    Ok(end != Parked::TimedOut)
}

/// `RTL_CRITICAL_SECTION`, whose fields the guest may look at: `LockCount` is -1 when free and -2 when taken, as since Vista.
///
/// | LockCount | |
/// | --- | --- |
/// | -1 | free |
/// | -2 | taken |
/// | -5 | free, somebody parked |
/// | -6 | taken, somebody parked |
///
/// So bit 0 set means free, and bit 2 clear means that somebody is parked.
#[derive(Clone, Copy, Debug)]
pub struct CriticalSection<'a> {
    /// `LockCount`.
    pub lock: &'a AtomicI32,
    /// `RecursionCount`: how often the owner holds it. Written by the owner only.
    pub recursion: &'a AtomicI32,
    /// The low 32 bits of `OwningThread`: the owner's Windows thread id, or zero. The high half of a 64-bit one stays zero.
    pub owner: &'a AtomicU32,
}

/// `LockCount` of a free critical section.
pub const CS_FREE: i32 = -1;
/// `LockCount` of a taken one that nobody waits for.
pub const CS_TAKEN: i32 = -2;
const CS_FREE_BIT: i32 = 1;
const CS_NOBODY_PARKED: i32 = 4;

impl CriticalSection<'_> {
    /// Takes it, if it is free or the thread's own already.
    #[must_use]
    pub fn try_enter(&self, thread: u32) -> bool {
        if self.owner.load(Ordering::Relaxed) == thread {
            self.recursion.fetch_add(1, Ordering::Relaxed);
            return true;
        }
        let taken = self.grab();
        if taken {
            self.own(thread);
        }
        taken
    }

    /// Takes it, waiting as long as it takes; `spins` is its spin count.
    ///
    /// # Errors
    /// `STATUS_THREAD_IS_TERMINATING`.
    pub fn enter(&self, thread: u32, spins: u32) -> Result<()> {
        if self.try_enter(thread) {
            return Ok(());
        }
        self.lock_slow(spins)?;
        self.own(thread);
        Ok(())
    }

    /// Gives it back once. A thread that does not own it corrupts it, as in Windows.
    pub fn leave(&self) {
        let count = self.recursion.load(Ordering::Relaxed).wrapping_sub(1);
        self.recursion.store(count, Ordering::Relaxed);
        if count != 0 {
            return;
        }
        self.owner.store(0, Ordering::Relaxed);
        if self.lock.compare_exchange(CS_TAKEN, CS_FREE, Ordering::Release, Ordering::Relaxed).is_err() {
            self.unlock_slow();
        }
    }

    fn own(&self, thread: u32) {
        self.owner.store(thread, Ordering::Relaxed);
        self.recursion.store(1, Ordering::Relaxed);
    }

    /// Takes `LockCount` if it is free, whoever is parked.
    fn grab(&self) -> bool {
        let mut n = self.lock.load(Ordering::Relaxed);
        while n & CS_FREE_BIT != 0 {
            match self.lock.compare_exchange_weak(n, n - 1, Ordering::Acquire, Ordering::Relaxed) {
                Ok(_) => return true,
                Err(now) => n = now,
            }
        }
        false
    }

    /// Takes `LockCount`; owner and recursion are the caller's.
    ///
    /// # Errors
    /// `STATUS_THREAD_IS_TERMINATING`.
    pub fn lock_slow(&self, spins: u32) -> Result<()> {
        let mut left = spins.max(SPINS);
        loop {
            if self.grab() {
                return Ok(());
            }
            let n = self.lock.load(Ordering::Relaxed);
            if left > 0 && n & CS_NOBODY_PARKED != 0 {
                left -= 1;
                core::hint::spin_loop();
                continue;
            }
            // Under the bucket's lock, so that the bit and the queue agree.
            park(Key::of(self.lock), 0, || {
                self.lock
                    .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |n| {
                        (n & CS_FREE_BIT == 0).then_some(n & !CS_NOBODY_PARKED)
                    })
                    .is_ok()
            })?;
        }
    }

    /// Frees `LockCount` where it was not [`CS_TAKEN`]: wakes one who is parked.
    pub fn unlock_slow(&self) {
        parking::unpark(
            Key::of(self.lock),
            |_| Choice::WakeLast,
            |done| {
                let parked = if done.more { 0 } else { CS_NOBODY_PARKED };
                self.lock.store((CS_FREE & !CS_NOBODY_PARKED) | parked, Ordering::Release);
            },
        );
    }
}

/// An SRW lock: `SRWLOCK` is one pointer, of which the low 32 bits are used; zero when free.
///
/// Bit 31: taken exclusively. Bit 30: somebody is parked. Below: how many share it. Who wants it exclusively is not starved:
/// while somebody is parked, newcomers that want to share it park as well.
#[derive(Clone, Copy, Debug)]
pub struct SrwLock<'a>(pub &'a AtomicU32);

/// Bit of an SRW lock: taken exclusively.
pub const SRW_EXCLUSIVE: u32 = 1 << 31;
/// Bit of an SRW lock: somebody is parked.
pub const SRW_PARKED: u32 = 1 << 30;

impl SrwLock<'_> {
    /// Takes it exclusively, if nobody has it.
    #[must_use]
    pub fn try_exclusive(&self) -> bool {
        let take = |s: u32| (s & !SRW_PARKED == 0).then_some(s | SRW_EXCLUSIVE);
        self.0.fetch_update(Ordering::Acquire, Ordering::Relaxed, take).is_ok()
    }

    /// Shares it, if nobody has it exclusively or waits for it.
    #[must_use]
    pub fn try_shared(&self) -> bool {
        let take = |s: u32| (s & (SRW_EXCLUSIVE | SRW_PARKED) == 0).then_some(s + 1);
        self.0.fetch_update(Ordering::Acquire, Ordering::Relaxed, take).is_ok()
    }

    /// Takes it exclusively.
    ///
    /// # Errors
    /// `STATUS_THREAD_IS_TERMINATING`.
    pub fn exclusive(&self) -> Result<()> {
        self.exclusive_until(Deadline::Never).map(drop)
    }

    /// Takes it exclusively unless a deadline passes first. `false` if it did.
    ///
    /// # Errors
    /// `STATUS_THREAD_IS_TERMINATING`.
    pub fn exclusive_until(&self, deadline: Deadline) -> Result<bool> {
        // Who gives up leaves the mark of being parked to the next release, which finds nobody and takes it away.
        self.acquire(SRW_EXCLUSIVE, deadline, |s| (s & !SRW_PARKED == 0).then_some(s | SRW_EXCLUSIVE))
    }

    /// Shares it.
    ///
    /// # Errors
    /// `STATUS_THREAD_IS_TERMINATING`.
    pub fn shared(&self) -> Result<()> {
        // Who was parked and woken may share it beside others that are parked still; newcomers may not.
        let mut newcomer = true;
        let take = move |s| {
            let barred = if newcomer { SRW_EXCLUSIVE | SRW_PARKED } else { SRW_EXCLUSIVE };
            newcomer &= s & SRW_PARKED == 0;
            (s & barred == 0).then_some(s + 1)
        };
        self.acquire(0, Deadline::Never, take).map(drop)
    }

    /// `false` if the deadline passed.
    fn acquire(
        &self,
        tag: u32,
        deadline: Deadline,
        mut take: impl FnMut(u32) -> Option<u32>,
    ) -> Result<bool> {
        let mut spins = SPINS;
        loop {
            let s = self.0.load(Ordering::Relaxed);
            if let Some(new) = take(s) {
                if self.0.compare_exchange_weak(s, new, Ordering::Acquire, Ordering::Relaxed).is_ok() {
                    return Ok(true);
                }
                continue;
            }
            if spins > 0 && s & SRW_PARKED == 0 {
                spins -= 1;
                core::hint::spin_loop();
                continue;
            }
            let in_time = park_until(Key::of(self.0), tag, deadline, || {
                self.0
                    .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |s| {
                        (s & !SRW_PARKED != 0).then_some(s | SRW_PARKED)
                    })
                    .is_ok()
            })?;
            if !in_time {
                return Ok(false);
            }
        }
    }

    /// Ends exclusive ownership.
    pub fn release_exclusive(&self) {
        if self.0.compare_exchange(SRW_EXCLUSIVE, 0, Ordering::Release, Ordering::Relaxed).is_err() {
            self.release_slow(SRW_EXCLUSIVE);
        }
    }

    /// Ends one sharing.
    pub fn release_shared(&self) {
        let release = |s: u32| (s != SRW_PARKED + 1).then_some(s.wrapping_sub(1));
        if self.0.fetch_update(Ordering::Release, Ordering::Relaxed, release).is_err() {
            // The last one, and somebody is parked.
            self.release_slow(1);
        }
    }

    /// Frees it and wakes the first who is parked, with all who want to share it if that is what the first wants.
    fn release_slow(&self, held: u32) {
        let mut sharing = false;
        let choose = |tag| match (tag == SRW_EXCLUSIVE, sharing) {
            (true, false) => Choice::WakeLast,
            (true, true) => Choice::Skip,
            (false, _) => {
                sharing = true;
                Choice::Wake
            }
        };
        let finish = |done: Unparked| {
            let parked = if done.more { 0 } else { SRW_PARKED };
            let free = |s: u32| Some(s.wrapping_sub(held) & !parked);
            let _ = self.0.fetch_update(Ordering::Release, Ordering::Relaxed, free);
        };
        parking::unpark(Key::of(self.0), choose, finish);
    }
}

/// A condition variable: `CONDITION_VARIABLE` is one pointer, of which the low 32 bits count who is parked.
#[derive(Clone, Copy, Debug)]
pub struct ConditionVariable<'a>(pub &'a AtomicU32);

impl ConditionVariable<'_> {
    /// Runs `release` (of the lock that goes with it) once the thread is parked, and sleeps until woken. `false` if the
    /// deadline passed. Taking the lock again is the caller's.
    ///
    /// # Errors
    /// `STATUS_THREAD_IS_TERMINATING`.
    pub fn sleep(&self, deadline: Deadline, release: impl FnOnce()) -> Result<bool> {
        let check = || {
            self.0.fetch_add(1, Ordering::Relaxed);
            true
        };
        let gave_up = || {
            self.0.fetch_sub(1, Ordering::Relaxed);
        };
        let key = Key::of(self.0);
        let end = parking::park(key, 0, deadline, Reasons::TERMINATE, check, release, gave_up);
        woken(end)?;
        Ok(end != Parked::TimedOut)
    }

    /// Wakes one thread, or all.
    pub fn wake(&self, all: bool) {
        core::sync::atomic::fence(Ordering::SeqCst);
        if self.0.load(Ordering::Relaxed) == 0 {
            return;
        }
        let choice = if all { Choice::Wake } else { Choice::WakeLast };
        let finish = |done: Unparked| {
            self.0.fetch_sub(done.woken, Ordering::Relaxed);
        };
        parking::unpark(Key::of(self.0), |_| choice, finish);
    }
}

/// A synchronisation barrier, in two words of `SYNCHRONIZATION_BARRIER`.
#[derive(Clone, Copy, Debug)]
pub struct Barrier<'a> {
    /// Low half: who has yet to come in this phase. High half: the phase. Initially the number of threads.
    pub state: &'a AtomicU64,
    /// The number of threads.
    pub total: u32,
}

impl Barrier<'_> {
    /// Waits until all have come; `true` for the last one.
    ///
    /// # Errors
    /// `STATUS_THREAD_IS_TERMINATING`.
    pub fn enter(&self, spins: u32) -> Result<bool> {
        let before = self.state.fetch_sub(1, Ordering::AcqRel);
        let phase = before >> 32;
        let key = Key::of(self.state);
        if before & 0xFFFF_FFFF == 1 {
            self.state.store(((phase + 1) << 32) | u64::from(self.total), Ordering::Release);
            if parking::maybe_parked(key) {
                parking::unpark(key, |_| Choice::Wake, |_| ());
            }
            return Ok(true);
        }
        let waiting = || self.state.load(Ordering::Acquire) >> 32 == phase;
        for _ in 0..spins {
            if !waiting() {
                return Ok(false);
            }
            core::hint::spin_loop();
        }
        while waiting() {
            park(key, 0, waiting)?;
        }
        Ok(false)
    }
}

#[cfg(test)]
mod tests;
