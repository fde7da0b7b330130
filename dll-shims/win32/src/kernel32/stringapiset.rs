//! `stringapiset.h`: code-page conversion, comparison, character types.

use transom_sdk::codepage::{self, CodePage, Error};
use transom_sdk::{Cx, Ptr, Win32, WinError, foundation as f, mem, shim};
use transom_syscalls::path::fold::upcase;
use windows_sys::Win32::Globalization as g;

/// The ANSI and OEM code page: UTF-8, as `transom_sdk::Acp` explains.
pub(crate) const CODE_PAGE: u32 = g::CP_UTF8;

/// Texts up to this many characters are converted on the host's stack.
const SMALL: usize = 1024;
const TINY: usize = 96;

fn page(number: u32) -> Win32<CodePage> {
    let number = codepage::resolve(number, CODE_PAGE, CODE_PAGE);
    CodePage::new(number).ok_or(WinError::Code(f::ERROR_INVALID_PARAMETER))
}

fn failure(error: Error) -> WinError {
    WinError::Code(match error {
        Error::InvalidParameter => f::ERROR_INVALID_PARAMETER,
        Error::InvalidFlags => f::ERROR_INVALID_FLAGS,
        Error::InsufficientBuffer => f::ERROR_INSUFFICIENT_BUFFER,
        Error::NoTranslation => f::ERROR_NO_UNICODE_TRANSLATION,
    })
}

/// Runs `work` with a zeroed host buffer of `len` items: on the stack if small.
fn with_buffer<T: Copy + Default, R>(len: usize, work: impl FnOnce(&mut [T]) -> R) -> R {
    // Clearing a buffer much larger than the text would take longer than converting it.
    if len <= TINY {
        work(&mut [T::default(); TINY][..len])
    } else if len <= SMALL {
        work(&mut [T::default(); SMALL][..len])
    } else {
        work(&mut vec![T::default(); len])
    }
}

/// The number of items of a source, where -1 means up to and including the terminator.
fn source_len(len: i32, terminated: impl FnOnce() -> Result<usize, mem::BadAddress>) -> Win32<usize> {
    match len {
        0 => Err(WinError::Code(f::ERROR_INVALID_PARAMETER)),
        len if len < 0 => Ok(terminated()? + 1),
        len => Ok(usize::try_from(len).unwrap_or(0)),
    }
}

fn check(source: u64, source_len: i32, target: u64, target_len: i32) -> Win32<usize> {
    if source == 0
        || source_len == 0
        || target_len < 0
        || (target_len != 0 && (target == 0 || target == source))
    {
        return Err(WinError::Code(f::ERROR_INVALID_PARAMETER));
    }
    Ok(usize::try_from(target_len).unwrap_or(0))
}

const LONGEST: usize = i32::MAX as usize;

/// Maps a character string to a UTF-16 (wide character) string.
#[shim(kernel32)]
fn MultiByteToWideChar(
    _cx: &Cx,
    code_page: u32,
    flags: u32,
    source: Ptr<u8>,
    len: i32,
    target: Ptr<u16>,
    target_len: i32,
) -> Win32<i32> {
    // UTF-8 by its own number refuses flags of other pages. Programs that ask for the ANSI or OEM page know nothing of
    // what it is: C runtimes ask for precomposed characters when they convert file names.
    let flags = if matches!(code_page, g::CP_ACP | g::CP_OEMCP | g::CP_THREAD_ACP) {
        flags & g::MB_ERR_INVALID_CHARS
    } else {
        flags
    };
    let room = check(source.addr(), len, target.addr(), target_len)?;
    let page = page(code_page)?;
    let len = source_len(len, || mem::strlen8(source.addr(), LONGEST))?;
    with_buffer(len, |bytes: &mut [u8]| {
        mem::copy_in(source.addr(), bytes)?;
        let count = if room == 0 {
            codepage::to_wide(page, flags, bytes, None).map_err(failure)?
        } else {
            // No byte becomes more than one unit.
            with_buffer(room.min(len), |units: &mut [u16]| {
                let n = codepage::to_wide(page, flags, bytes, Some(units)).map_err(failure)?;
                mem::write_slice(target.addr(), &units[..n])?;
                Ok::<_, WinError>(n)
            })?
        };
        i32::try_from(count).map_err(|_| WinError::Code(f::ERROR_ARITHMETIC_OVERFLOW))
    })
}

