//! `processthreadsapi.h`: processes and threads.

use transom_sdk::{Cx, shim};

/// Ends the calling process and all its threads.
#[shim(kernel32, ntdll(RtlExitUserProcess))]
fn ExitProcess(cx: &Cx, code: u32) -> ! {
    cx.process().exit(cx, code)
}

/// Retrieves the process identifier of the calling process.
#[shim(kernel32)]
fn GetCurrentProcessId() -> u32 {
    std::process::id()
}
