//! `shlwapi.h`: strings. The A forms have their own bodies where the result is a pointer into the argument.

use core::cmp::Ordering;

use transom_sdk::{AStr, Acp, Cx, Ptr, TextOut, WStr, Win32, mem, shim};
use transom_syscalls::path::fold::upcase;

/// Letters of either case alike.
fn folded(text: &[u16]) -> Vec<u16> {
    text.iter().map(|&unit| upcase(unit)).collect()
}

fn find(text: &[u16], part: &[u16]) -> Option<usize> {
    if part.is_empty() {
        return None;
    }
    text.windows(part.len()).position(|window| window == part)
}

fn find_last(text: &[u16], part: &[u16]) -> Option<usize> {
    if part.is_empty() {
        return None;
    }
    text.windows(part.len()).rposition(|window| window == part)
}

fn text_at(at: Ptr<u16>) -> Win32<Vec<u16>> {
    Ok(if at.is_null() { Vec::new() } else { WStr::new(at.addr()).get()? })
}

fn bytes_at(at: Ptr<u8>) -> Win32<Vec<u8>> {
    Ok(if at.is_null() { Vec::new() } else { AStr::new(at.addr()).get()? })
}

/// Bytes as units, so that one search serves both forms: a byte's index is a unit's.
fn as_units(bytes: &[u8]) -> Vec<u16> {
    bytes.iter().map(|&byte| byte.into()).collect()
}

fn ascii_folded(bytes: &[u8]) -> Vec<u16> {
    bytes.iter().map(|byte| byte.to_ascii_uppercase().into()).collect()
}

fn wide_result(base: Ptr<u16>, at: Option<usize>) -> Ptr<u16> {
    at.map_or(Ptr::NULL, |at| base.byte_add(2 * at as u64))
}

fn narrow_result(base: Ptr<u8>, at: Option<usize>) -> Ptr<u8> {
    at.map_or(Ptr::NULL, |at| base.byte_add(at as u64))
}

/// Finds the first occurrence of a substring within a string, case-sensitive.
#[shim(shlwapi)]
fn StrStrW(_cx: &Cx, text: Ptr<u16>, part: Ptr<u16>) -> Win32<Ptr<u16>> {
    Ok(wide_result(text, find(&text_at(text)?, &text_at(part)?)))
}

/// Finds the first occurrence of a substring within a string, case-sensitive.
#[shim(shlwapi)]
fn StrStrA(_cx: &Cx, text: Ptr<u8>, part: Ptr<u8>) -> Win32<Ptr<u8>> {
    Ok(narrow_result(text, find(&as_units(&bytes_at(text)?), &as_units(&bytes_at(part)?))))
}

/// Finds the first occurrence of a substring within a string, not case-sensitive.
#[shim(shlwapi)]
fn StrStrIW(_cx: &Cx, text: Ptr<u16>, part: Ptr<u16>) -> Win32<Ptr<u16>> {
    Ok(wide_result(text, find(&folded(&text_at(text)?), &folded(&text_at(part)?))))
}

/// Finds the first occurrence of a substring within a string, not case-sensitive.
#[shim(shlwapi)]
fn StrStrIA(_cx: &Cx, text: Ptr<u8>, part: Ptr<u8>) -> Win32<Ptr<u8>> {
    Ok(narrow_result(text, find(&ascii_folded(&bytes_at(text)?), &ascii_folded(&bytes_at(part)?))))
}

/// Finds the first occurrence of a substring within so many characters of a string, case-sensitive.
#[shim(shlwapi)]
fn StrStrNW(_cx: &Cx, text: Ptr<u16>, part: Ptr<u16>, count: u32) -> Win32<Ptr<u16>> {
    let mut all = text_at(text)?;
    all.truncate(count as usize);
    Ok(wide_result(text, find(&all, &text_at(part)?)))
}

