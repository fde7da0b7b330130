//! GetFileInformationByHandleEx and SetFileInformationByHandle, DeviceIoControl, named-pipe information.

use transom_sdk::{Cx, Guest, GuestData, Handle, Out, Ptr, Win32, WinError, foundation as f, shim};
use transom_syscalls::file::{BasicChange, Disposition, FileObject};
use windows_sys::Win32::Storage::FileSystem as fs;

use super::Overlapped;
use super::listing::{self, Filled, Format};

/// FILE_BASIC_INFO.
#[derive(Guest, Debug, Clone, Copy)]
#[mirrors(windows_sys::Win32::Storage::FileSystem::FILE_BASIC_INFO)]
struct BasicInfo {
    created: i64,
    accessed: i64,
    written: i64,
    changed: i64,
    attributes: u32,
}

/// FILE_STANDARD_INFO.
#[derive(Guest, Debug, Clone, Copy)]
#[mirrors(windows_sys::Win32::Storage::FileSystem::FILE_STANDARD_INFO)]
struct StandardInfo {
    allocated: i64,
    end_of_file: i64,
    links: u32,
    delete_pending: u8,
    directory: u8,
}

/// FILE_ATTRIBUTE_TAG_INFO.
#[derive(Guest, Debug, Clone, Copy)]
#[mirrors(windows_sys::Win32::Storage::FileSystem::FILE_ATTRIBUTE_TAG_INFO)]
struct AttributeTagInfo {
    attributes: u32,
    tag: u32,
}

/// FILE_ID_INFO.
#[derive(Guest, Debug, Clone, Copy)]
#[mirrors(windows_sys::Win32::Storage::FileSystem::FILE_ID_INFO)]
struct IdInfo {
    volume: u64,
    id: [u64; 2],
}

fn put<T: GuestData>(cx: &Cx, out: Ptr<u8>, size: u32, value: T) -> Win32<()> {
    if (size as usize) < cx.size_of::<T>() {
        return Err(WinError::Code(f::ERROR_BAD_LENGTH));
    }
    Ok(out.cast::<T>().write(cx, value)?)
}

fn take<T: GuestData>(cx: &Cx, from: Ptr<u8>, size: u32) -> Win32<T> {
    if (size as usize) < cx.size_of::<T>() {
        return Err(WinError::Code(f::ERROR_BAD_LENGTH));
    }
    Ok(from.cast::<T>().read(cx)?)
}

/// Retrieves file information for the specified file, by class.
#[shim(kernel32, partial = "classes: basic, standard, name, attribute tag, id, directory listings")]
fn GetFileInformationByHandleEx(cx: &Cx, file: Handle, class: i32, out: Ptr<u8>, size: u32) -> Win32<()> {
    let object = cx.file(file)?.to_arc();
    match class {
        fs::FileBasicInfo => {
            let m = object.query()?;
            let info = BasicInfo {
                created: m.created,
                accessed: m.accessed,
                written: m.written,
                changed: m.changed,
                attributes: m.attributes,
            };
            put(cx, out, size, info)
        }
        fs::FileStandardInfo => {
            let m = object.query()?;
            let info = StandardInfo {
                allocated: m.allocated.cast_signed(),
                end_of_file: m.size.cast_signed(),
                links: m.links,
                delete_pending: object.is_delete_pending().into(),
                directory: m.is_directory().into(),
            };
            put(cx, out, size, info)
        }
        fs::FileNameInfo => {
            let path = object.final_path()?;
            let name = path.get(2..).unwrap_or(&[]);
            let bytes = u32::try_from(2 * name.len()).unwrap_or(u32::MAX);
            if size < 4 {
                return Err(WinError::Code(f::ERROR_BAD_LENGTH));
            }
            out.cast::<u32>().write(cx, bytes)?;
            if bytes > size - 4 {
                return Err(WinError::Code(f::ERROR_MORE_DATA));
            }
            Ok(out.byte_add(4).cast::<u16>().write_slice(name)?)
        }
        fs::FileAttributeTagInfo => {
            let m = object.query()?;
            let link = m.sort() == transom_syscalls::file::Sort::Link;
            let tag =
                if link { windows_sys::Win32::System::SystemServices::IO_REPARSE_TAG_SYMLINK } else { 0 };
            put(cx, out, size, AttributeTagInfo { attributes: m.attributes, tag })
        }
        fs::FileIdInfo => {
            let m = object.query()?;
            put(cx, out, size, IdInfo { volume: m.device, id: [m.inode, 0] })
        }
        fs::FileIdBothDirectoryInfo
        | fs::FileIdBothDirectoryRestartInfo
        | fs::FileFullDirectoryInfo
        | fs::FileFullDirectoryRestartInfo
        | fs::FileIdExtdDirectoryInfo
        | fs::FileIdExtdDirectoryRestartInfo => entries(&object, class, out, size),
        _ => Err(WinError::Code(f::ERROR_INVALID_PARAMETER)),
    }
}

