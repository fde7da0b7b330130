//! `processthreadsapi.h`, `winbase.h`: facts about processes and threads (times, priorities, processors). Making and
//! ending them is in `processthreadsapi.rs`.

use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};

use transom_sdk::{Cx, Guest, Handle, Out, Ptr, Win32, WinError, foundation as f, shim};
use transom_syscalls::sysinfo;
use transom_syscalls::thread::{ThreadObject, Times};
use transom_syscalls::time;
use windows_sys::Win32::System::Threading as t;

use transom_syscalls::thread::priority;

use super::process_arg::{own_process, process_of, word};
use super::processthreadsapi::thread_of;
use super::sysinfoapi::write_file_time;

const INVALID_PARAMETER: WinError = WinError::Code(f::ERROR_INVALID_PARAMETER);

/// Nanoseconds since 1970 as a file time; 0 stays 0 (not ended).
#[expect(clippy::cast_possible_wrap, reason = "nanoseconds since 1970 fit until 2262")]
fn moment(nanoseconds: u64) -> i64 {
    if nanoseconds == 0 { 0 } else { time::from_unix(0, 0) + (nanoseconds / 100) as i64 }
}

fn write_times(cx: &Cx, times: &Times, outs: [Ptr<u32>; 4]) -> Win32<()> {
    let span = |nanoseconds: u64| i64::try_from(nanoseconds / 100).unwrap_or(i64::MAX);
    let values = [moment(times.created), moment(times.ended), span(times.kernel), span(times.user)];
    for (out, value) in outs.into_iter().zip(values) {
        write_file_time(cx, out, value)?;
    }
    Ok(())
}

/// Retrieves timing information for the specified process.
#[shim(kernel32)]
fn GetProcessTimes(
    cx: &Cx,
    process: Handle,
    created: Ptr<u32>,
    ended: Ptr<u32>,
    kernel: Ptr<u32>,
    user: Ptr<u32>,
) -> Win32<()> {
    let times = process_of(cx, process, t::PROCESS_QUERY_LIMITED_INFORMATION)?.times();
    write_times(cx, &times, [created, ended, kernel, user])
}

/// Retrieves timing information for the specified thread.
#[shim(kernel32)]
fn GetThreadTimes(
    cx: &Cx,
    thread: Handle,
    created: Ptr<u32>,
    ended: Ptr<u32>,
    kernel: Ptr<u32>,
    user: Ptr<u32>,
) -> Win32<()> {
    let times = thread_of(cx, thread, t::THREAD_QUERY_LIMITED_INFORMATION)?.times();
    write_times(cx, &times, [created, ended, kernel, user])
}

/// Retrieves system timing information: idle, kernel (idle included) and user time of all processors together.
#[shim(kernel32)]
fn GetSystemTimes(cx: &Cx, idle: Ptr<u32>, kernel: Ptr<u32>, user: Ptr<u32>) -> Win32<()> {
    let times = sysinfo::processor_times();
    let span = |nanoseconds: u64| i64::try_from(nanoseconds / 100).unwrap_or(i64::MAX);
    for (out, value) in [(idle, times.idle), (kernel, times.kernel + times.idle), (user, times.user)] {
        if !out.is_null() {
            write_file_time(cx, out, span(value))?;
        }
    }
    Ok(())
}

/// Retrieves the process identifier of the specified process.
#[shim(kernel32)]
fn GetProcessId(cx: &Cx, process: Handle) -> Win32<u32> {
    Ok(process_of(cx, process, t::PROCESS_QUERY_LIMITED_INFORMATION)?.id())
}

/// Retrieves the process identifier of the process associated with the specified thread.
#[shim(kernel32)]
fn GetProcessIdOfThread(cx: &Cx, thread: Handle) -> Win32<u32> {
    thread_of(cx, thread, t::THREAD_QUERY_LIMITED_INFORMATION)?;
    Ok(std::process::id())
}

