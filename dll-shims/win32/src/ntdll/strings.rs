//! Counted strings: UNICODE_STRING, ANSI_STRING and what is done with them. Conversions between the two are in
//! `string_conversion.rs`, numbers in `numbers.rs`.

use core::cmp::Ordering;

use transom_sdk::{AStr, Cx, Guest, Nt, Ptr, WStr, Win32, foundation as f, mem, shim};
use transom_syscalls::path::fold::upcase;

use super::probe::{fault, get, put, status};

/// UNICODE_STRING, and ANSI_STRING, which differs in what the buffer holds. Lengths are in bytes.
#[derive(Guest, Debug, Clone, Copy)]
#[mirrors(windows_sys::Win32::Foundation::UNICODE_STRING)]
pub(crate) struct UnicodeString {
    pub(crate) length: u16,
    pub(crate) maximum: u16,
    pub(crate) buffer: Ptr<u8>,
}

impl UnicodeString {
    /// The string that the structure describes.
    pub(crate) fn text(&self) -> Nt<Vec<u16>> {
        mem::read_vec(self.buffer.addr(), usize::from(self.length) / 2).map_err(fault)
    }

    /// The bytes that the structure describes.
    pub(crate) fn bytes(&self) -> Nt<Vec<u8>> {
        mem::copy_in_vec(self.buffer.addr(), self.length.into()).map_err(fault)
    }
}

/// Bytes of text.
pub(crate) fn utf16_bytes(text: &[u16]) -> Vec<u8> {
    text.iter().flat_map(|c| c.to_le_bytes()).collect()
}

/// Writes a UNICODE_STRING with its text behind it, as many information classes do. `returned` is told the size.
pub(crate) fn put_with_text(
    cx: &Cx,
    out: Ptr<u8>,
    room: usize,
    text: &[u16],
    returned: impl FnOnce(usize) -> Nt<()>,
) -> Nt<()> {
    let head = cx.size_of::<UnicodeString>();
    let bytes = utf16_bytes(text);
    let needed = head + bytes.len() + 2;
    returned(needed)?;
    if room < needed {
        return status(f::STATUS_INFO_LENGTH_MISMATCH);
    }
    let buffer = out.byte_add(head as u64);
    let string = UnicodeString {
        length: u16::try_from(bytes.len()).unwrap_or(u16::MAX - 1),
        maximum: u16::try_from(bytes.len() + 2).unwrap_or(u16::MAX),
        buffer,
    };
    put(cx, out.cast(), string)?;
    mem::copy_out(buffer.addr(), &bytes).map_err(fault)?;
    mem::write(buffer.addr() + bytes.len() as u64, &0u16).map_err(fault)
}

/// A counted string around a zero-terminated one. Too long ones are cut, as on Windows.
fn around(cx: &Cx, out: Ptr<UnicodeString>, buffer: u64, bytes: usize, unit: usize) -> Win32<()> {
    let most = usize::from(u16::MAX) / unit * unit - unit;
    let length = u16::try_from(bytes.min(most)).unwrap_or(0);
    let maximum = if buffer == 0 { 0 } else { length + u16::try_from(unit).unwrap_or(0) };
    Ok(out.write(cx, UnicodeString { length, maximum, buffer: Ptr::new(buffer) })?)
}

/// Initializes a counted string of Unicode characters.
#[shim(ntdll)]
fn RtlInitUnicodeString(cx: &Cx, out: Ptr<UnicodeString>, source: Option<WStr>) -> Win32<()> {
    let Some(source) = source else { return around(cx, out, 0, 0, 2) };
    around(cx, out, source.addr(), source.get()?.len() * 2, 2)
}

/// Initializes a counted string of Unicode characters; fails if it is too long.
#[shim(ntdll)]
fn RtlInitUnicodeStringEx(cx: &Cx, out: Ptr<UnicodeString>, source: Option<WStr>) -> Nt<()> {
    let (addr, bytes) = match source {
        None => (0, 0),
        Some(source) => (source.addr(), source.get()?.len() * 2),
    };
    if bytes > usize::from(u16::MAX) - 3 {
        return status(f::STATUS_NAME_TOO_LONG);
    }
    around(cx, out, addr, bytes, 2).map_err(super::probe::nt)
}

