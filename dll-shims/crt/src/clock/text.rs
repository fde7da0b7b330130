//! Text of times: `asctime`, `ctime`, `strftime`.

use transom_sdk::{Crt, Cx, Ptr, mem, shim};

use super::{fields, zone};
use crate::io::fs::Text;
use crate::rt::area;
use crate::rt::errno::{EINVAL, ERANGE};
use crate::rt::guest;
use crate::rt::invalid::{self, invalid};
use crate::time::{self, Tm};

/// The text of `asctime`.
fn text<U: Text>(cx: &Cx, tm: &Tm, msvcrt: bool) -> Crt<Vec<U>> {
    let text = time::asctime(tm, msvcrt).ok_or_else(|| invalid(cx, EINVAL))?;
    Ok(text.bytes().map(U::from_ascii).collect())
}

/// Text in the thread's buffer.
fn give<U: Text>(cx: &Cx, tm: &Tm, msvcrt: bool) -> Crt<Ptr<U>> {
    let at = area::at(cx, if U::WIDE { area::WASCTIME } else { area::ASCTIME });
    guest::put(at, &text::<U>(cx, tm, msvcrt)?)?;
    Ok(Ptr::new(at))
}

/// Text in a caller's buffer.
fn copy<U: Text>(cx: &Cx, to: Ptr<U>, size: usize, tm: &Tm, msvcrt: bool) -> Crt<i32> {
    invalid::check(cx, !to.is_null() && size > 0)?;
    mem::write(to.addr(), &U::NUL)?;
    invalid::check(cx, size >= 26)?;
    guest::put(to.addr(), &text::<U>(cx, tm, msvcrt)?)?;
    Ok(0)
}

/// Local time of a time argument.
fn local(cx: &Cx, at: Ptr<u8>, wide: bool) -> Crt<Tm> {
    invalid::check(cx, !at.is_null())?;
    let value = if wide { mem::read::<i64>(at.addr())? } else { mem::read::<i32>(at.addr())?.into() };
    time::localtime(value, zone::local(cx)).ok_or_else(|| invalid(cx, EINVAL))
}

/// Formats a time; the number of characters, or 0 if they do not fit.
fn format<U: Text>(
    cx: &Cx,
    to: Ptr<U>,
    size: usize,
    format: Ptr<U>,
    tm: Ptr<u8>,
    msvcrt: bool,
) -> Crt<usize> {
    invalid::check(cx, !to.is_null() && size > 0 && !format.is_null())?;
    mem::write(to.addr(), &U::NUL)?;
    invalid::check(cx, !tm.is_null())?;
    let pattern: Vec<U> = guest::string(format.addr())?;
    let tm = fields::load(tm)?;
    let made = time::strftime(&pattern, &tm, zone::local(cx), msvcrt);
    let text = made.ok_or_else(|| invalid(cx, EINVAL))?;
    if text.len() >= size {
        cx.set_errno(ERANGE);
        return Ok(0);
    }
    guest::put(to.addr(), &text)?;
    Ok(text.len())
}

/// Text of local time.
#[shim(msvcrt(asctime))]
fn asctime_msvcrt(cx: &Cx, fields: Ptr<u8>) -> Crt<Ptr<u8>> {
    invalid::check(cx, !fields.is_null())?;
    give(cx, &fields::load(fields)?, true)
}

/// Text of local time.
#[shim(ucrtbase(asctime))]
fn asctime_ucrtbase(cx: &Cx, fields: Ptr<u8>) -> Crt<Ptr<u8>> {
    invalid::check(cx, !fields.is_null())?;
    give(cx, &fields::load(fields)?, false)
}

/// Text of local time.
#[shim(msvcrt(asctime_s), fails = 22)]
fn asctime_s_msvcrt(cx: &Cx, to: Ptr<u8>, size: usize, fields: Ptr<u8>) -> Crt<i32> {
    invalid::check(cx, !fields.is_null())?;
    copy(cx, to, size, &fields::load(fields)?, true)
}

