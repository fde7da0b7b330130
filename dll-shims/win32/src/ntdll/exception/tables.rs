//! Tables of functions: those of images, and those that programs register for code that they generate (`winnt.h`:
//! RtlAddFunctionTable, RtlInstallFunctionTableCallback, RtlAddGrowableFunctionTable).

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{PoisonError, RwLock};

use transom_cpu::unwind::Function;
use transom_sdk::foundation::STATUS_INVALID_PARAMETER;
use transom_sdk::{Cx, Func, Machine, Nt, Ptr, Status, WStr, mem, shim};

use super::known;

/// A registered table.
#[derive(Clone, Copy, Debug)]
enum Dynamic {
    /// An array of entries, `count` of them valid.
    Table { array: u64, count: u32, base: u64, range: Option<(u64, u64)>, sorted: bool },
    /// A function that finds the entry of an address.
    Callback { id: u64, base: u64, len: u64, routine: Func, context: u64 },
}

#[derive(Default)]
struct State {
    used: AtomicBool,
    list: RwLock<Vec<Dynamic>>,
}

fn add(cx: &Cx, table: Dynamic) {
    let state = cx.state::<State>();
    state.list.write().unwrap_or_else(PoisonError::into_inner).push(table);
    state.used.store(true, Ordering::Release);
}

/// Bytes of an entry.
fn stride(machine: Machine) -> u64 {
    if machine == Machine::Arm64 { 8 } else { 12 }
}

/// The function that holds an address of guest code; `None` if no table knows it.
pub(crate) fn lookup(cx: &Cx, pc: u64) -> Option<Function> {
    match known::function(cx, pc) {
        Some(found) => found,
        None => lookup_dynamic(cx, pc),
    }
}

/// The function that holds an address in the image of a module; `None` if no module does, or it has no table of its own.
pub(super) fn lookup_image(cx: &Cx, pc: u64) -> Option<Option<Function>> {
    let module = cx.modules().by_address(pc)?;
    let table = module.functions();
    Some(table.and_then(|(rva, count)| search(cx, module.base + u64::from(rva), count, module.base, pc)))
}

/// The function that holds an address in generated code.
fn lookup_dynamic(cx: &Cx, pc: u64) -> Option<Function> {
    let state = cx.state::<State>();
    if !state.used.load(Ordering::Acquire) {
        return None;
    }
    let tables = state.list.read().unwrap_or_else(PoisonError::into_inner).clone();
    tables.into_iter().find_map(|table| match table {
        Dynamic::Table { range: Some((start, end)), .. } if !(start..end).contains(&pc) => None,
        Dynamic::Table { array, count, base, sorted: true, .. } => search(cx, array, count, base, pc),
        Dynamic::Table { array, count, base, sorted: false, .. } => {
            (0..count.into()).find_map(|i| entry(cx, array + i * stride(cx.machine()), base, pc))
        }
        Dynamic::Callback { base, len, routine, context, .. } if pc.wrapping_sub(base) < len => {
            let at = cx.call(routine, &[pc, context]);
            if at == 0 { None } else { read(cx, at, base).map(|(function, _)| function) }
        }
        Dynamic::Callback { .. } => None,
    })
}

