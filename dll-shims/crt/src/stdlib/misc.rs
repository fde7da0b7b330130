//! `errno`, error texts, and what else stdlib.h has.

use transom_cpu::block::GUEST_AREA_OFFSET;
use transom_cpu::leaf::{Leaf, value};
use transom_sdk::{AStr, Crt, Cx, Machine, Ptr, mem, shim};
use transom_syscalls::wait::{Alertable, Deadline, monotonic_now, sleep};

use crate::rt::area;
use crate::rt::errno;
use crate::rt::guest;
use crate::rt::invalid;

fn errno_leaf(machine: Machine, _slow: u64, at: u64) -> Option<Leaf> {
    value::in_thread(machine, at, GUEST_AREA_OFFSET)
}

/// The address of `errno`.
#[shim(msvcrt, ucrtbase, leaf = errno_leaf)]
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
    pass(milliseconds.max(1));
}

/// Lets the time pass, or ends early because the thread is to end.
fn pass(milliseconds: u32) {
    let until = monotonic_now() + u64::from(milliseconds) * 1_000_000;
    let _ = sleep(Deadline::Monotonic(until), Alertable::No);
}

/// Beeps: there is no speaker, so only the time passes.
#[shim(msvcrt, ucrtbase, partial = "there is no speaker")]
fn _beep(frequency: u32, duration: u32) {
    let _ = frequency;
    pass(duration);
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