/// Text of local time.
#[shim(ucrtbase(asctime_s), fails = 22)]
fn asctime_s_ucrtbase(cx: &Cx, to: Ptr<u8>, size: usize, fields: Ptr<u8>) -> Crt<i32> {
    invalid::check(cx, !fields.is_null())?;
    copy(cx, to, size, &fields::load(fields)?, false)
}

/// Text of a time.
#[shim(msvcrt(_ctime64))]
fn ctime64_msvcrt(cx: &Cx, time: Ptr<u8>) -> Crt<Ptr<u8>> {
    give(cx, &local(cx, time, true)?, true)
}

/// Text of a time.
#[shim(ucrtbase(_ctime64))]
fn ctime64_ucrtbase(cx: &Cx, time: Ptr<u8>) -> Crt<Ptr<u8>> {
    give(cx, &local(cx, time, true)?, false)
}

/// Text of a time.
#[shim(msvcrt(_ctime64_s), fails = 22)]
fn ctime64_s_msvcrt(cx: &Cx, to: Ptr<u8>, size: usize, time: Ptr<u8>) -> Crt<i32> {
    copy(cx, to, size, &local(cx, time, true)?, true)
}

/// Text of a time.
#[shim(ucrtbase(_ctime64_s), fails = 22)]
fn ctime64_s_ucrtbase(cx: &Cx, to: Ptr<u8>, size: usize, time: Ptr<u8>) -> Crt<i32> {
    copy(cx, to, size, &local(cx, time, true)?, false)
}

/// Text of a time.
#[shim(msvcrt(_ctime32))]
fn ctime32_msvcrt(cx: &Cx, time: Ptr<u8>) -> Crt<Ptr<u8>> {
    give(cx, &local(cx, time, false)?, true)
}

/// Text of a time.
#[shim(ucrtbase(_ctime32))]
fn ctime32_ucrtbase(cx: &Cx, time: Ptr<u8>) -> Crt<Ptr<u8>> {
    give(cx, &local(cx, time, false)?, false)
}

/// Text of a time.
#[shim(msvcrt(_ctime32_s), fails = 22)]
fn ctime32_s_msvcrt(cx: &Cx, to: Ptr<u8>, size: usize, time: Ptr<u8>) -> Crt<i32> {
    copy(cx, to, size, &local(cx, time, false)?, true)
}

/// Text of a time.
#[shim(ucrtbase(_ctime32_s), fails = 22)]
fn ctime32_s_ucrtbase(cx: &Cx, to: Ptr<u8>, size: usize, time: Ptr<u8>) -> Crt<i32> {
    copy(cx, to, size, &local(cx, time, false)?, false)
}

/// Formats a time.
#[shim(msvcrt(strftime))]
fn strftime_msvcrt(cx: &Cx, to: Ptr<u8>, size: usize, pattern: Ptr<u8>, fields: Ptr<u8>) -> Crt<usize> {
    format(cx, to, size, pattern, fields, true)
}

/// Formats a time.
#[shim(msvcrt(_strftime_l, _Strftime))]
fn strftime_l_msvcrt(
    cx: &Cx,
    to: Ptr<u8>,
    size: usize,
    pattern: Ptr<u8>,
    fields: Ptr<u8>,
    locale: Ptr<u8>,
) -> Crt<usize> {
    let _ = locale;
    format(cx, to, size, pattern, fields, true)
}

/// Formats a time.
#[shim(ucrtbase(strftime))]
fn strftime_ucrtbase(cx: &Cx, to: Ptr<u8>, size: usize, pattern: Ptr<u8>, fields: Ptr<u8>) -> Crt<usize> {
    format(cx, to, size, pattern, fields, false)
}

/// Formats a time.
#[shim(ucrtbase(_strftime_l, _Strftime))]
fn strftime_l_ucrtbase(
    cx: &Cx,
    to: Ptr<u8>,
    size: usize,
    pattern: Ptr<u8>,
    fields: Ptr<u8>,
    locale: Ptr<u8>,
) -> Crt<usize> {
    let _ = locale;
    format(cx, to, size, pattern, fields, false)
}

