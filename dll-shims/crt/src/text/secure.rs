//! The `_s` forms, which know their buffer's size.

use transom_sdk::{Crt, Cx, Ptr, mem, shim};

use crate::rt::errno::{EINVAL, ERANGE, STRUNCATE};
use crate::rt::guest::{self, GuestUnit, unit_at};
use crate::rt::invalid::invalid;

/// Fails, with the buffer made empty.
fn fail<U: GuestUnit, T>(cx: &Cx, to: Ptr<U>, errno: i32) -> Crt<T> {
    if !to.is_null() {
        mem::write(to.addr(), &U::NUL)?;
    }
    Err(invalid(cx, errno))
}

/// Puts at most `most` units of a string at `start` of a buffer; `None` means all of them, cut if they do not fit.
fn place<U: GuestUnit>(
    cx: &Cx,
    to: Ptr<U>,
    start: usize,
    size: usize,
    from: Ptr<U>,
    most: Option<usize>,
) -> Crt<i32> {
    let room = size - start;
    // One unit more than fits decides whether the text is too long.
    let text: Vec<U> = guest::string_max(from.addr(), most.unwrap_or(usize::MAX).min(room))?;
    if text.len() < room {
        guest::put(unit_at(to, start).addr(), &text)?;
        return Ok(0);
    }
    if most.is_none() {
        guest::put(unit_at(to, start).addr(), &text[..room - 1])?;
        return Ok(STRUNCATE);
    }
    fail(cx, to, ERANGE)
}

/// `_TRUNCATE` as `None`.
fn most(cx: &Cx, count: usize) -> Option<usize> {
    (count != cx.word_max()).then_some(count)
}

fn copy<U: GuestUnit>(cx: &Cx, to: Ptr<U>, size: usize, from: Ptr<U>, count: Option<usize>) -> Crt<i32> {
    if to.is_null() || size == 0 {
        return Err(invalid(cx, EINVAL));
    }
    if from.is_null() {
        return fail(cx, to, EINVAL);
    }
    place(cx, to, 0, size, from, count)
}

fn append<U: GuestUnit>(cx: &Cx, to: Ptr<U>, size: usize, from: Ptr<U>, count: Option<usize>) -> Crt<i32> {
    if to.is_null() || size == 0 {
        return Err(invalid(cx, EINVAL));
    }
    if from.is_null() {
        return fail(cx, to, EINVAL);
    }
    let start = U::length(to.addr(), size)?;
    if start == size {
        return fail(cx, to, EINVAL);
    }
    place(cx, to, start, size, from, count)
}

/// Copies a string.
#[shim(msvcrt, ucrtbase, fails = 22)]
fn strcpy_s(cx: &Cx, to: Ptr<u8>, size: usize, from: Ptr<u8>) -> Crt<i32> {
    as_result(cx, copy(cx, to, size, from, Some(usize::MAX)))
}

/// Copies a string.
#[shim(msvcrt, ucrtbase, fails = 22)]
fn wcscpy_s(cx: &Cx, to: Ptr<u16>, size: usize, from: Ptr<u16>) -> Crt<i32> {
    as_result(cx, copy(cx, to, size, from, Some(usize::MAX)))
}

/// Copies at most `count` characters.
#[shim(msvcrt, ucrtbase, fails = 22)]
fn strncpy_s(cx: &Cx, to: Ptr<u8>, size: usize, from: Ptr<u8>, count: usize) -> Crt<i32> {
    as_result(cx, copy(cx, to, size, from, most(cx, count)))
}

/// Copies at most `count` characters.
#[shim(msvcrt, ucrtbase, fails = 22)]
fn wcsncpy_s(cx: &Cx, to: Ptr<u16>, size: usize, from: Ptr<u16>, count: usize) -> Crt<i32> {
    as_result(cx, copy(cx, to, size, from, most(cx, count)))
}

/// Appends a string.
#[shim(msvcrt, ucrtbase, fails = 22)]
fn strcat_s(cx: &Cx, to: Ptr<u8>, size: usize, from: Ptr<u8>) -> Crt<i32> {
    as_result(cx, append(cx, to, size, from, Some(usize::MAX)))
}

/// Appends a string.
#[shim(msvcrt, ucrtbase, fails = 22)]
fn wcscat_s(cx: &Cx, to: Ptr<u16>, size: usize, from: Ptr<u16>) -> Crt<i32> {
    as_result(cx, append(cx, to, size, from, Some(usize::MAX)))
}

/// Appends at most `count` characters.
#[shim(msvcrt, ucrtbase, fails = 22)]
fn strncat_s(cx: &Cx, to: Ptr<u8>, size: usize, from: Ptr<u8>, count: usize) -> Crt<i32> {
    as_result(cx, append(cx, to, size, from, most(cx, count)))
}

/// Appends at most `count` characters.
#[shim(msvcrt, ucrtbase, fails = 22)]
fn wcsncat_s(cx: &Cx, to: Ptr<u16>, size: usize, from: Ptr<u16>, count: usize) -> Crt<i32> {
    as_result(cx, append(cx, to, size, from, most(cx, count)))
}

/// These functions return their error number.
fn as_result(cx: &Cx, outcome: Crt<i32>) -> Crt<i32> {
    match outcome {
        Err(transom_sdk::CrtError::Errno(errno)) => {
            cx.set_errno(errno);
            Ok(errno)
        }
        other => other,
    }
}
