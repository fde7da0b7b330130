//! The process that a handle argument names, for functions that take one. The functions themselves are in the files of
//! their headers.

use std::sync::Arc;

use transom_sdk::{Cx, Handle, Status, Win32, WinError, foundation as f};
use transom_syscalls::process::ProcessObject;

/// The process of a handle that was opened with this access; the pseudo-handle is the calling one's.
pub(crate) fn process_of(cx: &Cx, handle: Handle, access: u32) -> Result<Arc<ProcessObject>, Status> {
    if handle.0 == -1 {
        return Ok(ProcessObject::current());
    }
    Ok(cx.object::<ProcessObject>(handle, access)?.to_arc())
}

/// For functions that only work on the calling process: checks that the handle is its own.
pub(crate) fn own_process(cx: &Cx, handle: Handle, access: u32) -> Result<(), Status> {
    if handle.0 == -1 || process_of(cx, handle, access)?.is_current() {
        return Ok(());
    }
    Err(Status(f::STATUS_ACCESS_DENIED))
}

/// What a function answers where its documentation asks for a pointer and got NULL.
pub(crate) const NULL_POINTER: WinError = WinError::Code(f::ERROR_NOACCESS);

/// As an `usize`, for values that the guest's words hold.
pub(crate) fn word(value: u64) -> Win32<usize> {
    usize::try_from(value).map_err(|_| WinError::Code(f::ERROR_INVALID_PARAMETER))
}
