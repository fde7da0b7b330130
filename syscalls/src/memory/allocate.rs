//! Reserving and committing (`NtAllocateVirtualMemory`, `NtAllocateVirtualMemoryEx`).

use super::region::{Kind, Region};
use super::{Bounds, GRANULARITY, LOWEST, Memory, PAGE, State, align_up, host, page_down, pages, protect};
use crate::status::{Result, Status};
use std::sync::OnceLock;
use windows_sys::Win32::Foundation::{
    STATUS_ALREADY_COMMITTED, STATUS_COMMITMENT_LIMIT, STATUS_CONFLICTING_ADDRESSES,
    STATUS_INVALID_PARAMETER, STATUS_INVALID_PARAMETER_2, STATUS_INVALID_PARAMETER_4,
    STATUS_INVALID_PARAMETER_5, STATUS_NO_MEMORY, STATUS_NOT_SUPPORTED, STATUS_PRIVILEGE_NOT_HELD,
};
use windows_sys::Win32::System::Memory::{
    MEM_COMMIT, MEM_LARGE_PAGES, MEM_REPLACE_PLACEHOLDER, MEM_RESERVE, MEM_RESERVE_PLACEHOLDER, MEM_RESET,
    MEM_RESET_UNDO, PAGE_NOACCESS,
};
use windows_sys::Win32::System::SystemServices::{MEM_PHYSICAL, MEM_TOP_DOWN, MEM_WRITE_WATCH};

/// What to allocate: the arguments of `NtAllocateVirtualMemoryEx`.
#[derive(Clone, Copy, Debug, Default)]
pub struct Allocation {
    /// Where; 0 lets the system choose. Rounded down as Windows does.
    pub base: u64,
    /// How many bytes; rounded up to pages.
    pub size: u64,
    /// `MEM_RESERVE`, `MEM_COMMIT`, `MEM_TOP_DOWN` and so on.
    pub kind: u32,
    /// `PAGE_*`.
    pub protect: u32,
    /// Lowest acceptable address if the system chooses; 0 for any.
    pub lowest: u64,
    /// Highest acceptable address of the last byte if the system chooses; 0 for any.
    pub highest: u64,
    /// A power of two of at least 64 KiB; 0 for the granularity.
    pub alignment: u64,
}

/// A range of guest memory, page-aligned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Range {
    /// First address.
    pub base: u64,
    /// Bytes.
    pub size: u64,
}

const KINDS: u32 = MEM_COMMIT
    | MEM_RESERVE
    | MEM_RESET
    | MEM_RESET_UNDO
    | MEM_TOP_DOWN
    | MEM_WRITE_WATCH
    | MEM_LARGE_PAGES
    | MEM_PHYSICAL
    | MEM_RESERVE_PLACEHOLDER
    | MEM_REPLACE_PLACEHOLDER;

impl Memory {
    /// Reserves, commits or resets pages; returns the range that was meant, rounded.
    ///
    /// # Errors
    /// `STATUS_INVALID_PARAMETER_n` for senseless arguments, `STATUS_INVALID_PAGE_PROTECTION`,
    /// `STATUS_CONFLICTING_ADDRESSES` where the addresses are taken (reserve) or not reserved (commit),
    /// `STATUS_NO_MEMORY`, `STATUS_COMMITMENT_LIMIT`, `STATUS_PRIVILEGE_NOT_HELD` for large pages, `STATUS_NOT_SUPPORTED` for write watches.
    ///
    /// Documentation: `NtAllocateVirtualMemory`, `VirtualAlloc2`.
    pub fn allocate(&self, request: &Allocation) -> Result<Range> {
        self.check(request)?;
        let stored = protect::validate(request.protect, false)?;
        if request.kind & (MEM_RESET | MEM_RESET_UNDO) != 0 {
            return self.reset(request);
        }
        if request.kind & MEM_LARGE_PAGES != 0 {
            return Err(Status(STATUS_PRIVILEGE_NOT_HELD));
        }
        if request.kind & (MEM_WRITE_WATCH | MEM_PHYSICAL) != 0 {
            return Err(Status(STATUS_NOT_SUPPORTED));
        }
        let range = if request.kind & MEM_REPLACE_PLACEHOLDER != 0 {
            self.replace_placeholder(request, stored)
        } else if request.kind & MEM_RESERVE != 0 || request.base == 0 {
            self.reserve(request, stored)
        } else {
            self.commit(request, stored)
        }?;
        self.changed(range.base, range.size);
        Ok(range)
    }

