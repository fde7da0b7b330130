//! `fileapi.h` and the file functions of `winbase.h`: opening and I/O here, then by topic.

pub(crate) mod attributes;
pub(crate) mod change;
pub(crate) mod find;
pub(crate) mod information;
pub(crate) mod listing;
pub(crate) mod notify;
pub(crate) mod overlapped;
pub(crate) mod paths;
pub(crate) mod reopen;
pub(crate) mod volumes;

use transom_sdk::{Cx, Guest, Handle, NameStr, Out, Ptr, Status, Win32, WinError, foundation as f, shim};
use transom_syscalls::file::{FileObject, GuestRange, OpenRequest, Opened, Operation, Position};
use transom_syscalls::handle::Ref;
use windows_sys::Win32::Storage::FileSystem as fs;
use windows_sys::Win32::System::WindowsProgramming::FILE_CREATED;

use super::synchapi::{SecurityAttributes, handle_flags};
use overlapped::complete;

/// OVERLAPPED. The two words are the kernel's: status and bytes transferred.
#[derive(Guest, Debug, Clone, Copy)]
#[mirrors(windows_sys::Win32::System::IO::OVERLAPPED)]
pub(crate) struct Overlapped {
    pub(crate) internal: usize,
    pub(crate) internal_high: usize,
    pub(crate) offset: u32,
    pub(crate) offset_high: u32,
    pub(crate) event: Handle,
}

impl Overlapped {
    pub(crate) fn position(&self) -> u64 {
        u64::from(self.offset) | u64::from(self.offset_high) << 32
    }
}

/// A 64-bit value given as two halves.
pub(crate) fn join(low: u32, high: u32) -> u64 {
    u64::from(low) | u64::from(high) << 32
}

/// The halves of a 64-bit value: (low, high).
#[expect(clippy::cast_possible_truncation, reason = "both halves are kept")]
pub(crate) fn halves(value: u64) -> (u32, u32) {
    (value as u32, (value >> 32) as u32)
}

/// A guest buffer for bulk I/O; Linux checks it.
pub(crate) fn range(buffer: Ptr<u8>, len: u32) -> GuestRange {
    GuestRange::new(usize::try_from(buffer.addr()).unwrap_or(usize::MAX), len as usize)
}

/// Creates or opens a file or I/O device.
#[shim(kernel32, ansi, fails = -1)]
fn CreateFileW(
    cx: &Cx,
    name: NameStr,
    access: u32,
    share: u32,
    attributes: Ptr<SecurityAttributes>,
    disposition: u32,
    flags: u32,
    template: Handle,
) -> Win32<Handle> {
    let _ = template;
    let name = name.get()?;
    let request = OpenRequest::from_win32(access, share, disposition, flags)?;
    let opened = match cx.files().open(&name, &request) {
        Err(status) if status.0 == f::STATUS_OBJECT_NAME_COLLISION => {
            return Err(WinError::Code(f::ERROR_FILE_EXISTS));
        }
        other => other?,
    };
    let inherit = handle_flags(cx, attributes)?;
    match opened {
        Opened::File(object, action) => {
            let existed = action != FILE_CREATED;
            let reports = matches!(disposition, fs::OPEN_ALWAYS | fs::CREATE_ALWAYS);
            let access = object.access();
            let handle = cx.handles().insert(object, access, inherit)?;
            cx.set_last_error(if existed && reports { f::ERROR_ALREADY_EXISTS } else { f::ERROR_SUCCESS });
            Ok(handle.into())
        }
        Opened::Console(device) => super::consoleapi::open_device(cx, device, access, inherit),
        Opened::NamedPipe(name) => super::namedpipeapi::open(cx, &name, access, flags, inherit),
    }
}

/// Where an operation takes place, and the OVERLAPPED if there is one.
pub(crate) fn place(
    cx: &Cx,
    file: &FileObject,
    overlapped: Ptr<Overlapped>,
) -> Win32<(Position, Option<Overlapped>)> {
    if overlapped.is_null() {
        if file.is_overlapped() && file.file_type() == fs::FILE_TYPE_DISK {
            return Err(WinError::Code(f::ERROR_INVALID_PARAMETER));
        }
        return Ok((Position::Current, None));
    }
    let data = overlapped.read(cx)?;
    let position = match file.file_type() {
        fs::FILE_TYPE_DISK => Position::from_offset(data.position()),
        _ => Position::Current,
    };
    Ok((position, Some(data)))
}

pub(crate) fn count32(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}

