//! The encoding of narrow strings: that of the C locale, of a UTF-8 locale, or a single-byte code page; one character at
//! a time, as `mbtowc` and `wctomb` need it. Conversion of whole strings with Win32's flags is in the SDK's `codepage`.

use transom_sdk::codepage::{CodePage, decode_utf8, encode_utf8};

/// An encoding of narrow strings.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Charset {
    /// The C locale: each byte is the character of the same number.
    #[default]
    C,
    /// A locale's code page.
    Page(CodePage),
}

/// A character's bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Encoded {
    bytes: [u8; 4],
    length: usize,
    /// UTF-16 units read.
    pub units: usize,
}

impl Encoded {
    /// The bytes, one to four.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes[..self.length]
    }
}

/// A decoded character.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decoded {
    units: [u16; 2],
    length: usize,
    /// Bytes read.
    pub used: usize,
}

impl Decoded {
    /// The UTF-16 units, one or two.
    #[must_use]
    pub fn units(&self) -> &[u16] {
        &self.units[..self.length]
    }
}

/// Result of decoding the start of a narrow string.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decode {
    /// A character.
    Char(Decoded),
    /// The bytes are the start of a character, or there are none.
    Incomplete,
    /// The bytes are no character (EILSEQ).
    Illegal,
}

impl Decode {
    /// The character, if it is one.
    #[must_use]
    pub fn char(self) -> Option<Decoded> {
        if let Self::Char(c) = self { Some(c) } else { None }
    }
}

impl Charset {
    /// The locale code page number as `___lc_codepage_func` gives it; 0 for the C locale.
    #[must_use]
    pub fn page_number(self) -> u32 {
        match self {
            Self::C => 0,
            Self::Page(page) => page.number(),
        }
    }

    /// Most bytes per character (`MB_CUR_MAX`).
    #[must_use]
    pub fn max_bytes(self) -> u32 {
        match self {
            Self::C => 1,
            Self::Page(page) => page.max_char_size(),
        }
    }

    /// Encodes a character whose first unit is `first` and, if that is a high surrogate, whose second is `next`. `None` when it
    /// has no encoding.
    #[must_use]
    pub fn encode(self, first: u16, next: Option<u16>) -> Option<Encoded> {
        let single = |byte| Encoded { bytes: [byte, 0, 0, 0], length: 1, units: 1 };
        match self {
            Self::C => u8::try_from(first).ok().map(single),
            Self::Page(CodePage::Utf8) => {
                let both = [first, next.unwrap_or(0)];
                let (bytes, length, units, invalid) =
                    encode_utf8(&both[..if next.is_some() { 2 } else { 1 }]);
                (!invalid).then_some(Encoded { bytes, length, units })
            }
            Self::Page(page) => page.byte_of(first).map(single),
        }
    }

    /// Decodes the first character of `bytes`.
    #[must_use]
    pub fn decode(self, bytes: &[u8]) -> Decode {
        let Some(&first) = bytes.first() else { return Decode::Incomplete };
        let single = |unit| Decode::Char(Decoded { units: [unit, 0], length: 1, used: 1 });
        match self {
            Self::C => single(first.into()),
            Self::Page(CodePage::Utf8) => {
                let step = decode_utf8(bytes);
                if !step.invalid {
                    let mut units = [0; 2];
                    let length = step.units().len();
                    units[..length].copy_from_slice(step.units());
                    return Decode::Char(Decoded { units, length, used: step.used });
                }
                if step.incomplete { Decode::Incomplete } else { Decode::Illegal }
            }
            Self::Page(page) => page.unit_of(first).map_or(Decode::Illegal, single),
        }
    }

    /// Converts a whole narrow string (`mbstowcs`); `None` when it has an illegal sequence.
    #[must_use]
    pub fn to_wide(self, bytes: &[u8]) -> Option<Vec<u16>> {
        let mut wide = Vec::with_capacity(bytes.len());
        let mut rest = bytes;
        while !rest.is_empty() {
            let c = self.decode(rest).char()?;
            wide.extend_from_slice(c.units());
            rest = &rest[c.used..];
        }
        Some(wide)
    }

    /// Converts a whole wide string (`wcstombs`); `None` when a character has no encoding.
    #[must_use]
    pub fn to_narrow(self, units: &[u16]) -> Option<Vec<u8>> {
        let mut narrow = Vec::with_capacity(units.len());
        let mut rest = units;
        while let Some(&first) = rest.first() {
            let c = self.encode(first, rest.get(1).copied())?;
            narrow.extend_from_slice(c.bytes());
            rest = &rest[c.units..];
        }
        Some(narrow)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const UTF8: Charset = Charset::Page(CodePage::Utf8);

    proptest! {
        #[test]
        fn utf8_round_trips(s in "\\PC{0,40}") {
            let wide: Vec<u16> = s.encode_utf16().collect();
            prop_assert_eq!(UTF8.to_wide(s.as_bytes()), Some(wide.clone()));
            prop_assert_eq!(UTF8.to_narrow(&wide), Some(s.into_bytes()));
        }
    }

    #[test]
    fn the_c_locale_is_byte_for_unit() {
        assert_eq!(Charset::C.to_wide(b"a\xE9"), Some(vec![0x61, 0xE9]));
        assert_eq!(Charset::C.to_narrow(&[0x61, 0xE9]), Some(b"a\xE9".to_vec()));
        assert_eq!(Charset::C.to_narrow(&[0x20AC]), None);
    }

    #[test]
    fn incomplete_and_illegal_differ() {
        assert_eq!(UTF8.decode(b"\xE2\x82"), Decode::Incomplete);
        assert_eq!(UTF8.decode(b"\xE2A"), Decode::Illegal);
        assert_eq!(UTF8.encode(0xD800, None), None);
        assert_eq!((UTF8.max_bytes(), UTF8.page_number(), Charset::C.page_number()), (4, 65001, 0));
    }
}
