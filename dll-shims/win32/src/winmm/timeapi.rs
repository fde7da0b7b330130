//! `timeapi.h`: the multimedia clock and its resolution. The results are error codes of their own.

use transom_sdk::{Cx, Guest, Ptr, Win32, shim};
use transom_syscalls::time;
use transom_syscalls::time::resolution::{COARSEST, FINEST, Resolution};

const TIMERR_NOERROR: u32 = 0;
const TIMERR_NOCANDO: u32 = 97;
/// 100 ns units in a millisecond.
const MILLISECOND: u32 = 10_000;

/// Retrieves the system time, in milliseconds since the system started.
#[shim(winmm, leaf = transom_cpu::leaf::time::get_tick_count)]
fn timeGetTime() -> u32 {
    #[expect(clippy::cast_possible_truncation, reason = "wraps around, as documented")]
    let low = time::tick_count() as u32;
    low
}

/// Asks for a minimum resolution for periodic timers, in milliseconds. Timers are precise without.
#[shim(winmm)]
fn timeBeginPeriod(cx: &Cx, period: u32) -> u32 {
    if period == 0 {
        return TIMERR_NOCANDO;
    }
    cx.state::<Resolution>().set(period.saturating_mul(MILLISECOND));
    TIMERR_NOERROR
}

/// Withdraws a request for a minimum timer resolution.
#[shim(winmm)]
fn timeEndPeriod(cx: &Cx, period: u32) -> u32 {
    if period == 0 {
        return TIMERR_NOCANDO;
    }
    cx.state::<Resolution>().reset();
    TIMERR_NOERROR
}

/// TIMECAPS.
#[derive(Guest, Debug, Clone, Copy)]
#[mirrors(windows_sys::Win32::Media::TIMECAPS)]
struct TimeCaps {
    least: u32,
    most: u32,
}

/// Queries the timer device to determine its resolution, in milliseconds.
#[shim(winmm)]
fn timeGetDevCaps(cx: &Cx, out: Ptr<TimeCaps>, size: u32) -> Win32<u32> {
    /// One day, as on Windows.
    const LONGEST: u32 = 1_000_000;
    if out.is_null() || size < 8 {
        return Ok(TIMERR_NOCANDO);
    }
    let least = FINEST.div_ceil(MILLISECOND).max(1);
    out.write(cx, TimeCaps { least, most: LONGEST.max(COARSEST / MILLISECOND) })?;
    Ok(TIMERR_NOERROR)
}

/// MMTIME with a time in milliseconds.
#[derive(Guest, Debug, Clone, Copy)]
#[mirrors(windows_sys::Win32::Media::MMTIME)]
struct MmTime {
    kind: u32,
    milliseconds: u32,
    rest: u32,
}

/// Retrieves the system time, in milliseconds.
#[shim(winmm)]
fn timeGetSystemTime(cx: &Cx, out: Ptr<MmTime>, _size: u32) -> Win32<u32> {
    const TIME_MS: u32 = 1;
    out.write(cx, MmTime { kind: TIME_MS, milliseconds: timeGetTime(), rest: 0 })?;
    Ok(TIMERR_NOERROR)
}
