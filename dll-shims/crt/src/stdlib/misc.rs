//! Random numbers, integer arithmetic, error texts, and what else stdlib.h has.

use std::sync::atomic::{AtomicU32, Ordering};

use transom_sdk::{AStr, Crt, Cx, Pair, Ptr, mem, shim};

use crate::rt::area;
use crate::rt::errno;
use crate::rt::guest;
use crate::rt::invalid;

/// The seed of `rand` less 1, so that it starts as 1.
#[derive(Default)]
struct Seed(AtomicU32);

/// A pseudo-random number from 0 to 32767.
#[shim(msvcrt, ucrtbase)]
fn rand(cx: &Cx) -> i32 {
    let seed = &cx.local::<Seed>().0;
    let next = (seed.load(Ordering::Relaxed).wrapping_add(1)).wrapping_mul(214_013).wrapping_add(2_531_011);
    seed.store(next.wrapping_sub(1), Ordering::Relaxed);
    (next >> 16 & 0x7FFF).cast_signed()
}

/// Sets where `rand` starts.
#[shim(msvcrt, ucrtbase)]
fn srand(cx: &Cx, seed: u32) {
    cx.local::<Seed>().0.store(seed.wrapping_sub(1), Ordering::Relaxed);
}

/// A random number from the system.
#[shim(msvcrt, ucrtbase, fails = 22)]
fn rand_s(cx: &Cx, to: Ptr<u32>) -> Crt<i32> {
    invalid::check(cx, !to.is_null())?;
    let mut bytes = [0u8; 4];
    transom_syscalls::random::fill(&mut bytes)?;
    to.write(cx, u32::from_le_bytes(bytes))?;
    Ok(0)
}

/// The absolute value.
#[shim(msvcrt(abs, labs), ucrtbase(abs, labs))]
fn abs(value: i32) -> i32 {
    value.wrapping_abs()
}

/// The absolute value.
#[shim(msvcrt(_abs64, llabs, imaxabs), ucrtbase(_abs64, llabs, imaxabs))]
fn _abs64(value: i64) -> i64 {
    value.wrapping_abs()
}

/// Quotient and remainder.
#[shim(msvcrt(div, ldiv), ucrtbase(div, ldiv))]
fn div(numerator: i32, denominator: i32) -> Pair {
    let denominator = if denominator == 0 { 1 } else { denominator };
    Pair(
        numerator.wrapping_div(denominator).cast_unsigned(),
        numerator.wrapping_rem(denominator).cast_unsigned(),
    )
}

/// Reverses the bytes of a 16-bit number.
#[shim(msvcrt, ucrtbase)]
fn _byteswap_ushort(value: u16) -> u16 {
    value.swap_bytes()
}

/// Reverses the bytes of a 32-bit number.
#[shim(msvcrt, ucrtbase)]
fn _byteswap_ulong(value: u32) -> u32 {
    value.swap_bytes()
}

/// Reverses the bytes of a 64-bit number.
#[shim(msvcrt, ucrtbase)]
fn _byteswap_uint64(value: u64) -> u64 {
    value.swap_bytes()
}

/// Rotates left.
#[shim(msvcrt(_rotl, _lrotl), ucrtbase(_rotl, _lrotl))]
fn _rotl(value: u32, shift: i32) -> u32 {
    value.rotate_left(shift.cast_unsigned() & 31)
}

/// Rotates right.
#[shim(msvcrt(_rotr, _lrotr), ucrtbase(_rotr, _lrotr))]
fn _rotr(value: u32, shift: i32) -> u32 {
    value.rotate_right(shift.cast_unsigned() & 31)
}

/// The address of `errno`.
#[shim(msvcrt, ucrtbase)]
fn _errno(cx: &Cx) -> Ptr<i32> {
    Ptr::new(cx.guest_area())
}

/// The address of `_doserrno`.
#[shim(msvcrt, ucrtbase)]
fn __doserrno(cx: &Cx) -> Ptr<u32> {
    Ptr::new(area::at(cx, area::DOSERRNO))
}