/// Initializes a counted string of bytes.
#[shim(ntdll(RtlInitAnsiString, RtlInitString))]
fn RtlInitAnsiString(cx: &Cx, out: Ptr<UnicodeString>, source: Option<AStr>) -> Win32<()> {
    let Some(source) = source else { return around(cx, out, 0, 0, 1) };
    around(cx, out, source.addr(), source.get()?.len(), 1)
}

/// Initializes a counted string of bytes; fails if it is too long.
#[shim(ntdll(RtlInitAnsiStringEx, RtlInitStringEx))]
fn RtlInitAnsiStringEx(cx: &Cx, out: Ptr<UnicodeString>, source: Option<AStr>) -> Nt<()> {
    let (addr, bytes) = match source {
        None => (0, 0),
        Some(source) => (source.addr(), source.get()?.len()),
    };
    if bytes >= usize::from(u16::MAX) {
        return status(f::STATUS_NAME_TOO_LONG);
    }
    around(cx, out, addr, bytes, 1).map_err(super::probe::nt)
}

/// Puts bytes and a terminator of `unit` bytes into a new block of the process heap and describes it.
pub(crate) fn allocate(cx: &Cx, out: Ptr<UnicodeString>, bytes: &[u8], unit: usize) -> Nt<()> {
    let Ok(length) = u16::try_from(bytes.len()) else { return status(f::STATUS_INVALID_PARAMETER_2) };
    let Some(block) = cx.heaps().process().alloc((bytes.len() + unit) as u64, true) else {
        return status(f::STATUS_NO_MEMORY);
    };
    mem::copy_out(block, bytes).map_err(fault)?;
    let maximum = length.saturating_add(u16::try_from(unit).unwrap_or(0));
    put(cx, out, UnicodeString { length, maximum, buffer: Ptr::new(block) })
}

/// Makes a copy of a zero-terminated string; free it with RtlFreeUnicodeString.
#[shim(ntdll)]
fn RtlCreateUnicodeString(cx: &Cx, out: Ptr<UnicodeString>, source: WStr) -> Win32<u8> {
    let bytes = utf16_bytes(&source.get()?);
    Ok(u8::from(allocate(cx, out, &bytes, 2).is_ok()))
}

/// Makes a Unicode copy of a zero-terminated byte string.
#[shim(ntdll)]
fn RtlCreateUnicodeStringFromAsciiz(cx: &Cx, out: Ptr<UnicodeString>, source: AStr) -> Win32<u8> {
    let bytes = utf16_bytes(&source.to_wide()?);
    Ok(u8::from(allocate(cx, out, &bytes, 2).is_ok()))
}

/// Duplicates a string. Flag 1 adds a terminator; flag 2 allocates even for an empty string.
#[shim(ntdll)]
fn RtlDuplicateUnicodeString(
    cx: &Cx,
    flags: u32,
    source: Ptr<UnicodeString>,
    out: Ptr<UnicodeString>,
) -> Nt<()> {
    let source = get(cx, source)?;
    if source.length == 0 && flags & 2 == 0 {
        return put(cx, out, UnicodeString { length: 0, maximum: 0, buffer: Ptr::NULL });
    }
    allocate(cx, out, &source.bytes()?, if flags & 1 != 0 { 2 } else { 0 })
}

/// Frees a string that was allocated by this family.
#[shim(ntdll(RtlFreeUnicodeString, RtlFreeAnsiString, RtlFreeOemString, RtlFreeUTF8String))]
fn RtlFreeUnicodeString(cx: &Cx, string: Ptr<UnicodeString>) -> Win32<()> {
    let old = string.read(cx)?;
    if !old.buffer.is_null() {
        let _ = cx.heaps().process().free(old.buffer.addr());
    }
    Ok(string.write(cx, UnicodeString { length: 0, maximum: 0, buffer: Ptr::NULL })?)
}

