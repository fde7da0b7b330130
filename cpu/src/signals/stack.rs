//! Alternate signal stacks: one per attached thread, aligned to its size, with the host's FS base in its first word.
//! Freed ones are kept for the next thread.

use core::cell::Cell;
use std::sync::Mutex;

/// Size and alignment of an alternate stack in bytes. The kernel's frame takes up to 12 KiB where AMX is in use.
pub(super) const ALT_STACK: usize = 64 * 1024;

static FREE: Mutex<Vec<usize>> = Mutex::new(Vec::new());

thread_local! {
    static OWN: Cell<usize> = const { Cell::new(0) };
}

/// Gives the calling thread its alternate stack.
pub(super) fn attach() -> Result<(), String> {
    if OWN.get() != 0 {
        return Ok(());
    }
    let free = FREE.lock().unwrap_or_else(std::sync::PoisonError::into_inner).pop();
    let base = match free {
        Some(base) => base,
        None => map().map_err(|e| format!("allocating a signal stack: {e}"))?,
    };
    let host_fs = host_fs_base();
    let stack = libc::stack_t {
        ss_sp: core::ptr::with_exposed_provenance_mut(base),
        ss_flags: 0,
        ss_size: ALT_STACK,
    };
    // SAFETY: `base` is a mapping of ALT_STACK bytes that this thread alone uses from now on.
    let done = unsafe {
        core::ptr::with_exposed_provenance_mut::<u64>(base).write(host_fs);
        libc::sigaltstack(&raw const stack, core::ptr::null_mut())
    };
    if done != 0 {
        return Err(format!("setting the signal stack: {}", std::io::Error::last_os_error()));
    }
    OWN.set(base);
    Ok(())
}

/// Takes the calling thread's alternate stack back.
pub(super) fn detach() {
    let base = OWN.replace(0);
    if base == 0 {
        return;
    }
    let off = libc::stack_t { ss_sp: core::ptr::null_mut(), ss_flags: libc::SS_DISABLE, ss_size: 0 };
    // SAFETY: not on the alternate stack (handlers do not detach threads).
    unsafe { libc::sigaltstack(&raw const off, core::ptr::null_mut()) };
    FREE.lock().unwrap_or_else(std::sync::PoisonError::into_inner).push(base);
}

/// The FS base that host code runs with: on x86-64 Linux the thread control block, whose first word is its address.
pub(crate) fn host_fs_base() -> u64 {
    let base: u64;
    // SAFETY: the ABI's TLS layout: the word at FS:0 is the FS base.
    unsafe { core::arch::asm!("mov {}, fs:[0]", out(reg) base, options(nostack, preserves_flags, readonly)) };
    base
}

/// Maps twice the size and keeps the aligned half.
fn map() -> std::io::Result<usize> {
    // SAFETY: a fresh mapping, of which the parts outside the aligned range are given back.
    unsafe {
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;
        let protection = libc::PROT_READ | libc::PROT_WRITE;
        let raw = libc::mmap(core::ptr::null_mut(), 2 * ALT_STACK, protection, flags, -1, 0);
        if raw == libc::MAP_FAILED {
            return Err(std::io::Error::last_os_error());
        }
        let start = raw.expose_provenance();
        let base = start.next_multiple_of(ALT_STACK);
        if base > start {
            libc::munmap(raw, base - start);
        }
        let tail = start + ALT_STACK - base;
        if tail > 0 {
            libc::munmap(raw.byte_add(base + ALT_STACK - start), tail);
        }
        Ok(base)
    }
}
