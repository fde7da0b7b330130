//! `NtQuerySystemInformation`: what the system tells about itself, a structure per class.

use transom_sdk::{Cx, Guest, GuestData, Handle, Nt, Ptr, foundation as f, mem, shim};
use transom_syscalls::memory::GRANULARITY;
use transom_syscalls::process::list::{self, ProcessInfo};
use transom_syscalls::sysinfo;
use transom_syscalls::time::{self, TIME_INCREMENT, UNIX_EPOCH_SECONDS};
use windows_sys::Wdk::System::SystemInformation as class;

use super::probe::{fault, id_handle, put_opt, status, word};
use super::strings::{UnicodeString, utf16_bytes};
use crate::kernel32::sysinfoapi::zone;

/// SYSTEM_BASIC_INFORMATION.
#[derive(Guest, Debug, Clone, Copy)]
#[mirrors(windows_sys::Win32::System::WindowsProgramming::SYSTEM_BASIC_INFORMATION)]
struct BasicInformation {
    reserved: u32,
    timer_resolution: u32,
    page_size: u32,
    physical_pages: u32,
    lowest_page: u32,
    highest_page: u32,
    granularity: u32,
    lowest_address: usize,
    highest_address: usize,
    processor_mask: usize,
    processors: u8,
}

/// SYSTEM_PROCESSOR_PERFORMANCE_INFORMATION. Times are in units of 100 ns; kernel time includes idle time.
#[derive(Guest, Debug, Clone, Copy)]
#[mirrors(windows_sys::Win32::System::WindowsProgramming::SYSTEM_PROCESSOR_PERFORMANCE_INFORMATION)]
struct ProcessorPerformance {
    idle: u64,
    kernel: u64,
    user: u64,
    dpc: u64,
    interrupt: u64,
    interrupts: u32,
}

/// SYSTEM_TIMEOFDAY_INFORMATION.
#[derive(Guest, Debug, Clone, Copy)]
struct TimeOfDay {
    boot: i64,
    current: i64,
    zone_bias: i64,
    zone_id: u32,
    reserved: u32,
    boot_bias: u64,
    sleep_bias: u64,
}

/// SYSTEM_PROCESS_INFORMATION.
#[derive(Guest, Debug, Clone, Copy)]
#[mirrors(windows_sys::Win32::System::WindowsProgramming::SYSTEM_PROCESS_INFORMATION)]
struct ProcessEntry {
    next: u32,
    threads: u32,
    private_working_set: i64,
    hard_faults: u32,
    thread_high_watermark: u32,
    cycles: u64,
    created: i64,
    user: i64,
    kernel: i64,
    name: UnicodeString,
    base_priority: i32,
    id: Handle,
    parent: Handle,
    handles: u32,
    session: u32,
    key: usize,
    peak_virtual: usize,
    virtual_size: usize,
    page_faults: u32,
    peak_working_set: usize,
    working_set: usize,
    quotas: [usize; 4],
    page_file: usize,
    peak_page_file: usize,
    private_pages: usize,
    io: [i64; 6],
}

/// SYSTEM_THREAD_INFORMATION.
#[derive(Guest, Debug, Clone, Copy)]
#[mirrors(windows_sys::Win32::System::WindowsProgramming::SYSTEM_THREAD_INFORMATION)]
struct ThreadEntry {
    kernel: i64,
    user: i64,
    created: i64,
    wait_time: u32,
    start: usize,
    process: Handle,
    thread: Handle,
    priority: i32,
    base_priority: i32,
    switches: u32,
    state: u32,
    wait_reason: u32,
}

/// Windows' normal base priority.
const NORMAL_PRIORITY: i32 = 8;

/// Answers a class with one structure.
fn answer<T: GuestData>(cx: &Cx, out: Ptr<u8>, room: u32, returned: Ptr<u32>, value: T) -> Nt<()> {
    let size = u32::try_from(cx.size_of::<T>()).unwrap_or(u32::MAX);
    put_opt(cx, returned, size)?;
    if room < size {
        return status(f::STATUS_INFO_LENGTH_MISMATCH);
    }
    super::probe::put(cx, out.cast(), value)
}