/// Copies a string as far as it fits.
#[shim(ntdll(RtlCopyUnicodeString, RtlCopyString))]
fn RtlCopyUnicodeString(cx: &Cx, to: Ptr<UnicodeString>, from: Ptr<UnicodeString>) -> Win32<()> {
    let mut target = to.read(cx)?;
    target.length = 0;
    if !from.is_null() {
        let source = from.read(cx)?;
        target.length = source.length.min(target.maximum);
        mem::copy_within(target.buffer.addr(), source.buffer.addr(), target.length.into())?;
        // A terminator where there is room; only the wide form has one, and a lone byte is no room.
        if target.maximum - target.length >= 2 {
            mem::write(target.buffer.addr() + u64::from(target.length), &0u16)?;
        }
    }
    Ok(to.write(cx, target)?)
}

fn append(cx: &Cx, to: Ptr<UnicodeString>, bytes: &[u8]) -> Nt<()> {
    let mut target = get(cx, to)?;
    let length = usize::from(target.length) + bytes.len();
    if length > usize::from(target.maximum) {
        return status(f::STATUS_BUFFER_TOO_SMALL);
    }
    let end = target.buffer.addr().wrapping_add(target.length.into());
    mem::copy_out(end, bytes).map_err(fault)?;
    if length + 2 <= usize::from(target.maximum) {
        mem::write(end + bytes.len() as u64, &0u16).map_err(fault)?;
    }
    target.length = u16::try_from(length).unwrap_or(u16::MAX);
    put(cx, to, target)
}

/// Appends a counted string.
#[shim(ntdll)]
fn RtlAppendUnicodeStringToString(cx: &Cx, to: Ptr<UnicodeString>, from: Ptr<UnicodeString>) -> Nt<()> {
    let bytes = get(cx, from)?.bytes()?;
    append(cx, to, &bytes)
}

/// Appends a zero-terminated string.
#[shim(ntdll)]
fn RtlAppendUnicodeToString(cx: &Cx, to: Ptr<UnicodeString>, from: Option<WStr>) -> Nt<()> {
    match from {
        None => Ok(()),
        Some(from) => append(cx, to, &utf16_bytes(&from.get()?)),
    }
}

/// Compares; in the order of upper case letters if case does not matter.
fn compare(a: &[u16], b: &[u16], ignore_case: bool) -> Ordering {
    if ignore_case {
        return a.iter().map(|&c| upcase(c)).cmp(b.iter().map(|&c| upcase(c)));
    }
    a.cmp(b)
}

fn sign(order: Ordering) -> i32 {
    match order {
        Ordering::Less => -1,
        Ordering::Equal => 0,
        Ordering::Greater => 1,
    }
}

fn text(cx: &Cx, string: Ptr<UnicodeString>) -> Win32<Vec<u16>> {
    let string = string.read(cx)?;
    Ok(mem::read_vec(string.buffer.addr(), usize::from(string.length) / 2)?)
}

/// Compares two strings: negative, 0 or positive.
#[shim(ntdll)]
fn RtlCompareUnicodeString(
    cx: &Cx,
    first: Ptr<UnicodeString>,
    second: Ptr<UnicodeString>,
    ignore_case: u8,
) -> Win32<i32> {
    Ok(sign(compare(&text(cx, first)?, &text(cx, second)?, ignore_case != 0)))
}

/// Compares two arrays of characters: negative, 0 or positive.
#[shim(ntdll)]
fn RtlCompareUnicodeStrings(
    first: Ptr<u16>,
    first_len: usize,
    second: Ptr<u16>,
    second_len: usize,
    ignore_case: u8,
) -> Win32<i32> {
    let (a, b) = (first.read_slice(first_len)?, second.read_slice(second_len)?);
    Ok(sign(compare(&a, &b, ignore_case != 0)))
}

/// Whether two strings are equal.
#[shim(ntdll)]
fn RtlEqualUnicodeString(
    cx: &Cx,
    first: Ptr<UnicodeString>,
    second: Ptr<UnicodeString>,
    ignore_case: u8,
) -> Win32<u8> {
    Ok(compare(&text(cx, first)?, &text(cx, second)?, ignore_case != 0).is_eq().into())
}

/// Whether the second string begins with the first one.
#[shim(ntdll)]
fn RtlPrefixUnicodeString(
    cx: &Cx,
    prefix: Ptr<UnicodeString>,
    string: Ptr<UnicodeString>,
    ignore_case: u8,
) -> Win32<u8> {
    let (prefix, string) = (text(cx, prefix)?, text(cx, string)?);
    let begins = string.get(..prefix.len()).is_some_and(|s| compare(s, &prefix, ignore_case != 0).is_eq());
    Ok(begins.into())
}

