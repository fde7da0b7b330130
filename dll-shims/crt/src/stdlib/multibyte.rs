//! Conversion between narrow and wide characters and strings (stdlib.h, wchar.h).

use std::sync::atomic::{AtomicU32, Ordering};

use transom_sdk::{Crt, CrtError, Cx, Ptr, mem, shim};

use super::locale;
use crate::rt::errno::{EILSEQ, ERANGE, STRUNCATE};
use crate::rt::guest;
use crate::rt::invalid::{self, invalid};
use crate::string::charset::{Charset, Decode};

/// State of a conversion that the function keeps itself (a NULL `mbstate_t`).
#[derive(Default)]
struct Hidden(AtomicU32);

/// Bytes of an incomplete character as an `mbstate_t` holds them: up to three bytes, and their number in the top byte.
fn load(cx: &Cx, at: Ptr<u32>) -> Crt<([u8; 4], usize)> {
    let raw = if at.is_null() { cx.local::<Hidden>().0.load(Ordering::Relaxed) } else { at.read(cx)? };
    let bytes = raw.to_le_bytes();
    Ok(([bytes[0], bytes[1], bytes[2], 0], usize::from(bytes[3]).min(3)))
}

fn store(cx: &Cx, at: Ptr<u32>, bytes: &[u8]) -> Crt<()> {
    let mut raw = [0u8; 4];
    raw[..bytes.len().min(3)].copy_from_slice(&bytes[..bytes.len().min(3)]);
    raw[3] = bytes.len().to_le_bytes()[0];
    let raw = u32::from_le_bytes(raw);
    if at.is_null() {
        cx.local::<Hidden>().0.store(raw, Ordering::Relaxed);
        return Ok(());
    }
    Ok(at.write(cx, raw)?)
}

/// `(size_t)-1` and `(size_t)-2`.
const ILLEGAL: usize = usize::MAX;
const INCOMPLETE: usize = usize::MAX - 1;

/// Decodes one character of at most `n` bytes.
fn mbrtowc_inner(cx: &Cx, to: Ptr<u16>, text: Ptr<u8>, n: usize, state: Ptr<u32>) -> Crt<usize> {
    if text.is_null() {
        store(cx, state, &[])?;
        return Ok(0);
    }
    let (mut bytes, held) = load(cx, state)?;
    let charset = locale::charset(cx);
    for taken in 0..n {
        let have = held + taken;
        if have >= 4 {
            break;
        }
        bytes[have] = mem::read(text.addr() + taken as u64)?;
        match charset.decode(&bytes[..=have]) {
            Decode::Incomplete => {}
            Decode::Illegal => break,
            Decode::Char(c) => {
                store(cx, state, &[])?;
                // A character beyond the BMP does not fit one unit: its first is given.
                let unit = c.units().first().copied().unwrap_or(0);
                to.write_opt(cx, unit)?;
                return Ok(if unit == 0 { 0 } else { taken + 1 });
            }
        }
        if taken + 1 == n {
            store(cx, state, &bytes[..=have])?;
            return Ok(INCOMPLETE);
        }
    }
    if n == 0 {
        return Ok(INCOMPLETE);
    }
    store(cx, state, &[])?;
    cx.set_errno(EILSEQ);
    Ok(ILLEGAL)
}

/// Converts a character.
#[shim(msvcrt, ucrtbase, fails = -1)]
fn mbrtowc(cx: &Cx, to: Ptr<u16>, text: Ptr<u8>, n: usize, state: Ptr<u32>) -> Crt<usize> {
    mbrtowc_inner(cx, to, text, n, state)
}

/// The length of a character.
#[shim(msvcrt, ucrtbase, fails = -1)]
fn mbrlen(cx: &Cx, text: Ptr<u8>, n: usize, state: Ptr<u32>) -> Crt<usize> {
    mbrtowc_inner(cx, Ptr::NULL, text, n, state)
}

/// Whether a conversion is between characters.
#[shim(ucrtbase)]
fn mbsinit(cx: &Cx, state: Ptr<u32>) -> Crt<i32> {
    Ok(if state.is_null() { 1 } else { (state.read(cx)? == 0).into() })
}