/// Fills a buffer with directory entries.
fn entries(object: &FileObject, class: i32, out: Ptr<u8>, size: u32) -> Win32<()> {
    let (format, restart) = match class {
        fs::FileIdBothDirectoryInfo => (Format::IdBoth, false),
        fs::FileIdBothDirectoryRestartInfo => (Format::IdBoth, true),
        fs::FileFullDirectoryInfo => (Format::Full, false),
        fs::FileFullDirectoryRestartInfo => (Format::Full, true),
        fs::FileIdExtdDirectoryInfo => (Format::IdExtended, false),
        _ => (Format::IdExtended, true),
    };
    let find = object.enumerate(None, restart)?;
    match listing::fill(&find, format, out, size, false)? {
        Filled::Bytes(_) => Ok(()),
        Filled::End => Err(WinError::Code(f::ERROR_NO_MORE_FILES)),
        Filled::TooSmall => Err(WinError::Code(f::ERROR_MORE_DATA)),
    }
}

/// Sets the file information for the specified file, by class.
#[shim(kernel32, partial = "classes: basic, rename, disposition, end of file, allocation, priority hint")]
fn SetFileInformationByHandle(cx: &Cx, file: Handle, class: i32, from: Ptr<u8>, size: u32) -> Win32<()> {
    let object = cx.file(file)?.to_arc();
    match class {
        fs::FileBasicInfo => {
            let i: BasicInfo = take(cx, from, size)?;
            Ok(object.set_basic(&BasicChange::from_fields(i.created, i.accessed, i.written, i.attributes))?)
        }
        fs::FileEndOfFileInfo => {
            let end: i64 = take(cx, from, size)?;
            let end = u64::try_from(end).map_err(|_| WinError::Code(f::ERROR_INVALID_PARAMETER))?;
            Ok(object.set_end_of_file(end)?)
        }
        fs::FileAllocationInfo => {
            let end: i64 = take(cx, from, size)?;
            let end = u64::try_from(end).map_err(|_| WinError::Code(f::ERROR_INVALID_PARAMETER))?;
            Ok(object.set_allocation(end)?)
        }
        fs::FileDispositionInfo => {
            let delete: u8 = take(cx, from, size)?;
            let d = Disposition { delete: delete != 0, ..Disposition::default() };
            Ok(object.set_disposition(d)?)
        }
        fs::FileDispositionInfoEx => {
            let flags: u32 = take(cx, from, size)?;
            let d = Disposition {
                delete: flags & 1 != 0,
                posix: flags & 2 != 0,
                ignore_read_only: flags & 0x10 != 0,
            };
            Ok(object.set_disposition(d)?)
        }
        fs::FileRenameInfo | fs::FileRenameInfoEx => {
            let word = cx.words().size();
            let flags: u32 = take(cx, from, size)?;
            let len: u32 = from.byte_add(2 * word).cast::<u32>().read(cx)?;
            let name = from.byte_add(2 * word + 4).cast::<u16>().read_slice(len as usize / 2)?;
            Ok(object.rename(&name, flags & 1 != 0)?)
        }
        fs::FileIoPriorityHintInfo => Ok(()),
        _ => Err(WinError::Code(f::ERROR_INVALID_PARAMETER)),
    }
}

/// Sends a control code directly to a specified device driver, causing the corresponding device to perform the operation.
#[shim(kernel32, partial = "file system control codes that the file services know")]
fn DeviceIoControl(
    cx: &Cx,
    device: Handle,
    code: u32,
    input: Ptr<u8>,
    input_len: u32,
    output: Ptr<u8>,
    output_len: u32,
    returned: Option<Out<u32>>,
    _overlapped: Ptr<Overlapped>,
) -> Win32<()> {
    if let Some(out) = returned {
        out.write(cx, 0)?;
    }
    let input = if input.is_null() { Vec::new() } else { input.read_slice(input_len as usize)? };
    let answer = cx.file(device)?.to_arc().control(code, &input, output_len as usize)?;
    if !answer.is_empty() {
        output.write_slice(&answer)?;
    }
    if let Some(out) = returned {
        out.write(cx, u32::try_from(answer.len()).unwrap_or(0))?;
    }
    Ok(())
}
