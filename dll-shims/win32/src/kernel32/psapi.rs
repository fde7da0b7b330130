//! `psapi.h`: modules and memory of processes. kernel32 exports the functions with the prefix K32, psapi without.

use std::sync::Arc;

use transom_loader::modules::Module;
use transom_sdk::{Cx, Guest, Handle, Out, Ptr, TextOut, Win32, WinError, foundation as f, mem, shim};
use transom_syscalls::process::list;
use transom_syscalls::sysinfo;
use windows_sys::Win32::System::Threading as t;

use super::process_arg::{own_process, process_of};

const INVALID_HANDLE: WinError = WinError::Code(f::ERROR_INVALID_HANDLE);
const INVALID_PARAMETER: WinError = WinError::Code(f::ERROR_INVALID_PARAMETER);

/// A DOS path as the NT device path that some functions report: `C:\x` is on `\Device\HarddiskVolume3`, `Z:\x` on the
/// 26th volume, and so on.
pub(crate) fn device_path(path: &[u16]) -> Vec<u16> {
    let letter = path.first().and_then(|&c| u8::try_from(c).ok()).filter(u8::is_ascii_alphabetic);
    match (letter, path.get(1)) {
        (Some(letter), Some(&colon)) if colon == u16::from(b':') => {
            let number = letter.to_ascii_uppercase() - b'A' + 1;
            let mut out: Vec<u16> = format!("\\Device\\HarddiskVolume{number}").encode_utf16().collect();
            out.extend_from_slice(&path[2..]);
            out
        }
        _ => path.to_vec(),
    }
}

/// PROCESS_MEMORY_COUNTERS, with the field that PROCESS_MEMORY_COUNTERS_EX adds.
#[derive(Guest, Debug, Clone, Copy)]
#[mirrors(windows_sys::Win32::System::ProcessStatus::PROCESS_MEMORY_COUNTERS_EX)]
struct MemoryCounters {
    size: u32,
    page_faults: u32,
    peak_working_set: usize,
    working_set: usize,
    quotas: [usize; 4],
    page_file: usize,
    peak_page_file: usize,
    private: usize,
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "the host is 64-bit; a 32-bit guest's figures fit its words"
)]
fn size(value: u64) -> usize {
    value as usize
}

/// Retrieves information about the memory usage of the specified process.
#[shim(kernel32(K32GetProcessMemoryInfo, GetProcessMemoryInfo), psapi)]
fn GetProcessMemoryInfo(cx: &Cx, process: Handle, out: Ptr<u8>, room: u32) -> Win32<()> {
    let process = process_of(cx, process, t::PROCESS_QUERY_LIMITED_INFORMATION)?;
    let full = cx.size_of::<MemoryCounters>();
    let short = full - cx.size_of::<usize>();
    if (room as usize) < short {
        return Err(WinError::Code(f::ERROR_INSUFFICIENT_BUFFER));
    }
    let told = if room as usize >= full { full } else { short };
    let memory = list::memory(process.id()).ok_or(INVALID_HANDLE)?;
    let counters = MemoryCounters {
        size: u32::try_from(told).unwrap_or(0),
        page_faults: u32::try_from(memory.page_faults).unwrap_or(u32::MAX),
        peak_working_set: size(memory.peak_working_set),
        working_set: size(memory.working_set),
        quotas: [0; 4],
        page_file: size(memory.private),
        peak_page_file: size(memory.private),
        private: size(memory.private),
    };
    if told == full {
        return Ok(out.cast().write(cx, counters)?);
    }
    // The shorter structure is the longer one's beginning: written where nothing is lost, then copied.
    mem::probe_write(out.addr(), short)?;
    let mut words = vec![counters.size, counters.page_faults];
    let fields = [
        counters.peak_working_set,
        counters.working_set,
        0,
        0,
        0,
        0,
        counters.page_file,
        counters.peak_page_file,
    ];
    for field in fields {
        let bytes = (field as u64).to_le_bytes();
        let half = |at: usize| u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
        words.push(half(0));
        if cx.is_64() {
            words.push(half(4));
        }
    }
    Ok(mem::write_slice(out.addr(), &words)?)
}

