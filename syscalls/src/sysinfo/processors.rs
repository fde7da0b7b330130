//! Processors: their times, caches, and which one is at work. How many there are is in the parent module.

/// Time that all processors spent together since the machine started, in nanoseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ProcessorTimes {
    /// Doing nothing.
    pub idle: u64,
    /// In the kernel, interrupts included.
    pub kernel: u64,
    /// In programs.
    pub user: u64,
}

/// Times of all processors together (`GetSystemTimes`).
#[must_use]
pub fn processor_times() -> ProcessorTimes {
    let Ok(text) = std::fs::read_to_string("/proc/stat") else { return ProcessorTimes::default() };
    text.lines().next().and_then(|l| parse_times(l.strip_prefix("cpu ")?)).unwrap_or_default()
}

/// Times of each processor that the process may use, as many as it is told there are.
#[must_use]
pub fn each_processor_times() -> Vec<ProcessorTimes> {
    let text = std::fs::read_to_string("/proc/stat").unwrap_or_default();
    let lines = text.lines().filter_map(|l| {
        let (number, times) = l.strip_prefix("cpu")?.split_once(' ')?;
        number.parse::<u32>().ok()?;
        parse_times(times)
    });
    let count = super::processor_count() as usize;
    let mut all: Vec<_> = lines.take(count).collect();
    all.resize(count, ProcessorTimes::default());
    all
}

/// What follows the name in a line of `/proc/stat`: user, nice, system, idle, iowait, irq, softirq in ticks of 1/100 s.
fn parse_times(line: &str) -> Option<ProcessorTimes> {
    const TICK: u64 = 10_000_000;
    let mut fields = [0u64; 7];
    for (to, from) in fields.iter_mut().zip(line.split_ascii_whitespace()) {
        *to = from.parse::<u64>().ok()?.saturating_mul(TICK);
    }
    let [user, nice, system, idle, wait, hard, soft] = fields;
    Some(ProcessorTimes { idle: idle + wait, kernel: system + hard + soft, user: user + nice })
}

/// Reads and writes of this process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct IoCounters {
    /// Read operations.
    pub reads: u64,
    /// Write operations.
    pub writes: u64,
    /// Bytes read.
    pub bytes_read: u64,
    /// Bytes written.
    pub bytes_written: u64,
}

/// Reads and writes of this process so far (`GetProcessIoCounters`).
#[must_use]
pub fn io_counters() -> IoCounters {
    let text = std::fs::read_to_string("/proc/self/io").unwrap_or_default();
    let field =
        |name: &str| text.lines().find_map(|l| l.strip_prefix(name)?.trim().parse().ok()).unwrap_or_default();
    IoCounters {
        reads: field("syscr:"),
        writes: field("syscw:"),
        bytes_read: field("rchar:"),
        bytes_written: field("wchar:"),
    }
}

/// What `/proc/cpuinfo` says of the first processor in the line that begins with `name`.
#[must_use]
pub fn cpu_info(name: &str) -> Option<String> {
    let all = std::fs::read_to_string("/proc/cpuinfo").ok()?;
    let line =
        all.lines().find(|l| l.strip_prefix(name).is_some_and(|rest| rest.trim_start().starts_with(':')))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}

/// The number of the processor that the calling thread runs on, among those that the process may use.
#[must_use]
pub fn current_processor() -> u32 {
    // SAFETY: no arguments.
    let number = u32::try_from(unsafe { libc::sched_getcpu() }).unwrap_or(0);
    number % super::processor_count()
}

/// What a cache holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CacheKind {
    /// Both.
    Unified,
    /// Instructions.
    Instruction,
    /// Data.
    Data,
}

/// A processor cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cache {
    /// 1 to 3.
    pub level: u8,
    /// Ways.
    pub associativity: u8,
    /// Bytes in a line.
    pub line: u16,
    /// Bytes.
    pub size: u32,
    /// What it holds.
    pub kind: CacheKind,
}

/// The caches of the first processor, which stands for all.
#[must_use]
pub fn caches() -> Vec<Cache> {
    let Ok(entries) = std::fs::read_dir("/sys/devices/system/cpu/cpu0/cache") else { return Vec::new() };
    let mut caches: Vec<Cache> = entries.filter_map(|e| cache(&e.ok()?.path())).collect();
    caches.sort_by_key(|c| (c.level, c.kind as u8));
    caches
}

fn cache(folder: &std::path::Path) -> Option<Cache> {
    let text = |name: &str| std::fs::read_to_string(folder.join(name)).ok().map(|t| t.trim().to_owned());
    let kind = match text("type")?.as_str() {
        "Data" => CacheKind::Data,
        "Instruction" => CacheKind::Instruction,
        _ => CacheKind::Unified,
    };
    let size: u32 = text("size")?.strip_suffix('K')?.parse().ok()?;
    Some(Cache {
        level: text("level")?.parse().ok()?,
        associativity: text("ways_of_associativity").and_then(|t| t.parse().ok()).unwrap_or(0),
        line: text("coherency_line_size")?.parse().ok()?,
        size: size.checked_mul(1024)?,
        kind,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_in_nanoseconds() {
        let times = parse_times(" 1 2 3 4 5 6 7 0 0 0").expect("a line");
        assert_eq!((times.user, times.kernel, times.idle), (30_000_000, 160_000_000, 90_000_000));
        assert!(processor_times().user > 0);
        assert_eq!(each_processor_times().len(), super::super::processor_count() as usize);
        assert!(current_processor() < super::super::processor_count());
        assert!(caches().iter().all(|c| c.level > 0 && c.size > 0));
    }
}
