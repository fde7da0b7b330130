//! Thread and fiber stacks: reserved whole, committed at the top, growing at a guard page.

use super::{GRANULARITY, Memory, PAGE, align_up, host, page_down, protect, region};
use crate::status::{Result, Status};
use windows_sys::Win32::Foundation::STATUS_INVALID_PARAMETER;
use windows_sys::Win32::System::Memory::{PAGE_GUARD, PAGE_READWRITE};

/// A fresh stack. The three addresses go into the TEB.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stack {
    /// `DeallocationStack`: lowest reserved address; what [`Memory::free`] takes.
    pub allocation_base: u64,
    /// `StackLimit`: lowest committed, unguarded address.
    pub limit: u64,
    /// `StackBase`: just above the stack.
    pub base: u64,
}

/// What became of a fault at a stack's guard page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Growth {
    /// Not a stack's guard page.
    None,
    /// The stack has grown; the new `StackLimit`.
    Grown(u64),
    /// No room is left: `STATUS_STACK_OVERFLOW`. What was kept for the handlers is usable now; the new `StackLimit`.
    Overflow(u64),
}

/// The lowest stack address that is not kept: the page that is never committed, the pages for the handlers of a stack
/// overflow, and the last guard page lie below.
const FLOOR: u64 = 6 * PAGE;

/// How far a stack grows at one fault. Windows grows by a page; more saves faults and touches no memory.
const STEP: u64 = 16 * PAGE;

/// What of a stack a short thread touches: cleaned by hand when it is used again.
const TOP: u64 = 2 * PAGE;

const GUARD: u32 = PAGE_READWRITE | PAGE_GUARD;

impl Memory {
    /// Makes a stack of `reserve` bytes (rounded up to the granularity) with `commit` bytes usable at once (rounded up
    /// to pages) and a guard page below them.
    ///
    /// # Errors
    /// `STATUS_NO_MEMORY`, or `STATUS_INVALID_PARAMETER` for absurd sizes.
    pub fn allocate_stack(&self, reserve: u64, commit: u64) -> Result<Stack> {
        let absurd = Status(STATUS_INVALID_PARAMETER);
        let commit = align_up(commit.max(PAGE), PAGE).ok_or(absurd)?;
        let least = commit.checked_add(FLOOR).ok_or(absurd)?;
        let size = align_up(reserve.max(least), GRANULARITY).ok_or(absurd)?;
        if size > self.bounds.end {
            return Err(absurd);
        }
        let request = super::Allocation { size, ..Default::default() };
        let mut state = self.lock();
        let range =
            state.place(&self.bounds, &request, |base, size| host::map_new(base, size, libc::PROT_NONE))?;
        let base = range.base + range.size;
        let limit = base - commit;
        let mut stack = region::Region::new(range.base, range.size, region::Kind::Private, PAGE_READWRITE, 0);
        stack.stack = true;
        stack.set(limit, base, PAGE_READWRITE);
        stack.set(limit - PAGE, limit, GUARD);
        state.regions.insert(range.base, stack);
        if let Err(status) = host::protect(limit, commit, protect::host(PAGE_READWRITE, self.executes())) {
            state.regions.remove(&range.base);
            // The addresses are this function's alone; nothing more can be done if even that fails.
            let _ = host::unmap(range.base, range.size);
            return Err(status);
        }
        drop(state);
        self.changed(range.base, range.size);
        Ok(Stack { allocation_base: range.base, limit, base })
    }

    /// Makes a stack that nobody uses any more as good as new: what is committed is zero again. It is that stack, which may have
    /// grown. `None` if the guest has changed it otherwise, or it has overflowed; then it is to be freed.
    pub fn renew_stack(&self, stack: &Stack) -> Option<Stack> {
        // Under the lock: nobody takes pages away meanwhile.
        let state = self.lock();
        let (start, region) = state.region_at(stack.allocation_base).filter(|(_, region)| region.stack)?;
        let mut runs = region.runs().map(|(from, _, protect)| (from, protect));
        let parts = (runs.next()?, runs.next()?, runs.next()?, runs.next());
        let ((lowest, 0), (_, GUARD), (limit, PAGE_READWRITE), None) = parts else { return None };
        if lowest != stack.allocation_base || start != lowest || start + region.size != stack.base {
            return None;
        }
        let clean = limit.max(stack.base - TOP);
        if limit < clean {
            host::advise(limit, clean - limit, libc::MADV_DONTNEED).ok()?;
        }
        let size = usize::try_from(stack.base - clean).ok()?;
        // SAFETY: committed memory of a stack that nobody runs on.
        unsafe {
            core::ptr::with_exposed_provenance_mut::<u8>(usize::try_from(clean).ok()?).write_bytes(0, size)
        };
        Some(Stack { limit, ..*stack })
    }

