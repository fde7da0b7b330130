//! `memoryapi.h`: virtual memory of the calling process. File mappings are in `file_mapping.rs`, heaps in `heapapi.rs`,
//! global and local memory in `winbase_memory.rs`.

use transom_sdk::{Cx, Guest, Handle, Out, Ptr, Win32, WinError, foundation as f, mem, shim};
use transom_syscalls::memory::{Allocation, MemoryInfo, PAGE};
use windows_sys::Win32::System::Memory as m;
use windows_sys::Win32::System::Threading as t;

use super::process_arg::{NULL_POINTER, own_process};

const INVALID_PARAMETER: WinError = WinError::Code(f::ERROR_INVALID_PARAMETER);

/// MEMORY_BASIC_INFORMATION. The 64-bit structure has a partition id, which is 0, in the upper half of
/// `allocation_protect`'s place.
#[derive(Guest, Debug, Clone, Copy)]
#[mirrors(windows_sys::Win32::System::Memory::MEMORY_BASIC_INFORMATION)]
pub(crate) struct MemoryBasicInformation {
    base: Ptr<u8>,
    allocation_base: Ptr<u8>,
    allocation_protect: usize,
    size: usize,
    state: u32,
    protect: u32,
    kind: u32,
}

impl MemoryBasicInformation {
    /// Of what the service found.
    #[expect(clippy::cast_possible_truncation, reason = "the host is 64-bit")]
    pub(crate) fn new(info: &MemoryInfo) -> Self {
        Self {
            base: Ptr::new(info.base),
            allocation_base: Ptr::new(info.allocation_base),
            allocation_protect: info.allocation_protect as usize,
            size: info.size as usize,
            state: info.state,
            protect: info.protect,
            kind: info.kind,
        }
    }
}

/// Reserves, commits, or changes the state of a region of pages of the calling process.
#[shim(kernel32)]
fn VirtualAlloc(cx: &Cx, base: Ptr<u8>, size: usize, kind: u32, protect: u32) -> Win32<Ptr<u8>> {
    let request = Allocation { base: base.addr(), size: size as u64, kind, protect, ..Allocation::default() };
    Ok(Ptr::new(cx.memory().allocate(&request)?.base))
}

/// As VirtualAlloc, in a process named by a handle.
#[shim(kernel32, partial = "only for the calling process")]
fn VirtualAllocEx(
    cx: &Cx,
    process: Handle,
    base: Ptr<u8>,
    size: usize,
    kind: u32,
    protect: u32,
) -> Win32<Ptr<u8>> {
    own_process(cx, process, t::PROCESS_VM_OPERATION)?;
    VirtualAlloc(cx, base, size, kind, protect)
}

/// As VirtualAllocEx with a preferred NUMA node, of which there is one.
#[shim(kernel32, partial = "only for the calling process")]
fn VirtualAllocExNuma(
    cx: &Cx,
    process: Handle,
    base: Ptr<u8>,
    size: usize,
    kind: u32,
    protect: u32,
    _node: u32,
) -> Win32<Ptr<u8>> {
    VirtualAllocEx(cx, process, base, size, kind, protect)
}

/// MEM_EXTENDED_PARAMETER: the low 8 bits of `kind` are its type.
#[derive(Guest, Debug, Clone, Copy)]
#[mirrors(windows_sys::Win32::System::Memory::MEM_EXTENDED_PARAMETER)]
struct ExtendedParameter {
    kind: u64,
    value: u64,
}

/// MEM_ADDRESS_REQUIREMENTS.
#[derive(Guest, Debug, Clone, Copy)]
#[mirrors(windows_sys::Win32::System::Memory::MEM_ADDRESS_REQUIREMENTS)]
struct AddressRequirements {
    lowest: usize,
    highest: usize,
    alignment: usize,
}

/// Where extended parameters want memory: lowest and highest address and alignment.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Requirements {
    pub(crate) lowest: u64,
    pub(crate) highest: u64,
    pub(crate) alignment: u64,
}

