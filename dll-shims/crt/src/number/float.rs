//! Floating-point numbers from text, correctly rounded.
//!
//! Decimal digits go to Rust's parser, which rounds correctly whatever their number; hexadecimal ones are rounded
//! here. ucrt reads hexadecimal numbers, infinities and NaNs; msvcrt reads none of these, but takes `d` for `e`.

use super::Outcome;
use crate::unit::Unit;

/// A converted number.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ParsedFloat<F> {
    /// The value.
    pub value: F,
    /// Index after the last unit that belongs to the number; 0 when there is none.
    pub end: usize,
    /// How it ended.
    pub outcome: Outcome,
}

/// What the text says, before rounding.
enum Shape {
    Decimal,
    /// `mantissa * 2^exponent`; `sticky` when bits below were lost.
    Hex {
        mantissa: u64,
        exponent: i64,
        sticky: bool,
    },
    Infinity,
    /// Quiet bit and indefinite flag.
    Nan {
        quiet: bool,
        indefinite: bool,
    },
}

struct Scanned {
    negative: bool,
    shape: Shape,
    start: usize,
    end: usize,
}

fn at<U: Unit>(text: &[U], i: usize) -> u8 {
    text.get(i).map_or(0, |u| u.ascii())
}

fn lower<U: Unit>(text: &[U], i: usize) -> u8 {
    at(text, i).to_ascii_lowercase()
}

fn matches<U: Unit>(text: &[U], i: usize, word: &[u8]) -> bool {
    word.iter().enumerate().all(|(k, b)| lower(text, i + k) == *b)
}

fn scan<U: Unit>(text: &[U], msvcrt: bool) -> Option<Scanned> {
    let mut i = text.iter().position(|u| !u.is_space())?;
    let negative = at(text, i) == b'-';
    if matches!(at(text, i), b'-' | b'+') {
        i += 1;
    }
    if !msvcrt && let Some((shape, end)) = special(text, i).or_else(|| hex(text, i)) {
        return Some(Scanned { negative, shape, start: i, end });
    }
    let start = i;
    let digits = |mut i: usize| {
        let from = i;
        while at(text, i).is_ascii_digit() {
            i += 1;
        }
        i - from
    };
    let integral = digits(i);
    i += integral;
    let mut fraction = 0;
    if at(text, i) == b'.' {
        fraction = digits(i + 1);
        if integral + fraction > 0 {
            i += 1 + fraction;
        }
    }
    if integral + fraction == 0 {
        return None;
    }
    if lower(text, i) == b'e' || (msvcrt && lower(text, i) == b'd') {
        let sign = usize::from(matches!(at(text, i + 1), b'-' | b'+'));
        let n = digits(i + 1 + sign);
        if n > 0 {
            i += 1 + sign + n;
        }
    }
    Some(Scanned { negative, shape: Shape::Decimal, start, end: i })
}

fn special<U: Unit>(text: &[U], i: usize) -> Option<(Shape, usize)> {
    if matches(text, i, b"inf") {
        let end = if matches(text, i + 3, b"inity") { i + 8 } else { i + 3 };
        return Some((Shape::Infinity, end));
    }
    if !matches(text, i, b"nan") {
        return None;
    }
    let plain = Shape::Nan { quiet: true, indefinite: false };
    if at(text, i + 3) != b'(' {
        return Some((plain, i + 3));
    }
    let mut end = i + 4;
    while at(text, end).is_ascii_alphanumeric() || at(text, end) == b'_' {
        end += 1;
    }
    if at(text, end) != b')' {
        return Some((plain, i + 3));
    }
    let shape = match () {
        () if matches(text, i + 3, b"(snan)") => Shape::Nan { quiet: false, indefinite: false },
        () if matches(text, i + 3, b"(ind)") => Shape::Nan { quiet: true, indefinite: true },
        () => plain,
    };
    Some((shape, end + 1))
}

