//! Broken-down time: `gmtime`, `localtime`, `mktime` in their widths.

use transom_sdk::{Crt, CrtError, Cx, Ptr, mem, shim};

use super::zone;
use crate::rt::area;
use crate::rt::errno::EINVAL;
use crate::rt::invalid::{self, invalid};
use crate::time::{self, Tm};

/// Reads a `struct tm`.
pub(crate) fn load(at: Ptr<u8>) -> Crt<Tm> {
    Ok(Tm::from_fields(mem::read::<[i32; 9]>(at.addr())?))
}

/// Writes a `struct tm`.
pub(crate) fn store(at: Ptr<u8>, tm: &Tm) -> Crt<()> {
    Ok(mem::write(at.addr(), &tm.fields())?)
}

/// A time argument through a pointer.
fn time_at(cx: &Cx, at: Ptr<u8>, wide: bool) -> Crt<i64> {
    invalid::check(cx, !at.is_null())?;
    Ok(if wide { mem::read::<i64>(at.addr())? } else { mem::read::<i32>(at.addr())?.into() })
}

fn convert(cx: &Cx, time: i64, local: bool) -> Option<Tm> {
    if local { time::localtime(time, zone::local(cx)) } else { time::gmtime(time) }
}

/// To the thread's own `struct tm`.
fn to_buffer(cx: &Cx, at: Ptr<u8>, wide: bool, local: bool) -> Crt<Ptr<u8>> {
    let time = time_at(cx, at, wide)?;
    let tm = convert(cx, time, local).ok_or_else(|| invalid(cx, EINVAL))?;
    let buffer = Ptr::new(area::at(cx, area::TM));
    store(buffer, &tm)?;
    Ok(buffer)
}

/// To the caller's `struct tm`; all fields are -1 after an error.
fn to_caller(cx: &Cx, to: Ptr<u8>, at: Ptr<u8>, wide: bool, local: bool) -> Crt<i32> {
    invalid::check(cx, !to.is_null())?;
    mem::write(to.addr(), &[-1i32; 9])?;
    let time = time_at(cx, at, wide)?;
    let tm = convert(cx, time, local).ok_or_else(|| invalid(cx, EINVAL))?;
    store(to, &tm)?;
    Ok(0)
}

/// From a `struct tm`, whose fields are brought into their ranges.
pub(crate) fn from_fields(cx: &Cx, at: Ptr<u8>, local: bool) -> Crt<i64> {
    invalid::check(cx, !at.is_null())?;
    let tm = load(at)?;
    let made = if local { time::mktime(&tm, zone::local(cx)) } else { time::mkgmtime(&tm) };
    let (time, tm) = made.ok_or(CrtError::Errno(EINVAL))?;
    store(at, &tm)?;
    Ok(time)
}

fn narrow(time: i64) -> Crt<i32> {
    i32::try_from(time).map_err(|_| CrtError::Errno(EINVAL))
}

/// A time as universal time.
#[shim(msvcrt, ucrtbase)]
fn _gmtime64(cx: &Cx, time: Ptr<u8>) -> Crt<Ptr<u8>> {
    to_buffer(cx, time, true, false)
}

/// A time as universal time.
#[shim(msvcrt, ucrtbase, fails = 22)]
fn _gmtime64_s(cx: &Cx, to: Ptr<u8>, time: Ptr<u8>) -> Crt<i32> {
    to_caller(cx, to, time, true, false)
}

/// A time as universal time.
#[shim(msvcrt, ucrtbase)]
fn _gmtime32(cx: &Cx, time: Ptr<u8>) -> Crt<Ptr<u8>> {
    to_buffer(cx, time, false, false)
}

/// A time as universal time.
#[shim(msvcrt, ucrtbase, fails = 22)]
fn _gmtime32_s(cx: &Cx, to: Ptr<u8>, time: Ptr<u8>) -> Crt<i32> {
    to_caller(cx, to, time, false, false)
}

/// A time as universal time.
#[shim(msvcrt)]
fn gmtime(cx: &Cx, time: Ptr<u8>) -> Crt<Ptr<u8>> {
    to_buffer(cx, time, cx.is_64(), false)
}

/// A time as local time.
#[shim(msvcrt, ucrtbase)]
fn _localtime64(cx: &Cx, time: Ptr<u8>) -> Crt<Ptr<u8>> {
    to_buffer(cx, time, true, true)
}

/// A time as local time.
#[shim(msvcrt, ucrtbase, fails = 22)]
fn _localtime64_s(cx: &Cx, to: Ptr<u8>, time: Ptr<u8>) -> Crt<i32> {
    to_caller(cx, to, time, true, true)
}

/// A time as local time.
#[shim(msvcrt, ucrtbase)]
fn _localtime32(cx: &Cx, time: Ptr<u8>) -> Crt<Ptr<u8>> {
    to_buffer(cx, time, false, true)
}

/// A time as local time.
#[shim(msvcrt, ucrtbase, fails = 22)]
fn _localtime32_s(cx: &Cx, to: Ptr<u8>, time: Ptr<u8>) -> Crt<i32> {
    to_caller(cx, to, time, false, true)
}

/// A time as local time.
#[shim(msvcrt)]
fn localtime(cx: &Cx, time: Ptr<u8>) -> Crt<Ptr<u8>> {
    to_buffer(cx, time, cx.is_64(), true)
}

/// The time of local time.
#[shim(msvcrt, ucrtbase, fails = -1)]
fn _mktime64(cx: &Cx, fields: Ptr<u8>) -> Crt<i64> {
    from_fields(cx, fields, true)
}

/// The time of local time.
#[shim(msvcrt, ucrtbase, fails = -1)]
fn _mktime32(cx: &Cx, fields: Ptr<u8>) -> Crt<i32> {
    narrow(from_fields(cx, fields, true)?)
}

/// The time of universal time.
#[shim(msvcrt, ucrtbase, fails = -1)]
fn _mkgmtime64(cx: &Cx, fields: Ptr<u8>) -> Crt<i64> {
    from_fields(cx, fields, false)
}

/// The time of universal time.
#[shim(msvcrt, ucrtbase, fails = -1)]
fn _mkgmtime32(cx: &Cx, fields: Ptr<u8>) -> Crt<i32> {
    narrow(from_fields(cx, fields, false)?)
}

/// The time of local time.
#[shim(msvcrt, fails = -1)]
fn mktime(cx: &Cx, fields: Ptr<u8>) -> Crt<isize> {
    isize::try_from(from_fields(cx, fields, true)?).map_err(|_| CrtError::Errno(EINVAL))
}

/// The time of universal time.
#[shim(msvcrt, fails = -1)]
fn _mkgmtime(cx: &Cx, fields: Ptr<u8>) -> Crt<isize> {
    isize::try_from(from_fields(cx, fields, false)?).map_err(|_| CrtError::Errno(EINVAL))
}
