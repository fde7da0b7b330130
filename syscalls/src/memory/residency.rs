//! What programs say about pages they have: lock them, read them ahead, write a view's changes to its file.

use super::{Memory, Range, host, pages};
use crate::status::{Result, Status};
use windows_sys::Win32::Foundation::{
    STATUS_ACCESS_VIOLATION, STATUS_INVALID_PARAMETER, STATUS_NOT_MAPPED_VIEW, STATUS_WORKING_SET_QUOTA,
};

impl Memory {
    /// Keeps committed pages in physical memory, or no longer. What Linux allows (`RLIMIT_MEMLOCK`) is the working
    /// set's minimum.
    ///
    /// # Errors
    /// `STATUS_ACCESS_VIOLATION` if not all pages are committed; `STATUS_WORKING_SET_QUOTA` beyond the limit.
    ///
    /// Documentation: `VirtualLock`, `VirtualUnlock`.
    pub fn lock_pages(&self, base: u64, size: u64, lock: bool) -> Result<()> {
        let range = self.committed(base, size)?;
        host::lock(range.base, range.size, lock).map_err(|_| Status(STATUS_WORKING_SET_QUOTA))
    }

    /// Asks for pages to be read before they are needed. Advice: nothing fails but the arguments.
    ///
    /// # Errors
    /// `STATUS_ACCESS_VIOLATION` if not all pages are committed.
    ///
    /// Documentation: `PrefetchVirtualMemory`.
    pub fn prefetch(&self, base: u64, size: u64) -> Result<()> {
        let range = self.committed(base, size)?;
        let _ = host::advise(range.base, range.size, libc::MADV_WILLNEED);
        Ok(())
    }

    /// Gives writable pages physical memory at once, which is cheaper than a fault for each. Advice: older kernels do not know it.
    pub fn populate(&self, range: Range) {
        let _ = host::advise(range.base, range.size, libc::MADV_POPULATE_WRITE);
    }

    /// Writes the changed pages of a view to its file and waits until that is done. `size` 0 means to the end of the
    /// view. As on Windows, metadata may still be on its way: that is `FlushFileBuffers`' part.
    ///
    /// # Errors
    /// `STATUS_NOT_MAPPED_VIEW` if the range is not inside one view; what Linux reports of the write.
    ///
    /// Documentation: `FlushViewOfFile`, `NtFlushVirtualMemory`.
    pub fn flush_view(&self, base: u64, size: u64) -> Result<()> {
        let invalid = Status(STATUS_INVALID_PARAMETER);
        let view = {
            let state = self.lock();
            let missing = Status(STATUS_NOT_MAPPED_VIEW);
            let (at, region) = state.region_at(base).ok_or(missing)?;
            if region.kind == super::region::Kind::Private {
                return Err(missing);
            }
            Range { base: at, size: region.size }
        };
        let end = view.base + view.size;
        let (start, end) = if size == 0 {
            (super::page_down(base), end)
        } else {
            pages(base, size).filter(|(_, last)| *last <= end).ok_or(invalid)?
        };
        // Not under the lock: disks take their time. If the view is unmapped meanwhile, that is the program's race.
        host::flush(start, end - start)
    }

    fn committed(&self, base: u64, size: u64) -> Result<Range> {
        if size == 0 {
            return Err(Status(STATUS_INVALID_PARAMETER));
        }
        let (start, end) = pages(base, size).ok_or(Status(STATUS_INVALID_PARAMETER))?;
        let state = self.lock();
        let mut at = start;
        while at < end {
            let (region_base, region) = state.region_at(at).ok_or(VIOLATION)?;
            let stop = end.min(region_base + region.size);
            if !region.all(at, stop, |protect| protect != 0) {
                return Err(VIOLATION);
            }
            at = stop;
        }
        Ok(Range { base: start, size: end - start })
    }
}

const VIOLATION: Status = Status(STATUS_ACCESS_VIOLATION);
