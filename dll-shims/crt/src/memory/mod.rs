//! `memory.h`: blocks of bytes and of wide characters.

use transom_sdk::{Crt, Cx, Ptr, mem, shim};

/// Microsoft's `EINVAL` and `ERANGE`.
const EINVAL: i32 = 22;
const ERANGE: i32 = 34;

/// Copies bytes between buffers that may overlap.
#[shim(msvcrt(memmove, memcpy), ucrtbase(memmove, memcpy), vcruntime140(memmove, memcpy), leaf = transom_cpu::leaf::memory::memmove)]
fn memmove(to: Ptr<u8>, from: Ptr<u8>, len: usize) -> Crt<Ptr<u8>> {
    mem::copy_within(to.addr(), from.addr(), len)?;
    Ok(to)
}

/// Sets bytes to a value.
#[shim(msvcrt, ucrtbase, vcruntime140, leaf = transom_cpu::leaf::memory::memset)]
fn memset(to: Ptr<u8>, value: u8, len: usize) -> Crt<Ptr<u8>> {
    mem::fill(to.addr(), value, len)?;
    Ok(to)
}

/// Reads a range piece by piece and hands the pieces to `look` until it has an answer.
fn scan<T>(at: u64, len: usize, mut look: impl FnMut(u64, &[u8]) -> Option<T>) -> Crt<Option<T>> {
    let mut piece = [0u8; 1024];
    let mut done = 0;
    while done < len {
        let here = at.wrapping_add(done as u64);
        // Up to the next kilobyte boundary, so that no byte beyond the answer's page is touched.
        let room = piece.len() - (here % 1024) as usize;
        let n = room.min(len - done);
        mem::copy_in(here, &mut piece[..n])?;
        if let Some(found) = look(here, &piece[..n]) {
            return Ok(Some(found));
        }
        done += n;
    }
    Ok(None)
}

/// Compares bytes.
#[shim(msvcrt, ucrtbase, vcruntime140, leaf = transom_cpu::leaf::memory::memcmp)]
fn memcmp(first: Ptr<u8>, second: Ptr<u8>, len: usize) -> Crt<i32> {
    let answer = scan(first.addr(), len, |at, piece| {
        let offset = at.wrapping_sub(first.addr());
        match mem::compare(second.addr().wrapping_add(offset), piece) {
            Ok(std::cmp::Ordering::Equal) => None,
            other => Some(other),
        }
    })?;
    match answer {
        None => Ok(0),
        // `compare` looks at the second block from the first one's point of view.
        Some(ordering) => Ok(-(ordering? as i32)),
    }
}

/// Finds a byte.
#[shim(msvcrt, ucrtbase, vcruntime140, leaf = transom_cpu::leaf::memory::memchr)]
fn memchr(block: Ptr<u8>, value: u8, len: usize) -> Crt<Ptr<u8>> {
    let found =
        scan(block.addr(), len, |at, piece| piece.iter().position(|&b| b == value).map(|i| at + i as u64))?;
    Ok(Ptr::new(found.unwrap_or(0)))
}

/// Copies bytes up to and including a value; returns the address after it in the target, or NULL.
#[shim(msvcrt, ucrtbase)]
fn _memccpy(to: Ptr<u8>, from: Ptr<u8>, value: u8, len: usize) -> Crt<Ptr<u8>> {
    let end = memchr(from, value, len)?;
    let count =
        if end.is_null() { len } else { usize::try_from(end.addr() - from.addr()).unwrap_or(len) + 1 };
    mem::copy_within(to.addr(), from.addr(), count)?;
    Ok(if end.is_null() { Ptr::NULL } else { to.byte_add(count as u64) })
}

/// Compares bytes without regard to the case of ASCII letters.
#[shim(msvcrt, ucrtbase)]
fn _memicmp(first: Ptr<u8>, second: Ptr<u8>, len: usize) -> Crt<i32> {
    let answer = scan(first.addr(), len, |at, piece| {
        let offset = at.wrapping_sub(first.addr());
        let other = match second.byte_add(offset).read_slice(piece.len()) {
            Ok(other) => other,
            Err(bad) => return Some(Err(bad)),
        };
        let difference =
            |(a, b): (&u8, &u8)| i32::from(a.to_ascii_lowercase()) - i32::from(b.to_ascii_lowercase());
        piece.iter().zip(&other).map(difference).find(|&d| d != 0).map(Ok)
    })?;
    Ok(answer.transpose()?.unwrap_or(0))
}

/// Copies bytes into a buffer of known size. Returns an error number.
#[shim(msvcrt(memcpy_s, memmove_s), ucrtbase(memcpy_s, memmove_s))]
fn memcpy_s(cx: &Cx, to: Ptr<u8>, size: usize, from: Ptr<u8>, len: usize) -> Crt<i32> {
    if len == 0 {
        return Ok(0);
    }
    let error = if to.is_null() {
        EINVAL
    } else if from.is_null() || len > size {
        mem::fill(to.addr(), 0, size)?;
        if from.is_null() { EINVAL } else { ERANGE }
    } else {
        mem::copy_within(to.addr(), from.addr(), len)?;
        return Ok(0);
    };
    cx.set_errno(error);
    Ok(error)
}

/// Copies wide characters between buffers that may overlap.
#[shim(msvcrt(wmemcpy, wmemmove), ucrtbase(wmemcpy, wmemmove))]
fn wmemmove(to: Ptr<u16>, from: Ptr<u16>, len: usize) -> Crt<Ptr<u16>> {
    mem::copy_within(to.addr(), from.addr(), len.saturating_mul(2))?;
    Ok(to)
}

/// Copies wide characters into a buffer of known size. Returns an error number.
#[shim(msvcrt(wmemcpy_s, wmemmove_s), ucrtbase(wmemcpy_s, wmemmove_s))]
fn wmemcpy_s(cx: &Cx, to: Ptr<u16>, size: usize, from: Ptr<u16>, len: usize) -> Crt<i32> {
    memcpy_s(cx, to.cast(), size.saturating_mul(2), from.cast(), len.saturating_mul(2))
}
