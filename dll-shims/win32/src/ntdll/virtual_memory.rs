//! Virtual memory and sections: the NT services under `memoryapi.h`.

use std::sync::Arc;

use transom_sdk::{Cx, Guest, Handle, Nt, Out, Ptr, Status, foundation as f, shim};
use transom_syscalls::memory::{Allocation, View};
use transom_syscalls::section::Section;
use windows_sys::Win32::System::Memory as m;
use windows_sys::Win32::System::Threading as t;

use super::objects::{ObjectAttributes, unnamed};
use super::probe::{get, nt, put, put_opt, status, word};
use crate::kernel32::memoryapi::{MemoryBasicInformation, Requirements, requirements};
use crate::kernel32::process_arg::own_process;

/// Reserves, commits, or changes the state of a region of pages.
#[shim(ntdll(NtAllocateVirtualMemory, ZwAllocateVirtualMemory), partial = "only for the calling process")]
fn NtAllocateVirtualMemory(
    cx: &Cx,
    process: Handle,
    base: Ptr<usize>,
    zero_bits: usize,
    size: Ptr<usize>,
    kind: u32,
    protect: u32,
) -> Nt<()> {
    let (wanted, len) = (get(cx, base)? as u64, get(cx, size)? as u64);
    let highest = if wanted == 0 { highest_of(zero_bits)? } else { 0 };
    own_process(cx, process, t::PROCESS_VM_OPERATION)?;
    let request = Allocation { base: wanted, size: len, kind, protect, highest, ..Allocation::default() };
    let range = cx.memory().allocate(&request)?;
    put(cx, base, word(range.base))?;
    put(cx, size, word(range.size))
}

/// The highest address that `ZeroBits` allows: that many high bits of 32 must be zero; a larger value is a mask.
fn highest_of(zero_bits: usize) -> Nt<u64> {
    match zero_bits {
        0 => Ok(0),
        1..=20 => Ok(u64::from(u32::MAX >> zero_bits)),
        21..=31 => status(f::STATUS_INVALID_PARAMETER_3),
        mask => Ok(u64::MAX >> (mask as u64).leading_zeros()),
    }
}

/// As NtAllocateVirtualMemory, with address requirements and placeholders.
#[shim(ntdll(NtAllocateVirtualMemoryEx, ZwAllocateVirtualMemoryEx), partial = "only for the calling process")]
fn NtAllocateVirtualMemoryEx(
    cx: &Cx,
    process: Handle,
    base: Ptr<usize>,
    size: Ptr<usize>,
    kind: u32,
    protect: u32,
    parameters: Ptr<u8>,
    count: u32,
) -> Nt<()> {
    let (wanted, len) = (get(cx, base)? as u64, get(cx, size)? as u64);
    own_process(cx, process, t::PROCESS_VM_OPERATION)?;
    let Requirements { lowest, highest, alignment } = requirements(cx, parameters, count).map_err(nt)?;
    let request = Allocation { base: wanted, size: len, kind, protect, lowest, highest, alignment };
    let range = cx.memory().allocate(&request)?;
    put(cx, base, word(range.base))?;
    put(cx, size, word(range.size))
}

/// Releases or decommits pages.
#[shim(ntdll(NtFreeVirtualMemory, ZwFreeVirtualMemory), partial = "only for the calling process")]
fn NtFreeVirtualMemory(cx: &Cx, process: Handle, base: Ptr<usize>, size: Ptr<usize>, kind: u32) -> Nt<()> {
    let (at, len) = (get(cx, base)? as u64, get(cx, size)? as u64);
    own_process(cx, process, t::PROCESS_VM_OPERATION)?;
    let range = cx.memory().free(at, len, kind)?;
    put(cx, base, word(range.base))?;
    put(cx, size, word(range.size))
}

/// Changes the protection of committed pages.
#[shim(ntdll(NtProtectVirtualMemory, ZwProtectVirtualMemory), partial = "only for the calling process")]
fn NtProtectVirtualMemory(
    cx: &Cx,
    process: Handle,
    base: Ptr<usize>,
    size: Ptr<usize>,
    protect: u32,
    old: Ptr<u32>,
) -> Nt<()> {
    let (at, len) = (get(cx, base)? as u64, get(cx, size)? as u64);
    own_process(cx, process, t::PROCESS_VM_OPERATION)?;
    let (before, range) = cx.memory().protect(at, len, protect)?;
    put(cx, base, word(range.base))?;
    put(cx, size, word(range.size))?;
    put(cx, old, before)
}

