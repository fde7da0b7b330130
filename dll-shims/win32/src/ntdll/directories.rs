//! NT services on directories, volumes and byte ranges of files, and file system control codes.

use std::sync::Arc;

use transom_sdk::{Cx, Func, Guest, Handle, Nt, NtError, Out, Ptr, foundation as f, mem, shim};
use transom_syscalls::file::{ByteRange, FileObject};
use windows_sys::Wdk::Storage::FileSystem as class;
use windows_sys::Win32::Storage::FileSystem::FILE_DEVICE_DISK;
use windows_sys::Win32::System::Ioctl::{FILE_DEVICE_CONSOLE, FILE_DEVICE_NAMED_PIPE, FILE_DEVICE_NULL};

use super::files::{IoEnd, IoStatus, answer, finish};
use super::probe::{fault, get, put, status};
use super::strings::UnicodeString;
use crate::kernel32::fileapi::listing::{self, FillError, Filled, Format};

/// The layout that an information class names.
fn format_of(kind: i32) -> Nt<Format> {
    Ok(match kind {
        class::FileDirectoryInformation => Format::Directory,
        class::FileFullDirectoryInformation => Format::Full,
        class::FileBothDirectoryInformation => Format::Both,
        class::FileNamesInformation => Format::Names,
        class::FileIdBothDirectoryInformation => Format::IdBoth,
        class::FileIdFullDirectoryInformation => Format::IdFull,
        class::FileIdExtdDirectoryInformation => Format::IdExtended,
        _ => return status(f::STATUS_INVALID_INFO_CLASS),
    })
}

/// Returns entries of a directory, in one of several layouts.
#[shim(ntdll(NtQueryDirectoryFile, ZwQueryDirectoryFile), partial = "no completion routines")]
fn NtQueryDirectoryFile(
    cx: &Cx,
    file: Handle,
    event: Handle,
    routine: Func,
    context: usize,
    io: Out<IoStatus>,
    out: Ptr<u8>,
    length: u32,
    kind: i32,
    single: u8,
    name: Ptr<UnicodeString>,
    restart: u8,
) -> Nt<()> {
    if !routine.is_null() {
        return status(f::STATUS_NOT_SUPPORTED);
    }
    let file = cx.file(file)?.to_arc();
    let how = Listing { format: format_of(kind)?, single: single != 0, restart: restart != 0 };
    let end = list(cx, &file, how, name, out, length)?;
    if end.status < 0 {
        return status(end.status);
    }
    finish(cx, &file, event, context as u64, io, end)
}

/// Returns entries of a directory; the flags are SL_RESTART_SCAN and SL_RETURN_SINGLE_ENTRY.
#[shim(ntdll(NtQueryDirectoryFileEx, ZwQueryDirectoryFileEx), partial = "no completion routines")]
fn NtQueryDirectoryFileEx(
    cx: &Cx,
    file: Handle,
    event: Handle,
    routine: Func,
    context: usize,
    io: Out<IoStatus>,
    out: Ptr<u8>,
    length: u32,
    kind: i32,
    flags: u32,
    name: Ptr<UnicodeString>,
) -> Nt<()> {
    let (restart, single) = (flags & 1 != 0, flags & 2 != 0);
    NtQueryDirectoryFile(
        cx,
        file,
        event,
        routine,
        context,
        io,
        out,
        length,
        kind,
        single.into(),
        name,
        restart.into(),
    )
}

/// How a directory is listed.
struct Listing {
    format: Format,
    single: bool,
    restart: bool,
}

