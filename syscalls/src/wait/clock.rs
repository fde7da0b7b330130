//! Clock changes, for waits that mix the monotonic clock with system time.
//!
//! A sleep has one clock. A wait with a timeout (monotonic) on a timer that is due at a system time sleeps on the monotonic
//! clock until the earlier of both, and must look again if somebody sets the clock. Linux reports that through a timerfd; the
//! process's watcher ([`crate::watcher`]) reads it, from the first such wait on.

use core::sync::atomic::{AtomicU32, Ordering};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::sync::Once;

use super::futex::{self, Scope, Waiter};
use super::observers;
use crate::watcher::{self, After};

static CHANGES: AtomicU32 = AtomicU32::new(0);

/// How often the clock was set, as far as it was watched. To be read before the clocks.
pub(crate) fn changes() -> u32 {
    CHANGES.load(Ordering::Acquire)
}

/// A word to sleep on that ends the sleep if the clock was set since `changes` was read.
pub(crate) fn watch(changes: u32) -> Waiter {
    static START: Once = Once::new();
    START.call_once(|| {
        start();
        // The clock may have been set before it was watched: whoever read the counter must look again.
        CHANGES.fetch_add(1, Ordering::AcqRel);
    });
    Waiter::new(CHANGES.as_ptr(), changes, Scope::Private)
}

/// The monotonic reading at a system time, as the clock stands now.
pub(crate) fn system_to_monotonic(system: u64) -> u64 {
    let (now, monotonic) = (futex::system_now(), futex::monotonic_now());
    monotonic.saturating_add(system.saturating_sub(now))
}

fn start() {
    // SAFETY: makes a new descriptor, which is owned below.
    let fd = unsafe { libc::timerfd_create(libc::CLOCK_REALTIME, libc::TFD_CLOEXEC | libc::TFD_NONBLOCK) };
    if fd < 0 {
        log::warn!("no timerfd: waits that mix timeouts and system times miss changes of the clock");
        return;
    }
    // SAFETY: just made, owned by nobody else.
    let fd = unsafe { OwnedFd::from_raw_fd(fd) };
    arm(&fd);
    let raw = fd.as_raw_fd();
    let result = watcher::watch(
        raw,
        watcher::READABLE,
        Box::new(move |_| {
            arm(&fd);
            CHANGES.fetch_add(1, Ordering::AcqRel);
            futex::wake(CHANGES.as_ptr(), u32::MAX, Scope::Private);
            observers::wake();
            After::Keep
        }),
    );
    if let Err(e) = result {
        log::warn!("cannot watch the clock: {e:?}");
    }
}

/// Sets the timer to the far future; it becomes readable when the clock is set. Setting it again clears that.
fn arm(fd: &OwnedFd) {
    let far = libc::timespec { tv_sec: i64::MAX / 2_000_000_000, tv_nsec: 0 };
    let spec = libc::itimerspec { it_interval: libc::timespec { tv_sec: 0, tv_nsec: 0 }, it_value: far };
    // SAFETY: `spec` is valid and only read.
    unsafe {
        libc::timerfd_settime(
            fd.as_raw_fd(),
            libc::TFD_TIMER_ABSTIME | libc::TFD_TIMER_CANCEL_ON_SET,
            &raw const spec,
            core::ptr::null_mut(),
        );
    }
}
