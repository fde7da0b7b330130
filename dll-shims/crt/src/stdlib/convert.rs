//! Numbers from text and to text (stdlib.h).

use transom_sdk::{BadAddress, Crt, CrtError, Cx, Ptr, mem, shim};

use crate::number::{self, IntKind, Outcome, ParsedInt};
use crate::rt::area;
use crate::rt::errno::{EINVAL, ERANGE};
use crate::rt::guest::{self, GuestUnit};
use crate::rt::invalid::{self, invalid};

/// `long`.
const LONG: IntKind = IntKind { bits: 32, signed: true };
/// `unsigned long`.
const ULONG: IntKind = IntKind { bits: 32, signed: false };
/// `long long`.
const LONG_LONG: IntKind = IntKind { bits: 64, signed: true };
/// `unsigned long long`.
const ULONG_LONG: IntKind = IntKind { bits: 64, signed: false };

/// Text that may be a number: read in pieces until it cannot go on.
fn number_text<U: GuestUnit, R>(at: u64, parse: impl FnOnce(&[U]) -> R) -> Result<R, BadAddress> {
    let mut short = [U::NUL; 64];
    let n = guest::copy_until_nul(at, &mut short)?;
    if n < short.len() {
        return Ok(parse(&short[..n]));
    }
    let long: Vec<U> = guest::string(at)?;
    Ok(parse(&long))
}

fn integer<U: GuestUnit>(
    cx: &Cx,
    text: Ptr<U>,
    end: Ptr<Ptr<U>>,
    base: i32,
    kind: IntKind,
) -> Crt<ParsedInt> {
    if text.is_null() {
        return Err(invalid(cx, EINVAL));
    }
    // A negative base is as wrong as one beyond 36.
    let base = u32::try_from(base).unwrap_or(1);
    let parsed = number_text(text.addr(), |t: &[U]| number::parse_int(t, base, kind))?;
    end.write_opt(cx, guest::unit_at(text, parsed.end))?;
    match parsed.outcome {
        Outcome::Range => cx.set_errno(ERANGE),
        Outcome::BadBase => drop(invalid(cx, EINVAL)),
        Outcome::Number | Outcome::None => {}
    }
    Ok(parsed)
}

fn double<U: GuestUnit>(cx: &Cx, text: Ptr<U>, end: Ptr<Ptr<U>>, msvcrt: bool) -> Crt<f64> {
    if text.is_null() {
        return Err(invalid(cx, EINVAL));
    }
    let parsed = number_text(text.addr(), |t: &[U]| number::parse_double(t, msvcrt))?;
    end.write_opt(cx, guest::unit_at(text, parsed.end))?;
    if parsed.outcome == Outcome::Range {
        cx.set_errno(ERANGE);
    }
    Ok(parsed.value)
}

fn single<U: GuestUnit>(cx: &Cx, text: Ptr<U>, end: Ptr<Ptr<U>>, msvcrt: bool) -> Crt<f32> {
    if text.is_null() {
        return Err(invalid(cx, EINVAL));
    }
    let parsed = number_text(text.addr(), |t: &[U]| number::parse_single(t, msvcrt))?;
    end.write_opt(cx, guest::unit_at(text, parsed.end))?;
    if parsed.outcome == Outcome::Range {
        cx.set_errno(ERANGE);
    }
    Ok(parsed.value)
}

/// The result of a function that returns a floating-point number: bad addresses are raised, errors are in `errno` already.
fn value<F: Default>(cx: &Cx, outcome: Crt<F>) -> F {
    match outcome {
        Ok(v) => v,
        Err(CrtError::Fault(bad)) => cx.access_violation(bad),
        Err(CrtError::Errno(errno)) => {
            cx.set_errno(errno);
            F::default()
        }
    }
}

/// Converts text to an integer.
#[shim(msvcrt(strtol), ucrtbase(strtol))]
fn strtol(cx: &Cx, text: Ptr<u8>, end: Ptr<Ptr<u8>>, base: i32) -> Crt<i32> {
    integer(cx, text, end, base, LONG).map(|p| p.int())
}

