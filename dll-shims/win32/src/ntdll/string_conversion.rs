//! Conversions between Unicode and byte strings. The ANSI and OEM code pages are UTF-8.

use transom_sdk::{Acp, Cx, Nt, Ptr, Win32, foundation as f, mem, shim};

use super::probe::{fault, get, put, put_opt, status};
use super::strings::{UnicodeString, allocate, utf16_bytes};

/// Stores a converted string: into a new buffer or into the target's.
fn store(cx: &Cx, to: Ptr<UnicodeString>, bytes: &[u8], unit: usize, new: u8) -> Nt<()> {
    if bytes.len() + unit > usize::from(u16::MAX) {
        return status(f::STATUS_INVALID_PARAMETER_2);
    }
    if new != 0 {
        return allocate(cx, to, bytes, unit);
    }
    let mut target = get(cx, to)?;
    if bytes.len() + unit > target.maximum.into() {
        return status(f::STATUS_BUFFER_OVERFLOW);
    }
    mem::copy_out(target.buffer.addr(), bytes).map_err(fault)?;
    mem::copy_out(target.buffer.addr() + bytes.len() as u64, &[0; 2][..unit]).map_err(fault)?;
    target.length = u16::try_from(bytes.len()).unwrap_or(0);
    put(cx, to, target)
}

/// Converts a Unicode string to the ANSI code page.
#[shim(ntdll(RtlUnicodeStringToAnsiString, RtlUnicodeStringToOemString, RtlUnicodeStringToUTF8String))]
fn RtlUnicodeStringToAnsiString(
    cx: &Cx,
    to: Ptr<UnicodeString>,
    from: Ptr<UnicodeString>,
    allocate: u8,
) -> Nt<()> {
    let bytes = Acp::encode(&get(cx, from)?.text()?);
    store(cx, to, &bytes, 1, allocate)
}

/// Converts a string of the ANSI code page to Unicode.
#[shim(ntdll(RtlAnsiStringToUnicodeString, RtlOemStringToUnicodeString, RtlUTF8StringToUnicodeString))]
fn RtlAnsiStringToUnicodeString(
    cx: &Cx,
    to: Ptr<UnicodeString>,
    from: Ptr<UnicodeString>,
    allocate: u8,
) -> Nt<()> {
    let text = Acp::decode(&get(cx, from)?.bytes()?);
    store(cx, to, &utf16_bytes(&text), 2, allocate)
}

/// The size that a Unicode string has as a byte string, with its terminator.
#[shim(ntdll(RtlxUnicodeStringToAnsiSize, RtlxUnicodeStringToOemSize))]
fn RtlxUnicodeStringToAnsiSize(cx: &Cx, from: Ptr<UnicodeString>) -> Win32<u32> {
    let string = from.read(cx)?;
    let text: Vec<u16> = mem::read_vec(string.buffer.addr(), usize::from(string.length) / 2)?;
    Ok(size32(Acp::encode(&text).len() + 1))
}

/// The size that a byte string has as a Unicode string, with its terminator.
#[shim(ntdll(RtlxAnsiStringToUnicodeSize, RtlxOemStringToUnicodeSize))]
fn RtlxAnsiStringToUnicodeSize(cx: &Cx, from: Ptr<UnicodeString>) -> Win32<u32> {
    let string = from.read(cx)?;
    let bytes = mem::copy_in_vec(string.buffer.addr(), string.length.into())?;
    Ok(size32(Acp::decode(&bytes).len() * 2 + 2))
}

fn size32(size: usize) -> u32 {
    u32::try_from(size).unwrap_or(u32::MAX)
}

fn wide(from: Ptr<u16>, bytes: u32) -> Nt<Vec<u16>> {
    mem::read_vec(from.addr(), bytes as usize / 2).map_err(fault)
}

/// Cuts UTF-8 where a character ends.
fn cut(bytes: &[u8], room: usize) -> &[u8] {
    let mut end = room.min(bytes.len());
    while end > 0 && end < bytes.len() && bytes[end] & 0xC0 == 0x80 {
        end -= 1;
    }
    &bytes[..end]
}

