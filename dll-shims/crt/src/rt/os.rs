//! The NT services that the runtimes use, with errors as the runtimes report them: `errno`, and the Win32 error in
//! `_doserrno`.

use transom_sdk::{Crt, CrtError, Cx, Handle, Status, errno_from_win32, mem, win32_from_status};
use transom_syscalls::file::{GuestRange, OpenRequest, Opened, Position};
use transom_syscalls::handle::HandleFlags;
use windows_sys::Win32::Foundation as f;

use super::area;
use super::errno;

/// Notes the Win32 error in `_doserrno` and makes the runtime's error of it.
pub(crate) fn fail(cx: &Cx, status: Status) -> CrtError {
    let code = win32_from_status(status);
    let _ = mem::write(area::at(cx, area::DOSERRNO), &code);
    cx.set_last_error(code);
    CrtError::Errno(errno_from_win32(code))
}

/// A guest (or host) range for bulk I/O.
pub(crate) fn range(at: u64, len: usize) -> GuestRange {
    GuestRange::new(usize::try_from(at).unwrap_or(0), len)
}

/// Reads from a file, pipe or device; 0 at its end.
pub(crate) fn read(cx: &Cx, handle: Handle, at: u64, len: usize) -> Crt<usize> {
    match cx.file(handle).and_then(|file| file.read(range(at, len), Position::Current)) {
        Err(Status(f::STATUS_END_OF_FILE | f::STATUS_PIPE_BROKEN)) => Ok(0),
        Err(Status(f::STATUS_ACCESS_DENIED)) => Err(CrtError::Errno(errno::EBADF)),
        other => other.map_err(|s| fail(cx, s)),
    }
}

/// Writes to a file, pipe or device.
pub(crate) fn write(cx: &Cx, handle: Handle, at: u64, len: usize, append: bool) -> Crt<usize> {
    let position = if append { Position::End } else { Position::Current };
    match cx.file(handle).and_then(|file| file.write(range(at, len), position)) {
        Err(Status(f::STATUS_ACCESS_DENIED)) => Err(CrtError::Errno(errno::EBADF)),
        Err(Status(f::STATUS_PIPE_CLOSING)) => {
            fail(cx, Status(f::STATUS_PIPE_CLOSING));
            Err(CrtError::Errno(errno::EPIPE))
        }
        other => other.map_err(|s| fail(cx, s)),
    }
}

/// Writes all of a host buffer; returns how much went through.
pub(crate) fn write_host(cx: &Cx, handle: Handle, bytes: &[u8], append: bool) -> Crt<usize> {
    write(cx, handle, bytes.as_ptr().addr() as u64, bytes.len(), append)
}

/// Reads into a host buffer.
pub(crate) fn read_host(cx: &Cx, handle: Handle, bytes: &mut [u8]) -> Crt<usize> {
    read(cx, handle, bytes.as_mut_ptr().addr() as u64, bytes.len())
}

/// Opens a file as `CreateFileW` does. Devices of the console that are not files here fail with ENOENT.
pub(crate) fn open(cx: &Cx, path: &[u16], request: &OpenRequest, inherit: bool) -> Crt<Handle> {
    match cx.files().open(path, request) {
        Ok(Opened::File(object, _)) => {
            let access = object.access();
            let handle = cx.handles().insert(object, access, HandleFlags::inheritable(inherit));
            handle.map(Handle::from).map_err(|s| fail(cx, s))
        }
        Ok(_) => Err(fail(cx, Status(f::STATUS_OBJECT_NAME_NOT_FOUND))),
        Err(Status(f::STATUS_FILE_IS_A_DIRECTORY)) => Err(CrtError::Errno(errno::EACCES)),
        Err(status) => Err(fail(cx, status)),
    }
}

/// Closes a handle.
pub(crate) fn close(cx: &Cx, handle: Handle) -> Crt<()> {
    let bad = Status(f::STATUS_INVALID_HANDLE);
    let handle = transom_syscalls::handle::Handle::from_guest(handle.0.cast_unsigned()).ok_or(bad);
    handle.and_then(|h| cx.handles().close(h)).map_err(|s| fail(cx, s))
}

/// Another handle to the same object.
pub(crate) fn duplicate(cx: &Cx, handle: Handle, inherit: bool) -> Crt<Handle> {
    let bad = Status(f::STATUS_INVALID_HANDLE);
    let new =
        transom_syscalls::handle::Handle::from_guest(handle.0.cast_unsigned()).ok_or(bad).and_then(|h| {
            let object = cx.handles().object(h, 0)?.to_arc();
            let access = cx.handles().access(h)?;
            cx.handles().insert(object, access, HandleFlags::inheritable(inherit))
        });
    new.map(Handle::from).map_err(|s| fail(cx, s))
}