/// Sets `errno`.
#[shim(msvcrt, ucrtbase)]
fn _set_errno(cx: &Cx, value: i32) -> i32 {
    cx.set_errno(value);
    0
}

/// Stores `errno`.
#[shim(msvcrt, ucrtbase, fails = 22)]
fn _get_errno(cx: &Cx, to: Ptr<i32>) -> Crt<i32> {
    invalid::check(cx, !to.is_null())?;
    to.write(cx, cx.errno())?;
    Ok(0)
}

/// Sets `_doserrno`.
#[shim(msvcrt, ucrtbase)]
fn _set_doserrno(cx: &Cx, value: u32) -> Crt<i32> {
    mem::write(area::at(cx, area::DOSERRNO), &value)?;
    Ok(0)
}

/// Stores `_doserrno`.
#[shim(msvcrt, ucrtbase, fails = 22)]
fn _get_doserrno(cx: &Cx, to: Ptr<u32>) -> Crt<i32> {
    invalid::check(cx, !to.is_null())?;
    to.write(cx, mem::read(area::at(cx, area::DOSERRNO))?)?;
    Ok(0)
}

/// The text of an error number.
#[shim(msvcrt, ucrtbase)]
fn strerror(cx: &Cx, number: i32) -> Crt<Ptr<u8>> {
    let at = area::at(cx, area::STRERROR);
    guest::put(at, errno::text(number).as_bytes())?;
    Ok(Ptr::new(at))
}

/// A message and the text of `errno`.
#[shim(msvcrt, ucrtbase)]
fn _strerror(cx: &Cx, message: Option<AStr>) -> Crt<Ptr<u8>> {
    let mut text = match message {
        Some(m) => m.get()?,
        None => Vec::new(),
    };
    text.truncate(94);
    if !text.is_empty() {
        text.extend_from_slice(b": ");
    }
    text.extend_from_slice(errno::text(cx.errno()).as_bytes());
    text.push(b'\n');
    let at = area::at(cx, area::STRERROR);
    guest::put(at, &text)?;
    Ok(Ptr::new(at))
}

/// The text of an error number.
#[shim(msvcrt, ucrtbase)]
fn _wcserror(cx: &Cx, number: i32) -> Crt<Ptr<u16>> {
    let at = area::at(cx, area::WCSERROR);
    guest::put(at, &errno::text(number).encode_utf16().collect::<Vec<_>>())?;
    Ok(Ptr::new(at))
}

/// Copies the text of an error number, cut to fit.
#[shim(msvcrt, ucrtbase, fails = 22)]
fn strerror_s(cx: &Cx, buffer: Ptr<u8>, size: usize, number: i32) -> Crt<i32> {
    invalid::check(cx, !buffer.is_null() && size > 0)?;
    let text = errno::text(number).as_bytes();
    guest::put(buffer.addr(), &text[..text.len().min(size - 1)])?;
    Ok(0)
}

/// Copies the text of an error number, cut to fit.
#[shim(msvcrt, ucrtbase, fails = 22)]
fn _wcserror_s(cx: &Cx, buffer: Ptr<u16>, size: usize, number: i32) -> Crt<i32> {
    invalid::check(cx, !buffer.is_null() && size > 0)?;
    let text: Vec<u16> = errno::text(number).encode_utf16().collect();
    guest::put(buffer.addr(), &text[..text.len().min(size - 1)])?;
    Ok(0)
}

/// Suspends the thread for milliseconds.
#[shim(msvcrt, ucrtbase)]
fn _sleep(milliseconds: u32) {
    std::thread::sleep(std::time::Duration::from_millis(milliseconds.max(1).into()));
}

/// Beeps: there is no speaker, so only the time passes.
#[shim(msvcrt, ucrtbase, partial = "there is no speaker")]
fn _beep(frequency: u32, duration: u32) {
    let _ = frequency;
    std::thread::sleep(std::time::Duration::from_millis(duration.into()));
}