/// Finds the first occurrence of a substring within so many characters of a string, not case-sensitive.
#[shim(shlwapi)]
fn StrStrNIW(_cx: &Cx, text: Ptr<u16>, part: Ptr<u16>, count: u32) -> Win32<Ptr<u16>> {
    let mut all = text_at(text)?;
    all.truncate(count as usize);
    Ok(wide_result(text, find(&folded(&all), &folded(&text_at(part)?))))
}

/// Finds the last occurrence of a substring before a position, not case-sensitive.
#[shim(shlwapi)]
fn StrRStrIW(_cx: &Cx, text: Ptr<u16>, end: Ptr<u16>, part: Ptr<u16>) -> Win32<Ptr<u16>> {
    let mut all = text_at(text)?;
    let part = folded(&text_at(part)?);
    if !end.is_null() {
        let before = usize::try_from(end.addr().saturating_sub(text.addr()) / 2).unwrap_or(usize::MAX);
        all.truncate(before.saturating_add(part.len().saturating_sub(1)));
    }
    Ok(wide_result(text, find_last(&folded(&all), &part)))
}

/// Finds the first occurrence of a character, case-sensitive.
#[shim(shlwapi)]
fn StrChrW(_cx: &Cx, text: Ptr<u16>, unit: u16) -> Win32<Ptr<u16>> {
    Ok(wide_result(text, find(&text_at(text)?, &[unit])))
}

/// Finds the first occurrence of a character, case-sensitive.
#[shim(shlwapi)]
fn StrChrA(_cx: &Cx, text: Ptr<u8>, byte: u16) -> Win32<Ptr<u8>> {
    Ok(narrow_result(text, find(&as_units(&bytes_at(text)?), &[byte & 0xFF])))
}

/// Finds the first occurrence of a character, not case-sensitive.
#[shim(shlwapi)]
fn StrChrIW(_cx: &Cx, text: Ptr<u16>, unit: u16) -> Win32<Ptr<u16>> {
    Ok(wide_result(text, find(&folded(&text_at(text)?), &folded(&[unit]))))
}

/// Finds the last occurrence of a character before a position, case-sensitive.
#[shim(shlwapi)]
fn StrRChrW(_cx: &Cx, text: Ptr<u16>, end: Ptr<u16>, unit: u16) -> Win32<Ptr<u16>> {
    let mut all = text_at(text)?;
    if !end.is_null() {
        all.truncate(usize::try_from(end.addr().saturating_sub(text.addr()) / 2).unwrap_or(usize::MAX));
    }
    Ok(wide_result(text, find_last(&all, &[unit])))
}

/// Finds the last occurrence of a character before a position, case-sensitive.
#[shim(shlwapi)]
fn StrRChrA(_cx: &Cx, text: Ptr<u8>, end: Ptr<u8>, byte: u16) -> Win32<Ptr<u8>> {
    let mut all = bytes_at(text)?;
    if !end.is_null() {
        all.truncate(usize::try_from(end.addr().saturating_sub(text.addr())).unwrap_or(usize::MAX));
    }
    Ok(narrow_result(text, find_last(&as_units(&all), &[byte & 0xFF])))
}

/// Finds the first character that is in a set.
#[shim(shlwapi)]
fn StrPBrkW(_cx: &Cx, text: Ptr<u16>, set: Ptr<u16>) -> Win32<Ptr<u16>> {
    let set = text_at(set)?;
    Ok(wide_result(text, text_at(text)?.iter().position(|unit| set.contains(unit))))
}

fn length(count: usize) -> i32 {
    i32::try_from(count).unwrap_or(i32::MAX)
}

/// The length of the part of a string that contains only characters of a set.
#[shim(shlwapi)]
fn StrSpnW(_cx: &Cx, text: Ptr<u16>, set: Ptr<u16>) -> Win32<i32> {
    let set = text_at(set)?;
    Ok(length(text_at(text)?.iter().take_while(|unit| set.contains(unit)).count()))
}

