//! Heaps: what `RtlAllocateHeap`, and malloc, LocalAlloc and GlobalAlloc above it, take their blocks from.
//!
//! The allocator is mimalloc (version 3), whose heaps can be bound to *arenas*: memory that we hand it. So every block
//! lies in guest-reachable memory, which [`Memory`] knows and `VirtualQuery` shows, while mimalloc's own bookkeeping
//! of heaps and threads stays in host memory. It brings per-thread heaps without a lock on the fast path, frees from
//! other threads, and heaps that can be destroyed whole, which is what `HeapDestroy` needs. For 32-bit guests the
//! arenas are small and more are added; 64-bit guests get a large one, of which only what is touched costs memory.
//! Blocks too large for an arena are regions of their own.
//!
//! Each block is preceded by a 16-byte header: the size that was asked for, exactly, and a tag derived from the
//! block's address and its heap. A free of something that is not a live block of this heap finds no such tag and is
//! refused. Since the pointer may be wild, the header is read through a probe that survives bad addresses.

mod arena;
mod block;
mod cached;
mod large;
#[cfg(test)]
mod tests;
mod walk;

use crate::memory::Memory;
use crate::status::{Result, Status};
use arena::{Arenas, Parts};
use block::{HEADER, Header};
use large::Large;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock, PoisonError, RwLock};
use windows_sys::Win32::Foundation::{STATUS_INVALID_HANDLE, STATUS_INVALID_PARAMETER, STATUS_NO_MEMORY};
use windows_sys::Win32::System::Memory::{
    HEAP_CREATE_ENABLE_EXECUTE, PAGE_EXECUTE_READWRITE, PAGE_READWRITE,
};

/// Reads 16 bytes at an address that may be wild; `None` if it cannot be read.
pub type Probe = fn(u64) -> Option<[u64; 2]>;

/// All heaps of the process.
pub struct Heaps {
    space: Arc<Space>,
    process: Heap,
    others: RwLock<Vec<(u64, Arc<Heap>)>>,
}

/// What all heaps share.
struct Space {
    memory: Arc<Memory>,
    arenas: Arc<Arenas>,
    /// For heaps whose blocks may hold code.
    executable: OnceLock<Arc<Arenas>>,
    probe: Probe,
}

/// One heap.
pub struct Heap {
    space: Arc<Space>,
    arenas: Arc<Arenas>,
    parts: Parts,
    large: Large,
    cookie: u64,
    flags: u32,
    /// Bytes that may be in use at once; `u64::MAX` for a growable heap.
    maximum: u64,
    used: AtomicU64,
}

/// The largest block that a heap of fixed size gives out.
const FIXED_BLOCK_MAX: u64 = 0xf_f000;

impl Heaps {
    /// Makes the process heap. `probe` is how headers before wild pointers are read.
    ///
    /// # Errors
    /// `STATUS_NO_MEMORY` if not even the first arena fits.
    pub fn new(memory: Arc<Memory>, probe: Probe) -> Result<Self> {
        let arenas = Arc::new(Arenas::new(&memory, PAGE_READWRITE));
        let space = Arc::new(Space { memory, arenas, executable: OnceLock::new(), probe });
        let process = Heap::new(&space, 0, 0, 1)?;
        Ok(Self { space, process, others: RwLock::new(Vec::new()) })
    }

    /// The process heap.
    #[must_use]
    #[inline]
    pub fn process(&self) -> &Heap {
        &self.process
    }

    /// Creates a heap. Of the flags `HEAP_CREATE_ENABLE_EXECUTE` counts here; every heap is serialized. `maximum` 0
    /// makes it growable, else it bounds the bytes in use. Returns a handle: an address
    /// in guest memory, so that it looks as handles of heaps do.
    ///
    /// # Errors
    /// `STATUS_NO_MEMORY`.
    ///
    /// Documentation: `HeapCreate`.
    pub fn create(&self, flags: u32, initial: u64, maximum: u64) -> Result<u64> {
        if maximum != 0 && initial > maximum {
            return Err(Status(STATUS_INVALID_PARAMETER));
        }
        let handle = self.process.alloc(HEADER, true).ok_or(Status(STATUS_NO_MEMORY))?;
        match Heap::new(&self.space, flags, maximum, handle) {
            Ok(heap) => {
                self.others.write().unwrap_or_else(PoisonError::into_inner).push((handle, Arc::new(heap)));
                Ok(handle)
            }
            Err(status) => {
                // The block was just allocated; freeing it cannot fail.
                let _ = self.process.free(handle);
                Err(status)
            }
        }
    }