/// Reads an array of MEM_EXTENDED_PARAMETER. NUMA nodes, attributes and machines have no effect.
pub(crate) fn requirements(cx: &Cx, parameters: Ptr<u8>, count: u32) -> Result<Requirements, WinError> {
    let mut out = Requirements::default();
    if count > 16 || (count > 0 && parameters.is_null()) {
        return Err(INVALID_PARAMETER);
    }
    for index in 0..count as usize {
        let parameter = parameters.cast::<ExtendedParameter>().add(cx, index).read(cx)?;
        match i32::from(parameter.kind.to_le_bytes()[0]) {
            m::MemExtendedParameterAddressRequirements => {
                let wanted = Ptr::<AddressRequirements>::new(parameter.value).read(cx)?;
                out = Requirements {
                    lowest: wanted.lowest as u64,
                    highest: wanted.highest as u64,
                    alignment: wanted.alignment as u64,
                };
            }
            m::MemExtendedParameterNumaNode
            | m::MemExtendedParameterAttributeFlags
            | m::MemExtendedParameterImageMachine => {}
            _ => return Err(INVALID_PARAMETER),
        }
    }
    Ok(out)
}

/// Reserves, commits, or changes the state of pages, with address requirements and placeholders.
#[shim(kernel32(VirtualAlloc2, VirtualAlloc2FromApp), partial = "only for the calling process")]
fn VirtualAlloc2(
    cx: &Cx,
    process: Handle,
    base: Ptr<u8>,
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
    let request =
        Allocation { base: base.addr(), size: size as u64, kind, protect, lowest, highest, alignment };
    Ok(Ptr::new(cx.memory().allocate(&request)?.base))
}

/// Releases, decommits, or releases and decommits a region of pages of the calling process.
#[shim(kernel32)]
fn VirtualFree(cx: &Cx, base: Ptr<u8>, size: usize, kind: u32) -> Win32<()> {
    // NT releases parts of an allocation; this function does not offer it.
    if kind == m::MEM_RELEASE && size != 0 {
        return Err(INVALID_PARAMETER);
    }
    cx.memory().free(base.addr(), size as u64, kind)?;
    Ok(())
}

/// As VirtualFree, in a process named by a handle.
#[shim(kernel32, partial = "only for the calling process")]
fn VirtualFreeEx(cx: &Cx, process: Handle, base: Ptr<u8>, size: usize, kind: u32) -> Win32<()> {
    own_process(cx, process, t::PROCESS_VM_OPERATION)?;
    VirtualFree(cx, base, size, kind)
}

/// Changes the protection on a region of committed pages of the calling process.
#[shim(kernel32)]
fn VirtualProtect(cx: &Cx, base: Ptr<u8>, size: usize, protect: u32, old: Out<u32>) -> Win32<()> {
    if mem::probe_write(old.ptr().addr(), 4).is_err() {
        return Err(NULL_POINTER);
    }
    let (before, _) = cx.memory().protect(base.addr(), size as u64, protect)?;
    // The page of `old` may be among those that were just protected; Windows does not write it then either.
    let _ = old.write(cx, before);
    Ok(())
}

/// As VirtualProtect, in a process named by a handle.
#[shim(kernel32, partial = "only for the calling process")]
fn VirtualProtectEx(
    cx: &Cx,
    process: Handle,
    base: Ptr<u8>,
    size: usize,
    protect: u32,
    old: Out<u32>,
) -> Win32<()> {
    own_process(cx, process, t::PROCESS_VM_OPERATION)?;
    VirtualProtect(cx, base, size, protect, old)
}

/// Retrieves information about a range of pages of the calling process.
#[shim(kernel32)]
fn VirtualQuery(cx: &Cx, address: Ptr<u8>, out: Out<MemoryBasicInformation>, len: usize) -> Win32<usize> {
    let size = cx.size_of::<MemoryBasicInformation>();
    let info = cx.memory().query(address.addr())?;
    if len < size {
        return Err(WinError::Code(f::ERROR_BAD_LENGTH));
    }
    out.write(cx, MemoryBasicInformation::new(&info)).map_err(|_| NULL_POINTER)?;
    Ok(size)
}

/// As VirtualQuery, in a process named by a handle.
#[shim(kernel32, partial = "only for the calling process")]
fn VirtualQueryEx(
    cx: &Cx,
    process: Handle,
    address: Ptr<u8>,
    out: Out<MemoryBasicInformation>,
    len: usize,
) -> Win32<usize> {
    own_process(cx, process, t::PROCESS_QUERY_INFORMATION)?;
    VirtualQuery(cx, address, out, len)
}