/// Maps a UTF-16 (wide character) string to a new character string.
#[shim(kernel32)]
fn WideCharToMultiByte(
    cx: &Cx,
    code_page: u32,
    flags: u32,
    source: Ptr<u16>,
    len: i32,
    target: Ptr<u8>,
    target_len: i32,
    default: Ptr<u8>,
    used_default: Ptr<bool>,
) -> Win32<i32> {
    const MOST_BYTES_PER_UNIT: usize = 3;
    let room = check(source.addr(), len, target.addr(), target_len)?;
    let page = page(code_page)?;
    let len = source_len(len, || mem::strlen16(source.addr(), LONGEST))?;
    // UTF-8 by its own number refuses a default character. Programs that ask for the ANSI or OEM page know nothing of
    // UTF-8 and pass one as a matter of course (7-Zip does); for them it has nothing to do, since everything has a form.
    let moot = code_page != CODE_PAGE && codepage::resolve(code_page, CODE_PAGE, CODE_PAGE) == g::CP_UTF8;
    let default = if default.is_null() || moot { None } else { Some(default.read(cx)?) };
    let mut defaulted = false;
    let wants_flag = !used_default.is_null();
    let count = with_buffer(len, |units: &mut [u16]| {
        for_guest(source, units)?;
        let flag = (wants_flag && !moot).then_some(&mut defaulted);
        if room == 0 {
            return codepage::from_wide(page, flags, units, None, default, flag).map_err(failure);
        }
        with_buffer(room.min(len * MOST_BYTES_PER_UNIT), |bytes: &mut [u8]| {
            let n = codepage::from_wide(page, flags, units, Some(bytes), default, flag).map_err(failure)?;
            mem::copy_out(target.addr(), &bytes[..n])?;
            Ok(n)
        })
    })?;
    if wants_flag {
        used_default.write(cx, defaulted)?;
    }
    i32::try_from(count).map_err(|_| WinError::Code(f::ERROR_ARITHMETIC_OVERFLOW))
}

/// Copies units out of guest memory.
fn for_guest(source: Ptr<u16>, units: &mut [u16]) -> Win32<()> {
    // SAFETY: units are plain integers; every bit pattern is one.
    let bytes = unsafe { std::slice::from_raw_parts_mut(units.as_mut_ptr().cast::<u8>(), 2 * units.len()) };
    Ok(mem::copy_in(source.addr(), bytes)?)
}

/// Reads a counted or terminated UTF-16 text.
fn text(at: Ptr<u16>, len: i32) -> Win32<Vec<u16>> {
    if at.is_null() {
        return Err(WinError::Code(f::ERROR_INVALID_PARAMETER));
    }
    Ok(transom_sdk::WStr::new(at.addr()).get_counted(len)?)
}

fn answer(ordering: std::cmp::Ordering) -> i32 {
    match ordering {
        std::cmp::Ordering::Less => g::CSTR_LESS_THAN,
        std::cmp::Ordering::Equal => g::CSTR_EQUAL,
        std::cmp::Ordering::Greater => g::CSTR_GREATER_THAN,
    }
}

/// Compares two Unicode strings to test binary equivalence.
#[shim(kernel32)]
fn CompareStringOrdinal(
    _cx: &Cx,
    first: Ptr<u16>,
    len1: i32,
    second: Ptr<u16>,
    len2: i32,
    ignore_case: bool,
) -> Win32<i32> {
    let (mut a, mut b) = (text(first, len1)?, text(second, len2)?);
    if ignore_case {
        for c in a.iter_mut().chain(&mut b) {
            *c = upcase(*c);
        }
    }
    Ok(answer(a.cmp(&b)))
}

/// The order of words that people expect: letters without regard to case first, then case (lower before upper).
pub(crate) fn linguistic(a: &[u16], b: &[u16], flags: u32) -> std::cmp::Ordering {
    const IGNORE_CASE: u32 = g::NORM_IGNORECASE | g::LINGUISTIC_IGNORECASE;
    let fold = |s: &[u16]| -> Vec<(u8, u32)> {
        String::from_utf16_lossy(s)
            .chars()
            .flat_map(char::to_lowercase)
            .map(|c| (class(c), u32::from(c)))
            .collect()
    };
    let primary = fold(a).cmp(&fold(b));
    if primary.is_ne() || flags & IGNORE_CASE != 0 {
        return primary;
    }
    // Lower case sorts before upper case.
    b.cmp(a)
}

