//! Conversion between numbers and text: `strtol`, `strtod` and their relatives, `_itoa`, `_ecvt`.
//!
//! All parsers take text without its NUL (or with: a NUL is not a digit) and say where they stopped. `long` has 32 bits.
//! Text by format strings is made in [`crate::format`] and read in [`crate::scan`].

mod cvt;
mod float;
mod integer;

pub use cvt::{Cvt, ecvt, fcvt, gcvt};
pub use float::{ParsedFloat, parse_double, parse_single};
pub use integer::{IntKind, ParsedInt, int_text, parse_int};

/// How a conversion from text ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// With a number.
    Number,
    /// Without one: nothing was converted, the end is the start.
    None,
    /// With a number beyond the type's range; the value is the nearest limit (ERANGE).
    Range,
    /// The base is not 0 or 2 to 36 (EINVAL).
    BadBase,
}
