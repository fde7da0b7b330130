//! Power, graphics objects, key storage, HTTP: what programs ask in passing.

use transom_sdk::{Cx, Handle, Nt, NtError, Ptr, Status, Win32, WinError, foundation as f, shim};

/// Sets or retrieves power information: of a system whose power Windows programs do not manage.
#[shim(powrprof)]
fn CallNtPowerInformation(
    _cx: &Cx,
    _level: i32,
    _input: Ptr<u8>,
    _input_len: u32,
    _output: Ptr<u8>,
    _output_len: u32,
) -> Nt<()> {
    Err(NtError::Status(Status(f::STATUS_NOT_SUPPORTED)))
}

/// Registers to receive notification when the system is suspended or resumed: none would come.
#[shim(powrprof)]
fn PowerRegisterSuspendResumeNotification(_flags: u32, _recipient: Ptr<u8>, _out: Ptr<u8>) -> u32 {
    f::ERROR_NOT_SUPPORTED
}

/// Deletes a graphics object: none exists.
#[shim(gdi32(DeleteObject, DeleteDC))]
fn DeleteObject(_object: Handle) -> bool {
    false
}

/// Creates a memory device context: there is no device.
#[shim(gdi32)]
fn CreateCompatibleDC(_device: Handle) -> Handle {
    Handle::NULL
}

/// Retrieves the proxy settings of the current user: there are none.
#[shim(winhttp)]
fn WinHttpGetIEProxyConfigForCurrentUser(_cx: &Cx, _out: Ptr<u8>) -> Win32<()> {
    Err(WinError::Code(f::ERROR_FILE_NOT_FOUND))
}
