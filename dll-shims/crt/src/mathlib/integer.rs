//! Integer arithmetic of `stdlib.h`: absolute values, divisions, rotations, random numbers.

use std::sync::atomic::{AtomicU32, Ordering};

use transom_sdk::{Crt, CrtError, Cx, Hidden, LongPair, Out, Pair, shim};

/// Calculates the absolute value.
#[shim(msvcrt(abs, labs), ucrtbase(abs, labs), leaf = transom_cpu::leaf::strings::abs)]
fn abs(n: i32) -> i32 {
    n.wrapping_abs()
}

/// Calculates the absolute value.
#[shim(msvcrt(_abs64, llabs), ucrtbase(_abs64, llabs, imaxabs))]
fn llabs(n: i64) -> i64 {
    n.wrapping_abs()
}

/// Computes quotient and remainder. Division by zero is an exception in the guest, as the division instruction's is.
#[shim(msvcrt(div, ldiv), ucrtbase(div, ldiv))]
fn div(cx: &Cx, number: i32, denominator: i32) -> Pair {
    if denominator == 0 {
        cx.raise_status(transom_sdk::foundation::STATUS_INTEGER_DIVIDE_BY_ZERO);
    }
    let (quotient, rest) = (number.wrapping_div(denominator), number.wrapping_rem(denominator));
    Pair(quotient.cast_unsigned(), rest.cast_unsigned())
}

/// Computes quotient and remainder of 64-bit integers.
#[shim(msvcrt, ucrtbase(lldiv, imaxdiv))]
fn lldiv(cx: &Cx, place: Hidden, number: i64, denominator: i64) -> LongPair {
    if denominator == 0 {
        cx.raise_status(transom_sdk::foundation::STATUS_INTEGER_DIVIDE_BY_ZERO);
    }
    let (quotient, rest) = (number.wrapping_div(denominator), number.wrapping_rem(denominator));
    LongPair { place, low: quotient.cast_unsigned(), high: rest.cast_unsigned() }
}

/// Rotates bits to the left.
#[shim(msvcrt(_rotl, _lrotl), ucrtbase(_rotl, _lrotl))]
fn _rotl(value: u32, shift: i32) -> u32 {
    value.rotate_left(shift.cast_unsigned() & 31)
}

/// Rotates bits to the right.
#[shim(msvcrt(_rotr, _lrotr), ucrtbase(_rotr, _lrotr))]
fn _rotr(value: u32, shift: i32) -> u32 {
    value.rotate_right(shift.cast_unsigned() & 31)
}

/// Rotates bits to the left.
#[shim(msvcrt, ucrtbase)]
fn _rotl64(value: u64, shift: i32) -> u64 {
    value.rotate_left(shift.cast_unsigned() & 63)
}

/// Rotates bits to the right.
#[shim(msvcrt, ucrtbase)]
fn _rotr64(value: u64, shift: i32) -> u64 {
    value.rotate_right(shift.cast_unsigned() & 63)
}

/// Reverses the order of bytes.
#[shim(msvcrt, ucrtbase)]
fn _byteswap_ushort(value: u16) -> u16 {
    value.swap_bytes()
}

/// Reverses the order of bytes.
#[shim(msvcrt, ucrtbase)]
fn _byteswap_ulong(value: u32) -> u32 {
    value.swap_bytes()
}

/// Reverses the order of bytes.
#[shim(msvcrt, ucrtbase)]
fn _byteswap_uint64(value: u64) -> u64 {
    value.swap_bytes()
}

/// The calling thread's seed. It begins with 1, as documented.
struct Seed(AtomicU32);

impl Default for Seed {
    fn default() -> Self {
        Self(AtomicU32::new(1))
    }
}

/// Sets the starting point for the pseudorandom numbers of this thread.
#[shim(msvcrt, ucrtbase)]
fn srand(cx: &Cx, seed: u32) {
    cx.local::<Seed>().0.store(seed, Ordering::Relaxed);
}

/// Generates a pseudorandom number from 0 to 32767: the upper half of the linear congruential sequence that every
/// version of the runtime has used.
#[shim(msvcrt, ucrtbase)]
fn rand(cx: &Cx) -> i32 {
    let seed = &cx.local::<Seed>().0;
    let next = seed.load(Ordering::Relaxed).wrapping_mul(214_013).wrapping_add(2_531_011);
    seed.store(next, Ordering::Relaxed);
    (next >> 16 & 0x7FFF).cast_signed()
}

/// Generates a random number that is fit for cryptography. Returns an error number itself.
#[shim(msvcrt, ucrtbase)]
fn rand_s(cx: &Cx, out: Option<Out<u32>>) -> Crt<i32> {
    const EINVAL: i32 = 22;
    let Some(out) = out else {
        cx.set_errno(EINVAL);
        return Ok(EINVAL);
    };
    let mut bytes = [0u8; 4];
    transom_syscalls::random::fill(&mut bytes).map_err(CrtError::from)?;
    out.write(cx, u32::from_le_bytes(bytes))?;
    Ok(0)
}
