//! What is at an address (`NtQueryVirtualMemory`, `MemoryBasicInformation`).

use super::region::Kind;
use super::{Memory, page_down};
use crate::status::{Result, Status};
use windows_sys::Win32::Foundation::STATUS_INVALID_PARAMETER;
use windows_sys::Win32::System::Memory::{
    MEM_COMMIT, MEM_FREE, MEM_IMAGE, MEM_MAPPED, MEM_PRIVATE, MEM_RESERVE, PAGE_NOACCESS,
};

/// A run of like pages: `MEMORY_BASIC_INFORMATION`, independent of the guest's pointer width.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MemoryInfo {
    /// First page of the run, not before the page asked for.
    pub base: u64,
    /// Base of the allocation; 0 where free.
    pub allocation_base: u64,
    /// Protection given when allocated; 0 where free.
    pub allocation_protect: u32,
    /// Bytes in the run.
    pub size: u64,
    /// `MEM_COMMIT`, `MEM_RESERVE` or `MEM_FREE`.
    pub state: u32,
    /// Protection of the pages; 0 where reserved.
    pub protect: u32,
    /// `MEM_PRIVATE`, `MEM_MAPPED`, `MEM_IMAGE`; 0 where free.
    pub kind: u32,
}

impl Memory {
    /// Describes the run of like pages that begins at the page of `address`.
    ///
    /// # Errors
    /// `STATUS_INVALID_PARAMETER` beyond the guest's address space.
    ///
    /// Documentation: `VirtualQuery`, `MEMORY_BASIC_INFORMATION`.
    pub fn query(&self, address: u64) -> Result<MemoryInfo> {
        if address >= self.bounds.end {
            return Err(Status(STATUS_INVALID_PARAMETER));
        }
        let page = page_down(address);
        let state = self.lock();
        let Some((base, region)) = state.region_at(page) else {
            let next = state.regions.range(page..).next().map_or(self.bounds.end, |(&base, _)| base);
            return Ok(MemoryInfo {
                base: page,
                allocation_base: 0,
                allocation_protect: 0,
                size: next.min(self.bounds.end).saturating_sub(page),
                state: MEM_FREE,
                protect: PAGE_NOACCESS,
                kind: 0,
            });
        };
        let (end, protect) = region.run_at(page);
        Ok(MemoryInfo {
            base: page,
            allocation_base: base,
            allocation_protect: region.allocation_protect,
            size: end - page,
            state: if protect == 0 { MEM_RESERVE } else { MEM_COMMIT },
            protect,
            kind: match region.kind {
                Kind::Private => MEM_PRIVATE,
                Kind::View { .. } => MEM_MAPPED,
                Kind::Image => MEM_IMAGE,
            },
        })
    }

    /// The allocation that covers `address`: its base and size.
    #[must_use]
    pub fn allocation(&self, address: u64) -> Option<super::Range> {
        let state = self.lock();
        state.region_at(address).map(|(base, region)| super::Range { base, size: region.size })
    }

    /// Bytes committed in private memory, images and views (the commit charge and the virtual size).
    #[must_use]
    pub fn totals(&self) -> Totals {
        let state = self.lock();
        let mut totals = Totals::default();
        for region in state.regions.values() {
            totals.reserved += region.size;
            for (start, end, protect) in region.runs() {
                if protect != 0 && region.kind == Kind::Private {
                    totals.committed += end - start;
                }
            }
        }
        totals
    }
}

/// Sums over the address space, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Everything that is not free.
    pub reserved: u64,
    /// Committed private memory.
    pub committed: u64,
}
