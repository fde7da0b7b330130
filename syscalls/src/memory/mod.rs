//! Guest virtual memory: reservations, commits, protections, images, section views and stacks.
//!
//! [`Memory`] holds the one address space of the process with Windows' rules on top of `mmap`. A guest address is a
//! host address, so there is no translation; what lives here is the *bookkeeping* that Linux lacks: allocation bases,
//! the difference between reserved and committed, guard pages, placeholders. A tree of regions (one per allocation),
//! each with its runs of equally protected pages, answers every query without a system call.
//!
//! Host memory is never touched: new regions are mapped with `MAP_FIXED_NOREPLACE`, and `MAP_FIXED` is used inside
//! regions only. Reservations are `PROT_NONE` and `MAP_NORESERVE`; a commit is one `mprotect`.
//!
//! What does not live here: copying to and from guest memory (the engines' crate), heaps ([`crate::heap`]) ([`crate::heap`]), and
//! section objects, which keep the file and call [`Memory::map_view`].

mod allocate;
mod fixed;
mod free;
mod host;
mod image;
mod protect;
mod query;
mod region;
mod residency;
mod resize;
mod stack;
#[cfg(test)]
mod tests;
mod view;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

pub use allocate::{Allocation, Range};
pub use query::{MemoryInfo, Totals};
pub use stack::{Growth, Stack};
pub use view::{View, ViewFile};

use region::Region;

/// Bytes in a page, on every guest.
pub const PAGE: u64 = 0x1000;
/// Allocation granularity: where reservations begin.
pub const GRANULARITY: u64 = 0x1_0000;

/// Permissions of a guest page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Permissions {
    /// Loads allowed.
    pub read: bool,
    /// Stores allowed.
    pub write: bool,
    /// Instruction fetches allowed.
    pub execute: bool,
}

/// Called with the start and length of every range whose mapping or permissions changed.
pub type ChangeHook = Box<dyn Fn(u64, u64) + Send + Sync>;

/// The guest's address space. One per process.
pub struct Memory {
    bounds: Bounds,
    state: Mutex<State>,
    hook: OnceLock<ChangeHook>,
    data_executes: AtomicBool,
}

/// Which addresses the guest may have.
#[derive(Clone, Copy)]
struct Bounds {
    /// Where the search for free addresses begins (lower ones are for images with a fixed base).
    first_choice: u64,
    /// End of what `MEM_TOP_DOWN` hands out.
    top_down_end: u64,
    /// First address that the guest cannot have.
    end: u64,
}

#[derive(Default)]
struct State {
    /// Allocations by base address; they never overlap.
    regions: BTreeMap<u64, Region>,
    /// No free granule lies between `Bounds::first_choice` and here.
    hint: u64,
}

const LOWEST: u64 = GRANULARITY;

impl Memory {
    /// An empty address space for guests with pointers of `pointer_size` bytes (4 or 8).
    ///
    /// 32-bit guests get 2 GiB, or 4 GiB if the program is marked large-address-aware. 64-bit programs without that
    /// mark get 2 GiB as well, the others 128 TiB.
    #[must_use]
    pub fn new(pointer_size: usize, large_address_aware: bool) -> Self {
        const GIB2: u64 = 0x7fff_0000;
        let (first_choice, top_down_end, end) = match (pointer_size, large_address_aware) {
            (4, true) => (0x0100_0000, 0xffff_0000, 0xffff_0000),
            (_, false) => (0x0100_0000, 0x7ffd_0000, GIB2),
            // Images like to lie at 0x1_4000_0000 and 0x1_8000_0000; what has no wish stays clear of them. The end of
            // top-down allocation leaves the area of position-independent host programs alone.
            (_, true) => (0x2_0000_0000, 0x4000_0000_0000, 0x7fff_ffff_0000),
        };
        Self {
            bounds: Bounds { first_choice, top_down_end, end },
            state: Mutex::new(State { regions: BTreeMap::new(), hint: first_choice }),
            hook: OnceLock::new(),
            data_executes: AtomicBool::new(false),
        }
    }

    /// The highest address that the guest can have (`lpMaximumApplicationAddress`).
    #[must_use]
    pub fn highest_address(&self) -> u64 {
        self.bounds.end - 1
    }