/// What programs set and Linux does not know.
struct State {
    affinity: AtomicUsize,
    boost_disabled: AtomicU32,
}

impl Default for State {
    fn default() -> Self {
        Self { affinity: AtomicUsize::new(0), boost_disabled: AtomicU32::new(0) }
    }
}

/// Retrieves the priority class for the specified process.
#[shim(kernel32)]
fn GetPriorityClass(cx: &Cx, process: Handle) -> Win32<u32> {
    if own_process(cx, process, t::PROCESS_QUERY_LIMITED_INFORMATION).is_ok() {
        return Ok(priority::class());
    }
    let other = process_of(cx, process, t::PROCESS_QUERY_LIMITED_INFORMATION)?;
    Ok(priority::class_of_process(other.id()))
}

/// Sets the priority class for the specified process.
#[shim(kernel32, partial = "Linux permits lower priorities, and higher ones only by RLIMIT_NICE")]
fn SetPriorityClass(cx: &Cx, process: Handle, class: u32) -> Win32<()> {
    match class {
        t::PROCESS_MODE_BACKGROUND_BEGIN | t::PROCESS_MODE_BACKGROUND_END => {
            Ok(own_process(cx, process, t::PROCESS_SET_INFORMATION)?)
        }
        class => {
            own_process(cx, process, t::PROCESS_SET_INFORMATION)?;
            Ok(priority::set_class(class)?)
        }
    }
}

/// Retrieves the process affinity mask and the system affinity mask.
#[shim(kernel32)]
fn GetProcessAffinityMask(cx: &Cx, process: Handle, own: Out<usize>, system: Out<usize>) -> Win32<()> {
    process_of(cx, process, t::PROCESS_QUERY_LIMITED_INFORMATION)?;
    let all = system_mask(cx)?;
    let chosen = cx.state::<State>().affinity.load(Ordering::Relaxed);
    own.write(cx, if chosen == 0 { all } else { chosen & all })?;
    Ok(system.write(cx, all)?)
}

/// The processors, as a mask of the guest's word.
pub(crate) fn system_mask(cx: &Cx) -> Win32<usize> {
    let mask = sysinfo::affinity_mask();
    word(mask & cx.word_max() as u64)
}

/// Sets a processor affinity mask for the threads of the specified process.
#[shim(kernel32, partial = "remembered; threads are not moved")]
fn SetProcessAffinityMask(cx: &Cx, process: Handle, mask: usize) -> Win32<()> {
    own_process(cx, process, t::PROCESS_SET_INFORMATION)?;
    if mask == 0 || mask & !system_mask(cx)? != 0 {
        return Err(INVALID_PARAMETER);
    }
    cx.state::<State>().affinity.store(mask, Ordering::Relaxed);
    Ok(())
}

/// Enables or disables priority boosts, which Linux does not have.
#[shim(kernel32, partial = "remembered")]
fn SetProcessPriorityBoost(cx: &Cx, process: Handle, disable: u32) -> Win32<()> {
    own_process(cx, process, t::PROCESS_SET_INFORMATION)?;
    cx.state::<State>().boost_disabled.store(u32::from(disable != 0), Ordering::Relaxed);
    Ok(())
}

/// Retrieves the priority boost control state of the specified process.
#[shim(kernel32)]
fn GetProcessPriorityBoost(cx: &Cx, process: Handle, disabled: Out<u32>) -> Win32<()> {
    own_process(cx, process, t::PROCESS_QUERY_LIMITED_INFORMATION)?;
    Ok(disabled.write(cx, cx.state::<State>().boost_disabled.load(Ordering::Relaxed))?)
}

/// Enables or disables priority boosts of a thread.
#[shim(kernel32, partial = "not remembered")]
fn SetThreadPriorityBoost(cx: &Cx, thread: Handle, _disable: u32) -> Win32<()> {
    thread_of(cx, thread, t::THREAD_SET_INFORMATION).map(drop)
}

