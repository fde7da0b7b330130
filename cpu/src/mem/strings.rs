//! Zero-terminated guest strings: lengths and copies. Aligned 16-byte loads never cross a page, so looking a little
//! before and after a string touches no page that the string itself does not.

use super::{BadAddress, host, read, read_vec};

/// A bit per byte of the block that is zero (lowest bit first).
#[inline]
fn zero_bytes(block: [u64; 2]) -> u32 {
    zeros(u128::from(block[0]) | u128::from(block[1]) << 64, false)
}

/// A bit per byte of the block that belongs to a zero 16-bit unit (lowest bit first).
#[inline]
fn zero_units(block: [u64; 2]) -> u32 {
    zeros(u128::from(block[0]) | u128::from(block[1]) << 64, true)
}

#[cfg(target_arch = "x86_64")]
#[inline]
fn zeros(block: u128, units: bool) -> u32 {
    use core::arch::x86_64::{
        __m128i, _mm_cmpeq_epi8, _mm_cmpeq_epi16, _mm_loadu_si128, _mm_movemask_epi8, _mm_setzero_si128,
    };
    // SAFETY: SSE2 is part of x86-64; the load is of 16 bytes that are there.
    unsafe {
        let v = _mm_loadu_si128((&raw const block).cast::<__m128i>());
        let zero = _mm_setzero_si128();
        let equal = if units { _mm_cmpeq_epi16(v, zero) } else { _mm_cmpeq_epi8(v, zero) };
        _mm_movemask_epi8(equal).cast_unsigned()
    }
}

#[cfg(not(target_arch = "x86_64"))]
fn zeros(block: u128, units: bool) -> u32 {
    let size = if units { 2 } else { 1 };
    let mut mask = 0;
    for (i, unit) in block.to_le_bytes().chunks(size).enumerate() {
        if unit.iter().all(|&b| b == 0) {
            mask |= ((1 << size) - 1) << (i * size);
        }
    }
    mask
}

/// Offset in bytes of the first block bit that `find` sets, at or after `address`; `None` if it is at or past `limit`
/// bytes. Faults before `address` are reported as at `address`.
#[inline]
fn scan(address: u64, limit: u64, find: impl Fn([u64; 2]) -> u32) -> Result<Option<u64>, BadAddress> {
    let mut block = address & !15;
    let mut mask = u32::MAX << (address - block);
    loop {
        let found =
            find(host::load16(block).map_err(|bad| BadAddress { address: bad.address.max(address), ..bad })?);
        let found = found & mask;
        if found != 0 {
            let offset = (block + u64::from(found.trailing_zeros())) - address;
            return Ok((offset < limit).then_some(offset));
        }
        block = block.wrapping_add(16);
        if block.wrapping_sub(address) >= limit || block == 0 {
            return Ok(None);
        }
        mask = u32::MAX;
    }
}

/// Offset of the first byte of that value within `max` bytes of `address`, if there is one.
///
/// # Errors
/// The first address that cannot be read.
pub fn find8(address: u64, byte: u8, max: usize) -> Result<Option<usize>, BadAddress> {
    if max == 0 {
        return Ok(None);
    }
    let pattern = u64::from_ne_bytes([byte; 8]);
    let found = scan(address, max as u64, |[low, high]| zero_bytes([low ^ pattern, high ^ pattern]))?;
    // Below `max`, so it fits.
    Ok(found.and_then(|offset| usize::try_from(offset).ok()))
}

/// Length in bytes of the string at `address`, without its terminator, or `max` if there is none within `max` bytes.
///
/// # Errors
/// The first address that cannot be read.
pub fn strlen8(address: u64, max: usize) -> Result<usize, BadAddress> {
    if max == 0 {
        return Ok(0);
    }
    let found = scan(address, max as u64, zero_bytes)?;
    Ok(found.and_then(|n| usize::try_from(n).ok()).unwrap_or(max))
}

/// Length in 16-bit units of the string at `address`, without its terminator, or `max` if there is none within `max`
/// units. The string need not be aligned.
///
/// # Errors
/// The first address that cannot be read.
pub fn strlen16(address: u64, max: usize) -> Result<usize, BadAddress> {
    if max == 0 {
        return Ok(0);
    }
    if !address.is_multiple_of(2) {
        let mut len = 0;
        while len < max && read::<u16>(address.wrapping_add(2 * len as u64))? != 0 {
            len += 1;
        }
        return Ok(len);
    }
    let found = scan(address, (max as u64).saturating_mul(2), zero_units)?;
    Ok(found.and_then(|n| usize::try_from(n / 2).ok()).unwrap_or(max))
}

/// The bytes of the string at `address`, without its terminator, cut off at `max` bytes.
///
/// # Errors
/// The first address that cannot be read.
pub fn read_cstr(address: u64, max: usize) -> Result<Vec<u8>, BadAddress> {
    read_vec(address, strlen8(address, max)?)
}

/// The 16-bit units of the string at `address`, without its terminator, cut off at `max` units.
///
/// # Errors
/// The first address that cannot be read.
pub fn read_wstr(address: u64, max: usize) -> Result<Vec<u16>, BadAddress> {
    read_vec(address, strlen16(address, max)?)
}
