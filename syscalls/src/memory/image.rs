//! Areas for program images. The loader decides what goes where; this keeps the area and its type.

use super::region::{Kind, Region};
use super::{Allocation, Memory, PAGE, Range, View, ViewFile, align_up, host, protect};
use crate::status::{Result, Status};
use std::os::fd::BorrowedFd;
use std::sync::Arc;
use windows_sys::Win32::Foundation::{
    STATUS_CONFLICTING_ADDRESSES, STATUS_INVALID_PARAMETER_4, STATUS_MAPPED_ALIGNMENT, STATUS_NOT_MAPPED_VIEW,
};
use windows_sys::Win32::System::Memory::{PAGE_EXECUTE_WRITECOPY, PAGE_READWRITE};

impl Memory {
    /// Takes `size` bytes for an image, at `preferred` if those addresses are free, else anywhere unless
    /// `must_be_there`. The pages are zero and `PAGE_READWRITE` until the loader has filled and protected them.
    /// `name` is what `GetMappedFileName` reports.
    ///
    /// # Errors
    /// `STATUS_CONFLICTING_ADDRESSES` if the image must lie at addresses that are taken; `STATUS_NO_MEMORY`;
    /// `STATUS_INVALID_PARAMETER_4` for a size of 0 or beyond the address space.
    pub fn map_image(
        &self,
        preferred: u64,
        size: u64,
        must_be_there: bool,
        name: Option<Arc<[u16]>>,
    ) -> Result<Range> {
        if size == 0 || size > self.bounds.end {
            return Err(Status(STATUS_INVALID_PARAMETER_4));
        }
        let prot = libc::PROT_READ | libc::PROT_WRITE;
        let mut request = Allocation { size, base: preferred, ..Allocation::default() };
        let mut state = self.lock();
        let usable = preferred >= super::LOWEST && preferred.is_multiple_of(super::GRANULARITY);
        let map = |base, size| host::map_new(base, size, prot);
        let placed = if usable {
            state.place(&self.bounds, &request, map)
        } else {
            Err(Status(STATUS_CONFLICTING_ADDRESSES))
        };
        let range = match placed {
            Err(Status(STATUS_CONFLICTING_ADDRESSES)) if !must_be_there => {
                request.base = 0;
                state.place(&self.bounds, &request, map)?
            }
            other => other?,
        };
        let mut region =
            Region::new(range.base, range.size, Kind::Image, PAGE_EXECUTE_WRITECOPY, PAGE_READWRITE);
        region.file = name;
        state.regions.insert(range.base, region);
        drop(state);
        self.changed(range.base, range.size);
        Ok(range)
    }

    /// Maps whole pages of a file, privately, over part of an image, with the protection `PAGE_*`. `address` and
    /// `offset` are multiples of the page size; `size` is rounded up to pages (bytes beyond the end of the file's last
    /// page must not be touched).
    ///
    /// # Errors
    /// `STATUS_MAPPED_ALIGNMENT`, `STATUS_NOT_MAPPED_VIEW` if that is not inside one image,
    /// `STATUS_INVALID_PAGE_PROTECTION`, or what Linux refused.
    pub fn map_file_part(
        &self,
        address: u64,
        fd: BorrowedFd<'_>,
        offset: u64,
        size: u64,
        protect: u32,
    ) -> Result<()> {
        let stored = protect::validate(protect, true)?;
        if !address.is_multiple_of(PAGE) || !offset.is_multiple_of(PAGE) || size == 0 {
            return Err(Status(STATUS_MAPPED_ALIGNMENT));
        }
        let size = align_up(size, PAGE).ok_or(Status(STATUS_INVALID_PARAMETER_4))?;
        let end = address.checked_add(size).ok_or(Status(STATUS_NOT_MAPPED_VIEW))?;
        let mut state = self.lock();
        let (base, region) = state.region_at_mut(address).ok_or(Status(STATUS_NOT_MAPPED_VIEW))?;
        if region.kind != Kind::Image || end > base + region.size {
            return Err(Status(STATUS_NOT_MAPPED_VIEW));
        }
        let view = View { size, file: Some(ViewFile { fd, offset, copy_on_write: true }), ..View::default() };
        host::map_file(address, &view, protect::host(stored, self.executes()), true)?;
        region.set(address, end, stored);
        drop(state);
        self.changed(address, size);
        Ok(())
    }
}