/// Binary search in a sorted array.
fn search(cx: &Cx, array: u64, count: u32, base: u64, pc: u64) -> Option<Function> {
    let stride = stride(cx.machine());
    let rva = u32::try_from(pc.checked_sub(base)?).ok()?;
    let (mut low, mut high) = (0u64, u64::from(count));
    while low < high {
        let middle = low + (high - low) / 2;
        if mem::read::<u32>(array + middle * stride).ok()? <= rva {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    entry(cx, array + low.checked_sub(1)? * stride, base, pc)
}

/// The entry at an address if it holds `pc`.
fn entry(cx: &Cx, at: u64, base: u64, pc: u64) -> Option<Function> {
    let (function, end) = read(cx, at, base)?;
    let rva = pc.wrapping_sub(base);
    (rva >= function.begin.into() && rva < end).then_some(function)
}

/// An entry, and where its function ends.
pub(crate) fn read(cx: &Cx, at: u64, base: u64) -> Option<(Function, u64)> {
    let [begin, second]: [u32; 2] = mem::read(at).ok()?;
    if cx.machine() != Machine::Arm64 {
        let unwind = mem::read(at + 8).ok()?;
        return Some((Function { image_base: base, entry: at, begin, unwind }, second.into()));
    }
    let instructions = match second & 3 {
        0 => mem::read::<u32>(base + u64::from(second)).ok()? & 0x3_FFFF,
        _ => second >> 2 & 0x7FF,
    };
    let end = u64::from(begin) + 4 * u64::from(instructions);
    Some((Function { image_base: base, entry: at, begin, unwind: second }, end))
}

/// Searches the active function tables for an entry that corresponds to the specified PC value.
#[shim(kernel32, ntdll)]
fn RtlLookupFunctionEntry(cx: &Cx, pc: u64, base: Ptr<u64>, _history: Ptr<u8>) -> Ptr<u8> {
    if let Some(function) = lookup(cx, pc) {
        if let Err(bad) = base.write_opt(cx, function.image_base) {
            cx.access_violation(bad);
        }
        return Ptr::new(function.entry);
    }
    let module = cx.modules().by_address(pc).map_or(0, |m| m.base);
    if let Err(bad) = base.write_opt(cx, module) {
        cx.access_violation(bad);
    }
    Ptr::NULL
}

/// Adds a dynamic function table to the dynamic function table list.
#[shim(kernel32, ntdll)]
fn RtlAddFunctionTable(cx: &Cx, table: Ptr<u8>, count: u32, base: u64) -> u8 {
    add(cx, Dynamic::Table { array: table.addr(), count, base, range: None, sorted: false });
    1
}

/// Removes a dynamic function table from the dynamic function table list.
#[shim(kernel32, ntdll)]
fn RtlDeleteFunctionTable(cx: &Cx, table: u64) -> u8 {
    let mut list = cx.state::<State>().list.write().unwrap_or_else(PoisonError::into_inner);
    let is = |entry: &Dynamic| match entry {
        Dynamic::Table { array, .. } => *array == table,
        Dynamic::Callback { id, .. } => *id == table,
    };
    match list.iter().position(is) {
        Some(index) => {
            list.remove(index);
            1
        }
        None => 0,
    }
}

/// Adds a dynamic function table to the dynamic function table list: a callback finds the entries of a range. The table's
/// identifier has its two lowest bits set.
#[shim(kernel32, ntdll, partial = "debuggers do not get the out-of-process callback's DLL")]
fn RtlInstallFunctionTableCallback(
    cx: &Cx,
    id: u64,
    base: u64,
    len: u32,
    routine: Func,
    context: Ptr<u8>,
    _dll: Option<WStr>,
) -> u8 {
    if id & 3 != 3 {
        return 0;
    }
    add(cx, Dynamic::Callback { id, base, len: len.into(), routine, context: context.addr() });
    1
}

/// Informs the system of a dynamic function table representing a region of memory containing code.
#[shim(ntdll)]
fn RtlAddGrowableFunctionTable(
    cx: &Cx,
    handle: Ptr<u64>,
    table: Ptr<u8>,
    count: u32,
    maximum: u32,
    start: u64,
    end: u64,
) -> Nt<()> {
    if count > maximum || start >= end {
        return Err(Status(STATUS_INVALID_PARAMETER).into());
    }
    let range = Some((start, end));
    add(cx, Dynamic::Table { array: table.addr(), count, base: start, range, sorted: true });
    handle.write(cx, table.addr())?;
    Ok(())
}

/// Reports that a dynamic function table has increased in size.
#[shim(ntdll)]
fn RtlGrowFunctionTable(cx: &Cx, handle: u64, new_count: u32) {
    let mut list = cx.state::<State>().list.write().unwrap_or_else(PoisonError::into_inner);
    for entry in list.iter_mut() {
        if let Dynamic::Table { array, count, .. } = entry
            && *array == handle
        {
            *count = new_count;
        }
    }
}

/// Informs the system that a previously reported dynamic function table is no longer in use.
#[shim(ntdll)]
fn RtlDeleteGrowableFunctionTable(cx: &Cx, handle: u64) {
    RtlDeleteFunctionTable(cx, handle);
}
