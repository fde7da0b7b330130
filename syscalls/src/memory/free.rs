//! Decommitting and releasing (`NtFreeVirtualMemory`), placeholders among it.

use super::region::{Kind, Region};
use super::{GRANULARITY, Memory, Range, State, host, page_down, pages};
use crate::status::{Result, Status};
use windows_sys::Win32::Foundation::{
    STATUS_CONFLICTING_ADDRESSES, STATUS_FREE_VM_NOT_AT_BASE, STATUS_INVALID_PARAMETER_3,
    STATUS_INVALID_PARAMETER_4, STATUS_MEMORY_NOT_ALLOCATED, STATUS_UNABLE_TO_DELETE_SECTION,
    STATUS_UNABLE_TO_FREE_VM,
};
use windows_sys::Win32::System::Memory::{
    MEM_DECOMMIT, MEM_PRESERVE_PLACEHOLDER, MEM_RELEASE, PAGE_NOACCESS,
};
use windows_sys::Win32::System::SystemServices::MEM_COALESCE_PLACEHOLDERS;

impl Memory {
    /// Decommits or releases. `size` 0 means the whole allocation, whose base `base` must be. Returns the range.
    /// `kind` is `MEM_DECOMMIT`, or `MEM_RELEASE` alone or with `MEM_PRESERVE_PLACEHOLDER` or
    /// `MEM_COALESCE_PLACEHOLDERS`. Unlike `VirtualFree`, this releases parts of an allocation, as NT does.
    ///
    /// # Errors
    /// `STATUS_INVALID_PARAMETER_4` for a bad `kind`, `STATUS_MEMORY_NOT_ALLOCATED`, `STATUS_FREE_VM_NOT_AT_BASE`,
    /// `STATUS_UNABLE_TO_FREE_VM` if the range leaves the allocation, `STATUS_UNABLE_TO_DELETE_SECTION` for images
    /// and views, `STATUS_CONFLICTING_ADDRESSES` where placeholders do not fit.
    ///
    /// Documentation: `VirtualFree`, `NtFreeVirtualMemory`.
    pub fn free(&self, base: u64, size: u64, kind: u32) -> Result<Range> {
        let range = match kind {
            MEM_DECOMMIT => self.decommit(base, size),
            MEM_RELEASE => self.release(base, size),
            _ if kind == MEM_RELEASE | MEM_PRESERVE_PLACEHOLDER => self.preserve_placeholder(base, size),
            _ if kind == MEM_RELEASE | MEM_COALESCE_PLACEHOLDERS => self.coalesce_placeholders(base, size),
            _ => Err(Status(STATUS_INVALID_PARAMETER_4)),
        }?;
        self.changed(range.base, range.size);
        Ok(range)
    }

    fn decommit(&self, base: u64, size: u64) -> Result<Range> {
        let mut state = self.lock();
        let range = state.freeable(base, size)?;
        let end = range.base + range.size;
        let Some((_, region)) = state.region_at_mut(range.base) else {
            return Err(Status(STATUS_MEMORY_NOT_ALLOCATED));
        };
        if !region.all(range.base, end, |protect| protect == 0) {
            host::map_over(range.base, range.size, libc::PROT_NONE)?;
            region.set(range.base, end, 0);
        }
        Ok(range)
    }

    fn release(&self, base: u64, size: u64) -> Result<Range> {
        let mut state = self.lock();
        let range = state.freeable(base, size)?;
        host::unmap(range.base, range.size)?;
        state.carve(range);
        state.regions.remove(&range.base);
        state.freed(&self.bounds, range.base);
        Ok(range)
    }

    /// Splits a placeholder, or turns (part of) an allocation back into a placeholder.
    fn preserve_placeholder(&self, base: u64, size: u64) -> Result<Range> {
        let mut state = self.lock();
        let range = state.freeable(base, size)?;
        let Some((_, region)) = state.region_at(range.base) else {
            return Err(Status(STATUS_MEMORY_NOT_ALLOCATED));
        };
        if region.placeholder {
            if region.size == range.size {
                // Nothing to split.
                return Err(Status(STATUS_CONFLICTING_ADDRESSES));
            }
        } else if region.size == range.size {
            host::map_over(range.base, range.size, libc::PROT_NONE)?;
        } else {
            return Err(Status(STATUS_CONFLICTING_ADDRESSES));
        }
        state.carve(range);
        state.insert_placeholder(range.base, range.size);
        Ok(range)
    }

