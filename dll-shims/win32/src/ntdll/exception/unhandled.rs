//! What happens to an exception that no handler takes: the program's top-level filter, then a report and the end.

use transom_cpu::context::Context;
use transom_sdk::{Cx, Func, Parameters, Ptr, Record, Win32, shim};
use windows_sys::Win32::Foundation::STATUS_FAIL_FAST_EXCEPTION;
use windows_sys::Win32::System::SystemServices::EXCEPTION_NONCONTINUABLE;
use windows_sys::Win32::System::WindowsProgramming::FAIL_FAST_GENERATE_EXCEPTION_ADDRESS;

use super::area::Area;
use super::{raise, report};
use crate::kernel32::errhandlingapi::top_level_filter;

const EXECUTE_HANDLER: u32 = 1;
const CONTINUE_EXECUTION: u32 = u32::MAX;

/// Asks the top-level filter. Returns if it wants to go on.
#[expect(clippy::cast_possible_truncation, reason = "the result is a LONG")]
pub(crate) fn filter(cx: &Cx, area: &Area, record: &Record, context: &Context) {
    let filter = top_level_filter(cx);
    if filter == 0 {
        die(cx, record, context);
    }
    match cx.call_at(context, area.sp, Func(filter), &[area.pointers]) as u32 {
        CONTINUE_EXECUTION => {}
        // The program has said what it wanted to say.
        EXECUTE_HANDLER => cx.process().terminate(record.code),
        _ => die(cx, record, context),
    }
}

/// Reports the exception and ends the process with its code.
pub(crate) fn die(cx: &Cx, record: &Record, context: &Context) -> ! {
    report::print(cx, record, context);
    cx.process().crashed(cx, record, context);
    cx.process().terminate(record.code)
}

/// Passes unhandled exceptions to the top-level filter; without one, the process ends with a report.
#[shim(kernel32, ntdll(RtlUnhandledExceptionFilter))]
fn UnhandledExceptionFilter(cx: &Cx, pointers: Ptr<u8>) -> i32 {
    let filter = top_level_filter(cx);
    if filter != 0 {
        #[expect(clippy::cast_possible_truncation, reason = "the result is a LONG")]
        let answer = cx.call(Func(filter), &[pointers.addr()]) as u32;
        if answer == CONTINUE_EXECUTION || answer == EXECUTE_HANDLER {
            return answer.cast_signed();
        }
    }
    match raise::from_pointers(cx, pointers) {
        Ok((record, context)) => die(cx, &record, &context),
        Err(bad) => cx.access_violation(bad),
    }
}

/// Raises an exception that bypasses all exception handlers: the process ends with a report.
#[shim(kernel32)]
fn RaiseFailFastException(cx: &Cx, record: Ptr<u8>, context: Ptr<u8>, flags: u32) -> Win32<()> {
    let machine = cx.machine();
    let mut at = cx.caller_context();
    if !context.is_null() {
        at = Context::load(machine, context.addr())?;
    }
    let mut what = Record {
        code: STATUS_FAIL_FAST_EXCEPTION.cast_unsigned(),
        flags: EXCEPTION_NONCONTINUABLE,
        nested: 0,
        address: cx.return_address(),
        parameters: Parameters::default(),
    };
    if !record.is_null() {
        what = Record::load(cx, record.addr())?;
        if flags & FAIL_FAST_GENERATE_EXCEPTION_ADDRESS != 0 {
            what.address = cx.return_address();
        }
    }
    die(cx, &what, &at)
}
