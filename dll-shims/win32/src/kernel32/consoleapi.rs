//! `consoleapi.h`: the console.

use transom_sdk::{Cx, Handle, Out, Win32, WinError, foundation as f, shim};
use transom_syscalls::handle::HandleFlags;
use transom_syscalls::path::Device;

/// Opens `CONIN$` or `CONOUT$`.
pub(crate) fn open_device(_cx: &Cx, _device: Device, _access: u32, _flags: HandleFlags) -> Win32<Handle> {
    Err(WinError::Code(f::ERROR_FILE_NOT_FOUND))
}

/// Retrieves the current mode of a console's input or output buffer. What is not a terminal has none.
#[shim(kernel32, partial = "no terminal is a console yet")]
fn GetConsoleMode(cx: &Cx, console: Handle, _mode: Out<u32>) -> Win32<()> {
    cx.file(console)?;
    Err(WinError::Code(f::ERROR_INVALID_HANDLE))
}
