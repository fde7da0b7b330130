//! Arenas in guest memory, and the mimalloc heaps bound to them.
//!
//! A mimalloc heap takes memory from one arena only. So one of our heaps is a row of mimalloc heaps, one for each arena
//! that it has drawn on; normally there is one.

use crate::memory::{Allocation, Memory, Range};
use crate::status::{Result, Status};
use libmimalloc_sys as mi;
use std::ptr::null_mut;
use std::sync::atomic::{AtomicPtr, AtomicUsize, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};
use windows_sys::Win32::Foundation::STATUS_NO_MEMORY;
use windows_sys::Win32::System::Memory::{MEM_COMMIT, MEM_RESERVE};

/// More arenas than 32-bit guests have room for.
const ARENAS: usize = 64;
const MIB: u64 = 1 << 20;

/// The arenas of the process. They are never given back; mimalloc returns unused pages to the kernel.
pub(super) struct Arenas {
    ids: [AtomicPtr<libc::c_void>; ARENAS],
    count: AtomicUsize,
    first: OnceLock<Range>,
    /// Where they lie, in the order of their making. Held while another one is made.
    growing: Mutex<Vec<Range>>,
    /// Size of the first arena, and up to where that doubles. mimalloc's tables for each heap in an arena grow with
    /// the arena, and a small program should not pay for them.
    sizes: [u64; 2],
    largest: u64,
    /// `PAGE_*` of the arenas.
    protect: u32,
}

/// The mimalloc heaps of one of our heaps, by arena.
pub(super) struct Parts {
    heaps: [AtomicPtr<mi::mi_heap_t>; ARENAS],
    /// The arena that had room last.
    current: AtomicUsize,
}

/// Gives mimalloc host memory for its own bookkeeping, once. Left to itself it would reserve a gigabyte of huge pages
/// for that, of which the first costs two megabytes and milliseconds.
fn prepare_bookkeeping() {
    static ONCE: std::sync::Once = std::sync::Once::new();
    const SIZE: usize = 32 << 20;
    ONCE.call_once(|| {
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;
        // A little more than needed, so that an aligned part is in it.
        // SAFETY: a fresh mapping at an address of the kernel's choice, given to mimalloc for good.
        unsafe {
            let prot = libc::PROT_READ | libc::PROT_WRITE;
            let base = libc::mmap(null_mut(), SIZE + (1 << 16), prot, flags, -1, 0);
            if base != libc::MAP_FAILED {
                let base = base.byte_add(base.align_offset(1 << 16));
                // If mimalloc refuses, it finds memory itself.
                mi::mi_manage_os_memory_ex(base.cast(), SIZE, true, false, true, 0, false, null_mut());
            }
        }
    });
}

impl Arenas {
    pub(super) fn new(memory: &Memory, protect: u32) -> Self {
        prepare_bookkeeping();
        // Above 512 KiB mimalloc gives each block arena pages of its own, which would litter small arenas.
        let narrow = memory.highest_address() <= u64::from(u32::MAX);
        let (sizes, largest) =
            if narrow { ([64 * MIB; 2], MIB / 2) } else { ([128 * MIB, 8192 * MIB], 16 * MIB) };
        Self {
            ids: std::array::from_fn(|_| AtomicPtr::new(null_mut())),
            count: AtomicUsize::new(0),
            first: OnceLock::new(),
            growing: Mutex::default(),
            sizes,
            largest,
            protect,
        }
    }

    /// The largest block that comes from an arena.
    #[inline]
    pub(super) fn largest(&self) -> u64 {
        self.largest
    }

    /// Where the first one lies. All of it can be read.
    pub(super) fn first(&self) -> Option<Range> {
        self.first.get().copied()
    }

