//! Integers.

use super::Outcome;
use crate::unit::Unit;

/// Type of the result of an integer conversion.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IntKind {
    /// Bits: 32 or 64.
    pub bits: u32,
    /// Whether it is signed.
    pub signed: bool,
}

/// A converted integer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ParsedInt {
    /// The value, sign-extended to 64 bits for signed types.
    pub value: u64,
    /// Index after the last unit that belongs to the number; 0 when there is none.
    pub end: usize,
    /// How it ended.
    pub outcome: Outcome,
}

impl ParsedInt {
    /// The low 32 bits as `int`.
    #[must_use]
    #[expect(clippy::cast_possible_truncation, reason = "cutting to int is the contract")]
    pub fn int(&self) -> i32 {
        self.value as i32
    }
}

fn digit<U: Unit>(unit: U) -> Option<u32> {
    char::from(unit.ascii()).to_digit(36)
}

/// Converts as `strtol`, `strtoul`, `strtoll` and so on do.
#[must_use]
pub fn parse_int<U: Unit>(text: &[U], base: u32, kind: IntKind) -> ParsedInt {
    let nothing = |outcome| ParsedInt { value: 0, end: 0, outcome };
    if base == 1 || base > 36 {
        return nothing(Outcome::BadBase);
    }
    let mut at = text.iter().position(|u| !u.is_space()).unwrap_or(text.len());
    let sign = text.get(at).map_or(0, |u| u.ascii());
    let negative = sign == b'-';
    if matches!(sign, b'-' | b'+') {
        at += 1;
    }
    let zero = text.get(at).is_some_and(|u| u.ascii() == b'0');
    let prefixed = zero
        && matches!(base, 0 | 16)
        && text.get(at + 1).is_some_and(|u| u.ascii() | 0x20 == b'x')
        && text.get(at + 2).and_then(|u| digit(*u)).is_some_and(|d| d < 16);
    let base = match base {
        0 if prefixed => 16,
        0 if zero => 8,
        0 => 10,
        other => other,
    };
    if prefixed {
        at += 2;
    }
    let start = at;
    let (mut value, mut overflow) = (0u64, false);
    while let Some(d) = text.get(at).and_then(|u| digit(*u)).filter(|d| *d < base) {
        match value.checked_mul(base.into()).and_then(|v| v.checked_add(d.into())) {
            Some(v) => value = v,
            None => overflow = true,
        }
        at += 1;
    }
    if at == start {
        return nothing(Outcome::None);
    }
    let (value, outcome) = limit(value, negative, overflow, kind);
    ParsedInt { value, end: at, outcome }
}

fn limit(value: u64, negative: bool, overflow: bool, kind: IntKind) -> (u64, Outcome) {
    let unsigned_max = u64::MAX >> (64 - kind.bits);
    if !kind.signed {
        if overflow || value > unsigned_max {
            return (unsigned_max, Outcome::Range);
        }
        let value = if negative { value.wrapping_neg() & unsigned_max } else { value };
        return (value, Outcome::Number);
    }
    let most = unsigned_max >> 1;
    match (negative, overflow) {
        (true, false) if value <= most + 1 => (value.wrapping_neg(), Outcome::Number),
        (true, _) => ((most + 1).wrapping_neg(), Outcome::Range),
        (false, false) if value <= most => (value, Outcome::Number),
        (false, _) => (most, Outcome::Range),
    }
}

/// Text of an integer as `_itoa`, `_ui64toa` and so on write it: a minus sign when `negative`, then the digits of
/// `magnitude` in `base` (2 to 36) in lower case. Returns the text at the end of `buffer`.
pub fn int_text(buffer: &mut [u8; 72], mut magnitude: u64, negative: bool, base: u32) -> &[u8] {
    let base = u64::from(base.clamp(2, 36));
    let mut at = buffer.len();
    loop {
        let d = u8::try_from(magnitude % base).unwrap_or(0);
        at -= 1;
        buffer[at] = if d < 10 { b'0' + d } else { b'a' + d - 10 };
        magnitude /= base;
        if magnitude == 0 {
            break;
        }
    }
    if negative {
        at -= 1;
        buffer[at] = b'-';
    }
    &buffer[at..]
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const LONG: IntKind = IntKind { bits: 32, signed: true };
    const ULONG: IntKind = IntKind { bits: 32, signed: false };
    const I64: IntKind = IntKind { bits: 64, signed: true };

    fn long(s: &str, base: u32) -> (i32, usize, Outcome) {
        let r = parse_int(s.as_bytes(), base, LONG);
        (r.int(), r.end, r.outcome)
    }

    #[test]
    fn prefixes_limits_and_ends() {
        assert_eq!(long("  -42x", 10), (-42, 5, Outcome::Number));
        assert_eq!(long("0x1F", 0), (31, 4, Outcome::Number));
        assert_eq!(long("0xg", 16), (0, 1, Outcome::Number));
        assert_eq!(long("0779", 0), (0o77, 3, Outcome::Number));
        assert_eq!(long("zz", 36), (35 * 37, 2, Outcome::Number));
        assert_eq!(long("2147483648", 10), (i32::MAX, 10, Outcome::Range));
        assert_eq!(long("-2147483648", 10), (i32::MIN, 11, Outcome::Number));
        assert_eq!(long("-2147483649", 10), (i32::MIN, 11, Outcome::Range));
        assert_eq!(long("+", 10), (0, 0, Outcome::None));
        assert_eq!(long("1", 37), (0, 0, Outcome::BadBase));
        assert_eq!(parse_int(b"-1".as_slice(), 10, ULONG).value, 0xFFFF_FFFF);
        assert_eq!(parse_int(b"4294967296".as_slice(), 10, ULONG).outcome, Outcome::Range);
        assert_eq!(parse_int(&[0x3000u16, 0x2D, 0x37], 10, LONG).int(), -7);
    }

    proptest! {
        #[test]
        fn text_round_trips(value: i64, base in 2..=36u32) {
            let mut buffer = [0; 72];
            let text = int_text(&mut buffer, value.unsigned_abs(), value < 0, base);
            let parsed = parse_int(text, base, I64);
            prop_assert_eq!((parsed.value.cast_signed(), parsed.end, parsed.outcome), (value, text.len(), Outcome::Number));
        }

        #[test]
        fn like_the_hosts_strtoll(s in "[ \t]{0,2}[-+]?(0x|0X|0)?[0-9a-zA-Z]{0,24}", base in prop_oneof![Just(0u32), 2..=36u32]) {
            let c = std::ffi::CString::new(s.clone()).unwrap();
            let mut end = core::ptr::null_mut();
            // SAFETY: a NUL-terminated string and a place for the end pointer.
            let expected = unsafe { libc::strtoll(c.as_ptr(), &raw mut end, i32::try_from(base).unwrap()) };
            let used = end as usize - c.as_ptr() as usize;
            // Newer hosts read 0b as base 2, which these runtimes do not.
            prop_assume!(!s.to_ascii_lowercase().contains("0b"));
            let parsed = parse_int(s.as_bytes(), base, I64);
            prop_assert_eq!((parsed.value.cast_signed(), parsed.end), (expected, used));
        }
    }
}