/// Retrieves the process identifier of each process.
#[shim(kernel32(K32EnumProcesses), psapi)]
fn EnumProcesses(cx: &Cx, out: Ptr<u32>, room: u32, used: Out<u32>) -> Win32<()> {
    let ids: Vec<u32> = list::processes().into_iter().map(|p| p.pid).collect();
    let kept = &ids[..ids.len().min(room as usize / 4)];
    out.write_slice(kept)?;
    Ok(used.write(cx, u32::try_from(kept.len() * 4).unwrap_or(u32::MAX))?)
}

/// The module of a handle in a process; NULL is the program. Only this process's modules are known.
fn module(cx: &Cx, process: Handle, handle: Handle) -> Win32<Arc<Module>> {
    own_process(cx, process, t::PROCESS_QUERY_LIMITED_INFORMATION)?;
    let found = if handle.is_null() {
        cx.modules().program()
    } else {
        cx.modules().by_handle(handle.0.cast_unsigned() & !3)
    };
    found.ok_or(INVALID_HANDLE)
}

/// Retrieves a handle for each module in the specified process.
#[shim(kernel32(K32EnumProcessModules), psapi, partial = "only for the calling process")]
fn EnumProcessModules(cx: &Cx, process: Handle, out: Ptr<Handle>, room: u32, needed: Out<u32>) -> Win32<()> {
    own_process(cx, process, t::PROCESS_QUERY_INFORMATION)?;
    let word = cx.size_of::<Handle>();
    let bases: Vec<u64> = cx.modules().all().iter().map(|m| m.base).collect();
    for (index, base) in bases.iter().take(room as usize / word).enumerate() {
        out.add(cx, index).write(cx, Handle(base.cast_signed()))?;
    }
    Ok(needed.write(cx, u32::try_from(bases.len() * word).unwrap_or(u32::MAX))?)
}

/// As EnumProcessModules, with a filter by width, of which a process has one here.
#[shim(kernel32(K32EnumProcessModulesEx), psapi, partial = "only for the calling process")]
fn EnumProcessModulesEx(
    cx: &Cx,
    process: Handle,
    out: Ptr<Handle>,
    room: u32,
    needed: Out<u32>,
    _filter: u32,
) -> Win32<()> {
    EnumProcessModules(cx, process, out, room, needed)
}

fn put(cx: &Cx, text: &[u16], out: TextOut, room: u32) -> Win32<u32> {
    if room == 0 {
        return Err(WinError::Code(f::ERROR_INSUFFICIENT_BUFFER));
    }
    let (written, whole) = out.put_truncated(text, room)?;
    if whole {
        return Ok(written);
    }
    cx.set_last_error(f::ERROR_INSUFFICIENT_BUFFER);
    Ok(room)
}

/// Retrieves the path of the file of a module.
#[shim(kernel32(K32GetModuleFileNameExW), psapi, ansi, partial = "only for the calling process")]
fn GetModuleFileNameExW(cx: &Cx, process: Handle, handle: Handle, out: TextOut, room: u32) -> Win32<u32> {
    put(cx, &module(cx, process, handle)?.path, out, room)
}

/// Retrieves the base name of a module.
#[shim(kernel32(K32GetModuleBaseNameW), psapi, ansi, partial = "only for the calling process")]
fn GetModuleBaseNameW(cx: &Cx, process: Handle, handle: Handle, out: TextOut, room: u32) -> Win32<u32> {
    let module = module(cx, process, handle)?;
    put(cx, module.file_name(), out, room)
}

/// MODULEINFO.
#[derive(Guest, Debug, Clone, Copy)]
#[mirrors(windows_sys::Win32::System::ProcessStatus::MODULEINFO)]
struct ModuleInfo {
    base: Ptr<u8>,
    size: u32,
    entry: Ptr<u8>,
}