/// Retrieves the priority boost control state of a thread: enabled.
#[shim(kernel32)]
fn GetThreadPriorityBoost(cx: &Cx, thread: Handle, disabled: Out<u32>) -> Win32<()> {
    thread_of(cx, thread, t::THREAD_QUERY_LIMITED_INFORMATION)?;
    Ok(disabled.write(cx, 0)?)
}

/// Retrieves the number of open handles of the specified process.
#[shim(kernel32, partial = "only for the calling process")]
fn GetProcessHandleCount(cx: &Cx, process: Handle, count: Out<u32>) -> Win32<()> {
    own_process(cx, process, t::PROCESS_QUERY_LIMITED_INFORMATION)?;
    Ok(count.write(cx, u32::try_from(cx.handles().count()).unwrap_or(u32::MAX))?)
}

/// Retrieves the version of Windows that a process expects: its subsystem version.
#[shim(kernel32)]
fn GetProcessVersion(cx: &Cx, id: u32) -> Win32<u32> {
    if id != 0 && id != std::process::id() {
        return Err(INVALID_PARAMETER);
    }
    let headers = cx.modules().program();
    let version = headers.as_ref().and_then(|m| m.headers()).map_or((0, 0), |h| h.subsystem_version);
    Ok(u32::from(version.0) << 16 | u32::from(version.1))
}

/// IO_COUNTERS.
#[derive(Guest, Debug, Clone, Copy, Default)]
#[mirrors(windows_sys::Win32::System::Threading::IO_COUNTERS)]
pub(crate) struct IoCounters {
    reads: u64,
    writes: u64,
    others: u64,
    bytes_read: u64,
    bytes_written: u64,
    bytes_other: u64,
}

/// Retrieves accounting information for all I/O operations performed by the specified process.
#[shim(kernel32, partial = "only for the calling process; other operations are not counted")]
fn GetProcessIoCounters(cx: &Cx, process: Handle, out: Out<IoCounters>) -> Win32<()> {
    own_process(cx, process, t::PROCESS_QUERY_LIMITED_INFORMATION)?;
    let io = sysinfo::io_counters();
    Ok(out.write(
        cx,
        IoCounters {
            reads: io.reads,
            writes: io.writes,
            bytes_read: io.bytes_read,
            bytes_written: io.bytes_written,
            ..IoCounters::default()
        },
    )?)
}

/// Retrieves the number of the processor the current thread was running on.
#[shim(kernel32, ntdll(NtGetCurrentProcessorNumber, RtlGetCurrentProcessorNumber))]
fn GetCurrentProcessorNumber() -> u32 {
    sysinfo::current_processor()
}

/// PROCESSOR_NUMBER.
#[derive(Guest, Debug, Clone, Copy)]
#[mirrors(windows_sys::Win32::System::Kernel::PROCESSOR_NUMBER)]
pub(crate) struct ProcessorNumber {
    group: u16,
    number: u8,
    reserved: u8,
}

/// Retrieves the processor group and number of the processor the current thread was running on.
#[shim(kernel32, ntdll(RtlGetCurrentProcessorNumberEx))]
fn GetCurrentProcessorNumberEx(cx: &Cx, out: Out<ProcessorNumber>) -> Win32<()> {
    let number = u8::try_from(sysinfo::current_processor()).unwrap_or(0);
    Ok(out.write(cx, ProcessorNumber { group: 0, number, reserved: 0 })?)
}

/// Sets a preferred processor for a thread, which is advice; returns the previous one: none.
#[shim(kernel32, fails = -1)]
fn SetThreadIdealProcessor(cx: &Cx, thread: Handle, processor: u32) -> Win32<u32> {
    const MAXIMUM_PROCESSORS: u32 = 64;
    let _: std::sync::Arc<ThreadObject> = thread_of(cx, thread, t::THREAD_SET_INFORMATION)?;
    if processor > MAXIMUM_PROCESSORS {
        return Err(INVALID_PARAMETER);
    }
    Ok(MAXIMUM_PROCESSORS)
}
