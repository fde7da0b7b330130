//! `processenv.h`: standard handles, command line, environment.

use transom_loader::peb;
use transom_sdk::{Cx, Handle, Ptr, Win32, WinError, foundation, shim};

const STD_INPUT_HANDLE: u32 = windows_sys::Win32::System::Console::STD_INPUT_HANDLE;
const STD_ERROR_HANDLE: u32 = windows_sys::Win32::System::Console::STD_ERROR_HANDLE;

/// Which of the three a STD_*_HANDLE constant names.
fn std_index(which: u32) -> Win32<u32> {
    if (STD_ERROR_HANDLE..=STD_INPUT_HANDLE).contains(&which) {
        Ok(STD_INPUT_HANDLE - which)
    } else {
        Err(WinError::Code(foundation::ERROR_INVALID_HANDLE))
    }
}

/// Retrieves a handle to standard input, output or error.
#[shim(kernel32, fails = -1)]
fn GetStdHandle(cx: &Cx, which: u32) -> Win32<Handle> {
    let at = peb::std_handle_at(cx.words(), cx.parameters()?, std_index(which)?);
    Ok(Ptr::<Handle>::new(at).read(cx)?)
}

/// Sets the handle for standard input, output or error.
#[shim(kernel32)]
fn SetStdHandle(cx: &Cx, which: u32, handle: Handle) -> Win32<()> {
    let at = peb::std_handle_at(cx.words(), cx.parameters()?, std_index(which)?);
    Ok(Ptr::<Handle>::new(at).write(cx, handle)?)
}
