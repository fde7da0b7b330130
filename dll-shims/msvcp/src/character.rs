//! `char` and `wchar_t`: what the class templates over characters are written once for.

use transom_crt::unit::Unit;
use transom_sdk::{Arg, Crt, GuestData, Ret, Value, mem};

/// A character that streams and facets are made of.
pub(crate) trait Character: Unit + GuestData + Arg + Ret + Value + Into<u64> {
    /// `int_type` of its traits, which holds a character or the end of the file.
    type Int: Arg + Ret + Value + Copy;

    /// A character, or the end of the file.
    fn to_int(character: Option<Self>) -> Self::Int;

    /// The character, unless it is the end of the file.
    fn of_int(int: Self::Int) -> Option<Self>;

    /// The same of what a guest function returned.
    fn of_word(word: u64) -> Option<Self>;

    /// The same as an argument of a guest function.
    fn to_word(character: Option<Self>) -> u64;

    /// Bytes of so many characters.
    fn bytes(count: impl TryInto<u64>) -> u64 {
        (size_of::<Self>() as u64).saturating_mul(count.try_into().unwrap_or(0))
    }

    /// Reads characters of guest memory.
    fn read(at: u64, count: usize) -> Crt<Vec<Self>> {
        (0..count).map(|i| Ok(Self::load(at + Self::bytes(i), true)?)).collect()
    }

    /// Writes characters to guest memory.
    fn write(at: u64, characters: &[Self]) -> Crt<()> {
        for (i, c) in characters.iter().enumerate() {
            c.store(at + Self::bytes(i), true)?;
        }
        Ok(())
    }

    /// An ASCII text in these characters.
    fn of_text(text: &[u8]) -> Vec<Self> {
        text.iter().map(|b| Self::from_ascii(*b)).collect()
    }
}

/// Copies characters within guest memory.
pub(crate) fn copy<C: Character>(to: u64, from: u64, count: impl TryInto<u64>) -> Crt<()> {
    Ok(mem::copy_within(to, from, usize::try_from(C::bytes(count)).unwrap_or(usize::MAX))?)
}

impl Character for u8 {
    type Int = i32;

    fn to_int(character: Option<Self>) -> i32 {
        character.map_or(-1, i32::from)
    }

    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a character")]
    fn of_int(int: i32) -> Option<Self> {
        (int != -1).then_some(int as Self)
    }

    #[expect(clippy::cast_possible_truncation, reason = "an int")]
    fn of_word(word: u64) -> Option<Self> {
        Self::of_int(word as i32)
    }

    fn to_word(character: Option<Self>) -> u64 {
        Self::to_int(character).cast_unsigned().into()
    }
}

impl Character for u16 {
    type Int = u16;

    fn to_int(character: Option<Self>) -> u16 {
        character.unwrap_or(Self::MAX)
    }

    fn of_int(int: u16) -> Option<Self> {
        (int != Self::MAX).then_some(int)
    }

    #[expect(clippy::cast_possible_truncation, reason = "an unsigned short")]
    fn of_word(word: u64) -> Option<Self> {
        Self::of_int(word as u16)
    }

    fn to_word(character: Option<Self>) -> u64 {
        Self::to_int(character).into()
    }
}
