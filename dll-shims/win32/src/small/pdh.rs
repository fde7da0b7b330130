//! pdh.dll: performance counters, of processors and of memory. Other counters do not exist, as on a system without their provider.
//!
//! A counter that tells of a time between two collections needs both; the first has PDH_INVALID_DATA.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use transom_sdk::{Cx, Guest, Handle, Out, Ptr, WStr, Win32, foundation as f, mem, shim};
use transom_syscalls::sysinfo::{self, ProcessorTimes};
use windows_sys::Win32::System::Performance as p;

/// What a counter counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum What {
    /// Per cent of a processor's time (of all, without a number).
    Time(Share, Option<usize>),
    /// Bytes of memory that are available, in units of so many bytes.
    AvailableMemory(u64),
    /// Per cent of memory and swap in use.
    CommittedPercent,
    /// Processes.
    Processes,
}

/// A part of a processor's time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Share {
    Busy,
    Idle,
    User,
    Privileged,
}

#[derive(Debug)]
struct Counter {
    query: u64,
    what: What,
    user: u64,
    /// The time between the last two collections: the part, and the whole.
    part: Option<(u64, u64)>,
}

#[derive(Debug, Default)]
struct Collected {
    each: Vec<ProcessorTimes>,
}

#[derive(Default)]
struct Open {
    last: u64,
    queries: HashMap<u64, Option<Collected>>,
    counters: HashMap<u64, Counter>,
}

/// Queries and counters by handle.
#[derive(Default)]
struct State(Mutex<Open>);

impl Open {
    fn handle(&mut self) -> u64 {
        self.last += 1;
        0x4_0000 + 16 * self.last
    }
}

fn with<T>(cx: &Cx, work: impl FnOnce(&mut Open) -> T) -> T {
    work(&mut cx.state::<State>().0.lock().unwrap_or_else(PoisonError::into_inner))
}

fn key(handle: Handle) -> u64 {
    handle.0.cast_unsigned()
}

/// The counter of a path, `\Object(instance)\counter` with or without a machine.
fn parse(path: &str) -> Result<What, u32> {
    let lower = path.to_ascii_lowercase();
    let local = match lower.strip_prefix(r"\\") {
        Some(rest) => rest.split_once('\\').ok_or(p::PDH_CSTATUS_BAD_COUNTERNAME)?.1,
        None => lower.strip_prefix('\\').ok_or(p::PDH_CSTATUS_BAD_COUNTERNAME)?,
    };
    let (object, counter) = local.rsplit_once('\\').ok_or(p::PDH_CSTATUS_BAD_COUNTERNAME)?;
    let (object, instance) = match object.split_once('(') {
        Some((object, instance)) => (object, Some(instance.trim_end_matches(')'))),
        None => (object, None),
    };
    match (object, counter) {
        ("processor" | "processor information", _) => {
            let share = match counter {
                "% processor time" | "% processor utility" => Share::Busy,
                "% idle time" => Share::Idle,
                "% user time" => Share::User,
                "% privileged time" => Share::Privileged,
                _ => return Err(p::PDH_CSTATUS_NO_COUNTER),
            };
            let number = instance.ok_or(p::PDH_CSTATUS_NO_INSTANCE)?.trim_start_matches("0,");
            let index = if number == "_total" { None } else { Some(number.parse().unwrap_or(usize::MAX)) };
            let count = sysinfo::processor_count() as usize;
            if index.is_some_and(|index| index >= count) {
                return Err(p::PDH_CSTATUS_NO_INSTANCE);
            }
            Ok(What::Time(share, index))
        }
        ("memory", "available bytes") => Ok(What::AvailableMemory(1)),
        ("memory", "available kbytes") => Ok(What::AvailableMemory(1 << 10)),
        ("memory", "available mbytes") => Ok(What::AvailableMemory(1 << 20)),
        ("memory", "% committed bytes in use") => Ok(What::CommittedPercent),
        ("system", "processes") => Ok(What::Processes),
        ("memory" | "system", _) => Err(p::PDH_CSTATUS_NO_COUNTER),
        _ => Err(p::PDH_CSTATUS_NO_OBJECT),
    }
}

/// Creates a new query that is used to manage the collection of performance data.
#[shim(pdh(PdhOpenQueryW, PdhOpenQueryA), partial = "of this machine as it runs, not of log files")]
fn PdhOpenQueryW(cx: &Cx, source: Ptr<u8>, _user: usize, out: Out<Handle>) -> Win32<u32> {
    if !source.is_null() {
        return Ok(p::PDH_FILE_NOT_FOUND);
    }
    let query = with(cx, |open| {
        let query = open.handle();
        open.queries.insert(query, None);
        query
    });
    out.write(cx, Handle(query.cast_signed()))?;
    Ok(f::ERROR_SUCCESS)
}

