//! Text mode: what `_read` and `_write` change between a program and its file.
//!
//! Reading drops the CR of a CR-LF pair and stops at Ctrl-Z; writing puts a CR before each LF. In the Unicode modes the program sees
//! UTF-16 whatever the file holds. These are state machines over blocks of bytes; the files are not here.
//!
//! Documentation: "Text and binary mode file I/O", `fopen` ("Unicode support"), `_setmode`.

use transom_sdk::codepage::{decode_utf8, encode_utf8};

/// Translation mode of a file descriptor.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Mode {
    /// `_O_BINARY`.
    Binary,
    /// `_O_TEXT`.
    #[default]
    Text,
    /// `_O_U8TEXT`: UTF-8 in the file, UTF-16 in the program.
    Utf8,
    /// `_O_U16TEXT`: UTF-16LE in both, with text translation.
    Utf16,
}

/// The byte that ends text when read (`Ctrl-Z`).
pub const CTRL_Z: u8 = 0x1A;

/// Byte order mark of a file, as `ccs=` looks for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bom {
    /// EF BB BF.
    Utf8,
    /// FF FE.
    Utf16Le,
    /// FE FF, which the runtimes reject (EINVAL).
    Utf16Be,
}

/// The byte order mark at the start of a file, and its length.
#[must_use]
pub fn detect_bom(start: &[u8]) -> Option<(Bom, usize)> {
    match start {
        [0xEF, 0xBB, 0xBF, ..] => Some((Bom::Utf8, 3)),
        [0xFF, 0xFE, ..] => Some((Bom::Utf16Le, 2)),
        [0xFE, 0xFF, ..] => Some((Bom::Utf16Be, 2)),
        _ => None,
    }
}

/// What is kept between two reads.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ReadState {
    /// A CR came last and was held back, because an LF may follow.
    pub pending_cr: bool,
    /// Ctrl-Z was met: all further reads give nothing.
    pub at_end: bool,
}

/// Translates bytes that were read, in place; returns how many are left. `last` says that the file ends after them, so that a CR
/// at the end is not held back.
///
/// A CR held back comes out in front of the next block: `bytes` must have one byte of room for it at index 0 then, that is,
/// the block starts at `bytes[1]` when `state.pending_cr` is set.
pub fn read_text(bytes: &mut [u8], state: &mut ReadState, last: bool) -> usize {
    if state.at_end {
        return 0;
    }
    if core::mem::take(&mut state.pending_cr)
        && let Some(first) = bytes.first_mut()
    {
        *first = b'\r';
    }
    let end = match memchr::memchr(CTRL_Z, bytes) {
        Some(at) => {
            state.at_end = true;
            at
        }
        None => bytes.len(),
    };
    // Nothing to do before the first CR.
    let Some(first) = memchr::memchr(b'\r', &bytes[..end]) else { return end };
    let (mut to, mut from) = (first, first);
    while from < end {
        let byte = bytes[from];
        if byte == b'\r' {
            match bytes[..end].get(from + 1) {
                Some(b'\n') => {
                    from += 1;
                    continue;
                }
                None if !last && !state.at_end => {
                    state.pending_cr = true;
                    return to;
                }
                _ => {}
            }
        }
        bytes[to] = byte;
        to += 1;
        from += 1;
    }
    to
}

/// Appends `bytes` to `out` with a CR before each LF. Returns how many LFs there were.
pub fn write_text(bytes: &[u8], out: &mut Vec<u8>) -> usize {
    let (mut count, mut from) = (0, 0);
    for at in memchr::memchr_iter(b'\n', bytes) {
        out.extend_from_slice(&bytes[from..at]);
        out.extend_from_slice(b"\r\n");
        from = at + 1;
        count += 1;
    }
    out.extend_from_slice(&bytes[from..]);
    count
}

/// How many bytes of the program's data `written` bytes of its translation stand for (after a short write).
#[must_use]
pub fn source_length(bytes: &[u8], written: usize) -> usize {
    let mut left = written;
    for (i, b) in bytes.iter().enumerate() {
        let need = if *b == b'\n' { 2 } else { 1 };
        if left < need {
            return i;
        }
        left -= need;
    }
    bytes.len()
}

/// Translates UTF-16 text that a program writes to the file's encoding, with CR before LF; an odd byte at the end is left out.
pub fn write_unicode(bytes: &[u8], mode: Mode, out: &mut Vec<u8>) {
    let mut units = Vec::with_capacity(bytes.len() / 2 + 8);
    for pair in bytes.chunks_exact(2) {
        let unit = u16::from_le_bytes([pair[0], pair[1]]);
        if unit == u16::from(b'\n') {
            units.push(b'\r'.into());
        }
        units.push(unit);
    }
    if mode == Mode::Utf16 {
        out.extend(units.iter().flat_map(|u| u.to_le_bytes()));
        return;
    }
    let mut rest = &units[..];
    while !rest.is_empty() {
        let (text, length, used, _) = encode_utf8(rest);
        out.extend_from_slice(&text[..length]);
        rest = &rest[used..];
    }
}

