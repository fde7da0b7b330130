//! Fibers' host side: a host stack for each, and the switch from one to another.
//!
//! A fiber is guest code with a guest stack of its own that gives way only when it says so. Shims that guest code is inside of
//! have frames on the host stack; so each fiber has a host stack too, with the levels and frames that are linked from it, and
//! a switch exchanges them all: the processor's callee-saved registers and stack pointer, and the fields of the thread block that
//! describe them. To the engine nothing has happened.
//!
//! What does *not* live here: fibers as the guest knows them, their guest stacks and what of them is in the TEB.

use core::cell::UnsafeCell;
use core::ffi::c_void;
use core::ptr;
use std::io;

use crate::block::ThreadBlock;
use crate::engine::Level;
use crate::frame::Frame;

/// Where a new fiber's host stack begins. It never returns.
pub type Entry = unsafe extern "C" fn(usize) -> !;

/// What a thread block holds for the fiber that runs.
#[derive(Clone, Copy, Debug)]
struct Place {
    /// The host stack pointer, while the fiber does not run.
    sp: u64,
    host_sp: u64,
    guest_sp: u64,
    frame: *mut Frame,
    level: *mut Level,
}

impl Place {
    const NONE: Self =
        Self { sp: 0, host_sp: 0, guest_sp: 0, frame: ptr::null_mut(), level: ptr::null_mut() };
}

/// A host stack and the place where the fiber left it.
#[derive(Debug)]
pub struct HostFiber {
    place: UnsafeCell<Place>,
    /// The mapping of the stack, null for a thread's own.
    base: *mut c_void,
    len: usize,
}

// SAFETY: the place is touched in `switch` only, whose callers run a fiber on one thread at a time.
unsafe impl Send for HostFiber {}
// SAFETY: as above.
unsafe impl Sync for HostFiber {}

/// The page below a stack that nothing may touch, in bytes.
const GUARD: usize = 4096;

impl HostFiber {
    /// The fiber that the calling thread is: its stack is the thread's own.
    #[must_use]
    pub fn of_thread() -> Self {
        Self { place: UnsafeCell::new(Place::NONE), base: ptr::null_mut(), len: 0 }
    }

    /// A fiber with a fresh host stack of `size` bytes (of which only what is touched costs memory), whose guest stack begins
    /// below `guest_sp`. The first switch to it calls `entry(data)`.
    ///
    /// # Errors
    /// If the host has no memory left.
    pub fn new(size: usize, guest_sp: u64, entry: Entry, data: usize) -> io::Result<Self> {
        let len = size.next_multiple_of(GUARD) + GUARD;
        let (access, flags) = (
            libc::PROT_READ | libc::PROT_WRITE,
            libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE,
        );
        // SAFETY: a fresh mapping.
        let base = unsafe { libc::mmap(ptr::null_mut(), len, access, flags, -1, 0) };
        if base == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let fiber = Self { place: UnsafeCell::new(Place::NONE), base, len };
        // SAFETY: the lowest page of the mapping made above.
        if unsafe { libc::mprotect(base, GUARD, libc::PROT_NONE) } != 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the top of the mapping made above; nobody else knows the fiber yet.
        unsafe {
            let top = base.byte_add(len).cast::<u64>();
            let place = &mut *fiber.place.get();
            place.sp = raw::prepare(top, entry, data).expose_provenance() as u64;
            place.guest_sp = guest_sp;
        }
        Ok(fiber)
    }

    /// Whether the fiber, which does not run, is inside a shim that called guest code back.
    #[must_use]
    pub fn is_nested(&self) -> bool {
        // SAFETY: the fiber does not run, so nobody writes its place; its levels are on its host stack.
        unsafe { (*self.place.get()).level.as_ref().is_some_and(|level| !level.previous.is_null()) }
    }
}

