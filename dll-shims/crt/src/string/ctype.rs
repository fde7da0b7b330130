//! Character classes and case of the C locale, and of Unicode for wide characters, as the runtimes' class bits.
//!
//! [`C_TABLE`] is the table that `_pctype` and `__pctype_func` point into: programs compiled with old headers read it
//! themselves, so its layout is part of the interface.

/// `_UPPER`.
pub const UPPER: u16 = 0x1;
/// `_LOWER`.
pub const LOWER: u16 = 0x2;
/// `_DIGIT`.
pub const DIGIT: u16 = 0x4;
/// `_SPACE`.
pub const SPACE: u16 = 0x8;
/// `_PUNCT`.
pub const PUNCT: u16 = 0x10;
/// `_CONTROL`.
pub const CONTROL: u16 = 0x20;
/// `_BLANK`.
pub const BLANK: u16 = 0x40;
/// `_HEX`.
pub const HEX: u16 = 0x80;
/// The bit that `_ALPHA` adds to the case bits, for letters without case.
pub const LETTER: u16 = 0x100;
/// `_ALPHA`.
pub const ALPHA: u16 = LETTER | UPPER | LOWER;
/// `isalnum`.
pub const ALNUM: u16 = ALPHA | DIGIT;
/// `isgraph`.
pub const GRAPH: u16 = ALNUM | PUNCT;
/// `isprint`.
pub const PRINT: u16 = GRAPH | BLANK;

/// Class bits of a byte in the C locale. Bytes from 0x80 have none. The tab is white space but not `_BLANK`.
#[must_use]
pub const fn class(byte: u8) -> u16 {
    match byte {
        b'\t' => CONTROL | SPACE,
        0x0A..=0x0D => CONTROL | SPACE,
        0..=0x1F | 0x7F => CONTROL,
        b' ' => SPACE | BLANK,
        b'0'..=b'9' => DIGIT | HEX,
        b'A'..=b'F' => UPPER | HEX,
        b'a'..=b'f' => LOWER | HEX,
        b'G'..=b'Z' => UPPER,
        b'g'..=b'z' => LOWER,
        0x21..=0x7E => PUNCT,
        _ => 0,
    }
}

/// Class bits of EOF (-1) and all bytes: `_pctype` points to the second entry.
pub static C_TABLE: [u16; 257] = {
    let mut table = [0; 257];
    let mut i = 0usize;
    while i < 256 {
        #[expect(clippy::cast_possible_truncation, reason = "the loop stays below 256")]
        let byte = i as u8;
        table[i + 1] = class(byte);
        i += 1;
    }
    table
};

/// Class bits of a wide character (`iswctype`), from Unicode beyond ASCII.
#[must_use]
pub fn wide_class(unit: u16) -> u16 {
    if let Ok(byte) = u8::try_from(unit)
        && byte.is_ascii()
    {
        return class(byte) | if byte.is_ascii_alphabetic() { LETTER } else { 0 };
    }
    let Some(c) = char::from_u32(unit.into()) else { return 0 };
    if c.is_control() {
        return CONTROL | if unit == 0x85 { SPACE } else { 0 };
    }
    if c.is_whitespace() {
        let line = matches!(unit, 0x2028 | 0x2029);
        return SPACE | if line { CONTROL } else { BLANK };
    }
    match () {
        () if c.is_uppercase() => UPPER | LETTER,
        () if c.is_lowercase() => LOWER | LETTER,
        () if c.is_alphabetic() => LETTER,
        // Full-width digits.
        () if (0xFF10..=0xFF19).contains(&unit)
            || (c.is_numeric() && matches!(unit, 0x0660..=0x0669 | 0x0966..=0x096F)) =>
        {
            DIGIT
        }
        () if matches!(unit, 0xE000..=0xF8FF | 0xFFF0..=0xFFFF) => 0,
        () => PUNCT,
    }
}

/// `towupper` in the C locale of a wide character: one unit to one unit.
#[must_use]
pub fn wide_upper(unit: u16) -> u16 {
    if let Ok(byte) = u8::try_from(unit)
        && byte.is_ascii()
    {
        return byte.to_ascii_uppercase().into();
    }
    single(unit, char::from_u32(unit.into()).map(char::to_uppercase))
}

/// `towlower` in the C locale of a wide character: one unit to one unit.
#[must_use]
pub fn wide_lower(unit: u16) -> u16 {
    if let Ok(byte) = u8::try_from(unit)
        && byte.is_ascii()
    {
        return byte.to_ascii_lowercase().into();
    }
    single(unit, char::from_u32(unit.into()).map(char::to_lowercase))
}

/// The mapped unit when the mapping is one unit long, else the unit itself.
fn single(unit: u16, mapped: Option<impl Iterator<Item = char>>) -> u16 {
    let Some(mut mapped) = mapped else { return unit };
    match (mapped.next(), mapped.next()) {
        (Some(c), None) => u16::try_from(u32::from(c)).unwrap_or(unit),
        _ => unit,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_agree_with_rust() {
        for b in 0..=127u8 {
            let c = class(b);
            assert_eq!(c & ALPHA != 0, b.is_ascii_alphabetic(), "{b}");
            assert_eq!(c & HEX != 0, b.is_ascii_hexdigit(), "{b}");
            assert_eq!(c & PUNCT != 0, b.is_ascii_punctuation(), "{b}");
            assert_eq!(c & CONTROL != 0, b.is_ascii_control(), "{b}");
            assert_eq!(c & PRINT != 0, b == b' ' || b.is_ascii_graphic(), "{b}");
            assert_eq!(c & SPACE != 0, b.is_ascii_whitespace() || b == 0x0B, "{b}");
            assert_eq!(C_TABLE[usize::from(b) + 1], c);
        }
        assert_eq!(C_TABLE[0], 0);
        assert!((128..=255).all(|b| class(b) == 0));
    }

    #[test]
    fn wide_case() {
        assert_eq!(
            (wide_upper(0xE9), wide_lower(0x410), wide_upper(0xDF), wide_lower(b'Q'.into())),
            (0xC9, 0x430, 0xDF, 0x71)
        );
        assert_eq!(wide_class(0xE9) & ALPHA, LOWER | LETTER);
        assert_eq!(wide_class(0x3000), SPACE | BLANK);
        assert_eq!(wide_class(0xD800), 0);
    }
}
