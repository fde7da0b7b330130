//! `winbase.h`, memory: global and local memory (the two are one here, as on Windows), and the `IsBad...Ptr` family.
//!
//! Fixed memory is a block of the process heap. Movable memory is known by a handle that is no address of data: it lies
//! in a reserved range of its own, so that a program which confuses the two faults at once. The block behind a handle
//! never moves while the handle is locked, and only GlobalReAlloc moves it at all.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use transom_sdk::{AStr, Cx, Ptr, WStr, Win32, WinError, foundation as f, mem, shim};
use transom_syscalls::memory::Allocation;
use transom_syscalls::status::Result as Service;
use windows_sys::Win32::System::Memory::{GMEM_MOVEABLE, GMEM_ZEROINIT, MEM_RESERVE, PAGE_NOACCESS};
use windows_sys::Win32::System::WindowsProgramming::{
    GMEM_DISCARDABLE, GMEM_DISCARDED, GMEM_INVALID_HANDLE, GMEM_MODIFY,
};

const INVALID_HANDLE: WinError = WinError::Code(f::ERROR_INVALID_HANDLE);
const NO_MEMORY: WinError = WinError::Code(f::ERROR_NOT_ENOUGH_MEMORY);

/// Distance between handles in bytes.
const STEP: u64 = 8;
/// As many as Windows allows.
const MOST_HANDLES: u64 = 0x1_0000;
/// The lock count that is never exceeded.
const MOST_LOCKS: u8 = 0xFF;

/// Memory behind a handle.
#[derive(Clone, Copy)]
struct Movable {
    /// The heap block; 0 if discarded.
    block: u64,
    locks: u8,
    discardable: bool,
}

#[derive(Default)]
struct Table {
    /// First address of the handles' range, once there is one.
    base: u64,
    /// By handle.
    entries: BTreeMap<u64, Movable>,
}

/// The handles of the process.
#[derive(Default)]
struct State(Mutex<Table>);

fn table(cx: &Cx) -> MutexGuard<'static, Table> {
    let state: &'static State = cx.state();
    state.0.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Table {
    /// A handle that is free.
    fn fresh(&mut self, cx: &Cx) -> Service<Option<u64>> {
        if self.base == 0 {
            let range = cx.memory().allocate(&Allocation {
                size: STEP * MOST_HANDLES,
                kind: MEM_RESERVE,
                protect: PAGE_NOACCESS,
                ..Allocation::default()
            })?;
            self.base = range.base;
        }
        // The lowest gap: handles are dense, so the count tells where to look first.
        let count = self.entries.len() as u64;
        let mut candidates = (count..MOST_HANDLES).chain(0..count);
        Ok(candidates.find_map(|i| {
            let handle = self.base + STEP * i;
            (!self.entries.contains_key(&handle)).then_some(handle)
        }))
    }

    fn get(&mut self, handle: u64) -> Option<&mut Movable> {
        self.entries.get_mut(&handle)
    }

    /// Whether the value is in the range of handles, valid or not.
    fn owns(&self, value: u64) -> bool {
        self.base != 0 && (self.base..self.base + STEP * MOST_HANDLES).contains(&value)
    }
}

/// Allocates a block of the process heap.
fn block(cx: &Cx, size: usize, flags: u32) -> Win32<u64> {
    cx.heaps().process().alloc(size as u64, flags & GMEM_ZEROINIT != 0).ok_or(NO_MEMORY)
}

/// Allocates the specified number of bytes: fixed memory, or movable memory known by a handle.
#[shim(kernel32(GlobalAlloc, LocalAlloc))]
fn GlobalAlloc(cx: &Cx, flags: u32, size: usize) -> Win32<Ptr<u8>> {
    if flags & GMEM_MOVEABLE == 0 {
        return Ok(Ptr::new(block(cx, size, flags)?));
    }
    // No bytes: a handle to discarded memory.
    let block = if size == 0 { 0 } else { block(cx, size, flags)? };
    let mut table = table(cx);
    let Some(handle) = table.fresh(cx)? else {
        drop(table);
        free_block(cx, block);
        return Err(NO_MEMORY);
    };
    let discardable = flags & GMEM_DISCARDABLE != 0;
    table.entries.insert(handle, Movable { block, locks: 0, discardable });
    Ok(Ptr::new(handle))
}

/// Gives back a block that the table owns.
fn free_block(cx: &Cx, block: u64) {
    if block != 0 && cx.heaps().process().free(block).is_err() {
        log::debug!("a global memory block at {block:#x} was freed behind its handle's back");
    }
}