impl Drop for HostFiber {
    fn drop(&mut self) {
        if !self.base.is_null() {
            // SAFETY: the mapping made in `new`, on which nothing runs any more.
            unsafe { libc::munmap(self.base, self.len) };
        }
    }
}

/// Leaves the fiber `from`, which is the calling one, and goes on in `to`. Returns when somebody switches to `from`: it may be
/// another thread that returns then.
///
/// # Safety
/// `block` is the calling thread's. Neither fiber runs elsewhere, and both live until they are switched away from again. The caller
/// may be abandoned, so it holds nothing that needs a destructor; and it keeps nothing that belongs to its thread.
#[inline(never)]
pub unsafe fn switch(block: *mut ThreadBlock, from: *const HostFiber, to: *const HostFiber) {
    // SAFETY: the caller's contract: both places are this call's alone.
    unsafe {
        let (b, left, next) = (&mut *block, &mut *(*from).place.get(), (*to).place.get().read());
        (left.host_sp, left.guest_sp, left.frame, left.level) = (b.host_sp, b.guest_sp, b.frame, b.level);
        (b.host_sp, b.guest_sp, b.frame, b.level) = (next.host_sp, next.guest_sp, next.frame, next.level);
        raw::switch(&raw mut left.sp, next.sp);
    }
}

/// The switch of stacks itself.
#[cfg(target_arch = "x86_64")]
mod raw {
    use super::Entry;
    use core::arch::naked_asm;

    /// Lays out a new stack as [`switch`] leaves one; returns the stack pointer.
    pub(super) unsafe fn prepare(top: *mut u64, entry: Entry, data: usize) -> *mut u64 {
        let words = [
            float_control(),
            0, // r15
            0, // r14
            data as u64,
            (entry as *const ()).expose_provenance() as u64,
            0, // rbx
            0, // rbp
            (begin as *const ()).expose_provenance() as u64,
        ];
        // SAFETY: the caller's fresh stack, whose top is a multiple of 16.
        unsafe {
            let sp = top.sub(words.len());
            sp.cast::<[u64; 8]>().write(words);
            sp
        }
    }

    /// MXCSR and the x87 control word of the calling thread, which a new fiber starts with, as [`switch`] keeps them.
    fn float_control() -> u64 {
        let (mut mxcsr, mut control) = (0u32, 0u16);
        // SAFETY: both store to a variable of the right size.
        unsafe {
            core::arch::asm!("stmxcsr [{}]", in(reg) &raw mut mxcsr, options(nostack));
            core::arch::asm!("fnstcw [{}]", in(reg) &raw mut control, options(nostack));
        }
        u64::from(mxcsr) | u64::from(control) << 32
    }

    /// Calls `r12(r13)`.
    #[unsafe(naked)]
    unsafe extern "C" fn begin() {
        naked_asm!("mov rdi, r13", "call r12", "ud2")
    }

    /// Saves the callee-saved registers, notes the stack pointer, and does the reverse on the other stack.
    #[unsafe(naked)]
    pub(super) unsafe extern "C" fn switch(left: *mut u64, next: u64) {
        naked_asm!(
            "push rbp",
            "push rbx",
            "push r12",
            "push r13",
            "push r14",
            "push r15",
            "sub rsp, 8",
            "stmxcsr [rsp]",
            "fnstcw [rsp + 4]",
            "mov [rdi], rsp",
            "mov rsp, rsi",
            "ldmxcsr [rsp]",
            "fldcw [rsp + 4]",
            "add rsp, 8",
            "pop r15",
            "pop r14",
            "pop r13",
            "pop r12",
            "pop rbx",
            "pop rbp",
            "ret",
        )
    }
}

/// The switch of stacks itself.
#[cfg(target_arch = "aarch64")]
mod raw {
    use super::Entry;
    use core::arch::naked_asm;

    /// Words that [`switch`] keeps on a stack: d8 to d15, x19 to x30, in pairs.
    const KEPT: usize = 20;

