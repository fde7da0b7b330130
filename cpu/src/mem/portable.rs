//! Guest accesses through the kernel, for hosts without an exception table: slower (a system call each), same results.
//!
//! Atomic operations check first that the page can be read, then operate in place: between the two another thread may
//! take the page away, and a page that is readable but not writable ends the process.

use core::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use super::BadAddress;
use crate::engine::Access;

/// Copies with `process_vm_readv` or `process_vm_writev` on this process; returns the number of bytes that went well.
fn transfer(local: *mut u8, address: u64, len: usize, access: Access) -> usize {
    // SAFETY: getpid has no preconditions.
    let pid = unsafe { libc::getpid() };
    let here = libc::iovec { iov_base: local.cast(), iov_len: len };
    let there = libc::iovec { iov_base: address as *mut libc::c_void, iov_len: len };
    // SAFETY: the kernel checks both ranges.
    let done = unsafe {
        match access {
            Access::Write => libc::process_vm_writev(pid, &here, 1, &there, 1, 0),
            Access::Read | Access::Execute => libc::process_vm_readv(pid, &here, 1, &there, 1, 0),
        }
    };
    usize::try_from(done).unwrap_or(0)
}

fn all(done: usize, address: u64, len: usize, access: Access) -> Result<(), BadAddress> {
    if done == len { Ok(()) } else { Err(BadAddress { address: address.wrapping_add(done as u64), access }) }
}

/// Copies from guest memory.
///
/// # Safety
/// `to` is writable for `len` bytes.
pub(super) unsafe fn copy_in(address: u64, to: *mut u8, len: usize) -> Result<(), BadAddress> {
    all(transfer(to, address, len, Access::Read), address, len, Access::Read)
}

/// Copies to guest memory.
///
/// # Safety
/// `from` is readable for `len` bytes.
pub(super) unsafe fn copy_out(address: u64, from: *const u8, len: usize) -> Result<(), BadAddress> {
    all(transfer(from.cast_mut(), address, len, Access::Write), address, len, Access::Write)
}

macro_rules! access {
    ($load:ident, $store:ident, $t:ty) => {
        pub(super) fn $load(address: u64) -> Result<$t, BadAddress> {
            let mut value = <$t>::default();
            // SAFETY: `value` is as large as what is read.
            unsafe { copy_in(address, (&raw mut value).cast(), size_of::<$t>()) }?;
            Ok(value)
        }

        pub(super) fn $store(address: u64, value: $t) -> Result<(), BadAddress> {
            // SAFETY: `value` is as large as what is written.
            unsafe { copy_out(address, (&raw const value).cast(), size_of::<$t>()) }
        }
    };
}
access!(load1, store1, u8);
access!(load2, store2, u16);
access!(load4, store4, u32);
access!(load8, store8, u64);
access!(load16, store16, [u64; 2]);

/// The word in place, if it is readable and aligned.
fn word<T>(address: u64) -> Result<*mut T, BadAddress> {
    load1(address).map_err(|bad| BadAddress { access: Access::Write, ..bad })?;
    let at = address as *mut T;
    if at.is_aligned() { Ok(at) } else { Err(BadAddress { address, access: Access::Write }) }
}

pub(super) fn swap4(address: u64, value: u32) -> Result<u32, BadAddress> {
    let at = word::<u32>(address)?;
    // SAFETY: aligned and mapped; see the module documentation for what remains.
    Ok(unsafe { AtomicU32::from_ptr(at) }.swap(value, Ordering::SeqCst))
}

pub(super) fn swap8(address: u64, value: u64) -> Result<u64, BadAddress> {
    let at = word::<u64>(address)?;
    // SAFETY: as above.
    Ok(unsafe { AtomicU64::from_ptr(at) }.swap(value, Ordering::SeqCst))
}

pub(super) fn add4(address: u64, value: u32) -> Result<u32, BadAddress> {
    let at = word::<u32>(address)?;
    // SAFETY: as above.
    Ok(unsafe { AtomicU32::from_ptr(at) }.fetch_add(value, Ordering::SeqCst))
}

pub(super) fn cas4(address: u64, old: u32, new: u32) -> Result<u32, BadAddress> {
    let at = word::<u32>(address)?;
    // SAFETY: as above.
    let done =
        unsafe { AtomicU32::from_ptr(at) }.compare_exchange(old, new, Ordering::SeqCst, Ordering::SeqCst);
    Ok(done.unwrap_or_else(|found| found))
}

pub(super) fn cas8(address: u64, old: u64, new: u64) -> Result<u64, BadAddress> {
    let at = word::<u64>(address)?;
    // SAFETY: as above.
    let done =
        unsafe { AtomicU64::from_ptr(at) }.compare_exchange(old, new, Ordering::SeqCst, Ordering::SeqCst);
    Ok(done.unwrap_or_else(|found| found))
}

/// Compares and exchanges 16 bytes: one at a time, which is atomic among callers of this function.
pub(super) fn cas16(address: u64, old: [u64; 2], new: [u64; 2]) -> Result<[u64; 2], BadAddress> {
    static ONE_AT_A_TIME: std::sync::Mutex<()> = std::sync::Mutex::new(());
    let _held = ONE_AT_A_TIME.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let found = load16(address)?;
    if found == old {
        store16(address, new)?;
    }
    Ok(found)
}

/// Writes to the byte at `address` without changing it; not atomic here.
pub(super) fn touch(address: u64) -> Result<(), BadAddress> {
    let byte = load1(address).map_err(|bad| BadAddress { access: Access::Write, ..bad })?;
    store1(address, byte)
}

/// Fills guest memory.
pub(super) fn fill(address: u64, byte: u8, len: usize) -> Result<(), BadAddress> {
    let block = [byte; 4096];
    let mut done = 0;
    while done < len {
        let step = (len - done).min(block.len());
        // SAFETY: `step` is at most the block's length.
        unsafe { copy_out(address.wrapping_add(done as u64), block.as_ptr(), step) }?;
        done += step;
    }
    Ok(())
}