    /// Takes an allocation that a thread runs on, though it was not made as a stack, for one: its guard pages make it grow from
    /// now on. That is how Windows sees stacks that a program has made for its coroutines and put into the TEB. `bottom` and `base` are
    /// the TEB's DeallocationStack and StackBase; nothing happens unless they bound one private allocation.
    pub fn adopt_stack(&self, bottom: u64, base: u64) {
        let mut state = self.lock();
        let Some((start, region)) = state.region_at_mut(bottom) else { return };
        if start == bottom && base.checked_sub(start).is_some_and(|size| size <= region.size) {
            region.stack |= region.kind == region::Kind::Private;
        }
    }

    /// Puts the last guard page of the stack that holds `sp` back in place after an overflow; what was kept for handlers is kept
    /// again. The new `StackLimit`; `None` if `sp` is on no stack or too far down.
    pub fn reset_stack(&self, sp: u64) -> Option<u64> {
        let mut state = self.lock();
        let (base, region) = state.region_at_mut(page_down(sp)).filter(|(_, region)| region.stack)?;
        let guard = base + FLOOR - PAGE;
        if page_down(sp) <= guard {
            return None;
        }
        if region.protect_at(guard) & PAGE_GUARD == 0 && region.protect_at(guard) != 0 {
            host::protect(base + PAGE, guard - base, libc::PROT_NONE).ok()?;
            region.set(base + PAGE, guard, 0);
            region.set(guard, guard + PAGE, GUARD);
            drop(state);
            self.changed(base + PAGE, guard - base);
            return Some(guard + PAGE);
        }
        // It is where it was: nothing has overflowed.
        let mut limit = guard + PAGE;
        while region.protect_at(limit) == 0 || region.protect_at(limit) & PAGE_GUARD != 0 {
            limit += PAGE;
        }
        Some(limit)
    }

    /// As [`Memory::grow_stack`], but leaves a stack alone that is full. The new `StackLimit` if it has grown.
    pub fn grow_stack_with_room(&self, address: u64) -> Option<u64> {
        let page = page_down(address);
        let state = self.lock();
        let (base, _) = state.region_at(page).filter(|(_, region)| region.stack)?;
        if page < base + FLOOR {
            return None;
        }
        drop(state);
        match self.grow_stack(address) {
            Growth::Grown(limit) => Some(limit),
            Growth::None | Growth::Overflow(_) => None,
        }
    }

    /// If `address` lies in the guard page of a stack made by [`Memory::allocate_stack`], commits it and moves the
    /// guard page down. For fault handlers, to be asked before [`Memory::take_guard_page`].
    pub fn grow_stack(&self, address: u64) -> Growth {
        let page = page_down(address);
        let mut state = self.lock();
        let Some((base, region)) = state.region_at_mut(page) else { return Growth::None };
        if !region.stack || region.protect_at(page) & PAGE_GUARD == 0 {
            return Growth::None;
        }
        // The lowest page stays reserved for good; then come the pages for handlers, and above them the last guard page. Where that
        // leaves no room for another guard, the stack is full.
        let floor = base + FLOOR;
        let limit = page.saturating_sub(STEP - PAGE).max(floor).min(page);
        let full = page < floor;
        let lowest = base + PAGE;
        let prot = protect::host(PAGE_READWRITE, self.executes());
        let (start, growth) =
            if full { (lowest, Growth::Overflow(lowest)) } else { (limit, Growth::Grown(limit)) };
        let reserved_below = start == page || region.all(start, page, |protect| protect == 0);
        let start = if reserved_below { start } else { page };
        if host::protect(start, page + PAGE - start, prot).is_err() {
            return Growth::None;
        }
        region.set(start, page + PAGE, PAGE_READWRITE);
        let growth = match growth {
            Growth::Grown(_) if region.protect_at(start - PAGE) == 0 => {
                region.set(start - PAGE, start, GUARD);
                Growth::Grown(start)
            }
            Growth::Grown(_) => Growth::Grown(start),
            other => other,
        };
        drop(state);
        self.changed(start - PAGE, page + 2 * PAGE - start);
        growth
    }
}
