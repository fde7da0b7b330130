//! Facts about the machine and the user: processors, memory, names, and the Windows version that guests are told.

mod processors;
pub use processors::{
    Cache, CacheKind, IoCounters, ProcessorTimes, caches, cpu_info, current_processor, each_processor_times,
    io_counters, processor_times,
};

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::sync::OnceLock;

/// The Windows version that guests see: Windows 10, version 22H2.
pub const OS_MAJOR: u32 = 10;
/// Minor version.
pub const OS_MINOR: u32 = 0;
/// Build number.
pub const OS_BUILD: u32 = 19_045;
/// Update build revision, the fourth number of the full version.
pub const OS_REVISION: u32 = 5_011;
/// The value behind `HKLM\SOFTWARE\Microsoft\Windows NT\CurrentVersion\DisplayVersion`.
pub const OS_DISPLAY_VERSION: &str = "22H2";

/// The instruction set that a guest is told it runs on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Architecture {
    /// `PROCESSOR_ARCHITECTURE_INTEL`.
    X86,
    /// `PROCESSOR_ARCHITECTURE_AMD64`.
    Amd64,
    /// `PROCESSOR_ARCHITECTURE_ARM64`.
    Arm64,
}

/// How much memory there is, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MemoryStatus {
    /// Physical memory that this process can use (a control group's limit counts).
    pub total: u64,
    /// Physical memory that is available without swapping.
    pub available: u64,
    /// Physical memory and swap.
    pub total_page_file: u64,
    /// What of them is available.
    pub available_page_file: u64,
}

impl MemoryStatus {
    /// Per cent of physical memory in use.
    #[must_use]
    pub fn load(&self) -> u32 {
        let used = self.total.saturating_sub(self.available);
        u32::try_from(used.saturating_mul(100) / self.total.max(1)).unwrap_or(100)
    }
}

/// Processors that this process may use, at most 64 (one processor group).
#[must_use]
pub fn processor_count() -> u32 {
    affinity_mask().count_ones().max(1)
}

/// Bit mask of the processors that this process may use, renumbered from 0 without gaps: Windows programs take the
/// set bits of the system mask to be the lowest.
#[must_use]
pub fn affinity_mask() -> u64 {
    // SAFETY: `set` is a plain bit mask that the kernel fills; zero is one.
    let count = unsafe {
        let mut set: libc::cpu_set_t = std::mem::zeroed();
        if libc::sched_getaffinity(0, size_of::<libc::cpu_set_t>(), &raw mut set) != 0 {
            1
        } else {
            libc::CPU_COUNT(&set)
        }
    };
    match u32::try_from(count).unwrap_or(1).clamp(1, 64) {
        64 => u64::MAX,
        count => (1 << count) - 1,
    }
}

/// `SYSTEM_INFO`'s processor level and revision: family, and model and stepping in a byte each.
#[must_use]
pub fn processor_model() -> (u16, u16) {
    #[cfg(target_arch = "x86_64")]
    {
        let eax = std::arch::x86_64::__cpuid(1).eax;
        let field = |shift: u32, mask: u32| u16::try_from(eax >> shift & mask).unwrap_or(0);
        let (family, extended_family) = (field(8, 0xF), field(20, 0xFF));
        let (model, extended_model) = (field(4, 0xF), field(16, 0xF));
        let level = if family == 0xF { family + extended_family } else { family };
        let model = if matches!(family, 6 | 0xF) { extended_model << 4 | model } else { model };
        (level, model << 8 | field(0, 0xF))
    }
    #[cfg(not(target_arch = "x86_64"))]
    {
        (0, 0)
    }
}

/// Bytes of physical memory, whatever control groups say. One system call.
#[must_use]
pub fn physical_memory() -> u64 {
    raw().map_or(0, |info| info.totalram.saturating_mul(u64::from(info.mem_unit)))
}

/// Bytes of physical memory and swap together. One system call.
#[must_use]
pub fn memory_and_swap() -> u64 {
    raw().map_or(0, |info| {
        info.totalram.saturating_add(info.totalswap).saturating_mul(u64::from(info.mem_unit))
    })
}

/// What this process uses, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ProcessMemory {
    /// Physical memory in use now.
    pub working_set: u64,
    /// The most that it ever was.
    pub peak_working_set: u64,
    /// Of it, what is not shared with files: the nearest to the commit charge that Linux counts.
    pub private: u64,
    /// Page faults since the start.
    pub page_faults: u32,
}

