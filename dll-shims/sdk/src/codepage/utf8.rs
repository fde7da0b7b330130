//! One character of UTF-8 at a time, to and from UTF-16, with U+FFFD for what is ill-formed.

/// One decoded character.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Utf8Step {
    units: [u16; 2],
    pair: bool,
    /// Bytes read: the character, or the longest start of a well-formed one.
    pub used: usize,
    /// Whether the bytes were ill-formed (the unit is then U+FFFD).
    pub invalid: bool,
    /// Whether they are the start of a character that the slice cuts off.
    pub incomplete: bool,
}

impl Utf8Step {
    /// The UTF-16 units, one or two.
    #[must_use]
    pub fn units(&self) -> &[u16] {
        &self.units[..if self.pair { 2 } else { 1 }]
    }
}

/// Decodes the first character of `from`; an empty slice is an incomplete character.
#[must_use]
pub fn decode_utf8(from: &[u8]) -> Utf8Step {
    let bad =
        |used, incomplete| Utf8Step { units: [0xFFFD, 0], pair: false, used, invalid: true, incomplete };
    let Some(&first) = from.first() else { return bad(0, true) };
    // Range of the second byte, number of trailing bytes, and the first byte's own bits.
    let (low, high, trailing, mut code) = match first {
        0..=0x7F => {
            return Utf8Step {
                units: [first.into(), 0],
                pair: false,
                used: 1,
                invalid: false,
                incomplete: false,
            };
        }
        0xC2..=0xDF => (0x80, 0xBF, 1, u32::from(first & 0x1F)),
        0xE0 => (0xA0, 0xBF, 2, 0),
        0xED => (0x80, 0x9F, 2, 0xD),
        0xE1..=0xEF => (0x80, 0xBF, 2, u32::from(first & 0x0F)),
        0xF0 => (0x90, 0xBF, 3, 0),
        0xF4 => (0x80, 0x8F, 3, 4),
        0xF1..=0xF3 => (0x80, 0xBF, 3, u32::from(first & 0x07)),
        _ => return bad(1, false),
    };
    for i in 1..=trailing {
        let range = if i == 1 { low..=high } else { 0x80..=0xBF };
        match from.get(i) {
            None => return bad(i, true),
            Some(b) if range.contains(b) => code = code << 6 | u32::from(b & 0x3F),
            Some(_) => return bad(i, false),
        }
    }
    let mut units = [0; 2];
    let pair = char::from_u32(code).is_some_and(|c| c.encode_utf16(&mut units).len() == 2);
    Utf8Step { units, pair, used: trailing + 1, invalid: false, incomplete: false }
}

/// Encodes the first character of `from`: its bytes, how many, units read, and whether it was a lone surrogate (encoded as
/// U+FFFD).
#[must_use]
pub fn encode_utf8(from: &[u16]) -> ([u8; 4], usize, usize, bool) {
    let mut bytes = [0; 4];
    match char::decode_utf16(from.iter().copied()).next() {
        Some(Ok(c)) => {
            let length = c.encode_utf8(&mut bytes).len();
            (bytes, length, c.len_utf16(), false)
        }
        _ => ([0xEF, 0xBF, 0xBD, 0], 3, 1, true),
    }
}