/// The length of the part of a string that contains no character of a set.
#[shim(shlwapi)]
fn StrCSpnW(_cx: &Cx, text: Ptr<u16>, set: Ptr<u16>) -> Win32<i32> {
    let set = text_at(set)?;
    Ok(length(text_at(text)?.iter().take_while(|unit| !set.contains(unit)).count()))
}

/// As StrCSpn, not case-sensitive.
#[shim(shlwapi)]
fn StrCSpnIW(_cx: &Cx, text: Ptr<u16>, set: Ptr<u16>) -> Win32<i32> {
    let set = folded(&text_at(set)?);
    Ok(length(folded(&text_at(text)?).iter().take_while(|unit| !set.contains(unit)).count()))
}

fn sign(order: Ordering) -> i32 {
    order as i32
}

fn compared(a: Ptr<u16>, b: Ptr<u16>, count: usize, fold: bool) -> Win32<i32> {
    let (mut a, mut b) = (text_at(a)?, text_at(b)?);
    a.truncate(count);
    b.truncate(count);
    Ok(sign(if fold { folded(&a).cmp(&folded(&b)) } else { a.cmp(&b) }))
}

fn compared_bytes(a: Ptr<u8>, b: Ptr<u8>, count: usize, fold: bool) -> Win32<i32> {
    let (mut a, mut b) = (bytes_at(a)?, bytes_at(b)?);
    a.truncate(count);
    b.truncate(count);
    Ok(sign(if fold { ascii_folded(&a).cmp(&ascii_folded(&b)) } else { a.cmp(&b) }))
}

/// Compares strings, case-sensitive: by code unit, as the C comparison does.
#[shim(shlwapi(StrCmpW, StrCmpCW))]
fn StrCmpW(_cx: &Cx, a: Ptr<u16>, b: Ptr<u16>) -> Win32<i32> {
    compared(a, b, usize::MAX, false)
}

/// Compares strings, not case-sensitive.
#[shim(shlwapi(StrCmpIW, StrCmpICW))]
fn StrCmpIW(_cx: &Cx, a: Ptr<u16>, b: Ptr<u16>) -> Win32<i32> {
    compared(a, b, usize::MAX, true)
}

/// Compares so many characters, case-sensitive.
#[shim(shlwapi(StrCmpNW, StrCmpNCW))]
fn StrCmpNW(_cx: &Cx, a: Ptr<u16>, b: Ptr<u16>, count: i32) -> Win32<i32> {
    compared(a, b, usize::try_from(count).unwrap_or(0), false)
}

/// Compares so many characters, not case-sensitive.
#[shim(shlwapi(StrCmpNIW, StrCmpNICW))]
fn StrCmpNIW(_cx: &Cx, a: Ptr<u16>, b: Ptr<u16>, count: i32) -> Win32<i32> {
    compared(a, b, usize::try_from(count).unwrap_or(0), true)
}

/// Compares strings of the C locale.
#[shim(shlwapi(StrCmpCA))]
fn StrCmpCA(_cx: &Cx, a: Ptr<u8>, b: Ptr<u8>) -> Win32<i32> {
    compared_bytes(a, b, usize::MAX, false)
}

/// Compares strings of the C locale, not case-sensitive.
#[shim(shlwapi(StrCmpICA))]
fn StrCmpICA(_cx: &Cx, a: Ptr<u8>, b: Ptr<u8>) -> Win32<i32> {
    compared_bytes(a, b, usize::MAX, true)
}

/// Compares so many characters, case-sensitive.
#[shim(shlwapi(StrCmpNA, StrCmpNCA))]
fn StrCmpNA(_cx: &Cx, a: Ptr<u8>, b: Ptr<u8>, count: i32) -> Win32<i32> {
    compared_bytes(a, b, usize::try_from(count).unwrap_or(0), false)
}

