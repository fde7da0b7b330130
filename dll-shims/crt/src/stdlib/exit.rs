//! Ending the program (process.h, stdlib.h).

use std::sync::atomic::{AtomicI32, AtomicU32, Ordering};

use transom_sdk::{AStr, Crt, Cx, WStr, shim};

use super::{onexit, signal};
use crate::stdio::{buffer, stream};

/// Exit code of `abort`.
const ABORT_CODE: u32 = 3;
/// `_WRITE_ABORT_MSG`.
const WRITE_ABORT_MESSAGE: u32 = 1;

/// Options of abnormal ends.
#[derive(Default)]
struct State {
    /// Bits that `_set_abort_behavior` cleared (so that the default is zero).
    abort_cleared: AtomicU32,
    error_mode: AtomicI32,
    app_type: AtomicI32,
}

/// Calls the functions registered for exit and writes all buffers.
fn clean_up(cx: &Cx) {
    onexit::run(cx);
    buffer::flush_all(cx);
}

/// Ends the program regularly.
#[shim(msvcrt, ucrtbase)]
fn exit(cx: &Cx, code: i32) -> ! {
    clean_up(cx);
    cx.process().exit(cx, code.cast_unsigned())
}

/// Ends the program without the functions registered for exit.
#[shim(msvcrt(_exit, _Exit), ucrtbase(_exit, _Exit))]
fn _exit(cx: &Cx, code: i32) -> ! {
    stream::abandon(cx);
    cx.process().exit(cx, code.cast_unsigned())
}

/// Ends the program with the functions registered for that only.
#[shim(ucrtbase)]
fn quick_exit(cx: &Cx, code: i32) -> ! {
    onexit::run_quick(cx);
    stream::abandon(cx);
    cx.process().exit(cx, code.cast_unsigned())
}

/// Does what `exit` does, but returns.
#[shim(msvcrt, ucrtbase)]
fn _cexit(cx: &Cx) {
    clean_up(cx);
}

/// Does what `_exit` does, but returns: nothing.
#[shim(msvcrt, ucrtbase)]
fn _c_exit() {}

/// Ends the program abnormally.
#[shim(msvcrt, ucrtbase)]
pub(crate) fn abort(cx: &Cx) -> ! {
    let cleared = cx.state::<State>().abort_cleared.load(Ordering::Relaxed);
    let handled = signal::raise(cx, signal::SIGABRT);
    // msvcrt says so; ucrt's release build is silent, and both agree on the code.
    if !handled && cleared & WRITE_ABORT_MESSAGE == 0 {
        log::debug!("the program called abort");
    }
    stream::abandon(cx);
    cx.process().terminate(ABORT_CODE)
}

/// Ends the program for want of an exception handler.
#[shim(
    msvcrt(terminate, _terminate, "?terminate@@YAXXZ"),
    ucrtbase(terminate),
    vcruntime140(__std_terminate)
)]
pub(crate) fn terminate(cx: &Cx) -> ! {
    signal::call_terminate_handler(cx);
    abort(cx)
}

/// Ends the program for a call of a pure virtual function.
#[shim(msvcrt, ucrtbase, vcruntime140)]
fn _purecall(cx: &Cx) -> ! {
    message(cx, "runtime error R6025: pure virtual function call");
    abort(cx)
}

/// Changes what `abort` does; returns the flags before.
#[shim(msvcrt, ucrtbase)]
fn _set_abort_behavior(cx: &Cx, flags: u32, mask: u32) -> u32 {
    let cleared = &cx.state::<State>().abort_cleared;
    let old = cleared.load(Ordering::Relaxed);
    cleared.store(old & !mask | !flags & mask, Ordering::Relaxed);
    3 & !old
}

/// Writes a line to standard error.
fn message(cx: &Cx, text: &str) {
    let line = format!("{text}\n");
    if let Ok(error) = stream::standard(cx, 2)
        && let Ok(locked) = stream::lock(cx, error)
    {
        // Nothing can be done about an error that cannot be reported.
        let _ = locked.write_host(line.as_bytes());
    }
}

/// Reports a failed assertion and ends the program.
#[shim(msvcrt, ucrtbase)]
fn _assert(cx: &Cx, expression: AStr, file: AStr, line: u32) -> Crt<()> {
    let text = |s: AStr| s.to_wide().map(|t| String::from_utf16_lossy(&t));
    failed_assertion(cx, &text(expression)?, &text(file)?, line)
}

/// Reports a failed assertion and ends the program.
#[shim(msvcrt, ucrtbase)]
fn _wassert(cx: &Cx, expression: WStr, file: WStr, line: u32) -> Crt<()> {
    let text = |s: WStr| s.get().map(|t| String::from_utf16_lossy(&t));
    failed_assertion(cx, &text(expression)?, &text(file)?, line)
}

fn failed_assertion(cx: &Cx, expression: &str, file: &str, line: u32) -> ! {
    message(cx, &format!("Assertion failed: {expression}, file {file}, line {line}"));
    abort(cx)
}

/// Reports a runtime error of start-up and ends the program with code 255.
#[shim(msvcrt)]
fn _amsg_exit(cx: &Cx, number: i32) -> ! {
    message(cx, &format!("runtime error R60{number:02}"));
    stream::abandon(cx);
    cx.process().exit(cx, 255)
}

/// Where error messages go: to standard error in any case here.
#[shim(msvcrt, ucrtbase)]
fn _set_error_mode(cx: &Cx, mode: i32) -> i32 {
    const REPORT: i32 = 3;
    let state = &cx.state::<State>().error_mode;
    if mode == REPORT { state.load(Ordering::Relaxed) } else { state.swap(mode, Ordering::Relaxed) }
}

/// Says whether the program has a console or windows.
#[shim(msvcrt(__set_app_type), ucrtbase(_set_app_type))]
fn set_app_type(cx: &Cx, kind: i32) {
    cx.state::<State>().app_type.store(kind, Ordering::Relaxed);
}

/// Whether the program has a console or windows.
#[shim(ucrtbase)]
fn _query_app_type(cx: &Cx) -> i32 {
    cx.state::<State>().app_type.load(Ordering::Relaxed)
}

/// The process identifier.
#[shim(msvcrt(_getpid, getpid), ucrtbase(_getpid, getpid))]
fn _getpid() -> u32 {
    std::process::id()
}