/// Punctuation, then digits, then letters.
fn class(c: char) -> u8 {
    if c.is_alphabetic() {
        2
    } else if c.is_numeric() {
        1
    } else {
        0
    }
}

/// Compares two character strings, for a locale specified by identifier.
#[shim(kernel32, partial = "one collation for all locales")]
fn CompareStringW(
    _cx: &Cx,
    _locale: u32,
    flags: u32,
    first: Ptr<u16>,
    len1: i32,
    second: Ptr<u16>,
    len2: i32,
) -> Win32<i32> {
    Ok(answer(linguistic(&text(first, len1)?, &text(second, len2)?, flags)))
}

/// Compares two character strings, for a locale specified by name.
#[shim(kernel32, partial = "one collation for all locales")]
fn CompareStringEx(
    cx: &Cx,
    _locale: Ptr<u16>,
    flags: u32,
    first: Ptr<u16>,
    len1: i32,
    second: Ptr<u16>,
    len2: i32,
    _version: usize,
    _reserved: usize,
    _parameter: usize,
) -> Win32<i32> {
    CompareStringW(cx, 0, flags, first, len1, second, len2)
}

/// Compares two ANSI strings.
#[shim(kernel32, partial = "one collation for all locales")]
fn CompareStringA(
    _cx: &Cx,
    _locale: u32,
    flags: u32,
    first: Ptr<u8>,
    len1: i32,
    second: Ptr<u8>,
    len2: i32,
) -> Win32<i32> {
    let get = |p: Ptr<u8>, len: i32| -> Win32<Vec<u16>> {
        let bytes = match usize::try_from(len) {
            Ok(len) => p.read_slice(len)?,
            Err(_) => transom_sdk::AStr::new(p.addr()).get()?,
        };
        Ok(transom_sdk::Acp::decode(&bytes))
    };
    Ok(answer(linguistic(&get(first, len1)?, &get(second, len2)?, flags)))
}

/// CT_CTYPE1 bits of a character.
fn ctype1(unit: u16) -> u16 {
    let Some(c) = char::from_u32(unit.into()) else { return 0 };
    let bits = [
        (c.is_uppercase(), g::C1_UPPER),
        (c.is_lowercase(), g::C1_LOWER),
        (c.is_ascii_digit(), g::C1_DIGIT),
        (c.is_whitespace(), g::C1_SPACE),
        (
            c.is_ascii_punctuation()
                || (!c.is_ascii() && !c.is_alphanumeric() && !c.is_whitespace() && !c.is_control()),
            g::C1_PUNCT,
        ),
        (c.is_control(), g::C1_CNTRL),
        (c == ' ' || c == '\t' || c == '\u{A0}' || c == '\u{3000}', g::C1_BLANK),
        (c.is_ascii_hexdigit(), g::C1_XDIGIT),
        (c.is_alphabetic(), g::C1_ALPHA),
        (true, g::C1_DEFINED),
    ];
    let all = bits.iter().filter(|(is, _)| *is).fold(0, |acc, (_, bit)| acc | bit);
    u16::try_from(all).unwrap_or(0)
}

/// Retrieves character type information for the characters in the specified Unicode source string.
#[shim(kernel32, partial = "CT_CTYPE1; the other two kinds are all zeroes for non-ASCII text")]
fn GetStringTypeW(_cx: &Cx, kind: u32, source: Ptr<u16>, len: i32, out: Ptr<u16>) -> Win32<()> {
    let mut units = text(source, len)?;
    if len < 0 {
        units.push(0);
    }
    let types: Vec<u16> = match kind {
        g::CT_CTYPE1 => units.into_iter().map(ctype1).collect(),
        g::CT_CTYPE2 | g::CT_CTYPE3 => vec![0; units.len()],
        _ => return Err(WinError::Code(f::ERROR_INVALID_PARAMETER)),
    };
    Ok(out.write_slice(&types)?)
}

/// The form of GetStringTypeW with a locale.
#[shim(kernel32, partial = "see GetStringTypeW")]
fn GetStringTypeExW(
    cx: &Cx,
    _locale: u32,
    kind: u32,
    source: Ptr<u16>,
    len: i32,
    out: Ptr<u16>,
) -> Win32<()> {
    GetStringTypeW(cx, kind, source, len, out)
}
