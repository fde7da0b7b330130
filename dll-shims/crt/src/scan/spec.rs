//! Reads one conversion specification of a scanf format: `%[*][width][size]type`.

use super::set::ScanSet;
use super::{Error, Options, Result};
use crate::unit::Unit;

/// What a conversion reads.
#[derive(Clone, Debug)]
pub(super) enum Kind {
    /// Integer with its base (0 detects it).
    Integer { base: u32, signed: bool },
    /// Floating-point number.
    Float,
    /// `%s`.
    Word,
    /// `%c`.
    Chars,
    /// `%[`.
    Set(ScanSet),
    /// `%n`.
    Count,
    /// `%%`.
    Percent,
}

/// One conversion specification.
#[derive(Clone, Debug)]
pub(super) struct Spec {
    pub(super) suppress: bool,
    pub(super) width: Option<usize>,
    /// Bytes of an integer result: 1, 2, 4 or 8.
    pub(super) integer: u8,
    /// Whether a floating-point result is a double.
    pub(super) double: bool,
    /// Whether a string result is wide.
    pub(super) wide: bool,
    pub(super) kind: Kind,
}

impl Spec {
    /// Reads the specification whose `%` is just before `at`; returns it and the index after it.
    pub(super) fn read<U: Unit>(format: &[U], mut at: usize, options: &Options) -> Result<(Self, usize)> {
        let peek = |at: usize| format.get(at).map_or(0, |u| u.ascii());
        let suppress = peek(at) == b'*';
        at += usize::from(suppress);
        let mut width = None;
        while peek(at).is_ascii_digit() {
            width =
                Some(width.unwrap_or(0usize).saturating_mul(10).saturating_add(usize::from(peek(at) - b'0')));
            at += 1;
        }
        if width == Some(0) {
            return Err(Error::Invalid);
        }
        let (mut integer, mut double, mut text) = (4, false, None);
        loop {
            match peek(at) {
                b'h' => {
                    integer = if integer == 2 { 1 } else { 2 };
                    text = Some(false);
                }
                b'l' => {
                    if peek(at + 1) == b'l' {
                        at += 1;
                        integer = 8;
                    }
                    double = true;
                    text = Some(true);
                }
                b'w' => text = Some(true),
                b'L' => double = true,
                b'j' => integer = 8,
                b'z' | b't' => integer = options.pointer_size,
                b'I' => match (peek(at + 1), peek(at + 2)) {
                    (b'6', b'4') => {
                        integer = 8;
                        at += 2;
                    }
                    (b'3', b'2') => at += 2,
                    _ => integer = options.pointer_size,
                },
                _ => break,
            }
            at += 1;
        }
        let letter = peek(at);
        at += 1;
        let kind = match letter {
            b'd' => Kind::Integer { base: 10, signed: true },
            b'i' => Kind::Integer { base: 0, signed: true },
            b'u' => Kind::Integer { base: 10, signed: false },
            b'o' => Kind::Integer { base: 8, signed: false },
            b'x' | b'X' => Kind::Integer { base: 16, signed: false },
            b'p' => {
                integer = options.pointer_size;
                Kind::Integer { base: 16, signed: false }
            }
            b'e' | b'E' | b'f' | b'F' | b'g' | b'G' | b'a' | b'A' => Kind::Float,
            b's' | b'S' => Kind::Word,
            b'c' | b'C' => Kind::Chars,
            b'[' => {
                let (set, end) = ScanSet::read(format, at).ok_or(Error::Invalid)?;
                at = end;
                Kind::Set(set)
            }
            b'n' => Kind::Count,
            b'%' => Kind::Percent,
            _ => return Err(Error::Invalid),
        };
        let capital = matches!(letter, b'S' | b'C');
        let natural = if U::WIDE && options.legacy_wide { !capital } else { capital };
        Ok((Self { suppress, width, integer, double, wide: text.unwrap_or(natural), kind }, at))
    }
}
