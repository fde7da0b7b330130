//! Guest text in a trace: read without trusting it, escaped, shortened.

use std::fmt::Write;

use transom_sdk::mem;

/// A page of guest memory: strings are read up to its end, then on.
const PAGE: u64 = 4096;

/// Reads `len` units of `T` at most, up to one that is zero; false if there are more.
fn read_units<T: mem::Plain + Default + PartialEq>(addr: u64, len: usize, out: &mut Vec<T>) -> Option<bool> {
    let mut at = addr;
    let size = size_of::<T>() as u64;
    while out.len() < len {
        let room = ((PAGE - at % PAGE) / size).max(1).min((len - out.len()) as u64).min(64);
        let count = usize::try_from(room).ok()?;
        let mut buffer = [T::default(); 64];
        // SAFETY: the buffer's own bytes; `Plain` types have no invalid values.
        let bytes = unsafe {
            std::slice::from_raw_parts_mut(buffer.as_mut_ptr().cast::<u8>(), count * size_of::<T>())
        };
        mem::copy_in(at, bytes).ok()?;
        for &unit in &buffer[..count] {
            if unit == T::default() {
                return Some(true);
            }
            out.push(unit);
        }
        at += room * size;
    }
    Some(false)
}

/// Prints characters as a C string literal's inside.
pub(super) fn escape(chars: impl Iterator<Item = char>, out: &mut String) {
    for c in chars {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if (c as u32) < 0x20 || c as u32 == 0x7F => {
                let _ = write!(out, "\\x{:02x}", c as u32);
            }
            c => out.push(c),
        }
    }
}

/// A NUL-terminated UTF-16 string, or one of `exact` units.
pub(super) fn wide(addr: u64, exact: Option<usize>, limit: usize, out: &mut String) {
    let mut units: Vec<u16> = Vec::with_capacity(64);
    let Some(ended) = read_units(addr, exact.unwrap_or(limit + 1).min(limit + 1), &mut units) else {
        let _ = write!(out, "{addr:#x}(unreadable)");
        return;
    };
    let cut = units.len() > limit || (!ended && exact.is_none_or(|n| n > units.len()));
    units.truncate(limit);
    out.push('"');
    escape(char::decode_utf16(units).map(|c| c.unwrap_or('\u{FFFD}')), out);
    out.push_str(if cut { "\"..." } else { "\"" });
}

/// A NUL-terminated byte string, or one of `exact` bytes (which may hold NULs).
pub(super) fn narrow(addr: u64, limit: usize, out: &mut String) {
    let mut bytes: Vec<u8> = Vec::with_capacity(64);
    if read_units(addr, limit + 1, &mut bytes).is_none() {
        let _ = write!(out, "{addr:#x}(unreadable)");
        return;
    }
    let cut = bytes.len() > limit;
    bytes.truncate(limit);
    quoted(&bytes, cut, out);
}

/// The bytes of a buffer.
pub(super) fn bytes(addr: u64, len: u64, limit: usize, out: &mut String) {
    let shown = usize::try_from(len).unwrap_or(usize::MAX).min(limit);
    let mut buffer = vec![0; shown];
    if mem::copy_in(addr, &mut buffer).is_err() {
        let _ = write!(out, "{addr:#x}(unreadable)");
        return;
    }
    quoted(&buffer, len > shown as u64, out);
}

fn quoted(bytes: &[u8], cut: bool, out: &mut String) {
    if is_binary(bytes) {
        return hexadecimal(bytes, cut, out);
    }
    out.push('"');
    for chunk in bytes.utf8_chunks() {
        escape(chunk.valid().chars(), out);
        for byte in chunk.invalid() {
            let _ = write!(out, "\\x{byte:02x}");
        }
    }
    out.push_str(if cut { "\"..." } else { "\"" });
}

/// Whether bytes are no text: a quarter of them or more are neither printable nor part of UTF-8.
fn is_binary(bytes: &[u8]) -> bool {
    let control = |c: &char| c.is_control() && !matches!(c, '\n' | '\r' | '\t');
    let odd: usize =
        bytes.utf8_chunks().map(|c| c.valid().chars().filter(control).count() + c.invalid().len()).sum();
    odd > 0 && odd * 4 >= bytes.len()
}

/// Bytes that are no text take more room: fewer are shown.
fn hexadecimal(bytes: &[u8], cut: bool, out: &mut String) {
    let shown = bytes.len().min((bytes.len() / 3).max(24));
    out.push_str("x\"");
    for (i, byte) in bytes[..shown].iter().enumerate() {
        let _ = write!(out, "{}{byte:02x}", if i == 0 { "" } else { " " });
    }
    out.push_str(if cut || shown < bytes.len() { "\"..." } else { "\"" });
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(bytes: &[u8], cut: bool) -> String {
        let mut out = String::new();
        quoted(bytes, cut, &mut out);
        out
    }

    #[test]
    fn bytes_as_text_or_as_numbers() {
        assert_eq!(shown("h\u{e9}llo\r\n\"x\"\\".as_bytes(), false), "\"h\u{e9}llo\\r\\n\\\"x\\\"\\\\\"");
        assert_eq!(shown(b"7z\xbc\xaf'\x1c\0\x04", true), "x\"37 7a bc af 27 1c 00 04\"...");
        assert_eq!(shown(&[0; 64], false).matches("00").count(), 24);
        assert_eq!(shown(b"", false), "\"\"");
    }
}
