//! Case: mapping of strings and comparison without regard to it.

use transom_sdk::{Crt, Cx, Ptr, mem, shim};

use crate::rt::errno::EINVAL;
use crate::rt::guest::{self, GuestUnit};
use crate::rt::invalid::invalid;
use crate::string::ctype;

fn lower<U: GuestUnit>(unit: U) -> u32 {
    match u8::try_from(unit.code()) {
        Ok(b) => b.to_ascii_lowercase().into(),
        Err(_) => ctype::wide_lower(u16::from_code(unit.code())).into(),
    }
}

use crate::unit::Unit;

fn upper<U: GuestUnit>(unit: U) -> u32 {
    match u8::try_from(unit.code()) {
        Ok(b) => b.to_ascii_uppercase().into(),
        Err(_) => ctype::wide_upper(u16::from_code(unit.code())).into(),
    }
}

/// Maps a string in place; `size` is the buffer's in the `_s` forms.
fn map<U: GuestUnit>(cx: &Cx, text: Ptr<U>, size: usize, map: impl Fn(U) -> u32) -> Crt<Ptr<U>> {
    if text.is_null() {
        return Err(invalid(cx, EINVAL));
    }
    let mut units: Vec<U> = guest::string_max(text.addr(), size)?;
    if units.len() == size {
        mem::write(text.addr(), &U::NUL)?;
        return Err(invalid(cx, EINVAL));
    }
    for unit in &mut units {
        *unit = U::from_code(map(*unit));
    }
    mem::write_slice(text.addr(), &units)?;
    Ok(text)
}

/// Compares without regard to case.
#[shim(
    msvcrt(_stricmp, _strcmpi, stricmp, strcmpi, strcasecmp, _stricoll, _mbsicmp),
    ucrtbase(_stricmp, stricmp, strcmpi, _stricoll, _mbsicmp)
)]
fn _stricmp(a: Ptr<u8>, b: Ptr<u8>) -> Crt<i32> {
    Ok(guest::compare::<u8>(a.addr(), b.addr(), usize::MAX, lower)?)
}

/// Compares at most `count` characters without regard to case.
#[shim(msvcrt(_strnicmp, strnicmp, strncasecmp, _strnicoll), ucrtbase(_strnicmp, strnicmp, _strnicoll))]
fn _strnicmp(a: Ptr<u8>, b: Ptr<u8>, count: usize) -> Crt<i32> {
    Ok(guest::compare::<u8>(a.addr(), b.addr(), count, lower)?)
}

/// Compares without regard to case.
#[shim(msvcrt(_wcsicmp, wcsicmp, _wcsicoll), ucrtbase(_wcsicmp, wcsicmp, _wcsicoll))]
fn _wcsicmp(a: Ptr<u16>, b: Ptr<u16>) -> Crt<i32> {
    Ok(guest::compare::<u16>(a.addr(), b.addr(), usize::MAX, lower)?)
}

/// Compares at most `count` characters without regard to case.
#[shim(msvcrt(_wcsnicmp, wcsnicmp, _wcsnicoll), ucrtbase(_wcsnicmp, wcsnicmp, _wcsnicoll))]
fn _wcsnicmp(a: Ptr<u16>, b: Ptr<u16>, count: usize) -> Crt<i32> {
    Ok(guest::compare::<u16>(a.addr(), b.addr(), count, lower)?)
}

/// Compares without regard to case.
#[shim(msvcrt(_stricmp_l, _stricoll_l), ucrtbase(_stricmp_l, _stricoll_l))]
fn _stricmp_l(a: Ptr<u8>, b: Ptr<u8>, locale: Ptr<u8>) -> Crt<i32> {
    let _ = locale;
    _stricmp(a, b)
}

/// Compares at most `count` characters without regard to case.
#[shim(msvcrt(_strnicmp_l), ucrtbase(_strnicmp_l))]
fn _strnicmp_l(a: Ptr<u8>, b: Ptr<u8>, count: usize, locale: Ptr<u8>) -> Crt<i32> {
    let _ = locale;
    _strnicmp(a, b, count)
}

/// Compares without regard to case.
#[shim(msvcrt(_wcsicmp_l, _wcsicoll_l), ucrtbase(_wcsicmp_l, _wcsicoll_l))]
fn _wcsicmp_l(a: Ptr<u16>, b: Ptr<u16>, locale: Ptr<u8>) -> Crt<i32> {
    let _ = locale;
    _wcsicmp(a, b)
}

/// Compares at most `count` characters without regard to case.
#[shim(msvcrt(_wcsnicmp_l), ucrtbase(_wcsnicmp_l))]
fn _wcsnicmp_l(a: Ptr<u16>, b: Ptr<u16>, count: usize, locale: Ptr<u8>) -> Crt<i32> {
    let _ = locale;
    _wcsnicmp(a, b, count)
}

/// To lower case.
#[shim(msvcrt(_strlwr, strlwr), ucrtbase(_strlwr, strlwr))]
fn _strlwr(cx: &Cx, text: Ptr<u8>) -> Crt<Ptr<u8>> {
    map(cx, text, usize::MAX, lower)
}

/// To upper case.
#[shim(msvcrt(_strupr, strupr), ucrtbase(_strupr, strupr))]
fn _strupr(cx: &Cx, text: Ptr<u8>) -> Crt<Ptr<u8>> {
    map(cx, text, usize::MAX, upper)
}

/// To lower case.
#[shim(msvcrt(_wcslwr, wcslwr), ucrtbase(_wcslwr, wcslwr))]
fn _wcslwr(cx: &Cx, text: Ptr<u16>) -> Crt<Ptr<u16>> {
    map(cx, text, usize::MAX, lower)
}

/// To upper case.
#[shim(msvcrt(_wcsupr, wcsupr), ucrtbase(_wcsupr, wcsupr))]
fn _wcsupr(cx: &Cx, text: Ptr<u16>) -> Crt<Ptr<u16>> {
    map(cx, text, usize::MAX, upper)
}

/// To lower case, in a buffer of known size.
#[shim(msvcrt, ucrtbase, fails = 22)]
fn _strlwr_s(cx: &Cx, text: Ptr<u8>, size: usize) -> Crt<i32> {
    map(cx, text, size, lower).map(|_| 0)
}

/// To upper case, in a buffer of known size.
#[shim(msvcrt, ucrtbase, fails = 22)]
fn _strupr_s(cx: &Cx, text: Ptr<u8>, size: usize) -> Crt<i32> {
    map(cx, text, size, upper).map(|_| 0)
}

/// To lower case, in a buffer of known size.
#[shim(msvcrt, ucrtbase, fails = 22)]
fn _wcslwr_s(cx: &Cx, text: Ptr<u16>, size: usize) -> Crt<i32> {
    map(cx, text, size, lower).map(|_| 0)
}

/// To upper case, in a buffer of known size.
#[shim(msvcrt, ucrtbase, fails = 22)]
fn _wcsupr_s(cx: &Cx, text: Ptr<u16>, size: usize) -> Crt<i32> {
    map(cx, text, size, upper).map(|_| 0)
}
