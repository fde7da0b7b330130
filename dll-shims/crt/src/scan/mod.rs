//! The scanf engine: one implementation for narrow and wide, streams and strings, msvcrt and ucrt.
//!
//! [`scan`] reads units from a [`Source`] and stores results through a [`Target`]. It knows neither guest memory nor calling
//! conventions; conversion of numbers is in [`crate::number`].
//!
//! Documentation: "Format specification fields: scanf and wscanf functions" and the pages that it links to.

mod engine;
mod set;
mod spec;
#[cfg(test)]
mod tests;

pub use engine::scan;

use crate::string::charset::Charset;
use crate::unit::Unit;

/// Why scanning stopped in error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Error {
    /// The format string is ill-formed: the invalid parameter handler's case.
    Invalid,
    /// Guest memory could not be read or written.
    Fault,
}

/// Result of a step of scanning.
pub type Result<T> = core::result::Result<T, Error>;

/// How a scanf function behaves.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Secure functions take a buffer size after each string argument (ucrt's option bit 0).
    pub secure: bool,
    /// In wide functions `%s` means a wide string (ucrt's option bit 1, and always in msvcrt).
    pub legacy_wide: bool,
    /// msvcrt's rules for floating-point text.
    pub msvcrt: bool,
    /// Size of a guest pointer in bytes: 4 or 8.
    pub pointer_size: u8,
    /// Encoding of narrow strings.
    pub charset: Charset,
}

impl Options {
    /// The options of a `__stdio_common_v*scanf` call of ucrt, from its option bits.
    #[must_use]
    pub fn ucrt(bits: u64, pointer_size: u8, charset: Charset) -> Self {
        Self {
            secure: bits & 1 != 0,
            legacy_wide: bits & 2 != 0,
            msvcrt: bits & 4 != 0,
            pointer_size,
            charset,
        }
    }

    /// The options of msvcrt's functions.
    #[must_use]
    pub fn msvcrt(secure: bool, pointer_size: u8, charset: Charset) -> Self {
        Self { secure, legacy_wide: true, msvcrt: true, pointer_size, charset }
    }
}

/// Where the text comes from.
pub trait Source<U: Unit> {
    /// The next unit; `None` at the end.
    ///
    /// # Errors
    /// [`Error::Fault`] when guest memory cannot be read.
    fn next(&mut self) -> Result<Option<U>>;
    /// Takes back the unit that `next` gave last.
    fn unread(&mut self, unit: U);
}

/// Where the arguments come from and the results go.
pub trait Target {
    /// The next argument as a pointer.
    ///
    /// # Errors
    /// [`Error::Fault`] when the argument list cannot be read.
    fn pointer(&mut self) -> Result<u64>;
    /// The next argument as a buffer size of a secure function.
    ///
    /// # Errors
    /// [`Error::Fault`] when the argument list cannot be read.
    fn size(&mut self) -> Result<u64>;
    /// Stores bytes at a guest address.
    ///
    /// # Errors
    /// [`Error::Fault`] when the memory cannot be written.
    fn store(&mut self, at: u64, bytes: &[u8]) -> Result<()>;
}

/// A source over a host slice, for `sscanf`; a NUL ends it.
#[derive(Debug)]
pub struct Text<'a, U> {
    text: &'a [U],
    at: usize,
}

impl<'a, U: Unit> Text<'a, U> {
    /// Reads `text` up to its NUL or end.
    #[must_use]
    pub fn new(text: &'a [U]) -> Self {
        Self { text, at: 0 }
    }
}

impl<U: Unit> Source<U> for Text<'_, U> {
    fn next(&mut self) -> Result<Option<U>> {
        let unit = self.text.get(self.at).copied().filter(|u| *u != U::NUL);
        self.at += usize::from(unit.is_some());
        Ok(unit)
    }

    fn unread(&mut self, _unit: U) {
        self.at = self.at.saturating_sub(1);
    }
}