/// Converts a character; -1 if it is none.
fn to_wide(cx: &Cx, to: Ptr<u16>, text: Ptr<u8>, n: usize) -> Crt<i32> {
    if text.is_null() || n == 0 {
        return Ok(0);
    }
    let charset = locale::charset(cx);
    let mut bytes = [0u8; 4];
    for taken in 1..=n.min(4) {
        bytes[taken - 1] = mem::read(text.addr() + taken as u64 - 1)?;
        match charset.decode(&bytes[..taken]) {
            Decode::Incomplete => {}
            Decode::Illegal => break,
            Decode::Char(c) => {
                let unit = c.units().first().copied().unwrap_or(0);
                to.write_opt(cx, unit)?;
                return Ok(if unit == 0 { 0 } else { i32::try_from(taken).unwrap_or(1) });
            }
        }
    }
    Err(CrtError::Errno(EILSEQ))
}

/// Converts a character.
#[shim(msvcrt, ucrtbase, fails = -1)]
fn mbtowc(cx: &Cx, to: Ptr<u16>, text: Ptr<u8>, n: usize) -> Crt<i32> {
    to_wide(cx, to, text, n)
}

/// Converts a character.
#[shim(msvcrt, ucrtbase, fails = -1)]
fn _mbtowc_l(cx: &Cx, to: Ptr<u16>, text: Ptr<u8>, n: usize, locale: Ptr<u8>) -> Crt<i32> {
    let _ = locale;
    to_wide(cx, to, text, n)
}

/// The length of a character.
#[shim(msvcrt(mblen), ucrtbase(mblen), fails = -1)]
fn mblen(cx: &Cx, text: Ptr<u8>, n: usize) -> Crt<i32> {
    to_wide(cx, Ptr::NULL, text, n)
}

/// The bytes of a wide character.
fn to_narrow(cx: &Cx, to: Ptr<u8>, unit: u16) -> Crt<usize> {
    let encoded = locale::charset(cx).encode(unit, None).ok_or(CrtError::Errno(EILSEQ))?;
    mem::copy_out(to.addr(), encoded.bytes())?;
    Ok(encoded.bytes().len())
}

/// Converts a wide character.
#[shim(msvcrt, ucrtbase, fails = -1)]
fn wctomb(cx: &Cx, to: Ptr<u8>, unit: u16) -> Crt<i32> {
    if to.is_null() {
        return Ok(0);
    }
    Ok(i32::try_from(to_narrow(cx, to, unit)?).unwrap_or(-1))
}

/// Converts a wide character into a buffer of known size.
#[shim(msvcrt, ucrtbase, fails = 42)]
fn wctomb_s(cx: &Cx, length: Ptr<i32>, to: Ptr<u8>, size: usize, unit: u16) -> Crt<i32> {
    if to.is_null() {
        length.write_opt(cx, 0)?;
        return Ok(0);
    }
    let encoded = locale::charset(cx).encode(unit, None).ok_or(CrtError::Errno(EILSEQ))?;
    if encoded.bytes().len() > size {
        return Err(invalid(cx, ERANGE));
    }
    mem::copy_out(to.addr(), encoded.bytes())?;
    length.write_opt(cx, i32::try_from(encoded.bytes().len()).unwrap_or(0))?;
    Ok(0)
}

/// Converts a wide character.
#[shim(msvcrt, ucrtbase, fails = -1)]
fn wcrtomb(cx: &Cx, to: Ptr<u8>, unit: u16, state: Ptr<u32>) -> Crt<usize> {
    if to.is_null() {
        store(cx, state, &[])?;
        return Ok(1);
    }
    to_narrow(cx, to, unit)
}

/// Converts a wide character into a buffer of known size.
#[shim(msvcrt, ucrtbase, fails = 42)]
fn wcrtomb_s(cx: &Cx, length: Ptr<usize>, to: Ptr<u8>, size: usize, unit: u16, state: Ptr<u32>) -> Crt<i32> {
    let _ = state;
    if to.is_null() {
        length.write_opt(cx, 1)?;
        return Ok(0);
    }
    let encoded = locale::charset(cx).encode(unit, None).ok_or(CrtError::Errno(EILSEQ))?;
    if encoded.bytes().len() > size {
        return Err(invalid(cx, ERANGE));
    }
    mem::copy_out(to.addr(), encoded.bytes())?;
    length.write_opt(cx, encoded.bytes().len())?;
    Ok(0)
}

