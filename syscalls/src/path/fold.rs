//! Comparing names without regard to case, the way NTFS does: unit by unit through an upper-case table.
//!
//! The table is Unicode's simple upper-case mapping of the Basic Multilingual Plane; characters whose upper
//! case is longer than one unit, or ASCII where they are not (dotless i, long s), stay as they are.

use super::name;

/// Upper case of one UTF-16 unit.
#[must_use]
pub fn upcase(unit: u16) -> u16 {
    if unit < 0x80 {
        return match unit {
            0x61..=0x7A => unit - 0x20,
            _ => unit,
        };
    }
    let Some(c) = char::from_u32(u32::from(unit)) else { return unit };
    let mut upper = c.to_uppercase();
    match (upper.next(), upper.next()) {
        (Some(u), None) if !u.is_ascii() => u16::try_from(u32::from(u)).unwrap_or(unit),
        _ => unit,
    }
}

/// Whether two names are the same but for case.
#[must_use]
pub fn equal(a: &[u16], b: &[u16]) -> bool {
    a.len() == b.len() && a.iter().zip(b).all(|(&x, &y)| x == y || upcase(x) == upcase(y))
}

/// Whether a name equals an ASCII word but for case.
#[must_use]
pub fn equal_ascii(a: &[u16], word: &str) -> bool {
    a.len() == word.len()
        && a.iter().zip(word.bytes()).all(|(&x, y)| upcase(x) == u16::from(y.to_ascii_uppercase()))
}

/// Appends the upper-cased UTF-16 form of a host name.
pub(crate) fn folded(host_name: &[u8], out: &mut Vec<u16>) {
    let start = out.len();
    name::decode(host_name, out);
    for unit in &mut out[start..] {
        *unit = upcase(*unit);
    }
}

/// A hash of a host name that does not depend on case.
pub(crate) fn hash(host_name: &[u8]) -> u64 {
    let mut state = 0xCBF2_9CE4_8422_2325u64;
    let mut step = |unit: u16| {
        state = (state ^ u64::from(unit)).wrapping_mul(0x9E37_79B9_7F4A_7C15).rotate_left(23);
    };
    if host_name.is_ascii() && plain_ascii(host_name) {
        for &byte in host_name {
            step(u16::from(byte.to_ascii_uppercase()));
        }
    } else {
        let mut units = Vec::with_capacity(host_name.len());
        folded(host_name, &mut units);
        units.iter().for_each(|&u| step(u));
    }
    state
}

/// Whether an ASCII name needs no escapes.
fn plain_ascii(name: &[u8]) -> bool {
    name.iter().all(|&b| !name::is_forbidden(u16::from(b))) && !matches!(name.last(), Some(b'.' | b' '))
}

/// Whether two host names are the same to Windows.
pub(crate) fn same_host_name(a: &[u8], b: &[u8]) -> bool {
    if a.eq_ignore_ascii_case(b) {
        return true;
    }
    if a.is_ascii() && b.is_ascii() {
        return false;
    }
    let (mut x, mut y) = (Vec::new(), Vec::new());
    folded(a, &mut x);
    folded(b, &mut y);
    x == y
}

#[cfg(test)]
mod tests {
    use super::*;

    fn w(s: &str) -> Vec<u16> {
        s.encode_utf16().collect()
    }

    #[test]
    fn case_is_ignored_beyond_ascii() {
        assert!(equal(&w("Straße.Ünï"), &w("sTRAßE.üNÏ")));
        assert!(!equal(&w("STRASSE"), &w("straße")));
        assert!(!equal(&w("ı"), &w("I")));
        assert!(equal_ascii(&w("conOut$"), "CONOUT$"));
    }

    #[test]
    fn equal_names_hash_alike() {
        for (a, b) in [("File_1.Txt", "fILE_1.tXT"), ("ÄB c", "äb C"), ("a:b", "A:B"), ("x.", "X.")] {
            assert_eq!(hash(a.as_bytes()), hash(b.as_bytes()), "{a}");
            assert!(same_host_name(a.as_bytes(), b.as_bytes()), "{a}");
        }
        assert_ne!(hash(b"a"), hash(b"b"));
        assert!(!same_host_name("ß".as_bytes(), b"SS"));
    }
}