/// Translates bytes of a Unicode file to UTF-16 for the program: CR-LF becomes LF, Ctrl-Z ends the text. Returns how many bytes were
/// used; what is left (part of a character, or a CR that may belong to a pair) is to be given again with more, unless `last`.
pub fn read_unicode(bytes: &[u8], mode: Mode, last: bool, out: &mut Vec<u16>) -> (usize, bool) {
    let mut at = 0;
    while let Some(rest) = bytes.get(at..).filter(|r| !r.is_empty()) {
        let (units, used, count) = if mode == Mode::Utf16 {
            match rest {
                [a, b, ..] => ([u16::from_le_bytes([*a, *b]), 0], 2, 1),
                _ => return (if last { bytes.len() } else { at }, false),
            }
        } else {
            let step = decode_utf8(rest);
            if step.incomplete && !last {
                return (at, false);
            }
            let mut units = [0; 2];
            units[..step.units().len()].copy_from_slice(step.units());
            (units, step.used, step.units().len())
        };
        if units[0] == u16::from(CTRL_Z) {
            return (at, true);
        }
        if units[0] == u16::from(b'\r') {
            let next = rest.get(used..).unwrap_or_default();
            let newline: &[u8] = if mode == Mode::Utf16 { b"\n\0" } else { b"\n" };
            if next.starts_with(newline) {
                at += used;
                continue;
            }
            if next.len() < newline.len() && !last {
                return (at, false);
            }
        }
        out.extend_from_slice(&units[..count]);
        at += used;
    }
    (at, false)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Reads `file` in blocks of `block` bytes.
    fn read_all(file: &[u8], block: usize) -> Vec<u8> {
        let (mut out, mut state, mut at) = (Vec::new(), ReadState::default(), 0);
        loop {
            let end = (at + block).min(file.len());
            let mut bytes = if state.pending_cr { vec![0] } else { vec![] };
            bytes.extend_from_slice(&file[at..end]);
            let n = read_text(&mut bytes, &mut state, end == file.len());
            out.extend_from_slice(&bytes[..n]);
            at = end;
            if at == file.len() || state.at_end {
                return out;
            }
        }
    }

    proptest! {
        #[test]
        fn reading_does_not_depend_on_the_blocks(s in "[ab\r\n]{0,40}", block in 1..9usize) {
            let expected = s.replace("\r\n", "\n");
            prop_assert_eq!(read_all(s.as_bytes(), block), expected.into_bytes());
        }

        #[test]
        fn what_is_written_reads_back(s in "[ab\n]{0,40}") {
            let mut file = Vec::new();
            write_text(s.as_bytes(), &mut file);
            prop_assert_eq!(read_all(&file, 7), s.clone().into_bytes());
            prop_assert_eq!(source_length(s.as_bytes(), file.len()), s.len());
        }

        #[test]
        fn unicode_round_trips(s in "[a-zé€😀\n]{0,30}", utf8: bool, cut in 0..200usize) {
            let mode = if utf8 { Mode::Utf8 } else { Mode::Utf16 };
            let units: Vec<u16> = s.encode_utf16().collect();
            let bytes: Vec<u8> = units.iter().flat_map(|u| u.to_le_bytes()).collect();
            let mut file = Vec::new();
            write_unicode(&bytes, mode, &mut file);
            let mut back = Vec::new();
            let cut = cut.min(file.len());
            let (used, _) = read_unicode(&file[..cut], mode, false, &mut back);
            read_unicode(&file[used..], mode, true, &mut back);
            prop_assert_eq!(back, units);
        }
    }

    #[test]
    fn ctrl_z_and_marks() {
        assert_eq!(read_all(b"ab\x1Acd", 2), b"ab");
        assert_eq!(read_all(b"a\r\x1A", 8), b"a\r");
        assert_eq!(detect_bom(b"\xEF\xBB\xBFx"), Some((Bom::Utf8, 3)));
        assert_eq!(detect_bom(b"\xFF\xFE"), Some((Bom::Utf16Le, 2)));
        assert_eq!(detect_bom(b"\xFE\xFF"), Some((Bom::Utf16Be, 2)));
        assert_eq!(detect_bom(b"x"), None);
        assert_eq!(read_unicode(b"a\x1Ab", Mode::Utf8, true, &mut Vec::new()), (1, true));
        assert_eq!(source_length(b"a\nb", 2), 1);
    }
}