    /// Lays out a new stack as [`switch`] leaves one; returns the stack pointer.
    pub(super) unsafe fn prepare(top: *mut u64, entry: Entry, data: usize) -> *mut u64 {
        let mut words = [0u64; KEPT];
        words[8] = data as u64;
        words[9] = (entry as *const ()).expose_provenance() as u64;
        words[19] = (begin as *const ()).expose_provenance() as u64;
        // SAFETY: the caller's fresh stack, whose top is a multiple of 16.
        unsafe {
            let sp = top.sub(KEPT);
            sp.cast::<[u64; KEPT]>().write(words);
            sp
        }
    }

    /// Calls `x20(x19)`.
    #[unsafe(naked)]
    unsafe extern "C" fn begin() {
        naked_asm!("mov x0, x19", "blr x20", "brk #1")
    }

    /// Saves the callee-saved registers, notes the stack pointer, and does the reverse on the other stack.
    #[unsafe(naked)]
    pub(super) unsafe extern "C" fn switch(left: *mut u64, next: u64) {
        naked_asm!(
            "sub sp, sp, #160",
            "stp d8, d9, [sp]",
            "stp d10, d11, [sp, #16]",
            "stp d12, d13, [sp, #32]",
            "stp d14, d15, [sp, #48]",
            "stp x19, x20, [sp, #64]",
            "stp x21, x22, [sp, #80]",
            "stp x23, x24, [sp, #96]",
            "stp x25, x26, [sp, #112]",
            "stp x27, x28, [sp, #128]",
            "stp x29, x30, [sp, #144]",
            "mov x9, sp",
            "str x9, [x0]",
            "mov sp, x1",
            "ldp d8, d9, [sp]",
            "ldp d10, d11, [sp, #16]",
            "ldp d12, d13, [sp, #32]",
            "ldp d14, d15, [sp, #48]",
            "ldp x19, x20, [sp, #64]",
            "ldp x21, x22, [sp, #80]",
            "ldp x23, x24, [sp, #96]",
            "ldp x25, x26, [sp, #112]",
            "ldp x27, x28, [sp, #128]",
            "ldp x29, x30, [sp, #144]",
            "add sp, sp, #160",
            "ret",
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Pair {
        main: HostFiber,
        other: Option<HostFiber>,
        block: ThreadBlock,
        seen: Vec<u32>,
    }

    unsafe extern "C" fn counts(data: usize) -> ! {
        let pair = ptr::with_exposed_provenance_mut::<Pair>(data);
        let mut n = 0;
        loop {
            // SAFETY: the test's structure outlives the fiber, and one of the two fibers runs at a time.
            unsafe {
                (*pair).seen.push(n);
                n += 1;
                let other = (*pair).other.as_ref().map_or(ptr::null(), ptr::from_ref);
                switch(&raw mut (*pair).block, other, &raw const (*pair).main);
            }
        }
    }

    #[test]
    fn a_fiber_keeps_its_stack_and_the_blocks_fields() {
        // SAFETY: zeros are a valid block: null pointers and numbers.
        let block: ThreadBlock = unsafe { core::mem::zeroed() };
        let mut pair = Pair { main: HostFiber::of_thread(), other: None, block, seen: Vec::new() };
        pair.block.guest_sp = 11;
        let pair = &raw mut pair;
        // SAFETY: as in `counts`.
        unsafe {
            (*pair).other = HostFiber::new(64 << 10, 22, counts, pair.expose_provenance()).ok();
            for round in 0..3 {
                let other = (*pair).other.as_ref().map_or(ptr::null(), ptr::from_ref);
                assert!(!other.is_null(), "no memory for a stack");
                switch(&raw mut (*pair).block, &raw const (*pair).main, other);
                assert_eq!((*pair).seen.len(), round + 1);
                assert_eq!((*pair).block.guest_sp, 11);
            }
            assert_eq!((*pair).seen, [0, 1, 2]);
        }
    }
}
