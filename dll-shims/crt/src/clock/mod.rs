//! time.h and sys/timeb.h: shims over [`crate::time`], with the system's clock and the local time zone.

pub(crate) mod fields;
pub(crate) mod names;
pub(crate) mod text;
pub(crate) mod zone;

use transom_sdk::{Crt, CrtError, Cx, Ptr, mem, shim};

use crate::rt::errno::EINVAL;
use crate::rt::invalid;
use crate::time::Zone as _;

/// Seconds since 1970 and milliseconds.
fn now() -> (i64, u16) {
    let (seconds, nanoseconds) = transom_syscalls::time::to_unix(transom_syscalls::time::system_time());
    (seconds, u16::try_from(nanoseconds / 1_000_000).unwrap_or(0))
}

/// The time, also stored unless `to` is NULL.
#[shim(msvcrt, ucrtbase)]
fn _time64(cx: &Cx, to: Ptr<i64>) -> Crt<i64> {
    let time = now().0;
    to.write_opt(cx, time)?;
    Ok(time)
}

/// The time, also stored unless `to` is NULL.
#[shim(msvcrt, ucrtbase)]
fn _time32(cx: &Cx, to: Ptr<i32>) -> Crt<i32> {
    let time = i32::try_from(now().0).unwrap_or(-1);
    to.write_opt(cx, time)?;
    Ok(time)
}

/// The time in the width of `time_t`: 32 bits for x86, 64 elsewhere.
#[shim(msvcrt)]
fn time(cx: &Cx, to: Ptr<isize>) -> Crt<isize> {
    let time = isize::try_from(now().0).unwrap_or(-1);
    to.write_opt(cx, time)?;
    Ok(time)
}

/// The difference of two times in seconds.
#[shim(msvcrt, ucrtbase)]
#[expect(clippy::cast_precision_loss, reason = "the function's result is a double")]
fn _difftime64(end: i64, start: i64) -> f64 {
    end.wrapping_sub(start) as f64
}

/// The difference of two times in seconds.
#[shim(msvcrt, ucrtbase)]
fn _difftime32(end: i32, start: i32) -> f64 {
    f64::from(end) - f64::from(start)
}

/// The difference of two times in seconds.
#[shim(msvcrt)]
#[expect(clippy::cast_precision_loss, reason = "the function's result is a double")]
fn difftime(end: isize, start: isize) -> f64 {
    end.wrapping_sub(start) as f64
}

/// When the process started, for `clock`.
struct Start(std::time::Instant);

impl Default for Start {
    fn default() -> Self {
        Self(std::time::Instant::now())
    }
}

/// Milliseconds since the process started.
#[shim(msvcrt, ucrtbase)]
fn clock(cx: &Cx) -> i32 {
    let start = &cx.state::<Start>().0;
    i32::try_from(start.elapsed().as_millis()).unwrap_or(-1)
}

/// Stores a `struct _timeb`: seconds, milliseconds, minutes west of Greenwich, daylight saving.
fn store_timeb(cx: &Cx, at: Ptr<u8>, wide: bool) -> Crt<()> {
    invalid::check(cx, !at.is_null())?;
    let (seconds, milliseconds) = now();
    let zone = zone::local(cx);
    let mut next = at.addr();
    if wide {
        mem::write(next, &seconds)?;
        next += 8;
    } else {
        mem::write(next, &i32::try_from(seconds).map_err(|_| CrtError::Errno(EINVAL))?)?;
        next += 4;
    }
    mem::write(next, &milliseconds)?;
    mem::write(next + 2, &i16::try_from(-zone.standard() / 60).unwrap_or(0))?;
    mem::write(next + 4, &i16::from(zone.offset_at(seconds).1))?;
    Ok(())
}

/// The time with milliseconds and zone.
#[shim(msvcrt, ucrtbase)]
fn _ftime64(cx: &Cx, at: Ptr<u8>) -> Crt<()> {
    store_timeb(cx, at, true)
}

/// The time with milliseconds and zone.
#[shim(msvcrt, ucrtbase)]
fn _ftime32(cx: &Cx, at: Ptr<u8>) -> Crt<()> {
    store_timeb(cx, at, false)
}

/// The time with milliseconds and zone.
#[shim(msvcrt)]
fn _ftime(cx: &Cx, at: Ptr<u8>) -> Crt<()> {
    store_timeb(cx, at, cx.is_64())
}

/// The time with milliseconds and zone.
#[shim(msvcrt, ucrtbase, fails = 22)]
fn _ftime64_s(cx: &Cx, at: Ptr<u8>) -> Crt<i32> {
    store_timeb(cx, at, true).map(|()| 0)
}

/// Seconds and nanoseconds since 1970 (base 1, the only one).
#[shim(ucrtbase)]
fn _timespec64_get(cx: &Cx, at: Ptr<i64>, base: i32) -> Crt<i32> {
    if base != 1 {
        return Ok(0);
    }
    let (seconds, nanoseconds) = transom_syscalls::time::to_unix(transom_syscalls::time::system_time());
    at.write(cx, seconds)?;
    at.byte_add(8).cast::<i32>().write(cx, i32::try_from(nanoseconds).unwrap_or(0))?;
    Ok(base)
}
