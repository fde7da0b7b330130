//! What a narrow and a wide string have in common, so that each algorithm is written once for both.
//!
//! A *unit* is a byte of a narrow string or a UTF-16 code unit of a wide one. Conversion between the two encodings
//! is not done here: see [`crate::string::charset`].

use core::fmt::Debug;

/// One element of a C string: `char` or `wchar_t`.
pub trait Unit: Copy + Eq + Ord + Debug + Default + 'static {
    /// Whether it is `wchar_t`.
    const WIDE: bool;
    /// The terminating zero.
    const NUL: Self;

    /// The unit of an ASCII character.
    fn from_ascii(byte: u8) -> Self;

    /// The numeric value.
    fn code(self) -> u32;

    /// The unit with this value; values that do not fit are cut to the unit's width.
    fn from_code(code: u32) -> Self;

    /// The ASCII character, or 0xFF for anything else (which matches no ASCII character).
    fn ascii(self) -> u8 {
        u8::try_from(self.code()).ok().filter(u8::is_ascii).unwrap_or(0xFF)
    }

    /// Whether it is white space in the C locale.
    fn is_space(self) -> bool {
        let c = self.code();
        c == 0x20 || (0x09..=0x0D).contains(&c) || (Self::WIDE && is_wide_space(c))
    }

    /// Calls `put` with the ASCII text as units, in slices of any length.
    fn each_ascii<E>(text: &[u8], put: impl FnMut(&[Self]) -> Result<(), E>) -> Result<(), E>;
}

fn is_wide_space(c: u32) -> bool {
    matches!(c, 0x85 | 0xA0 | 0x1680 | 0x2000..=0x200A | 0x2028 | 0x2029 | 0x202F | 0x205F | 0x3000)
}

impl Unit for u8 {
    const WIDE: bool = false;
    const NUL: Self = 0;

    fn from_ascii(byte: u8) -> Self {
        byte
    }

    fn code(self) -> u32 {
        self.into()
    }

    #[expect(clippy::cast_possible_truncation, reason = "cutting to the unit's width is the contract")]
    fn from_code(code: u32) -> Self {
        code as Self
    }

    fn each_ascii<E>(text: &[u8], mut put: impl FnMut(&[Self]) -> Result<(), E>) -> Result<(), E> {
        put(text)
    }
}

impl Unit for u16 {
    const WIDE: bool = true;
    const NUL: Self = 0;

    fn from_ascii(byte: u8) -> Self {
        byte.into()
    }

    fn code(self) -> u32 {
        self.into()
    }

    #[expect(clippy::cast_possible_truncation, reason = "cutting to the unit's width is the contract")]
    fn from_code(code: u32) -> Self {
        code as Self
    }

    fn each_ascii<E>(text: &[u8], mut put: impl FnMut(&[Self]) -> Result<(), E>) -> Result<(), E> {
        let mut wide = [0u16; 64];
        for chunk in text.chunks(wide.len()) {
            for (to, from) in wide.iter_mut().zip(chunk) {
                *to = (*from).into();
            }
            put(&wide[..chunk.len()])?;
        }
        Ok(())
    }
}
