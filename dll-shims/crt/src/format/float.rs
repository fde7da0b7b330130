//! Text of floating-point numbers: `%e %f %g %a`, and the two spellings of what is not a number.
//!
//! Digits are exact: the common `%f` is computed in 128-bit integers, everything else comes from Rust's own exact
//! formatting, which rounds half to even as ucrt does since Windows 10 2004. Before that, and in msvcrt, exact halves are rounded away
//! from zero, which is applied on top.

use core::fmt::Write as _;

/// Fractional digits beyond which a double has only zeros.
const MAX_DIGITS: usize = 1100;
/// Bytes that hold any text made here (309 integral digits, the point, the fraction, an exponent).
pub(super) const LARGE: usize = 309 + MAX_DIGITS + 16;

/// Text without its sign: `bytes[..split]`, then `zeros` times `0`, then `bytes[split..len]`.
#[derive(Debug)]
pub(super) struct Text<'a> {
    pub(super) bytes: &'a mut [u8],
    pub(super) len: usize,
    pub(super) split: usize,
    pub(super) zeros: usize,
    /// Whether it is a number, so that zero padding is meant.
    pub(super) number: bool,
}

impl<'a> Text<'a> {
    pub(super) fn new(bytes: &'a mut [u8]) -> Self {
        Self { bytes, len: 0, split: 0, zeros: 0, number: true }
    }

    fn push(&mut self, byte: u8) {
        if let Some(slot) = self.bytes.get_mut(self.len) {
            *slot = byte;
            self.len += 1;
        }
    }

    fn push_all(&mut self, bytes: &[u8]) {
        for b in bytes {
            self.push(*b);
        }
    }

    fn pad_to(&mut self, len: usize) {
        while self.len < len.min(self.bytes.len()) {
            self.push(b'0');
        }
    }
}

impl core::fmt::Write for Text<'_> {
    fn write_str(&mut self, s: &str) -> core::fmt::Result {
        self.push_all(s.as_bytes());
        Ok(())
    }
}

/// How to write the number.
#[derive(Clone, Copy, Debug)]
pub(super) struct Style {
    /// One of `eEfFgGaA`.
    pub(super) kind: u8,
    pub(super) precision: Option<usize>,
    pub(super) alternate: bool,
    pub(super) msvcrt: bool,
    pub(super) three_digits: bool,
    /// Exact halves are rounded away from zero.
    pub(super) ties_away: bool,
}

/// Formats `|value|` into `out`.
pub(super) fn write(out: &mut Text<'_>, value: f64, style: Style) {
    if value.is_finite() {
        let magnitude = value.abs();
        match style.kind | 0x20 {
            b'a' => hexadecimal(out, magnitude, style),
            b'e' => scientific(out, magnitude, style),
            b'f' => fixed(out, magnitude, style),
            _ => general(out, magnitude, style),
        }
    } else {
        not_finite(out, value, style);
    }
    if style.kind.is_ascii_uppercase() {
        out.bytes[..out.len].make_ascii_uppercase();
    }
}

/// Formats a number as `%e`, `%f`, `%g` or `%a` (`kind`) would, for the conversion functions and tests.
#[must_use]
pub fn float_text(value: f64, kind: u8, precision: Option<usize>, msvcrt: bool) -> String {
    let mut buffer = [0u8; LARGE];
    let mut text = Text::new(&mut buffer);
    write(
        &mut text,
        value,
        Style { kind, precision, alternate: false, msvcrt, three_digits: msvcrt, ties_away: msvcrt },
    );
    let mut s = String::new();
    if value.is_sign_negative() {
        s.push('-');
    }
    s.extend(text.bytes[..text.split].iter().map(|b| char::from(*b)));
    s.extend(core::iter::repeat_n('0', text.zeros));
    s.extend(text.bytes[text.split..text.len].iter().map(|b| char::from(*b)));
    s
}

/// Mantissa and exponent of a finite magnitude: `value = mantissa * 2^exponent`.
fn parts(value: f64) -> (u64, i32) {
    let bits = value.to_bits();
    let fraction = bits & ((1 << 52) - 1);
    let biased = i32::try_from((bits >> 52) & 0x7FF).unwrap_or(0);
    if biased == 0 { (fraction, -1074) } else { (fraction | 1 << 52, biased - 1075) }
}

/// Whether the value lies exactly between two decimals of `decimals` places (negative: tens, hundreds ...).
fn is_tie(value: f64, decimals: i32) -> bool {
    let (mantissa, exponent) = parts(value);
    if mantissa == 0 {
        return false;
    }
    let odd = mantissa >> mantissa.trailing_zeros();
    let exponent = exponent + i32::try_from(mantissa.trailing_zeros()).unwrap_or(0);
    exponent == -(decimals + 1)
        && u32::try_from(-decimals).map_or(true, |n| 5u64.checked_pow(n).is_some_and(|p| odd % p == 0))
}

fn clamp(out: &mut Text<'_>, precision: usize) -> usize {
    out.zeros = precision.saturating_sub(MAX_DIGITS);
    precision.min(MAX_DIGITS)
}