/// Converts Unicode characters to the ANSI code page, as far as they fit.
#[shim(ntdll(RtlUnicodeToMultiByteN, RtlUnicodeToOemN))]
fn RtlUnicodeToMultiByteN(
    cx: &Cx,
    to: Ptr<u8>,
    room: u32,
    written: Ptr<u32>,
    from: Ptr<u16>,
    len: u32,
) -> Nt<()> {
    let bytes = Acp::encode(&wide(from, len)?);
    let kept = cut(&bytes, room as usize);
    mem::copy_out(to.addr(), kept).map_err(fault)?;
    put_opt(cx, written, size32(kept.len()))
}

/// The size of Unicode characters in the ANSI code page.
#[shim(ntdll)]
fn RtlUnicodeToMultiByteSize(cx: &Cx, size: Ptr<u32>, from: Ptr<u16>, len: u32) -> Nt<()> {
    put(cx, size, size32(Acp::encode(&wide(from, len)?).len()))
}

/// Converts characters of the ANSI code page to Unicode, as far as they fit.
#[shim(ntdll(RtlMultiByteToUnicodeN, RtlOemToUnicodeN))]
fn RtlMultiByteToUnicodeN(
    cx: &Cx,
    to: Ptr<u16>,
    room: u32,
    written: Ptr<u32>,
    from: Ptr<u8>,
    len: u32,
) -> Nt<()> {
    let text = Acp::decode(&mem::copy_in_vec(from.addr(), len as usize).map_err(fault)?);
    let kept = &text[..text.len().min(room as usize / 2)];
    to.write_slice(kept).map_err(fault)?;
    put_opt(cx, written, size32(kept.len() * 2))
}

/// The size of characters of the ANSI code page in Unicode.
#[shim(ntdll)]
fn RtlMultiByteToUnicodeSize(cx: &Cx, size: Ptr<u32>, from: Ptr<u8>, len: u32) -> Nt<()> {
    let text = Acp::decode(&mem::copy_in_vec(from.addr(), len as usize).map_err(fault)?);
    put(cx, size, size32(text.len() * 2))
}

/// Converts Unicode characters to UTF-8; without a buffer only tells the size.
#[shim(ntdll)]
fn RtlUnicodeToUTF8N(
    cx: &Cx,
    to: Ptr<u8>,
    room: u32,
    written: Ptr<u32>,
    from: Ptr<u16>,
    len: u32,
) -> Nt<u32> {
    if !len.is_multiple_of(2) {
        return status(f::STATUS_INVALID_PARAMETER_5);
    }
    let text = wide(from, len)?;
    let lossy = char::decode_utf16(text.iter().copied()).any(|c| c.is_err());
    let bytes = Acp::encode(&text);
    if to.is_null() {
        put(cx, written, size32(bytes.len()))?;
        return Ok(0);
    }
    let kept = cut(&bytes, room as usize);
    mem::copy_out(to.addr(), kept).map_err(fault)?;
    put_opt(cx, written, size32(kept.len()))?;
    outcome(kept.len() < bytes.len(), lossy)
}

/// What a conversion returns: too small, or with replacements, or plain success.
fn outcome(cut: bool, lossy: bool) -> Nt<u32> {
    if cut {
        return status(f::STATUS_BUFFER_TOO_SMALL);
    }
    Ok(if lossy { f::STATUS_SOME_NOT_MAPPED.cast_unsigned() } else { 0 })
}

/// Converts UTF-8 to Unicode characters; without a buffer only tells the size.
#[shim(ntdll)]
fn RtlUTF8ToUnicodeN(
    cx: &Cx,
    to: Ptr<u16>,
    room: u32,
    written: Ptr<u32>,
    from: Ptr<u8>,
    len: u32,
) -> Nt<u32> {
    let bytes = mem::copy_in_vec(from.addr(), len as usize).map_err(fault)?;
    let lossy = core::str::from_utf8(&bytes).is_err();
    let text = Acp::decode(&bytes);
    if to.is_null() {
        put(cx, written, size32(text.len() * 2))?;
        return Ok(0);
    }
    let kept = &text[..text.len().min(room as usize / 2)];
    to.write_slice(kept).map_err(fault)?;
    put_opt(cx, written, size32(kept.len() * 2))?;
    outcome(kept.len() < text.len(), lossy)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cuts_between_characters() {
        let text = "aé€".as_bytes();
        let lengths: Vec<_> = (0..=7).map(|room| cut(text, room).len()).collect();
        assert_eq!(lengths, [0, 1, 1, 3, 3, 3, 6, 6]);
    }
}
