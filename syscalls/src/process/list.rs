//! What `/proc` tells: the processes there are, their times, memory and threads.

use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

use crate::thread::times_of_stat;
use crate::wait::system_now;

/// A process, for snapshots.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ProcessInfo {
    /// Its id.
    pub pid: u32,
    /// Its parent's id.
    pub parent: u32,
    /// How many threads it has.
    pub threads: u32,
    /// The name of its image: for guests that of the Windows program, as far as Linux keeps it (15 bytes).
    pub name: String,
}

/// Memory counters, in bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Memory {
    /// Resident now.
    pub working_set: u64,
    /// The most that was resident.
    pub peak_working_set: u64,
    /// Private memory, resident or swapped out.
    pub private: u64,
    /// Address space in use.
    pub virtual_size: u64,
    /// The most address space in use.
    pub peak_virtual_size: u64,
    /// Page faults so far.
    pub page_faults: u64,
}

fn read(pid: u32, file: &str) -> Option<String> {
    // Names of programs need not be UTF-8; everything else in these files is ASCII.
    let bytes = std::fs::read(format!("/proc/{pid}/{file}")).ok()?;
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

/// A field of a `stat` file, by its number in proc(5), from the third on.
fn stat_field(stat: &str, number: usize) -> Option<u64> {
    stat.get(stat.rfind(')')? + 1..)?.split_ascii_whitespace().nth(number - 3)?.parse().ok()
}

/// The processes there are now.
#[must_use]
pub fn processes() -> Vec<ProcessInfo> {
    let Ok(entries) = std::fs::read_dir("/proc") else { return Vec::new() };
    let ids = entries.filter_map(|e| e.ok()?.file_name().to_str()?.parse().ok());
    ids.filter_map(info).collect()
}

/// One process.
#[must_use]
pub fn info(pid: u32) -> Option<ProcessInfo> {
    let stat = read(pid, "stat")?;
    let field = |n| stat_field(&stat, n).and_then(|v| u32::try_from(v).ok());
    Some(ProcessInfo {
        pid,
        parent: field(4)?,
        threads: field(20)?,
        name: stat.get(stat.find('(')? + 1..stat.rfind(')')?)?.to_owned(),
    })
}

/// Linux ids of a process's threads.
#[must_use]
pub fn threads(pid: u32) -> Vec<u32> {
    let Ok(entries) = std::fs::read_dir(format!("/proc/{pid}/task")) else { return Vec::new() };
    entries.filter_map(|e| e.ok()?.file_name().to_str()?.parse().ok()).collect()
}

/// User and kernel time of a process that runs, in nanoseconds.
#[must_use]
pub fn cpu_times(pid: u32) -> Option<(u64, u64)> {
    times_of_stat(&read(pid, "stat")?)
}

/// When a process was made, in nanoseconds since 1970, to the clock tick.
#[must_use]
pub fn start_time(pid: u32) -> Option<u64> {
    let ticks = stat_field(&read(pid, "stat")?, 22)?;
    // SAFETY: no arguments that could be wrong.
    let per_second = u64::try_from(unsafe { libc::sysconf(libc::_SC_CLK_TCK) }).ok().filter(|t| *t > 0)?;
    // Counted from the start of the machine, time asleep included.
    let since = crate::time::interrupt_time().unsigned_abs() * 100;
    Some((system_now() - since) + ticks * (1_000_000_000 / per_second))
}

/// The executable file of a process: for guests, Transom's.
#[must_use]
pub fn executable(pid: u32) -> Option<PathBuf> {
    std::fs::read_link(format!("/proc/{pid}/exe")).ok()
}

/// The arguments that a process was started with.
#[must_use]
pub fn arguments(pid: u32) -> Vec<std::ffi::OsString> {
    let mut bytes = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    bytes.pop_if(|b| *b == 0);
    bytes.split(|b| *b == 0).map(|a| std::ffi::OsString::from_vec(a.to_vec())).collect()
}

/// The image of a process: of a guest the Windows program, of others the executable file.
#[must_use]
pub fn image(pid: u32) -> Option<PathBuf> {
    let file = executable(pid)?;
    if std::env::current_exe().ok()? != file {
        return Some(file);
    }
    // Among Transom's arguments it is the word that the process took its name from (`object::set_name`).
    let name = read(pid, "comm")?;
    let arguments = arguments(pid);
    let is_named = |word: &&std::ffi::OsString| {
        let file = Path::new(word).file_name().unwrap_or_default().as_encoded_bytes();
        !file.is_empty() && file[..file.len().min(15)] == *name.trim_end_matches('\n').as_bytes()
    };
    let program = arguments.iter().skip(1).find(is_named)?;
    let folder = std::fs::read_link(format!("/proc/{pid}/cwd")).unwrap_or_default();
    Some(folder.join(program))
}

/// The memory counters of a process.
#[must_use]
pub fn memory(pid: u32) -> Option<Memory> {
    let status = read(pid, "status")?;
    let kib = |name: &str| {
        let line = status.lines().find_map(|l| l.strip_prefix(name)?.strip_prefix(':'));
        line.and_then(|l| l.split_ascii_whitespace().next()?.parse::<u64>().ok()).unwrap_or(0) * 1024
    };
    let stat = read(pid, "stat")?;
    Some(Memory {
        working_set: kib("VmRSS"),
        peak_working_set: kib("VmHWM"),
        private: kib("RssAnon") + kib("VmSwap"),
        virtual_size: kib("VmSize"),
        peak_virtual_size: kib("VmPeak"),
        page_faults: stat_field(&stat, 10)? + stat_field(&stat, 12)?,
    })
}
