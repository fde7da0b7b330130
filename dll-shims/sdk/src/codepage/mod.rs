//! Code pages: conversion between narrow text and UTF-16 with the semantics of `MultiByteToWideChar` and
//! `WideCharToMultiByte`, as pure functions over host slices.
//!
//! Supported are UTF-8 (65001), US-ASCII (20127) and the single-byte pages in [`tables`]. Not supported are the double-byte
//! pages of East Asia and UTF-7. Which page is the ANSI or OEM one is the caller's knowledge ([`resolve`]).
//!
//! Documentation: stringapiset `MultiByteToWideChar`, `WideCharToMultiByte`; "Code Page Identifiers".

mod ascii;
pub mod tables;
#[cfg(test)]
mod tests;
mod utf8;

pub use ascii::{ascii_prefix, narrow_ascii, widen_ascii};
use tables::{LATIN_EXTENDED_A, TABLES, Table};
pub use utf8::{Utf8Step, decode_utf8, encode_utf8};
use windows_sys::Win32::Globalization::{
    CP_ACP, CP_MACCP, CP_OEMCP, CP_THREAD_ACP, CP_UTF8, MB_COMPOSITE, MB_ERR_INVALID_CHARS, MB_PRECOMPOSED,
    MB_USEGLYPHCHARS, WC_COMPOSITECHECK, WC_DEFAULTCHAR, WC_DISCARDNS, WC_ERR_INVALID_CHARS,
    WC_NO_BEST_FIT_CHARS, WC_SEPCHARS,
};

/// Why a conversion failed, as the Win32 last error names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Error {
    /// ERROR_INVALID_PARAMETER: unknown code page, or a default character where the page has none.
    InvalidParameter,
    /// ERROR_INVALID_FLAGS: flags that the page does not take.
    InvalidFlags,
    /// ERROR_INSUFFICIENT_BUFFER.
    InsufficientBuffer,
    /// ERROR_NO_UNICODE_TRANSLATION: an invalid character, and the caller asked for an error.
    NoTranslation,
}

/// A code page that can be converted.
#[derive(Clone, Copy, Debug)]
pub enum CodePage {
    /// 65001.
    Utf8,
    /// 20127.
    Ascii,
    /// One byte per character.
    Single(&'static Table),
}

impl PartialEq for CodePage {
    fn eq(&self, other: &Self) -> bool {
        self.number() == other.number()
    }
}

impl Eq for CodePage {}

/// Number of the US-ASCII code page.
pub const CP_US_ASCII: u32 = 20127;

/// The true number of a code page: the pseudo-pages CP_ACP, CP_OEMCP, CP_MACCP and CP_THREAD_ACP become `ansi` or `oem`.
#[must_use]
pub fn resolve(page: u32, ansi: u32, oem: u32) -> u32 {
    match page {
        CP_ACP | CP_THREAD_ACP | CP_MACCP => ansi,
        CP_OEMCP => oem,
        other => other,
    }
}

impl CodePage {
    /// The code page with this number (not a pseudo-page), if it is supported.
    #[must_use]
    pub fn new(number: u32) -> Option<Self> {
        match number {
            CP_UTF8 => Some(Self::Utf8),
            CP_US_ASCII => Some(Self::Ascii),
            _ => TABLES
                .binary_search_by_key(&number, |t| t.page)
                .ok()
                .and_then(|i| TABLES.get(i))
                .map(Self::Single),
        }
    }

    /// Its number.
    #[must_use]
    pub fn number(self) -> u32 {
        match self {
            Self::Utf8 => CP_UTF8,
            Self::Ascii => CP_US_ASCII,
            Self::Single(table) => table.page,
        }
    }

    /// Most bytes that a character takes (`CPINFO.MaxCharSize`).
    #[must_use]
    pub fn max_char_size(self) -> u32 {
        if self == Self::Utf8 { 4 } else { 1 }
    }

    /// The UTF-16 unit of a byte of a single-byte page; `None` for bytes without a character, and for UTF-8.
    #[must_use]
    pub fn unit_of(self, byte: u8) -> Option<u16> {
        match self {
            _ if byte < 0x80 => Some(byte.into()),
            Self::Single(table) => Some(table.upper[usize::from(byte - 0x80)]).filter(|u| *u != 0),
            // US-ASCII drops the high bit.
            Self::Ascii => Some((byte & 0x7F).into()),
            Self::Utf8 => None,
        }
    }

    /// The byte of a UTF-16 unit in a single-byte page, without best fit; `None` when it has none, and for UTF-8 beyond
    /// ASCII.
    #[must_use]
    pub fn byte_of(self, unit: u16) -> Option<u8> {
        if let Ok(byte) = u8::try_from(unit)
            && byte < 0x80
        {
            return Some(byte);
        }
        let Self::Single(table) = self else { return None };
        let at = table.upper.iter().position(|u| *u == unit)?;
        u8::try_from(at + 0x80).ok()
    }

