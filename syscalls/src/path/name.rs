//! One component of a path: UTF-16 as Windows spells it, bytes as Linux keeps it.
//!
//! Host names are read as WTF-8, so lone surrogates survive. What Windows cannot hold is shown in the
//! private-use area: a byte `b` that is a control character, one of `" * : < > ? \ |`, part of invalid UTF-8,
//! or a dot or space at the end of the name appears as U+F000+b and is turned back on the way to Linux. Host
//! names that themselves contain such a private-use character have its bytes escaped one by one, so every
//! host name comes back byte for byte; `tests` prove it with random names. Splitting paths into components is
//! `dos`; looking names up without regard to case is `lookup`.

/// First code point of the escapes: U+F000 + byte.
const ESCAPE: u16 = 0xF000;

/// Whether Windows forbids this ASCII character inside a name (path separators and NUL included).
#[must_use]
pub const fn is_forbidden(unit: u16) -> bool {
    unit < 0x20 || matches!(unit, 0x22 | 0x2A | 0x2F | 0x3A | 0x3C | 0x3E | 0x3F | 0x5C | 0x7C)
}

/// Whether a byte is escaped wherever it stands in a name.
const fn is_escaped(byte: u8) -> bool {
    byte >= 0x80 || (byte != 0 && byte != b'/' && is_forbidden(byte as u16))
}

/// The byte that an escape stands for at this place, if `unit` is an escape there.
const fn unescape(unit: u16, last: bool) -> Option<u8> {
    if unit & 0xFF00 != ESCAPE {
        return None;
    }
    #[expect(clippy::cast_possible_truncation, reason = "the low byte is what is wanted")]
    let byte = unit as u8;
    if is_escaped(byte) || (last && (byte == b'.' || byte == b' ')) { Some(byte) } else { None }
}

/// Appends the UTF-16 form of one host name (no separators) to `out`.
pub fn decode(name: &[u8], out: &mut Vec<u16>) {
    let start = out.len();
    let mut at = 0;
    while at < name.len() {
        let byte = name[at];
        if byte < 0x80 {
            out.push(if is_escaped(byte) { ESCAPE + u16::from(byte) } else { u16::from(byte) });
            at += 1;
            continue;
        }
        let after_lead = out.len() > start && matches!(out[out.len() - 1], 0xD800..=0xDBFF);
        match multibyte(&name[at..]) {
            Some((code, len)) if is_plain(code, after_lead) => {
                push_code(code, out);
                at += len;
            }
            _ => {
                out.push(ESCAPE + u16::from(byte));
                at += 1;
            }
        }
    }
    if let [.., last] = &mut out[start..]
        && matches!(*last, 0x2E | 0x20)
        && name != b"."
        && name != b".."
    {
        *last += ESCAPE;
    }
}

/// Whether a decoded code point stands for itself: it must not look like an escape, nor complete a surrogate
/// pair.
const fn is_plain(code: u32, after_lead: bool) -> bool {
    match code {
        0xF000..=0xF0FF => {
            let byte = (code & 0xFF) as u8;
            !(is_escaped(byte) || byte == b'.' || byte == b' ')
        }
        0xDC00..=0xDFFF => !after_lead,
        _ => true,
    }
}

/// Decodes one multi-byte sequence of generalised UTF-8 (surrogates allowed), refusing overlong forms.
fn multibyte(bytes: &[u8]) -> Option<(u32, usize)> {
    let (len, init, min) = match bytes[0] {
        b @ 0xC2..=0xDF => (2, u32::from(b & 0x1F), 0x80),
        b @ 0xE0..=0xEF => (3, u32::from(b & 0x0F), 0x800),
        b @ 0xF0..=0xF4 => (4, u32::from(b & 0x07), 0x1_0000),
        _ => return None,
    };
    let mut code = init;
    for &b in bytes.get(1..len)? {
        if b & 0xC0 != 0x80 {
            return None;
        }
        code = code << 6 | u32::from(b & 0x3F);
    }
    (min..=0x10_FFFF).contains(&code).then_some((code, len))
}

#[expect(clippy::cast_possible_truncation, reason = "each arm's range fits 16 bits")]
fn push_code(code: u32, out: &mut Vec<u16>) {
    if code < 0x1_0000 {
        out.push(code as u16);
    } else {
        let rest = code - 0x1_0000;
        out.push(0xD800 + (rest >> 10) as u16);
        out.push(0xDC00 + (rest & 0x3FF) as u16);
    }
}