/// Converts text to an integer.
#[shim(msvcrt(_strtol_l), ucrtbase(_strtol_l))]
fn _strtol_l(cx: &Cx, text: Ptr<u8>, end: Ptr<Ptr<u8>>, base: i32, locale: Ptr<u8>) -> Crt<i32> {
    let _ = locale;
    integer(cx, text, end, base, LONG).map(|p| p.int())
}

/// Converts text to an integer.
#[shim(msvcrt(wcstol), ucrtbase(wcstol))]
fn wcstol(cx: &Cx, text: Ptr<u16>, end: Ptr<Ptr<u16>>, base: i32) -> Crt<i32> {
    integer(cx, text, end, base, LONG).map(|p| p.int())
}

/// Converts text to an integer.
#[shim(msvcrt(_wcstol_l), ucrtbase(_wcstol_l))]
fn _wcstol_l(cx: &Cx, text: Ptr<u16>, end: Ptr<Ptr<u16>>, base: i32, locale: Ptr<u8>) -> Crt<i32> {
    let _ = locale;
    integer(cx, text, end, base, LONG).map(|p| p.int())
}

/// Converts text to an integer.
#[shim(msvcrt(strtoul), ucrtbase(strtoul))]
fn strtoul(cx: &Cx, text: Ptr<u8>, end: Ptr<Ptr<u8>>, base: i32) -> Crt<u32> {
    integer(cx, text, end, base, ULONG).map(|p| p.int().cast_unsigned())
}

/// Converts text to an integer.
#[shim(msvcrt(_strtoul_l), ucrtbase(_strtoul_l))]
fn _strtoul_l(cx: &Cx, text: Ptr<u8>, end: Ptr<Ptr<u8>>, base: i32, locale: Ptr<u8>) -> Crt<u32> {
    let _ = locale;
    integer(cx, text, end, base, ULONG).map(|p| p.int().cast_unsigned())
}

/// Converts text to an integer.
#[shim(msvcrt(wcstoul), ucrtbase(wcstoul))]
fn wcstoul(cx: &Cx, text: Ptr<u16>, end: Ptr<Ptr<u16>>, base: i32) -> Crt<u32> {
    integer(cx, text, end, base, ULONG).map(|p| p.int().cast_unsigned())
}

/// Converts text to an integer.
#[shim(msvcrt(_wcstoul_l), ucrtbase(_wcstoul_l))]
fn _wcstoul_l(cx: &Cx, text: Ptr<u16>, end: Ptr<Ptr<u16>>, base: i32, locale: Ptr<u8>) -> Crt<u32> {
    let _ = locale;
    integer(cx, text, end, base, ULONG).map(|p| p.int().cast_unsigned())
}

/// Converts text to an integer.
#[shim(msvcrt(strtoll, _strtoi64, strtoimax), ucrtbase(strtoll, _strtoi64, strtoimax))]
fn strtoll(cx: &Cx, text: Ptr<u8>, end: Ptr<Ptr<u8>>, base: i32) -> Crt<i64> {
    integer(cx, text, end, base, LONG_LONG).map(|p| p.value.cast_signed())
}

/// Converts text to an integer.
#[shim(msvcrt(_strtoll_l, _strtoi64_l, _strtoimax_l), ucrtbase(_strtoll_l, _strtoi64_l, _strtoimax_l))]
fn _strtoll_l(cx: &Cx, text: Ptr<u8>, end: Ptr<Ptr<u8>>, base: i32, locale: Ptr<u8>) -> Crt<i64> {
    let _ = locale;
    integer(cx, text, end, base, LONG_LONG).map(|p| p.value.cast_signed())
}

