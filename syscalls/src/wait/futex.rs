//! The futex system calls, and nothing that knows what is waited for.
//!
//! All timeouts are absolute, so that a wait interrupted by a signal is simply repeated.

use core::ptr;
use std::sync::OnceLock;

use super::interrupt::{Reasons, interruptible};
use crate::thread;

/// When a wait gives up.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Deadline {
    /// Never.
    Never,
    /// At this reading of the monotonic clock, in nanoseconds.
    Monotonic(u64),
    /// At this system time, in nanoseconds since 1970; follows changes of the clock.
    System(u64),
}

/// Why a sleep ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Wake {
    /// Woken, or the word no longer had the expected value, or for no reason: look again.
    Look,
    /// The deadline passed.
    TimedOut,
}

/// Which processes a futex word is visible to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Scope {
    /// This process.
    Private,
    /// Every process that maps the word.
    Shared,
}

const NANOS: u64 = 1_000_000_000;

fn timespec(ns: u64) -> libc::timespec {
    // Nanoseconds below 2^64 are seconds below 2^35.
    libc::timespec { tv_sec: (ns / NANOS).cast_signed(), tv_nsec: (ns % NANOS).cast_signed() }
}

fn read_clock(clock: libc::clockid_t) -> u64 {
    let mut t = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `t` is a valid place for the result.
    unsafe { libc::clock_gettime(clock, &raw mut t) };
    t.tv_sec.cast_unsigned().wrapping_mul(NANOS).wrapping_add(t.tv_nsec.cast_unsigned())
}

/// The monotonic clock, in nanoseconds.
#[must_use]
pub fn monotonic_now() -> u64 {
    read_clock(libc::CLOCK_MONOTONIC)
}

/// The system time, in nanoseconds since 1970.
#[must_use]
pub fn system_now() -> u64 {
    read_clock(libc::CLOCK_REALTIME)
}

fn outcome(r: isize) -> Wake {
    match r {
        r if r == -(libc::ETIMEDOUT as isize) => Wake::TimedOut,
        _ => Wake::Look,
    }
}

fn want_exact(deadline: Deadline) {
    if deadline != Deadline::Never {
        thread::current().want_exact_timeouts();
    }
}

/// Sleeps while the word has the expected value, until woken, interrupted for one of `reasons`, or the deadline.
pub fn wait(word: *const u32, expected: u32, scope: Scope, deadline: Deadline, reasons: Reasons) -> Wake {
    let mut op = libc::FUTEX_WAIT_BITSET;
    if scope == Scope::Private {
        op |= libc::FUTEX_PRIVATE_FLAG;
    }
    want_exact(deadline);
    let (spec, timeout) = match deadline {
        Deadline::Never => (timespec(0), false),
        Deadline::Monotonic(ns) => (timespec(ns), true),
        Deadline::System(ns) => {
            op |= libc::FUTEX_CLOCK_REALTIME;
            (timespec(ns), true)
        }
    };
    let spec = if timeout { &raw const spec as usize } else { 0 };
    let args = [
        word as usize,
        op.cast_unsigned() as usize,
        expected as usize,
        spec,
        0,
        libc::FUTEX_BITSET_MATCH_ANY.cast_unsigned() as usize,
    ];
    // SAFETY: the kernel only reads the word and the time, and answers a bad address with an error code.
    outcome(unsafe { interruptible(libc::SYS_futex, args, reasons) })
}

/// One word of [`wait_many`], in the kernel's layout (`struct futex_waitv`).
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Waiter {
    value: u64,
    address: u64,
    flags: u32,
    reserved: u32,
}

impl Waiter {
    /// Nothing to wait for: fills arrays.
    pub const NONE: Self = Self { value: 0, address: 0, flags: 0, reserved: 0 };

    /// The word, the value expected in it, and who shares it.
    #[must_use]
    pub fn new(word: *const u32, expected: u32, scope: Scope) -> Self {
        let private = if scope == Scope::Private { libc::FUTEX_PRIVATE_FLAG.cast_unsigned() } else { 0 };
        Self {
            value: expected.into(),
            address: word as u64,
            flags: libc::FUTEX2_SIZE_U32.cast_unsigned() | private,
            reserved: 0,
        }
    }

    /// As [`wait`], on this word.
    #[must_use]
    pub fn wait(&self, deadline: Deadline, reasons: Reasons) -> Wake {
        let private = self.flags & libc::FUTEX_PRIVATE_FLAG.cast_unsigned() != 0;
        let scope = if private { Scope::Private } else { Scope::Shared };
        let value = u32::try_from(self.value).unwrap_or_default();
        wait(self.address as *const u32, value, scope, deadline, reasons)
    }
}

/// Whether the kernel cannot sleep on several words (`futex_waitv` came with Linux 5.16). The environment variable
/// `TRANSOM_NO_FUTEX_WAITV` pretends so: for testing the other way.
#[must_use]
pub fn lacks_wait_many() -> bool {
    static LACKS: OnceLock<bool> = OnceLock::new();
    *LACKS.get_or_init(|| {
        if std::env::var_os("TRANSOM_NO_FUTEX_WAITV").is_some() {
            return true;
        }
        // SAFETY: no words: an error either way, and which one tells.
        let r = unsafe { libc::syscall(libc::SYS_futex_waitv, 0, 0, 0, 0, 0) };
        r == -1 && std::io::Error::last_os_error().raw_os_error() != Some(libc::EINVAL)
    })
}

/// As [`wait`], on up to 128 words at once.
pub fn wait_many(waiters: &[Waiter], deadline: Deadline, reasons: Reasons) -> Wake {
    want_exact(deadline);
    let (spec, clock) = match deadline {
        Deadline::Never => (None, libc::CLOCK_MONOTONIC),
        Deadline::Monotonic(ns) => (Some(timespec(ns)), libc::CLOCK_MONOTONIC),
        Deadline::System(ns) => (Some(timespec(ns)), libc::CLOCK_REALTIME),
    };
    let args = [
        waiters.as_ptr() as usize,
        waiters.len(),
        0,
        spec.as_ref().map_or(ptr::null(), ptr::from_ref) as usize,
        clock.cast_unsigned() as usize,
        0,
    ];
    // SAFETY: the array and the time are valid for the call; the kernel only reads the words, and answers bad
    // addresses with an error code.
    outcome(unsafe { interruptible(libc::SYS_futex_waitv, args, reasons) })
}

/// Wakes up to `count` sleepers; how many were woken.
#[expect(clippy::not_unsafe_ptr_arg_deref, reason = "the kernel takes the address as a key")]
pub fn wake(word: *const u32, count: u32, scope: Scope) -> u32 {
    let private = if scope == Scope::Private { libc::FUTEX_PRIVATE_FLAG } else { 0 };
    let count = count.min(i32::MAX.cast_unsigned());
    // SAFETY: waking reads nothing through the address: it is only a key, and a bad one is an error code.
    let woken = unsafe { libc::syscall(libc::SYS_futex, word, libc::FUTEX_WAKE | private, count) };
    u32::try_from(woken).unwrap_or(0)
}
