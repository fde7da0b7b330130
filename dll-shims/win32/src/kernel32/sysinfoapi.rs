//! `sysinfoapi.h`: the machine, its names and folders, and the clocks. Versions are in `version.rs`, processor topology in
//! `processor_topology.rs`.

use transom_sdk::{Cx, Guest, In, Machine, Out, Ptr, TextOut, Win32, WinError, foundation as f, shim};
use transom_syscalls::memory::GRANULARITY;
use transom_syscalls::sysinfo;
use transom_syscalls::time::calendar::SystemTime;
use transom_syscalls::time::{self, zone::Zone};
use windows_sys::Win32::System::SystemInformation as si;
use windows_sys::Win32::System::SystemServices as ss;

use super::process_arg::word;

const INVALID_PARAMETER: WinError = WinError::Code(f::ERROR_INVALID_PARAMETER);

/// SYSTEM_INFO.
#[derive(Guest, Debug, Clone, Copy)]
#[mirrors(windows_sys::Win32::System::SystemInformation::SYSTEM_INFO)]
pub(crate) struct SystemInfo {
    architecture: u16,
    reserved: u16,
    page_size: u32,
    lowest: usize,
    highest: usize,
    processor_mask: usize,
    processors: u32,
    processor_type: u32,
    granularity: u32,
    level: u16,
    revision: u16,
}

fn system_info(cx: &Cx, machine: Machine) -> Win32<SystemInfo> {
    let (architecture, processor_type) = match machine {
        Machine::I386 => (si::PROCESSOR_ARCHITECTURE_INTEL, ss::PROCESSOR_INTEL_PENTIUM),
        Machine::Amd64 => (si::PROCESSOR_ARCHITECTURE_AMD64, ss::PROCESSOR_AMD_X8664),
        Machine::Arm64 => (si::PROCESSOR_ARCHITECTURE_ARM64, 0),
    };
    let (level, revision) = sysinfo::processor_model();
    let mask = sysinfo::affinity_mask();
    Ok(SystemInfo {
        architecture,
        reserved: 0,
        page_size: 4096,
        lowest: word(cx.memory().lowest_address())?,
        highest: word(cx.memory().highest_address())?,
        processor_mask: word(mask & cx.word_max() as u64)?,
        processors: mask.count_ones().min(8 * u32::try_from(cx.size_of::<usize>()).unwrap_or(0)),
        processor_type,
        granularity: u32::try_from(GRANULARITY).unwrap_or(0),
        level,
        revision,
    })
}

/// Retrieves information about the current system.
#[shim(kernel32)]
fn GetSystemInfo(cx: &Cx, out: Out<SystemInfo>) -> Win32<()> {
    Ok(out.write(cx, system_info(cx, cx.machine())?)?)
}

/// As GetSystemInfo; 32-bit programs get the 64-bit system's answer.
#[shim(kernel32)]
fn GetNativeSystemInfo(cx: &Cx, out: Out<SystemInfo>) -> Win32<()> {
    let machine = if cx.machine() == Machine::I386 { Machine::Amd64 } else { cx.machine() };
    Ok(out.write(cx, system_info(cx, machine)?)?)
}

/// MEMORYSTATUSEX.
#[derive(Guest, Debug, Clone, Copy)]
#[mirrors(windows_sys::Win32::System::SystemInformation::MEMORYSTATUSEX)]
struct MemoryStatusEx {
    length: u32,
    load: u32,
    total_physical: u64,
    available_physical: u64,
    total_page_file: u64,
    available_page_file: u64,
    total_virtual: u64,
    available_virtual: u64,
    available_extended: u64,
}

fn memory_status(cx: &Cx) -> MemoryStatusEx {
    let status = sysinfo::memory_status();
    let total_virtual = cx.memory().highest_address() + 1 - cx.memory().lowest_address();
    MemoryStatusEx {
        length: 64,
        load: status.load(),
        total_physical: status.total,
        available_physical: status.available,
        total_page_file: status.total_page_file,
        available_page_file: status.available_page_file,
        total_virtual,
        available_virtual: total_virtual.saturating_sub(cx.memory().totals().reserved),
        available_extended: 0,
    }
}

/// Retrieves information about the system's current usage of both physical and virtual memory.
#[shim(kernel32)]
fn GlobalMemoryStatusEx(cx: &Cx, out: Ptr<MemoryStatusEx>) -> Win32<()> {
    let status = memory_status(cx);
    if out.cast::<u32>().read(cx)? != status.length {
        return Err(INVALID_PARAMETER);
    }
    Ok(out.write(cx, status)?)
}

/// MEMORYSTATUS, whose sizes are words of the guest.
#[derive(Guest, Debug, Clone, Copy)]
#[mirrors(windows_sys::Win32::System::SystemInformation::MEMORYSTATUS)]
struct MemoryStatus {
    length: u32,
    load: u32,
    total_physical: usize,
    available_physical: usize,
    total_page_file: usize,
    available_page_file: usize,
    total_virtual: usize,
    available_virtual: usize,
}