/// Frees the specified memory object and invalidates its handle. Returns NULL, or on failure the handle.
#[shim(kernel32(GlobalFree, LocalFree))]
fn GlobalFree(cx: &Cx, memory: Ptr<u8>) -> Ptr<u8> {
    if memory.is_null() {
        return Ptr::NULL;
    }
    let mut table = table(cx);
    if let Some(entry) = table.entries.remove(&memory.addr()) {
        drop(table);
        free_block(cx, entry.block);
        return Ptr::NULL;
    }
    let handle = table.owns(memory.addr());
    drop(table);
    if handle || cx.heaps().process().free(memory.addr()).is_err() {
        cx.set_last_error(f::ERROR_INVALID_HANDLE);
        return memory;
    }
    Ptr::NULL
}

/// Locks a memory object and returns a pointer to its first byte. Fixed memory is its own address.
#[shim(kernel32(GlobalLock, LocalLock))]
fn GlobalLock(cx: &Cx, memory: Ptr<u8>) -> Win32<Ptr<u8>> {
    let mut table = table(cx);
    if let Some(entry) = table.get(memory.addr()) {
        if entry.block == 0 {
            return Err(WinError::Code(f::ERROR_DISCARDED));
        }
        if entry.locks < MOST_LOCKS {
            entry.locks += 1;
        }
        return Ok(Ptr::new(entry.block));
    }
    if table.owns(memory.addr()) || !cx.heaps().process().validate(memory.addr()) {
        return Err(INVALID_HANDLE);
    }
    Ok(memory)
}

/// Decrements the lock count of a memory object: TRUE while it stays locked; FALSE with NO_ERROR when it is unlocked now.
#[shim(kernel32(GlobalUnlock, LocalUnlock))]
fn GlobalUnlock(cx: &Cx, memory: Ptr<u8>) -> Win32<bool> {
    let mut table = table(cx);
    if let Some(entry) = table.get(memory.addr()) {
        if entry.locks == 0 {
            return Err(WinError::Code(f::ERROR_NOT_LOCKED));
        }
        entry.locks -= 1;
        if entry.locks == 0 {
            cx.set_last_error(f::ERROR_SUCCESS);
            return Ok(false);
        }
        return Ok(true);
    }
    // Fixed memory always counts as locked.
    if table.owns(memory.addr()) { Err(INVALID_HANDLE) } else { Ok(true) }
}

/// Retrieves the current size of the specified memory object, in bytes.
#[shim(kernel32(GlobalSize, LocalSize))]
fn GlobalSize(cx: &Cx, memory: Ptr<u8>) -> Win32<usize> {
    let table = table(cx);
    let at = match table.entries.get(&memory.addr()) {
        Some(entry) if entry.block == 0 => return Ok(0),
        Some(entry) => entry.block,
        None if table.owns(memory.addr()) => return Err(INVALID_HANDLE),
        None => memory.addr(),
    };
    let size = cx.heaps().process().size(at).map_err(|_| INVALID_HANDLE)?;
    super::process_arg::word(size)
}

/// Retrieves information about the specified memory object: its lock count and attributes.
#[shim(kernel32(GlobalFlags, LocalFlags), fails = GMEM_INVALID_HANDLE)]
fn GlobalFlags(cx: &Cx, memory: Ptr<u8>) -> Win32<u32> {
    let mut table = table(cx);
    if let Some(entry) = table.get(memory.addr()) {
        let discardable = if entry.discardable { GMEM_DISCARDABLE } else { 0 };
        let discarded = if entry.block == 0 { GMEM_DISCARDED } else { 0 };
        return Ok(u32::from(entry.locks) | discardable | discarded);
    }
    if table.owns(memory.addr()) || !cx.heaps().process().validate(memory.addr()) {
        return Err(INVALID_HANDLE);
    }
    Ok(0)
}

/// Retrieves the handle associated with the specified pointer to a memory block.
#[shim(kernel32(GlobalHandle, LocalHandle))]
fn GlobalHandle(cx: &Cx, memory: Ptr<u8>) -> Win32<Ptr<u8>> {
    let table = table(cx);
    let found = table.entries.iter().find(|(_, e)| e.block != 0 && e.block == memory.addr());
    if let Some((&handle, _)) = found {
        return Ok(Ptr::new(handle));
    }
    if memory.is_null() || !cx.heaps().process().validate(memory.addr()) {
        return Err(INVALID_HANDLE);
    }
    Ok(memory)
}

