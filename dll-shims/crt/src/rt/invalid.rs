//! Parameter validation: what a function does with a parameter that it must not be given.
//!
//! Documentation: "Parameter validation", `_set_invalid_parameter_handler`.

use std::sync::atomic::{AtomicU64, Ordering};

use transom_sdk::{Crt, CrtError, Cx, Func, Parameters, Ptr, Record, shim};

use super::errno::EINVAL;

/// STATUS_INVALID_CRUNTIME_PARAMETER.
const STATUS_INVALID_CRUNTIME_PARAMETER: i32 =
    windows_sys::Win32::Foundation::STATUS_INVALID_CRUNTIME_PARAMETER;

/// The handlers that the program set.
#[derive(Default)]
struct State {
    handler: AtomicU64,
}

/// The per-thread handler.
#[derive(Default)]
struct Local {
    handler: AtomicU64,
}

/// Calls the guest's handler, if it set one, and gives the error to return after it: `errno` for the function's own failure
/// value. Without a handler a runtime ends the program; msvcrt does not, and neither does this unless the guest asked through
/// `_invoke_watson`: programs that pass wrong parameters to msvcrt work on Windows, and go on here.
pub(crate) fn invalid(cx: &Cx, errno: i32) -> CrtError {
    let local = cx.local::<Local>().handler.load(Ordering::Relaxed);
    let handler = if local == 0 { cx.state::<State>().handler.load(Ordering::Relaxed) } else { local };
    cx.set_errno(errno);
    if handler != 0 {
        cx.call(Func(handler), &[0, 0, 0, 0, 0]);
    }
    CrtError::Errno(errno)
}

/// Fails with EINVAL through the handler unless `valid`.
pub(crate) fn check(cx: &Cx, valid: bool) -> Crt<()> {
    if valid { Ok(()) } else { Err(invalid(cx, EINVAL)) }
}

/// Sets the handler of invalid parameters; returns the one before.
#[shim(msvcrt, ucrtbase)]
fn _set_invalid_parameter_handler(cx: &Cx, handler: Func) -> Func {
    Func(cx.state::<State>().handler.swap(handler.0, Ordering::Relaxed))
}

/// Gets the handler of invalid parameters.
#[shim(msvcrt, ucrtbase)]
fn _get_invalid_parameter_handler(cx: &Cx) -> Func {
    Func(cx.state::<State>().handler.load(Ordering::Relaxed))
}

/// Sets this thread's handler of invalid parameters; returns the one before.
#[shim(ucrtbase)]
fn _set_thread_local_invalid_parameter_handler(cx: &Cx, handler: Func) -> Func {
    Func(cx.local::<Local>().handler.swap(handler.0, Ordering::Relaxed))
}

/// Gets this thread's handler of invalid parameters.
#[shim(ucrtbase)]
fn _get_thread_local_invalid_parameter_handler(cx: &Cx) -> Func {
    Func(cx.local::<Local>().handler.load(Ordering::Relaxed))
}

/// Reports an invalid parameter.
#[shim(msvcrt, ucrtbase)]
fn _invalid_parameter(
    cx: &Cx,
    expression: Ptr<u16>,
    function: Ptr<u16>,
    file: Ptr<u16>,
    line: u32,
    reserved: usize,
) {
    let _ = (expression, function, file, line, reserved);
    invalid(cx, EINVAL);
}

/// Reports an invalid parameter without saying which.
#[shim(ucrtbase)]
fn _invalid_parameter_noinfo(cx: &Cx) {
    invalid(cx, EINVAL);
}

/// Reports an invalid parameter and ends the program.
#[shim(ucrtbase)]
fn _invalid_parameter_noinfo_noreturn(cx: &Cx) {
    invalid(cx, EINVAL);
    watson(cx)
}

/// Ends the program for an invalid parameter.
#[shim(msvcrt, ucrtbase)]
fn _invoke_watson(
    cx: &Cx,
    expression: Ptr<u16>,
    function: Ptr<u16>,
    file: Ptr<u16>,
    line: u32,
    reserved: usize,
) {
    let _ = (expression, function, file, line, reserved);
    watson(cx)
}

fn watson(cx: &Cx) -> ! {
    cx.raise(&Record {
        code: STATUS_INVALID_CRUNTIME_PARAMETER.cast_unsigned(),
        nested: 0,
        flags: 1,
        address: cx.return_address(),
        parameters: Parameters::default(),
    })
}