    fn check(&self, request: &Allocation) -> Result<()> {
        let kind = request.kind;
        let placeholder = kind & (MEM_RESERVE_PLACEHOLDER | MEM_REPLACE_PLACEHOLDER);
        let reset = kind & (MEM_RESET | MEM_RESET_UNDO);
        if kind & !KINDS != 0
            || kind & (MEM_COMMIT | MEM_RESERVE | MEM_RESET | MEM_RESET_UNDO) == 0
            || (reset != 0 && kind != reset)
            || reset == MEM_RESET | MEM_RESET_UNDO
            || (placeholder != 0 && kind & MEM_RESERVE == 0)
            || (kind & MEM_RESERVE_PLACEHOLDER != 0 && kind & (MEM_COMMIT | MEM_REPLACE_PLACEHOLDER) != 0)
            || (kind & MEM_WRITE_WATCH != 0 && kind & MEM_RESERVE == 0)
        {
            return Err(Status(STATUS_INVALID_PARAMETER_5));
        }
        if request.base >= self.bounds.end || (request.base != 0 && request.base < LOWEST) {
            return Err(Status(STATUS_INVALID_PARAMETER_2));
        }
        if request.size == 0 || request.size > self.bounds.end - request.base.max(LOWEST) {
            return Err(Status(STATUS_INVALID_PARAMETER_4));
        }
        if kind & MEM_COMMIT != 0 && request.size > commit_limit() {
            return Err(Status(STATUS_COMMITMENT_LIMIT));
        }
        let limits = request.lowest != 0 || request.highest != 0 || request.alignment != 0;
        let align_ok = request.alignment == 0
            || (request.alignment.is_power_of_two() && request.alignment >= GRANULARITY);
        if limits && (request.base != 0 || !align_ok || request.highest >= self.bounds.end) {
            return Err(Status(STATUS_INVALID_PARAMETER));
        }
        if kind & MEM_RESERVE_PLACEHOLDER != 0 && request.protect != PAGE_NOACCESS {
            return Err(Status(windows_sys::Win32::Foundation::STATUS_INVALID_PAGE_PROTECTION));
        }
        Ok(())
    }

    fn reserve(&self, request: &Allocation, stored: u32) -> Result<Range> {
        let protect = if request.kind & MEM_COMMIT != 0 { stored } else { 0 };
        let prot = if protect == 0 { libc::PROT_NONE } else { protect::host(protect, self.executes()) };
        let mut state = self.lock();
        let range = state.place(&self.bounds, request, |base, size| host::map_new(base, size, prot))?;
        let mut region = Region::new(range.base, range.size, Kind::Private, stored, protect);
        region.placeholder = request.kind & MEM_RESERVE_PLACEHOLDER != 0;
        state.regions.insert(range.base, region);
        Ok(range)
    }

    fn commit(&self, request: &Allocation, stored: u32) -> Result<Range> {
        let (start, end) = pages(request.base, request.size).ok_or(Status(STATUS_INVALID_PARAMETER_4))?;
        let prot = protect::host(stored, self.executes());
        let mut state = self.lock();
        let conflict = Status(STATUS_CONFLICTING_ADDRESSES);
        let (base, region) = state.region_at_mut(start).ok_or(conflict)?;
        if end > base + region.size || region.placeholder {
            return Err(conflict);
        }
        match region.kind {
            Kind::Private | Kind::View { file: false } => {}
            Kind::View { file: true } => return Err(Status(STATUS_ALREADY_COMMITTED)),
            Kind::Image => return Err(conflict),
        }
        if !region.all(start, end, |protect| protect == stored) {
            host::protect(start, end - start, prot)?;
            region.set(start, end, stored);
        }
        Ok(Range { base: start, size: end - start })
    }

    fn replace_placeholder(&self, request: &Allocation, stored: u32) -> Result<Range> {
        let protect = if request.kind & MEM_COMMIT != 0 { stored } else { 0 };
        let size = align_up(request.size, PAGE).ok_or(Status(STATUS_INVALID_PARAMETER_4))?;
        let mut state = self.lock();
        state.placeholder(request.base, size)?;
        if protect != 0 {
            host::protect(request.base, size, protect::host(protect, self.executes()))?;
        }
        state.regions.insert(request.base, Region::new(request.base, size, Kind::Private, stored, protect));
        Ok(Range { base: request.base, size })
    }