/// Changes the size or attributes of a memory object.
#[shim(kernel32(GlobalReAlloc, LocalReAlloc))]
fn GlobalReAlloc(cx: &Cx, memory: Ptr<u8>, size: usize, flags: u32) -> Win32<Ptr<u8>> {
    let mut table = table(cx);
    let zero = flags & GMEM_ZEROINIT != 0;
    let heap = cx.heaps().process();
    if let Some(entry) = table.get(memory.addr()) {
        if flags & GMEM_MODIFY != 0 {
            entry.discardable = flags & GMEM_DISCARDABLE != 0;
            return Ok(memory);
        }
        entry.block = match (entry.block, size) {
            (0, 0) => 0,
            (0, _) => block(cx, size, flags)?,
            (_, 0) if entry.locks > 0 => return Err(INVALID_HANDLE),
            (old, 0) => {
                free_block(cx, old);
                0
            }
            (old, _) => {
                let in_place = entry.locks > 0 && flags & GMEM_MOVEABLE == 0;
                heap.realloc(old, size as u64, in_place, zero)?
            }
        };
        return Ok(memory);
    }
    if table.owns(memory.addr()) || !heap.validate(memory.addr()) {
        return Err(INVALID_HANDLE);
    }
    if flags & GMEM_MODIFY != 0 {
        if flags & GMEM_MOVEABLE == 0 {
            return Ok(memory);
        }
        // Fixed memory becomes movable: the block gets a handle.
        let handle = table.fresh(cx)?.ok_or(NO_MEMORY)?;
        let discardable = flags & GMEM_DISCARDABLE != 0;
        table.entries.insert(handle, Movable { block: memory.addr(), locks: 0, discardable });
        return Ok(Ptr::new(handle));
    }
    Ok(Ptr::new(heap.realloc(memory.addr(), size as u64, flags & GMEM_MOVEABLE == 0, zero)?))
}

/// Verifies that the calling process can read the specified range: TRUE if it cannot.
#[shim(kernel32(IsBadReadPtr, IsBadHugeReadPtr))]
fn IsBadReadPtr(at: Ptr<u8>, size: usize) -> bool {
    mem::probe_read(at.addr(), size).is_err()
}

/// Verifies that the calling process can write the specified range: TRUE if it cannot.
#[shim(kernel32(IsBadWritePtr, IsBadHugeWritePtr))]
fn IsBadWritePtr(at: Ptr<u8>, size: usize) -> bool {
    mem::probe_write(at.addr(), size).is_err()
}

/// Verifies that the calling process can read the memory at the specified address: TRUE if it cannot.
#[shim(kernel32)]
fn IsBadCodePtr(at: Ptr<u8>) -> bool {
    mem::probe_read(at.addr(), 1).is_err()
}

/// Verifies that the calling process can read the string, up to so many characters: TRUE if it cannot.
#[shim(kernel32)]
fn IsBadStringPtrA(text: AStr, most: usize) -> bool {
    bad_string(text.addr(), most, 1)
}

/// As IsBadStringPtrA, for UTF-16.
#[shim(kernel32)]
fn IsBadStringPtrW(text: WStr, most: usize) -> bool {
    bad_string(text.addr(), most, 2)
}

fn bad_string(mut at: u64, most: usize, unit: u64) -> bool {
    for _ in 0..most {
        let end = match unit {
            1 => mem::read::<u8>(at).map(|c| c == 0),
            _ => mem::read::<u16>(at).map(|c| c == 0),
        };
        match end {
            Ok(true) => return false,
            Ok(false) => at = at.wrapping_add(unit),
            Err(_) => return true,
        }
    }
    false
}

/// Copies a block of memory; the ranges may overlap.
#[shim(kernel32, ntdll, leaf = transom_cpu::leaf::memory::rtl_move_memory)]
fn RtlMoveMemory(to: Ptr<u8>, from: Ptr<u8>, size: usize) -> Win32<()> {
    Ok(mem::copy_within(to.addr(), from.addr(), size)?)
}

/// Copies a block of memory without overlap.
#[shim(
    kernel32,
    ntdll(RtlCopyMemory, RtlCopyMemoryNonTemporal),
    leaf = transom_cpu::leaf::memory::rtl_move_memory
)]
fn RtlCopyMemory(to: Ptr<u8>, from: Ptr<u8>, size: usize) -> Win32<()> {
    RtlMoveMemory(to, from, size)
}

/// Fills a block of memory with a byte.
#[shim(kernel32, ntdll)]
fn RtlFillMemory(to: Ptr<u8>, size: usize, byte: u8) -> Win32<()> {
    Ok(mem::fill(to.addr(), byte, size)?)
}

/// Fills a block of memory with zeroes.
#[shim(kernel32, ntdll(RtlZeroMemory, RtlSecureZeroMemory))]
fn RtlZeroMemory(to: Ptr<u8>, size: usize) -> Win32<()> {
    RtlFillMemory(to, size, 0)
}

/// Compares two blocks of memory: the number of equal bytes at their beginning.
#[shim(kernel32, ntdll)]
fn RtlCompareMemory(first: Ptr<u8>, second: Ptr<u8>, size: usize) -> Win32<usize> {
    const STEP: usize = 4096;
    let (mut a, mut b) = ([0u8; STEP], [0u8; STEP]);
    let mut done = 0;
    while done < size {
        let n = STEP.min(size - done);
        mem::copy_in(first.addr().wrapping_add(done as u64), &mut a[..n])?;
        mem::copy_in(second.addr().wrapping_add(done as u64), &mut b[..n])?;
        match a[..n].iter().zip(&b[..n]).position(|(x, y)| x != y) {
            Some(at) => return Ok(done + at),
            None => done += n,
        }
    }
    Ok(size)
}
