//! Lengths, copies, comparison.

use transom_sdk::{Crt, CrtError, Cx, Ptr, mem, shim};

use crate::rt::errno::ENOMEM;
use crate::rt::globals;
use crate::rt::guest::{self, GuestUnit, unit_at};

/// Copies a string with its NUL; returns its length.
fn copy<U: GuestUnit>(to: Ptr<U>, from: Ptr<U>) -> Crt<usize> {
    let length = U::length(from.addr(), usize::MAX)?;
    let bytes = (length + 1) * size_of::<U>();
    mem::copy_within(to.addr(), from.addr(), bytes)?;
    Ok(length)
}

/// Copies at most `count` units, filling up with NULs.
fn copy_padded<U: GuestUnit>(to: Ptr<U>, from: Ptr<U>, count: usize) -> Crt<Ptr<U>> {
    let length = U::length(from.addr(), count)?;
    mem::copy_within(to.addr(), from.addr(), length * size_of::<U>())?;
    mem::fill(unit_at(to, length).addr(), 0, (count - length) * size_of::<U>())?;
    Ok(to)
}

/// Appends at most `count` units and a NUL.
fn append<U: GuestUnit>(to: Ptr<U>, from: Ptr<U>, count: usize) -> Crt<Ptr<U>> {
    let end = unit_at(to, U::length(to.addr(), usize::MAX)?);
    let length = U::length(from.addr(), count)?;
    mem::copy_within(end.addr(), from.addr(), length * size_of::<U>())?;
    mem::write(unit_at(end, length).addr(), &U::NUL)?;
    Ok(to)
}

/// A copy of a string on the heap.
fn duplicate<U: GuestUnit>(cx: &Cx, text: Ptr<U>) -> Crt<Ptr<U>> {
    if text.is_null() {
        return Ok(Ptr::NULL);
    }
    let length = U::length(text.addr(), usize::MAX)?;
    let at = globals::allocate(cx, (length as u64 + 1) * U::BYTES).map_err(|_| CrtError::Errno(ENOMEM))?;
    mem::copy_within(at, text.addr(), (length + 1) * size_of::<U>())?;
    Ok(Ptr::new(at))
}

/// A string's length.
#[shim(msvcrt, ucrtbase, leaf = transom_cpu::leaf::strings::strlen)]
fn strlen(text: Ptr<u8>) -> Crt<usize> {
    Ok(mem::strlen8(text.addr(), usize::MAX)?)
}

/// A string's length.
#[shim(msvcrt, ucrtbase, leaf = transom_cpu::leaf::strings::wcslen)]
fn wcslen(text: Ptr<u16>) -> Crt<usize> {
    Ok(mem::strlen16(text.addr(), usize::MAX)?)
}

/// A string's length, at most `count`.
#[shim(msvcrt, ucrtbase(strnlen, __strncnt))]
fn strnlen(text: Ptr<u8>, count: usize) -> Crt<usize> {
    Ok(mem::strlen8(text.addr(), count)?)
}

/// A string's length, at most `count`.
#[shim(msvcrt, ucrtbase(wcsnlen, __wcsncnt))]
fn wcsnlen(text: Ptr<u16>, count: usize) -> Crt<usize> {
    Ok(mem::strlen16(text.addr(), count)?)
}

/// Copies a string.
#[shim(msvcrt(strcpy, _mbscpy), ucrtbase(strcpy, _mbscpy), leaf = transom_cpu::leaf::strings::strcpy)]
fn strcpy(to: Ptr<u8>, from: Ptr<u8>) -> Crt<Ptr<u8>> {
    copy(to, from)?;
    Ok(to)
}

/// Copies a string.
#[shim(msvcrt, ucrtbase, leaf = transom_cpu::leaf::strings::wcscpy)]
fn wcscpy(to: Ptr<u16>, from: Ptr<u16>) -> Crt<Ptr<u16>> {
    copy(to, from)?;
    Ok(to)
}

/// Copies at most `count` characters, filling up with NULs.
#[shim(msvcrt, ucrtbase)]
fn strncpy(to: Ptr<u8>, from: Ptr<u8>, count: usize) -> Crt<Ptr<u8>> {
    copy_padded(to, from, count)
}

/// Copies at most `count` characters, filling up with NULs.
#[shim(msvcrt, ucrtbase)]
fn wcsncpy(to: Ptr<u16>, from: Ptr<u16>, count: usize) -> Crt<Ptr<u16>> {
    copy_padded(to, from, count)
}

/// Appends a string.
#[shim(msvcrt(strcat, _mbscat), ucrtbase(strcat, _mbscat))]
fn strcat(to: Ptr<u8>, from: Ptr<u8>) -> Crt<Ptr<u8>> {
    append(to, from, usize::MAX)
}

/// Appends a string.
#[shim(msvcrt, ucrtbase)]
fn wcscat(to: Ptr<u16>, from: Ptr<u16>) -> Crt<Ptr<u16>> {
    append(to, from, usize::MAX)
}

/// Appends at most `count` characters.
#[shim(msvcrt, ucrtbase)]
fn strncat(to: Ptr<u8>, from: Ptr<u8>, count: usize) -> Crt<Ptr<u8>> {
    append(to, from, count)
}