    /// Runs `work` with the heap that [`Heaps::create`] gave this handle; `None` if there is none.
    #[inline]
    pub fn with<T>(&self, handle: u64, work: impl FnOnce(&Heap) -> T) -> Option<T> {
        let others = self.others.read().unwrap_or_else(PoisonError::into_inner);
        others.iter().find(|(other, _)| *other == handle).map(|(_, heap)| work(heap))
    }

    /// Destroys a heap with all its blocks.
    ///
    /// # Errors
    /// `STATUS_INVALID_HANDLE` if it is no heap's handle.
    ///
    /// Documentation: `HeapDestroy`.
    pub fn destroy(&self, handle: u64) -> Result<()> {
        let heap = {
            let mut others = self.others.write().unwrap_or_else(PoisonError::into_inner);
            let index =
                others.iter().position(|(other, _)| *other == handle).ok_or(Status(STATUS_INVALID_HANDLE))?;
            others.swap_remove(index).1
        };
        drop(heap);
        self.process.free(handle)
    }

    /// Handles of all heaps but the process heap, in order of creation.
    #[must_use]
    pub fn handles(&self) -> Vec<u64> {
        self.others.read().unwrap_or_else(PoisonError::into_inner).iter().map(|(handle, _)| *handle).collect()
    }
}

impl Heap {
    fn new(space: &Arc<Space>, flags: u32, maximum: u64, seed: u64) -> Result<Self> {
        let (arenas, protect) = if flags & HEAP_CREATE_ENABLE_EXECUTE == 0 {
            (&space.arenas, PAGE_READWRITE)
        } else {
            let make = || Arc::new(Arenas::new(&space.memory, PAGE_EXECUTE_READWRITE));
            (space.executable.get_or_init(make), PAGE_EXECUTE_READWRITE)
        };
        Ok(Self {
            space: Arc::clone(space),
            arenas: Arc::clone(arenas),
            parts: Parts::new(arenas, &space.memory)?,
            large: Large::new(protect),
            cookie: block::cookie(seed),
            flags,
            maximum: if maximum == 0 { u64::MAX } else { maximum },
            used: AtomicU64::new(0),
        })
    }

    /// The flags given at creation.
    #[must_use]
    pub fn flags(&self) -> u32 {
        self.flags
    }

    /// Allocates `size` bytes, zeroed if `zero`; the address is a multiple of 16. `None` if there is no room.
    ///
    /// Documentation: `HeapAlloc`.
    #[must_use]
    #[inline]
    pub fn alloc(&self, size: u64, zero: bool) -> Option<u64> {
        if self.maximum != u64::MAX {
            self.charge(size)?;
        }
        let total = size.checked_add(HEADER)?;
        let (block, kind) = if total <= self.arenas.largest() {
            (self.parts.alloc(&self.arenas, &self.space.memory, total, zero)?, block::SMALL)
        } else {
            (self.large.alloc(&self.space.memory, total)?, block::LARGE)
        };
        let address = block + HEADER;
        // SAFETY: the allocator just gave us `total` writable bytes at `block`, and nobody else knows of them.
        unsafe { Header::new(size, address, self.cookie ^ kind).write(block) };
        Some(address)
    }

    /// Frees a block.
    ///
    /// # Errors
    /// `STATUS_INVALID_PARAMETER` if `address` is not a live block of this heap; nothing has happened then.
    ///
    /// Documentation: `HeapFree`.
    #[inline]
    pub fn free(&self, address: u64) -> Result<()> {
        let (header, kind) = self.header(address)?;
        let block = address - HEADER;
        if self.maximum != u64::MAX {
            self.used.fetch_sub(block::rounded(header.size()), Ordering::Relaxed);
        }
        if kind == block::LARGE {
            return self.large.free(&self.space.memory, block);
        }
        // SAFETY: the header says that this is a live small block, so it is readable and writable; without its tag
        // another free of the same address is refused. Then the block goes back to the allocator it came from.
        unsafe {
            Header::new(0, 0, 0).write(block);
            Parts::free(block);
        }
        Ok(())
    }