fn basic(cx: &Cx) -> BasicInformation {
    let pages = u32::try_from(sysinfo::physical_memory() / 4096).unwrap_or(u32::MAX);
    BasicInformation {
        reserved: 0,
        timer_resolution: TIME_INCREMENT,
        page_size: 4096,
        physical_pages: pages,
        lowest_page: 1,
        highest_page: pages,
        granularity: u32::try_from(GRANULARITY).unwrap_or(0),
        lowest_address: word(cx.memory().lowest_address()),
        highest_address: word(cx.memory().highest_address()),
        processor_mask: word(sysinfo::affinity_mask()),
        processors: u8::try_from(sysinfo::processor_count()).unwrap_or(64),
    }
}

fn time_of_day(cx: &Cx) -> TimeOfDay {
    let now = time::system_time();
    let offset = zone(cx).offset_at(now);
    TimeOfDay {
        boot: now - time::interrupt_time(),
        current: now,
        zone_bias: -i64::from(offset.seconds) * time::SECOND,
        zone_id: 1 + u32::from(offset.daylight),
        reserved: 0,
        boot_bias: 0,
        sleep_bias: (time::interrupt_time() - time::unbiased_interrupt_time()).unsigned_abs(),
    }
}

/// Several structures in a row.
fn put_all<T: GuestData>(cx: &Cx, out: Ptr<u8>, room: u32, returned: Ptr<u32>, all: Vec<T>) -> Nt<()> {
    let size = cx.size_of::<T>();
    let needed = u32::try_from(size * all.len()).unwrap_or(u32::MAX);
    put_opt(cx, returned, needed)?;
    if room < needed {
        return status(f::STATUS_INFO_LENGTH_MISMATCH);
    }
    for (index, value) in all.into_iter().enumerate() {
        out.cast::<T>().add(cx, index).write(cx, value).map_err(fault)?;
    }
    Ok(())
}

fn processors() -> Vec<ProcessorPerformance> {
    let units = |nanoseconds: u64| nanoseconds / 100;
    let each = sysinfo::each_processor_times();
    each.into_iter()
        .map(|t| ProcessorPerformance {
            idle: units(t.idle),
            kernel: units(t.kernel + t.idle),
            user: units(t.user),
            dpc: 0,
            interrupt: 0,
            interrupts: 0,
        })
        .collect()
}

/// Nanoseconds since 1970 as a file time.
fn file_time(nanoseconds: u64) -> i64 {
    i64::try_from(nanoseconds / 100).unwrap_or(0) + UNIX_EPOCH_SECONDS * time::SECOND
}