fn list(
    cx: &Cx,
    file: &FileObject,
    how: Listing,
    name: Ptr<UnicodeString>,
    out: Ptr<u8>,
    length: u32,
) -> Nt<IoEnd> {
    let expression = if name.is_null() { Vec::new() } else { get(cx, name)?.text()? };
    let expression = (!expression.is_empty()).then_some(expression);
    let begins = how.restart || !file.is_enumerating();
    let find = file.enumerate(expression.as_deref(), how.restart)?;
    let filled = listing::fill(&find, how.format, out, length, how.single).map_err(|error| match error {
        FillError::Status(status) => NtError::from(status),
        FillError::Fault(bad) => fault(bad),
    })?;
    Ok(match filled {
        Filled::Bytes(n) => IoEnd { status: f::STATUS_SUCCESS, information: n.into() },
        Filled::End if begins => IoEnd { status: f::STATUS_NO_SUCH_FILE, information: 0 },
        Filled::End => IoEnd { status: f::STATUS_NO_MORE_FILES, information: 0 },
        Filled::TooSmall => IoEnd { status: f::STATUS_BUFFER_OVERFLOW, information: 0 },
    })
}

/// FILE_FS_SIZE_INFORMATION.
#[derive(Guest, Debug, Clone, Copy)]
struct Size {
    total: i64,
    available: i64,
    sectors_per_unit: u32,
    bytes_per_sector: u32,
}

/// FILE_FS_FULL_SIZE_INFORMATION.
#[derive(Guest, Debug, Clone, Copy)]
struct FullSize {
    total: i64,
    available: i64,
    free: i64,
    sectors_per_unit: u32,
    bytes_per_sector: u32,
}

/// FILE_FS_DEVICE_INFORMATION.
#[derive(Guest, Debug, Clone, Copy)]
struct Device {
    kind: u32,
    characteristics: u32,
}

const SECTOR: u32 = 512;

/// Retrieves information about the volume that a file or directory is on.
#[shim(ntdll(NtQueryVolumeInformationFile, ZwQueryVolumeInformationFile), partial = "some of the classes")]
fn NtQueryVolumeInformationFile(
    cx: &Cx,
    file: Handle,
    io: Out<IoStatus>,
    out: Ptr<u8>,
    room: u32,
    kind: i32,
) -> Nt<()> {
    // A console is asked for its device only.
    if kind == class::FileFsDeviceInformation {
        return answer(cx, io, out, room, device_of(cx, file)?);
    }
    let volume = cx.file(file)?.volume()?;
    let signed = u64::cast_signed;
    let sectors_per_unit = volume.unit / SECTOR;
    match kind {
        class::FileFsVolumeInformation => {
            let label: Vec<u16> = volume.label.encode_utf16().collect();
            let mut bytes = vec![0; 8];
            bytes.extend(volume.serial.to_le_bytes());
            bytes.extend(u32::try_from(2 * label.len()).unwrap_or(0).to_le_bytes());
            bytes.extend([0, 0]);
            with_text(cx, io, (out, room), (bytes, 24), &label)
        }
        class::FileFsAttributeInformation => {
            let name: Vec<u16> = volume.file_system.encode_utf16().collect();
            let mut bytes = volume.flags.to_le_bytes().to_vec();
            bytes.extend(volume.longest_name.to_le_bytes());
            bytes.extend(u32::try_from(2 * name.len()).unwrap_or(0).to_le_bytes());
            with_text(cx, io, (out, room), (bytes, 16), &name)
        }
        class::FileFsSizeInformation => {
            let (total, available) = (signed(volume.total_units), signed(volume.available_units));
            answer(cx, io, out, room, Size { total, available, sectors_per_unit, bytes_per_sector: SECTOR })
        }
        class::FileFsFullSizeInformation => {
            let (total, available) = (signed(volume.total_units), signed(volume.available_units));
            let free = signed(volume.free_units);
            let size = FullSize { total, available, free, sectors_per_unit, bytes_per_sector: SECTOR };
            answer(cx, io, out, room, size)
        }
        _ => status(f::STATUS_INVALID_INFO_CLASS),
    }
}

/// The kind of device that a handle is of.
fn device_of(cx: &Cx, file: Handle) -> Nt<Device> {
    use windows_sys::Win32::Storage::FileSystem as fs;
    let kind = match cx.file(file) {
        Err(e) if e.0 == f::STATUS_OBJECT_TYPE_MISMATCH => FILE_DEVICE_CONSOLE,
        file => match file?.file_type() {
            fs::FILE_TYPE_PIPE => FILE_DEVICE_NAMED_PIPE,
            fs::FILE_TYPE_CHAR => FILE_DEVICE_NULL,
            _ => FILE_DEVICE_DISK,
        },
    };
    Ok(Device { kind, characteristics: 0 })
}