fn hex<U: Unit>(text: &[U], i: usize) -> Option<(Shape, usize)> {
    if !matches(text, i, b"0x") {
        return None;
    }
    let mut j = i + 2;
    let (mut mantissa, mut exponent, mut sticky) = (0u64, 0i64, false);
    let (mut any, mut point) = (false, false);
    loop {
        let c = at(text, j);
        if c == b'.' && !point {
            point = true;
        } else if let Some(d) = char::from(c).to_digit(16) {
            any = true;
            if mantissa >> 60 == 0 {
                mantissa = mantissa << 4 | u64::from(d);
                exponent -= if point { 4 } else { 0 };
            } else {
                sticky |= d != 0;
                exponent += if point { 0 } else { 4 };
            }
        } else {
            break;
        }
        j += 1;
    }
    if !any {
        return None;
    }
    if lower(text, j) == b'p' {
        let sign = at(text, j + 1);
        let mut k = j + 1 + usize::from(matches!(sign, b'-' | b'+'));
        if at(text, k).is_ascii_digit() {
            let mut e = 0i64;
            while at(text, k).is_ascii_digit() {
                e = (e * 10 + i64::from(at(text, k) - b'0')).min(1 << 40);
                k += 1;
            }
            exponent += if sign == b'-' { -e } else { e };
            j = k;
        }
    }
    Some((Shape::Hex { mantissa, exponent, sticky }, j))
}

/// A binary format: bits of the fraction, and bias such that the least exponent of a unit in the last place is `1 - bias - fraction`.
struct Format {
    fraction: u32,
    bias: i64,
}

/// Rounds `mantissa * 2^exponent` to the format, half to even; returns the bits and whether it went out of range.
fn round(mantissa: u64, exponent: i64, sticky: bool, f: &Format) -> (u64, bool) {
    if mantissa == 0 {
        return (0, false);
    }
    let top = 64 - i64::from(mantissa.leading_zeros());
    // Exponent of the result's last place: that of a normal number, or the least there is.
    let last = (exponent + top - i64::from(f.fraction) - 1).max(1 - f.bias - i64::from(f.fraction));
    let shift = last - exponent;
    let wide = u128::from(mantissa) << 1 | u128::from(sticky);
    let (mut kept, rest, half) = match u32::try_from(shift + 1) {
        Ok(s) if s > 100 => (0, 1, 2),
        Ok(0) => (wide, 0, 1),
        Ok(s) => (wide >> s, wide & ((1 << s) - 1), 1 << (s - 1)),
        Err(_) => (wide << u32::try_from(-(shift + 1)).unwrap_or(0).min(60), 0, 1),
    };
    if rest > half || (rest == half && kept & 1 == 1) {
        kept += 1;
    }
    let mut biased = last + f.bias + i64::from(f.fraction);
    if kept >> (f.fraction + 1) != 0 {
        kept >>= 1;
        biased += 1;
    }
    if kept >> f.fraction == 0 {
        biased = 0;
    }
    let kept = u64::try_from(kept).unwrap_or(0);
    if biased > 2 * f.bias {
        return ((2 * f.bias.cast_unsigned() + 1) << f.fraction, true);
    }
    let fraction = kept & ((1 << f.fraction) - 1);
    (biased.cast_unsigned() << f.fraction | fraction, kept == 0)
}

/// The digits from `start` to `end` as Rust's parser wants them, given to `parse`.
fn with_text<U: Unit, R>(text: &[U], parse: impl Fn(&str) -> R) -> R {
    let byte = |u: &U| match u.ascii() {
        b'd' | b'D' => b'e',
        b => b,
    };
    let mut inline = [0u8; 128];
    let mut heap = Vec::new();
    let bytes = if let Some(space) = inline.get_mut(..text.len()) {
        for (to, from) in space.iter_mut().zip(text) {
            *to = byte(from);
        }
        &*space
    } else {
        heap.extend(text.iter().map(byte));
        &heap
    };
    parse(core::str::from_utf8(bytes).unwrap_or("0"))
}

