//! Numbers as text, as `num_put` writes them: `printf` conversions made of a stream's flags, with the punctuation of its locale, filled to
//! its width.

use transom_crt::format::{self, ArgSource, Error, Options};
use transom_crt::string::charset::Charset;

use super::ios::{Format, flag};
use crate::character::Character;
use crate::locale::punct::Punct;

/// The option by which `printf` rounds ties to even digits.
const STANDARD_ROUNDING: u64 = 32;

/// A number's text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Number<C> {
    text: Vec<C>,
    /// Where fill characters go if they go inside: after the sign or the mark of the base.
    inside: usize,
}

/// The sign of a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sign {
    /// Of an unsigned type.
    None,
    Plus,
    Minus,
}

/// Whether integers are written in decimal, which is where they have a sign.
pub(super) fn is_decimal(flags: i32) -> bool {
    !matches!(flags & flag::BASE, flag::OCTAL | flag::HEXADECIMAL)
}

/// An integer.
pub(super) fn integer<C: Character>(magnitude: u64, sign: Sign, flags: i32, punct: &Punct<C>) -> Number<C> {
    let has = |bit| flags & bit != 0;
    let (prefix, digits) = match flags & flag::BASE {
        flag::OCTAL => {
            (if has(flag::SHOW_BASE) && magnitude != 0 { "0" } else { "" }, format!("{magnitude:o}"))
        }
        flag::HEXADECIMAL => {
            let upper = has(flag::UPPERCASE);
            let mark = if upper { "0X" } else { "0x" };
            let digits = if upper { format!("{magnitude:X}") } else { format!("{magnitude:x}") };
            (if has(flag::SHOW_BASE) && magnitude != 0 { mark } else { "" }, digits)
        }
        _ => {
            let mark = match sign {
                Sign::Minus => "-",
                Sign::Plus if has(flag::SHOW_SIGN) => "+",
                Sign::Plus | Sign::None => "",
            };
            (mark, magnitude.to_string())
        }
    };
    // The 0 of an octal number is a digit of it.
    let inside = if prefix == "0" { 0 } else { prefix.len() };
    let text = format!("{prefix}{digits}");
    let (before, digits) = text.as_bytes().split_at(inside);
    let text = [C::of_text(before), punct.grouped(C::of_text(digits))].concat();
    Number { text, inside }
}

/// A floating-point number.
pub(super) fn float<C: Character>(value: f64, flags: i32, precision: i64, punct: &Punct<C>) -> Number<C> {
    let text = printed(value, flags, precision);
    let sign = usize::from(matches!(text.first(), Some(b'+' | b'-')));
    let hexadecimal = flags & flag::FLOAT == flag::FLOAT;
    let mark = if hexadecimal && text.get(sign) == Some(&b'0') { 2 } else { 0 };
    let inside = sign + mark;
    let digits = text[inside..].iter().take_while(|b| b.is_ascii_digit()).count();
    let (before, rest) = text.split_at(inside);
    let (whole, rest) = rest.split_at(digits);
    let (point, rest) = rest.split_at(usize::from(rest.first() == Some(&b'.')));
    let point = if point.is_empty() { Vec::new() } else { vec![punct.point] };
    Number {
        text: [C::of_text(before), punct.grouped(C::of_text(whole)), point, C::of_text(rest)].concat(),
        inside,
    }
}

/// What `printf` makes of a floating-point number.
fn printed(value: f64, flags: i32, set: i64) -> Vec<u8> {
    let has = |bit| flags & bit != 0;
    let style = flags & flag::FLOAT;
    let conversion = match style {
        flag::FIXED => b'f',
        flag::SCIENTIFIC => b'e',
        flag::FLOAT => b'a',
        _ => b'g',
    };
    let mut pattern = b"%".to_vec();
    if has(flag::SHOW_SIGN) {
        pattern.push(b'+');
    }
    if has(flag::SHOW_POINT) {
        pattern.push(b'#');
    }
    pattern.extend(format!(".{}", precision(set, style)).into_bytes());
    pattern.push(if has(flag::UPPERCASE) { conversion.to_ascii_uppercase() } else { conversion });
    let mut text = Vec::new();
    // The pattern is a good one and its argument is there.
    let options = Options::ucrt(STANDARD_ROUNDING, 8, Charset::C);
    let _ = format::format(&pattern, &mut One(value), &mut text, &options);
    text
}

/// The precision that a stream's stands for: hexadecimal numbers show all digits.
fn precision(set: i64, style: i32) -> i64 {
    const ALL_HEXADECIMAL: i64 = 13;
    const DEFAULT: i64 = 6;
    if style == flag::FLOAT {
        ALL_HEXADECIMAL
    } else if set < 0 {
        DEFAULT
    } else {
        set
    }
}