    /// The lowest address that the guest can have (`lpMinimumApplicationAddress`).
    #[must_use]
    pub fn lowest_address(&self) -> u64 {
        LOWEST
    }

    /// Sets the function to be told of changes (an engine that caches translations). The first call counts.
    pub fn on_change(&self, hook: ChangeHook) {
        let _ = self.hook.set(hook);
    }

    /// Makes readable pages executable too, as Windows does for 32-bit programs not marked `NX_COMPAT`. Affects
    /// what is committed or protected afterwards.
    pub fn set_data_executes(&self, on: bool) {
        self.data_executes.store(on, Ordering::Relaxed);
    }

    /// Permissions of the page that holds `address`; `None` if nothing is committed there. A guard page has none.
    #[must_use]
    pub fn permissions(&self, address: u64) -> Option<Permissions> {
        let protect = {
            let state = self.lock();
            let (_, region) = state.region_at(address)?;
            region.protect_at(address)
        };
        if protect == 0 {
            return None;
        }
        let host = protect::host(protect, self.executes());
        Some(Permissions {
            read: host & libc::PROT_READ != 0,
            write: host & libc::PROT_WRITE != 0,
            execute: host & libc::PROT_EXEC != 0,
        })
    }

    /// The name of the file mapped at `address` (image or view), as given when it was mapped.
    #[must_use]
    pub fn mapped_file(&self, address: u64) -> Option<Arc<[u16]>> {
        let state = self.lock();
        state.region_at(address).and_then(|(_, region)| region.file.clone())
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn executes(&self) -> bool {
        self.data_executes.load(Ordering::Relaxed)
    }

    pub(crate) fn changed(&self, start: u64, len: u64) {
        if let Some(hook) = self.hook.get() {
            hook(start, len);
        }
    }
}

impl State {
    /// The region that covers `address`, with its base.
    fn region_at(&self, address: u64) -> Option<(u64, &Region)> {
        let (&base, region) = self.regions.range(..=address).next_back()?;
        (address - base < region.size).then_some((base, region))
    }

    fn region_at_mut(&mut self, address: u64) -> Option<(u64, &mut Region)> {
        let (&base, region) = self.regions.range_mut(..=address).next_back()?;
        (address - base < region.size).then_some((base, region))
    }

    /// Whether `start..end` touches a region.
    fn overlaps(&self, start: u64, end: u64) -> bool {
        self.regions.range(..end).next_back().is_some_and(|(base, region)| base + region.size > start)
    }

    /// The lowest (or highest) aligned free range of `size` bytes within `low..end`.
    fn find_gap(&self, size: u64, align: u64, low: u64, end: u64, top_down: bool) -> Option<u64> {
        if top_down {
            self.find_gap_down(size, align, low, end)
        } else {
            self.find_gap_up(size, align, low, end)
        }
    }

    fn find_gap_up(&self, size: u64, align: u64, low: u64, end: u64) -> Option<u64> {
        let mut at = align_up(low, align)?;
        if let Some((base, region)) = self.region_at(at) {
            at = align_up(base + region.size, align)?;
        }
        for (&base, region) in self.regions.range(at..) {
            if base >= at && base - at >= size {
                break;
            }
            at = align_up(base + region.size, align)?;
        }
        (at.checked_add(size)? <= end).then_some(at)
    }

    fn find_gap_down(&self, size: u64, align: u64, low: u64, end: u64) -> Option<u64> {
        let mut at = end.checked_sub(size)? / align * align;
        for (&base, region) in self.regions.range(..end).rev() {
            if base + region.size <= at {
                break;
            }
            at = base.min(at + size).checked_sub(size)? / align * align;
        }
        (at >= low).then_some(at)
    }
}

/// Held by tests that need addresses below 4 GiB, of which the test process has only so many.
#[cfg(test)]
pub(crate) fn narrow_tests() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

fn align_up(value: u64, align: u64) -> Option<u64> {
    Some(value.checked_add(align - 1)? / align * align)
}

fn page_down(value: u64) -> u64 {
    value & !(PAGE - 1)
}

/// The pages touched by `size` bytes at `base`: start and end. `None` if they run past the end of the address space.
fn pages(base: u64, size: u64) -> Option<(u64, u64)> {
    Some((page_down(base), align_up(base.checked_add(size)?, PAGE)?))
}
