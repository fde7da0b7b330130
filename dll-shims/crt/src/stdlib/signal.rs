//! Signals (signal.h) and the handlers of abnormal ends.

use std::sync::atomic::{AtomicU64, Ordering};

use transom_sdk::{Crt, CrtError, Cx, Func, Ptr, mem, shim};

use crate::rt::area;
use crate::rt::errno::EINVAL;

/// Interrupt.
const SIGINT: i32 = 2;
/// Illegal instruction.
const SIGILL: i32 = 4;
/// Abort, as other systems number it.
const SIGABRT_COMPAT: i32 = 6;
/// Floating-point error.
const SIGFPE: i32 = 8;
/// Access violation.
const SIGSEGV: i32 = 11;
/// Termination request.
const SIGTERM: i32 = 15;
/// Ctrl-Break.
const SIGBREAK: i32 = 21;
/// Abort.
pub(crate) const SIGABRT: i32 = 22;

const SIG_DFL: u64 = 0;
const SIG_IGN: u64 = 1;
const SIG_ERR: u64 = u64::MAX;

/// Handlers by signal, and of the C++ runtime.
#[derive(Default)]
struct State {
    handlers: [AtomicU64; 8],
    terminate: AtomicU64,
}

fn slot(signal: i32) -> Option<usize> {
    const SIGNALS: [i32; 7] = [SIGINT, SIGILL, SIGFPE, SIGSEGV, SIGTERM, SIGBREAK, SIGABRT];
    let signal = if signal == SIGABRT_COMPAT { SIGABRT } else { signal };
    SIGNALS.iter().position(|s| *s == signal)
}

/// Sets a signal's handler; returns the one before.
#[shim(msvcrt, ucrtbase)]
fn signal(cx: &Cx, number: i32, handler: Func) -> Func {
    let Some(slot) = slot(number).filter(|_| handler.0 != 4) else {
        cx.set_errno(EINVAL);
        return Func(SIG_ERR);
    };
    Func(cx.state::<State>().handlers[slot].swap(handler.0, Ordering::Relaxed))
}

/// Calls a signal's handler; false if it has none of the program's own.
pub(crate) fn raise(cx: &Cx, number: i32) -> bool {
    let Some(slot) = slot(number) else { return false };
    match cx.state::<State>().handlers[slot].load(Ordering::Relaxed) {
        SIG_DFL => false,
        SIG_IGN => true,
        handler => {
            cx.state::<State>().handlers[slot].store(SIG_DFL, Ordering::Relaxed);
            // Handlers of SIGFPE take a second argument, the kind of error.
            cx.call(Func(handler), &[u64::from(number.unsigned_abs()), 0]);
            true
        }
    }
}

/// Raises a signal.
#[shim(msvcrt(raise), ucrtbase(raise), fails = -1)]
fn raise_signal(cx: &Cx, number: i32) -> Crt<i32> {
    if slot(number).is_none() {
        return Err(CrtError::Errno(EINVAL));
    }
    if matches!(number, SIGABRT | SIGABRT_COMPAT) && !is_set(cx, number) {
        super::exit::abort(cx);
    }
    if !raise(cx, number) {
        // The default action of every signal is to end the program.
        cx.process().exit(cx, 3);
    }
    Ok(0)
}

fn is_set(cx: &Cx, number: i32) -> bool {
    slot(number).is_some_and(|s| cx.state::<State>().handlers[s].load(Ordering::Relaxed) != SIG_DFL)
}

/// Sets the handler that `terminate` calls; returns the one before.
#[shim(msvcrt(set_terminate, _set_terminate, "?set_terminate@@YAP6AXXZP6AXXZ@Z"), ucrtbase(set_terminate))]
fn set_terminate(cx: &Cx, handler: Func) -> Func {
    Func(cx.state::<State>().terminate.swap(handler.0, Ordering::Relaxed))
}

/// The handler that `terminate` calls.
#[shim(ucrtbase)]
fn _get_terminate(cx: &Cx) -> Func {
    Func(cx.state::<State>().terminate.load(Ordering::Relaxed))
}

/// Calls it, if there is one.
pub(crate) fn call_terminate_handler(cx: &Cx) {
    let handler = cx.state::<State>().terminate.load(Ordering::Relaxed);
    if handler != 0 {
        cx.call(Func(handler), &[]);
    }
}

/// The signal that an exception code stands for, and the code for `_fpecode`.
fn signal_of(code: i32) -> Option<(i32, i32)> {
    use windows_sys::Win32::Foundation as f;
    Some(match code {
        f::STATUS_ACCESS_VIOLATION => (SIGSEGV, 0),
        f::STATUS_ILLEGAL_INSTRUCTION | f::STATUS_PRIVILEGED_INSTRUCTION => (SIGILL, 0),
        f::STATUS_FLOAT_INVALID_OPERATION => (SIGFPE, 0x81),
        f::STATUS_FLOAT_DENORMAL_OPERAND => (SIGFPE, 0x82),
        f::STATUS_FLOAT_DIVIDE_BY_ZERO => (SIGFPE, 0x83),
        f::STATUS_FLOAT_OVERFLOW => (SIGFPE, 0x84),
        f::STATUS_FLOAT_UNDERFLOW => (SIGFPE, 0x85),
        f::STATUS_FLOAT_INEXACT_RESULT => (SIGFPE, 0x86),
        f::STATUS_FLOAT_STACK_CHECK => (SIGFPE, 0x8A),
        _ => return None,
    })
}

const EXCEPTION_CONTINUE_EXECUTION: i32 = -1;
const EXCEPTION_CONTINUE_SEARCH: i32 = 0;

/// The filter around `main`: turns an exception into the signal that a handler was set for.
#[shim(msvcrt(_XcptFilter), ucrtbase(_seh_filter_exe))]
fn _seh_filter_exe(cx: &Cx, code: i32, pointers: Ptr<u8>) -> Crt<i32> {
    let Some((number, fpe)) = signal_of(code) else { return Ok(EXCEPTION_CONTINUE_SEARCH) };
    if !is_set(cx, number) {
        return Ok(EXCEPTION_CONTINUE_SEARCH);
    }
    crate::rt::globals::write_pointer(cx, area::at(cx, area::XCPTINFO), pointers.addr())?;
    mem::write(area::at(cx, area::FPECODE), &fpe)?;
    raise(cx, number);
    Ok(EXCEPTION_CONTINUE_EXECUTION)
}

/// The filter of a DLL's entry point: looks no further.
#[shim(ucrtbase)]
fn _seh_filter_dll(cx: &Cx, code: i32, pointers: Ptr<u8>) -> Crt<i32> {
    _seh_filter_exe(cx, code, pointers)
}

/// The address of the pointers to the exception that became a signal.
#[shim(msvcrt, ucrtbase)]
fn __pxcptinfoptrs(cx: &Cx) -> Ptr<u8> {
    Ptr::new(area::at(cx, area::XCPTINFO))
}

/// The address of the code of a floating-point signal.
#[shim(msvcrt, ucrtbase)]
fn __fpecode(cx: &Cx) -> Ptr<i32> {
    Ptr::new(area::at(cx, area::FPECODE))
}
