//! The heap (malloc.h): the process heap's blocks.
//!
//! Aligned blocks carry the address of their true start in front of them.

use std::sync::atomic::{AtomicU64, Ordering};

use transom_sdk::{Crt, CrtError, Cx, Func, Guest, Ptr, mem, shim};

use crate::rt::errno::{EINVAL, ENOMEM};
use crate::rt::invalid::invalid;

/// The handler of failing allocations, and whether `malloc` calls it.
#[derive(Default)]
struct State {
    handler: AtomicU64,
    mode: AtomicU64,
}

/// A block, or 0 after the new-handler (if `malloc` calls it) has given up.
#[inline]
fn allocate(cx: &Cx, size: usize, zero: bool) -> Crt<Ptr<u8>> {
    loop {
        if let Some(at) = cx.heap_alloc(size.max(1) as u64, zero) {
            return Ok(Ptr::new(at));
        }
        if cx.state::<State>().mode.load(Ordering::Relaxed) == 0 || call_handler(cx, size) == 0 {
            return Err(CrtError::Errno(ENOMEM));
        }
    }
}

fn call_handler(cx: &Cx, size: usize) -> u64 {
    match cx.state::<State>().handler.load(Ordering::Relaxed) {
        0 => 0,
        handler => cx.call(Func(handler), &[size as u64]) & 0xFFFF_FFFF,
    }
}

/// Allocates memory.
#[shim(msvcrt(malloc, _malloc_crt), ucrtbase(malloc, _malloc_base), leaf = transom_cpu::leaf::heap::malloc)]
fn malloc(cx: &Cx, size: usize) -> Crt<Ptr<u8>> {
    allocate(cx, size, false)
}

/// Allocates zeroed memory for an array.
#[shim(msvcrt(calloc), ucrtbase(calloc, _calloc_base), leaf = transom_cpu::leaf::heap::calloc)]
fn calloc(cx: &Cx, count: usize, size: usize) -> Crt<Ptr<u8>> {
    let bytes = count.checked_mul(size).ok_or(CrtError::Errno(ENOMEM))?;
    allocate(cx, bytes, true)
}

/// Frees memory.
#[shim(msvcrt(free), ucrtbase(free, _free_base), leaf = transom_cpu::leaf::heap::free)]
fn free(cx: &Cx, block: Ptr<u8>) {
    if !block.is_null() && cx.heap_free(block.addr()).is_err() {
        log::warn!("free of {block:?}, which is not a block of the heap");
    }
}

/// Changes a block's size; it may move.
#[shim(msvcrt(realloc), ucrtbase(realloc, _realloc_base))]
fn realloc(cx: &Cx, block: Ptr<u8>, size: usize) -> Crt<Ptr<u8>> {
    if block.is_null() {
        return allocate(cx, size, false);
    }
    if size == 0 {
        free(cx, block);
        return Ok(Ptr::NULL);
    }
    let moved = cx.heaps().process().realloc(block.addr(), size as u64, false, false);
    moved.map(Ptr::new).map_err(|_| CrtError::Errno(ENOMEM))
}

/// Changes an array's size; new elements are zero, and an overflow fails.
#[shim(msvcrt(_recalloc), ucrtbase(_recalloc, _recalloc_base))]
fn _recalloc(cx: &Cx, block: Ptr<u8>, count: usize, size: usize) -> Crt<Ptr<u8>> {
    let bytes = count.checked_mul(size).ok_or(CrtError::Errno(ENOMEM))?;
    if block.is_null() {
        return allocate(cx, bytes, true);
    }
    let moved = cx.heaps().process().realloc(block.addr(), bytes.max(1) as u64, false, true);
    moved.map(Ptr::new).map_err(|_| CrtError::Errno(ENOMEM))
}