/// As GlobalMemoryStatusEx, for structures of old; 32-bit programs get no more than 2 GiB told, as documented.
#[shim(kernel32)]
fn GlobalMemoryStatus(cx: &Cx, out: Out<MemoryStatus>) -> Win32<()> {
    let status = memory_status(cx);
    let most = if cx.is_64() { u64::MAX } else { i32::MAX as u64 };
    let size = |value: u64| word(value.min(most));
    let told = MemoryStatus {
        length: u32::try_from(cx.size_of::<MemoryStatus>()).unwrap_or(0),
        load: status.load,
        total_physical: size(status.total_physical)?,
        available_physical: size(status.available_physical)?,
        total_page_file: size(status.total_page_file)?,
        available_page_file: size(status.available_page_file)?,
        total_virtual: size(status.total_virtual)?,
        available_virtual: size(status.available_virtual)?,
    };
    Ok(out.write(cx, told)?)
}

/// Retrieves the amount of RAM that is physically installed, in KiB.
#[shim(kernel32)]
fn GetPhysicallyInstalledSystemMemory(cx: &Cx, out: Out<u64>) -> Win32<()> {
    Ok(out.write(cx, sysinfo::physical_memory() / 1024)?)
}

/// The host's name without a domain.
fn host_name() -> String {
    let name = sysinfo::host_name().to_string_lossy().into_owned();
    name.split('.').next().unwrap_or("localhost").to_owned()
}

/// A NetBIOS name: upper case, at most 15 characters.
fn netbios_name() -> String {
    host_name().to_uppercase().chars().take(15).collect()
}

/// Writes a name into a buffer whose size is read and written. A buffer that is too small is told the size needed.
fn put_name(cx: &Cx, name: &str, out: TextOut, size: Ptr<u32>, too_small: u32) -> Win32<()> {
    let text: Vec<u16> = name.encode_utf16().collect();
    let room = size.read(cx)?;
    let needed = out.put(&text, room)?;
    size.write(cx, needed)?;
    if out.is_null() || needed > room {
        return Err(WinError::Code(too_small));
    }
    Ok(())
}

/// Retrieves the NetBIOS name of the local computer.
#[shim(kernel32, ansi)]
fn GetComputerNameW(cx: &Cx, out: TextOut, size: Ptr<u32>) -> Win32<()> {
    put_name(cx, &netbios_name(), out, size, f::ERROR_BUFFER_OVERFLOW)
}

/// Retrieves a NetBIOS or DNS name associated with the local computer.
#[shim(kernel32, ansi)]
fn GetComputerNameExW(cx: &Cx, kind: i32, out: TextOut, size: Ptr<u32>) -> Win32<()> {
    let full = sysinfo::host_name().to_string_lossy().into_owned();
    let name = match kind {
        si::ComputerNameNetBIOS | si::ComputerNamePhysicalNetBIOS => netbios_name(),
        si::ComputerNameDnsHostname | si::ComputerNamePhysicalDnsHostname => host_name(),
        si::ComputerNameDnsDomain | si::ComputerNamePhysicalDnsDomain => {
            full.split_once('.').map_or(String::new(), |(_, domain)| domain.to_owned())
        }
        si::ComputerNameDnsFullyQualified | si::ComputerNamePhysicalDnsFullyQualified => full,
        _ => return Err(INVALID_PARAMETER),
    };
    put_name(cx, &name, out, size, f::ERROR_MORE_DATA)
}

fn put_folder(folder: &str, out: TextOut, size: u32) -> Win32<u32> {
    Ok(out.put(&folder.encode_utf16().collect::<Vec<_>>(), size)?)
}

/// Retrieves the path of the system directory.
#[shim(kernel32, ansi)]
fn GetSystemDirectoryW(out: TextOut, size: u32) -> Win32<u32> {
    put_folder("C:\\Windows\\system32", out, size)
}

/// Retrieves the path of the Windows directory.
#[shim(kernel32, ansi)]
fn GetWindowsDirectoryW(out: TextOut, size: u32) -> Win32<u32> {
    put_folder("C:\\Windows", out, size)
}

/// Retrieves the path of the shared Windows directory.
#[shim(kernel32, ansi)]
fn GetSystemWindowsDirectoryW(out: TextOut, size: u32) -> Win32<u32> {
    put_folder("C:\\Windows", out, size)
}

/// Retrieves the current system date and time as a count of 100 ns units, as of the last clock tick.
#[shim(kernel32, leaf = transom_cpu::leaf::time::get_system_time_as_file_time)]
fn GetSystemTimeAsFileTime(cx: &Cx, out: Ptr<u32>) -> Win32<()> {
    Ok(write_file_time(cx, out, time::system_time())?)
}