/// Compares so many characters, not case-sensitive.
#[shim(shlwapi(StrCmpNIA, StrCmpNICA))]
fn StrCmpNIA(_cx: &Cx, a: Ptr<u8>, b: Ptr<u8>, count: i32) -> Win32<i32> {
    compared_bytes(a, b, usize::try_from(count).unwrap_or(0), true)
}

/// Text, or the number it begins with.
enum Piece {
    Text(u16),
    /// Digits without leading zeros, and how many there were.
    Number(Vec<u16>, usize),
}

fn pieces(text: &[u16]) -> Vec<Piece> {
    let is_digit = |unit: &u16| (u16::from(b'0')..=u16::from(b'9')).contains(unit);
    let mut out = Vec::new();
    let mut rest = text;
    while let Some(&first) = rest.first() {
        let digits = rest.iter().take_while(|unit| is_digit(unit)).count();
        if digits == 0 {
            out.push(Piece::Text(upcase(first)));
            rest = &rest[1..];
        } else {
            let zeros = rest[..digits].iter().take_while(|unit| **unit == u16::from(b'0')).count();
            out.push(Piece::Number(rest[zeros..digits].to_vec(), digits));
            rest = &rest[digits..];
        }
    }
    out
}

/// Compares names as the shell lists them: digits count as numbers, case does not matter.
fn logical(a: &[u16], b: &[u16]) -> Ordering {
    let (a, b) = (pieces(a), pieces(b));
    for pair in a.iter().zip(&b) {
        let order = match pair {
            (Piece::Text(x), Piece::Text(y)) => x.cmp(y),
            (Piece::Number(..), Piece::Text(_)) => Ordering::Less,
            (Piece::Text(_), Piece::Number(..)) => Ordering::Greater,
            (Piece::Number(x, n), Piece::Number(y, m)) => {
                x.len().cmp(&y.len()).then_with(|| x.cmp(y)).then_with(|| m.cmp(n))
            }
        };
        if order != Ordering::Equal {
            return order;
        }
    }
    a.len().cmp(&b.len())
}

/// Compares two strings; digits in them are considered as numerical content rather than text.
#[shim(shlwapi)]
fn StrCmpLogicalW(_cx: &Cx, a: Ptr<u16>, b: Ptr<u16>) -> Win32<i32> {
    Ok(sign(logical(&text_at(a)?, &text_at(b)?)))
}

/// The value of a number at the beginning of a text, `None` if there is none. With `hex`, 0x introduces hexadecimal digits.
fn number(text: &[u16], hex: bool) -> Option<i64> {
    let text = String::from_utf16_lossy(text);
    let text = if hex { text.trim_start() } else { &text };
    if hex && let Some(digits) = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        let end = digits.find(|c: char| !c.is_ascii_hexdigit()).unwrap_or(digits.len());
        return u64::from_str_radix(&digits[..end], 16).ok().map(u64::cast_signed);
    }
    let (negative, digits) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').filter(|_| hex).unwrap_or(text)),
    };
    let end = digits.find(|c: char| !c.is_ascii_digit()).unwrap_or(digits.len());
    let value = digits[..end].parse::<i64>().ok()?;
    Some(if negative { -value } else { value })
}

#[expect(clippy::cast_possible_truncation, reason = "as documented for an int")]
fn int(value: i64) -> i32 {
    value as i32
}

/// Converts a string that represents a decimal value to an integer: 0 if it is none.
#[shim(shlwapi, ansi)]
fn StrToIntW(_cx: &Cx, text: WStr) -> Win32<i32> {
    Ok(int(number(&text.get()?, false).unwrap_or(0)))
}

/// Converts a string that represents a decimal or hexadecimal number to an integer.
#[shim(shlwapi, ansi)]
fn StrToIntExW(cx: &Cx, text: WStr, flags: u32, out: Ptr<i32>) -> Win32<bool> {
    let value = number(&text.get()?, flags & 1 != 0);
    out.write(cx, int(value.unwrap_or(0)))?;
    Ok(value.is_some())
}

