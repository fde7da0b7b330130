//! Formatted output to strings.

use transom_sdk::{Crt, Cx, Ptr, VaList, VarArgs, mem, shim};

use super::printf::{failed, msvcrt, msvcrt_positional, ucrt};
use crate::format::{self, Limit, Options, finish};
use crate::rt::args::{GuestArgs, GuestSink};
use crate::rt::errno::ERANGE;
use crate::rt::guest::{self, GuestUnit};
use crate::rt::invalid::{self, invalid};

/// Formats to a string by the rule `limit`.
fn print<U: GuestUnit>(
    cx: &Cx,
    buffer: Ptr<U>,
    limit: Limit,
    text: Ptr<U>,
    args: VarArgs,
    options: &Options,
) -> Crt<i32> {
    invalid::check(cx, !text.is_null())?;
    // Formats are short: most fit a buffer on the stack.
    let mut short = [U::NUL; 256];
    let length = guest::copy_until_nul(text.addr(), &mut short)?;
    let long;
    let text = if length < short.len() {
        &short[..length]
    } else {
        long = guest::string(text.addr())?;
        &long[..]
    };
    // Without a buffer the limited functions count.
    let limit = if buffer.is_null() && limit == Limit::Legacy(0) { Limit::Count } else { limit };
    let capacity = if buffer.is_null() { 0 } else { limit.capacity() };
    let mut args = GuestArgs::new(cx, args);
    let mut sink = GuestSink::new(buffer.addr(), capacity);
    let outcome = format::format::<U>(text, &mut args, &mut sink, options);
    let fault = args.fault().or(sink.fault);
    let end = finish(limit, outcome.ok());
    if let (Some(at), false) = (end.nul_at, buffer.is_null()) {
        mem::write(guest::unit_at(buffer, at).addr(), &U::NUL)?;
    }
    outcome.map_err(|e| failed(cx, e, None, fault))?;
    if end.range_error {
        return Err(invalid(cx, ERANGE));
    }
    Ok(end.result)
}

/// `_TRUNCATE` in a count.
fn count(count: usize, cx: &Cx) -> Option<usize> {
    (count != cx.word_max()).then_some(count)
}

/// Formats to a string.
#[shim(msvcrt, fails = -1)]
fn sprintf(cx: &Cx, buffer: Ptr<u8>, format: Ptr<u8>, args: VarArgs) -> Crt<i32> {
    print(cx, buffer, Limit::None, format, args, &msvcrt(cx))
}

/// Formats to a string.
#[shim(msvcrt, fails = -1)]
fn vsprintf(cx: &Cx, buffer: Ptr<u8>, format: Ptr<u8>, args: VaList) -> Crt<i32> {
    print(cx, buffer, Limit::None, format, args.args(), &msvcrt(cx))
}

/// Formats to a string of at most `size` characters, without a NUL if all are used.
#[shim(msvcrt, fails = -1)]
fn _snprintf(cx: &Cx, buffer: Ptr<u8>, size: usize, format: Ptr<u8>, args: VarArgs) -> Crt<i32> {
    print(cx, buffer, Limit::Legacy(size), format, args, &msvcrt(cx))
}

/// Formats to a string of at most `size` characters, without a NUL if all are used.
#[shim(msvcrt(_vsnprintf, vsnprintf), fails = -1)]
fn _vsnprintf(cx: &Cx, buffer: Ptr<u8>, size: usize, format: Ptr<u8>, args: VaList) -> Crt<i32> {
    print(cx, buffer, Limit::Legacy(size), format, args.args(), &msvcrt(cx))
}

/// Formats to a string; what does not fit is an invalid parameter.
#[shim(msvcrt, fails = -1)]
fn sprintf_s(cx: &Cx, buffer: Ptr<u8>, size: usize, format: Ptr<u8>, args: VarArgs) -> Crt<i32> {
    print(cx, buffer, Limit::Secure(size), format, args, &msvcrt(cx))
}

