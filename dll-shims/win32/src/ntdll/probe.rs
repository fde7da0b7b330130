//! Reading arguments of NT services, which answer a bad address with STATUS_ACCESS_VIOLATION where the Win32 functions
//! above them would fault.

use transom_sdk::{BadAddress, Cx, GuestData, Handle, Nt, NtError, Ptr, Status, WinError, foundation as f};

/// The status for a bad address.
pub(crate) fn fault(_bad: BadAddress) -> NtError {
    Status(f::STATUS_ACCESS_VIOLATION).into()
}

/// Reads a value.
pub(crate) fn get<T: GuestData>(cx: &Cx, at: Ptr<T>) -> Nt<T> {
    at.read(cx).map_err(fault)
}

/// Writes a value.
pub(crate) fn put<T: GuestData>(cx: &Cx, at: Ptr<T>, value: T) -> Nt<()> {
    at.write(cx, value).map_err(fault)
}

/// Writes a value unless the pointer is NULL.
pub(crate) fn put_opt<T: GuestData>(cx: &Cx, at: Ptr<T>, value: T) -> Nt<()> {
    at.write_opt(cx, value).map_err(fault)
}

/// An error with a status.
pub(crate) fn status<T>(code: i32) -> Nt<T> {
    Err(Status(code).into())
}

/// The error of a Win32 shim that an NT function is made of.
pub(crate) fn nt(error: WinError) -> NtError {
    match error {
        WinError::Fault(bad) => fault(bad),
        WinError::Code(f::ERROR_INVALID_HANDLE) => Status(f::STATUS_INVALID_HANDLE).into(),
        WinError::Code(f::ERROR_ACCESS_DENIED) => Status(f::STATUS_ACCESS_DENIED).into(),
        WinError::Code(f::ERROR_PARTIAL_COPY) => Status(f::STATUS_PARTIAL_COPY).into(),
        WinError::Code(f::ERROR_NOACCESS) => Status(f::STATUS_ACCESS_VIOLATION).into(),
        WinError::Code(_) => Status(f::STATUS_INVALID_PARAMETER).into(),
    }
}

/// A 64-bit value as a word of the guest.
#[expect(clippy::cast_possible_truncation, reason = "the host is 64-bit; what the guest has fits its words")]
pub(crate) fn word(value: u64) -> usize {
    value as usize
}

/// An id as the handle that some structures hold it in.
pub(crate) fn id_handle(id: u32) -> Handle {
    Handle(id.into())
}
