//! Views of sections (`NtMapViewOfSection`, `NtUnmapViewOfSection`).

use super::region::{Kind, Region};
use super::{Allocation, Memory, PAGE, Range, align_up, host, page_down, protect};
use crate::status::{Result, Status};
use std::os::fd::BorrowedFd;
use std::sync::Arc;
use windows_sys::Win32::Foundation::{
    STATUS_INVALID_VIEW_SIZE, STATUS_MAPPED_ALIGNMENT, STATUS_NOT_MAPPED_VIEW,
};

/// The file part that a view shows.
#[derive(Clone, Copy, Debug)]
pub struct ViewFile<'a> {
    /// The file or memfd.
    pub fd: BorrowedFd<'a>,
    /// Where in it the view begins, a multiple of the page size.
    pub offset: u64,
    /// Whether stores stay in this view (`PAGE_WRITECOPY`, `FILE_MAP_COPY`).
    pub copy_on_write: bool,
}

/// What to map. `base` 0 lets the system choose.
#[derive(Clone, Debug, Default)]
pub struct View<'a> {
    /// Where, or 0.
    pub base: u64,
    /// Bytes, rounded up to pages.
    pub size: u64,
    /// What to show; `None` maps private zero pages.
    pub file: Option<ViewFile<'a>>,
    /// Whether the section is a disk file's (its pages are committed for good) or the page file's.
    pub disk_file: bool,
    /// `PAGE_*`.
    pub protect: u32,
    /// Whether the pages begin reserved, to be committed by [`Memory::allocate`] (`SEC_RESERVE`).
    pub reserve_only: bool,
    /// Whether `base` and `size` are a placeholder to be replaced.
    pub replace_placeholder: bool,
    /// `MEM_TOP_DOWN`, or 0.
    pub kind: u32,
    /// Lowest acceptable address; 0 for any.
    pub lowest: u64,
    /// Highest acceptable address; 0 for any.
    pub highest: u64,
    /// Alignment; 0 for the granularity.
    pub alignment: u64,
    /// Name for `GetMappedFileName`.
    pub name: Option<Arc<[u16]>>,
}

impl Memory {
    /// Maps a view of a section.
    ///
    /// # Errors
    /// `STATUS_CONFLICTING_ADDRESSES`, `STATUS_INVALID_VIEW_SIZE`, `STATUS_MAPPED_ALIGNMENT`,
    /// `STATUS_INVALID_PAGE_PROTECTION`, `STATUS_NO_MEMORY`, `STATUS_ACCESS_DENIED` if the file was not opened for
    /// that protection.
    ///
    /// Documentation: `ZwMapViewOfSection`, `MapViewOfFile3`.
    pub fn map_view(&self, view: &View<'_>) -> Result<Range> {
        let stored = protect::validate(view.protect, true)?;
        let size = align_up(view.size, PAGE).unwrap_or(0);
        if size == 0 || size > self.bounds.end {
            return Err(Status(STATUS_INVALID_VIEW_SIZE));
        }
        if view.file.is_some_and(|file| !file.offset.is_multiple_of(PAGE)) {
            return Err(Status(STATUS_MAPPED_ALIGNMENT));
        }
        let granule = if view.replace_placeholder { PAGE } else { super::GRANULARITY };
        if !view.base.is_multiple_of(granule) {
            return Err(Status(STATUS_MAPPED_ALIGNMENT));
        }
        let protect = if view.reserve_only { 0 } else { stored };
        let prot = protect::host(protect, self.executes());
        let mut state = self.lock();
        let range = if view.replace_placeholder {
            state.placeholder(view.base, size)?;
            if let Err(status) = host::map_file(view.base, view, prot, true) {
                state.insert_placeholder(view.base, size);
                return Err(status);
            }
            Range { base: view.base, size }
        } else {
            let request = Allocation {
                base: view.base,
                size,
                kind: view.kind,
                protect: view.protect,
                lowest: view.lowest,
                highest: view.highest,
                alignment: view.alignment,
            };
            state.place(&self.bounds, &request, |base, _| host::map_file(base, view, prot, false))?
        };
        let kind = Kind::View { file: view.disk_file };
        let mut region = Region::new(range.base, range.size, kind, stored, protect);
        region.file.clone_from(&view.name);
        state.regions.insert(range.base, region);
        drop(state);
        self.changed(range.base, range.size);
        Ok(range)
    }

    /// Unmaps the view or image that covers `address`; with `preserve_placeholder` its addresses stay reserved as a
    /// placeholder. Returns the range.
    ///
    /// # Errors
    /// `STATUS_NOT_MAPPED_VIEW` if there is neither.
    ///
    /// Documentation: `ZwUnmapViewOfSection`, `UnmapViewOfFile2`.
    pub fn unmap_view(&self, address: u64, preserve_placeholder: bool) -> Result<Range> {
        let mut state = self.lock();
        let missing = Status(STATUS_NOT_MAPPED_VIEW);
        let (base, region) = state.region_at(page_down(address)).ok_or(missing)?;
        if region.kind == Kind::Private {
            return Err(missing);
        }
        let size = region.size;
        if preserve_placeholder {
            host::map_over(base, size, libc::PROT_NONE)?;
            state.insert_placeholder(base, size);
        } else {
            host::unmap(base, size)?;
            state.regions.remove(&base);
            state.freed(&self.bounds, base);
        }
        drop(state);
        self.changed(base, size);
        Ok(Range { base, size })
    }
}
