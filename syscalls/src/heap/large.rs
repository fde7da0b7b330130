//! Blocks that are regions of their own.

use crate::memory::{Allocation, Memory, Range};
use crate::status::{Result, Status};
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use windows_sys::Win32::Foundation::STATUS_INVALID_PARAMETER;
use windows_sys::Win32::System::Memory::{MEM_COMMIT, MEM_RELEASE, MEM_RESERVE};

/// The large blocks of a heap.
pub(super) struct Large {
    /// Region base and size.
    blocks: Mutex<BTreeMap<u64, u64>>,
    /// `PAGE_*` of the regions.
    protect: u32,
}

impl Large {
    pub(super) fn new(protect: u32) -> Self {
        Self { blocks: Mutex::default(), protect }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<u64, u64>> {
        self.blocks.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A zeroed region of at least `total` bytes.
    pub(super) fn alloc(&self, memory: &Memory, total: u64) -> Option<u64> {
        let request = Allocation {
            size: total,
            kind: MEM_RESERVE | MEM_COMMIT,
            protect: self.protect,
            ..Allocation::default()
        };
        let range = memory.allocate(&request).ok()?;
        self.lock().insert(range.base, range.size);
        Some(range.base)
    }

    /// The regions.
    pub(super) fn ranges(&self) -> Vec<Range> {
        self.lock().iter().map(|(&base, &size)| Range { base, size }).collect()
    }

    pub(super) fn contains(&self, block: u64) -> bool {
        self.lock().contains_key(&block)
    }

    /// The bytes that the block really has.
    pub(super) fn room(&self, block: u64) -> u64 {
        self.lock().get(&block).copied().unwrap_or(super::HEADER)
    }

    /// Changes a block's size, moving its pages rather than copying if it cannot stay.
    pub(super) fn regrow(&self, memory: &Memory, block: u64, total: u64) -> Result<u64> {
        let range = memory.resize_private(block, total)?;
        let mut blocks = self.lock();
        blocks.remove(&block);
        blocks.insert(range.base, range.size);
        Ok(range.base)
    }

    pub(super) fn free(&self, memory: &Memory, block: u64) -> Result<()> {
        // Whoever takes it off the list frees it: of two racing frees one is refused.
        self.lock().remove(&block).ok_or(Status(STATUS_INVALID_PARAMETER))?;
        memory.free(block, 0, MEM_RELEASE).map(|_| ())
    }

    pub(super) fn free_all(&mut self, memory: &Memory) {
        let blocks = std::mem::take(self.blocks.get_mut().unwrap_or_else(PoisonError::into_inner));
        for base in blocks.into_keys() {
            // A region that the guest has released itself is gone already.
            let _ = memory.free(base, 0, MEM_RELEASE);
        }
    }
}
