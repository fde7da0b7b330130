//! Blocks of memory.

use transom_sdk::{Crt, Cx, Ptr, mem, shim};

use crate::rt::errno::{EINVAL, ERANGE};
use crate::rt::invalid::invalid;

/// Copies bytes.
#[shim(msvcrt, ucrtbase, vcruntime140)]
fn memcpy(to: Ptr<u8>, from: Ptr<u8>, count: usize) -> Crt<Ptr<u8>> {
    mem::copy_within(to.addr(), from.addr(), count)?;
    Ok(to)
}

/// Copies bytes between ranges that may overlap.
#[shim(msvcrt, ucrtbase, vcruntime140)]
fn memmove(to: Ptr<u8>, from: Ptr<u8>, count: usize) -> Crt<Ptr<u8>> {
    mem::copy_within(to.addr(), from.addr(), count)?;
    Ok(to)
}

/// Sets bytes.
#[shim(msvcrt, ucrtbase, vcruntime140)]
fn memset(to: Ptr<u8>, value: i32, count: usize) -> Crt<Ptr<u8>> {
    mem::fill(to.addr(), value.to_le_bytes()[0], count)?;
    Ok(to)
}

/// Compares up to `count` bytes after `map`.
fn compare(a: u64, b: u64, count: usize, map: impl Fn(u8) -> u8) -> Crt<i32> {
    let (mut x, mut y) = ([0u8; 256], [0u8; 256]);
    let mut done = 0;
    while done < count {
        let n = x.len().min(count - done);
        mem::copy_in(a + done as u64, &mut x[..n])?;
        mem::copy_in(b + done as u64, &mut y[..n])?;
        for (l, r) in x[..n].iter().zip(&y[..n]) {
            let (l, r) = (map(*l), map(*r));
            if l != r {
                return Ok(if l < r { -1 } else { 1 });
            }
        }
        done += n;
    }
    Ok(0)
}

/// Compares bytes.
#[shim(msvcrt, ucrtbase, vcruntime140)]
fn memcmp(a: Ptr<u8>, b: Ptr<u8>, count: usize) -> Crt<i32> {
    compare(a.addr(), b.addr(), count, |b| b)
}

/// Compares bytes without regard to case.
#[shim(msvcrt(_memicmp, memicmp), ucrtbase(_memicmp, memicmp))]
fn _memicmp(a: Ptr<u8>, b: Ptr<u8>, count: usize) -> Crt<i32> {
    compare(a.addr(), b.addr(), count, |b| b.to_ascii_lowercase())
}

/// Compares bytes without regard to case.
#[shim(msvcrt, ucrtbase)]
fn _memicmp_l(a: Ptr<u8>, b: Ptr<u8>, count: usize, locale: Ptr<u8>) -> Crt<i32> {
    let _ = locale;
    compare(a.addr(), b.addr(), count, |b| b.to_ascii_lowercase())
}

/// Index of a byte in a range; the range need not all be readable if the byte comes first.
fn position(at: u64, count: usize, value: u8) -> Crt<Option<usize>> {
    let mut block = [0u8; 256];
    let mut done = 0;
    while done < count {
        let room = block.len().min(count - done);
        let n = crate::rt::guest::piece(at + done as u64, &mut block[..room])?;
        if let Some(i) = block[..n].iter().position(|b| *b == value) {
            return Ok(Some(done + i));
        }
        done += n;
    }
    Ok(None)
}

/// Finds a byte.
#[shim(msvcrt, ucrtbase, vcruntime140)]
fn memchr(block: Ptr<u8>, value: i32, count: usize) -> Crt<Ptr<u8>> {
    let found = position(block.addr(), count, value.to_le_bytes()[0])?;
    Ok(found.map_or(Ptr::NULL, |i| block.byte_add(i as u64)))
}

/// Copies bytes up to and with a given one; returns what follows it in the copy.
#[shim(msvcrt(_memccpy, memccpy), ucrtbase(_memccpy, memccpy))]
fn _memccpy(to: Ptr<u8>, from: Ptr<u8>, value: i32, count: usize) -> Crt<Ptr<u8>> {
    let found = position(from.addr(), count, value.to_le_bytes()[0])?;
    let n = found.map_or(count, |i| i + 1);
    mem::copy_within(to.addr(), from.addr(), n)?;
    Ok(found.map_or(Ptr::NULL, |_| to.byte_add(n as u64)))
}

/// Copies bytes into a buffer of known size.
fn secure(cx: &Cx, to: u64, size: u64, from: u64, count: u64) -> Crt<i32> {
    if count == 0 {
        return Ok(0);
    }
    let length = |n: u64| usize::try_from(n).unwrap_or(usize::MAX);
    if to == 0 {
        return Err(invalid(cx, EINVAL));
    }
    if from == 0 || size < count {
        mem::fill(to, 0, length(size))?;
        return Err(invalid(cx, if from == 0 { EINVAL } else { ERANGE }));
    }
    mem::copy_within(to, from, length(count))?;
    Ok(0)
}

/// Copies bytes into a buffer of known size.
#[shim(msvcrt(memcpy_s), ucrtbase(memcpy_s), fails = 22)]
fn memcpy_s(cx: &Cx, to: Ptr<u8>, size: usize, from: Ptr<u8>, count: usize) -> Crt<i32> {
    secure(cx, to.addr(), size as u64, from.addr(), count as u64)
}

/// Copies bytes into a buffer of known size; the ranges may overlap.
#[shim(msvcrt(memmove_s), ucrtbase(memmove_s), fails = 22)]
fn memmove_s(cx: &Cx, to: Ptr<u8>, size: usize, from: Ptr<u8>, count: usize) -> Crt<i32> {
    secure(cx, to.addr(), size as u64, from.addr(), count as u64)
}

/// Copies wide characters into a buffer of known size.
#[shim(msvcrt(wmemcpy_s), ucrtbase(wmemcpy_s), fails = 22)]
fn wmemcpy_s(cx: &Cx, to: Ptr<u16>, size: usize, from: Ptr<u16>, count: usize) -> Crt<i32> {
    secure(cx, to.addr(), 2 * size as u64, from.addr(), 2 * count as u64)
}

/// Swaps the bytes of pairs.
#[shim(msvcrt(_swab, swab), ucrtbase(_swab, swab))]
fn _swab(from: Ptr<u8>, to: Ptr<u8>, count: i32) -> Crt<()> {
    let mut bytes = mem::copy_in_vec(from.addr(), usize::try_from(count).unwrap_or(0) & !1)?;
    for pair in bytes.chunks_exact_mut(2) {
        pair.swap(0, 1);
    }
    Ok(mem::copy_out(to.addr(), &bytes)?)
}