/// Converts text to an integer.
#[shim(msvcrt(wcstoll, _wcstoi64, wcstoimax), ucrtbase(wcstoll, _wcstoi64, wcstoimax))]
fn wcstoll(cx: &Cx, text: Ptr<u16>, end: Ptr<Ptr<u16>>, base: i32) -> Crt<i64> {
    integer(cx, text, end, base, LONG_LONG).map(|p| p.value.cast_signed())
}

/// Converts text to an integer.
#[shim(msvcrt(_wcstoll_l, _wcstoi64_l, _wcstoimax_l), ucrtbase(_wcstoll_l, _wcstoi64_l, _wcstoimax_l))]
fn _wcstoll_l(cx: &Cx, text: Ptr<u16>, end: Ptr<Ptr<u16>>, base: i32, locale: Ptr<u8>) -> Crt<i64> {
    let _ = locale;
    integer(cx, text, end, base, LONG_LONG).map(|p| p.value.cast_signed())
}

/// Converts text to an integer.
#[shim(msvcrt(strtoull, _strtoui64, strtoumax), ucrtbase(strtoull, _strtoui64, strtoumax))]
fn strtoull(cx: &Cx, text: Ptr<u8>, end: Ptr<Ptr<u8>>, base: i32) -> Crt<u64> {
    integer(cx, text, end, base, ULONG_LONG).map(|p| p.value)
}

/// Converts text to an integer.
#[shim(msvcrt(_strtoull_l, _strtoui64_l, _strtoumax_l), ucrtbase(_strtoull_l, _strtoui64_l, _strtoumax_l))]
fn _strtoull_l(cx: &Cx, text: Ptr<u8>, end: Ptr<Ptr<u8>>, base: i32, locale: Ptr<u8>) -> Crt<u64> {
    let _ = locale;
    integer(cx, text, end, base, ULONG_LONG).map(|p| p.value)
}

/// Converts text to an integer.
#[shim(msvcrt(wcstoull, _wcstoui64, wcstoumax), ucrtbase(wcstoull, _wcstoui64, wcstoumax))]
fn wcstoull(cx: &Cx, text: Ptr<u16>, end: Ptr<Ptr<u16>>, base: i32) -> Crt<u64> {
    integer(cx, text, end, base, ULONG_LONG).map(|p| p.value)
}

/// Converts text to an integer.
#[shim(msvcrt(_wcstoull_l, _wcstoui64_l, _wcstoumax_l), ucrtbase(_wcstoull_l, _wcstoui64_l, _wcstoumax_l))]
fn _wcstoull_l(cx: &Cx, text: Ptr<u16>, end: Ptr<Ptr<u16>>, base: i32, locale: Ptr<u8>) -> Crt<u64> {
    let _ = locale;
    integer(cx, text, end, base, ULONG_LONG).map(|p| p.value)
}

/// Converts text to an integer.
#[shim(msvcrt(atoi, atol), ucrtbase(atoi, atol))]
fn atoi(cx: &Cx, text: Ptr<u8>) -> Crt<i32> {
    integer(cx, text, Ptr::NULL, 10, LONG).map(|p| p.int())
}

/// Converts text to an integer.
#[shim(msvcrt(_wtoi, _wtol), ucrtbase(_wtoi, _wtol))]
fn _wtoi(cx: &Cx, text: Ptr<u16>) -> Crt<i32> {
    integer(cx, text, Ptr::NULL, 10, LONG).map(|p| p.int())
}

/// Converts text to an integer.
#[shim(msvcrt(atoll, _atoi64), ucrtbase(atoll, _atoi64))]
fn atoll(cx: &Cx, text: Ptr<u8>) -> Crt<i64> {
    integer(cx, text, Ptr::NULL, 10, LONG_LONG).map(|p| p.value.cast_signed())
}

/// Converts text to an integer.
#[shim(msvcrt(_wtoll, _wtoi64), ucrtbase(_wtoll, _wtoi64))]
fn _wtoll(cx: &Cx, text: Ptr<u16>) -> Crt<i64> {
    integer(cx, text, Ptr::NULL, 10, LONG_LONG).map(|p| p.value.cast_signed())
}

