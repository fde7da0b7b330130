//! What programs do with a debugger (`debugapi.h`). There is none.

use transom_sdk::foundation as f;
use transom_sdk::{Cx, Handle, Out, Parameters, Ptr, Record, VarArgs, Win32, mem, shim};

use super::area::Area;
use super::vectored;

/// The longest text looked at, in characters.
const MAX_TEXT: usize = 1 << 20;

/// Determines whether the calling process is being debugged by a user-mode debugger.
#[shim(kernel32)]
fn IsDebuggerPresent() -> bool {
    false
}

/// Determines whether the specified process is being debugged.
#[shim(kernel32)]
fn CheckRemoteDebuggerPresent(cx: &Cx, _process: Handle, present: Out<bool>) -> Win32<()> {
    present.write(cx, false)?;
    Ok(())
}

/// Causes a breakpoint exception to occur in the current process.
#[shim(kernel32, ntdll(DbgBreakPoint, DbgUserBreakPoint))]
fn DebugBreak(cx: &Cx) {
    let address = cx.return_address();
    cx.raise(&Record { parameters: Parameters::new(&[0]), ..Record::status(f::STATUS_BREAKPOINT, address) })
}

/// Sends a string to the debugger for display. As on Windows it travels in an exception, which vectored handlers see.
#[shim(kernel32)]
fn OutputDebugStringA(cx: &Cx, text: Ptr<u8>) {
    if text.is_null() {
        return;
    }
    match mem::read_cstr(text.addr(), MAX_TEXT) {
        Ok(bytes) => {
            log::debug!("debug output: {}", String::from_utf8_lossy(&bytes).trim_end());
            show(cx, f::DBG_PRINTEXCEPTION_C, &[bytes.len() as u64 + 1, text.addr()]);
        }
        Err(bad) => cx.access_violation(bad),
    }
}

/// Sends a string to the debugger for display. Handlers see it as UTF-16; the second pair of parameters, which should be
/// its ANSI form, is empty.
#[shim(kernel32)]
fn OutputDebugStringW(cx: &Cx, text: Ptr<u16>) {
    if text.is_null() {
        return;
    }
    match mem::read_wstr(text.addr(), MAX_TEXT) {
        Ok(units) => {
            log::debug!("debug output: {}", String::from_utf16_lossy(&units).trim_end());
            show(cx, f::DBG_PRINTEXCEPTION_WIDE_C, &[units.len() as u64 + 1, text.addr(), 0, 0]);
        }
        Err(bad) => cx.access_violation(bad),
    }
}

/// Shows an exception to vectored handlers, and to nobody else.
fn show(cx: &Cx, code: i32, parameters: &[u64]) {
    if !vectored::any(cx) {
        return;
    }
    let record =
        Record { parameters: Parameters::new(parameters), ..Record::status(code, cx.return_address()) };
    let context = cx.caller_context();
    if let Ok(area) = Area::write(cx, &record, &context) {
        vectored::call_exception_handlers(cx, &area, &context);
    }
}

/// Formats a message for the kernel debugger: there is none, and the format's arguments are not looked at.
#[shim(ntdll, cdecl)]
fn DbgPrint(cx: &Cx, format: Ptr<u8>, _rest: VarArgs) -> i32 {
    if let Ok(text) = mem::read_cstr(format.addr(), 512) {
        log::debug!(
            "DbgPrint from {}: {}",
            cx.modules().describe(cx.return_address()),
            String::from_utf8_lossy(&text)
        );
    }
    0
}
