//! Page protections: checking, translating for the host, changing (`NtProtectVirtualMemory`), guard pages.

use super::region::Kind;
use super::{Memory, PAGE, host as os, page_down, pages};
use crate::status::{Result, Status};
use windows_sys::Win32::Foundation::{
    STATUS_ACCESS_DENIED, STATUS_CONFLICTING_ADDRESSES, STATUS_INVALID_PAGE_PROTECTION,
    STATUS_INVALID_PARAMETER_3, STATUS_NOT_COMMITTED, STATUS_SECTION_PROTECTION,
};
use windows_sys::Win32::System::Memory::{
    PAGE_EXECUTE, PAGE_EXECUTE_READ, PAGE_EXECUTE_READWRITE, PAGE_EXECUTE_WRITECOPY, PAGE_GUARD,
    PAGE_NOACCESS, PAGE_NOCACHE, PAGE_READONLY, PAGE_READWRITE, PAGE_TARGETS_INVALID, PAGE_WRITECOMBINE,
    PAGE_WRITECOPY,
};

/// Checks a `PAGE_*` value and returns it without the flags that say nothing about access.
/// `mapped`: whether copy-on-write makes sense (images and views).
pub(super) fn validate(protect: u32, mapped: bool) -> Result<u32> {
    let invalid = Status(STATUS_INVALID_PAGE_PROTECTION);
    let protect = protect & !PAGE_TARGETS_INVALID;
    let base = protect & 0xff;
    let modifiers = protect & !0xff;
    if !base.is_power_of_two() || modifiers & !(PAGE_GUARD | PAGE_NOCACHE | PAGE_WRITECOMBINE) != 0 {
        return Err(invalid);
    }
    if base == PAGE_NOACCESS && modifiers != 0 {
        return Err(invalid);
    }
    if modifiers & PAGE_NOCACHE != 0 && modifiers & (PAGE_GUARD | PAGE_WRITECOMBINE) != 0 {
        return Err(invalid);
    }
    if modifiers & PAGE_WRITECOMBINE != 0 && modifiers & PAGE_GUARD != 0 {
        return Err(invalid);
    }
    if !mapped && matches!(base, PAGE_WRITECOPY | PAGE_EXECUTE_WRITECOPY) {
        return Err(invalid);
    }
    Ok(protect)
}

/// The host's protection bits for a stored `PAGE_*` value. Guard pages are inaccessible until taken.
pub(super) fn host(protect: u32, data_executes: bool) -> i32 {
    use libc::{PROT_EXEC, PROT_NONE, PROT_READ, PROT_WRITE};
    if protect & PAGE_GUARD != 0 {
        return PROT_NONE;
    }
    let prot = match protect & 0xff {
        PAGE_READONLY => PROT_READ,
        PAGE_READWRITE | PAGE_WRITECOPY => PROT_READ | PROT_WRITE,
        PAGE_EXECUTE | PAGE_EXECUTE_READ => PROT_READ | PROT_EXEC,
        PAGE_EXECUTE_READWRITE | PAGE_EXECUTE_WRITECOPY => PROT_READ | PROT_WRITE | PROT_EXEC,
        _ => return PROT_NONE,
    };
    if data_executes { prot | PROT_EXEC } else { prot }
}

impl Memory {
    /// Changes the protection of the pages touched by `size` bytes at `base`; returns the old protection of the
    /// first page, and the pages.
    ///
    /// # Errors
    /// `STATUS_INVALID_PAGE_PROTECTION`; `STATUS_CONFLICTING_ADDRESSES` if the pages are not all in one allocation;
    /// `STATUS_NOT_COMMITTED`; `STATUS_SECTION_PROTECTION` if the file behind a view was not opened for that.
    ///
    /// Documentation: `VirtualProtect`.
    pub fn protect(&self, base: u64, size: u64, protect: u32) -> Result<(u32, super::Range)> {
        validate(protect, true)?;
        if size == 0 {
            return Err(Status(STATUS_INVALID_PARAMETER_3));
        }
        let (start, end) = pages(base, size).ok_or(Status(STATUS_INVALID_PARAMETER_3))?;
        let mut state = self.lock();
        let conflict = Status(STATUS_CONFLICTING_ADDRESSES);
        let (region_base, region) = state.region_at_mut(start).ok_or(conflict)?;
        if end > region_base + region.size || region.placeholder {
            return Err(conflict);
        }
        let stored = validate(protect, region.kind != Kind::Private)?;
        if !region.all(start, end, |old| old != 0) {
            return Err(Status(STATUS_NOT_COMMITTED));
        }
        let old = region.protect_at(start);
        if !region.all(start, end, |old| old == stored) {
            os::protect(start, end - start, host(stored, self.executes())).map_err(section_error)?;
            region.set(start, end, stored);
        }
        drop(state);
        self.changed(start, end - start);
        Ok((old, super::Range { base: start, size: end - start }))
    }

    /// If the page at `address` is a guard page, makes it an ordinary one and returns true: the access that faulted
    /// is then reported as `STATUS_GUARD_PAGE_VIOLATION`, once. For fault handlers.
    pub fn take_guard_page(&self, address: u64) -> bool {
        let page = page_down(address);
        let mut state = self.lock();
        let Some((_, region)) = state.region_at_mut(page) else { return false };
        let protect = region.protect_at(page);
        if protect & PAGE_GUARD == 0 {
            return false;
        }
        let bare = protect & !PAGE_GUARD;
        if os::protect(page, PAGE, host(bare, self.executes())).is_err() {
            return false;
        }
        region.set(page, page + PAGE, bare);
        drop(state);
        self.changed(page, PAGE);
        true
    }
}

fn section_error(status: Status) -> Status {
    if status == Status(STATUS_ACCESS_DENIED) { Status(STATUS_SECTION_PROTECTION) } else { status }
}