    /// Where all of them lie.
    pub(super) fn ranges(&self) -> Vec<Range> {
        self.growing.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Makes sure that there are more than `known` arenas.
    fn grow(&self, memory: &Memory, known: usize) -> Result<()> {
        let mut ranges = self.growing.lock().unwrap_or_else(PoisonError::into_inner);
        if self.count.load(Ordering::Acquire) > known {
            return Ok(());
        }
        if known >= ARENAS {
            return Err(Status(STATUS_NO_MEMORY));
        }
        let request = |size| Allocation {
            size,
            kind: MEM_RESERVE | MEM_COMMIT,
            protect: self.protect,
            ..Allocation::default()
        };
        let size = (self.sizes[0] << known.min(16)).min(self.sizes[1]);
        // Where no large range is left, the smallest arena that mimalloc takes may still fit.
        let range = memory.allocate(&request(size)).or_else(|_| memory.allocate(&request(32 * MIB)))?;
        let _ = self.first.set(range);
        ranges.push(range);
        let size = usize::try_from(range.size).map_err(|_| Status(STATUS_NO_MEMORY))?;
        let mut id = null_mut();
        // SAFETY: the range is fresh, zero, readable and writable, aligned to 64 KiB, and given to mimalloc for good.
        let taken = unsafe {
            mi::mi_manage_os_memory_ex(range.base as *const _, size, true, false, true, 0, true, &raw mut id)
        };
        if !taken {
            return Err(Status(STATUS_NO_MEMORY));
        }
        self.ids[known].store(id.cast(), Ordering::Release);
        self.count.store(known + 1, Ordering::Release);
        Ok(())
    }
}

impl Parts {
    pub(super) fn new(arenas: &Arenas, memory: &Memory) -> Result<Self> {
        if arenas.count.load(Ordering::Acquire) == 0 {
            arenas.grow(memory, 0)?;
        }
        let parts =
            Self { heaps: std::array::from_fn(|_| AtomicPtr::new(null_mut())), current: AtomicUsize::new(0) };
        parts.heap(arenas, 0).ok_or(Status(STATUS_NO_MEMORY))?;
        Ok(parts)
    }

    /// The mimalloc heap in arena `index`, made when first needed.
    fn heap(&self, arenas: &Arenas, index: usize) -> Option<*mut mi::mi_heap_t> {
        let slot = &self.heaps[index];
        let heap = slot.load(Ordering::Acquire);
        if !heap.is_null() {
            return Some(heap);
        }
        let _one_at_a_time = arenas.growing.lock().unwrap_or_else(PoisonError::into_inner);
        let heap = slot.load(Ordering::Acquire);
        if !heap.is_null() {
            return Some(heap);
        }
        let id = arenas.ids[index].load(Ordering::Acquire);
        // SAFETY: the id is one that mimalloc gave out.
        let heap = unsafe { mi::mi_heap_new_in_arena(id.cast()) };
        slot.store(heap, Ordering::Release);
        (!heap.is_null()).then_some(heap)
    }

    /// A block of `total` bytes.
    #[inline]
    pub(super) fn alloc(&self, arenas: &Arenas, memory: &Memory, total: u64, zero: bool) -> Option<u64> {
        let current = self.current.load(Ordering::Relaxed);
        let heap = self.heaps[current].load(Ordering::Acquire);
        // SAFETY: `current` has a heap, which lives until `destroy`.
        let block = unsafe { alloc_in(heap, total, zero) };
        if block.is_null() {
            self.alloc_elsewhere(arenas, memory, total, zero, current)
        } else {
            Some(block as u64)
        }
    }

    #[cold]
    fn alloc_elsewhere(
        &self,
        arenas: &Arenas,
        memory: &Memory,
        total: u64,
        zero: bool,
        full: usize,
    ) -> Option<u64> {
        let mut index = 0;
        loop {
            if index == arenas.count.load(Ordering::Acquire) {
                arenas.grow(memory, index).ok()?;
            }
            if index != full {
                let heap = self.heap(arenas, index)?;
                // SAFETY: the heap lives until `destroy`.
                let block = unsafe { alloc_in(heap, total, zero) };
                if !block.is_null() {
                    self.current.store(index, Ordering::Relaxed);
                    return Some(block as u64);
                }
            }
            index += 1;
        }
    }

    /// Gives a block back.
    ///
    /// # Safety
    /// `block` is a live block from [`Parts::alloc`].
    #[inline]
    pub(super) unsafe fn free(block: u64) {
        // SAFETY: as the caller promises.
        unsafe { mi::mi_free(block as *mut _) };
    }

    /// The bytes that a block really has.
    ///
    /// # Safety
    /// As for [`Parts::free`].
    pub(super) unsafe fn room(block: u64) -> u64 {
        // SAFETY: as the caller promises.
        unsafe { mi::mi_usable_size(block as *const _) as u64 }
    }

    /// Frees all blocks at once.
    pub(super) fn destroy(&mut self) {
        for slot in &mut self.heaps {
            let heap = std::mem::replace(slot.get_mut(), null_mut());
            if !heap.is_null() {
                // SAFETY: the heap is live and this is its last use.
                unsafe { mi::mi_heap_destroy(heap) };
            }
        }
    }
}

/// # Safety
/// `heap` is live.
#[inline]
unsafe fn alloc_in(heap: *mut mi::mi_heap_t, total: u64, zero: bool) -> *mut libc::c_void {
    let Ok(total) = usize::try_from(total) else { return null_mut() };
    // SAFETY: as the caller promises.
    let block =
        unsafe { if zero { mi::mi_heap_zalloc(heap, total) } else { mi::mi_heap_malloc(heap, total) } };
    block.cast()
}