/// The wide character of a byte, or WEOF.
#[shim(msvcrt, ucrtbase)]
fn btowc(cx: &Cx, byte: i32) -> u16 {
    let Ok(byte) = u8::try_from(byte) else { return 0xFFFF };
    let decoded = locale::charset(cx).decode(&[byte]).char();
    decoded.and_then(|c| c.units().first().copied()).unwrap_or(0xFFFF)
}

/// The byte of a wide character, or EOF.
#[shim(msvcrt, ucrtbase)]
fn wctob(cx: &Cx, unit: u16) -> i32 {
    match locale::charset(cx).encode(unit, None) {
        Some(e) if e.bytes().len() == 1 => e.bytes()[0].into(),
        _ => -1,
    }
}

/// The units of a narrow string in the locale's encoding.
fn decode(charset: Charset, bytes: &[u8]) -> Crt<Vec<u16>> {
    charset.to_wide(bytes).ok_or(CrtError::Errno(EILSEQ))
}

/// The bytes of a wide string in the locale's encoding.
fn encode(charset: Charset, units: &[u16]) -> Crt<Vec<u8>> {
    charset.to_narrow(units).ok_or(CrtError::Errno(EILSEQ))
}

fn string_to_wide(cx: &Cx, to: Ptr<u16>, text: Ptr<u8>, n: usize) -> Crt<usize> {
    invalid::check(cx, !text.is_null())?;
    let units = decode(locale::charset(cx), &guest::string::<u8>(text.addr())?)?;
    if to.is_null() {
        return Ok(units.len());
    }
    let kept = units.len().min(n);
    mem::write_slice(to.addr(), &units[..kept])?;
    if kept < n {
        mem::write(to.addr() + kept as u64 * 2, &0u16)?;
    }
    Ok(kept)
}

/// Converts a string; returns its length, or the needed one for a NULL buffer.
#[shim(msvcrt, ucrtbase, fails = -1)]
fn mbstowcs(cx: &Cx, to: Ptr<u16>, text: Ptr<u8>, n: usize) -> Crt<usize> {
    string_to_wide(cx, to, text, n)
}

/// Converts a string; returns its length, or the needed one for a NULL buffer.
#[shim(msvcrt, ucrtbase, fails = -1)]
fn _mbstowcs_l(cx: &Cx, to: Ptr<u16>, text: Ptr<u8>, n: usize, locale: Ptr<u8>) -> Crt<usize> {
    let _ = locale;
    string_to_wide(cx, to, text, n)
}

fn string_to_narrow(cx: &Cx, to: Ptr<u8>, text: Ptr<u16>, n: usize) -> Crt<usize> {
    invalid::check(cx, !text.is_null())?;
    let charset = locale::charset(cx);
    let units = guest::string::<u16>(text.addr())?;
    if to.is_null() {
        return Ok(encode(charset, &units)?.len());
    }
    // Whole characters only, as many as fit.
    let mut bytes = Vec::new();
    let mut rest = &units[..];
    let mut cut = false;
    while let Some(&first) = rest.first() {
        let c = charset.encode(first, rest.get(1).copied()).ok_or(CrtError::Errno(EILSEQ))?;
        if bytes.len() + c.bytes().len() > n {
            cut = true;
            break;
        }
        bytes.extend_from_slice(c.bytes());
        rest = &rest[c.units..];
    }
    mem::copy_out(to.addr(), &bytes)?;
    if !cut && bytes.len() < n {
        mem::write(to.addr() + bytes.len() as u64, &0u8)?;
    }
    Ok(bytes.len())
}

/// Converts a string; returns its length, or the needed one for a NULL buffer.
#[shim(msvcrt, ucrtbase, fails = -1)]
fn wcstombs(cx: &Cx, to: Ptr<u8>, text: Ptr<u16>, n: usize) -> Crt<usize> {
    string_to_narrow(cx, to, text, n)
}

/// Converts a string; returns its length, or the needed one for a NULL buffer.
#[shim(msvcrt, ucrtbase, fails = -1)]
fn _wcstombs_l(cx: &Cx, to: Ptr<u8>, text: Ptr<u16>, n: usize, locale: Ptr<u8>) -> Crt<usize> {
    let _ = locale;
    string_to_narrow(cx, to, text, n)
}