/// Converts text to a number.
#[shim(msvcrt(strtod))]
fn strtod_msvcrt(cx: &Cx, text: Ptr<u8>, end: Ptr<Ptr<u8>>) -> f64 {
    value(cx, double(cx, text, end, true))
}

/// Converts text to a number.
#[shim(msvcrt(_strtod_l))]
fn strtod_msvcrt_l(cx: &Cx, text: Ptr<u8>, end: Ptr<Ptr<u8>>, locale: Ptr<u8>) -> f64 {
    let _ = locale;
    value(cx, double(cx, text, end, true))
}

/// Converts text to a number.
#[shim(ucrtbase(strtod))]
fn strtod_ucrtbase(cx: &Cx, text: Ptr<u8>, end: Ptr<Ptr<u8>>) -> f64 {
    value(cx, double(cx, text, end, false))
}

/// Converts text to a number.
#[shim(ucrtbase(_strtod_l))]
fn strtod_ucrtbase_l(cx: &Cx, text: Ptr<u8>, end: Ptr<Ptr<u8>>, locale: Ptr<u8>) -> f64 {
    let _ = locale;
    value(cx, double(cx, text, end, false))
}

/// Converts text to a number.
#[shim(msvcrt(wcstod))]
fn wcstod_msvcrt(cx: &Cx, text: Ptr<u16>, end: Ptr<Ptr<u16>>) -> f64 {
    value(cx, double(cx, text, end, true))
}

/// Converts text to a number.
#[shim(msvcrt(_wcstod_l))]
fn wcstod_msvcrt_l(cx: &Cx, text: Ptr<u16>, end: Ptr<Ptr<u16>>, locale: Ptr<u8>) -> f64 {
    let _ = locale;
    value(cx, double(cx, text, end, true))
}

/// Converts text to a number.
#[shim(ucrtbase(wcstod))]
fn wcstod_ucrtbase(cx: &Cx, text: Ptr<u16>, end: Ptr<Ptr<u16>>) -> f64 {
    value(cx, double(cx, text, end, false))
}

/// Converts text to a number.
#[shim(ucrtbase(_wcstod_l))]
fn wcstod_ucrtbase_l(cx: &Cx, text: Ptr<u16>, end: Ptr<Ptr<u16>>, locale: Ptr<u8>) -> f64 {
    let _ = locale;
    value(cx, double(cx, text, end, false))
}

/// Converts text to a number.
#[shim(msvcrt, ucrtbase)]
fn strtof(cx: &Cx, text: Ptr<u8>, end: Ptr<Ptr<u8>>) -> f32 {
    value(cx, single(cx, text, end, false))
}

/// Converts text to a number.
#[shim(ucrtbase)]
fn _strtof_l(cx: &Cx, text: Ptr<u8>, end: Ptr<Ptr<u8>>, locale: Ptr<u8>) -> f32 {
    let _ = locale;
    value(cx, single(cx, text, end, false))
}

/// Converts text to a number.
#[shim(msvcrt, ucrtbase)]
fn wcstof(cx: &Cx, text: Ptr<u16>, end: Ptr<Ptr<u16>>) -> f32 {
    value(cx, single(cx, text, end, false))
}

/// Converts text to a number.
#[shim(ucrtbase)]
fn _wcstof_l(cx: &Cx, text: Ptr<u16>, end: Ptr<Ptr<u16>>, locale: Ptr<u8>) -> f32 {
    let _ = locale;
    value(cx, single(cx, text, end, false))
}

/// Converts text to a number (`long double` is `double`).
#[shim(ucrtbase)]
fn strtold(cx: &Cx, text: Ptr<u8>, end: Ptr<Ptr<u8>>) -> f64 {
    value(cx, double(cx, text, end, false))
}

/// Converts text to a number.
#[shim(msvcrt(atof))]
fn atof_msvcrt(cx: &Cx, text: Ptr<u8>) -> f64 {
    value(cx, double(cx, text, Ptr::NULL, true))
}