/// Locks pages into physical memory.
#[shim(kernel32)]
fn VirtualLock(cx: &Cx, base: Ptr<u8>, size: usize) -> Win32<()> {
    Ok(cx.memory().lock_pages(base.addr(), size as u64, true)?)
}

/// Unlocks pages that were locked into physical memory.
#[shim(kernel32)]
fn VirtualUnlock(cx: &Cx, base: Ptr<u8>, size: usize) -> Win32<()> {
    Ok(cx.memory().lock_pages(base.addr(), size as u64, false)?)
}

/// WIN32_MEMORY_RANGE_ENTRY.
#[derive(Guest, Debug, Clone, Copy)]
#[mirrors(windows_sys::Win32::System::Memory::WIN32_MEMORY_RANGE_ENTRY)]
struct RangeEntry {
    base: Ptr<u8>,
    size: usize,
}

/// Brings ranges of pages into memory before they are needed.
#[shim(kernel32, partial = "only for the calling process")]
fn PrefetchVirtualMemory(cx: &Cx, process: Handle, count: usize, ranges: Ptr<u8>, flags: u32) -> Win32<()> {
    own_process(cx, process, 0)?;
    if flags != 0 || count == 0 {
        return Err(INVALID_PARAMETER);
    }
    for index in 0..count {
        let range = ranges.cast::<RangeEntry>().add(cx, index).read(cx)?;
        cx.memory().prefetch(range.base.addr(), range.size as u64)?;
    }
    Ok(())
}

/// Discards the contents of pages without decommitting them. Returns the error code itself.
#[shim(kernel32)]
fn DiscardVirtualMemory(cx: &Cx, base: Ptr<u8>, size: usize) -> u32 {
    if !base.addr().is_multiple_of(PAGE) || size == 0 || !(size as u64).is_multiple_of(PAGE) {
        return f::ERROR_INVALID_PARAMETER;
    }
    match cx.memory().discard(base.addr(), size as u64) {
        Ok(()) => f::ERROR_SUCCESS,
        Err(status) => transom_sdk::win32_from_status(status),
    }
}

/// Retrieves the minimum size of a large page. Allocating one needs a privilege that is not held.
#[shim(kernel32)]
fn GetLargePageMinimum() -> usize {
    2 << 20
}

/// Retrieves the addresses of written pages in a region allocated with MEM_WRITE_WATCH. No region is: such allocations
/// are refused.
#[shim(kernel32, fails = -1)]
fn GetWriteWatch(
    _flags: u32,
    _base: Ptr<u8>,
    _size: usize,
    _addresses: Ptr<u8>,
    _count: Ptr<u8>,
    _granularity: Ptr<u8>,
) -> Win32<u32> {
    Err(INVALID_PARAMETER)
}

/// Resets the write-tracking state of a region; see GetWriteWatch.
#[shim(kernel32, fails = -1)]
fn ResetWriteWatch(_base: Ptr<u8>, _size: usize) -> Win32<u32> {
    Err(INVALID_PARAMETER)
}

/// Reads memory of a process.
#[shim(kernel32, partial = "only for the calling process")]
pub(crate) fn ReadProcessMemory(
    cx: &Cx,
    process: Handle,
    from: Ptr<u8>,
    to: Ptr<u8>,
    size: usize,
    read: Option<Out<usize>>,
) -> Win32<()> {
    own_process(cx, process, t::PROCESS_VM_READ)?;
    let copied = copy(to, from, size);
    if let Some(read) = read {
        read.write(cx, if copied.is_ok() { size } else { 0 })?;
    }
    copied
}

/// Copies between guest ranges. A source that cannot be read is a partial copy; so is a target of WriteProcessMemory.
fn copy(to: Ptr<u8>, from: Ptr<u8>, size: usize) -> Win32<()> {
    if mem::probe_read(from.addr(), size).is_err() {
        return Err(WinError::Code(f::ERROR_PARTIAL_COPY));
    }
    mem::copy_within(to.addr(), from.addr(), size).map_err(|_| NULL_POINTER)
}

