//! Guarded access to guest memory.
//!
//! Shims never trust a guest pointer: every load and store of guest data goes through here, and a page that is not
//! there (or not with the needed permission) comes back as a [`BadAddress`] instead of a crash. A word costs one
//! instruction and a test; nothing is looked up beforehand. On x86-64 hosts a fault inside one of these accesses is
//! recognised by its instruction pointer, through a table that the linker collects, and the signal handler
//! (`signals`) moves on to the error path. Other hosts ask the kernel to do the copy (`process_vm_readv`).
//!
//! What does *not* live here: knowledge of what is mapped (`syscalls`), and the layouts of guest structures (the SDK).

use crate::engine::Access;

#[cfg(any(not(target_arch = "x86_64"), test))]
#[cfg_attr(test, allow(dead_code, reason = "tested here, but used on other hosts"))]
mod portable;
mod strings;
#[cfg(target_arch = "x86_64")]
mod x86_64;

#[cfg(not(target_arch = "x86_64"))]
use portable as host;
#[cfg(target_arch = "x86_64")]
use x86_64 as host;

#[cfg(target_arch = "x86_64")]
pub use x86_64::{ExceptionTable, fix_up, own_table, register_table, table_of};

pub use strings::{find8, read_cstr, read_wstr, strlen8, strlen16};

/// Guest memory that could not be accessed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadAddress {
    /// The first address that could not be accessed (all ones for an address that is not canonical).
    pub address: u64,
    /// What was tried.
    pub access: Access,
}

impl std::fmt::Display for BadAddress {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let what = match self.access {
            Access::Read => "read",
            Access::Write => "written",
            Access::Execute => "executed",
        };
        write!(f, "guest memory at {:#x} cannot be {what}", self.address)
    }
}

impl std::error::Error for BadAddress {}

/// Types that may be copied to and from guest memory byte by byte.
///
/// # Safety
/// Every bit pattern is a value, and there are no padding bytes, pointers or interior mutability.
pub unsafe trait Plain: Copy + 'static {}

macro_rules! plain {
    ($($t:ty),*) => {$(
        // SAFETY: a number: every bit pattern is a value, without padding.
        unsafe impl Plain for $t {}
    )*};
}
plain!(u8, i8, u16, i16, u32, i32, u64, i64, u128, i128, usize, isize, f32, f64);

// SAFETY: an array has no padding beside its elements'.
unsafe impl<T: Plain, const N: usize> Plain for [T; N] {}

/// Reads one value. Need not be aligned.
///
/// # Errors
/// The address that cannot be read.
#[inline]
pub fn read<T: Plain>(address: u64) -> Result<T, BadAddress> {
    let mut value = core::mem::MaybeUninit::<T>::uninit();
    let to = value.as_mut_ptr();
    // SAFETY: `to` is writable for the size of T; the branches match it (the compiler keeps one of them); on success
    // all bytes were written and any bytes make a T (Plain).
    unsafe {
        match size_of::<T>() {
            0 => {}
            1 => to.cast::<u8>().write_unaligned(host::load1(address)?),
            2 => to.cast::<u16>().write_unaligned(host::load2(address)?),
            4 => to.cast::<u32>().write_unaligned(host::load4(address)?),
            8 => to.cast::<u64>().write_unaligned(host::load8(address)?),
            16 => to.cast::<[u64; 2]>().write_unaligned(host::load16(address)?),
            n => host::copy_in(address, to.cast(), n)?,
        }
        Ok(value.assume_init())
    }
}

/// Writes one value. Need not be aligned.
///
/// # Errors
/// The address that cannot be written; bytes before it may have been.
#[inline]
pub fn write<T: Plain>(address: u64, value: &T) -> Result<(), BadAddress> {
    let from: *const T = value;
    // SAFETY: `from` is readable for the size of T, which the branches match, and has no padding (Plain).
    unsafe {
        match size_of::<T>() {
            0 => Ok(()),
            1 => host::store1(address, from.cast::<u8>().read_unaligned()),
            2 => host::store2(address, from.cast::<u16>().read_unaligned()),
            4 => host::store4(address, from.cast::<u32>().read_unaligned()),
            8 => host::store8(address, from.cast::<u64>().read_unaligned()),
            16 => host::store16(address, from.cast::<[u64; 2]>().read_unaligned()),
            n => host::copy_out(address, from.cast(), n),
        }
    }
}