/// Converts a string that represents a decimal or hexadecimal number to a 64-bit integer.
#[shim(shlwapi, ansi)]
fn StrToInt64ExW(cx: &Cx, text: WStr, flags: u32, out: Ptr<i64>) -> Win32<bool> {
    let value = number(&text.get()?, flags & 1 != 0);
    out.write(cx, value.unwrap_or(0))?;
    Ok(value.is_some())
}

/// Removes specified leading and trailing characters from a string.
#[shim(shlwapi)]
fn StrTrimW(_cx: &Cx, text: Ptr<u16>, set: Ptr<u16>) -> Win32<bool> {
    let (all, set) = (text_at(text)?, text_at(set)?);
    let keep = |unit: &u16| !set.contains(unit);
    let start = all.iter().position(keep).unwrap_or(all.len());
    let end = all.iter().rposition(keep).map_or(start, |at| at + 1);
    if (start, end) == (0, all.len()) {
        return Ok(false);
    }
    mem::write_slice(text.addr(), &[&all[start..end], &[0]].concat())?;
    Ok(true)
}

/// Removes specified leading and trailing characters from a string.
#[shim(shlwapi)]
fn StrTrimA(_cx: &Cx, text: Ptr<u8>, set: Ptr<u8>) -> Win32<bool> {
    let (all, set) = (bytes_at(text)?, bytes_at(set)?);
    let keep = |byte: &u8| !set.contains(byte);
    let start = all.iter().position(keep).unwrap_or(all.len());
    let end = all.iter().rposition(keep).map_or(start, |at| at + 1);
    if (start, end) == (0, all.len()) {
        return Ok(false);
    }
    mem::copy_out(text.addr(), &[&all[start..end], &[0]].concat())?;
    Ok(true)
}

/// Duplicates a string, in memory that LocalFree frees.
#[shim(shlwapi)]
fn StrDupW(cx: &Cx, text: Ptr<u16>) -> Win32<Ptr<u16>> {
    let mut all = text_at(text)?;
    all.push(0);
    let Some(at) = cx.heaps().process().alloc(2 * all.len() as u64, false) else { return Ok(Ptr::NULL) };
    mem::write_slice(at, &all)?;
    Ok(Ptr::new(at))
}

/// Duplicates a string, in memory that LocalFree frees.
#[shim(shlwapi)]
fn StrDupA(cx: &Cx, text: Ptr<u8>) -> Win32<Ptr<u8>> {
    let mut all = bytes_at(text)?;
    all.push(0);
    let Some(at) = cx.heaps().process().alloc(all.len() as u64, false) else { return Ok(Ptr::NULL) };
    mem::copy_out(at, &all)?;
    Ok(Ptr::new(at))
}

/// Copies a string.
#[shim(shlwapi)]
fn StrCpyW(_cx: &Cx, out: Ptr<u16>, text: Ptr<u16>) -> Win32<Ptr<u16>> {
    let mut all = text_at(text)?;
    all.push(0);
    mem::write_slice(out.addr(), &all)?;
    Ok(out)
}

/// Copies so many characters of a string, terminator included.
#[shim(shlwapi)]
fn StrCpyNW(_cx: &Cx, out: Ptr<u16>, text: Ptr<u16>, count: i32) -> Win32<Ptr<u16>> {
    TextOut::new(out.addr()).put_truncated(&text_at(text)?, u32::try_from(count).unwrap_or(0))?;
    Ok(out)
}

/// Appends one string to another.
#[shim(shlwapi)]
fn StrCatW(cx: &Cx, out: Ptr<u16>, text: Ptr<u16>) -> Win32<Ptr<u16>> {
    let used = text_at(out)?.len();
    StrCpyW(cx, out.byte_add(2 * used as u64), text)?;
    Ok(out)
}