/// Text of a time.
#[shim(msvcrt(ctime))]
fn ctime_msvcrt(cx: &Cx, time: Ptr<u8>) -> Crt<Ptr<u8>> {
    give(cx, &local(cx, time, cx.is_64())?, true)
}

/// The date as text.
#[shim(msvcrt, ucrtbase)]
fn _strdate(cx: &Cx, to: Ptr<u8>) -> Crt<Ptr<u8>> {
    invalid::check(cx, !to.is_null())?;
    let zone = zone::local(cx);
    let tm = time::localtime(super::now().0, zone).ok_or_else(|| invalid(cx, EINVAL))?;
    let pattern: Vec<u8> = "%m/%d/%y".bytes().collect();
    let text = time::strftime(&pattern, &tm, zone, false).ok_or_else(|| invalid(cx, EINVAL))?;
    guest::put(to.addr(), &text)?;
    Ok(to)
}

/// The time as text.
#[shim(msvcrt, ucrtbase)]
fn _strtime(cx: &Cx, to: Ptr<u8>) -> Crt<Ptr<u8>> {
    invalid::check(cx, !to.is_null())?;
    let zone = zone::local(cx);
    let tm = time::localtime(super::now().0, zone).ok_or_else(|| invalid(cx, EINVAL))?;
    let pattern: Vec<u8> = "%H:%M:%S".bytes().collect();
    let text = time::strftime(&pattern, &tm, zone, false).ok_or_else(|| invalid(cx, EINVAL))?;
    guest::put(to.addr(), &text)?;
    Ok(to)
}

/// Text of local time.
#[shim(msvcrt(_wasctime))]
fn wasctime_msvcrt(cx: &Cx, fields: Ptr<u8>) -> Crt<Ptr<u16>> {
    invalid::check(cx, !fields.is_null())?;
    give(cx, &fields::load(fields)?, true)
}

/// Text of local time.
#[shim(ucrtbase(_wasctime))]
fn wasctime_ucrtbase(cx: &Cx, fields: Ptr<u8>) -> Crt<Ptr<u16>> {
    invalid::check(cx, !fields.is_null())?;
    give(cx, &fields::load(fields)?, false)
}

/// Text of local time.
#[shim(msvcrt(_wasctime_s), fails = 22)]
fn wasctime_s_msvcrt(cx: &Cx, to: Ptr<u16>, size: usize, fields: Ptr<u8>) -> Crt<i32> {
    invalid::check(cx, !fields.is_null())?;
    copy(cx, to, size, &fields::load(fields)?, true)
}

/// Text of local time.
#[shim(ucrtbase(_wasctime_s), fails = 22)]
fn wasctime_s_ucrtbase(cx: &Cx, to: Ptr<u16>, size: usize, fields: Ptr<u8>) -> Crt<i32> {
    invalid::check(cx, !fields.is_null())?;
    copy(cx, to, size, &fields::load(fields)?, false)
}

/// Text of a time.
#[shim(msvcrt(_wctime64))]
fn wctime64_msvcrt(cx: &Cx, time: Ptr<u8>) -> Crt<Ptr<u16>> {
    give(cx, &local(cx, time, true)?, true)
}

/// Text of a time.
#[shim(ucrtbase(_wctime64))]
fn wctime64_ucrtbase(cx: &Cx, time: Ptr<u8>) -> Crt<Ptr<u16>> {
    give(cx, &local(cx, time, true)?, false)
}

/// Text of a time.
#[shim(msvcrt(_wctime64_s), fails = 22)]
fn wctime64_s_msvcrt(cx: &Cx, to: Ptr<u16>, size: usize, time: Ptr<u8>) -> Crt<i32> {
    copy(cx, to, size, &local(cx, time, true)?, true)
}

/// Text of a time.
#[shim(ucrtbase(_wctime64_s), fails = 22)]
fn wctime64_s_ucrtbase(cx: &Cx, to: Ptr<u16>, size: usize, time: Ptr<u8>) -> Crt<i32> {
    copy(cx, to, size, &local(cx, time, true)?, false)
}

/// Text of a time.
#[shim(msvcrt(_wctime32))]
fn wctime32_msvcrt(cx: &Cx, time: Ptr<u8>) -> Crt<Ptr<u16>> {
    give(cx, &local(cx, time, false)?, true)
}