/// Formats to a string; what does not fit is an invalid parameter.
#[shim(msvcrt, fails = -1)]
fn vsprintf_s(cx: &Cx, buffer: Ptr<u8>, size: usize, format: Ptr<u8>, args: VaList) -> Crt<i32> {
    print(cx, buffer, Limit::Secure(size), format, args.args(), &msvcrt(cx))
}

/// Formats to a string, cut at `most` characters.
#[shim(msvcrt, fails = -1)]
fn _snprintf_s(
    cx: &Cx,
    buffer: Ptr<u8>,
    size: usize,
    most: usize,
    format: Ptr<u8>,
    args: VarArgs,
) -> Crt<i32> {
    let limit = Limit::SecureCount { size, count: count(most, cx) };
    print(cx, buffer, limit, format, args, &msvcrt(cx))
}

/// Formats to a string, cut at `most` characters.
#[shim(msvcrt, fails = -1)]
fn _vsnprintf_s(
    cx: &Cx,
    buffer: Ptr<u8>,
    size: usize,
    most: usize,
    format: Ptr<u8>,
    args: VaList,
) -> Crt<i32> {
    let limit = Limit::SecureCount { size, count: count(most, cx) };
    print(cx, buffer, limit, format, args.args(), &msvcrt(cx))
}

/// The length of formatted text.
#[shim(msvcrt, fails = -1)]
fn _scprintf(cx: &Cx, format: Ptr<u8>, args: VarArgs) -> Crt<i32> {
    print(cx, Ptr::NULL, Limit::Count, format, args, &msvcrt(cx))
}

/// The length of formatted text.
#[shim(msvcrt, fails = -1)]
fn _vscprintf(cx: &Cx, format: Ptr<u8>, args: VaList) -> Crt<i32> {
    print(cx, Ptr::NULL, Limit::Count, format, args.args(), &msvcrt(cx))
}

/// Formats to a string, with positional parameters.
#[shim(msvcrt, fails = -1)]
fn _sprintf_p(cx: &Cx, buffer: Ptr<u8>, size: usize, format: Ptr<u8>, args: VarArgs) -> Crt<i32> {
    print(cx, buffer, Limit::Secure(size), format, args, &msvcrt_positional(cx))
}

/// Formats to a string of unknown size (the form without a size, which msvcrt exports).
#[shim(msvcrt(swprintf, _swprintf), fails = -1)]
fn swprintf(cx: &Cx, buffer: Ptr<u16>, format: Ptr<u16>, args: VarArgs) -> Crt<i32> {
    print(cx, buffer, Limit::None, format, args, &msvcrt(cx))
}

/// Formats to a string of unknown size (the form without a size, which msvcrt exports).
#[shim(msvcrt(vswprintf, _vswprintf), fails = -1)]
fn vswprintf(cx: &Cx, buffer: Ptr<u16>, format: Ptr<u16>, args: VaList) -> Crt<i32> {
    print(cx, buffer, Limit::None, format, args.args(), &msvcrt(cx))
}

/// Formats to a string; what does not fit is cut and fails.
#[shim(msvcrt, fails = -1)]
fn _swprintf_c(cx: &Cx, buffer: Ptr<u16>, size: usize, format: Ptr<u16>, args: VarArgs) -> Crt<i32> {
    print(cx, buffer, Limit::Terminated(size), format, args, &msvcrt(cx))
}

/// Formats to a string; what does not fit is cut and fails.
#[shim(msvcrt, fails = -1)]
fn _vswprintf_c(cx: &Cx, buffer: Ptr<u16>, size: usize, format: Ptr<u16>, args: VaList) -> Crt<i32> {
    print(cx, buffer, Limit::Terminated(size), format, args.args(), &msvcrt(cx))
}