/// As GetSystemTimeAsFileTime, to 100 ns.
#[shim(kernel32)]
fn GetSystemTimePreciseAsFileTime(cx: &Cx, out: Ptr<u32>) -> Win32<()> {
    Ok(write_file_time(cx, out, time::system_time())?)
}

/// Writes a FILETIME, which need not be aligned.
pub(crate) fn write_file_time(
    cx: &Cx,
    out: Ptr<u32>,
    time: time::FileTime,
) -> Result<(), transom_sdk::BadAddress> {
    out.cast::<i64>().write(cx, time)
}

/// Retrieves the number of milliseconds that have elapsed since the system was started, modulo 2^32.
#[shim(kernel32, leaf = transom_cpu::leaf::time::get_tick_count)]
fn GetTickCount() -> u32 {
    #[expect(clippy::cast_possible_truncation, reason = "wraps around, as documented")]
    let low = time::tick_count() as u32;
    low
}

/// Retrieves the number of milliseconds that have elapsed since the system was started.
#[shim(kernel32, leaf = transom_cpu::leaf::time::get_tick_count_64)]
fn GetTickCount64() -> u64 {
    time::tick_count()
}

/// SYSTEMTIME.
#[derive(Guest, Debug, Clone, Copy, Default)]
#[mirrors(windows_sys::Win32::Foundation::SYSTEMTIME)]
pub(crate) struct SystemTimeData {
    year: u16,
    month: u16,
    day_of_week: u16,
    day: u16,
    hour: u16,
    minute: u16,
    second: u16,
    milliseconds: u16,
}

impl From<SystemTime> for SystemTimeData {
    fn from(t: SystemTime) -> Self {
        Self {
            year: t.year,
            month: t.month,
            day_of_week: t.day_of_week,
            day: t.day,
            hour: t.hour,
            minute: t.minute,
            second: t.second,
            milliseconds: t.milliseconds,
        }
    }
}

impl From<SystemTimeData> for SystemTime {
    fn from(t: SystemTimeData) -> Self {
        Self {
            year: t.year,
            month: t.month,
            day_of_week: t.day_of_week,
            day: t.day,
            hour: t.hour,
            minute: t.minute,
            second: t.second,
            milliseconds: t.milliseconds,
        }
    }
}

/// The local time zone, read once.
#[derive(Default)]
struct LocalZone(std::sync::OnceLock<Zone>);

/// The local time zone.
pub(crate) fn zone(cx: &Cx) -> &'static Zone {
    let state: &'static LocalZone = cx.state();
    state.0.get_or_init(Zone::local)
}

/// The date of a time, if it has one.
pub(crate) fn date(time: time::FileTime) -> Win32<SystemTimeData> {
    SystemTime::from_file_time(time).map(Into::into).ok_or(INVALID_PARAMETER)
}

/// Retrieves the current system date and time in Coordinated Universal Time (UTC).
#[shim(kernel32)]
fn GetSystemTime(cx: &Cx, out: Out<SystemTimeData>) -> Win32<()> {
    Ok(out.write(cx, date(time::system_time())?)?)
}

/// Retrieves the current local date and time.
#[shim(kernel32)]
fn GetLocalTime(cx: &Cx, out: Out<SystemTimeData>) -> Win32<()> {
    Ok(out.write(cx, date(zone(cx).to_local(time::system_time()))?)?)
}

/// Sets the current system time and date: needs a privilege that is not held.
#[shim(kernel32(SetSystemTime, SetLocalTime))]
fn SetSystemTime(cx: &Cx, time: In<SystemTimeData>) -> Win32<()> {
    SystemTime::from(time.read(cx)?).to_file_time().ok_or(INVALID_PARAMETER)?;
    Err(WinError::Code(f::ERROR_PRIVILEGE_NOT_HELD))
}

/// Determines whether the system applies periodic time adjustments: it does, but not for Windows programs to steer.
#[shim(kernel32)]
fn GetSystemTimeAdjustment(
    cx: &Cx,
    adjustment: Out<u32>,
    increment: Out<u32>,
    disabled: Out<bool>,
) -> Win32<()> {
    adjustment.write(cx, time::TIME_INCREMENT)?;
    increment.write(cx, time::TIME_INCREMENT)?;
    Ok(disabled.write(cx, true)?)
}

/// Retrieves a firmware table: access to none is offered.
#[shim(kernel32)]
fn GetSystemFirmwareTable(_provider: u32, _id: u32, _out: Ptr<u8>, _size: u32) -> Win32<u32> {
    Err(WinError::Code(f::ERROR_INVALID_FUNCTION))
}

/// Lists the firmware tables of a type: there are none.
#[shim(kernel32)]
fn EnumSystemFirmwareTables(_provider: u32, _out: Ptr<u8>, _size: u32) -> Win32<u32> {
    Err(WinError::Code(f::ERROR_INVALID_FUNCTION))
}