/// Closes all counters contained in the specified query and the query itself.
#[shim(pdh)]
fn PdhCloseQuery(cx: &Cx, query: Handle) -> u32 {
    with(cx, |open| {
        open.counters.retain(|_, counter| counter.query != key(query));
        if open.queries.remove(&key(query)).is_some() { f::ERROR_SUCCESS } else { p::PDH_INVALID_HANDLE }
    })
}

/// Adds a counter, whose names are English in any case, to the query.
#[shim(pdh(PdhAddCounterW, PdhAddEnglishCounterW), ansi, partial = "processors, memory, processes")]
fn PdhAddCounterW(cx: &Cx, query: Handle, path: WStr, user: usize, out: Out<Handle>) -> Win32<u32> {
    let what = match parse(&String::from_utf16_lossy(&path.get()?)) {
        Ok(what) => what,
        Err(code) => return Ok(code),
    };
    let added = with(cx, |open| {
        open.queries.contains_key(&key(query)).then(|| {
            let handle = open.handle();
            let counter = Counter { query: key(query), what, user: user as u64, part: None };
            open.counters.insert(handle, counter);
            handle
        })
    });
    let Some(counter) = added else { return Ok(p::PDH_INVALID_HANDLE) };
    out.write(cx, Handle(counter.cast_signed()))?;
    Ok(f::ERROR_SUCCESS)
}

/// Removes a counter from a query.
#[shim(pdh)]
fn PdhRemoveCounter(cx: &Cx, counter: Handle) -> u32 {
    let removed = with(cx, |open| open.counters.remove(&key(counter)));
    if removed.is_some() { f::ERROR_SUCCESS } else { p::PDH_INVALID_HANDLE }
}

/// Validates that the counter is present on the computer.
#[shim(pdh, ansi)]
fn PdhValidatePathW(_cx: &Cx, path: WStr) -> Win32<u32> {
    Ok(parse(&String::from_utf16_lossy(&path.get()?)).err().unwrap_or(f::ERROR_SUCCESS))
}

fn spent(share: Share, before: &ProcessorTimes, now: &ProcessorTimes) -> (u64, u64) {
    let idle = now.idle.saturating_sub(before.idle);
    let (kernel, user) = (now.kernel.saturating_sub(before.kernel), now.user.saturating_sub(before.user));
    let part = match share {
        Share::Busy => kernel + user,
        Share::Idle => idle,
        Share::User => user,
        Share::Privileged => kernel,
    };
    (part, idle + kernel + user)
}

/// Collects the current raw data value for all counters in the specified query.
#[shim(pdh)]
fn PdhCollectQueryData(cx: &Cx, query: Handle) -> u32 {
    let now = Collected { each: sysinfo::each_processor_times() };
    with(cx, |open| {
        let Some(last) = open.queries.get_mut(&key(query)) else { return p::PDH_INVALID_HANDLE };
        let before = last.replace(Collected { each: now.each.clone() });
        let mut any = false;
        for counter in open.counters.values_mut().filter(|counter| counter.query == key(query)) {
            any = true;
            let (What::Time(share, index), Some(before)) = (counter.what, &before) else { continue };
            let pairs = before.each.iter().zip(&now.each).enumerate();
            let chosen = pairs.filter(|(i, _)| index.is_none_or(|index| index == *i));
            let sum = chosen.map(|(_, (before, now))| spent(share, before, now));
            counter.part = Some(sum.fold((0, 0), |a, b| (a.0 + b.0, a.1 + b.1)));
        }
        if any { f::ERROR_SUCCESS } else { p::PDH_NO_DATA }
    })
}

#[expect(clippy::cast_precision_loss, reason = "per cents need no more than a double has")]
fn value(counter: &Counter) -> Option<f64> {
    Some(match counter.what {
        What::Time(..) => {
            let (part, whole) = counter.part?;
            if whole == 0 { 0.0 } else { 100.0 * part as f64 / whole as f64 }
        }
        What::AvailableMemory(unit) => (sysinfo::memory_status().available / unit) as f64,
        What::CommittedPercent => {
            let status = sysinfo::memory_status();
            let used = status.total_page_file.saturating_sub(status.available_page_file);
            100.0 * used as f64 / status.total_page_file.max(1) as f64
        }
        What::Processes => transom_syscalls::process::list::processes().len() as f64,
    })
}