fn fixed(out: &mut Text<'_>, value: f64, style: Style) {
    let wanted = style.precision.unwrap_or(6);
    let precision = clamp(out, wanted);
    // A tie rounds up when it is no longer one.
    let tie = style.ties_away && is_tie(value, i32::try_from(precision).unwrap_or(0));
    let value = if tie { value.next_up() } else { value };
    if !fixed_fast(out, value, precision) {
        let _ = write!(out, "{value:.precision$}");
    }
    if precision == 0 && style.alternate {
        out.push(b'.');
    }
    out.split = out.len;
}

const POWERS: [u64; 16] = {
    let mut p = [1u64; 16];
    let mut i = 1;
    while i < 16 {
        p[i] = p[i - 1] * 10;
        i += 1;
    }
    p
};

/// The common case in integer arithmetic: few decimals, and a scaled value below 2^64. False when it does not apply.
fn fixed_fast(out: &mut Text<'_>, value: f64, precision: usize) -> bool {
    let Some(&power) = POWERS.get(precision) else { return false };
    let (mantissa, exponent) = parts(value);
    let Ok(shift) = u32::try_from(-exponent) else { return false };
    if shift > 120 {
        return false;
    }
    let scaled = u128::from(mantissa) * u128::from(power);
    let mut quotient = scaled >> shift;
    let rest = scaled & ((1u128 << shift) - 1);
    if shift > 0 {
        let half = 1u128 << (shift - 1);
        if rest > half || (rest == half && quotient & 1 == 1) {
            quotient += 1;
        }
    }
    let Ok(quotient) = u64::try_from(quotient) else { return false };
    let mut digits = [0u8; 20];
    let mut at = digits.len();
    let (mut integral, mut fraction) = (quotient / power, quotient % power);
    loop {
        at -= 1;
        digits[at] = b'0' + u8::try_from(integral % 10).unwrap_or(0);
        integral /= 10;
        if integral == 0 {
            break;
        }
    }
    out.push_all(&digits[at..]);
    if precision > 0 {
        out.push(b'.');
        let start = out.len;
        let Some(space) = out.bytes.get_mut(start..start + precision) else { return true };
        for slot in space.iter_mut().rev() {
            *slot = b'0' + u8::try_from(fraction % 10).unwrap_or(0);
            fraction /= 10;
        }
        out.len += precision;
    }
    true
}

/// Digits (`d.ddd`, `digits` in all) into `out`; returns the decimal exponent.
fn digits(out: &mut Text<'_>, value: f64, digits: usize, ties_away: bool) -> i32 {
    let precision = digits - 1;
    let start = out.len;
    let _ = write!(out, "{value:.precision$e}");
    let (at, exponent) = split_exponent(out, start);
    // Rounding may have carried into a new digit, which moves the place where the tie would be.
    let places = i32::try_from(precision).unwrap_or(0);
    if ties_away && (is_tie(value, places - exponent) || is_tie(value, places - exponent + 1)) {
        let decimals = places - exponent_floor(value, exponent);
        if is_tie(value, decimals) {
            let moved = value.next_up();
            out.len = start;
            let _ = write!(out, "{moved:.precision$e}");
            let (at, exponent) = split_exponent(out, start);
            out.len = at;
            return exponent;
        }
    }
    out.len = at;
    exponent
}

/// The decimal exponent of a value whose rounded exponent is known: rounding may have carried into a new digit.
fn exponent_floor(value: f64, rounded: i32) -> i32 {
    let mut buffer = [0u8; 64];
    let mut text = Text::new(&mut buffer);
    let _ = write!(text, "{value:.20e}");
    let (_, exponent) = split_exponent(&text, 0);
    exponent.min(rounded)
}

/// Where the `e` stands in the text from `start`, and the number after it.
fn split_exponent(out: &Text<'_>, start: usize) -> (usize, i32) {
    let text = &out.bytes[start..out.len];
    let at = text.iter().rposition(|b| *b == b'e').unwrap_or(text.len());
    let tail = core::str::from_utf8(text.get(at + 1..).unwrap_or_default()).unwrap_or_default();
    (start + at, tail.parse().unwrap_or(0))
}

fn exponent_text(out: &mut Text<'_>, exponent: i32, three: bool) {
    out.push(b'e');
    out.push(if exponent < 0 { b'-' } else { b'+' });
    let e = exponent.unsigned_abs();
    if three {
        let _ = write!(out, "{e:03}");
    } else {
        let _ = write!(out, "{e:02}");
    }
}

fn scientific(out: &mut Text<'_>, value: f64, style: Style) {
    let precision = clamp(out, style.precision.unwrap_or(6));
    let exponent = digits(out, value, precision + 1, style.ties_away);
    if precision == 0 && style.alternate {
        out.push(b'.');
    }
    out.split = out.len;
    exponent_text(out, exponent, style.three_digits);
}

