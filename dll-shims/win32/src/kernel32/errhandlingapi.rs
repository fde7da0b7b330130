//! `errhandlingapi.h`: the last error, error mode. Exceptions are in ntdll's folder.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use transom_sdk::{Cx, Func, Out, Win32, WinError, foundation as f, shim};

#[derive(Default)]
struct State {
    error_mode: AtomicU32,
    unhandled_filter: AtomicU64,
}

/// Retrieves the calling thread's last-error code.
#[shim(kernel32, ntdll(RtlGetLastWin32Error), leaf = transom_cpu::leaf::thread::get_last_error)]
fn GetLastError(cx: &Cx) -> u32 {
    cx.last_error()
}

/// Sets the calling thread's last-error code.
#[shim(kernel32, ntdll(RtlSetLastWin32Error), leaf = transom_cpu::leaf::thread::set_last_error)]
fn SetLastError(cx: &Cx, code: u32) {
    cx.set_last_error(code);
}

/// Controls whether the system handles the specified types of serious errors or the process does. There are no error
/// boxes here, so the mode is only remembered.
#[shim(kernel32)]
fn SetErrorMode(cx: &Cx, mode: u32) -> u32 {
    cx.state::<State>().error_mode.swap(mode, Ordering::Relaxed)
}

/// Retrieves the error mode for the current process.
#[shim(kernel32)]
fn GetErrorMode(cx: &Cx) -> u32 {
    cx.state::<State>().error_mode.load(Ordering::Relaxed)
}

/// The calling thread's error mode.
#[derive(Default)]
struct ThreadMode(AtomicU32);

/// Controls whether the system handles errors of the calling thread; remembered as the process's mode is.
#[shim(kernel32)]
fn SetThreadErrorMode(cx: &Cx, mode: u32, old: Option<Out<u32>>) -> Win32<()> {
    // SEM_NOALIGNMENTFAULTEXCEPT is for processes only.
    if mode & !0x8003 != 0 {
        return Err(WinError::Code(f::ERROR_INVALID_PARAMETER));
    }
    let before = cx.local::<ThreadMode>().0.swap(mode, Ordering::Relaxed);
    if let Some(old) = old {
        old.write(cx, before)?;
    }
    Ok(())
}

/// Retrieves the error mode for the calling thread.
#[shim(kernel32)]
fn GetThreadErrorMode(cx: &Cx) -> u32 {
    cx.local::<ThreadMode>().0.load(Ordering::Relaxed)
}

/// Enables an application to supersede the top-level exception handler of each thread of a process.
#[shim(kernel32)]
fn SetUnhandledExceptionFilter(cx: &Cx, filter: Func) -> Func {
    Func(cx.state::<State>().unhandled_filter.swap(filter.0, Ordering::Relaxed))
}

/// The top-level filter that the guest installed, or 0.
pub(crate) fn top_level_filter(cx: &Cx) -> u64 {
    cx.state::<State>().unhandled_filter.load(Ordering::Relaxed)
}