/// Appends a string to another one in a buffer of a size.
#[shim(shlwapi)]
fn StrCatBuffW(_cx: &Cx, out: Ptr<u16>, text: Ptr<u16>, room: i32) -> Win32<Ptr<u16>> {
    let all = [text_at(out)?, text_at(text)?].concat();
    TextOut::new(out.addr()).put_truncated(&all, u32::try_from(room).unwrap_or(0))?;
    Ok(out)
}

/// Converts a byte count to text as the shell shows it, with three digits and a unit.
fn byte_size(bytes: i64) -> String {
    const UNITS: [&str; 6] = ["KB", "MB", "GB", "TB", "PB", "EB"];
    if bytes < 1024 {
        return format!("{bytes} bytes");
    }
    let mut unit = 0;
    let mut whole = bytes;
    while whole >= 1000 * 1024 && unit + 1 < UNITS.len() {
        whole /= 1024;
        unit += 1;
    }
    let (integer, rest) = (whole / 1024, whole % 1024);
    match integer {
        0..10 => format!("{integer}.{:02} {}", rest * 100 / 1024, UNITS[unit]),
        10..100 => format!("{integer}.{} {}", rest * 10 / 1024, UNITS[unit]),
        _ => format!("{integer} {}", UNITS[unit]),
    }
}

/// Converts a numeric value into a string that represents the number in bytes, kilobytes, and so on.
#[shim(shlwapi)]
fn StrFormatByteSizeW(_cx: &Cx, bytes: i64, out: TextOut, room: u32) -> Win32<Ptr<u16>> {
    out.put_truncated(&byte_size(bytes).encode_utf16().collect::<Vec<_>>(), room)?;
    Ok(Ptr::new(out.addr()))
}

/// Converts a numeric value into a string that represents the number in bytes, kilobytes, and so on.
#[shim(shlwapi)]
fn StrFormatByteSize64A(_cx: &Cx, bytes: i64, out: Ptr<u8>, room: u32) -> Win32<Ptr<u8>> {
    let mut text = Acp::encode(&byte_size(bytes).encode_utf16().collect::<Vec<_>>());
    text.truncate((room as usize).saturating_sub(1));
    text.push(0);
    if room > 0 {
        mem::copy_out(out.addr(), &text)?;
    }
    Ok(out)
}

/// Determines whether a character is a space.
#[shim(shlwapi(IsCharSpaceW))]
fn IsCharSpaceW(unit: u16) -> bool {
    char::from_u32(unit.into()).is_some_and(char::is_whitespace)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn w(text: &str) -> Vec<u16> {
        text.encode_utf16().collect()
    }

    #[test]
    fn names_are_ordered_as_the_shell_does() {
        let mut names =
            ["20string", "2string", "3string", "st20ring", "st2ring", "st3ring", "string2", "string20"]
                .map(w);
        names.sort_by(|a, b| logical(a, b));
        let expected =
            ["2string", "3string", "20string", "st2ring", "st3ring", "st20ring", "string2", "string20"];
        assert_eq!(names, expected.map(w));
        assert_eq!(logical(&w("A"), &w("a")), Ordering::Equal);
    }

    #[test]
    fn numbers_in_texts() {
        assert_eq!(number(&w("12a"), false), Some(12));
        assert_eq!(number(&w("-7"), false), Some(-7));
        assert_eq!(number(&w("0x1F"), false), Some(0));
        assert_eq!(number(&w("0x1F"), true), Some(31));
        assert_eq!(number(&w("x"), true), None);
    }

    #[test]
    fn sizes_as_the_shell_shows_them() {
        for (bytes, text) in [
            (532, "532 bytes"),
            (1340, "1.30 KB"),
            (23506, "22.9 KB"),
            (2_400_016, "2.28 MB"),
            (2_400_000_000, "2.23 GB"),
        ] {
            assert_eq!(byte_size(bytes), text);
        }
    }
}
