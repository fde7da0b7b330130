//! `_ecvt`, `_fcvt` and `_gcvt`: digits and decimal point apart.

use crate::format::float_text;

/// Digits of a number as `_ecvt` and `_fcvt` give them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cvt {
    /// The digits, without sign or point.
    pub digits: String,
    /// Position of the decimal point relative to the start of the digits; negative means zeros after the point.
    pub point: i32,
    /// Whether the number is negative.
    pub negative: bool,
}

/// Significant digits that the runtimes give at most.
const MAX_DIGITS: usize = 349;

fn unsigned(text: &str) -> &str {
    text.trim_start_matches('-')
}

/// `count` significant digits.
#[must_use]
pub fn ecvt(value: f64, count: i32) -> Cvt {
    let count = usize::try_from(count).unwrap_or(0).min(MAX_DIGITS);
    let text = float_text(value, b'e', Some(count.saturating_sub(1)), false);
    let (mantissa, exponent) = unsigned(&text).split_once('e').unwrap_or((unsigned(&text), "0"));
    let mut digits: String = mantissa.chars().filter(|c| *c != '.').collect();
    digits.truncate(count);
    let exponent: i32 = exponent.parse().unwrap_or(0);
    let point = if value == 0.0 { 0 } else { exponent + 1 };
    Cvt { digits, point, negative: value.is_sign_negative() }
}

/// `count` digits after the decimal point (before it when negative).
#[must_use]
pub fn fcvt(value: f64, count: i32) -> Cvt {
    let Ok(decimals) = usize::try_from(count) else {
        let whole = ecvt(value, 1).point + count;
        return if whole > 0 { ecvt(value, whole) } else { ecvt(value, 0) };
    };
    let text = float_text(value, b'f', Some(decimals.min(MAX_DIGITS)), false);
    let (integral, fraction) = unsigned(&text).split_once('.').unwrap_or((unsigned(&text), ""));
    let integral = integral.trim_start_matches('0');
    let mut digits = format!("{integral}{fraction}");
    let mut point = i32::try_from(integral.len()).unwrap_or(0);
    if integral.is_empty() && value != 0.0 {
        let zeros = digits.len() - digits.trim_start_matches('0').len();
        digits.drain(..zeros);
        point = -i32::try_from(zeros).unwrap_or(0);
    }
    Cvt { digits, point, negative: value.is_sign_negative() }
}

/// `_gcvt`: `count` significant digits, in the shorter of the two forms.
#[must_use]
pub fn gcvt(value: f64, count: i32, msvcrt: bool) -> String {
    let count = usize::try_from(count).unwrap_or(0).min(MAX_DIGITS);
    let mut text = float_text(value, b'g', Some(count), msvcrt);
    // These functions always write the point.
    if value.is_finite() && !text.contains('.') {
        let at = text.find('e').unwrap_or(text.len());
        text.insert(at, '.');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_and_points() {
        let e = ecvt(core::f64::consts::PI, 10);
        assert_eq!((e.digits.as_str(), e.point, e.negative), ("3141592654", 1, false));
        let f = fcvt(-core::f64::consts::PI, 7);
        assert_eq!((f.digits.as_str(), f.point, f.negative), ("31415927", 1, true));
        assert_eq!(fcvt(0.001_25, 4).point, -2);
        assert_eq!(ecvt(0.0, 3).digits, "000");
        assert_eq!(gcvt(0.001, 5, false), "0.001");
        assert_eq!(gcvt(123_456_789.0, 3, true), "1.23e+008");
        assert_eq!(gcvt(100.0, 5, false), "100.");
    }
}
