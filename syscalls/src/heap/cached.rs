//! Blocks that the layer above keeps in caches: free for the guest, in use for the allocator.
//!
//! Guest code hands them out and takes them back without a call of the host (`transom_cpu::leaf::heap`, which says what their headers
//! look like). Here they are made, and given back.

use super::Heap;
use super::arena::Parts;
use super::block::{HEADER, Header};
use crate::memory::Range;

impl Heap {
    /// What the tags of this heap's blocks are mixed with.
    #[must_use]
    pub fn cookie(&self) -> u64 {
        self.cookie
    }

    /// Where most blocks lie, the first arena: all of it can be read.
    #[must_use]
    pub fn first_arena(&self) -> Option<Range> {
        self.arenas.first()
    }

    /// A block for `size` bytes that counts as free, with the address of the next one in its list. `None` if there is no room.
    #[must_use]
    pub fn alloc_cached(&self, size: u64, next: u64) -> Option<u64> {
        let address = self.alloc(size, false)?;
        // SAFETY: a block that was just allocated, with its header before it.
        unsafe { Header::cached(next, address, self.cookie).write(address - HEADER) };
        Some(address)
    }

    /// Gives back such a block; the next one in its list. `None` if it is none, and then nothing has happened.
    #[must_use]
    pub fn free_cached(&self, address: u64) -> Option<u64> {
        if !address.is_multiple_of(16) || address < HEADER {
            return None;
        }
        let header = Header::from_words((self.space.probe)(address - HEADER)?);
        let next = header.next_cached(address, self.cookie)?;
        // SAFETY: the header says that the block is cached, so it is one of the allocator's that nobody uses.
        unsafe {
            Header::new(0, 0, 0).write(address - HEADER);
            Parts::free(address - HEADER);
        }
        Some(next)
    }
}