/// Bytes that a read of `len` has moved. One that a message was too long for has filled its buffer, though it counts as failed.
pub(crate) fn moved(result: Result<usize, Status>, len: u32) -> u32 {
    match result {
        Ok(n) => count32(n),
        Err(Status(f::STATUS_BUFFER_OVERFLOW)) => len,
        Err(_) => 0,
    }
}

/// Reads data from the specified file or input/output device.
#[shim(kernel32)]
pub(crate) fn ReadFile(
    cx: &Cx,
    file: Handle,
    buffer: Ptr<u8>,
    len: u32,
    read: Option<Out<u32>>,
    overlapped: Ptr<Overlapped>,
) -> Win32<()> {
    if let Some(out) = read {
        out.write(cx, 0)?;
    }
    let file: Ref<'_, FileObject> = cx.file(file)?;
    if !overlapped.is_null() && file.may_pend() {
        let operation = Operation::Read(buffer.addr(), len as usize);
        return overlapped::begin_with(cx, file.to_arc(), operation, overlapped, read);
    }
    let (position, data) = place(cx, &file, overlapped)?;
    let result = file.read(range(buffer, len), position);
    let n = match (result, data) {
        (Ok(n), _) => n,
        // The end of a file is a success that reads nothing, unless an OVERLAPPED is there to say more.
        (Err(status), None) if status.0 == f::STATUS_END_OF_FILE => 0,
        (Err(status), Some(data)) => {
            complete(cx, &file, overlapped, data, status.0, moved(Err(status), len) as usize)?;
            return Err(status.into());
        }
        (Err(status), None) => {
            if let Some(out) = read {
                out.write(cx, moved(Err(status), len))?;
            }
            return Err(status.into());
        }
    };
    if let Some(data) = data {
        complete(cx, &file, overlapped, data, f::STATUS_SUCCESS, n)?;
    }
    if let Some(out) = read {
        out.write(cx, count32(n))?;
    }
    Ok(())
}

/// Writes data to the specified file or input/output device.
#[shim(kernel32)]
fn WriteFile(
    cx: &Cx,
    file: Handle,
    buffer: Ptr<u8>,
    len: u32,
    written: Option<Out<u32>>,
    overlapped: Ptr<Overlapped>,
) -> Win32<()> {
    if let Some(out) = written {
        out.write(cx, 0)?;
    }
    let file: Ref<'_, FileObject> = cx.file(file)?;
    if !overlapped.is_null() && file.may_pend() {
        let operation = Operation::Write(buffer.addr(), len as usize);
        return overlapped::begin_with(cx, file.to_arc(), operation, overlapped, written);
    }
    let (position, data) = place(cx, &file, overlapped)?;
    let n = match (file.write(range(buffer, len), position), data) {
        (Ok(n), _) => n,
        (Err(status), Some(data)) => {
            complete(cx, &file, overlapped, data, status.0, 0)?;
            return Err(status.into());
        }
        (Err(status), None) => return Err(status.into()),
    };
    if let Some(data) = data {
        complete(cx, &file, overlapped, data, f::STATUS_SUCCESS, n)?;
    }
    if let Some(out) = written {
        out.write(cx, count32(n))?;
    }
    Ok(())
}

/// Moves the file pointer of the specified file.
#[shim(kernel32)]
fn SetFilePointerEx(cx: &Cx, file: Handle, distance: i64, new: Option<Out<i64>>, method: u32) -> Win32<()> {
    let at = seek(cx, file, distance, method)?;
    if let Some(out) = new {
        out.write(cx, at.cast_signed())?;
    }
    Ok(())
}

fn seek(cx: &Cx, file: Handle, distance: i64, method: u32) -> Win32<u64> {
    let result = cx.file(file)?.set_position(distance, method);
    result.map_err(|status| {
        if status.0 == f::STATUS_INVALID_PARAMETER && method <= fs::FILE_END {
            WinError::Code(f::ERROR_NEGATIVE_SEEK)
        } else {
            status.into()
        }
    })
}

/// Moves the file pointer; the 32-bit form with an optional high half.
#[shim(kernel32, fails = -1)]
fn SetFilePointer(cx: &Cx, file: Handle, low: i32, high: Ptr<i32>, method: u32) -> Win32<u32> {
    let distance = if high.is_null() {
        i64::from(low)
    } else {
        join(low.cast_unsigned(), high.read(cx)?.cast_unsigned()).cast_signed()
    };
    let (low, top) = halves(seek(cx, file, distance, method)?);
    if high.is_null() {
        if top != 0 {
            return Err(WinError::Code(f::ERROR_INVALID_PARAMETER));
        }
    } else {
        high.write(cx, top.cast_signed())?;
    }
    // All ones is also a position: then the last error tells.
    if low == u32::MAX {
        cx.set_last_error(f::ERROR_SUCCESS);
    }
    Ok(low)
}

