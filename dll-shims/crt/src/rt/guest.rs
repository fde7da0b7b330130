//! Strings in guest memory, in pieces that never reach beyond the page of a byte that is needed, so that a string at the end
//! of its memory does not fault.

use transom_sdk::{BadAddress, Ptr, mem};

use crate::unit::Unit;

/// Bytes of a piece.
pub(crate) const PIECE: usize = 256;
const PAGE: u64 = 4096;

/// Elements of a string that guest memory can hold.
pub(crate) trait GuestUnit: Unit + mem::Plain {
    /// Bytes of an element.
    const BYTES: u64;
    /// Length of the string at `at`, at most `max` units.
    fn length(at: u64, max: usize) -> Result<usize, BadAddress>;
}

impl GuestUnit for u8 {
    const BYTES: u64 = 1;
    fn length(at: u64, max: usize) -> Result<usize, BadAddress> {
        mem::strlen8(at, max)
    }
}

impl GuestUnit for u16 {
    const BYTES: u64 = 2;
    fn length(at: u64, max: usize) -> Result<usize, BadAddress> {
        mem::strlen16(at, max)
    }
}

/// The string at `at` without its NUL.
pub(crate) fn string<U: GuestUnit>(at: u64) -> Result<Vec<U>, BadAddress> {
    let length = U::length(at, usize::MAX)?;
    mem::read_vec(at, length)
}

/// The string at `at` without its NUL, at most `max` units of it.
pub(crate) fn string_max<U: GuestUnit>(at: u64, max: usize) -> Result<Vec<U>, BadAddress> {
    let length = U::length(at, max)?;
    mem::read_vec(at, length)
}

/// Writes units and a NUL.
pub(crate) fn put<U: GuestUnit>(at: u64, text: &[U]) -> Result<(), BadAddress> {
    mem::write_slice(at, text)?;
    mem::write(at + text.len() as u64 * U::BYTES, &U::NUL)
}

/// Units from `at` to the end of its page, at most as many as `to` holds. Returns how many were read.
pub(crate) fn piece<U: GuestUnit>(at: u64, to: &mut [U]) -> Result<usize, BadAddress> {
    let in_page = (PAGE - at % PAGE) / U::BYTES;
    // A unit that crosses the page's end is read alone.
    let count = usize::try_from(in_page).unwrap_or(1).clamp(1, to.len().max(1)).min(to.len());
    for (i, slot) in to[..count].iter_mut().enumerate().take(if count < 8 { count } else { 0 }) {
        *slot = mem::read(at + i as u64 * U::BYTES)?;
    }
    if count >= 8 {
        let read: &mut [U] = &mut to[..count];
        // SAFETY: `U` is plain data: any bytes make one, and its bytes may be written.
        let bytes =
            unsafe { core::slice::from_raw_parts_mut(read.as_mut_ptr().cast::<u8>(), size_of_val(read)) };
        mem::copy_in(at, bytes)?;
    }
    Ok(count)
}

/// Copies units until a NUL or until `to` is full; returns how many.
pub(crate) fn copy_until_nul<U: GuestUnit>(at: u64, to: &mut [U]) -> Result<usize, BadAddress> {
    let mut done = 0;
    while done < to.len() {
        let n = piece(at + done as u64 * U::BYTES, &mut to[done..])?;
        if let Some(end) = to[done..done + n].iter().position(|u| *u == U::NUL) {
            return Ok(done + end);
        }
        done += n;
    }
    Ok(done)
}

/// Compares two strings unit by unit after `map`, at most `max` units: the difference of the first pair that differs, by sign.
pub(crate) fn compare<U: GuestUnit>(
    a: u64,
    b: u64,
    max: usize,
    map: impl Fn(U) -> u32,
) -> Result<i32, BadAddress> {
    let (mut left, mut right) = ([U::NUL; PIECE], [U::NUL; PIECE]);
    let mut done = 0;
    // Most comparisons are decided by the first units.
    let mut step = 16;
    while done < max {
        let offset = done as u64 * U::BYTES;
        let room = step.min(max - done);
        let n = piece(a + offset, &mut left[..room])?;
        let n = piece(b + offset, &mut right[..n])?;
        for (l, r) in left[..n].iter().zip(&right[..n]) {
            let (x, y) = (map(*l), map(*r));
            if x != y {
                return Ok(if x < y { -1 } else { 1 });
            }
            if *l == U::NUL {
                return Ok(0);
            }
        }
        done += n;
        step = PIECE;
    }
    Ok(0)
}

/// Index of the first unit for which `found` holds, or of the NUL; at most `max`. The second value says whether it was found.
pub(crate) fn find<U: GuestUnit>(
    at: u64,
    max: usize,
    found: impl Fn(U) -> bool,
) -> Result<(usize, bool), BadAddress> {
    let mut buffer = [U::NUL; PIECE];
    let mut done = 0;
    while done < max {
        let room = PIECE.min(max - done);
        let n = piece(at + done as u64 * U::BYTES, &mut buffer[..room])?;
        for (i, u) in buffer[..n].iter().enumerate() {
            if found(*u) {
                return Ok((done + i, true));
            }
            if *u == U::NUL {
                return Ok((done + i, false));
            }
        }
        done += n;
    }
    Ok((max, false))
}

/// The address of unit `index` of the string.
pub(crate) fn unit_at<U: GuestUnit>(string: Ptr<U>, index: usize) -> Ptr<U> {
    string.byte_add(index as u64 * U::BYTES)
}