    /// The byte that stands in for a unit that the page lacks.
    fn best_fit(self, unit: u16) -> Option<u8> {
        let ascii = match unit {
            0xFF01..=0xFF5E => u8::try_from(unit - 0xFEE0).ok()?,
            0x00A0 | 0x2000..=0x200A | 0x3000 => b' ',
            0x00A6 => b'|',
            0x00AD | 0x2010..=0x2015 | 0x2212 => b'-',
            0x2018..=0x201B | 0x2032 | 0x00B4 => b'\'',
            0x201C..=0x201F | 0x2033 => b'"',
            0x2039 => b'<',
            0x203A => b'>',
            0x00D7 => b'x',
            0x2022 => b'.',
            0x2215 | 0x2044 => b'/',
            0x2217 => b'*',
            0x221E => b'8',
            0x00C0..=0x00C5 => b'A',
            0x00C7 => b'C',
            0x00C8..=0x00CB => b'E',
            0x00CC..=0x00CF => b'I',
            0x00D1 => b'N',
            0x00D2..=0x00D6 | 0x00D8 => b'O',
            0x00D9..=0x00DC => b'U',
            0x00DD => b'Y',
            0x00E0..=0x00E5 => b'a',
            0x00E7 => b'c',
            0x00E8..=0x00EB => b'e',
            0x00EC..=0x00EF => b'i',
            0x00F1 => b'n',
            0x00F2..=0x00F6 | 0x00F8 => b'o',
            0x00F9..=0x00FC => b'u',
            0x00FD | 0x00FF => b'y',
            0x0100..=0x017F => LATIN_EXTENDED_A[usize::from(unit - 0x100)],
            0x0192 => b'f',
            _ => 0,
        };
        (ascii != 0).then_some(ascii)
    }
}

/// Where converted units go: counted, and stored while there is room.
struct Output<'a, T> {
    to: Option<&'a mut [T]>,
    used: usize,
}

impl<T: Copy> Output<'_, T> {
    fn put(&mut self, items: &[T]) -> Result<(), Error> {
        let end = self.used + items.len();
        if let Some(to) = &mut self.to {
            to.get_mut(self.used..end).ok_or(Error::InsufficientBuffer)?.copy_from_slice(items);
        }
        self.used = end;
        Ok(())
    }

    /// What is left of the buffer, or `None` when only counting.
    fn rest(&mut self) -> Option<&mut [T]> {
        let used = self.used;
        self.to.as_deref_mut().and_then(|to| to.get_mut(used..))
    }
}

/// Converts narrow text to UTF-16; returns the number of units (stored in `to`, or needed when `to` is `None`).
///
/// # Errors
/// See [`Error`]; flags are those of `MultiByteToWideChar`.
pub fn to_wide(page: CodePage, flags: u32, from: &[u8], to: Option<&mut [u16]>) -> Result<usize, Error> {
    let allowed = match page {
        CodePage::Utf8 => MB_ERR_INVALID_CHARS,
        _ => MB_ERR_INVALID_CHARS | MB_PRECOMPOSED | MB_COMPOSITE | MB_USEGLYPHCHARS,
    };
    if flags & !allowed != 0 || flags & (MB_PRECOMPOSED | MB_COMPOSITE) == MB_PRECOMPOSED | MB_COMPOSITE {
        return Err(Error::InvalidFlags);
    }
    let strict = flags & MB_ERR_INVALID_CHARS != 0;
    let mut out = Output { to, used: 0 };
    let mut rest = from;
    loop {
        let plain = match out.rest() {
            Some(to) => widen_ascii(rest, to),
            None => ascii_prefix(rest),
        };
        out.used += plain;
        rest = &rest[plain..];
        let Some(&byte) = rest.first() else { return Ok(out.used) };
        if page == CodePage::Utf8 {
            let step = decode_utf8(rest);
            if strict && step.invalid {
                return Err(Error::NoTranslation);
            }
            out.put(step.units())?;
            rest = &rest[step.used..];
        } else {
            let unit = page.unit_of(byte);
            if strict && (unit.is_none() || (page == CodePage::Ascii && byte >= 0x80)) {
                return Err(Error::NoTranslation);
            }
            out.put(&[unit.unwrap_or(0xFFFD)])?;
            rest = &rest[1..];
        }
    }
}

/// Converts UTF-16 to narrow text; returns the number of bytes (stored in `to`, or needed when `to` is `None`).
///
/// `default` is `lpDefaultChar`, `used_default` is `lpUsedDefaultChar` (set, when given, to whether the default character was used).
///
/// # Errors
/// See [`Error`]; flags are those of `WideCharToMultiByte`.
pub fn from_wide(
    page: CodePage,
    flags: u32,
    from: &[u16],
    to: Option<&mut [u8]>,
    default: Option<u8>,
    used_default: Option<&mut bool>,
) -> Result<usize, Error> {
    let allowed = match page {
        CodePage::Utf8 => WC_ERR_INVALID_CHARS,
        _ => WC_NO_BEST_FIT_CHARS | WC_COMPOSITECHECK | WC_DEFAULTCHAR | WC_DISCARDNS | WC_SEPCHARS,
    };
    if flags & !allowed != 0 {
        return Err(Error::InvalidFlags);
    }
    if page == CodePage::Utf8 && (default.is_some() || used_default.is_some()) {
        return Err(Error::InvalidParameter);
    }
    let best_fit = flags & WC_NO_BEST_FIT_CHARS == 0;
    let mut defaulted = false;
    let mut out = Output { to, used: 0 };
    let mut rest = from;
    loop {
        let plain = match out.rest() {
            Some(to) => narrow_ascii(rest, to),
            None => rest.iter().position(|u| *u >= 0x80).unwrap_or(rest.len()),
        };
        out.used += plain;
        rest = &rest[plain..];
        let Some(&unit) = rest.first() else { break };
        if page == CodePage::Utf8 {
            let (bytes, length, units, invalid) = encode_utf8(rest);
            if invalid && flags & WC_ERR_INVALID_CHARS != 0 {
                return Err(Error::NoTranslation);
            }
            out.put(&bytes[..length])?;
            rest = &rest[units..];
            continue;
        }
        let byte = page.byte_of(unit).or_else(|| page.best_fit(unit).filter(|_| best_fit));
        defaulted |= byte.is_none();
        out.put(&[byte.unwrap_or(default.unwrap_or(b'?'))])?;
        rest = &rest[1..];
    }
    if let Some(flag) = used_default {
        *flag = defaulted;
    }
    Ok(out.used)
}
