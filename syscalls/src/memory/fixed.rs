//! Memory that guest and host share at a fixed address (KUSER_SHARED_DATA).

use super::region::{Kind, Region};
use super::{Memory, host, pages, protect};
use crate::status::{Result, Status};
use windows_sys::Win32::Foundation::{STATUS_CONFLICTING_ADDRESSES, STATUS_INVALID_PARAMETER_4};

impl Memory {
    /// Maps zero pages at `base` for the guest, with the protection `PAGE_*`, and once more for the host, writable:
    /// returns that address. Queries show a private allocation.
    ///
    /// # Errors
    /// `STATUS_CONFLICTING_ADDRESSES` if something is there; `STATUS_NO_MEMORY`.
    pub fn map_shared_fixed(&self, base: u64, size: u64, protect: u32) -> Result<*mut u8> {
        let stored = protect::validate(protect, false)?;
        let (start, end) = pages(base, size).ok_or(Status(STATUS_INVALID_PARAMETER_4))?;
        let size = end - start;
        let mut state = self.lock();
        if state.overlaps(start, end) {
            return Err(Status(STATUS_CONFLICTING_ADDRESSES));
        }
        host::map_new(start, size, libc::PROT_NONE)?;
        let alias = host::share(start, size).and_then(|alias| {
            host::protect(start, size, protect::host(stored, self.executes()))?;
            Ok(alias)
        });
        match alias {
            Ok(_) => {
                state.regions.insert(start, Region::new(start, size, Kind::Private, stored, stored));
            }
            // Fresh and unused: if even giving it back fails, the addresses stay taken.
            Err(_) => drop(host::unmap(start, size)),
        }
        alias
    }

    /// Hides the committed pages of the allocation at `base` from loads and stores, or shows them again, without a
    /// change that the guest could see in a query. The fault handler is expected to know.
    ///
    /// # Errors
    /// What Linux refused; `STATUS_CONFLICTING_ADDRESSES` if there is no allocation.
    pub(crate) fn set_hidden(&self, base: u64, hidden: bool) -> Result<()> {
        let state = self.lock();
        let region = state.regions.get(&base).ok_or(Status(STATUS_CONFLICTING_ADDRESSES))?;
        let prot =
            if hidden { libc::PROT_NONE } else { protect::host(region.protect_at(base), self.executes()) };
        host::protect(base, region.size, prot)
    }
}
