//! Resizing a committed private region, for large heap blocks. Windows has no such call.

use super::region::{Kind, Region};
use super::{Allocation, Memory, PAGE, Range, align_up, host};
use crate::status::{Result, Status};
use windows_sys::Win32::Foundation::{STATUS_MEMORY_NOT_ALLOCATED, STATUS_NO_MEMORY};

impl Memory {
    /// Makes the wholly committed private region at `base`, all of one protection, `size` bytes long: in place if it
    /// shrinks or the addresses behind it are free, else by moving its pages to new addresses. New pages are zero.
    ///
    /// # Errors
    /// `STATUS_MEMORY_NOT_ALLOCATED` if there is no such region; `STATUS_NO_MEMORY`, with the region as it was.
    pub fn resize_private(&self, base: u64, size: u64) -> Result<Range> {
        let size = align_up(size, PAGE).ok_or(Status(STATUS_NO_MEMORY))?;
        let mut state = self.lock();
        let region = state
            .regions
            .get(&base)
            .filter(|region| region.kind == Kind::Private && region.run_at(base).0 == base + region.size);
        let region = region.ok_or(Status(STATUS_MEMORY_NOT_ALLOCATED))?;
        let (old, protect) = (region.size, region.protect_at(base));
        if protect == 0 {
            return Err(Status(STATUS_MEMORY_NOT_ALLOCATED));
        }
        let prot = super::protect::host(protect, self.executes());
        let new_region = |base| Region::new(base, size, Kind::Private, protect, protect);
        let end = base.checked_add(size).ok_or(Status(STATUS_NO_MEMORY))?;
        if size <= old {
            if size < old {
                host::unmap(end, old - size)?;
                state.freed(&self.bounds, end);
            }
        } else if end > self.bounds.end
            || state.overlaps(base + old, end)
            || host::map_new(base + old, size - old, prot).is_err()
        {
            let request = Allocation { size, ..Allocation::default() };
            let range = state.place(&self.bounds, &request, |base, size| host::map_new(base, size, prot))?;
            if let Err(status) = host::move_pages(base, old, range.base) {
                // Fresh and unused: giving it back cannot fail in a way that matters.
                let _ = host::unmap(range.base, range.size);
                return Err(status);
            }
            state.regions.remove(&base);
            state.regions.insert(range.base, new_region(range.base));
            state.freed(&self.bounds, base);
            drop(state);
            self.changed(base, old);
            self.changed(range.base, range.size);
            return Ok(range);
        }
        state.regions.insert(base, new_region(base));
        drop(state);
        self.changed(base, size.max(old));
        Ok(Range { base, size })
    }
}