/// The entry of a process, its threads, and its name behind them, at an address in the guest.
fn put_process(cx: &Cx, at: u64, info: &ProcessInfo, threads: &[u32], size: u32, last: bool) -> Nt<()> {
    let wide = usize::from(cx.is_64());
    let (entry_size, thread_size) = (ProcessEntry::SIZE[wide], ThreadEntry::SIZE[wide]);
    let name = utf16_bytes(&info.name.encode_utf16().collect::<Vec<_>>());
    let name_at = at + (entry_size + thread_size * threads.len()) as u64;
    let (user, kernel) = list::cpu_times(info.pid).unwrap_or_default();
    let memory = list::memory(info.pid).unwrap_or_default();
    let length = u16::try_from(name.len()).unwrap_or(0);
    let span = |ns: u64| i64::try_from(ns / 100).unwrap_or(0);
    let entry = ProcessEntry {
        next: if last { 0 } else { size },
        threads: u32::try_from(threads.len()).unwrap_or(0),
        private_working_set: memory.private.cast_signed(),
        hard_faults: 0,
        thread_high_watermark: u32::try_from(threads.len()).unwrap_or(0),
        cycles: user + kernel,
        created: list::start_time(info.pid).map_or(0, file_time),
        user: span(user),
        kernel: span(kernel),
        name: UnicodeString { length, maximum: length, buffer: Ptr::new(name_at) },
        base_priority: NORMAL_PRIORITY,
        id: id_handle(info.pid),
        parent: id_handle(info.parent),
        handles: 0,
        session: 1,
        key: 0,
        peak_virtual: word(memory.peak_virtual_size),
        virtual_size: word(memory.virtual_size),
        page_faults: u32::try_from(memory.page_faults).unwrap_or(u32::MAX),
        peak_working_set: word(memory.peak_working_set),
        working_set: word(memory.working_set),
        quotas: [0; 4],
        page_file: word(memory.private),
        peak_page_file: word(memory.private),
        private_pages: word(memory.private),
        io: [0; 6],
    };
    Ptr::new(at).write(cx, entry).map_err(fault)?;
    for (index, &thread) in threads.iter().enumerate() {
        let thread = ThreadEntry {
            kernel: 0,
            user: 0,
            created: 0,
            wait_time: 0,
            start: 0,
            process: id_handle(info.pid),
            thread: id_handle(thread.wrapping_mul(4)),
            priority: NORMAL_PRIORITY,
            base_priority: NORMAL_PRIORITY,
            switches: 0,
            state: 0,
            wait_reason: 0,
        };
        let slot = at + (entry_size + thread_size * index) as u64;
        Ptr::new(slot).write(cx, thread).map_err(fault)?;
    }
    mem::copy_out(name_at, &name).map_err(fault)
}

fn processes(cx: &Cx, out: Ptr<u8>, room: u32, returned: Ptr<u32>) -> Nt<()> {
    let wide = usize::from(cx.is_64());
    let all: Vec<_> = list::processes()
        .into_iter()
        .map(|info| {
            let threads = list::threads(info.pid);
            let name = info.name.encode_utf16().count() * 2;
            let size = ProcessEntry::SIZE[wide] + ThreadEntry::SIZE[wide] * threads.len() + name;
            (info, threads, u32::try_from(size.next_multiple_of(8)).unwrap_or(u32::MAX))
        })
        .collect();
    let needed: u32 = all.iter().map(|(_, _, size)| *size).fold(0, u32::saturating_add);
    put_opt(cx, returned, needed)?;
    if room < needed {
        return status(f::STATUS_INFO_LENGTH_MISMATCH);
    }
    let mut at = out.addr();
    for (index, (info, threads, size)) in all.iter().enumerate() {
        put_process(cx, at, info, threads, *size, index + 1 == all.len())?;
        at += u64::from(*size);
    }
    Ok(())
}

/// Retrieves the specified system information. Classes that are not known here fail as on a Windows that does not know them.
#[shim(ntdll(NtQuerySystemInformation, ZwQuerySystemInformation), partial = "some of the classes")]
fn NtQuerySystemInformation(cx: &Cx, kind: i32, out: Ptr<u8>, room: u32, returned: Ptr<u32>) -> Nt<()> {
    /// SystemKernelDebuggerInformation: whether one is enabled, and whether it is absent.
    const KERNEL_DEBUGGER: i32 = 35;
    match kind {
        class::SystemBasicInformation => answer(cx, out, room, returned, basic(cx)),
        class::SystemTimeOfDayInformation => answer(cx, out, room, returned, time_of_day(cx)),
        class::SystemProcessInformation => processes(cx, out, room, returned),
        class::SystemProcessorPerformanceInformation => put_all(cx, out, room, returned, processors()),
        KERNEL_DEBUGGER => answer(cx, out, room, returned, [0u8, 1]),
        class::SystemInterruptInformation
        | class::SystemExceptionInformation
        | class::SystemLookasideInformation
        | class::SystemPerformanceInformation
        | class::SystemRegistryQuotaInformation => status(f::STATUS_NOT_IMPLEMENTED),
        _ => status(f::STATUS_INVALID_INFO_CLASS),
    }
}