/// Text of a time.
#[shim(ucrtbase(_wctime32))]
fn wctime32_ucrtbase(cx: &Cx, time: Ptr<u8>) -> Crt<Ptr<u16>> {
    give(cx, &local(cx, time, false)?, false)
}

/// Text of a time.
#[shim(msvcrt(_wctime32_s), fails = 22)]
fn wctime32_s_msvcrt(cx: &Cx, to: Ptr<u16>, size: usize, time: Ptr<u8>) -> Crt<i32> {
    copy(cx, to, size, &local(cx, time, false)?, true)
}

/// Text of a time.
#[shim(ucrtbase(_wctime32_s), fails = 22)]
fn wctime32_s_ucrtbase(cx: &Cx, to: Ptr<u16>, size: usize, time: Ptr<u8>) -> Crt<i32> {
    copy(cx, to, size, &local(cx, time, false)?, false)
}

/// Formats a time.
#[shim(msvcrt(wcsftime))]
fn wcsftime_msvcrt(cx: &Cx, to: Ptr<u16>, size: usize, pattern: Ptr<u16>, fields: Ptr<u8>) -> Crt<usize> {
    format(cx, to, size, pattern, fields, true)
}

/// Formats a time.
#[shim(msvcrt(_wcsftime_l))]
fn wcsftime_l_msvcrt(
    cx: &Cx,
    to: Ptr<u16>,
    size: usize,
    pattern: Ptr<u16>,
    fields: Ptr<u8>,
    locale: Ptr<u8>,
) -> Crt<usize> {
    let _ = locale;
    format(cx, to, size, pattern, fields, true)
}

/// Formats a time.
#[shim(ucrtbase(wcsftime))]
fn wcsftime_ucrtbase(cx: &Cx, to: Ptr<u16>, size: usize, pattern: Ptr<u16>, fields: Ptr<u8>) -> Crt<usize> {
    format(cx, to, size, pattern, fields, false)
}

/// Formats a time.
#[shim(ucrtbase(_wcsftime_l, _Wcsftime))]
fn wcsftime_l_ucrtbase(
    cx: &Cx,
    to: Ptr<u16>,
    size: usize,
    pattern: Ptr<u16>,
    fields: Ptr<u8>,
    locale: Ptr<u8>,
) -> Crt<usize> {
    let _ = locale;
    format(cx, to, size, pattern, fields, false)
}

/// Text of a time.
#[shim(msvcrt(_wctime))]
fn wctime_msvcrt(cx: &Cx, time: Ptr<u8>) -> Crt<Ptr<u16>> {
    give(cx, &local(cx, time, cx.is_64())?, true)
}

/// The date as text.
#[shim(msvcrt, ucrtbase)]
fn _wstrdate(cx: &Cx, to: Ptr<u16>) -> Crt<Ptr<u16>> {
    invalid::check(cx, !to.is_null())?;
    let zone = zone::local(cx);
    let tm = time::localtime(super::now().0, zone).ok_or_else(|| invalid(cx, EINVAL))?;
    let pattern: Vec<u16> = "%m/%d/%y".bytes().map(u16::from).collect();
    let text = time::strftime(&pattern, &tm, zone, false).ok_or_else(|| invalid(cx, EINVAL))?;
    guest::put(to.addr(), &text)?;
    Ok(to)
}

/// The time as text.
#[shim(msvcrt, ucrtbase)]
fn _wstrtime(cx: &Cx, to: Ptr<u16>) -> Crt<Ptr<u16>> {
    invalid::check(cx, !to.is_null())?;
    let zone = zone::local(cx);
    let tm = time::localtime(super::now().0, zone).ok_or_else(|| invalid(cx, EINVAL))?;
    let pattern: Vec<u16> = "%H:%M:%S".bytes().map(u16::from).collect();
    let text = time::strftime(&pattern, &tm, zone, false).ok_or_else(|| invalid(cx, EINVAL))?;
    guest::put(to.addr(), &text)?;
    Ok(to)
}