    /// `MEM_RESET` says that the content is no longer needed. The kernel is told that the pages are cold; it may page
    /// them out first, but the content stays, so `MEM_RESET_UNDO` can always keep its promise.
    fn reset(&self, request: &Allocation) -> Result<Range> {
        // MEM_RESET rounds inwards: only whole pages.
        let start = align_up(request.base, PAGE).ok_or(Status(STATUS_INVALID_PARAMETER_2))?;
        let end = page_down(request.base + request.size).max(start);
        let state = self.lock();
        let conflict = Status(STATUS_CONFLICTING_ADDRESSES);
        let (base, region) = state.region_at(page_down(request.base)).ok_or(conflict)?;
        if end > base + region.size || (end > start && !region.all(start, end, |protect| protect != 0)) {
            return Err(conflict);
        }
        if request.kind & MEM_RESET != 0 && end > start {
            // Advice: a kernel without it does nothing, which is as good.
            let _ = host::advise(start, end - start, libc::MADV_COLD);
        }
        Ok(Range { base: start, size: end - start })
    }
}

/// More than this cannot be committed at once: Linux would promise it and kill the process later. Windows refuses what
/// exceeds memory and page file together.
fn commit_limit() -> u64 {
    static LIMIT: OnceLock<u64> = OnceLock::new();
    const LEAST: u64 = 16 << 30;
    *LIMIT.get_or_init(|| crate::sysinfo::memory_and_swap().max(LEAST))
}

impl State {
    /// Finds addresses for a new region and maps them with `map`.
    pub(super) fn place(
        &mut self,
        bounds: &Bounds,
        request: &Allocation,
        map: impl Fn(u64, u64) -> Result<()>,
    ) -> Result<Range> {
        if request.base != 0 {
            let end = pages(request.base, request.size).ok_or(Status(STATUS_INVALID_PARAMETER_4))?.1;
            let base = request.base / GRANULARITY * GRANULARITY;
            if end > bounds.end || self.overlaps(base, end) {
                return Err(Status(STATUS_CONFLICTING_ADDRESSES));
            }
            map(base, end - base)?;
            return Ok(Range { base, size: end - base });
        }
        let size = align_up(request.size, PAGE).ok_or(Status(STATUS_INVALID_PARAMETER_4))?;
        let top_down = request.kind & MEM_TOP_DOWN != 0;
        let limited = request.lowest != 0 || request.highest != 0;
        let end = match (request.highest, top_down) {
            (0, true) => bounds.top_down_end,
            (0, false) => bounds.end,
            (highest, _) => highest + 1,
        };
        let align = request.alignment.max(GRANULARITY);
        if !limited && !top_down {
            let hint = self.hint;
            if let Ok(base) = self.try_gaps(size, align, (hint, end), false, &map) {
                if base == hint {
                    self.hint = (base + size).div_ceil(GRANULARITY) * GRANULARITY;
                }
                return Ok(Range { base, size });
            }
        }
        let low = request.lowest.max(LOWEST);
        let base = self.try_gaps(size, align, (low, end), top_down, &map)?;
        Ok(Range { base, size })
    }

    /// Tries one free range after another, because the host may hold addresses that the tree does not know.
    fn try_gaps(
        &self,
        size: u64,
        align: u64,
        (mut low, mut end): (u64, u64),
        top_down: bool,
        map: impl Fn(u64, u64) -> Result<()>,
    ) -> Result<u64> {
        let mut step = align;
        for _ in 0..64 {
            let Some(base) = self.find_gap(size, align, low, end, top_down) else { break };
            match map(base, size) {
                Ok(()) => return Ok(base),
                Err(Status(STATUS_CONFLICTING_ADDRESSES)) if top_down => {
                    end = (base + size).saturating_sub(step);
                }
                Err(Status(STATUS_CONFLICTING_ADDRESSES)) => low = base + step,
                Err(other) => return Err(other),
            }
            step = step.saturating_mul(2).min(1 << 36);
        }
        Err(Status(STATUS_NO_MEMORY))
    }

    /// Takes the placeholder that spans exactly these pages out of the tree.
    pub(super) fn placeholder(&mut self, base: u64, size: u64) -> Result<()> {
        match self.regions.get(&base) {
            Some(region) if region.placeholder && region.size == size => {
                self.regions.remove(&base);
                Ok(())
            }
            _ => Err(Status(STATUS_CONFLICTING_ADDRESSES)),
        }
    }
}