/// Retrieves where a module lies and where it begins to run.
#[shim(kernel32(K32GetModuleInformation), psapi, partial = "only for the calling process")]
fn GetModuleInformation(
    cx: &Cx,
    process: Handle,
    handle: Handle,
    out: Out<ModuleInfo>,
    room: u32,
) -> Win32<()> {
    if (room as usize) < cx.size_of::<ModuleInfo>() {
        return Err(WinError::Code(f::ERROR_INSUFFICIENT_BUFFER));
    }
    let module = module(cx, process, handle)?;
    let info = ModuleInfo {
        base: Ptr::new(module.base),
        size: u32::try_from(module.size).unwrap_or(u32::MAX),
        entry: Ptr::new(module.entry_point()),
    };
    Ok(out.write(cx, info)?)
}

/// Retrieves the name of the executable file of a process, as a device path.
#[shim(kernel32(K32GetProcessImageFileNameW), psapi, ansi, partial = "only for the calling process")]
fn GetProcessImageFileNameW(cx: &Cx, process: Handle, out: TextOut, room: u32) -> Win32<u32> {
    put(cx, &device_path(&module(cx, process, Handle::NULL)?.path), out, room)
}

/// Retrieves the file that is mapped at an address, as a device path.
#[shim(kernel32(K32GetMappedFileNameW), psapi, ansi, partial = "only for the calling process")]
fn GetMappedFileNameW(cx: &Cx, process: Handle, at: Ptr<u8>, out: TextOut, room: u32) -> Win32<u32> {
    own_process(cx, process, t::PROCESS_QUERY_INFORMATION)?;
    let name = cx.memory().mapped_file(at.addr()).ok_or(WinError::Code(f::ERROR_UNEXP_NET_ERR))?;
    put(cx, &device_path(&name), out, room)
}

/// Removes as many pages as possible from the working set: advice, which Linux does not need.
#[shim(kernel32(K32EmptyWorkingSet), psapi, partial = "Linux decides what stays in memory")]
fn EmptyWorkingSet(cx: &Cx, process: Handle) -> Win32<()> {
    Ok(own_process(cx, process, t::PROCESS_SET_QUOTA)?)
}

/// PERFORMANCE_INFORMATION. Memory is counted in pages.
#[derive(Guest, Debug, Clone, Copy)]
#[mirrors(windows_sys::Win32::System::ProcessStatus::PERFORMANCE_INFORMATION)]
struct PerformanceInformation {
    size: u32,
    commit_total: usize,
    commit_limit: usize,
    commit_peak: usize,
    physical_total: usize,
    physical_available: usize,
    system_cache: usize,
    kernel: [usize; 3],
    page_size: usize,
    handles: u32,
    processes: u32,
    threads: u32,
}

/// Retrieves performance information of the system.
#[shim(kernel32(K32GetPerformanceInfo), psapi)]
fn GetPerformanceInfo(cx: &Cx, out: Out<PerformanceInformation>, room: u32) -> Win32<()> {
    let needed = cx.size_of::<PerformanceInformation>();
    if (room as usize) < needed {
        return Err(WinError::Code(f::ERROR_BAD_LENGTH));
    }
    let status = sysinfo::memory_status();
    let pages = |bytes: u64| size(bytes / 4096);
    let all = list::processes();
    let used = status.total_page_file.saturating_sub(status.available_page_file);
    let info = PerformanceInformation {
        size: u32::try_from(needed).map_err(|_| INVALID_PARAMETER)?,
        commit_total: pages(used),
        commit_limit: pages(status.total_page_file),
        commit_peak: pages(used),
        physical_total: pages(status.total),
        physical_available: pages(status.available),
        system_cache: 0,
        kernel: [0; 3],
        page_size: 4096,
        handles: u32::try_from(cx.handles().count()).unwrap_or(u32::MAX),
        processes: u32::try_from(all.len()).unwrap_or(u32::MAX),
        threads: all.iter().map(|p| p.threads).sum(),
    };
    Ok(out.write(cx, info)?)
}