fn bytes(cx: &Cx, string: Ptr<UnicodeString>, ignore_case: u8) -> Win32<Vec<u8>> {
    let string = string.read(cx)?;
    let mut bytes = mem::copy_in_vec(string.buffer.addr(), string.length.into())?;
    if ignore_case != 0 {
        bytes.make_ascii_uppercase();
    }
    Ok(bytes)
}

/// Compares two byte strings: negative, 0 or positive.
#[shim(ntdll)]
fn RtlCompareString(
    cx: &Cx,
    first: Ptr<UnicodeString>,
    second: Ptr<UnicodeString>,
    ignore_case: u8,
) -> Win32<i32> {
    Ok(sign(bytes(cx, first, ignore_case)?.cmp(&bytes(cx, second, ignore_case)?)))
}

/// Whether two byte strings are equal.
#[shim(ntdll)]
fn RtlEqualString(
    cx: &Cx,
    first: Ptr<UnicodeString>,
    second: Ptr<UnicodeString>,
    ignore_case: u8,
) -> Win32<u8> {
    Ok((bytes(cx, first, ignore_case)? == bytes(cx, second, ignore_case)?).into())
}

/// Whether a UNICODE_STRING makes sense.
#[shim(ntdll)]
fn RtlValidateUnicodeString(cx: &Cx, flags: u32, string: Ptr<UnicodeString>) -> Nt<()> {
    if flags != 0 {
        return status(f::STATUS_INVALID_PARAMETER);
    }
    if string.is_null() {
        return Ok(());
    }
    let s = get(cx, string)?;
    let fine = s.length.is_multiple_of(2)
        && s.maximum.is_multiple_of(2)
        && s.length <= s.maximum
        && (s.maximum == 0 || !s.buffer.is_null());
    if fine { Ok(()) } else { status(f::STATUS_INVALID_PARAMETER) }
}

/// The upper case form of a character.
#[shim(ntdll)]
fn RtlUpcaseUnicodeChar(character: u16) -> u16 {
    upcase(character)
}

/// The lower case form of a character.
#[shim(ntdll)]
fn RtlDowncaseUnicodeChar(character: u16) -> u16 {
    downcase(character)
}

/// The simple lower case mapping of a character that has one of its own length.
pub(crate) fn downcase(character: u16) -> u16 {
    let Some(c) = char::from_u32(character.into()) else { return character };
    let mut lower = c.to_lowercase();
    match (lower.next(), lower.next()) {
        (Some(one), None) => u16::try_from(u32::from(one)).unwrap_or(character),
        _ => character,
    }
}

/// The upper case form of a byte character.
#[shim(ntdll)]
fn RtlUpperChar(character: u8) -> u8 {
    character.to_ascii_uppercase()
}

fn mapped(cx: &Cx, to: Ptr<UnicodeString>, from: Ptr<UnicodeString>, new: u8, map: fn(u16) -> u16) -> Nt<()> {
    let text: Vec<u16> = get(cx, from)?.text()?.into_iter().map(map).collect();
    let bytes = utf16_bytes(&text);
    if new != 0 {
        return allocate(cx, to, &bytes, 0);
    }
    let mut target = get(cx, to)?;
    if bytes.len() > target.maximum.into() {
        return status(f::STATUS_BUFFER_OVERFLOW);
    }
    mem::copy_out(target.buffer.addr(), &bytes).map_err(fault)?;
    target.length = u16::try_from(bytes.len()).unwrap_or(0);
    put(cx, to, target)
}

/// Converts a string to upper case.
#[shim(ntdll)]
fn RtlUpcaseUnicodeString(cx: &Cx, to: Ptr<UnicodeString>, from: Ptr<UnicodeString>, allocate: u8) -> Nt<()> {
    mapped(cx, to, from, allocate, upcase)
}

/// Converts a string to lower case.
#[shim(ntdll)]
fn RtlDowncaseUnicodeString(
    cx: &Cx,
    to: Ptr<UnicodeString>,
    from: Ptr<UnicodeString>,
    allocate: u8,
) -> Nt<()> {
    mapped(cx, to, from, allocate, downcase)
}
