//! `appmodel.h`: policies of packaged apps, which programs here are not; the C runtime asks.

use transom_sdk::{Cx, Handle, Out, Ptr, Win32, foundation as f, shim};

/// Policies of a process that is not packaged: it ends by ExitProcess, shows no diagnostics of development, has no windowing
/// model of its own and initialises threads plainly.
fn policy(cx: &Cx, out: Out<i32>, value: i32) -> Win32<i32> {
    out.write(cx, value)?;
    Ok(f::ERROR_SUCCESS.cast_signed())
}

/// Retrieves the method used to end a process.
#[shim(kernel32)]
fn AppPolicyGetProcessTerminationMethod(cx: &Cx, _token: Handle, out: Out<i32>) -> Win32<i32> {
    const EXIT_PROCESS: i32 = 0;
    policy(cx, out, EXIT_PROCESS)
}

/// Retrieves whether a process uses a CoreWindow-based, or a HWND-based, windowing model.
#[shim(kernel32)]
fn AppPolicyGetWindowingModel(cx: &Cx, _token: Handle, out: Out<i32>) -> Win32<i32> {
    const CLASSIC_DESKTOP: i32 = 2;
    policy(cx, out, CLASSIC_DESKTOP)
}

/// Retrieves the kind of initialization that should be performed for a new thread.
#[shim(kernel32)]
fn AppPolicyGetThreadInitializationType(cx: &Cx, _token: Handle, out: Out<i32>) -> Win32<i32> {
    const NONE: i32 = 0;
    policy(cx, out, NONE)
}

/// Retrieves whether developer information can be shown by a process.
#[shim(kernel32)]
fn AppPolicyGetShowDeveloperDiagnostic(cx: &Cx, _token: Handle, out: Out<i32>) -> Win32<i32> {
    const SHOW_UI: i32 = 1;
    policy(cx, out, SHOW_UI)
}

/// Gets the package full name of the calling process: it has none.
#[shim(kernel32)]
fn GetCurrentPackageFullName(_len: Ptr<u32>, _out: Ptr<u16>) -> u32 {
    f::APPMODEL_ERROR_NO_PACKAGE
}

/// Gets the package identifier of the calling process: it has none.
#[shim(kernel32)]
fn GetCurrentPackageId(_len: Ptr<u32>, _out: Ptr<u8>) -> u32 {
    f::APPMODEL_ERROR_NO_PACKAGE
}