/// Appends the host form of one name to `out`. The name must hold no forbidden character.
pub fn encode(name: &[u16], out: &mut Vec<u8>) {
    let mut at = 0;
    while at < name.len() {
        let unit = name[at];
        at += 1;
        if let Some(byte) = unescape(unit, at == name.len()) {
            out.push(byte);
            continue;
        }
        let code = match (unit, name.get(at)) {
            (0xD800..=0xDBFF, Some(&low @ 0xDC00..=0xDFFF)) => {
                at += 1;
                0x1_0000 + (u32::from(unit - 0xD800) << 10) + u32::from(low - 0xDC00)
            }
            _ => u32::from(unit),
        };
        push_utf8(code, out);
    }
}

#[expect(clippy::cast_possible_truncation, reason = "each byte is masked to its bits")]
fn push_utf8(code: u32, out: &mut Vec<u8>) {
    let tail = |shift: u32| 0x80 | ((code >> shift) & 0x3F) as u8;
    match code {
        0..=0x7F => out.push(code as u8),
        0x80..=0x7FF => out.extend([0xC0 | (code >> 6) as u8, tail(0)]),
        0x800..=0xFFFF => out.extend([0xE0 | (code >> 12) as u8, tail(6), tail(0)]),
        _ => out.extend([0xF0 | (code >> 18) as u8, tail(12), tail(6), tail(0)]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn there(name: &[u8]) -> Vec<u16> {
        let mut out = Vec::new();
        decode(name, &mut out);
        out
    }

    fn back(name: &[u16]) -> Vec<u8> {
        let mut out = Vec::new();
        encode(name, &mut out);
        out
    }

    #[test]
    fn names_that_windows_cannot_hold_are_escaped() {
        assert_eq!(there(b"a:b"), [0x61, 0xF03A, 0x62]);
        assert_eq!(there(b"end."), [0x65, 0x6E, 0x64, 0xF02E]);
        assert_eq!(there(b"x.y "), [0x78, 0x2E, 0x79, 0xF020]);
        assert_eq!(there(b"\xff"), [0xF0FF]);
        assert_eq!(there("é😀".as_bytes()), [0xE9, 0xD83D, 0xDE00]);
        assert_eq!(there(b".."), [0x2E, 0x2E]);
    }

    #[test]
    fn lone_surrogates_survive() {
        for name in [vec![0xD800u16], vec![0x61, 0xDC01, 0x62], vec![0xDC00, 0xD800]] {
            assert_eq!(there(&back(&name)), name);
        }
        // Two surrogates that Linux holds apart must not fuse into one character.
        let apart = [0xED, 0xA0, 0xBD, 0xED, 0xB8, 0x80];
        assert_eq!(back(&there(&apart)), apart);
    }

    proptest! {
        #[test]
        fn any_host_name_comes_back(name in proptest::collection::vec(1u8..=255, 1..40)) {
            let name: Vec<u8> = name.into_iter().filter(|&b| b != b'/').collect();
            let shown = there(&name);
            prop_assert_eq!(back(&shown), name.clone());
            if name != b"." && name != b".." {
                prop_assert!(shown.iter().all(|&u| !is_forbidden(u)));
                prop_assert!(!matches!(shown.last(), Some(0x2E | 0x20)));
            }
        }

        #[test]
        fn escapes_in_host_names_come_back(name in proptest::collection::vec(
            prop_oneof![Just('\u{F03A}'), Just('\u{F02E}'), Just('\u{F041}'), Just('\u{F0FF}'), Just('.'), Just('a')], 1..8)) {
            let name: String = name.into_iter().collect();
            prop_assert_eq!(back(&there(name.as_bytes())), name.into_bytes());
        }

        #[test]
        fn guest_names_come_back(name in proptest::collection::vec(0x20u16..0xE000, 1..40)) {
            let name: Vec<u16> = name.into_iter().filter(|&u| !is_forbidden(u)).collect();
            if !matches!(name.last(), Some(0x2E | 0x20)) {
                prop_assert_eq!(there(&back(&name)), name);
            }
        }
    }
}