/// PDH_FMT_COUNTERVALUE.
#[derive(Guest, Debug, Clone, Copy)]
struct Formatted {
    status: u32,
    value: u64,
}

/// Computes a displayable value for the specified counter.
#[shim(pdh)]
fn PdhGetFormattedCounterValue(
    cx: &Cx,
    counter: Handle,
    format: u32,
    kind: Option<Out<u32>>,
    out: Out<Formatted>,
) -> Win32<u32> {
    let known = with(cx, |open| open.counters.get(&key(counter)).map(|c| (value(c), c.user)));
    let Some((value, _)) = known else { return Ok(p::PDH_INVALID_HANDLE) };
    if let Some(kind) = kind {
        kind.write(cx, 0)?;
    }
    let Some(value) = value else {
        out.write(cx, Formatted { status: p::PDH_CSTATUS_INVALID_DATA, value: 0 })?;
        return Ok(p::PDH_INVALID_DATA);
    };
    // Without PDH_FMT_NOCAP100, per cents end at a hundred; they do not come to more here.
    #[expect(clippy::cast_possible_truncation, reason = "as documented: the integer part")]
    let bits = match format & (p::PDH_FMT_LONG | p::PDH_FMT_LARGE | p::PDH_FMT_DOUBLE) {
        p::PDH_FMT_LONG => u64::from((value as i32).cast_unsigned()),
        p::PDH_FMT_LARGE => (value as i64).cast_unsigned(),
        p::PDH_FMT_DOUBLE => value.to_bits(),
        _ => return Ok(p::PDH_INVALID_ARGUMENT),
    };
    out.write(cx, Formatted { status: p::PDH_CSTATUS_VALID_DATA, value: bits })?;
    Ok(f::ERROR_SUCCESS)
}

/// The objects that have counters.
const OBJECTS: &str = "Memory\0Processor\0Processor Information\0System\0\0";

/// Returns a list of objects available: a list of strings that ends in an empty one.
#[shim(pdh(PdhEnumObjectsA))]
fn PdhEnumObjectsA(
    cx: &Cx,
    _source: Ptr<u8>,
    _machine: Ptr<u8>,
    list: Ptr<u8>,
    size: Ptr<u32>,
    _detail: u32,
    _refresh: bool,
) -> Win32<u32> {
    give(cx, OBJECTS.as_bytes(), 1, list, size)
}

/// Returns a list of objects available: a list of strings that ends in an empty one.
#[shim(pdh(PdhEnumObjectsW))]
fn PdhEnumObjectsW(
    cx: &Cx,
    _source: Ptr<u8>,
    _machine: Ptr<u8>,
    list: Ptr<u8>,
    size: Ptr<u32>,
    _detail: u32,
    _refresh: bool,
) -> Win32<u32> {
    let objects: Vec<u8> = OBJECTS.encode_utf16().flat_map(u16::to_le_bytes).collect();
    give(cx, &objects, 2, list, size)
}

fn give(cx: &Cx, text: &[u8], unit: usize, list: Ptr<u8>, size: Ptr<u32>) -> Win32<u32> {
    let room = size.read(cx)? as usize;
    size.write(cx, u32::try_from(text.len() / unit).unwrap_or(0))?;
    if list.is_null() || room * unit < text.len() {
        return Ok(p::PDH_MORE_DATA);
    }
    mem::copy_out(list.addr(), text)?;
    Ok(f::ERROR_SUCCESS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_of_counters() {
        assert_eq!(parse(r"\Processor(_Total)\% Idle Time"), Ok(What::Time(Share::Idle, None)));
        assert_eq!(parse(r"\\host\Processor(0)\% Processor Time"), Ok(What::Time(Share::Busy, Some(0))));
        assert_eq!(parse(r"\Memory\Available MBytes"), Ok(What::AvailableMemory(1 << 20)));
        assert_eq!(parse(r"\Processor(9999)\% Idle Time"), Err(p::PDH_CSTATUS_NO_INSTANCE));
        assert_eq!(parse(r"\GPU Engine(*)\x"), Err(p::PDH_CSTATUS_NO_OBJECT));
        assert_eq!(parse("x"), Err(p::PDH_CSTATUS_BAD_COUNTERNAME));
    }

    #[test]
    fn times_between_collections() {
        let before = ProcessorTimes { idle: 100, kernel: 10, user: 10 };
        let now = ProcessorTimes { idle: 150, kernel: 30, user: 40 };
        assert_eq!(spent(Share::Busy, &before, &now), (50, 100));
        assert_eq!(spent(Share::User, &before, &now), (30, 100));
    }
}