/// What a `_s` conversion stores of `whole` units in a buffer of `size` when at most `most` are wanted.
fn secure_length(cx: &Cx, whole: usize, size: usize, most: usize) -> Crt<(usize, i32)> {
    let truncate = most == cx.word_max();
    let wanted = if truncate { whole } else { whole.min(most) };
    if wanted < size {
        Ok((wanted, 0))
    } else if truncate {
        Ok((size - 1, STRUNCATE))
    } else {
        Err(invalid(cx, ERANGE))
    }
}

/// Converts a string into a buffer of known size.
#[shim(msvcrt, ucrtbase, fails = 22)]
fn mbstowcs_s(
    cx: &Cx,
    length: Ptr<usize>,
    to: Ptr<u16>,
    size: usize,
    text: Ptr<u8>,
    most: usize,
) -> Crt<i32> {
    invalid::check(cx, !text.is_null() && (to.is_null() == (size == 0)))?;
    let units = decode(locale::charset(cx), &guest::string::<u8>(text.addr())?)?;
    if to.is_null() {
        length.write_opt(cx, units.len() + 1)?;
        return Ok(0);
    }
    mem::write(to.addr(), &0u16)?;
    let (kept, result) = secure_length(cx, units.len(), size, most)?;
    guest::put(to.addr(), &units[..kept])?;
    length.write_opt(cx, kept + 1)?;
    Ok(result)
}

/// Converts a string into a buffer of known size.
#[shim(msvcrt, ucrtbase, fails = 22)]
fn wcstombs_s(
    cx: &Cx,
    length: Ptr<usize>,
    to: Ptr<u8>,
    size: usize,
    text: Ptr<u16>,
    most: usize,
) -> Crt<i32> {
    invalid::check(cx, !text.is_null() && (to.is_null() == (size == 0)))?;
    let bytes = encode(locale::charset(cx), &guest::string::<u16>(text.addr())?)?;
    if to.is_null() {
        length.write_opt(cx, bytes.len() + 1)?;
        return Ok(0);
    }
    mem::write(to.addr(), &0u8)?;
    let (kept, result) = secure_length(cx, bytes.len(), size, most)?;
    guest::put(to.addr(), &bytes[..kept])?;
    length.write_opt(cx, kept + 1)?;
    Ok(result)
}

/// Converts a string and moves the source pointer on.
#[shim(msvcrt, ucrtbase, fails = -1)]
fn mbsrtowcs(cx: &Cx, to: Ptr<u16>, source: Ptr<Ptr<u8>>, n: usize, state: Ptr<u32>) -> Crt<usize> {
    let _ = state;
    let from = source.read(cx)?;
    let bytes = guest::string::<u8>(from.addr())?;
    let charset = locale::charset(cx);
    let (mut count, mut rest) = (0, &bytes[..]);
    let most = if to.is_null() { usize::MAX } else { n };
    while count < most && !rest.is_empty() {
        let c = charset.decode(rest).char().ok_or(CrtError::Errno(EILSEQ))?;
        for unit in c.units() {
            if !to.is_null() && count < most {
                guest::unit_at(to, count).write(cx, *unit)?;
            }
            count += 1;
        }
        rest = &rest[c.used..];
    }
    if !to.is_null() {
        let ended = rest.is_empty() && count < most;
        if ended {
            guest::unit_at(to, count).write(cx, 0)?;
        }
        let next = if ended { Ptr::NULL } else { guest::unit_at(from, bytes.len() - rest.len()) };
        source.write(cx, next)?;
    }
    Ok(count)
}

/// Converts a string and moves the source pointer on.
#[shim(msvcrt, ucrtbase, fails = -1)]
fn wcsrtombs(cx: &Cx, to: Ptr<u8>, source: Ptr<Ptr<u16>>, n: usize, state: Ptr<u32>) -> Crt<usize> {
    let _ = state;
    let from = source.read(cx)?;
    let length = string_to_narrow(cx, to, from, n)?;
    if !to.is_null() && length < n {
        source.write(cx, Ptr::NULL)?;
    }
    Ok(length)
}

/// Checks an argument that must be a code page's lead byte: none of the code pages here has any.
#[shim(msvcrt, ucrtbase)]
fn _ismbblead(cx: &Cx, c: u32) -> i32 {
    let _ = (cx, c);
    0
}