/// Formats to a string of at most `size` characters, without a NUL if all are used.
#[shim(msvcrt, fails = -1)]
fn _snwprintf(cx: &Cx, buffer: Ptr<u16>, size: usize, format: Ptr<u16>, args: VarArgs) -> Crt<i32> {
    print(cx, buffer, Limit::Legacy(size), format, args, &msvcrt(cx))
}

/// Formats to a string of at most `size` characters, without a NUL if all are used.
#[shim(msvcrt, fails = -1)]
fn _vsnwprintf(cx: &Cx, buffer: Ptr<u16>, size: usize, format: Ptr<u16>, args: VaList) -> Crt<i32> {
    print(cx, buffer, Limit::Legacy(size), format, args.args(), &msvcrt(cx))
}

/// Formats to a string; what does not fit is an invalid parameter.
#[shim(msvcrt, fails = -1)]
fn swprintf_s(cx: &Cx, buffer: Ptr<u16>, size: usize, format: Ptr<u16>, args: VarArgs) -> Crt<i32> {
    print(cx, buffer, Limit::Secure(size), format, args, &msvcrt(cx))
}

/// Formats to a string; what does not fit is an invalid parameter.
#[shim(msvcrt, fails = -1)]
fn vswprintf_s(cx: &Cx, buffer: Ptr<u16>, size: usize, format: Ptr<u16>, args: VaList) -> Crt<i32> {
    print(cx, buffer, Limit::Secure(size), format, args.args(), &msvcrt(cx))
}

/// Formats to a string, cut at `most` characters.
#[shim(msvcrt, fails = -1)]
fn _snwprintf_s(
    cx: &Cx,
    buffer: Ptr<u16>,
    size: usize,
    most: usize,
    format: Ptr<u16>,
    args: VarArgs,
) -> Crt<i32> {
    let limit = Limit::SecureCount { size, count: count(most, cx) };
    print(cx, buffer, limit, format, args, &msvcrt(cx))
}

/// Formats to a string, cut at `most` characters.
#[shim(msvcrt, fails = -1)]
fn _vsnwprintf_s(
    cx: &Cx,
    buffer: Ptr<u16>,
    size: usize,
    most: usize,
    format: Ptr<u16>,
    args: VaList,
) -> Crt<i32> {
    let limit = Limit::SecureCount { size, count: count(most, cx) };
    print(cx, buffer, limit, format, args.args(), &msvcrt(cx))
}

/// The length of formatted text.
#[shim(msvcrt, fails = -1)]
fn _scwprintf(cx: &Cx, format: Ptr<u16>, args: VarArgs) -> Crt<i32> {
    print(cx, Ptr::NULL, Limit::Count, format, args, &msvcrt(cx))
}

/// The length of formatted text.
#[shim(msvcrt, fails = -1)]
fn _vscwprintf(cx: &Cx, format: Ptr<u16>, args: VaList) -> Crt<i32> {
    print(cx, Ptr::NULL, Limit::Count, format, args.args(), &msvcrt(cx))
}

/// The rule of a ucrt call: without a buffer it only counts.
fn ucrt_limit<U>(cx: &Cx, options: &Options, buffer: Ptr<U>, size: usize) -> Limit {
    if buffer.is_null() { Limit::Count } else { Limit::of_common(options, count(size, cx)) }
}

/// Formats to a string: what ucrt's `sprintf` family calls.
#[shim(ucrtbase, fails = -1)]
fn __stdio_common_vsprintf(
    cx: &Cx,
    options: u64,
    buffer: Ptr<u8>,
    size: usize,
    format: Ptr<u8>,
    locale: Ptr<u8>,
    args: VaList,
) -> Crt<i32> {
    let _ = locale;
    let options = ucrt(cx, options);
    print(cx, buffer, ucrt_limit(cx, &options, buffer, size), format, args.args(), &options)
}