/// Memory that this process uses (`GetProcessMemoryInfo`).
#[must_use]
pub fn process_memory() -> ProcessMemory {
    let mut usage = ProcessMemory::default();
    // Pages: size, resident, shared with files ...
    if let Ok(text) = std::fs::read_to_string("/proc/self/statm") {
        let mut pages = text.split(' ').map(|field| field.trim().parse::<u64>().unwrap_or(0) * 4096);
        usage.working_set = pages.nth(1).unwrap_or(0);
        usage.private = usage.working_set.saturating_sub(pages.next().unwrap_or(0));
    }
    if let Ok(totals) = nix::sys::resource::getrusage(nix::sys::resource::UsageWho::RUSAGE_SELF) {
        usage.peak_working_set = totals.max_rss().unsigned_abs() * 1024;
        let faults = totals.minor_page_faults() + totals.major_page_faults();
        usage.page_faults = u32::try_from(faults).unwrap_or(u32::MAX);
    }
    usage.peak_working_set = usage.peak_working_set.max(usage.working_set);
    usage
}

fn raw() -> Option<libc::sysinfo> {
    // SAFETY: `info` is plain data that the kernel fills; zero is a valid value.
    unsafe {
        let mut info: libc::sysinfo = std::mem::zeroed();
        (libc::sysinfo(&raw mut info) == 0).then_some(info)
    }
}

/// Memory of the machine, or of the control group that this process is in, whichever is less.
#[must_use]
pub fn memory_status() -> MemoryStatus {
    let Some(info) = raw() else { return MemoryStatus::default() };
    let unit = u64::from(info.mem_unit);
    let total = info.totalram.saturating_mul(unit);
    let free = (info.freeram + info.bufferram).saturating_mul(unit);
    let available = meminfo_available().unwrap_or(free);
    let swap = info.totalswap.saturating_mul(unit);
    let free_swap = info.freeswap.saturating_mul(unit);
    let mut status = MemoryStatus {
        total,
        available: available.min(total),
        total_page_file: total.saturating_add(swap),
        available_page_file: available.saturating_add(free_swap),
    };
    if let Some((limit, used)) = control_group() {
        let left = limit.saturating_sub(used);
        status.total = status.total.min(limit);
        status.available = status.available.min(left);
        status.total_page_file = status.total_page_file.min(limit.saturating_add(swap));
        status.available_page_file = status.available_page_file.min(left.saturating_add(free_swap));
    }
    status
}

fn meminfo_available() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/meminfo").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kib.checked_mul(1024)
}

/// The tightest memory limit of the control groups above this process, and what is used of it.
fn control_group() -> Option<(u64, u64)> {
    let groups = std::fs::read_to_string("/proc/self/cgroup").ok()?;
    // Version 2 has one line "0::/path"; limits of all ancestors apply.
    let path = groups.lines().find_map(|line| line.strip_prefix("0::"))?;
    let number =
        |file: std::path::PathBuf| -> Option<u64> { std::fs::read_to_string(file).ok()?.trim().parse().ok() };
    let root = std::path::Path::new("/sys/fs/cgroup");
    let mut tightest: Option<(u64, u64)> = None;
    for group in root.join(path.trim_start_matches('/')).ancestors() {
        if !group.starts_with(root) {
            break;
        }
        // The file says "max" where there is no limit, which is no number.
        if let Some(limit) = number(group.join("memory.max"))
            && tightest.is_none_or(|(least, _)| limit < least)
        {
            tightest = Some((limit, number(group.join("memory.current")).unwrap_or(0)));
        }
    }
    tightest
}

/// The host's name.
#[must_use]
pub fn host_name() -> OsString {
    nix::unistd::gethostname().unwrap_or_else(|_| OsString::from("localhost"))
}

/// The name of the user whom this process runs as: from the user database, else `$USER`, else the number. Asked once, as the
/// database is a file, or a server.
#[must_use]
pub fn user_name() -> OsString {
    static NAME: OnceLock<OsString> = OnceLock::new();
    let ask = || {
        let uid = nix::unistd::geteuid();
        match nix::unistd::User::from_uid(uid) {
            Ok(Some(user)) => OsString::from_vec(user.name.into_bytes()),
            _ => std::env::var_os("USER").unwrap_or_else(|| OsString::from(uid.to_string())),
        }
    };
    NAME.get_or_init(ask).clone()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_agree_with_each_other() {
        let status = memory_status();
        assert!(status.total > 1 << 20 && status.available <= status.total);
        assert!(status.total <= physical_memory());
        assert!(status.total_page_file >= status.total && status.load() <= 100);
        let cpus = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        assert!(processor_count() as usize >= cpus.min(64));
        assert_eq!(affinity_mask().trailing_ones(), processor_count());
        let own = process_memory();
        assert!(own.private <= own.working_set && own.working_set <= own.peak_working_set);
        assert!(own.working_set > 100_000 && own.page_faults > 10);
        assert!(!host_name().is_empty() && !user_name().is_empty());
    }
}
