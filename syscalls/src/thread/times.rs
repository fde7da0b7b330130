//! CPU times of threads and of the process, and where threads may run.

use windows_sys::Win32::Foundation as f;

use super::ThreadObject;
use crate::status::{Result, Status};
use crate::wait::system_now;

/// Times of a thread or process, in nanoseconds (those of day since 1970).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Times {
    /// When it was made.
    pub created: u64,
    /// When it ended; zero while it runs.
    pub ended: u64,
    /// Time spent in its own code.
    pub user: u64,
    /// Time that Linux spent for it.
    pub kernel: u64,
}

fn nanos(t: libc::timeval) -> u64 {
    t.tv_sec.cast_unsigned() * 1_000_000_000 + t.tv_usec.cast_unsigned() * 1000
}

fn usage(who: i32) -> (u64, u64) {
    // SAFETY: all zeroes is a valid `rusage`, and `r` is a valid place for the result.
    let r = unsafe {
        let mut r: libc::rusage = core::mem::zeroed();
        libc::getrusage(who, &raw mut r);
        r
    };
    (nanos(r.ru_utime), nanos(r.ru_stime))
}

/// User and kernel time of this process, in nanoseconds.
#[must_use]
pub fn process_times() -> (u64, u64) {
    usage(libc::RUSAGE_SELF)
}

/// User and kernel time in nanoseconds from a `stat` file of `/proc`, which counts in clock ticks.
pub(crate) fn times_of_stat(stat: &str) -> Option<(u64, u64)> {
    // SAFETY: no arguments that could be wrong.
    let ticks = u64::try_from(unsafe { libc::sysconf(libc::_SC_CLK_TCK) }).ok().filter(|t| *t > 0)?;
    // The name in parentheses may hold anything; the fields after it count from the third.
    let mut fields = stat.get(stat.rfind(')')? + 1..)?.split_ascii_whitespace().skip(11);
    let mut time = || fields.next()?.parse::<u64>().ok().map(|t| t * (1_000_000_000 / ticks));
    Some((time()?, time()?))
}

impl ThreadObject {
    /// Its times.
    #[must_use]
    pub fn times(&self) -> Times {
        if let Some(times) = self.last_times.get() {
            return *times;
        }
        // SAFETY: no arguments, cannot fail.
        let own = unsafe { libc::gettid() }.cast_unsigned() == self.tid();
        if own {
            let (user, kernel) = usage(libc::RUSAGE_THREAD);
            // Only the end of the thread keeps what is told here, and then it ends now.
            return Times { created: self.created, ended: 0, user, kernel };
        }
        let stat = std::fs::read_to_string(format!("/proc/self/task/{}/stat", self.tid()));
        let (user, kernel) = stat.ok().and_then(|s| times_of_stat(&s)).unwrap_or_default();
        Times { created: self.created, ended: 0, user, kernel }
    }

    /// Its times as of now, when it ends.
    pub(super) fn final_times(&self) -> Times {
        Times { ended: system_now(), ..self.times() }
    }

    /// The processors it may run on, as a mask of the first 64.
    ///
    /// # Errors
    /// `STATUS_INVALID_PARAMETER` if the thread is gone.
    pub fn affinity(&self) -> Result<u64> {
        let mut mask = [0_u64; 16];
        // SAFETY: `mask` is a valid place of the size given.
        let r = unsafe {
            libc::sched_getaffinity(self.tid().cast_signed(), size_of_val(&mask), mask.as_mut_ptr().cast())
        };
        if r < 0 { Err(Status(f::STATUS_INVALID_PARAMETER)) } else { Ok(mask[0]) }
    }

    /// Sets the processors it may run on.
    ///
    /// # Errors
    /// `STATUS_INVALID_PARAMETER` if there is no such processor or the thread is gone.
    pub fn set_affinity(&self, mask: u64) -> Result<()> {
        let mut set = [0_u64; 16];
        set[0] = mask;
        // SAFETY: `set` is valid for reads of the size given.
        let r = unsafe {
            libc::sched_setaffinity(self.tid().cast_signed(), size_of_val(&set), set.as_ptr().cast())
        };
        if r < 0 { Err(Status(f::STATUS_INVALID_PARAMETER)) } else { Ok(()) }
    }
}