    /// The size that was asked for.
    ///
    /// # Errors
    /// `STATUS_INVALID_PARAMETER` if `address` is not a live block of this heap.
    ///
    /// Documentation: `HeapSize`.
    #[inline]
    pub fn size(&self, address: u64) -> Result<u64> {
        self.header(address).map(|(header, _)| header.size())
    }

    /// Whether `address` is a live block of this heap.
    ///
    /// Documentation: `HeapValidate`.
    #[must_use]
    pub fn validate(&self, address: u64) -> bool {
        self.header(address).is_ok()
    }

    /// Changes a block's size; returns its address, which differs unless `in_place`. New bytes are zero if `zero`.
    ///
    /// # Errors
    /// `STATUS_INVALID_PARAMETER` if `address` is not a live block of this heap; `STATUS_NO_MEMORY` if there is no
    /// room (in place). The block is as it was then.
    ///
    /// Documentation: `HeapReAlloc`.
    pub fn realloc(&self, address: u64, size: u64, in_place: bool, zero: bool) -> Result<u64> {
        let (header, kind) = self.header(address)?;
        let old = header.size();
        let block = address - HEADER;
        let room = match kind {
            block::LARGE => self.large.room(block),
            // SAFETY: a live small block, as its header says.
            _ => unsafe { Parts::room(block) },
        } - HEADER;
        // A block that shrinks a lot moves, so that its memory can be used again.
        if size <= room && (in_place || size >= room / 2) {
            if self.maximum != u64::MAX {
                self.charge(size).ok_or(Status(STATUS_NO_MEMORY))?;
                self.used.fetch_sub(block::rounded(old), Ordering::Relaxed);
            }
            // SAFETY: the block has `room` writable bytes and belongs to the caller.
            unsafe {
                Header::new(size, address, self.cookie ^ kind).write(block);
                if zero && size > old {
                    block::zero(address + old, size - old);
                }
            }
            return Ok(address);
        }
        if in_place {
            return Err(Status(STATUS_NO_MEMORY));
        }
        if kind == block::LARGE && size + HEADER > self.arenas.largest() {
            return self.realloc_large(block, old, size, zero);
        }
        let new = self.alloc(size, zero && size > old).ok_or(Status(STATUS_NO_MEMORY))?;
        // SAFETY: both blocks are live, distinct, and at least this long.
        unsafe { block::copy(address, new, old.min(size)) };
        self.free(address)?;
        Ok(new)
    }

    fn realloc_large(&self, block: u64, old: u64, size: u64, zero: bool) -> Result<u64> {
        let total = size.checked_add(HEADER).ok_or(Status(STATUS_NO_MEMORY))?;
        let room = self.large.room(block) - HEADER;
        let new = self.large.regrow(&self.space.memory, block, total)?;
        let address = new + HEADER;
        // SAFETY: the region has `total` writable bytes and belongs to the caller. What lies beyond the old region is
        // fresh and zero; only the rest of the old one may hold what a former, longer life of the block left.
        unsafe {
            Header::new(size, address, self.cookie ^ block::LARGE).write(new);
            if zero && size > old {
                block::zero(address + old, size.min(room) - old);
            }
        }
        Ok(address)
    }

    /// Counts a block against the limit of a heap of fixed size.
    fn charge(&self, size: u64) -> Option<()> {
        if size > FIXED_BLOCK_MAX {
            return None;
        }
        let amount = block::rounded(size);
        self.used
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |used| {
                used.checked_add(amount).filter(|sum| *sum <= self.maximum)
            })
            .ok()
            .map(|_| ())
    }

    /// The header of the live block at `address`, and what kind of block that is.
    #[inline]
    fn header(&self, address: u64) -> Result<(Header, u64)> {
        let invalid = Status(STATUS_INVALID_PARAMETER);
        if !address.is_multiple_of(16) || address < HEADER {
            return Err(invalid);
        }
        let words = (self.space.probe)(address - HEADER).ok_or(invalid)?;
        let header = Header::from_words(words);
        let kind = header.kind(address, self.cookie).ok_or(invalid)?;
        if kind == block::LARGE && !self.large.contains(address - HEADER) {
            return Err(invalid);
        }
        Ok((header, kind))
    }
}

impl Drop for Heap {
    fn drop(&mut self) {
        self.large.free_all(&self.space.memory);
        self.parts.destroy();
    }
}
