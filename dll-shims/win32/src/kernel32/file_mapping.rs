//! File mappings (`memoryapi.h`): sections and their views.

use std::sync::Arc;

use transom_sdk::{Cx, Handle, Ptr, WStr, Win32, WinError, foundation as f, shim};
use transom_syscalls::memory::View;
use transom_syscalls::section::Section;
use windows_sys::Win32::Storage::FileSystem::STANDARD_RIGHTS_REQUIRED;
use windows_sys::Win32::System::Memory as m;
use windows_sys::Win32::System::Threading as t;

use super::memoryapi::{Requirements, requirements};
use super::process_arg::own_process;
use super::synchapi::How;
use super::synchapi::SecurityAttributes;

const INVALID_PARAMETER: WinError = WinError::Code(f::ERROR_INVALID_PARAMETER);

/// Creates or opens a named or unnamed file mapping object for a file, or for the page file.
#[shim(kernel32, ansi, partial = "no SEC_IMAGE and no large pages")]
fn CreateFileMappingW(
    cx: &Cx,
    file: Handle,
    attributes: Ptr<SecurityAttributes>,
    protect: u32,
    size_high: u32,
    size_low: u32,
    name: Option<WStr>,
) -> Win32<Handle> {
    const SECTION_FLAGS: u32 = m::SEC_COMMIT
        | m::SEC_IMAGE
        | m::SEC_IMAGE_NO_EXECUTE
        | m::SEC_LARGE_PAGES
        | m::SEC_NOCACHE
        | m::SEC_RESERVE
        | m::SEC_WRITECOMBINE;
    let mut kind = protect & SECTION_FLAGS;
    let protect = protect & !SECTION_FLAGS;
    if kind & m::SEC_IMAGE != 0 {
        return Err(WinError::Code(f::ERROR_NOT_SUPPORTED));
    }
    if kind & (m::SEC_COMMIT | m::SEC_RESERVE) == 0 {
        kind |= m::SEC_COMMIT;
    }
    let size = u64::from(size_high) << 32 | u64::from(size_low);
    let access = section_access(protect);
    super::synchapi::named(cx, name, attributes, access, |how| {
        let file = if file == Handle::INVALID { None } else { Some(cx.file(file)?.to_arc()) };
        match (how, &file) {
            (How::Named(name), None) => Ok(Section::named(name, protect, kind, size)?),
            _ => {
                if let How::Named(name) = how {
                    let name = String::from_utf16_lossy(name);
                    log::warn!("the mapping {name:?} of a file is not found by its name");
                }
                Ok((Arc::new(Section::create(file.as_ref(), protect, kind, size)?), false))
            }
        }
    })
}

/// What the handle to a new mapping allows: as its protection says.
fn section_access(protect: u32) -> u32 {
    let base = STANDARD_RIGHTS_REQUIRED | m::SECTION_QUERY | m::SECTION_MAP_READ;
    match protect & 0xFF {
        m::PAGE_READWRITE => base | m::SECTION_MAP_WRITE,
        m::PAGE_EXECUTE_READWRITE => base | m::SECTION_MAP_WRITE | m::SECTION_MAP_EXECUTE,
        m::PAGE_EXECUTE_READ | m::PAGE_EXECUTE_WRITECOPY => base | m::SECTION_MAP_EXECUTE,
        _ => base,
    }
}

/// As CreateFileMapping with a preferred NUMA node, of which there is one.
#[shim(kernel32, ansi, partial = "no SEC_IMAGE and no large pages")]
fn CreateFileMappingNumaW(
    cx: &Cx,
    file: Handle,
    attributes: Ptr<SecurityAttributes>,
    protect: u32,
    size_high: u32,
    size_low: u32,
    name: Option<WStr>,
    _node: u32,
) -> Win32<Handle> {
    CreateFileMappingW(cx, file, attributes, protect, size_high, size_low, name)
}

/// Opens a named file mapping object.
#[shim(kernel32, ansi)]
fn OpenFileMappingW(cx: &Cx, access: u32, inherit: bool, name: WStr) -> Win32<Handle> {
    super::synchapi::open::<Section>(cx, access, inherit, name)
}

/// Maps a view of a file mapping into the address space of the calling process.
#[shim(kernel32)]
fn MapViewOfFile(
    cx: &Cx,
    mapping: Handle,
    access: u32,
    offset_high: u32,
    offset_low: u32,
    size: usize,
) -> Win32<Ptr<u8>> {
    MapViewOfFileEx(cx, mapping, access, offset_high, offset_low, size, Ptr::NULL)
}

/// Creates or opens a file mapping object, with its size in one piece.
#[shim(kernel32, partial = "no SEC_IMAGE and no large pages")]
fn CreateFileMappingFromApp(
    cx: &Cx,
    file: Handle,
    attributes: Ptr<SecurityAttributes>,
    protect: u32,
    size: u64,
    name: Option<WStr>,
) -> Win32<Handle> {
    let (low, high) = super::fileapi::halves(size);
    CreateFileMappingW(cx, file, attributes, protect, high, low, name)
}

/// Maps a view of a file mapping, with its offset in one piece.
#[shim(kernel32)]
fn MapViewOfFileFromApp(cx: &Cx, mapping: Handle, access: u32, offset: u64, size: usize) -> Win32<Ptr<u8>> {
    let (low, high) = super::fileapi::halves(offset);
    MapViewOfFileEx(cx, mapping, access, high, low, size, Ptr::NULL)
}

