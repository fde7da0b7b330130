//! Attributes and times, by path and by handle.

use transom_sdk::{Cx, Guest, Handle, In, NameStr, Out, Win32, WinError, foundation as f, shim};
use transom_syscalls::file::{BasicChange, Meta, serial_of};

use super::{halves, join};

/// FILETIME: 100 ns since 1601 in two halves.
#[derive(Guest, Debug, Clone, Copy, Default)]
#[mirrors(windows_sys::Win32::Foundation::FILETIME)]
pub(crate) struct FileTime {
    pub(crate) low: u32,
    pub(crate) high: u32,
}

impl FileTime {
    /// From 100 ns units.
    pub(crate) fn of(time: i64) -> Self {
        let (low, high) = halves(time.cast_unsigned());
        Self { low, high }
    }

    /// In 100 ns units.
    pub(crate) fn value(self) -> i64 {
        join(self.low, self.high).cast_signed()
    }
}

/// Retrieves file system attributes for a specified file or directory.
#[shim(kernel32, ansi, fails = -1)]
pub(crate) fn GetFileAttributesW(cx: &Cx, name: NameStr) -> Win32<u32> {
    Ok(cx.files().query(&name.get()?)?.attributes)
}

/// WIN32_FILE_ATTRIBUTE_DATA.
#[derive(Guest, Debug, Clone, Copy)]
#[mirrors(windows_sys::Win32::Storage::FileSystem::WIN32_FILE_ATTRIBUTE_DATA)]
pub(crate) struct AttributeData {
    attributes: u32,
    created: FileTime,
    accessed: FileTime,
    written: FileTime,
    size_high: u32,
    size_low: u32,
}

/// Retrieves attributes for a specified file or directory.
#[shim(kernel32, ansi)]
fn GetFileAttributesExW(cx: &Cx, name: NameStr, level: u32, out: Out<AttributeData>) -> Win32<()> {
    if level != 0 {
        return Err(WinError::Code(f::ERROR_INVALID_PARAMETER));
    }
    let meta = cx.files().query(&name.get()?)?;
    let (size_low, size_high) = halves(meta.size);
    Ok(out.write(
        cx,
        AttributeData {
            attributes: meta.attributes,
            created: FileTime::of(meta.created),
            accessed: FileTime::of(meta.accessed),
            written: FileTime::of(meta.written),
            size_high,
            size_low,
        },
    )?)
}

/// Sets the attributes for a file or directory.
#[shim(kernel32, ansi)]
fn SetFileAttributesW(cx: &Cx, name: NameStr, attributes: u32) -> Win32<()> {
    let attributes = if attributes == 0 {
        windows_sys::Win32::Storage::FileSystem::FILE_ATTRIBUTE_NORMAL
    } else {
        attributes
    };
    Ok(cx.files().set_basic(&name.get()?, &BasicChange { attributes, ..BasicChange::default() })?)
}

/// BY_HANDLE_FILE_INFORMATION.
#[derive(Guest, Debug, Clone, Copy)]
#[mirrors(windows_sys::Win32::Storage::FileSystem::BY_HANDLE_FILE_INFORMATION)]
pub(crate) struct HandleInformation {
    attributes: u32,
    created: FileTime,
    accessed: FileTime,
    written: FileTime,
    volume_serial: u32,
    size_high: u32,
    size_low: u32,
    links: u32,
    index_high: u32,
    index_low: u32,
}

fn information(meta: &Meta) -> HandleInformation {
    let ((size_low, size_high), (index_low, index_high)) = (halves(meta.size), halves(meta.inode));
    HandleInformation {
        attributes: meta.attributes,
        created: FileTime::of(meta.created),
        accessed: FileTime::of(meta.accessed),
        written: FileTime::of(meta.written),
        volume_serial: serial_of(meta.device),
        size_high,
        size_low,
        links: meta.links,
        index_high,
        index_low,
    }
}

/// Retrieves file information for the specified file.
#[shim(kernel32)]
fn GetFileInformationByHandle(cx: &Cx, file: Handle, out: Out<HandleInformation>) -> Win32<()> {
    let meta = cx.file(file)?.query()?;
    Ok(out.write(cx, information(&meta))?)
}

/// Retrieves the date and time that a file or directory was created, last accessed, and last modified.
#[shim(kernel32)]
fn GetFileTime(
    cx: &Cx,
    file: Handle,
    created: Option<Out<FileTime>>,
    accessed: Option<Out<FileTime>>,
    written: Option<Out<FileTime>>,
) -> Win32<()> {
    let meta = cx.file(file)?.query()?;
    for (out, time) in [(created, meta.created), (accessed, meta.accessed), (written, meta.written)] {
        if let Some(out) = out {
            out.write(cx, FileTime::of(time))?;
        }
    }
    Ok(())
}

/// Sets the date and time that the specified file or directory was created, last accessed, or last modified.
#[shim(kernel32)]
fn SetFileTime(
    cx: &Cx,
    file: Handle,
    created: Option<In<FileTime>>,
    accessed: Option<In<FileTime>>,
    written: Option<In<FileTime>>,
) -> Win32<()> {
    let time = |t: Option<In<FileTime>>| t.map_or(Ok(0), |t| t.read(cx).map(FileTime::value));
    let change = BasicChange::from_fields(time(created)?, time(accessed)?, time(written)?, 0);
    Ok(cx.file(file)?.set_basic(&change)?)
}

/// Compares two file times.
#[shim(kernel32)]
fn CompareFileTime(cx: &Cx, first: In<FileTime>, second: In<FileTime>) -> Win32<i32> {
    let (a, b) = (first.read(cx)?.value().cast_unsigned(), second.read(cx)?.value().cast_unsigned());
    Ok(a.cmp(&b) as i32)
}

/// Retrieves the file type of the specified file.
#[shim(kernel32)]
fn GetFileType(cx: &Cx, file: Handle) -> Win32<u32> {
    let kind = cx.file(file)?.file_type();
    cx.set_last_error(f::ERROR_SUCCESS);
    Ok(kind)
}