/// Changes a block's size where it is.
#[shim(msvcrt, ucrtbase)]
fn _expand(cx: &Cx, block: Ptr<u8>, size: usize) -> Crt<Ptr<u8>> {
    let same = cx.heaps().process().realloc(block.addr(), size.max(1) as u64, true, false);
    same.map(Ptr::new).map_err(|_| CrtError::Errno(ENOMEM))
}

/// A block's size.
#[shim(msvcrt(_msize), ucrtbase(_msize, _msize_base), fails = -1)]
fn _msize(cx: &Cx, block: Ptr<u8>) -> Crt<usize> {
    if block.is_null() {
        return Err(invalid(cx, EINVAL));
    }
    let size = cx.heaps().process().size(block.addr()).map_err(|_| CrtError::Errno(EINVAL))?;
    usize::try_from(size).map_err(|_| CrtError::Errno(EINVAL))
}

/// An aligned block; the true start lies in the 8 bytes before it.
fn aligned(cx: &Cx, size: usize, alignment: usize, offset: usize) -> Crt<Ptr<u8>> {
    if !alignment.is_power_of_two() || (offset >= size && offset != 0) {
        return Err(invalid(cx, EINVAL));
    }
    let alignment = alignment.max(8);
    let extra = alignment + 16;
    let bytes = size.checked_add(extra).ok_or(CrtError::Errno(ENOMEM))?;
    let start = allocate(cx, bytes, false)?.addr();
    let at = (start + 8 + offset as u64).next_multiple_of(alignment as u64) - offset as u64;
    let slot = at & !7;
    mem::write(slot - 8, &start)?;
    Ok(Ptr::new(at))
}

/// The true start of an aligned block.
fn start_of(block: Ptr<u8>) -> Crt<u64> {
    Ok(mem::read((block.addr() & !7) - 8)?)
}

/// Allocates aligned memory.
#[shim(msvcrt, ucrtbase)]
fn _aligned_malloc(cx: &Cx, size: usize, alignment: usize) -> Crt<Ptr<u8>> {
    aligned(cx, size, alignment, 0)
}

/// Allocates memory of which the byte at `offset` is aligned.
#[shim(msvcrt, ucrtbase)]
fn _aligned_offset_malloc(cx: &Cx, size: usize, alignment: usize, offset: usize) -> Crt<Ptr<u8>> {
    aligned(cx, size, alignment, offset)
}

/// Frees aligned memory.
#[shim(msvcrt, ucrtbase)]
fn _aligned_free(cx: &Cx, block: Ptr<u8>) -> Crt<()> {
    if !block.is_null() {
        free(cx, Ptr::new(start_of(block)?));
    }
    Ok(())
}

/// Bytes that an aligned block can hold.
fn room(cx: &Cx, block: Ptr<u8>) -> Crt<usize> {
    let start = start_of(block)?;
    let whole = cx.heaps().process().size(start).map_err(|_| CrtError::Errno(EINVAL))?;
    usize::try_from(whole.saturating_sub(block.addr() - start)).map_err(|_| CrtError::Errno(EINVAL))
}

/// Changes an aligned block's size.
#[shim(msvcrt, ucrtbase)]
fn _aligned_realloc(cx: &Cx, block: Ptr<u8>, size: usize, alignment: usize) -> Crt<Ptr<u8>> {
    aligned_offset_realloc(cx, block, size, alignment, 0)
}

/// Changes an aligned block's size.
#[shim(msvcrt, ucrtbase)]
fn _aligned_offset_realloc(
    cx: &Cx,
    block: Ptr<u8>,
    size: usize,
    alignment: usize,
    offset: usize,
) -> Crt<Ptr<u8>> {
    aligned_offset_realloc(cx, block, size, alignment, offset)
}