fn general(out: &mut Text<'_>, value: f64, style: Style) {
    let wanted = style.precision.unwrap_or(6).max(1);
    let significant = wanted.min(MAX_DIGITS);
    let exponent = digits(out, value, significant, style.ties_away);
    let small = exponent < -4 || i64::from(exponent) >= i64::try_from(wanted).unwrap_or(i64::MAX);
    if small {
        if style.alternate {
            if significant == 1 {
                out.push(b'.');
            }
            out.zeros = wanted - significant;
        } else {
            strip_zeros(out);
        }
        out.split = out.len;
        exponent_text(out, exponent, style.three_digits);
        return;
    }
    // d.ddd times a power of ten, written without an exponent: move the point.
    let count = significant.min(MAX_DIGITS);
    if count > 1 {
        out.bytes.copy_within(2..out.len, 1);
        out.len -= 1;
    }
    if let Ok(e) = usize::try_from(exponent) {
        out.pad_to(e + 1);
        let point = e + 1;
        if point < out.len || style.alternate {
            insert(out, point, b"", 1);
            out.bytes[point] = b'.';
        }
    } else {
        let zeros = usize::try_from(-exponent).unwrap_or(1) - 1;
        insert(out, 0, b"0.", zeros);
    }
    if style.alternate {
        out.zeros = wanted - significant;
    } else {
        strip_zeros(out);
    }
    out.split = out.len;
}

/// Inserts `text` and `zeros` zeros at `at`.
fn insert(out: &mut Text<'_>, at: usize, text: &[u8], zeros: usize) {
    let n = text.len() + zeros;
    if out.len + n > out.bytes.len() {
        return;
    }
    out.bytes.copy_within(at..out.len, at + n);
    out.bytes[at..at + text.len()].copy_from_slice(text);
    out.bytes[at + text.len()..at + n].fill(b'0');
    out.len += n;
}

/// Removes zeros at the end of a fraction, and the point when nothing follows it.
fn strip_zeros(out: &mut Text<'_>) {
    if !out.bytes[..out.len].contains(&b'.') {
        return;
    }
    while out.len > 0 && out.bytes[out.len - 1] == b'0' {
        out.len -= 1;
    }
    if out.len > 0 && out.bytes[out.len - 1] == b'.' {
        out.len -= 1;
    }
}

fn hexadecimal(out: &mut Text<'_>, value: f64, style: Style) {
    let (mut mantissa, mut exponent) = parts(value);
    exponent += 52;
    if mantissa == 0 {
        exponent = 0;
    }
    let wanted = style.precision.unwrap_or(13);
    let precision = wanted.min(13);
    if precision < 13 {
        let shift = u32::try_from(4 * (13 - precision)).unwrap_or(0);
        let (rest, half) = (mantissa & ((1 << shift) - 1), 1u64 << (shift - 1));
        mantissa >>= shift;
        if rest > half || (rest == half && (mantissa & 1 == 1 || style.msvcrt)) {
            mantissa += 1;
        }
        mantissa <<= shift;
    }
    let _ = write!(out, "0x{:x}", mantissa >> 52);
    if wanted > 0 || style.alternate {
        out.push(b'.');
    }
    let fraction = mantissa & ((1 << 52) - 1);
    for i in 0..precision {
        let nibble = u32::try_from((fraction >> (48 - 4 * i)) & 0xF).unwrap_or(0);
        out.push(char::from_digit(nibble, 16).and_then(|c| u8::try_from(c).ok()).unwrap_or(b'0'));
    }
    out.zeros = wanted - precision;
    out.split = out.len;
    let _ = write!(out, "p{exponent:+}");
}

fn not_finite(out: &mut Text<'_>, value: f64, style: Style) {
    let bits = value.to_bits();
    let (quiet, payload) = (bits & (1 << 51) != 0, bits & ((1 << 51) - 1));
    let indefinite = quiet && payload == 0 && value.is_sign_negative();
    out.number = style.msvcrt;
    if !style.msvcrt {
        let text: &[u8] = match (value.is_infinite(), quiet, indefinite) {
            (true, _, _) => b"inf",
            (_, false, _) => b"nan(snan)",
            (_, _, true) => b"nan(ind)",
            _ => b"nan",
        };
        out.push_all(text);
        out.split = out.len;
        return;
    }
    // msvcrt treats these texts as digits: cut and "rounded" to the precision, filled with zeros.
    let text: &[u8] = match (value.is_infinite(), quiet, indefinite) {
        (true, _, _) => b"1#INF",
        (_, false, _) => b"1#SNAN",
        (_, _, true) => b"1#IND",
        _ => b"1#QNAN",
    };
    let general = style.kind | 0x20 == b'g';
    let decimals =
        if general { style.precision.unwrap_or(6).max(1) - 1 } else { style.precision.unwrap_or(6) };
    let kept = text.len().min(decimals + 1);
    out.push_all(&text[..1]);
    if kept > 1 || (decimals > 0 && !general) || style.alternate {
        out.push(b'.');
    }
    out.push_all(&text[1..kept]);
    if text.get(kept).is_some_and(|next| *next >= b'5')
        && let Some(last) = out.len.checked_sub(1).and_then(|i| out.bytes.get_mut(i))
    {
        *last += 1;
    }
    if !general {
        out.zeros = (decimals + 1).saturating_sub(text.len());
    }
    out.split = out.len;
    if style.kind | 0x20 == b'e' {
        exponent_text(out, 0, style.three_digits);
    }
}
