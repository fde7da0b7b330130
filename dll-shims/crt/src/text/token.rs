//! `strtok` and its relatives over guest memory.

use std::sync::atomic::{AtomicU64, Ordering};

use transom_sdk::{Crt, Cx, Ptr, mem, shim};

use crate::rt::guest::{self, GuestUnit, unit_at};
use crate::string::token::next_token;

/// Where this thread's searches go on: narrow and wide.
#[derive(Default)]
struct Next([AtomicU64; 2]);

/// The next token; `next` is where the search goes on.
fn token<U: GuestUnit>(text: Ptr<U>, delimiters: Ptr<U>, next: &mut Ptr<U>) -> Crt<Ptr<U>> {
    let from = if text.is_null() { *next } else { text };
    if from.is_null() {
        return Ok(Ptr::NULL);
    }
    let units: Vec<U> = guest::string(from.addr())?;
    let delimiters: Vec<U> = guest::string(delimiters.addr())?;
    let Some((range, then)) = next_token(&units, 0, &delimiters) else {
        *next = unit_at(from, units.len());
        return Ok(Ptr::NULL);
    };
    if range.end < units.len() {
        mem::write(unit_at(from, range.end).addr(), &U::NUL)?;
    }
    *next = unit_at(from, then);
    Ok(unit_at(from, range.start))
}

/// With the thread's own place.
fn hidden<U: GuestUnit>(cx: &Cx, text: Ptr<U>, delimiters: Ptr<U>) -> Crt<Ptr<U>> {
    let slot = &cx.local::<Next>().0[usize::from(U::WIDE)];
    let mut next = Ptr::new(slot.load(Ordering::Relaxed));
    let found = token(text, delimiters, &mut next);
    slot.store(next.addr(), Ordering::Relaxed);
    found
}

/// With the caller's place.
fn explicit<U: GuestUnit>(cx: &Cx, text: Ptr<U>, delimiters: Ptr<U>, context: Ptr<Ptr<U>>) -> Crt<Ptr<U>> {
    let mut next = context.read(cx)?;
    let found = token(text, delimiters, &mut next)?;
    context.write(cx, next)?;
    Ok(found)
}

/// The next token of a string.
#[shim(msvcrt, ucrtbase)]
fn strtok(cx: &Cx, text: Ptr<u8>, delimiters: Ptr<u8>) -> Crt<Ptr<u8>> {
    hidden(cx, text, delimiters)
}

/// The next token of a string.
#[shim(msvcrt, ucrtbase)]
fn strtok_s(cx: &Cx, text: Ptr<u8>, delimiters: Ptr<u8>, context: Ptr<Ptr<u8>>) -> Crt<Ptr<u8>> {
    explicit(cx, text, delimiters, context)
}

/// The next token of a string.
#[shim(msvcrt)]
fn wcstok(cx: &Cx, text: Ptr<u16>, delimiters: Ptr<u16>) -> Crt<Ptr<u16>> {
    hidden(cx, text, delimiters)
}

/// The next token of a string; with a NULL context the thread's own place is used.
#[shim(ucrtbase(wcstok))]
fn wcstok_ucrt(cx: &Cx, text: Ptr<u16>, delimiters: Ptr<u16>, context: Ptr<Ptr<u16>>) -> Crt<Ptr<u16>> {
    if context.is_null() { hidden(cx, text, delimiters) } else { explicit(cx, text, delimiters, context) }
}

/// The next token of a string.
#[shim(msvcrt, ucrtbase)]
fn wcstok_s(cx: &Cx, text: Ptr<u16>, delimiters: Ptr<u16>, context: Ptr<Ptr<u16>>) -> Crt<Ptr<u16>> {
    explicit(cx, text, delimiters, context)
}
