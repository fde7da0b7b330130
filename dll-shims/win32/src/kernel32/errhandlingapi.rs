//! `errhandlingapi.h`: the last error.

use transom_sdk::{Cx, shim};

/// Retrieves the calling thread's last-error code.
#[shim(kernel32, ntdll(RtlGetLastWin32Error))]
fn GetLastError(cx: &Cx) -> u32 {
    cx.last_error()
}

/// Sets the calling thread's last-error code.
#[shim(kernel32, ntdll(RtlSetLastWin32Error))]
fn SetLastError(cx: &Cx, code: u32) {
    cx.set_last_error(code);
}