/// As MapViewOfFile, at an address of the caller's choice.
#[shim(kernel32)]
fn MapViewOfFileEx(
    cx: &Cx,
    mapping: Handle,
    access: u32,
    offset_high: u32,
    offset_low: u32,
    size: usize,
    base: Ptr<u8>,
) -> Win32<Ptr<u8>> {
    let offset = u64::from(offset_high) << 32 | u64::from(offset_low);
    let (protect, wanted) = view_protection(access).ok_or(INVALID_PARAMETER)?;
    let section = cx.object::<Section>(mapping, wanted)?;
    let mut view = section.view(offset, size as u64, protect)?;
    if view.base != base.addr() && !base.addr().is_multiple_of(transom_syscalls::memory::GRANULARITY) {
        return Err(WinError::Code(f::ERROR_MAPPED_ALIGNMENT));
    }
    view.base = base.addr();
    Ok(Ptr::new(cx.memory().map_view(&view)?.base))
}

/// As MapViewOfFileEx with a preferred NUMA node, of which there is one.
#[shim(kernel32)]
fn MapViewOfFileExNuma(
    cx: &Cx,
    mapping: Handle,
    access: u32,
    offset_high: u32,
    offset_low: u32,
    size: usize,
    base: Ptr<u8>,
    _node: u32,
) -> Win32<Ptr<u8>> {
    MapViewOfFileEx(cx, mapping, access, offset_high, offset_low, size, base)
}

/// The page protection of FILE_MAP_* flags, and the access that the handle must have.
fn view_protection(access: u32) -> Option<(u32, u32)> {
    let execute = access & m::FILE_MAP_EXECUTE != 0;
    let copy = access & (m::FILE_MAP_COPY | m::FILE_MAP_WRITE) == m::FILE_MAP_COPY;
    let (protect, wanted) = if copy {
        (if execute { m::PAGE_EXECUTE_WRITECOPY } else { m::PAGE_WRITECOPY }, m::SECTION_MAP_READ)
    } else if access & m::FILE_MAP_WRITE != 0 {
        (if execute { m::PAGE_EXECUTE_READWRITE } else { m::PAGE_READWRITE }, m::SECTION_MAP_WRITE)
    } else if access & m::FILE_MAP_READ != 0 {
        (if execute { m::PAGE_EXECUTE_READ } else { m::PAGE_READONLY }, m::SECTION_MAP_READ)
    } else {
        return None;
    };
    Some((protect, wanted | if execute { m::SECTION_MAP_EXECUTE } else { 0 }))
}

/// Maps a view with a page protection, address requirements and placeholders.
#[shim(kernel32(MapViewOfFile3, MapViewOfFile3FromApp), partial = "only for the calling process")]
fn MapViewOfFile3(
    cx: &Cx,
    mapping: Handle,
    process: Handle,
    base: Ptr<u8>,
    offset: u64,
    size: usize,
    kind: u32,
    protect: u32,
    parameters: Ptr<u8>,
    count: u32,
) -> Win32<Ptr<u8>> {
    if !process.is_null() {
        own_process(cx, process, t::PROCESS_VM_OPERATION)?;
    }
    let Requirements { lowest, highest, alignment } = requirements(cx, parameters, count)?;
    let section = cx.object::<Section>(mapping, m::SECTION_MAP_READ)?;
    let replace_placeholder = kind & m::MEM_REPLACE_PLACEHOLDER != 0;
    let view = View {
        base: base.addr(),
        replace_placeholder,
        reserve_only: kind & m::MEM_RESERVE != 0,
        lowest,
        highest,
        alignment,
        ..section.view(offset, size as u64, protect)?
    };
    Ok(Ptr::new(cx.memory().map_view(&view)?.base))
}

/// Unmaps a mapped view of a file from the calling process's address space.
#[shim(kernel32)]
fn UnmapViewOfFile(cx: &Cx, base: Ptr<u8>) -> Win32<()> {
    UnmapViewOfFileEx(cx, base, 0)
}

/// As UnmapViewOfFile, with flags.
#[shim(kernel32)]
fn UnmapViewOfFileEx(cx: &Cx, base: Ptr<u8>, flags: u32) -> Win32<()> {
    if flags & !(m::MEM_UNMAP_WITH_TRANSIENT_BOOST | m::MEM_PRESERVE_PLACEHOLDER) != 0 {
        return Err(INVALID_PARAMETER);
    }
    cx.memory().unmap_view(base.addr(), flags & m::MEM_PRESERVE_PLACEHOLDER != 0)?;
    Ok(())
}

/// As UnmapViewOfFileEx, in a process named by a handle.
#[shim(kernel32, partial = "only for the calling process")]
fn UnmapViewOfFile2(cx: &Cx, process: Handle, base: Ptr<u8>, flags: u32) -> Win32<()> {
    own_process(cx, process, t::PROCESS_VM_OPERATION)?;
    UnmapViewOfFileEx(cx, base, flags)
}

/// Writes to the disk a byte range within a mapped view of a file.
#[shim(kernel32)]
fn FlushViewOfFile(cx: &Cx, base: Ptr<u8>, size: usize) -> Win32<()> {
    Ok(cx.memory().flush_view(base.addr(), size as u64)?)
}
