//! What the headers' `codecvt`s call: conversion of one character between bytes and `wchar_t`, by what a `_Locinfo` said of it.

use transom_sdk::{Crt, Cx, Ptr, shim};

use super::locinfo::Conversion;
use crate::object::{Words, import};

/// No character.
const INVALID: i32 = -1;

#[expect(clippy::cast_possible_truncation, reason = "an int")]
fn runtime(cx: &Cx, name: &str, words: Words) -> Crt<i32> {
    Ok(import(cx, "ucrtbase.dll", name, words)? as i32)
}

/// Whether a conversion is that of the C locale: a byte is the character of its value.
fn is_plain(cx: &Cx, conversion: Ptr<Conversion>) -> Crt<bool> {
    Ok(conversion.is_null() || conversion.read(cx)?.is_c())
}

/// Makes a wide character of bytes; returns of how many, 0 for the terminating one.
#[shim(msvcp140, partial = "locales other than the C locale are taken for the C runtime's present one")]
fn _Mbrtowc(
    cx: &Cx,
    to: Ptr<u16>,
    from: Ptr<u8>,
    most: usize,
    state: Ptr<u8>,
    conversion: Ptr<Conversion>,
) -> Crt<i32> {
    if !is_plain(cx, conversion)? {
        let words = Words::new(cx).word(to.addr()).word(from.addr());
        return runtime(cx, "mbrtowc", words.word(most as u64).word(state.addr()));
    }
    if from.is_null() || most == 0 {
        return Ok(0);
    }
    let byte = from.read(cx)?;
    if !to.is_null() {
        to.write(cx, byte.into())?;
    }
    Ok((byte != 0).into())
}

/// Makes bytes of a wide character; returns how many.
#[shim(msvcp140, partial = "locales other than the C locale are taken for the C runtime's present one")]
fn _Wcrtomb(cx: &Cx, to: Ptr<u8>, character: u16, state: Ptr<u8>, conversion: Ptr<Conversion>) -> Crt<i32> {
    if !is_plain(cx, conversion)? {
        let words = Words::new(cx).word(to.addr()).word(character).word(state.addr());
        return runtime(cx, "wcrtomb", words);
    }
    let Ok(byte) = u8::try_from(character) else { return Ok(INVALID) };
    to.write(cx, byte)?;
    Ok(1)
}
