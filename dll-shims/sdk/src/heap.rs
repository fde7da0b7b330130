//! The process heap as shims use it: the allocator, and in front of it the calling thread's cache, which guest code serves small
//! blocks from ([`transom_cpu::leaf::heap`]). What arrives here the cache could not do: so it is filled, or emptied by half.

use transom_cpu::block::CACHE_OFFSET;
use transom_cpu::leaf::heap::{Cache, FULL, LARGEST, LISTS, STEP};
use transom_syscalls::heap::Heap;
use transom_syscalls::status::Status;

use crate::cx::Cx;

/// Calls after which a thread's cache is worth having.
const OFTEN: u32 = 32;

/// Blocks that a list gets or loses at once.
const BATCH: u8 = FULL / 2;

/// The list of a size, if that is cached.
fn list(size: u64) -> Option<usize> {
    (size <= LARGEST.into()).then(|| usize::try_from(size.div_ceil(STEP.into())).unwrap_or(0))
}

impl Cx {
    /// Allocates `size` bytes of the process heap, zeroed if `zero`. `None` if there is no room.
    #[must_use]
    pub fn heap_alloc(&self, size: u64, zero: bool) -> Option<u64> {
        let heap = self.heaps().process();
        let block = heap.alloc(size, zero)?;
        if let Some(list) = list(size)
            && let Some(cache) = self.heap_cache()
        {
            fill(cache, heap, list);
        }
        Some(block)
    }

    /// Frees a block of the process heap.
    ///
    /// # Errors
    /// `STATUS_INVALID_PARAMETER` if `address` is no live block of it.
    pub fn heap_free(&self, address: u64) -> Result<(), Status> {
        let heap = self.heaps().process();
        if let Some(cache) = self.heap_cache()
            && let Some(list) = list(heap.size(address)?)
            && cache.counts[list] >= FULL
        {
            drain(cache, heap, list, BATCH);
        }
        heap.free(address)
    }

    /// Gives the blocks in the cache back: the thread ends.
    pub(crate) fn drain_heap_cache(&self) {
        let cache = self.raw_heap_cache();
        for list in 0..LISTS {
            drain(cache, self.heaps().process(), list, u8::MAX);
        }
        cache.length = 0;
    }

    #[expect(clippy::mut_from_ref, reason = "no other reference to it lives while this one does")]
    fn raw_heap_cache(&self) -> &mut Cache {
        let cache = (self.teb().addr + u64::from(CACHE_OFFSET)) as *mut Cache;
        // SAFETY: it lies beside the thread block, which lives as long as the context; any bytes are a cache, and only this thread's
        // guest code, which does not run now, changes it.
        unsafe { &mut *cache }
    }

    /// The calling thread's cache, unless it is not in use: because nothing would be served from it, or not yet.
    fn heap_cache(&self) -> Option<&mut Cache> {
        let cache = self.raw_heap_cache();
        if cache.length == 0 {
            cache.misses = cache.misses.saturating_add(1);
            if cache.misses < OFTEN || !self.process().uses_leaves() {
                return None;
            }
            let heap = self.heaps().process();
            let arena = heap.first_arena()?;
            // From a block's address, 16 bytes of header can be read before it.
            (cache.cookie, cache.base, cache.length) = (heap.cookie(), arena.base + 16, arena.size - 16);
        }
        Some(cache)
    }
}

/// Puts blocks into an empty list.
fn fill(cache: &mut Cache, heap: &Heap, list: usize) {
    while cache.counts[list] < BATCH {
        let size = list as u64 * u64::from(STEP);
        let Some(block) = heap.alloc_cached(size, cache.heads[list]) else { return };
        cache.heads[list] = block;
        cache.counts[list] += 1;
    }
}

/// Gives back so many blocks of a list, or all that are in it. A list that the guest has overwritten is forgotten.
fn drain(cache: &mut Cache, heap: &Heap, list: usize, blocks: u8) {
    for _ in 0..blocks {
        let head = cache.heads[list];
        let next = if head == 0 { None } else { heap.free_cached(head) };
        let Some(next) = next else {
            (cache.heads[list], cache.counts[list]) = (0, 0);
            return;
        };
        cache.heads[list] = next;
        cache.counts[list] = cache.counts[list].saturating_sub(1);
    }
}