impl<C: Character> Number<C> {
    /// A text that is no number, and has no inside.
    pub(super) fn text(text: Vec<C>) -> Self {
        Self { text, inside: 0 }
    }

    /// Its text, filled to the width that was set.
    pub(super) fn filled(self, format: Format<C>) -> Vec<C> {
        let width = usize::try_from(format.width).unwrap_or(0);
        let missing = width.saturating_sub(self.text.len());
        let at = match format.flags & flag::ADJUST {
            flag::LEFT => self.text.len(),
            flag::INTERNAL => self.inside,
            _ => 0,
        };
        let (before, after) = self.text.split_at(at);
        [before, &vec![format.fill; missing], after].concat()
    }
}

/// The one argument of a conversion.
struct One(f64);

impl ArgSource for One {
    fn int32(&mut self) -> Result<u32, Error> {
        Err(Error::Invalid)
    }
    fn int64(&mut self) -> Result<u64, Error> {
        Err(Error::Invalid)
    }
    fn pointer(&mut self) -> Result<u64, Error> {
        Err(Error::Invalid)
    }
    fn double(&mut self) -> Result<f64, Error> {
        Ok(self.0)
    }
    fn narrow(&mut self, _at: u64, _to: &mut [u8]) -> Result<usize, Error> {
        Err(Error::Invalid)
    }
    fn wide(&mut self, _at: u64, _to: &mut [u16]) -> Result<usize, Error> {
        Err(Error::Invalid)
    }
    fn counted(&mut self, _at: u64) -> Result<(u16, u64), Error> {
        Err(Error::Invalid)
    }
    fn store(&mut self, _at: u64, _size: u8, _count: u64) -> Result<(), Error> {
        Err(Error::Invalid)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn format(flags: i32, width: i64) -> Format<u8> {
        Format { flags, precision: 6, width, fill: b'*' }
    }

    fn show(number: Number<u8>, format: Format<u8>) -> String {
        String::from_utf8(number.filled(format)).unwrap()
    }

    #[test]
    fn integers_in_all_bases() {
        let of = |value, sign, flags| show(integer(value, sign, flags, &Punct::classic()), format(flags, 0));
        assert_eq!(of(42, Sign::Minus, flag::DECIMAL), "-42");
        assert_eq!(of(42, Sign::Plus, flag::DECIMAL | flag::SHOW_SIGN), "+42");
        assert_eq!(of(42, Sign::None, flag::DECIMAL | flag::SHOW_SIGN), "42");
        assert_eq!(of(255, Sign::None, flag::HEXADECIMAL | flag::SHOW_BASE), "0xff");
        assert_eq!(of(255, Sign::None, flag::HEXADECIMAL | flag::UPPERCASE), "FF");
        assert_eq!(of(8, Sign::None, flag::OCTAL | flag::SHOW_BASE), "010");
        assert_eq!(of(0, Sign::None, flag::OCTAL | flag::SHOW_BASE), "0");
    }

    #[test]
    fn floats_in_all_styles() {
        let of = |value, flags| show(float(value, flags, 6, &Punct::classic()), format(flags, 0));
        assert_eq!(of(0.1, 0), "0.1");
        assert_eq!(of(1e10, 0), "1e+10");
        assert_eq!(of(2.5, flag::FIXED), "2.500000");
        assert_eq!(of(-2.5, flag::SCIENTIFIC | flag::UPPERCASE), "-2.500000E+00");
        assert_eq!(of(1.5, flag::FLOAT), "0x1.8000000000000p+0");
        assert_eq!(of(2.0, flag::SHOW_POINT | flag::SHOW_SIGN), "+2.00000");
    }

    #[test]
    fn filling_before_after_and_inside() {
        let of = |flags| {
            let f = format(flags | flag::HEXADECIMAL | flag::SHOW_BASE, 8);
            show(integer(255, Sign::None, f.flags, &Punct::classic()), f)
        };
        assert_eq!(of(0), "****0xff");
        assert_eq!(of(flag::LEFT), "0xff****");
        assert_eq!(of(flag::INTERNAL), "0x****ff");
    }

    #[test]
    fn punctuation_of_a_locale() {
        let punct = Punct { separator: b'.', point: b',', grouping: vec![3, 2], ..Punct::classic() };
        let of = |value| show(integer(value, Sign::Minus, flag::DECIMAL, &punct), format(0, 0));
        assert_eq!(of(123), "-123");
        assert_eq!(of(12_345_678), "-1.23.45.678");
        assert_eq!(show(float(1234.5, flag::FIXED, 1, &punct), format(0, 0)), "1.234,5");
    }
}