/// Converts text to a number.
#[shim(ucrtbase(atof))]
fn atof_ucrtbase(cx: &Cx, text: Ptr<u8>) -> f64 {
    value(cx, double(cx, text, Ptr::NULL, false))
}

/// Converts text to a number.
#[shim(msvcrt(_wtof))]
fn wtof_msvcrt(cx: &Cx, text: Ptr<u16>) -> f64 {
    value(cx, double(cx, text, Ptr::NULL, true))
}

/// Converts text to a number.
#[shim(ucrtbase(_wtof))]
fn wtof_ucrtbase(cx: &Cx, text: Ptr<u16>) -> f64 {
    value(cx, double(cx, text, Ptr::NULL, false))
}

/// Writes an integer; `size` is the buffer's, or `usize::MAX`.
fn write_integer<U: GuestUnit>(
    cx: &Cx,
    buffer: Ptr<U>,
    size: usize,
    magnitude: u64,
    negative: bool,
    base: i32,
) -> Crt<()> {
    let base = u32::try_from(base).ok().filter(|b| (2..=36).contains(b));
    let (Some(base), false) = (base, buffer.is_null()) else { return Err(invalid(cx, EINVAL)) };
    let mut digits = [0u8; 72];
    let text = number::int_text(&mut digits, magnitude, negative, base);
    if text.len() >= size {
        if size > 0 {
            mem::write(buffer.addr(), &U::NUL)?;
        }
        return Err(invalid(cx, ERANGE));
    }
    let mut units = [U::NUL; 72];
    for (to, from) in units.iter_mut().zip(text) {
        *to = U::from_ascii(*from);
    }
    Ok(guest::put(buffer.addr(), &units[..text.len()])?)
}

/// Magnitude and sign of a signed value: only base 10 shows signs, other bases the bits.
fn signed32(value: i32, base: i32) -> (u64, bool) {
    if base == 10 && value < 0 {
        (value.unsigned_abs().into(), true)
    } else {
        (value.cast_unsigned().into(), false)
    }
}

/// The same for 64 bits.
fn signed64(value: i64, base: i32) -> (u64, bool) {
    if base == 10 && value < 0 { (value.unsigned_abs(), true) } else { (value.cast_unsigned(), false) }
}

/// Writes an integer as text.
#[shim(msvcrt(_itoa, itoa, _ltoa, ltoa), ucrtbase(_itoa, itoa, _ltoa, ltoa))]
fn _itoa(cx: &Cx, value: i32, buffer: Ptr<u8>, base: i32) -> Crt<Ptr<u8>> {
    let (magnitude, negative) = signed32(value, base);
    write_integer(cx, buffer, usize::MAX, magnitude, negative, base)?;
    Ok(buffer)
}

/// Writes an integer as text into a buffer of known size.
#[shim(msvcrt(_itoa_s, _ltoa_s), ucrtbase(_itoa_s, _ltoa_s), fails = 22)]
fn _itoa_s(cx: &Cx, value: i32, buffer: Ptr<u8>, size: usize, base: i32) -> Crt<i32> {
    let (magnitude, negative) = signed32(value, base);
    write_integer(cx, buffer, size, magnitude, negative, base)?;
    Ok(0)
}

/// Writes an integer as text.
#[shim(msvcrt(_itow, _ltow), ucrtbase(_itow, _ltow))]
fn _itow(cx: &Cx, value: i32, buffer: Ptr<u16>, base: i32) -> Crt<Ptr<u16>> {
    let (magnitude, negative) = signed32(value, base);
    write_integer(cx, buffer, usize::MAX, magnitude, negative, base)?;
    Ok(buffer)
}

/// Writes an integer as text into a buffer of known size.
#[shim(msvcrt(_itow_s, _ltow_s), ucrtbase(_itow_s, _ltow_s), fails = 22)]
fn _itow_s(cx: &Cx, value: i32, buffer: Ptr<u16>, size: usize, base: i32) -> Crt<i32> {
    let (magnitude, negative) = signed32(value, base);
    write_integer(cx, buffer, size, magnitude, negative, base)?;
    Ok(0)
}