/// Describes memory: its state (class 0) or the file that is mapped there (class 2).
#[shim(ntdll(NtQueryVirtualMemory, ZwQueryVirtualMemory), partial = "only for the calling process")]
fn NtQueryVirtualMemory(
    cx: &Cx,
    process: Handle,
    address: Ptr<u8>,
    class: i32,
    out: Ptr<u8>,
    len: usize,
    returned: Ptr<usize>,
) -> Nt<()> {
    const BASIC: i32 = windows_sys::Wdk::Storage::FileSystem::MemoryBasicInformation;
    const MAPPED_FILE: i32 = 2;
    own_process(cx, process, t::PROCESS_QUERY_INFORMATION)?;
    match class {
        BASIC => {
            let size = cx.size_of::<MemoryBasicInformation>();
            if len < size {
                return status(f::STATUS_INFO_LENGTH_MISMATCH);
            }
            let info = cx.memory().query(address.addr())?;
            put(cx, out.cast(), MemoryBasicInformation::new(&info))?;
            put_opt(cx, returned, size)
        }
        MAPPED_FILE => {
            let Some(name) = cx.memory().mapped_file(address.addr()) else {
                return status(f::STATUS_INVALID_ADDRESS);
            };
            let name = crate::kernel32::psapi::device_path(&name);
            super::strings::put_with_text(cx, out, len, &name, |needed| put_opt(cx, returned, needed))
        }
        _ => status(f::STATUS_INVALID_INFO_CLASS),
    }
}

/// Locks pages into physical memory.
#[shim(ntdll(NtLockVirtualMemory, ZwLockVirtualMemory), partial = "only for the calling process")]
fn NtLockVirtualMemory(cx: &Cx, process: Handle, base: Ptr<usize>, size: Ptr<usize>, _kind: u32) -> Nt<()> {
    own_process(cx, process, t::PROCESS_VM_OPERATION)?;
    Ok(cx.memory().lock_pages(get(cx, base)? as u64, get(cx, size)? as u64, true)?)
}

/// Unlocks pages.
#[shim(ntdll(NtUnlockVirtualMemory, ZwUnlockVirtualMemory), partial = "only for the calling process")]
fn NtUnlockVirtualMemory(cx: &Cx, process: Handle, base: Ptr<usize>, size: Ptr<usize>, _kind: u32) -> Nt<()> {
    own_process(cx, process, t::PROCESS_VM_OPERATION)?;
    Ok(cx.memory().lock_pages(get(cx, base)? as u64, get(cx, size)? as u64, false)?)
}

/// Writes a view's changed pages to its file.
#[shim(ntdll(NtFlushVirtualMemory, ZwFlushVirtualMemory), partial = "only for the calling process")]
fn NtFlushVirtualMemory(
    cx: &Cx,
    process: Handle,
    base: Ptr<usize>,
    size: Ptr<usize>,
    _status: Ptr<u8>,
) -> Nt<()> {
    own_process(cx, process, t::PROCESS_VM_OPERATION)?;
    Ok(cx.memory().flush_view(get(cx, base)? as u64, get(cx, size)? as u64)?)
}

/// Reads memory of a process.
#[shim(ntdll(NtReadVirtualMemory, ZwReadVirtualMemory), partial = "only for the calling process")]
fn NtReadVirtualMemory(
    cx: &Cx,
    process: Handle,
    from: Ptr<u8>,
    to: Ptr<u8>,
    size: usize,
    read: Option<Out<usize>>,
) -> Nt<()> {
    crate::kernel32::memoryapi::ReadProcessMemory(cx, process, from, to, size, read).map_err(nt)
}

/// Writes memory of a process.
#[shim(ntdll(NtWriteVirtualMemory, ZwWriteVirtualMemory), partial = "only for the calling process")]
fn NtWriteVirtualMemory(
    cx: &Cx,
    process: Handle,
    to: Ptr<u8>,
    from: Ptr<u8>,
    size: usize,
    written: Option<Out<usize>>,
) -> Nt<()> {
    crate::kernel32::memoryapi::WriteProcessMemory(cx, process, to, from, size, written).map_err(nt)
}

