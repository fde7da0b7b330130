//! `werapi.h` and `errhandlingapi.h`: settings of error reporting. Nothing is ever reported to anybody; the settings are kept for
//! who asks.

use std::sync::atomic::{AtomicU32, Ordering};

use transom_sdk::{Cx, Handle, Out, shim};

#[derive(Default)]
struct Flags(AtomicU32);

/// Sets the fault reporting settings for the current process.
#[shim(kernel32)]
fn WerSetFlags(cx: &Cx, flags: u32) -> i32 {
    cx.state::<Flags>().0.store(flags, Ordering::Relaxed);
    0
}

/// Retrieves the fault reporting settings for the specified process.
#[shim(kernel32, partial = "only for the calling process")]
fn WerGetFlags(cx: &Cx, process: Handle, flags: Out<u32>) -> i32 {
    use windows_sys::Win32::Foundation::{E_ACCESSDENIED, E_INVALIDARG};
    if super::process_arg::own_process(cx, process, 0).is_err() {
        return E_ACCESSDENIED;
    }
    match flags.write(cx, cx.state::<Flags>().0.load(Ordering::Relaxed)) {
        Ok(()) => 0,
        Err(_) => E_INVALIDARG,
    }
}