/// Writes words, each from a register: for those that have just been computed, which the processor would wait for if they were
/// first put together in memory.
///
/// # Errors
/// The first address that cannot be written; words before it have been.
#[inline]
pub fn write_words<const N: usize>(address: u64, words: [u64; N]) -> Result<(), BadAddress> {
    (address..).step_by(8).zip(words).try_for_each(|(at, word)| host::store8(at, word))
}

/// Reads words, each into a register.
///
/// # Errors
/// The first address that cannot be read.
#[inline]
pub fn read_words<const N: usize>(address: u64) -> Result<[u64; N], BadAddress> {
    let mut words = [0; N];
    for (word, at) in words.iter_mut().zip((address..).step_by(8)) {
        *word = host::load8(at)?;
    }
    Ok(words)
}

/// Fills the buffer from guest memory.
///
/// # Errors
/// The first address that cannot be read; the buffer's contents are unspecified then.
#[inline]
pub fn copy_in(address: u64, buffer: &mut [u8]) -> Result<(), BadAddress> {
    // SAFETY: the slice is writable for its length.
    unsafe { host::copy_in(address, buffer.as_mut_ptr(), buffer.len()) }
}

/// Writes the bytes to guest memory.
///
/// # Errors
/// The first address that cannot be written; bytes before it may have been.
#[inline]
pub fn copy_out(address: u64, bytes: &[u8]) -> Result<(), BadAddress> {
    // SAFETY: the slice is readable for its length.
    unsafe { host::copy_out(address, bytes.as_ptr(), bytes.len()) }
}

/// Reads `count` values. Memory is taken in steps as the guest's turns out to be there, so an absurd count costs nothing.
///
/// # Errors
/// The first address that cannot be read, or the start of the range if the host has no memory for it.
pub fn read_vec<T: Plain>(address: u64, count: usize) -> Result<Vec<T>, BadAddress> {
    const STEP: usize = 1 << 20;
    let bad = BadAddress { address, access: Access::Read };
    let mut out: Vec<T> = Vec::new();
    let size = size_of::<T>();
    if size == 0 {
        return Err(bad);
    }
    while out.len() < count {
        let step = (count - out.len()).min((STEP / size).max(1).max(out.len()));
        out.try_reserve_exact(step).map_err(|_| bad)?;
        let at = address.wrapping_add((out.len() * size) as u64);
        // SAFETY: room for `step` more values was reserved; they count only once all their bytes are written.
        unsafe {
            host::copy_in(at, out.as_mut_ptr().add(out.len()).cast(), step * size)?;
            out.set_len(out.len() + step);
        }
    }
    Ok(out)
}

/// Reads `len` bytes into a new buffer; see [`read_vec`].
///
/// # Errors
/// As [`read_vec`].
pub fn copy_in_vec(address: u64, len: usize) -> Result<Vec<u8>, BadAddress> {
    read_vec(address, len)
}

/// Writes the values one after another.
///
/// # Errors
/// The first address that cannot be written; bytes before it may have been.
#[inline]
pub fn write_slice<T: Plain>(address: u64, values: &[T]) -> Result<(), BadAddress> {
    // SAFETY: the slice is readable for its size in bytes and has no padding (Plain).
    unsafe { host::copy_out(address, values.as_ptr().cast(), size_of_val(values)) }
}

/// Sets `len` bytes to `byte`.
///
/// # Errors
/// The first address that cannot be written; bytes before it may have been.
pub fn fill(address: u64, byte: u8, len: usize) -> Result<(), BadAddress> {
    host::fill(address, byte, len)
}

/// Moves `len` bytes inside guest memory; the ranges may overlap.
///
/// # Errors
/// The address that cannot be read or written; part of the range may have been moved.
pub fn copy_within(to: u64, from: u64, len: usize) -> Result<(), BadAddress> {
    let mut buffer = [0u8; 4096];
    let backwards = to.wrapping_sub(from) < len as u64;
    let mut done = 0;
    while done < len {
        let step = (len - done).min(buffer.len());
        let offset = if backwards { len - done - step } else { done } as u64;
        copy_in(from.wrapping_add(offset), &mut buffer[..step])?;
        copy_out(to.wrapping_add(offset), &buffer[..step])?;
        done += step;
    }
    Ok(())
}

