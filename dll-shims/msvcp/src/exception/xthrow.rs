//! The functions that throw for the headers' code, so that it need not know the classes.

use transom_sdk::{AStr, Crt, Cx, shim};

use super::classes::{self as c, CODE};
use super::{category, throw};
use crate::system::errors;

/// Throws `bad_alloc`.
#[shim(msvcp140("?_Xbad_alloc@std@@YAXXZ"))]
pub(crate) fn xbad_alloc(cx: &Cx) -> Crt<()> {
    throw(cx, &c::BAD_ALLOC, b"bad allocation")
}

/// Throws `invalid_argument`.
#[shim(msvcp140("?_Xinvalid_argument@std@@YAXPEBD@Z"))]
fn xinvalid_argument(cx: &Cx, message: AStr) -> Crt<()> {
    throw(cx, &c::INVALID_ARGUMENT, message.get()?)
}

/// Throws `length_error`.
#[shim(msvcp140("?_Xlength_error@std@@YAXPEBD@Z"))]
fn xlength_error(cx: &Cx, message: AStr) -> Crt<()> {
    throw(cx, &c::LENGTH_ERROR, message.get()?)
}

/// Throws `out_of_range`.
#[shim(msvcp140("?_Xout_of_range@std@@YAXPEBD@Z"))]
fn xout_of_range(cx: &Cx, message: AStr) -> Crt<()> {
    throw(cx, &c::OUT_OF_RANGE, message.get()?)
}

/// Throws `overflow_error`.
#[shim(msvcp140("?_Xoverflow_error@std@@YAXPEBD@Z"))]
fn xoverflow_error(cx: &Cx, message: AStr) -> Crt<()> {
    throw(cx, &c::OVERFLOW_ERROR, message.get()?)
}

/// Throws `range_error`.
#[shim(msvcp140("?_Xrange_error@std@@YAXPEBD@Z"))]
fn xrange_error(cx: &Cx, message: AStr) -> Crt<()> {
    throw(cx, &c::RANGE_ERROR, message.get()?)
}

/// Throws `runtime_error`.
#[shim(msvcp140("?_Xruntime_error@std@@YAXPEBD@Z"))]
fn xruntime_error(cx: &Cx, message: AStr) -> Crt<()> {
    throw(cx, &c::RUNTIME_ERROR, message.get()?)
}

/// Throws `bad_function_call`: an empty `std::function` was called.
#[shim(msvcp140("?_Xbad_function_call@std@@YAXXZ"))]
fn xbad_function_call(cx: &Cx) -> Crt<()> {
    throw(cx, &c::BAD_FUNCTION_CALL, b"bad function call")
}

/// Texts of `regex_constants::error_type`, in the order of its values from 0.
const REGEX_ERRORS: [&str; 13] = [
    "error_collate",
    "error_ctype",
    "error_escape",
    "error_backref",
    "error_brack",
    "error_paren",
    "error_brace",
    "error_badbrace",
    "error_range",
    "error_space",
    "error_badrepeat",
    "error_complexity",
    "error_stack",
];

/// Throws `regex_error`.
#[shim(msvcp140("?_Xregex_error@std@@YAXW4error_type@regex_constants@1@@Z"))]
fn xregex_error(cx: &Cx, code: i32) -> Crt<()> {
    let name = usize::try_from(code).ok().and_then(|i| REGEX_ERRORS.get(i));
    let message = name.map_or_else(|| "regex_error".to_owned(), |n| format!("regex_error({n})"));
    let object = super::make(cx, &c::REGEX_ERROR, message.as_bytes())?;
    object.set(cx, CODE, code)?;
    drop(message);
    super::throw_object(cx, object, &c::REGEX_ERROR)
}

/// `errno` values by the reasons that [`throw_cpp_error`] is given.
const REASONS: [i32; 7] = {
    const EBUSY: i32 = 16;
    const EINVAL: i32 = 22;
    const ESRCH: i32 = 3;
    const ENOMEM: i32 = 12;
    const EPERM: i32 = 1;
    const EDEADLK: i32 = 36;
    const EAGAIN: i32 = 11;
    [EBUSY, EINVAL, ESRCH, ENOMEM, EPERM, EDEADLK, EAGAIN]
};

/// Throws `system_error` for a failure of a thread, mutex or condition variable.
#[shim(msvcp140("?_Throw_Cpp_error@std@@YAXH@Z"))]
pub(crate) fn throw_cpp_error(cx: &Cx, reason: i32) -> Crt<()> {
    let errno = usize::try_from(reason).ok().and_then(|i| REASONS.get(i)).copied().unwrap_or(REASONS[1]);
    let what = errors::text(errno);
    category::throw_coded(cx, &c::SYSTEM_ERROR, errno, category::Kind::Generic, what)
}

/// Throws `system_error` for the last error of the operating system.
#[shim(msvcp140("?_XGetLastError@std@@YAXXZ"), partial = "the message is that of the errno value")]
fn xget_last_error(cx: &Cx) -> Crt<()> {
    let code = cx.last_error().cast_signed();
    category::throw_coded(cx, &c::SYSTEM_ERROR, code, category::Kind::System, None)
}

/// Throws `system_error` for what a function of threads returned (`_Thrd_result`).
#[shim(msvcp140("?_Throw_C_error@std@@YAXH@Z"))]
fn throw_c_error(cx: &Cx, result: i32) -> Crt<()> {
    const NO_MEMORY: i32 = 1;
    const UNAVAILABLE: i32 = 6;
    const ERROR: i32 = 4;
    const BUSY: i32 = 0;
    throw_cpp_error(cx, if matches!(result, NO_MEMORY | ERROR) { UNAVAILABLE } else { BUSY })
}