/// Sets the physical file size for the specified file to the current position of the file pointer.
#[shim(kernel32)]
fn SetEndOfFile(cx: &Cx, file: Handle) -> Win32<()> {
    let file: Ref<'_, FileObject> = cx.file(file)?;
    Ok(file.set_end_of_file(file.position()?)?)
}

/// Flushes the buffers of a specified file and causes all buffered data to be written to a file.
#[shim(kernel32)]
fn FlushFileBuffers(cx: &Cx, file: Handle) -> Win32<()> {
    Ok(cx.file(file)?.flush()?)
}

/// Retrieves the size of the specified file, in bytes.
#[shim(kernel32)]
fn GetFileSizeEx(cx: &Cx, file: Handle, size: Out<i64>) -> Win32<()> {
    let bytes = cx.file(file)?.size()?;
    Ok(size.write(cx, bytes.cast_signed())?)
}

/// Retrieves the size of the specified file; the high half is optional.
#[shim(kernel32, fails = -1)]
fn GetFileSize(cx: &Cx, file: Handle, high: Option<Out<u32>>) -> Win32<u32> {
    let (low, top) = halves(cx.file(file)?.size()?);
    if let Some(out) = high {
        out.write(cx, top)?;
    }
    if low == u32::MAX {
        cx.set_last_error(f::ERROR_SUCCESS);
    }
    Ok(low)
}

/// Locks the specified file region for exclusive access.
#[shim(kernel32)]
fn LockFile(cx: &Cx, file: Handle, offset: u32, offset_high: u32, len: u32, len_high: u32) -> Win32<()> {
    let range =
        transom_syscalls::file::ByteRange { offset: join(offset, offset_high), len: join(len, len_high) };
    Ok(cx.file(file)?.lock(range, true, false)?)
}

/// Unlocks a region in an open file.
#[shim(kernel32)]
fn UnlockFile(cx: &Cx, file: Handle, offset: u32, offset_high: u32, len: u32, len_high: u32) -> Win32<()> {
    let range =
        transom_syscalls::file::ByteRange { offset: join(offset, offset_high), len: join(len, len_high) };
    Ok(cx.file(file)?.unlock(range)?)
}

/// Locks a region of a file, shared or exclusively, waiting or not.
#[shim(kernel32)]
fn LockFileEx(
    cx: &Cx,
    file: Handle,
    flags: u32,
    _reserved: u32,
    len: u32,
    len_high: u32,
    overlapped: Ptr<Overlapped>,
) -> Win32<()> {
    let data = overlapped.read(cx)?;
    let range = transom_syscalls::file::ByteRange { offset: data.position(), len: join(len, len_high) };
    let exclusive = flags & fs::LOCKFILE_EXCLUSIVE_LOCK != 0;
    let file = cx.file(file)?;
    file.lock(range, exclusive, flags & fs::LOCKFILE_FAIL_IMMEDIATELY == 0)?;
    complete(cx, &file, overlapped, data, f::STATUS_SUCCESS, 0)
}

/// Unlocks a region in an open file.
#[shim(kernel32)]
fn UnlockFileEx(
    cx: &Cx,
    file: Handle,
    _reserved: u32,
    len: u32,
    len_high: u32,
    overlapped: Ptr<Overlapped>,
) -> Win32<()> {
    let data = overlapped.read(cx)?;
    let range = transom_syscalls::file::ByteRange { offset: data.position(), len: join(len, len_high) };
    let file = cx.file(file)?;
    file.unlock(range)?;
    complete(cx, &file, overlapped, data, f::STATUS_SUCCESS, 0)
}

/// Creates an anonymous pipe, and returns handles to the read and write ends of the pipe.
#[shim(kernel32)]
fn CreatePipe(
    cx: &Cx,
    read: Out<Handle>,
    write: Out<Handle>,
    attributes: Ptr<SecurityAttributes>,
    size: u32,
) -> Win32<()> {
    let flags = handle_flags(cx, attributes)?;
    let (reader, writer) = cx.files().create_pipe(size)?;
    let (reader_access, writer_access) = (reader.access(), writer.access());
    let reader = cx.handles().insert(reader, reader_access, flags)?;
    let writer = cx.handles().insert(writer, writer_access, flags)?;
    read.write(cx, reader.into())?;
    Ok(write.write(cx, writer.into())?)
}