/// Writes memory of a process. As on Windows, code that is not writable is made so for the moment.
#[shim(kernel32, partial = "only for the calling process")]
pub(crate) fn WriteProcessMemory(
    cx: &Cx,
    process: Handle,
    to: Ptr<u8>,
    from: Ptr<u8>,
    size: usize,
    written: Option<Out<usize>>,
) -> Win32<()> {
    own_process(cx, process, t::PROCESS_VM_WRITE)?;
    let copied = write_over(cx, to, from, size);
    if let Some(written) = written {
        written.write(cx, if copied.is_ok() { size } else { 0 })?;
    }
    copied
}

fn write_over(cx: &Cx, to: Ptr<u8>, from: Ptr<u8>, size: usize) -> Win32<()> {
    if size == 0 {
        return Ok(());
    }
    mem::probe_read(from.addr(), size).map_err(|_| NULL_POINTER)?;
    let info = cx.memory().query(to.addr())?;
    let code = matches!(info.protect & 0xFF, m::PAGE_EXECUTE | m::PAGE_EXECUTE_READ);
    let opened =
        if code { cx.memory().protect(to.addr(), size as u64, m::PAGE_EXECUTE_READWRITE).ok() } else { None };
    let copied = mem::copy_within(to.addr(), from.addr(), size).map_err(|_| NULL_POINTER);
    if let Some((before, range)) = opened {
        cx.memory().protect(range.base, range.size, before)?;
    }
    cx.engine().flush_code(to.addr(), size as u64);
    copied
}

/// The limits of the working set that the program asked for; 0 until it does.
#[derive(Default)]
struct WorkingSet(std::sync::Mutex<Option<(usize, usize)>>);

/// Windows' limits for a process that asks for none: 50 and 345 pages.
const DEFAULT_WORKING_SET: (usize, usize) = (50 << 12, 345 << 12);

fn working_set(cx: &Cx) -> std::sync::MutexGuard<'static, Option<(usize, usize)>> {
    let cell: &'static WorkingSet = cx.state();
    cell.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// Retrieves the minimum and maximum working set sizes of a process.
#[shim(kernel32)]
fn GetProcessWorkingSetSize(cx: &Cx, process: Handle, least: Out<usize>, most: Out<usize>) -> Win32<()> {
    GetProcessWorkingSetSizeEx(cx, process, least, most, None)
}

/// As GetProcessWorkingSetSize, with the flags, none of which is a hard limit.
#[shim(kernel32)]
fn GetProcessWorkingSetSizeEx(
    cx: &Cx,
    process: Handle,
    least: Out<usize>,
    most: Out<usize>,
    flags: Option<Out<u32>>,
) -> Win32<()> {
    own_process(cx, process, t::PROCESS_QUERY_LIMITED_INFORMATION)?;
    let (low, high) = working_set(cx).unwrap_or(DEFAULT_WORKING_SET);
    least.write(cx, low)?;
    most.write(cx, high)?;
    if let Some(flags) = flags {
        flags.write(cx, m::QUOTA_LIMITS_HARDWS_MIN_DISABLE | m::QUOTA_LIMITS_HARDWS_MAX_DISABLE)?;
    }
    Ok(())
}

/// Sets the minimum and maximum working set sizes. Linux decides what stays in memory; the sizes are remembered.
#[shim(kernel32)]
fn SetProcessWorkingSetSize(cx: &Cx, process: Handle, least: usize, most: usize) -> Win32<()> {
    SetProcessWorkingSetSizeEx(cx, process, least, most, 0)
}

/// As SetProcessWorkingSetSize, with flags.
#[shim(kernel32, partial = "limits are not enforced")]
fn SetProcessWorkingSetSizeEx(cx: &Cx, process: Handle, least: usize, most: usize, _flags: u32) -> Win32<()> {
    own_process(cx, process, t::PROCESS_SET_QUOTA)?;
    // Both all ones: empty the working set now, which is advice.
    if least == cx.word_max() {
        return Ok(());
    }
    if least > most || least == 0 {
        return Err(INVALID_PARAMETER);
    }
    *working_set(cx) = Some((least, most));
    Ok(())
}