    /// Merges the placeholders that together span exactly `base..base + size`.
    fn coalesce_placeholders(&self, base: u64, size: u64) -> Result<Range> {
        let (start, end) = pages(base, size).ok_or(Status(STATUS_INVALID_PARAMETER_3))?;
        if size == 0 {
            return Err(Status(STATUS_INVALID_PARAMETER_3));
        }
        let mut state = self.lock();
        let conflict = Status(STATUS_CONFLICTING_ADDRESSES);
        let mut at = start;
        let mut parts = 0;
        while at < end {
            let region = state.regions.get(&at).filter(|region| region.placeholder).ok_or(conflict)?;
            at += region.size;
            parts += 1;
        }
        if at != end || parts < 2 {
            return Err(conflict);
        }
        let inside: Vec<u64> = state.regions.range(start..end).map(|(&base, _)| base).collect();
        for base in inside {
            state.regions.remove(&base);
        }
        state.insert_placeholder(start, end - start);
        Ok(Range { base: start, size: end - start })
    }

    /// Gives the content of committed private pages back to the host; they read as zero or as before afterwards
    /// (`DiscardVirtualMemory`).
    ///
    /// # Errors
    /// `STATUS_MEMORY_NOT_ALLOCATED` or `STATUS_UNABLE_TO_FREE_VM` if the range is not committed private memory.
    pub fn discard(&self, base: u64, size: u64) -> Result<()> {
        let state = self.lock();
        let range = state.freeable(base, size)?;
        let Some((_, region)) = state.region_at(range.base) else {
            return Err(Status(STATUS_MEMORY_NOT_ALLOCATED));
        };
        if !region.all(range.base, range.base + range.size, |protect| protect != 0) {
            return Err(Status(STATUS_UNABLE_TO_FREE_VM));
        }
        host::advise(range.base, range.size, libc::MADV_DONTNEED)
    }
}

impl State {
    /// The pages that a free request means, inside one private region.
    fn freeable(&self, base: u64, size: u64) -> Result<Range> {
        let (region_base, region) =
            self.region_at(page_down(base)).ok_or(Status(STATUS_MEMORY_NOT_ALLOCATED))?;
        if region.kind != Kind::Private {
            return Err(Status(STATUS_UNABLE_TO_DELETE_SECTION));
        }
        if size == 0 {
            if page_down(base) != region_base {
                return Err(Status(STATUS_FREE_VM_NOT_AT_BASE));
            }
            return Ok(Range { base: region_base, size: region.size });
        }
        let (start, end) = pages(base, size).ok_or(Status(STATUS_INVALID_PARAMETER_3))?;
        if end > region_base + region.size {
            return Err(Status(STATUS_UNABLE_TO_FREE_VM));
        }
        Ok(Range { base: start, size: end - start })
    }

    /// Makes `range`, which lies in one region, a region of its own.
    fn carve(&mut self, range: Range) {
        let end = range.base + range.size;
        for at in [range.base, end] {
            if let Some((base, region)) = self.region_at_mut(at)
                && base < at
            {
                let upper = region.split_off(at);
                self.regions.insert(at, upper);
            }
        }
    }

    pub(super) fn insert_placeholder(&mut self, base: u64, size: u64) {
        let mut region = Region::new(base, size, Kind::Private, PAGE_NOACCESS, 0);
        region.placeholder = true;
        self.regions.insert(base, region);
    }

    /// Notes that addresses from `base` became free.
    pub(super) fn freed(&mut self, bounds: &super::Bounds, base: u64) {
        let granule = base / GRANULARITY * GRANULARITY;
        if granule >= bounds.first_choice && granule < self.hint {
            self.hint = granule;
        }
    }
}