/// Writes an integer as text.
#[shim(msvcrt(_ultoa, ultoa), ucrtbase(_ultoa, ultoa))]
fn _ultoa(cx: &Cx, value: u32, buffer: Ptr<u8>, base: i32) -> Crt<Ptr<u8>> {
    let (magnitude, negative) = (value.into(), false);
    write_integer(cx, buffer, usize::MAX, magnitude, negative, base)?;
    Ok(buffer)
}

/// Writes an integer as text into a buffer of known size.
#[shim(msvcrt(_ultoa_s), ucrtbase(_ultoa_s), fails = 22)]
fn _ultoa_s(cx: &Cx, value: u32, buffer: Ptr<u8>, size: usize, base: i32) -> Crt<i32> {
    let (magnitude, negative) = (value.into(), false);
    write_integer(cx, buffer, size, magnitude, negative, base)?;
    Ok(0)
}

/// Writes an integer as text.
#[shim(msvcrt(_ultow), ucrtbase(_ultow))]
fn _ultow(cx: &Cx, value: u32, buffer: Ptr<u16>, base: i32) -> Crt<Ptr<u16>> {
    let (magnitude, negative) = (value.into(), false);
    write_integer(cx, buffer, usize::MAX, magnitude, negative, base)?;
    Ok(buffer)
}

/// Writes an integer as text into a buffer of known size.
#[shim(msvcrt(_ultow_s), ucrtbase(_ultow_s), fails = 22)]
fn _ultow_s(cx: &Cx, value: u32, buffer: Ptr<u16>, size: usize, base: i32) -> Crt<i32> {
    let (magnitude, negative) = (value.into(), false);
    write_integer(cx, buffer, size, magnitude, negative, base)?;
    Ok(0)
}

/// Writes an integer as text.
#[shim(msvcrt(_i64toa), ucrtbase(_i64toa))]
fn _i64toa(cx: &Cx, value: i64, buffer: Ptr<u8>, base: i32) -> Crt<Ptr<u8>> {
    let (magnitude, negative) = signed64(value, base);
    write_integer(cx, buffer, usize::MAX, magnitude, negative, base)?;
    Ok(buffer)
}

/// Writes an integer as text into a buffer of known size.
#[shim(msvcrt(_i64toa_s), ucrtbase(_i64toa_s), fails = 22)]
fn _i64toa_s(cx: &Cx, value: i64, buffer: Ptr<u8>, size: usize, base: i32) -> Crt<i32> {
    let (magnitude, negative) = signed64(value, base);
    write_integer(cx, buffer, size, magnitude, negative, base)?;
    Ok(0)
}

/// Writes an integer as text.
#[shim(msvcrt(_i64tow), ucrtbase(_i64tow))]
fn _i64tow(cx: &Cx, value: i64, buffer: Ptr<u16>, base: i32) -> Crt<Ptr<u16>> {
    let (magnitude, negative) = signed64(value, base);
    write_integer(cx, buffer, usize::MAX, magnitude, negative, base)?;
    Ok(buffer)
}

/// Writes an integer as text into a buffer of known size.
#[shim(msvcrt(_i64tow_s), ucrtbase(_i64tow_s), fails = 22)]
fn _i64tow_s(cx: &Cx, value: i64, buffer: Ptr<u16>, size: usize, base: i32) -> Crt<i32> {
    let (magnitude, negative) = signed64(value, base);
    write_integer(cx, buffer, size, magnitude, negative, base)?;
    Ok(0)
}

/// Writes an integer as text.
#[shim(msvcrt(_ui64toa), ucrtbase(_ui64toa))]
fn _ui64toa(cx: &Cx, value: u64, buffer: Ptr<u8>, base: i32) -> Crt<Ptr<u8>> {
    let (magnitude, negative) = (value, false);
    write_integer(cx, buffer, usize::MAX, magnitude, negative, base)?;
    Ok(buffer)
}