/// Appends at most `count` characters.
#[shim(msvcrt, ucrtbase)]
fn wcsncat(to: Ptr<u16>, from: Ptr<u16>, count: usize) -> Crt<Ptr<u16>> {
    append(to, from, count)
}

/// A copy of a string on the heap.
#[shim(msvcrt(_strdup, strdup, _mbsdup), ucrtbase(_strdup, strdup, _mbsdup))]
fn _strdup(cx: &Cx, text: Ptr<u8>) -> Crt<Ptr<u8>> {
    duplicate(cx, text)
}

/// A copy of a string on the heap.
#[shim(msvcrt(_wcsdup, wcsdup), ucrtbase(_wcsdup, wcsdup))]
fn _wcsdup(cx: &Cx, text: Ptr<u16>) -> Crt<Ptr<u16>> {
    duplicate(cx, text)
}

fn code<U: GuestUnit>(unit: U) -> u32 {
    unit.code()
}

/// Compares strings.
#[shim(msvcrt(strcmp, _mbscmp), ucrtbase(strcmp, _mbscmp), leaf = transom_cpu::leaf::strings::strcmp)]
fn strcmp(a: Ptr<u8>, b: Ptr<u8>) -> Crt<i32> {
    Ok(guest::compare::<u8>(a.addr(), b.addr(), usize::MAX, code)?)
}

/// Compares strings.
#[shim(msvcrt, ucrtbase, leaf = transom_cpu::leaf::strings::wcscmp)]
fn wcscmp(a: Ptr<u16>, b: Ptr<u16>) -> Crt<i32> {
    Ok(guest::compare::<u16>(a.addr(), b.addr(), usize::MAX, code)?)
}

/// Compares at most `count` characters.
#[shim(msvcrt, ucrtbase, leaf = transom_cpu::leaf::strings::strncmp)]
fn strncmp(a: Ptr<u8>, b: Ptr<u8>, count: usize) -> Crt<i32> {
    Ok(guest::compare::<u8>(a.addr(), b.addr(), count, code)?)
}

/// Compares at most `count` characters.
#[shim(msvcrt, ucrtbase)]
fn wcsncmp(a: Ptr<u16>, b: Ptr<u16>, count: usize) -> Crt<i32> {
    Ok(guest::compare::<u16>(a.addr(), b.addr(), count, code)?)
}

/// Compares strings in the locale's order, which is that of their characters.
#[shim(msvcrt(strcoll), ucrtbase(strcoll))]
fn strcoll(a: Ptr<u8>, b: Ptr<u8>) -> Crt<i32> {
    strcmp(a, b)
}

/// Compares strings in the locale's order, which is that of their characters.
#[shim(msvcrt(_strcoll_l), ucrtbase(_strcoll_l))]
fn _strcoll_l(a: Ptr<u8>, b: Ptr<u8>, locale: Ptr<u8>) -> Crt<i32> {
    let _ = locale;
    strcmp(a, b)
}

/// Compares strings in the locale's order, which is that of their characters.
#[shim(msvcrt(_strncoll), ucrtbase(_strncoll))]
fn _strncoll(a: Ptr<u8>, b: Ptr<u8>, count: usize) -> Crt<i32> {
    strncmp(a, b, count)
}

/// Compares strings in the locale's order, which is that of their characters.
#[shim(msvcrt(wcscoll), ucrtbase(wcscoll))]
fn wcscoll(a: Ptr<u16>, b: Ptr<u16>) -> Crt<i32> {
    wcscmp(a, b)
}

/// Compares strings in the locale's order, which is that of their characters.
#[shim(msvcrt(_wcscoll_l), ucrtbase(_wcscoll_l))]
fn _wcscoll_l(a: Ptr<u16>, b: Ptr<u16>, locale: Ptr<u8>) -> Crt<i32> {
    let _ = locale;
    wcscmp(a, b)
}

/// Transforms a string so that comparing gives the locale's order: in the C locale a copy.
fn transform<U: GuestUnit>(to: Ptr<U>, from: Ptr<U>, count: usize) -> Crt<usize> {
    let length = U::length(from.addr(), usize::MAX)?;
    if count > 0 && !to.is_null() {
        let kept = length.min(count - 1);
        mem::copy_within(to.addr(), from.addr(), kept * size_of::<U>())?;
        mem::write(unit_at(to, kept).addr(), &U::NUL)?;
    }
    Ok(length)
}

/// Transforms a string for comparing.
#[shim(msvcrt, ucrtbase)]
fn strxfrm(to: Ptr<u8>, from: Ptr<u8>, count: usize) -> Crt<usize> {
    transform(to, from, count)
}

/// Transforms a string for comparing.
#[shim(msvcrt, ucrtbase)]
fn _strxfrm_l(to: Ptr<u8>, from: Ptr<u8>, count: usize, locale: Ptr<u8>) -> Crt<usize> {
    let _ = locale;
    transform(to, from, count)
}

/// Transforms a string for comparing.
#[shim(msvcrt, ucrtbase)]
fn wcsxfrm(to: Ptr<u16>, from: Ptr<u16>, count: usize) -> Crt<usize> {
    transform(to, from, count)
}

/// Transforms a string for comparing.
#[shim(msvcrt, ucrtbase)]
fn _wcsxfrm_l(to: Ptr<u16>, from: Ptr<u16>, count: usize, locale: Ptr<u8>) -> Crt<usize> {
    let _ = locale;
    transform(to, from, count)
}