/// Compares guest memory with the bytes, as `memcmp` does.
///
/// # Errors
/// The first address that cannot be read.
pub fn compare(address: u64, bytes: &[u8]) -> Result<core::cmp::Ordering, BadAddress> {
    let mut buffer = [0u8; 1024];
    for (i, chunk) in bytes.chunks(buffer.len()).enumerate() {
        let guest = &mut buffer[..chunk.len()];
        copy_in(address.wrapping_add((i * 1024) as u64), guest)?;
        let order = (*guest).cmp(chunk);
        if order.is_ne() {
            return Ok(order);
        }
    }
    Ok(core::cmp::Ordering::Equal)
}

/// Whether every page of the range can be read now.
///
/// # Errors
/// The first address that cannot be read.
pub fn probe_read(address: u64, len: usize) -> Result<(), BadAddress> {
    let Some(last) = (len as u64).checked_sub(1) else { return Ok(()) };
    let end = address.checked_add(last).ok_or(BadAddress { address: u64::MAX, access: Access::Read })?;
    let mut at = address;
    loop {
        read::<u8>(at)?;
        match (at | 0xFFF).checked_add(1) {
            Some(next) if next <= end => at = next,
            _ => return Ok(()),
        }
    }
}

/// Whether every page of the range can be written now (each is touched without changing it, atomically).
///
/// # Errors
/// The first address that cannot be written.
pub fn probe_write(address: u64, len: usize) -> Result<(), BadAddress> {
    let Some(last) = (len as u64).checked_sub(1) else { return Ok(()) };
    let end = address.checked_add(last).ok_or(BadAddress { address: u64::MAX, access: Access::Write })?;
    let mut at = address;
    loop {
        host::touch(at)?;
        match (at | 0xFFF).checked_add(1) {
            Some(next) if next <= end => at = next,
            _ => return Ok(()),
        }
    }
}

/// Sequentially consistent operations on naturally aligned guest words.
pub mod atomic {
    use super::{BadAddress, host};

    /// Loads a 32-bit word.
    ///
    /// # Errors
    /// The address that cannot be read.
    #[inline]
    pub fn load32(address: u64) -> Result<u32, BadAddress> {
        host::load4(address)
    }

    /// Loads a 64-bit word.
    ///
    /// # Errors
    /// The address that cannot be read.
    #[inline]
    pub fn load64(address: u64) -> Result<u64, BadAddress> {
        host::load8(address)
    }

    /// Replaces a 32-bit word and returns what was there.
    ///
    /// # Errors
    /// The address that cannot be written.
    #[inline]
    pub fn swap32(address: u64, value: u32) -> Result<u32, BadAddress> {
        host::swap4(address, value)
    }

    /// Replaces a 64-bit word and returns what was there.
    ///
    /// # Errors
    /// The address that cannot be written.
    #[inline]
    pub fn swap64(address: u64, value: u64) -> Result<u64, BadAddress> {
        host::swap8(address, value)
    }

    /// Adds to a 32-bit word, wrapping, and returns what was there.
    ///
    /// # Errors
    /// The address that cannot be written.
    #[inline]
    pub fn add32(address: u64, value: u32) -> Result<u32, BadAddress> {
        host::add4(address, value)
    }

    /// Stores `new` if the 32-bit word is `old`; returns what was there.
    ///
    /// # Errors
    /// The address that cannot be written.
    #[inline]
    pub fn compare_exchange32(address: u64, old: u32, new: u32) -> Result<u32, BadAddress> {
        host::cas4(address, old, new)
    }

    /// Stores `new` if the 64-bit word is `old`; returns what was there.
    ///
    /// # Errors
    /// The address that cannot be written.
    #[inline]
    pub fn compare_exchange64(address: u64, old: u64, new: u64) -> Result<u64, BadAddress> {
        host::cas8(address, old, new)
    }

    /// Stores `new` if the 16 bytes (low half first) are `old`; returns what was there. The address is a multiple of 16.
    /// On hosts without such an instruction only callers of this function see each other's exchanges as atomic.
    ///
    /// # Errors
    /// The address that cannot be written; also an address that is not aligned.
    pub fn compare_exchange128(address: u64, old: [u64; 2], new: [u64; 2]) -> Result<[u64; 2], BadAddress> {
        if !address.is_multiple_of(16) {
            return Err(BadAddress { address, access: super::Access::Write });
        }
        host::cas16(address, old, new)
    }
}

#[cfg(test)]
mod tests;