/// Formats to a string: what ucrt's `swprintf` family calls.
#[shim(ucrtbase, fails = -1)]
fn __stdio_common_vswprintf(
    cx: &Cx,
    options: u64,
    buffer: Ptr<u16>,
    size: usize,
    format: Ptr<u16>,
    locale: Ptr<u8>,
    args: VaList,
) -> Crt<i32> {
    let _ = locale;
    let options = ucrt(cx, options);
    print(cx, buffer, ucrt_limit(cx, &options, buffer, size), format, args.args(), &options)
}

/// Formats to a string: what ucrt's `sprintf_s` family calls.
#[shim(ucrtbase, fails = -1)]
fn __stdio_common_vsprintf_s(
    cx: &Cx,
    options: u64,
    buffer: Ptr<u8>,
    size: usize,
    format: Ptr<u8>,
    locale: Ptr<u8>,
    args: VaList,
) -> Crt<i32> {
    let _ = locale;
    invalid::check(cx, !buffer.is_null() && size > 0)?;
    print(cx, buffer, Limit::Secure(size), format, args.args(), &ucrt(cx, options))
}

/// Formats to a string: what ucrt's `swprintf_s` family calls.
#[shim(ucrtbase, fails = -1)]
fn __stdio_common_vswprintf_s(
    cx: &Cx,
    options: u64,
    buffer: Ptr<u16>,
    size: usize,
    format: Ptr<u16>,
    locale: Ptr<u8>,
    args: VaList,
) -> Crt<i32> {
    let _ = locale;
    invalid::check(cx, !buffer.is_null() && size > 0)?;
    print(cx, buffer, Limit::Secure(size), format, args.args(), &ucrt(cx, options))
}

/// Formats to a string: what ucrt's `_snprintf_s` family calls.
#[shim(ucrtbase, fails = -1)]
fn __stdio_common_vsnprintf_s(
    cx: &Cx,
    options: u64,
    buffer: Ptr<u8>,
    size: usize,
    most: usize,
    format: Ptr<u8>,
    locale: Ptr<u8>,
    args: VaList,
) -> Crt<i32> {
    let _ = locale;
    let limit = Limit::SecureCount { size, count: count(most, cx) };
    print(cx, buffer, limit, format, args.args(), &ucrt(cx, options))
}

/// Formats to a string: what ucrt's `_snwprintf_s` family calls.
#[shim(ucrtbase, fails = -1)]
fn __stdio_common_vsnwprintf_s(
    cx: &Cx,
    options: u64,
    buffer: Ptr<u16>,
    size: usize,
    most: usize,
    format: Ptr<u16>,
    locale: Ptr<u8>,
    args: VaList,
) -> Crt<i32> {
    let _ = locale;
    let limit = Limit::SecureCount { size, count: count(most, cx) };
    print(cx, buffer, limit, format, args.args(), &ucrt(cx, options))
}

/// Formats to a string, with positional parameters.
#[shim(ucrtbase, fails = -1)]
fn __stdio_common_vsprintf_p(
    cx: &Cx,
    options: u64,
    buffer: Ptr<u8>,
    size: usize,
    format: Ptr<u8>,
    locale: Ptr<u8>,
    args: VaList,
) -> Crt<i32> {
    let _ = locale;
    let options = Options { positional: true, ..ucrt(cx, options) };
    let limit = if buffer.is_null() { Limit::Count } else { Limit::Secure(size) };
    print(cx, buffer, limit, format, args.args(), &options)
}

/// Formats to a string, with positional parameters.
#[shim(ucrtbase, fails = -1)]
fn __stdio_common_vswprintf_p(
    cx: &Cx,
    options: u64,
    buffer: Ptr<u16>,
    size: usize,
    format: Ptr<u16>,
    locale: Ptr<u8>,
    args: VaList,
) -> Crt<i32> {
    let _ = locale;
    let options = Options { positional: true, ..ucrt(cx, options) };
    let limit = if buffer.is_null() { Limit::Count } else { Limit::Secure(size) };
    print(cx, buffer, limit, format, args.args(), &options)
}
