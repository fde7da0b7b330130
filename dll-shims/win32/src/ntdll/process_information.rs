//! `NtQueryInformationProcess`: facts about a process, a structure per class.

use transom_sdk::{Cx, Guest, GuestData, Handle, Nt, Ptr, foundation as f, shim};
use transom_syscalls::process::{ProcessObject, list};
use transom_syscalls::time;
use windows_sys::Wdk::System::Threading as class;
use windows_sys::Win32::System::Threading as t;

use super::probe::{id_handle, put_opt, status, word};
use super::strings::put_with_text;
use crate::kernel32::process_arg::process_of;

/// PROCESS_BASIC_INFORMATION.
#[derive(Guest, Debug, Clone, Copy)]
#[mirrors(windows_sys::Win32::System::Threading::PROCESS_BASIC_INFORMATION)]
struct BasicInformation {
    exit_status: u32,
    peb: usize,
    affinity: usize,
    base_priority: i32,
    id: Handle,
    parent: Handle,
}

/// KERNEL_USER_TIMES.
#[derive(Guest, Debug, Clone, Copy)]
#[mirrors(windows_sys::Wdk::System::SystemServices::KERNEL_USER_TIMES)]
struct KernelUserTimes {
    created: i64,
    ended: i64,
    kernel: i64,
    user: i64,
}

/// VM_COUNTERS.
#[derive(Guest, Debug, Clone, Copy)]
#[mirrors(windows_sys::Wdk::System::SystemServices::VM_COUNTERS)]
struct VmCounters {
    peak_virtual: usize,
    virtual_size: usize,
    page_faults: u32,
    peak_working_set: usize,
    working_set: usize,
    quotas: [usize; 4],
    page_file: usize,
    peak_page_file: usize,
}

/// Answers a class whose buffer has to have exactly the structure's size.
fn answer<T: GuestData>(cx: &Cx, out: Ptr<u8>, room: u32, returned: Ptr<u32>, value: T) -> Nt<()> {
    let size = u32::try_from(cx.size_of::<T>()).unwrap_or(u32::MAX);
    put_opt(cx, returned, size)?;
    if room != size {
        return status(f::STATUS_INFO_LENGTH_MISMATCH);
    }
    super::probe::put(cx, out.cast(), value)
}

fn basic(cx: &Cx, process: &ProcessObject) -> BasicInformation {
    const NORMAL_PRIORITY: i32 = 8;
    let parent = list::info(process.id()).map_or(0, |i| i.parent);
    BasicInformation {
        exit_status: process.exit_code(),
        peb: if process.is_current() { word(cx.process().peb()) } else { 0 },
        affinity: word(transom_syscalls::sysinfo::affinity_mask()),
        base_priority: NORMAL_PRIORITY,
        id: id_handle(process.id()),
        parent: id_handle(parent),
    }
}

fn times(process: &ProcessObject) -> KernelUserTimes {
    let times = process.times();
    let span = |ns: u64| i64::try_from(ns / 100).unwrap_or(0);
    let moment = |ns: u64| if ns == 0 { 0 } else { time::from_unix(0, 0) + span(ns) };
    KernelUserTimes {
        created: moment(times.created),
        ended: moment(times.ended),
        kernel: span(times.kernel),
        user: span(times.user),
    }
}

fn counters(process: &ProcessObject) -> VmCounters {
    let memory = list::memory(process.id()).unwrap_or_default();
    VmCounters {
        peak_virtual: word(memory.peak_virtual_size),
        virtual_size: word(memory.virtual_size),
        page_faults: u32::try_from(memory.page_faults).unwrap_or(u32::MAX),
        peak_working_set: word(memory.peak_working_set),
        working_set: word(memory.working_set),
        quotas: [0; 4],
        page_file: word(memory.private),
        peak_page_file: word(memory.private),
    }
}

/// Retrieves information about the specified process. Classes that are not known here fail as on a Windows that does not
/// know them.
#[shim(ntdll(NtQueryInformationProcess, ZwQueryInformationProcess), partial = "some of the classes")]
fn NtQueryInformationProcess(
    cx: &Cx,
    process: Handle,
    kind: i32,
    out: Ptr<u8>,
    room: u32,
    returned: Ptr<u32>,
) -> Nt<()> {
    /// ProcessImageFileNameWin32.
    const IMAGE_NAME_WIN32: i32 = 43;
    let process = process_of(cx, process, t::PROCESS_QUERY_LIMITED_INFORMATION)?;
    let own = process.is_current();
    match kind {
        class::ProcessBasicInformation => answer(cx, out, room, returned, basic(cx, &process)),
        class::ProcessTimes => answer(cx, out, room, returned, times(&process)),
        class::ProcessVmCounters => answer(cx, out, room, returned, counters(&process)),
        // No debugger: no port, no object, and the flag that says "not inherited".
        class::ProcessDebugPort => answer(cx, out, room, returned, 0usize),
        class::ProcessDebugObjectHandle => {
            put_opt(cx, returned, 0)?;
            status(f::STATUS_PORT_NOT_SET)
        }
        class::ProcessDebugFlags => answer(cx, out, room, returned, 1u32),
        class::ProcessBreakOnTermination => answer(cx, out, room, returned, 0u32),
        class::ProcessHandleCount if own => {
            let count = u32::try_from(cx.handles().count()).unwrap_or(u32::MAX);
            answer(cx, out, room, returned, count)
        }
        class::ProcessSessionInformation => answer(cx, out, room, returned, 1u32),
        class::ProcessWow64Information if own => {
            answer(cx, out, room, returned, if cx.is_64() { 0usize } else { word(cx.process().peb()) })
        }
        class::ProcessImageFileName | IMAGE_NAME_WIN32 | class::ProcessCommandLineInformation if own => {
            let text = match kind {
                class::ProcessCommandLineInformation => {
                    let at = transom_loader::peb::command_line_at(cx.words(), cx.parameters()?);
                    transom_sdk::WStr::new(cx.words().get(at + cx.words().size())?).get()?
                }
                _ => {
                    let path = cx.modules().program().map(|m| m.path.clone()).unwrap_or_default();
                    match kind {
                        IMAGE_NAME_WIN32 => path,
                        _ => crate::kernel32::psapi::device_path(&path),
                    }
                }
            };
            put_with_text(cx, out, room as usize, &text, |needed| {
                put_opt(cx, returned, u32::try_from(needed).unwrap_or(u32::MAX))
            })
        }
        _ => status(f::STATUS_INVALID_INFO_CLASS),
    }
}