fn aligned_offset_realloc(
    cx: &Cx,
    block: Ptr<u8>,
    size: usize,
    alignment: usize,
    offset: usize,
) -> Crt<Ptr<u8>> {
    if block.is_null() {
        return aligned(cx, size, alignment, offset);
    }
    if size == 0 {
        _aligned_free(cx, block)?;
        return Ok(Ptr::NULL);
    }
    let kept = room(cx, block)?.min(size);
    let new = aligned(cx, size, alignment, offset)?;
    mem::copy_within(new.addr(), block.addr(), kept)?;
    _aligned_free(cx, block)?;
    Ok(new)
}

/// An aligned block's size.
#[shim(msvcrt, ucrtbase, fails = -1)]
fn _aligned_msize(cx: &Cx, block: Ptr<u8>, alignment: usize, offset: usize) -> Crt<usize> {
    let _ = (alignment, offset);
    room(cx, block)
}

/// Sets the handler of failing allocations; returns the one before.
#[shim(msvcrt(_set_new_handler), ucrtbase(_set_new_handler))]
fn _set_new_handler(cx: &Cx, handler: Func) -> Func {
    Func(cx.state::<State>().handler.swap(handler.0, Ordering::Relaxed))
}

/// Says whether `malloc` calls the handler; returns what was before.
#[shim(msvcrt, ucrtbase, fails = -1)]
fn _set_new_mode(cx: &Cx, mode: i32) -> Crt<i32> {
    if !matches!(mode, 0 | 1) {
        return Err(invalid(cx, EINVAL));
    }
    let old = cx.state::<State>().mode.swap(mode.unsigned_abs().into(), Ordering::Relaxed);
    Ok(i32::try_from(old).unwrap_or(0))
}

/// Whether `malloc` calls the handler.
#[shim(msvcrt, ucrtbase)]
fn _query_new_mode(cx: &Cx) -> i32 {
    i32::try_from(cx.state::<State>().mode.load(Ordering::Relaxed)).unwrap_or(0)
}

/// Calls the handler of failing allocations.
#[shim(msvcrt, ucrtbase)]
fn _callnewh(cx: &Cx, size: usize) -> i32 {
    i32::from(call_handler(cx, size) != 0)
}

/// The process heap.
#[shim(msvcrt, ucrtbase)]
fn _get_heap_handle(cx: &Cx) -> usize {
    usize::try_from(cx.process().process_heap()).unwrap_or(0)
}

/// Checks the heap: blocks are checked when they are freed, so there is nothing to find here.
#[shim(msvcrt, ucrtbase)]
fn _heapchk() -> i32 {
    const HEAPOK: i32 = -2;
    HEAPOK
}

/// An entry of the heap (`_HEAPINFO`).
#[derive(Debug, Clone, Copy, Guest)]
pub(crate) struct HeapInfo {
    pub(crate) block: Ptr<u8>,
    pub(crate) size: usize,
    pub(crate) used: i32,
}

/// Finds the entry behind the one that the structure tells of, or the first one. Every entry is a block in use.
#[shim(msvcrt, ucrtbase)]
fn _heapwalk(cx: &Cx, entry: Ptr<HeapInfo>) -> Crt<i32> {
    const HEAPOK: i32 = -2;
    const HEAPEND: i32 = -5;
    const HEAPBADPTR: i32 = -6;
    const USED: i32 = 1;
    if entry.is_null() {
        invalid(cx, EINVAL);
        return Ok(HEAPBADPTR);
    }
    let last = entry.read(cx)?.block;
    let heap = cx.heaps().process();
    if !last.is_null() && !heap.validate(last.addr()) {
        return Ok(HEAPBADPTR);
    }
    let Some((block, size)) = heap.next_block(last.addr()) else { return Ok(HEAPEND) };
    let size = usize::try_from(size).unwrap_or(usize::MAX);
    entry.write(cx, HeapInfo { block: Ptr::new(block), size, used: USED })?;
    Ok(HEAPOK)
}

/// Gives unused memory back to the system, which the allocator does by itself.
#[shim(msvcrt, ucrtbase)]
fn _heapmin() -> i32 {
    0
}