/// Writes a structure that ends in text: what does not fit is cut off. `least` is the structure's size, to which the room must
/// come up.
pub(super) fn with_text(
    cx: &Cx,
    io: Out<IoStatus>,
    (out, room): (Ptr<u8>, u32),
    (mut bytes, least): (Vec<u8>, u32),
    text: &[u16],
) -> Nt<()> {
    if room < least {
        return status(f::STATUS_INFO_LENGTH_MISMATCH);
    }
    bytes.extend(text.iter().flat_map(|unit| unit.to_le_bytes()));
    let kept = bytes.len().min(room as usize);
    mem::copy_out(out.addr(), &bytes[..kept]).map_err(fault)?;
    let end = if kept < bytes.len() { f::STATUS_BUFFER_OVERFLOW } else { f::STATUS_SUCCESS };
    put(cx, io.ptr(), IoStatus::new(end, kept as u64))?;
    if end == f::STATUS_SUCCESS { Ok(()) } else { status(end) }
}

/// Requests a byte-range lock for the specified file.
#[shim(ntdll(NtLockFile, ZwLockFile), partial = "a lock that is waited for is waited for in the call")]
fn NtLockFile(
    cx: &Cx,
    file: Handle,
    event: Handle,
    _routine: Func,
    context: usize,
    io: Out<IoStatus>,
    offset: Ptr<u64>,
    length: Ptr<u64>,
    _key: u32,
    at_once: u8,
    exclusive: u8,
) -> Nt<()> {
    let file = cx.file(file)?.to_arc();
    let range = ByteRange { offset: get(cx, offset)?, len: get(cx, length)? };
    file.lock(range, exclusive != 0, at_once == 0)?;
    finish(cx, &file, event, context as u64, io, IoEnd { status: f::STATUS_SUCCESS, information: 0 })
}

/// Unlocks a byte-range lock in the specified file.
#[shim(ntdll(NtUnlockFile, ZwUnlockFile))]
fn NtUnlockFile(
    cx: &Cx,
    file: Handle,
    io: Out<IoStatus>,
    offset: Ptr<u64>,
    length: Ptr<u64>,
    _key: u32,
) -> Nt<()> {
    let range = ByteRange { offset: get(cx, offset)?, len: get(cx, length)? };
    cx.file(file)?.unlock(range)?;
    put(cx, io.ptr(), IoStatus::new(f::STATUS_SUCCESS, 0))
}

/// Sends a control code to the file system.
#[shim(
    ntdll(NtFsControlFile, ZwFsControlFile),
    partial = "control codes that the file services know; no completion routines"
)]
fn NtFsControlFile(
    cx: &Cx,
    file: Handle,
    event: Handle,
    routine: Func,
    context: usize,
    io: Out<IoStatus>,
    code: u32,
    input: Ptr<u8>,
    input_length: u32,
    output: Ptr<u8>,
    output_length: u32,
) -> Nt<()> {
    if !routine.is_null() {
        return status(f::STATUS_NOT_SUPPORTED);
    }
    let file: Arc<FileObject> = cx.file(file)?.to_arc();
    let input =
        if input.is_null() { Vec::new() } else { input.read_slice(input_length as usize).map_err(fault)? };
    let answer = file.control(code, &input, output_length as usize)?;
    output.write_slice(&answer).map_err(fault)?;
    let end = IoEnd { status: f::STATUS_SUCCESS, information: answer.len() as u64 };
    finish(cx, &file, event, context as u64, io, end)
}

/// Writes what is buffered of a file to the disk.
#[shim(ntdll(NtFlushBuffersFile, ZwFlushBuffersFile))]
fn NtFlushBuffersFile(cx: &Cx, file: Handle, io: Out<IoStatus>) -> Nt<()> {
    cx.file(file)?.flush()?;
    put(cx, io.ptr(), IoStatus::new(f::STATUS_SUCCESS, 0))
}
