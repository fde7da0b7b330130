//! The printf engine: one implementation for narrow and wide, msvcrt and ucrt, streams and buffers.
//!
//! [`format`] reads the format string, takes arguments from an [`ArgSource`] and writes to a [`Sink`]. It knows neither
//! guest memory nor calling conventions. What the many `sprintf` variants make of a full buffer is in [`finish`];
//! floating-point text is in `float`, and reading a conversion specification in `spec`.
//!
//! Documentation: "Format specification syntax: printf and wprintf functions", "printf_p positional parameters" and the
//! pages of the single functions.

mod engine;
mod finish;
mod float;
mod spec;
#[cfg(test)]
mod tests;

pub use engine::format;
pub use finish::{Finish, Limit, finish};
pub use float::float_text;

use crate::string::charset::Charset;
use crate::unit::Unit;

/// Why formatting stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Error {
    /// The format string is ill-formed or uses `%n` where it is disabled: the invalid parameter handler's case.
    Invalid,
    /// A character has no representation in the locale (EILSEQ).
    IllegalSequence,
    /// Guest memory could not be read or written.
    Fault,
    /// The sink failed; it keeps the reason.
    Sink,
    /// The output is longer than an `int` can say (EOVERFLOW).
    Overflow,
}

/// Result of one step of formatting.
pub type Result<T> = core::result::Result<T, Error>;

/// How a printf function behaves. The first six mirror ucrt's `_CRT_INTERNAL_PRINTF_*` option bits.
#[derive(Clone, Copy, Debug)]
#[allow(clippy::struct_excessive_bools, reason = "independent option bits of the interface")]
pub struct Options {
    /// Bit 0, `LEGACY_VSPRINTF_NULL_TERMINATION`: `_snprintf`'s rule for a full buffer.
    pub legacy_termination: bool,
    /// Bit 1, `STANDARD_SNPRINTF_BEHAVIOR`: C99's rule for a full buffer.
    pub standard_snprintf: bool,
    /// Bit 2, `LEGACY_WIDE_SPECIFIERS`: in wide functions `%s` means a wide string and `%S` a narrow one.
    pub legacy_wide: bool,
    /// Bit 3, `LEGACY_MSVCRT_COMPATIBILITY`: infinities and NaNs as `1.#INF`, and `%` before a character that means nothing
    /// prints that character.
    pub msvcrt: bool,
    /// Bit 4, `LEGACY_THREE_DIGIT_EXPONENTS`: at least three exponent digits.
    pub three_digit_exponents: bool,
    /// Exact halves are rounded away from zero: without bit 5, `STANDARD_ROUNDING`, and always in msvcrt.
    pub ties_away: bool,
    /// Whether `%n` is enabled (`_set_printf_count_output`).
    pub count_output: bool,
    /// Whether the function takes positional parameters (`_printf_p`).
    pub positional: bool,
    /// Size of a guest pointer in bytes: 4 or 8.
    pub pointer_size: u8,
    /// Encoding of narrow strings, for conversions to and from wide ones.
    pub charset: Charset,
}

impl Options {
    /// The options of msvcrt's functions.
    #[must_use]
    pub fn msvcrt(pointer_size: u8, charset: Charset) -> Self {
        Self {
            legacy_termination: true,
            standard_snprintf: false,
            legacy_wide: true,
            msvcrt: true,
            three_digit_exponents: true,
            ties_away: true,
            count_output: true,
            positional: false,
            pointer_size,
            charset,
        }
    }

    /// The options of a `__stdio_common_v*printf` call of ucrt, from its option bits.
    #[must_use]
    pub fn ucrt(bits: u64, pointer_size: u8, charset: Charset) -> Self {
        Self {
            legacy_termination: bits & 1 != 0,
            standard_snprintf: bits & 2 != 0,
            legacy_wide: bits & 4 != 0,
            msvcrt: bits & 8 != 0,
            three_digit_exponents: bits & 16 != 0,
            ties_away: bits & 32 == 0,
            count_output: false,
            positional: false,
            pointer_size,
            charset,
        }
    }
}