/// Writes an integer as text into a buffer of known size.
#[shim(msvcrt(_ui64toa_s), ucrtbase(_ui64toa_s), fails = 22)]
fn _ui64toa_s(cx: &Cx, value: u64, buffer: Ptr<u8>, size: usize, base: i32) -> Crt<i32> {
    let (magnitude, negative) = (value, false);
    write_integer(cx, buffer, size, magnitude, negative, base)?;
    Ok(0)
}

/// Writes an integer as text.
#[shim(msvcrt(_ui64tow), ucrtbase(_ui64tow))]
fn _ui64tow(cx: &Cx, value: u64, buffer: Ptr<u16>, base: i32) -> Crt<Ptr<u16>> {
    let (magnitude, negative) = (value, false);
    write_integer(cx, buffer, usize::MAX, magnitude, negative, base)?;
    Ok(buffer)
}

/// Writes an integer as text into a buffer of known size.
#[shim(msvcrt(_ui64tow_s), ucrtbase(_ui64tow_s), fails = 22)]
fn _ui64tow_s(cx: &Cx, value: u64, buffer: Ptr<u16>, size: usize, base: i32) -> Crt<i32> {
    let (magnitude, negative) = (value, false);
    write_integer(cx, buffer, size, magnitude, negative, base)?;
    Ok(0)
}

/// Puts digits into the thread's buffer and stores point and sign.
fn give_cvt(cx: &Cx, cvt: &number::Cvt, point: Ptr<i32>, sign: Ptr<i32>) -> Crt<Ptr<u8>> {
    let at = area::at(cx, area::CVT);
    let digits = cvt.digits.as_bytes();
    guest::put(at, &digits[..digits.len().min(350)])?;
    point.write(cx, cvt.point)?;
    sign.write(cx, cvt.negative.into())?;
    Ok(Ptr::new(at))
}

/// Significant digits of a number.
#[shim(msvcrt, ucrtbase)]
fn _ecvt(cx: &Cx, value: f64, count: i32, point: Ptr<i32>, sign: Ptr<i32>) -> Crt<Ptr<u8>> {
    give_cvt(cx, &number::ecvt(value, count), point, sign)
}

/// Digits of a number to a place after its point.
#[shim(msvcrt, ucrtbase)]
fn _fcvt(cx: &Cx, value: f64, count: i32, point: Ptr<i32>, sign: Ptr<i32>) -> Crt<Ptr<u8>> {
    give_cvt(cx, &number::fcvt(value, count), point, sign)
}

fn gcvt(buffer: Ptr<u8>, value: f64, digits: i32, msvcrt: bool) -> Crt<Ptr<u8>> {
    guest::put(buffer.addr(), number::gcvt(value, digits, msvcrt).as_bytes())?;
    Ok(buffer)
}

/// Writes a number as text.
#[shim(msvcrt(_gcvt, gcvt))]
fn gcvt_msvcrt(value: f64, digits: i32, buffer: Ptr<u8>) -> Crt<Ptr<u8>> {
    gcvt(buffer, value, digits, true)
}

/// Writes a number as text.
#[shim(ucrtbase(_gcvt, gcvt))]
fn gcvt_ucrtbase(value: f64, digits: i32, buffer: Ptr<u8>) -> Crt<Ptr<u8>> {
    gcvt(buffer, value, digits, false)
}

/// Writes a number as text into a buffer of known size.
#[shim(msvcrt, ucrtbase, fails = 22)]
fn _gcvt_s(cx: &Cx, buffer: Ptr<u8>, size: usize, value: f64, digits: i32) -> Crt<i32> {
    let text = number::gcvt(value, digits, false);
    invalid::check(cx, !buffer.is_null())?;
    if text.len() >= size {
        return Err(invalid(cx, ERANGE));
    }
    guest::put(buffer.addr(), text.as_bytes())?;
    Ok(0)
}