/// Makes written code visible to the processor.
#[shim(ntdll(NtFlushInstructionCache, ZwFlushInstructionCache))]
fn NtFlushInstructionCache(cx: &Cx, _process: Handle, start: Ptr<u8>, len: usize) -> Nt<()> {
    cx.engine().flush_code(start.addr(), len as u64);
    Ok(())
}

/// Creates a section object.
#[shim(ntdll(NtCreateSection, ZwCreateSection), partial = "no names, no SEC_IMAGE, no large pages")]
fn NtCreateSection(
    cx: &Cx,
    out: Ptr<Handle>,
    access: u32,
    attributes: Ptr<ObjectAttributes>,
    size: Ptr<i64>,
    protect: u32,
    kind: u32,
    file: Handle,
) -> Nt<()> {
    let flags = unnamed(cx, attributes)?;
    if !attributes.is_null() && kind & m::SEC_IMAGE != 0 {
        return status(f::STATUS_NOT_SUPPORTED);
    }
    let size = if size.is_null() { 0 } else { get(cx, size)? };
    let size = u64::try_from(size).map_err(|_| Status(f::STATUS_INVALID_PARAMETER_4))?;
    let file = if file.is_null() { None } else { Some(cx.file(file)?.to_arc()) };
    let section = Section::create(file.as_ref(), protect, kind, size)?;
    let handle = cx.handles().insert(Arc::new(section), access, flags)?;
    put(cx, out, handle.into())
}

/// Maps a view of a section.
#[shim(ntdll(NtMapViewOfSection, ZwMapViewOfSection), partial = "only for the calling process")]
fn NtMapViewOfSection(
    cx: &Cx,
    section: Handle,
    process: Handle,
    base: Ptr<usize>,
    zero_bits: usize,
    _commit: usize,
    offset: Ptr<i64>,
    size: Ptr<usize>,
    _inherit: u32,
    kind: u32,
    protect: u32,
) -> Nt<()> {
    own_process(cx, process, t::PROCESS_VM_OPERATION)?;
    let from = if offset.is_null() { 0 } else { get(cx, offset)? };
    let from = u64::try_from(from).map_err(|_| Status(f::STATUS_INVALID_PARAMETER_6))?;
    let section = cx.object::<Section>(section, m::SECTION_MAP_READ)?;
    let at = get(cx, base)? as u64;
    let view = View {
        base: at,
        kind: kind & windows_sys::Win32::System::SystemServices::MEM_TOP_DOWN,
        highest: if at == 0 { highest_of(zero_bits)? } else { 0 },
        ..section.view(from, get(cx, size)? as u64, protect)?
    };
    let range = cx.memory().map_view(&view)?;
    put(cx, base, word(range.base))?;
    put(cx, size, word(range.size))
}

/// Unmaps a view of a section.
#[shim(ntdll(NtUnmapViewOfSection, ZwUnmapViewOfSection), partial = "only for the calling process")]
fn NtUnmapViewOfSection(cx: &Cx, process: Handle, base: Ptr<u8>) -> Nt<()> {
    own_process(cx, process, t::PROCESS_VM_OPERATION)?;
    cx.memory().unmap_view(base.addr(), false)?;
    Ok(())
}

/// SECTION_BASIC_INFORMATION.
#[derive(Guest, Debug, Clone, Copy)]
struct SectionBasicInformation {
    base: Ptr<u8>,
    attributes: u32,
    size: i64,
}

/// Describes a section.
#[shim(ntdll(NtQuerySection, ZwQuerySection))]
fn NtQuerySection(
    cx: &Cx,
    section: Handle,
    class: u32,
    out: Ptr<u8>,
    len: usize,
    returned: Ptr<usize>,
) -> Nt<()> {
    const BASIC: u32 = 0;
    if class != BASIC {
        return status(f::STATUS_INVALID_INFO_CLASS);
    }
    let size = cx.size_of::<SectionBasicInformation>();
    if len < size {
        return status(f::STATUS_INFO_LENGTH_MISMATCH);
    }
    let section = cx.object::<Section>(section, m::SECTION_QUERY)?;
    let info = SectionBasicInformation {
        base: Ptr::NULL,
        attributes: section.attributes(),
        size: section.size().cast_signed(),
    };
    put(cx, out.cast(), info)?;
    put_opt(cx, returned, size)
}