/// Where the arguments come from: the guest's variable argument list and memory.
pub trait ArgSource {
    /// The next argument as a 32-bit integer.
    ///
    /// # Errors
    /// [`Error::Fault`] when the argument list cannot be read (so for all methods).
    fn int32(&mut self) -> Result<u32>;
    /// The next argument as a 64-bit integer.
    ///
    /// # Errors
    /// As [`ArgSource::int32`].
    fn int64(&mut self) -> Result<u64>;
    /// The next argument as a pointer.
    ///
    /// # Errors
    /// As [`ArgSource::int32`].
    fn pointer(&mut self) -> Result<u64>;
    /// The next argument as a double.
    ///
    /// # Errors
    /// As [`ArgSource::int32`].
    fn double(&mut self) -> Result<f64>;
    /// Copies bytes of the string at `at` until a NUL or until `to` is full; returns how many.
    ///
    /// # Errors
    /// [`Error::Fault`] when the memory cannot be read.
    fn narrow(&mut self, at: u64, to: &mut [u8]) -> Result<usize>;
    /// Copies units of the wide string at `at` until a NUL or until `to` is full; returns how many.
    ///
    /// # Errors
    /// [`Error::Fault`] when the memory cannot be read.
    fn wide(&mut self, at: u64, to: &mut [u16]) -> Result<usize>;
    /// `Length` (in bytes) and `Buffer` of the `ANSI_STRING` or `UNICODE_STRING` at `at`.
    ///
    /// # Errors
    /// [`Error::Fault`] when the memory cannot be read.
    fn counted(&mut self, at: u64) -> Result<(u16, u64)>;
    /// Stores the low `size` bytes of `count` at `at` (`%n`).
    ///
    /// # Errors
    /// [`Error::Fault`] when the memory cannot be written.
    fn store(&mut self, at: u64, size: u8, count: u64) -> Result<()>;
}

/// Where the output goes.
pub trait Sink<U: Unit> {
    /// Takes units. A sink that is full goes on taking them, so that the length can be counted.
    ///
    /// # Errors
    /// [`Error::Sink`] when writing fails, [`Error::Fault`] when guest memory cannot be written.
    fn put(&mut self, units: &[U]) -> Result<()>;

    /// Takes `count` times the same unit.
    ///
    /// # Errors
    /// As [`Sink::put`].
    fn fill(&mut self, unit: U, count: usize) -> Result<()> {
        let block = [unit; 32];
        let mut left = count;
        while left > 0 {
            let n = left.min(block.len());
            self.put(&block[..n])?;
            left -= n;
        }
        Ok(())
    }
}

/// A sink over a host buffer of fixed size that keeps what fits.
#[derive(Debug)]
pub struct Bounded<'a, U> {
    buffer: &'a mut [U],
    used: usize,
}

impl<'a, U: Unit> Bounded<'a, U> {
    /// An empty sink over `buffer`.
    pub fn new(buffer: &'a mut [U]) -> Self {
        Self { buffer, used: 0 }
    }

    /// What was kept.
    #[must_use]
    pub fn kept(&self) -> &[U] {
        &self.buffer[..self.used]
    }
}

impl<U: Unit> Sink<U> for Bounded<'_, U> {
    fn put(&mut self, units: &[U]) -> Result<()> {
        let n = units.len().min(self.buffer.len() - self.used);
        self.buffer[self.used..self.used + n].copy_from_slice(&units[..n]);
        self.used += n;
        Ok(())
    }

    fn fill(&mut self, unit: U, count: usize) -> Result<()> {
        let n = count.min(self.buffer.len() - self.used);
        self.buffer[self.used..self.used + n].fill(unit);
        self.used += n;
        Ok(())
    }
}

/// A sink that grows.
impl<U: Unit> Sink<U> for Vec<U> {
    fn put(&mut self, units: &[U]) -> Result<()> {
        self.extend_from_slice(units);
        Ok(())
    }
}

/// A sink that keeps nothing (the engine counts): `_scprintf`.
#[derive(Debug, Default)]
pub struct Discard;

impl<U: Unit> Sink<U> for Discard {
    fn put(&mut self, _units: &[U]) -> Result<()> {
        Ok(())
    }

    fn fill(&mut self, _unit: U, _count: usize) -> Result<()> {
        Ok(())
    }
}
