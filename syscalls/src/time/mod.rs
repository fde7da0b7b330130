//! Clocks, calendars and time zones.
//!
//! Windows counts time in units of 100 ns ([`FileTime`]): since 1601 for the wall clock, since the start of the system
//! for the others. All clocks here are Linux clocks that the kernel answers without a system call (vDSO).
//! Calendars are in [`calendar`], time zones in [`zone`]. Waiting is not here: timeouts belong to the waits.

pub mod calendar;
pub mod resolution;
#[cfg(test)]
mod tests;
pub mod zone;
mod zone_names;

pub use calendar::SystemTime;

/// 100 ns units since 1601-01-01 00:00 UTC.
pub type FileTime = i64;

/// 100 ns units in a second.
pub const SECOND: i64 = 10_000_000;
/// Seconds from 1601 to 1970.
pub const UNIX_EPOCH_SECONDS: i64 = 11_644_473_600;
/// Ticks of [`performance_counter`] in a second, as on current Windows.
pub const PERFORMANCE_FREQUENCY: i64 = SECOND;
/// Time between clock interrupts that Windows reports by default: 15.625 ms.
pub const TIME_INCREMENT: u32 = 156_250;

fn clock(id: libc::clockid_t) -> libc::timespec {
    let mut now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `now` is a valid place for the result. The clocks asked for here always exist.
    unsafe { libc::clock_gettime(id, &raw mut now) };
    now
}

fn units(time: libc::timespec) -> i64 {
    time.tv_sec.saturating_mul(SECOND).saturating_add(time.tv_nsec / 100)
}

/// The wall clock to 100 ns (`GetSystemTimePreciseAsFileTime`).
#[must_use]
#[inline]
pub fn system_time() -> FileTime {
    units(clock(libc::CLOCK_REALTIME)) + UNIX_EPOCH_SECONDS * SECOND
}

/// The wall clock as of the last timer interrupt, 1 to 10 ms ago and cheaper (`GetSystemTimeAsFileTime`).
#[must_use]
#[inline]
pub fn system_time_coarse() -> FileTime {
    units(clock(libc::CLOCK_REALTIME_COARSE)) + UNIX_EPOCH_SECONDS * SECOND
}

/// `QueryPerformanceCounter`: [`PERFORMANCE_FREQUENCY`] ticks a second, never backwards.
#[must_use]
#[inline]
pub fn performance_counter() -> i64 {
    units(clock(libc::CLOCK_MONOTONIC))
}

/// 100 ns units since the system started, sleep included (`QueryInterruptTimePrecise`).
#[must_use]
#[inline]
pub fn interrupt_time() -> i64 {
    units(clock(libc::CLOCK_BOOTTIME))
}

/// 100 ns units since the system started, sleep not included (`QueryUnbiasedInterruptTimePrecise`).
#[must_use]
#[inline]
pub fn unbiased_interrupt_time() -> i64 {
    units(clock(libc::CLOCK_MONOTONIC))
}

/// Milliseconds since the system started, sleep included (`GetTickCount64`).
#[must_use]
#[inline]
pub fn tick_count() -> u64 {
    (interrupt_time() / 10_000).unsigned_abs()
}

/// A Linux time as Windows counts it. Saturates beyond what fits (the year 30828).
#[must_use]
pub fn from_unix(seconds: i64, nanoseconds: i64) -> FileTime {
    seconds.saturating_add(UNIX_EPOCH_SECONDS).saturating_mul(SECOND).saturating_add(nanoseconds / 100)
}

/// Seconds and nanoseconds since 1970, as Linux takes them.
#[must_use]
pub fn to_unix(time: FileTime) -> (i64, i64) {
    (time.div_euclid(SECOND) - UNIX_EPOCH_SECONDS, time.rem_euclid(SECOND) * 100)
}