macro_rules! parser {
    ($(#[$doc:meta])* $name:ident, $float:ty, $bits:ty, $format:expr) => {
        $(#[$doc])*
        #[must_use]
        pub fn $name<U: Unit>(text: &[U], msvcrt: bool) -> ParsedFloat<$float> {
            let Some(found) = scan(text, msvcrt) else {
                return ParsedFloat { value: 0.0, end: 0, outcome: Outcome::None };
            };
            let format: Format = $format;
            let quiet: $bits = 1 << (format.fraction - 1);
            let mut negative = found.negative;
            let (value, range) = match found.shape {
                Shape::Decimal => {
                    let digits = &text[found.start..found.end];
                    let value = with_text(digits, |s| s.parse::<$float>().unwrap_or(0.0));
                    let mantissa = digits.iter().map(|u| u.ascii()).take_while(|b| !b.is_ascii_alphabetic());
                    let zero = value == 0.0 && mantissa.into_iter().any(|b| matches!(b, b'1'..=b'9'));
                    (value, value.is_infinite() || zero)
                }
                Shape::Hex { mantissa, exponent, sticky } => {
                    let (bits, range) = round(mantissa, exponent, sticky, &format);
                    (<$float>::from_bits(<$bits>::try_from(bits).unwrap_or(0)), range)
                }
                Shape::Infinity => (<$float>::INFINITY, false),
                Shape::Nan { quiet: is_quiet, indefinite } => {
                    negative |= indefinite;
                    let payload = if indefinite { quiet } else if is_quiet { 2 * quiet - 1 } else { 1 };
                    (<$float>::from_bits(<$float>::INFINITY.to_bits() | payload), false)
                }
            };
            let outcome = if range { Outcome::Range } else { Outcome::Number };
            ParsedFloat { value: if negative { -value } else { value }, end: found.end, outcome }
        }
    };
}

parser!(
    /// Converts as `strtod` does.
    parse_double, f64, u64, Format { fraction: 52, bias: 1023 }
);
parser!(
    /// Converts as `strtof` does.
    parse_single, f32, u32, Format { fraction: 23, bias: 127 }
);

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn host(s: &str) -> (f64, f32, usize) {
        let c = std::ffi::CString::new(s).unwrap();
        let mut end = core::ptr::null_mut();
        // SAFETY: a NUL-terminated string and a place for the end pointer.
        let double = unsafe { libc::strtod(c.as_ptr(), &raw mut end) };
        // SAFETY: as above.
        let single = unsafe { libc::strtof(c.as_ptr(), core::ptr::null_mut()) };
        (double, single, end as usize - c.as_ptr() as usize)
    }

    fn check(s: &str) -> Result<(), TestCaseError> {
        let (double, single, used) = host(s);
        let d = parse_double(s.as_bytes(), false);
        let f = parse_single(s.as_bytes(), false);
        prop_assert_eq!((d.value.to_bits(), d.end), (double.to_bits(), used), "{}", s);
        prop_assert_eq!((f.value.to_bits(), f.end), (single.to_bits(), used), "{}", s);
        Ok(())
    }

    proptest! {
        #[test]
        fn decimals_like_the_host(s in "[ ]?[-+]?[0-9]{0,30}(\\.[0-9]{0,30})?([eE][-+]?[0-9]{0,3})?x?") {
            check(&s)?;
        }

        #[test]
        fn hexadecimals_like_the_host(s in "[-+]?0[xX][0-9a-fA-F]{0,20}(\\.[0-9a-fA-F]{0,20})?([pP][-+]?[0-9]{0,4})?") {
            check(&s)?;
        }

        #[test]
        fn printed_doubles_come_back(bits: u64) {
            let value = f64::from_bits(bits);
            prop_assume!(value.is_finite());
            let text: Vec<u16> = crate::format::float_text(value, b'e', Some(16), false).encode_utf16().collect();
            prop_assert_eq!(parse_double(&text, false).value.to_bits(), bits);
        }
    }

    #[test]
    fn special_values() {
        for (s, end) in [("inf", 3), ("-INFINITY", 9), ("infinit", 3)] {
            let r = parse_double(s.as_bytes(), false);
            assert!(r.value.is_infinite() && r.end == end, "{s}");
            assert_eq!(parse_double(s.as_bytes(), true).outcome, Outcome::None);
        }
        assert_eq!(parse_double(b"nan(ind)".as_slice(), false).value.to_bits(), 0xFFF8_0000_0000_0000);
        assert_eq!(parse_double(b"nan(x".as_slice(), false).end, 3);
        assert!(parse_double(b"NaN(snan)".as_slice(), false).value.is_nan());
        assert_eq!(parse_double(b"1d2".as_slice(), true).value, 100.0);
        assert_eq!(parse_double(b"1d2".as_slice(), false).end, 1);
        assert_eq!(parse_double(b"0x10".as_slice(), true).end, 1);
        assert_eq!(parse_double(b"1e999".as_slice(), false).outcome, Outcome::Range);
        assert_eq!(parse_double(b"1e-999".as_slice(), false).outcome, Outcome::Range);
        assert_eq!(parse_double(b"0e-999".as_slice(), false).outcome, Outcome::Number);
    }
}
